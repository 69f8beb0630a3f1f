"""bertedu: BERT to be read, run and taken apart.

Example:
    >>> import bertedu
    >>> bertedu.load_tokenizer().encode("he likes playing", "every day").tokens
    ['[CLS]', 'he', 'likes', 'playing', '[SEP]', 'every', 'day', '[SEP]']
"""

from importlib import import_module
from typing import TYPE_CHECKING

from bertedu.errors import CheckpointError, InputError
from bertedu.utils import cores as _cores

if TYPE_CHECKING:
    from bertedu.attention import attend, attention_probs, attention_scores
    from bertedu.bert import Bert, Guess, load
    from bertedu.checkpoint import from_pretrained, load_tokenizer, save_pretrained
    from bertedu.config import BertConfig
    from bertedu.encoding import Encoding, collate
    from bertedu.finetuning import FineTuned, FinetuningRecipe, FinetuningRun, finetune
    from bertedu.heads import (
        BertForPreTraining,
        BertForQuestionAnswering,
        BertForSequenceClassification,
        BertForTokenClassification,
    )
    from bertedu.model import BertModel
    from bertedu.tokenizer import BertTokenizer

__version__ = "0.1.0"

_cores.follow_share()  # before anything imports torch

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
    "FineTuned",
    "FinetuningRecipe",
    "FinetuningRun",
    "Guess",
    "InputError",
    "attend",
    "attention_probs",
    "attention_scores",
    "collate",
    "finetune",
    "from_pretrained",
    "load",
    "load_tokenizer",
    "save_pretrained",
]

# Where each name lives. It is imported when first asked for, so that `bertedu doctor` answers at
# once, and even where torch is broken.
_HOMES = {
    "attention": ["attend", "attention_probs", "attention_scores"],
    "bert": ["Bert", "Guess", "load"],
    "checkpoint": ["from_pretrained", "load_tokenizer", "save_pretrained"],
    "config": ["BertConfig"],
    "encoding": ["Encoding", "collate"],
    "finetuning": ["FineTuned", "FinetuningRecipe", "FinetuningRun", "finetune"],
    "heads": [
        "BertForPreTraining",
        "BertForQuestionAnswering",
        "BertForSequenceClassification",
        "BertForTokenClassification",
    ],
    "model": ["BertModel"],
    "tokenizer": ["BertTokenizer"],
}


_PARTS = ("finetuning", "pretraining", "widgets")  # after `import bertedu` alone, too


def __getattr__(name: str) -> object:
    if name in _PARTS:
        return import_module(f"{__name__}.{name}")
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
