"""bertedu: BERT to be read, run and taken apart.

Example:
    >>> import bertedu
    >>> bertedu.load_tokenizer().encode("he likes playing", "every day").tokens
    ['[CLS]', 'he', 'likes', 'playing', '[SEP]', 'every', 'day', '[SEP]']
"""

from bertedu.attention import attend, attention_probs, attention_scores
from bertedu.bert import Bert, Guess, load
from bertedu.checkpoint import from_pretrained, load_tokenizer, save_pretrained
from bertedu.config import BertConfig
from bertedu.errors import CheckpointError, InputError
from bertedu.heads import (
    BertForPreTraining,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
)
from bertedu.model import BertModel
from bertedu.tokenizer import BertTokenizer, Encoding, collate

__version__ = "0.1.0"

__all__ = [
    "Bert",
    "BertConfig",
    "BertForPreTraining",
    "BertForQuestionAnswering",
    "BertForSequenceClassification",
    "BertForTokenClassification",
    "BertModel",
    "BertTokenizer",
    "CheckpointError",
    "Encoding",
    "Guess",
    "InputError",
    "attend",
    "attention_probs",
    "attention_scores",
    "collate",
    "from_pretrained",
    "load",
    "load_tokenizer",
    "save_pretrained",
]
