"""Widgets: Python computes, the browser shows, also in a page without Python.

Each is imported when first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bertedu.widgets.attention_explorer import AttentionExplorer as AttentionExplorer
    from bertedu.widgets.attention_step import AttentionStep as AttentionStep
    from bertedu.widgets.embedding_sum import EmbeddingSum as EmbeddingSum
    from bertedu.widgets.journey import Journey as Journey
    from bertedu.widgets.mask_explorer import MaskExplorer as MaskExplorer
    from bertedu.widgets.pair_explorer import PairExplorer as PairExplorer
    from bertedu.widgets.patch import Patch as Patch
    from bertedu.widgets.sentence_pair_builder import SentencePairBuilder as SentencePairBuilder
    from bertedu.widgets.span_explorer import SpanExplorer as SpanExplorer
    from bertedu.widgets.text_classifier import TextClassifier as TextClassifier
    from bertedu.widgets.time_machine import TimeMachine as TimeMachine
    from bertedu.widgets.token_tagger import TokenTagger as TokenTagger
    from bertedu.widgets.training_monitor import TrainingMonitor as TrainingMonitor
    from bertedu.widgets.try_it import TryIt as TryIt
    from bertedu.widgets.wordpiece_explorer import WordPieceExplorer as WordPieceExplorer

_HOMES = {
    "AttentionExplorer": "attention_explorer",
    "AttentionStep": "attention_step",
    "EmbeddingSum": "embedding_sum",
    "Journey": "journey",
    "MaskExplorer": "mask_explorer",
    "PairExplorer": "pair_explorer",
    "Patch": "patch",
    "SentencePairBuilder": "sentence_pair_builder",
    "SpanExplorer": "span_explorer",
    "TextClassifier": "text_classifier",
    "TimeMachine": "time_machine",
    "TokenTagger": "token_tagger",
    "TrainingMonitor": "training_monitor",
    "TryIt": "try_it",
    "WordPieceExplorer": "wordpiece_explorer",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
