"""Change something inside BERT, and see what becomes of a gap, a verdict, a label and a span."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
import traitlets
from torch import Tensor, nn

from bertedu.bert import Bert, Guess, load
from bertedu.encoding import Encoding, collate
from bertedu.errors import InputError
from bertedu.finetuning.model import FineTuned, opened
from bertedu.heads import IS_NEXT
from bertedu.widgets.base import AskingWidget, described, encode_short
from bertedu.widgets.try_it import without_heads
from bertedu.widgets.web_pack import finetuned_checksum, model_checksum
from bertedu.widgets.words import percent, shortened

LONGEST = 48  # tokens, as in the Journey
GUESSES = 3
Tuned = FineTuned[Any, Any]


class Copy(NamedTuple):
    """One vector that is put in another's place.

    Attributes:
        layer: after which it is taken and put, 0 = what the embeddings give.
        source: its position in the other text.
        position: the one in the text, or the pair, that gets it.
    """

    layer: int
    source: int
    position: int


class Changes(NamedTuple):
    """What is changed inside a model.

    Attributes:
        off: the [layer, head], from 1, that say nothing.
        layers: those, from 1, that are left out: what goes in comes out.
        segment: whether the segment embedding is left out.
        copy: the vector that is replaced, or None.
    """

    off: Sequence[Sequence[int]] = ()
    layers: Sequence[int] = ()
    segment: bool = False
    copy: Copy | None = None


class Preset(NamedTuple):
    """A button: its name, and what it asks."""

    name: str
    text: str
    pair: str | None
    other: str
    changes: Changes

    def asked(self) -> dict[str, Any]:
        """Returns the value of each trait."""
        off, layers, segment, copy = self.changes
        texts = {"text": self.text, "pair": self.pair, "other": self.other}
        return texts | {
            "off": [*map(list, off)],
            "layers": [*layers],
            "segment": segment,
            "copy": copy and [*copy],
        }


PRESETS = (
    Preset(
        "tokyo for paris",
        "paris is the capital of [MASK].",
        None,
        "tokyo is the capital of it.",
        Changes(copy=Copy(3, source=1, position=1)),
    ),
    Preset(
        "when for who",
        "who was born in rome?",
        "anna was born in rome in 1950, and she wrote a [MASK].",
        "when was she born?",
        Changes(copy=Copy(2, source=1, position=1)),
    ),
    Preset(
        "terrible for good",
        "the soup was good.",
        "the waiter brought it in the [MASK].",
        "the soup was terrible.",
        Changes(copy=Copy(3, source=4, position=4)),
    ),
    Preset(
        "no segments",
        "my dog is cute.",
        "calculus was developed by newton.",
        "",
        Changes(segment=True),
    ),
)
"""One for each answer: it becomes another one; a test holds them to that."""


class Answers(NamedTuple):
    """What is told of a text and its pair.

    Attributes:
        gap: the likeliest words for the first [MASK]; none without one.
        follows: the probability that the pair follows; None without a pair.
        label: of the text, each label's probability.
        span: the answer to the text, as a question, in the pair, and its probability; "" where
            there is none. None without a pair.
    """

    gap: list[Guess]
    follows: float | None
    label: dict[str, float]
    span: tuple[str, float] | None


class Patch(AskingWidget):
    """Shows four answers before and after a change inside the models that give them.

    The gap and the verdict are the pretrained model's; the label and the span those of two
    graduates, whose encoders get the same change.

    Args:
        text: segment A; the classifier reads it, and it is the question.
        pair: segment B, or None; the document in which the answer is looked for.
        other: the text that a vector can be copied from.
        bert: any model with its tokenizer; None means `bertedu.load()`.
        classifier: fine-tuned for classification, or its name.
        reader: fine-tuned for question answering, or its name.

    Attributes:
        text, pair, other: what is asked; changes when the reader types, and can be set.
        off, layers, segment, copy: see `Changes`; can be set, copy as [layer, source, position]
            or None. What the model or the texts do not have is left out.
        before, after: the `Answers` without the changes, and with them.
        problem: why the last text is not shown, in one sentence, or "".

    Raises:
        InputError: a text is no text, or longer than LONGEST tokens, or a model was fine-tuned
            for another case.

    Source: Vig et al. 2020, "Investigating gender bias in language models using causal mediation
    analysis"; Meng et al. 2022, "Locating and editing factual associations in GPT".
    """

    text = traitlets.Unicode().tag(sync=True)
    pair = traitlets.Unicode(None, allow_none=True).tag(sync=True)
    other = traitlets.Unicode().tag(sync=True)
    off: Any = traitlets.List(traitlets.List(traitlets.Int(), minlen=2, maxlen=2)).tag(sync=True)
    layers: Any = traitlets.List(traitlets.Int()).tag(sync=True)
    segment = traitlets.Bool().tag(sync=True)
    copy: Any = traitlets.List(
        traitlets.Int(), minlen=3, maxlen=3, allow_none=True, default_value=None
    ).tag(sync=True)
    presets: Any = traitlets.List().tag(sync=True)

    def __init__(
        self,
        text: str = PRESETS[1].text,
        pair: str | None = PRESETS[1].pair,
        other: str = PRESETS[1].other,
        bert: Bert | None = None,
        classifier: Tuned | str = "sentiment",
        reader: Tuned | str = "questions",
    ) -> None:
        self.bert = load() if bert is None else bert
        self.classifier, self.reader = opened(classifier), opened(reader)
        both = (self.classifier, "classification"), (self.reader, "question_answering")
        for tuned, case in both:
            if tuned.task.name != case:
                sentence = (
                    f"Patch needs a model for {case} here; this one was for {tuned.task.name}."
                )
                raise InputError(sentence.replace("_", " "))
        asked = {"text": text, "pair": pair, "other": other}
        super().__init__({}, **asked, off=[], layers=[], segment=False, copy=None)
        self.presets = [[preset.name, preset.asked()] for preset in PRESETS]

    def ask(self, preset: Preset) -> None:
        """Asks what a button asks, in one question."""
        with self.hold_trait_notifications():
            for name, value in preset.asked().items():
                setattr(self, name, value)

    def checksums(self) -> list[str]:
        """Returns those of the three models; none where one of them is no adapter."""
        own = [finetuned_checksum(tuned) for tuned in (self.classifier, self.reader)]
        found = [each for each in (model_checksum(self.bert), *own) if each]
        return found if len(found) == 3 else []

    def summary(self) -> str:
        """Returns the main numbers in one line."""
        return f"{len(self._encoding)} tokens, {self._told_changes()}: {_told(self.after)}"

    def _look(
        self,
        text: str,
        pair: str | None,
        other: str,
        off: Sequence[Sequence[int]],
        layers: Sequence[int],
        segment: bool,
        copy: Sequence[int] | None,
    ) -> None:
        most = min(LONGEST, self.bert.config.max_position_embeddings)
        encoding = encode_short(self.bert.tokenizer, most, text, pair)
        others = encode_short(self.bert.tokenizer, most, other)
        layer, source, position = copy or (-1, -1, -1)
        fits = (
            0 <= layer <= self.bert.config.num_hidden_layers
            and 0 <= source < len(others)
            and 0 <= position < len(encoding)
        )
        changes = Changes(off, layers, segment, Copy(layer, source, position) if fits else None)
        self.before = self._answers(encoding, others, Changes())
        self.after = self._answers(encoding, others, changes)
        self.changes, self._encoding, self._other = changes, encoding, others

    @torch.inference_mode()
    def _answers(self, encoding: Encoding, other: Encoding, changes: Changes) -> Answers:
        bert, text, pair = self.bert, encoding.text, encoding.pair
        with patched(bert, changes, other):
            output = bert.model.bert(**collate([encoding]))
        with patched(self.classifier, changes, other):
            label = self.classifier.predict(text).probabilities
        masked = encoding.input_ids == bert.tokenizer.mask_token_id
        probs = bert.model.cls.predictions(output.last_hidden_state[0, masked][:1]).softmax(-1)
        best = probs[:, : len(bert.tokenizer)].topk(GUESSES)
        both = zip(best.indices.flatten().tolist(), best.values.flatten().tolist(), strict=True)
        gap = [Guess(bert.tokenizer.tokens[index], share) for index, share in both]
        if pair is None:
            return Answers(gap, None, label, None)
        judged = bert.model.cls.seq_relationship(output.pooler_output).softmax(-1)
        with patched(self.reader, changes, other):
            span = self._span(text, pair)
        return Answers(gap, float(judged[0, IS_NEXT]), label, span)

    def _span(self, text: str, pair: str) -> tuple[str, float] | None:
        try:
            found = self.reader.predict((text, pair))
        except InputError:  # nothing in which an answer could be
            return None
        sure = found.spans[0].probability if found.text else found.no_answer_probability
        return found.text, sure

    def _told_changes(self) -> str:
        off, layers, segment, copy = self.changes
        parts = ["no segments"] * segment + [f"without layer {layer}" for layer in layers]
        if off:
            parts.append(f"{len(off)} heads off" if len(off) > 1 else "1 head off")
        if copy:
            tokens = self._other.tokens[copy.source], self._encoding.tokens[copy.position]
            parts.append(f"“{tokens[0]}” for “{tokens[1]}” after layer {copy.layer}")
        return ", ".join(parts) or "nothing changed"

    def _packed(self) -> dict[str, Any]:
        encoding, config = self._encoding, self.bert.config
        other, tokenizer = self._other, self.bert.tokenizer
        return {
            **described(tokenizer, encoding.input_ids, encoding.token_type_ids),
            "others": described(tokenizer, other.input_ids, other.token_type_ids),
            "heads": [config.num_hidden_layers, config.num_attention_heads],
            "before": _numbers(self.before),
            "after": _numbers(self.after),
        }


def _numbers(answers: Answers) -> dict[str, Any]:
    return {
        "gap": [list(guess) for guess in answers.gap],
        "follows": answers.follows,
        "label": [list(each) for each in answers.label.items()],
        "span": answers.span and list(answers.span),
    }


def _told(answers: Answers) -> str:
    parts = [f"[MASK] {token} {percent(share)}" for token, share in answers.gap[:1]]
    if answers.follows is not None:
        parts.append(f"B follows A {percent(answers.follows)}")
    best = max(answers.label, key=answers.label.__getitem__)
    parts.append(f"{best} {percent(answers.label[best])}")
    if answers.span:
        text, share = answers.span
        parts.append(f"{f'“{shortened(text)}”' if text else 'no answer'} {percent(share)}")
    return "; ".join(parts)


@contextmanager
def patched(model: Bert | Tuned, changes: Changes, other: str | Encoding = "") -> Iterator[None]:
    """Lets a model compute with something in it changed, one input at a time.

    Args:
        model: a pretrained or a fine-tuned one.
        changes: what is changed; what the model or an input does not have is left out.
        other: the text whose vector is copied; it is read by the model as it is.

    Example:
        >>> from bertedu import BertConfig, BertForPreTraining, load_tokenizer
        >>> config = BertConfig(hidden_size=12, num_hidden_layers=2, num_attention_heads=3)
        >>> bert = Bert(BertForPreTraining(config), load_tokenizer())
        >>> theirs = bert.hidden_states("my cat")
        >>> with patched(bert, Changes(copy=Copy(1, source=2, position=2)), "my cat"):
        ...     changed = bert.hidden_states("my dog")
        >>> changed[1, 2].equal(theirs[1, 2]), changed[1, 1].equal(theirs[1, 1])
        (True, False)
    """
    encoder: Any = model.model.bert
    layers = encoder.encoder.layer
    copy = changes.copy
    vector: Tensor | None = None
    if copy:
        encoding = model.tokenizer.encode(other) if isinstance(other, str) else other
        with torch.inference_mode():
            states = encoder(**collate([encoding]), output_hidden_states=True).hidden_states
        vector = states[copy.layer][0, copy.source]

    def left_out(module: nn.Module, given: tuple[Tensor, ...], output: Any) -> Any:  # noqa: ARG001
        return given[0], output[1]

    def nothing(module: nn.Module, given: Any, output: Tensor) -> Tensor:  # noqa: ARG001
        return torch.zeros_like(output)

    def put(module: nn.Module, given: Any, output: Any) -> Any:  # noqa: ARG001
        states = (output if isinstance(output, Tensor) else output[0]).clone()
        if copy and vector is not None and copy.position < states.shape[1]:
            states[:, copy.position] = vector
        return states if isinstance(output, Tensor) else (states, *output[1:])

    with ExitStack() as stack:
        stack.enter_context(without_heads(model, changes.off))
        hooks = [(layers[n - 1], left_out) for n in changes.layers if 1 <= n <= len(layers)]
        if changes.segment:
            hooks.append((encoder.embeddings.token_type_embeddings, nothing))
        if copy:  # last, so that it also stands after a layer that is left out
            hooks.append(([encoder.embeddings, *layers][copy.layer], put))
        for module, hook in hooks:
            stack.callback(module.register_forward_hook(hook).remove)
        yield
