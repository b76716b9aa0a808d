"""The tokenizer: text to token ids and back, without losing a byte.

Reading order: bpe.py (how one is learned), tokenizer.py (how it is used); then the two places where one comes from:
tokenizer_file.py (a tokenizer.json) and published/ (everybody's, in this package). parts.py is what these hand over.
"""

from llm101.tokenizer.parts import END_OF_TEXT, TokenizerError, TokenizerParts
from llm101.tokenizer.tokenizer import Tokenizer

__all__ = ["END_OF_TEXT", "Tokenizer", "TokenizerError", "TokenizerParts"]
