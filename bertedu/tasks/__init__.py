"""The four cases of fine-tuning: one module each, all of the same shape.

A module has an `Example`, `read(path)`, a task (features, head, decoding, metrics) and a
prediction: `classification`, `slot_filling`, `inference` and `question_answering`.
"""

from typing import Any

from bertedu.errors import InputError
from bertedu.tasks import classification, inference, question_answering, slot_filling
from bertedu.tasks.base import Task
from bertedu.tasks.classification import Classification, ClassPrediction
from bertedu.tasks.inference import Inference
from bertedu.tasks.question_answering import AnswerPrediction, QuestionAnswering, SpanAnswer
from bertedu.tasks.slot_filling import Slot, SlotFilling, TagPrediction

__all__ = [
    "TASKS",
    "AnswerPrediction",
    "ClassPrediction",
    "Classification",
    "Inference",
    "QuestionAnswering",
    "Slot",
    "SlotFilling",
    "SpanAnswer",
    "TagPrediction",
    "Task",
    "classification",
    "inference",
    "question_answering",
    "slot_filling",
    "task_named",
]

TASKS: dict[str, tuple[type[Task[Any, Any]], Any]] = {
    "classification": (Classification, classification),
    "slot_filling": (SlotFilling, slot_filling),
    "inference": (Inference, inference),
    "question_answering": (QuestionAnswering, question_answering),
}
"""Each case's task and module, by its name."""


def task_named(name: str) -> type[Task[Any, Any]]:
    """Returns the class of a case.

    Example:
        >>> task_named("slot_filling").best
        'f1'
        >>> task_named("translation")
        Traceback (most recent call last):
        bertedu.errors.InputError: there is no case 'translation'; the four are classification,
        slot_filling, inference, question_answering
    """
    if name not in TASKS:
        raise InputError(f"there is no case {name!r}; the four are {', '.join(TASKS)}")
    return TASKS[name][0]
