"""What a page can say of its numbers: how far int8 is from the model, and PyTorch's own to compare.

`certificate` sets the model beside the one that a page computes with, on the course's held-out
text; both are PyTorch's. `reference` is what PyTorch makes of one input with the page's weights,
which the page's own engine must give again.
"""

import copy
from itertools import islice
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from bertedu.bert import Bert
from bertedu.data import HELD_OUT, INFERENCE, QUESTIONS, SENTIMENT, SLOTS
from bertedu.encoding import Encoding, collate
from bertedu.errors import InputError
from bertedu.finetuning.model import FineTuned
from bertedu.widgets.web_pack import dequantised, weights_of

MOST_TEXTS = 100
SHORTEST = 8  # tokens: what the page's own example has, and one to be masked
EVERY = 7  # of the held-out tokens, each seventh is masked
_EXAMPLES: dict[str, tuple[str, str | None]] = {
    "": ("my dog is [MASK].", None),
    "classification": ("a warm and funny film", None),
    "slot_filling": ("a table for two in rome", None),
    "inference": ("A dog runs.", "An animal moves."),
    "question_answering": ("Who wrote it?", "Newton wrote it in 1687."),
}
_TESTS = {
    "classification": SENTIMENT / "test.tsv",
    "slot_filling": SLOTS / "test",
    "inference": INFERENCE / "test.tsv",
    "question_answering": QUESTIONS / "test.json",
}
_ANSWER = {"slot_filling": "tags", "question_answering": "text"}  # of a prediction; else its label
Model = TypeVar("Model", Bert, FineTuned[Any, Any])


def example(model: Bert | FineTuned[Any, Any]) -> tuple[str, str | None]:
    """Returns a text and a pair, or None, that suits the model's case."""
    return _EXAMPLES[model.task.name if isinstance(model, FineTuned) else ""]


def page_model(model: Model) -> Model:
    """Returns a copy of a model with the weights that a page computes with."""
    copied = copy.copy(model)
    copied.model = copy.deepcopy(model.model)
    copied.model.load_state_dict(dequantised(weights_of(model)), strict=False)
    return copied


def certificate(model: Bert | FineTuned[Any, Any]) -> dict[str, Any]:
    """Returns what int8 changes on the course's held-out text, in what JSON can hold.

    Returns:
        `compared`, how many masks or texts, and `same`, the share of them with the same first
        guess or answer; of masks also `loss` and `loss_int8`, in nats a token.

    Raises:
        InputError: a model of fewer positions than the page's example has tokens.
    """
    if isinstance(model, FineTuned):
        return _of_answers(model)
    return _of_masks(model)


def _of_answers(tuned: FineTuned[Any, Any]) -> dict[str, Any]:
    name = tuned.task.name
    examples = [e for e in tuned.task.read(_TESTS[name])[:MOST_TEXTS] if _can_read(tuned, e)]
    if not examples:
        return {}
    told = [
        [getattr(prediction, _ANSWER.get(name, "label")) for prediction in of.predict(examples)]
        for of in (tuned, page_model(tuned))
    ]
    same = sum(a == b for a, b in zip(*told, strict=True))
    return {"compared": len(examples), "same": same / len(examples)}


def _can_read(tuned: FineTuned[Any, Any], example: Any) -> bool:
    """Returns whether a model has room for an example: a short one has none for two windows."""
    try:
        tuned.task.features(example, tuned.tokenizer, tuned.max_length)
    except InputError:
        return False
    return True


def _of_masks(bert: Bert) -> dict[str, Any]:
    if any(name.startswith("cls.predictions") for name in bert.missing):
        return {}
    longest = min(128, bert.config.max_position_embeddings)
    if longest < SHORTEST:
        raise InputError(
            f"this model reads {longest} tokens at most: a page needs one that reads {SHORTEST}"
        )
    texts = (
        line
        for file in sorted(HELD_OUT.glob("*.txt"))
        for line in file.read_text("utf-8").splitlines()
        if line.strip()
    )
    encodings = [
        bert.tokenizer.encode(text, max_length=longest, truncate=True)
        for text in islice(texts, MOST_TEXTS)
    ]
    answers = [_masked(of, encodings) for of in (bert, page_model(bert))]
    (loss, first), (loss_int8, first_int8) = answers
    return {
        "compared": len(first),
        "same": float((first == first_int8).float().mean()),
        "loss": loss,
        "loss_int8": loss_int8,
    }


@torch.inference_mode()
def _masked(bert: Bert, encodings: list[Encoding]) -> tuple[float, Tensor]:
    """Returns the mean loss, nats, and the first guess at each masked place."""
    losses, guesses = [], []
    for encoding in encodings:
        labels = torch.full_like(encoding.input_ids, -100)
        labels[EVERY // 2 : -1 : EVERY] = encoding.input_ids[EVERY // 2 : -1 : EVERY]
        chosen = labels != -100
        if not chosen.any():
            continue
        batch = collate([encoding])
        batch["input_ids"][0, chosen] = bert.tokenizer.mask_token_id
        logits = bert.model(**batch, labels=labels[None]).prediction_logits  # [N, V]
        losses.append(F.cross_entropy(logits, labels[chosen], reduction="none"))
        guesses.append(logits.argmax(-1))
    return float(torch.cat(losses).mean()), torch.cat(guesses)


@torch.inference_mode()
def reference(model: Bert | FineTuned[Any, Any]) -> dict[str, Any]:
    """Returns PyTorch's numbers for one input, with the page's weights, for the header of a pack.

    Returns:
        `reference`, what was asked and the names of the arrays, and each as `reference.NAME`; of
        the masked-LM logits those at the [MASK], [V].
    """
    asked = example(model)
    found = numbers(model, *asked)
    if "prediction_logits" in found:  # for all places they would take a megabyte
        masked = model.tokenizer.encode(*asked).tokens.index("[MASK]")
        found["prediction_logits"] = found["prediction_logits"][masked]
    arrays = {f"reference.{name}": each.numpy() for name, each in found.items()}
    return {"reference": {"asked": asked, "arrays": list(found)}, **arrays}


@torch.inference_mode()
def numbers(
    model: Bert | FineTuned[Any, Any], text: str, pair: str | None = None
) -> dict[str, Tensor]:
    """Returns all that PyTorch computes of one input with the page's weights, float32.

    Returns:
        hidden_states [L + 1, S, H], attention_probs [L, A, S, S]; prediction_logits [S, V] and
        seq_relationship_logits [2] where the model has those heads; a fine-tuned one's logits,
        [K], [S, K] or [S, 2], and intent_logits [K].
    """
    if isinstance(model, Bert):
        trace = page_model(model).trace(text, pair)
        found = {
            "hidden_states": trace.hidden_states,
            "attention_probs": trace.attention_probs,
            "prediction_logits": trace.prediction_logits,
            "seq_relationship_logits": trace.seq_relationship_logits,
        }
        return {name: each for name, each in found.items() if each is not None}
    page = page_model(model)
    batch = collate([page.tokenizer.encode(text, pair)])
    output = page.model(**batch, output_hidden_states=True, output_attentions=True)
    encoder = output.encoder
    answers = {name: each[0] for name, each in page.task.outputs(output).items()}
    return {
        "hidden_states": torch.cat(encoder.hidden_states),
        "attention_probs": torch.cat(encoder.attention_probs),
        **answers,
    }
