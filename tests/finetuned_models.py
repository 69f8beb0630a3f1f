"""Small models of the four cases with random weights that are not small: their answers differ."""

import json
from functools import cache

import numpy as np
import torch

from bertedu import BertConfig, load_tokenizer
from bertedu.finetuning import Classification, Inference, QuestionAnswering, SlotFilling
from bertedu.finetuning.model import FineTuned

TOKENIZER = load_tokenizer()
SIZES = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 32,
    "initializer_range": 0.5,
}
TASKS = {
    "classification": Classification(labels=("negative", "positive")),
    "inference": Inference(labels=("contradiction", "entailment", "neutral")),
    "slot_filling": SlotFilling(
        labels=("O", "B-city", "I-city", "B-date", "I-date"), intents=("flight", "hotel")
    ),
    "question_answering": QuestionAnswering(no_answer=True),
}
HOSTILE = "<script>alert(1)</script> <img src=x onerror=alert(1)> שלום 你好 \N{DOG FACE}"
TEXTS = ["my cute dog likes playing", "", HOSTILE, "word " * 200]


@cache
def finetuned(case: str, **settings: object) -> FineTuned:
    """A model of one case; always the same."""
    task = TASKS[case] if not settings else type(TASKS[case])(**settings)
    torch.manual_seed(7)
    return FineTuned(task, task.head(BertConfig(**SIZES)), TOKENIZER, 384)


def unpacked(block: bytes) -> dict[str, object]:
    """What the browser gets: the header, and the arrays by name."""
    length = int.from_bytes(block[:4], "little")
    header = json.loads(block[4 : 4 + length])
    body = -(-(4 + length) // 8) * 8
    for each in header.pop("arrays"):
        count = int(np.prod(each["shape"]))
        values = np.frombuffer(block, each["dtype"], count, body + each["offset"])
        header[each["name"]] = values.reshape(each["shape"])
    return header
