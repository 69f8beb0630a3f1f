"""The list of the cases: a fifth is one more module and one more line here.

A module has an `Example`, `read(path)`, a prediction that tells itself, a task (features, head,
decoding, metrics), and the task's head where it is no published one.
"""

from typing import Any

from bertedu.errors import InputError
from bertedu.finetuning.classification import Classification
from bertedu.finetuning.inference import Inference
from bertedu.finetuning.question_answering import QuestionAnswering
from bertedu.finetuning.slot_filling import SlotFilling
from bertedu.finetuning.task import Task

TASKS: dict[str, type[Task[Any, Any]]] = {
    task.name: task
    for task in (
        Classification,
        SlotFilling,
        Inference,
        QuestionAnswering,
    )
}
"""Each case by its name."""


def task_named(name: str) -> type[Task[Any, Any]]:
    """Returns a case.

    Example:
        >>> task_named("slot_filling").best
        'f1'
        >>> task_named("translation")
        Traceback (most recent call last):
        bertedu.errors.InputError: there is no case 'translation'; there are classification,
        slot_filling, inference, question_answering
    """
    if name not in TASKS:
        raise InputError(f"there is no case {name!r}; there are {', '.join(TASKS)}")
    return TASKS[name]
