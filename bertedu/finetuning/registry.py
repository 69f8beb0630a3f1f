"""The list of the cases: a fifth is one more module and one more line here.

A module has an `Example`, `read(path)`, a task (features, head, decoding, metrics) and a
prediction: `classification`, `slot_filling`, `inference` and `question_answering`.
"""

from typing import Any

from bertedu.errors import InputError
from bertedu.finetuning import classification, inference, question_answering, slot_filling
from bertedu.finetuning.classification import Classification
from bertedu.finetuning.inference import Inference
from bertedu.finetuning.question_answering import QuestionAnswering
from bertedu.finetuning.slot_filling import SlotFilling
from bertedu.finetuning.task import Task

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
