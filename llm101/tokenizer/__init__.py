"""The tokenizer: text to token ids and back, without losing a byte.

Reading order: bpe.py (how one is learned), tokenizer.py (how it is used), byte_level.py (how a text is encoded) with
pattern.py (what cuts it into words). Then where one comes from: tokenizer_file.py (a tokenizer.json), gguf_content.py
(a GGUF file), published/ (everybody's, in this package). file_content.py and byte_level_file.py say what a file may
hold, library_encoding.py and decoder.py what is done with other kinds. A chat is a text in parts: chat_template.py,
sandbox.py, spans.py. parts.py is what these hand over.
"""

from llm101.tokenizer.parts import END_OF_TEXT, TokenizerError, TokenizerParts
from llm101.tokenizer.tokenizer import Tokenizer

__all__ = ["END_OF_TEXT", "Tokenizer", "TokenizerError", "TokenizerParts"]
