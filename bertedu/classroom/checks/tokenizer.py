"""The course's own tokenizer, loaded once for all checks."""

from functools import cache

from bertedu.checkpoint import load_tokenizer
from bertedu.tokenizer import BertTokenizer


@cache
def tokenizer() -> BertTokenizer:
    """Returns the tokenizer of the embedded checkpoint, always the same object."""
    return load_tokenizer()
