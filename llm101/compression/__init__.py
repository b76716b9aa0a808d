"""Compression: the model as a lossless compressor. The better it predicts, the less has to be written down.

Reading order: compressor.py (the whole way, in both directions); choice.py (who packs what, found by a sample);
model_code.py (the model's way) and what it stands on: documents.py (bytes to tokens), walk.py (many documents side by
side), predictor.py and forward.py (the model, in arithmetic.py's exact arithmetic; kernels.py is the same, compiled),
range_coder.py (probabilities to bytes); lzma_code.py (the other way); container.py (the file). processors.py spreads
the work; files.py does it from file to file.
"""

from llm101.compression.compressor import compress, decompress
from llm101.compression.container import CompressionError
from llm101.compression.files import CompressionReport, compress_file, decompress_file
from llm101.compression.model_code import TokenBits, bits_per_token

__all__ = [
    "CompressionError",
    "CompressionReport",
    "TokenBits",
    "bits_per_token",
    "compress",
    "compress_file",
    "decompress",
    "decompress_file",
]
