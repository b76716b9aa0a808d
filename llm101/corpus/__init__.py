"""The corpus: what a model learns from.

Reading order: documents.py (texts from files, folders, hub datasets), stories/ (the small ones that come with the
book), corpus.py (texts -> token ids on disk).
"""

from llm101.corpus.corpus import Corpus, CorpusFacts, Progress, is_only_corpus
from llm101.corpus.documents import CorpusError

__all__ = ["Corpus", "CorpusError", "CorpusFacts", "Progress", "is_only_corpus"]
