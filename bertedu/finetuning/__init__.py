"""The four cases of fine-tuning: one file each, and one loop that trains them all.

The cases are `classification`, `slot_filling` (its files are read in `slots`, its tags are in
`bio`), `inference` and `question_answering` (its answers are `spans`; its files are read, and its
official scores computed, in `squad`, those of Chinese in `cmrc`). `task` says what a case is,
`registry` lists them; `run` trains by its recipe, whole or by low-rank `adapters`, `model`
is what comes out, and `graduates` are those that come with the course; `tables` reads files,
`baselines` says what can be had without BERT.
"""

from bertedu.finetuning import (
    classification,
    inference,
    question_answering,
    slot_filling,
)
from bertedu.finetuning.classification import Classification, ClassPrediction
from bertedu.finetuning.inference import Inference
from bertedu.finetuning.model import FineTuned, load
from bertedu.finetuning.question_answering import AnswerPrediction, QuestionAnswering, SpanAnswer
from bertedu.finetuning.registry import TASKS, task_named
from bertedu.finetuning.run import FinetuningRecipe, FinetuningRun, FinetuningStep, finetune
from bertedu.finetuning.slot_filling import Slot, SlotFilling, TagPrediction
from bertedu.finetuning.task import Task

__all__ = [
    "TASKS",
    "AnswerPrediction",
    "ClassPrediction",
    "Classification",
    "FineTuned",
    "FinetuningRecipe",
    "FinetuningRun",
    "FinetuningStep",
    "Inference",
    "QuestionAnswering",
    "Slot",
    "SlotFilling",
    "SpanAnswer",
    "TagPrediction",
    "Task",
    "classification",
    "finetune",
    "inference",
    "load",
    "question_answering",
    "slot_filling",
    "task_named",
]
