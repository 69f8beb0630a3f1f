"""Hide a word and see what BERT guesses: the first minute of the course."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

import torch
import traitlets
from torch import Tensor, nn

from bertedu.bert import Bert, Guess, load
from bertedu.encoding import Encoding, collate
from bertedu.finetuning.model import FineTuned
from bertedu.heads import IS_NEXT
from bertedu.widgets.base import SCREEN, AskingWidget, described, encode_short
from bertedu.widgets.web_pack import model_checksum
from bertedu.widgets.words import percent, readable

LONGEST = SCREEN  # tokens, as in the Journey
GUESSES = 5
CARRIED = 100  # guesses of a preset that a page without Python has: a reader's may be among them
_JUDGE = ("cls.seq_relationship", "bert.pooler")
_DIGITS = 6  # of a probability: more would only be carried


class Preset(NamedTuple):
    """Texts to begin with, and the words that are a good first guess for the first [MASK]."""

    text: str
    pair: str | None
    good: tuple[str, ...]


PRESETS = (
    Preset("she drank a cup of [MASK].", None, ("tea", "coffee", "milk", "water")),
    Preset("my dog is [MASK].", None, ("hungry", "sick", "cute", "beautiful")),
    Preset("paris is the capital of [MASK].", None, ("france",)),
    Preset("the doctor works in a [MASK].", None, ("hospital",)),
    Preset("she is hungry.", "she wants to [MASK] something.", ("eat",)),
    Preset(
        "my dog is cute.",
        "calculus was developed by [MASK].",
        ("newton", "scientists", "mathematicians"),
    ),
)
"""What the buttons ask; lesson 00 and a test hold each first guess against its good words."""


class Ranked(NamedTuple):
    """A token, which of BERT's guesses it is, from 1, and its probability."""

    token: str
    rank: int
    probability: float


class Place(NamedTuple):
    """What BERT says of one [MASK].

    Attributes:
        position: among the text's tokens.
        first: the likeliest tokens, the likeliest first; none without a masked-LM head.
        hidden: the token that was clicked away; None for a [MASK] that was typed.
        guess: the reader's, or None.
        refused: why the reader's guess has no rank, in one sentence, or "".
    """

    position: int
    first: list[Guess]
    hidden: Ranked | None
    guess: Ranked | None
    refused: str


class Asked(NamedTuple):
    """One question: a text, the positions to hide, the reader's word for some of them."""

    encoding: Encoding
    masks: Sequence[int] = ()
    guesses: Mapping[int, str] = MappingProxyType({})
    most: int = GUESSES  # of BERT's


class Answer(NamedTuple):
    """What BERT says of one text: of each [MASK], and whether the pair follows, or None."""

    encoding: Encoding
    hidden: list[int]
    places: list[Place]
    follows: float | None


class TryIt(AskingWidget):
    """Shows what BERT guesses for the words that a reader hides, and whether two texts belong.

    Args:
        text: segment A.
        pair: segment B, or None.
        bert: any model with its tokenizer; None means `bertedu.load()`.
        presets: what the buttons ask.

    Attributes:
        text, pair, masks, guesses, off: what is asked; changes when the reader types and clicks,
            and can be set. masks: the positions of the hidden tokens; guesses: the reader's word
            for each position, as text; off: the [layer, head], from 1, that are switched off.
            What the text or the model does not have is left out.
        settings: guess_first, whether the guesses wait for the reader's.
        problem: why the last text is not shown, in one sentence, or "".

    Raises:
        InputError: the first text is no text, or longer than LONGEST tokens.

    Example:
        >>> from bertedu import BertConfig, BertForPreTraining, load_tokenizer
        >>> config = BertConfig(hidden_size=12, num_hidden_layers=2, num_attention_heads=3)
        >>> bert = Bert(BertForPreTraining(config), load_tokenizer())
        >>> try_it = TryIt("my dog is cute", bert=bert)
        >>> try_it
        TryIt(6 tokens, nothing hidden; no pair)
        >>> try_it.masks = [4]
        >>> try_it.places[0].hidden.token, len(try_it.places[0].first)
        ('cute', 5)
    """

    MOST_TOKENS = LONGEST
    text = traitlets.Unicode().tag(sync=True)
    pair = traitlets.Unicode(None, allow_none=True).tag(sync=True)
    masks: Any = traitlets.List(traitlets.Int()).tag(sync=True)
    guesses: Any = traitlets.Dict().tag(sync=True)
    off: Any = traitlets.List(traitlets.List(traitlets.Int(), minlen=2, maxlen=2)).tag(sync=True)
    presets: Any = traitlets.List().tag(sync=True)
    PINS: ClassVar[Sequence[str]] = ()

    def __init__(
        self,
        text: str = PRESETS[0].text,
        pair: str | None = PRESETS[0].pair,
        bert: Bert | None = None,
        presets: Sequence[Preset] = PRESETS,
    ) -> None:
        self.bert = load() if bert is None else bert
        first = {"guess_first": False}
        super().__init__(first, text=text, pair=pair, masks=[], guesses={}, off=[])
        self.presets = [[preset.text, preset.pair] for preset in presets]

    def summary(self) -> str:
        """Returns the main numbers in one line."""
        told = [
            f"[MASK] is {readable(best.token)} {percent(best.probability)}"
            for place in self.places
            for best in place.first[:1]
        ]
        judged = "no pair" if self.follows is None else f"B follows A {percent(self.follows)}"
        found = ", ".join(told) or "nothing hidden"
        return f"{len(self._answer_now.encoding)} tokens, {found}; {judged}"

    def checksum(self) -> str:
        """Returns the model's checksum."""
        return model_checksum(self.bert)

    def carried(self) -> dict[str, Any]:
        """Returns the answers to the presets and to one hidden word of each, as they are packed."""
        texts = dict.fromkeys([(self.text, self.pair), *map(tuple, self.presets)])
        asked: list[Asked] = []
        for text, pair in texts:
            encoding = self._encode(text, pair)
            special = described(self.bert.tokenizer, encoding.input_ids, encoding.token_type_ids)
            asked.append(Asked(encoding, most=CARRIED))
            asked += [Asked(encoding, [i]) for i, is_ in enumerate(special["special"]) if not is_]
        answers = [
            {"asked": [one.encoding.text, one.encoding.pair, [*one.masks], {}, []]}
            | self._packed_answer(answer)
            for one, answer in zip(asked, self._answers(asked), strict=True)
        ]
        return {"answers": answers}

    @property
    def places(self) -> list[Place]:
        """What BERT says of each [MASK], in order."""
        return self._answer_now.places

    @property
    def follows(self) -> float | None:
        """The probability that the pair follows the text; None without one."""
        return self._answer_now.follows

    def _look(
        self,
        text: str,
        pair: str | None,
        masks: Sequence[int],
        guesses: Mapping[Any, str],
        off: Sequence[Sequence[int]],
    ) -> None:
        words = {int(position): word for position, word in guesses.items()}
        [self._answer_now] = self._answers([Asked(self._encode(text, pair), masks, words)], off)

    def _encode(self, text: str, pair: str | None) -> Encoding:
        most = min(LONGEST, self.bert.config.max_position_embeddings)
        return encode_short(self.bert.tokenizer, most, text, pair)

    def _answers(self, asked: Sequence[Asked], off: Sequence[Sequence[int]] = ()) -> list[Answer]:
        """Returns the answers, which are computed in one batch."""
        bert, tokenizer = self.bert, self.bert.tokenizer
        hidden = [
            [
                position
                for position in sorted(set(one.masks))
                if 0 <= position < len(one.encoding)
                and int(one.encoding.input_ids[position]) not in tokenizer.special_ids
            ]
            for one in asked
        ]
        batch = collate([one.encoding for one in asked])  # [B, S]
        for row, positions in enumerate(hidden):
            batch["input_ids"][row, positions] = tokenizer.mask_token_id
        masked = batch["input_ids"] == tokenizer.mask_token_id
        with torch.inference_mode(), without_heads(bert, off):
            output = bert.model.bert(**batch)
            judged = bert.model.cls.seq_relationship(output.pooler_output).softmax(dim=-1)
            probs = [
                bert.model.cls.predictions(states[at]).softmax(dim=-1)[:, : len(tokenizer)]
                for states, at in zip(output.last_hidden_state, masked, strict=True)
            ]
        answers = []
        for row, one in enumerate(asked):
            at = masked[row].nonzero().flatten().tolist()
            both = zip(at, probs[row], strict=True)
            places = [self._place(one, *each, hidden[row]) for each in both]
            judges = one.encoding.pair is not None and not self._lacks(*_JUDGE)
            follows = float(judged[row, IS_NEXT]) if judges else None
            answers.append(Answer(one.encoding, hidden[row], places, follows))
        return answers

    def _lacks(self, *parts: str) -> bool:
        """Returns whether the checkpoint did not hold one of these parts of a model."""
        return any(name.startswith(parts) for name in self.bert.missing)

    def _place(self, one: Asked, position: int, probs: Tensor, hidden: list[int]) -> Place:
        if self._lacks("cls.predictions"):
            return Place(position, [], None, None, "")
        tokens = self.bert.tokenizer.tokens
        best = probs.topk(min(one.most, len(probs)))
        both = zip(best.indices.tolist(), best.values.tolist(), strict=True)

        def ranked(index: int) -> Ranked:
            rank = 1 + int((probs > probs[index]).sum())
            return Ranked(tokens[index], rank, float(probs[index]))

        guess, refused = None, ""
        if position in one.guesses:
            index, refused = self._token_of(one.guesses[position])
            guess = None if index is None else ranked(index)
        was = ranked(int(one.encoding.input_ids[position])) if position in hidden else None
        return Place(position, [Guess(tokens[i], share) for i, share in both], was, guess, refused)

    def _token_of(self, word: str) -> tuple[int | None, str]:
        """Returns the id of the one token that a word is, or None and why it is not one."""
        tokenizer = self.bert.tokenizer
        index = tokenizer.vocab.get(word.strip())
        ids = tokenizer.encode(word).input_ids[1:-1].tolist() if index is None else [index]
        pieces = " ".join(tokenizer.tokens[index] for index in ids)
        if not ids:
            return None, "Type a word."
        if len(ids) > 1:
            return None, f"That is {len(ids)} tokens ({pieces}), and BERT guesses one."
        if ids[0] in tokenizer.special_ids:
            return None, "BERT's vocabulary does not have that word."
        return ids[0], ""

    def _packed(self) -> dict[str, Any]:
        return self._packed_answer(self._answer_now)

    def _packed_answer(self, answer: Answer) -> dict[str, Any]:
        config, encoding = self.bert.config, answer.encoding
        return {
            **described(self.bert.tokenizer, encoding.input_ids, encoding.token_type_ids),
            "vocabulary": len(self.bert.tokenizer),
            "heads": [config.num_hidden_layers, config.num_attention_heads],
            "hidden": answer.hidden,
            "places": [
                {
                    "position": place.position,
                    "first": [[token, round(share, _DIGITS)] for token, share in place.first],
                    "hidden": _numbers(place.hidden),
                    "guess": _numbers(place.guess),
                    "refused": place.refused,
                }
                for place in answer.places
            ],
            "follows": answer.follows,
        }


def _numbers(ranked: Ranked | None) -> list[Any] | None:
    return ranked and [ranked.token, ranked.rank, round(ranked.probability, _DIGITS)]


@contextmanager
def without_heads(bert: Bert | FineTuned[Any, Any], off: Sequence[Sequence[int]]) -> Iterator[None]:
    """Lets some heads of a model say nothing: what they mixed is replaced by zeros.

    Args:
        bert: any model.
        off: the [layer, head] of each, from 1; what the model does not have is left out.

    Source: Michel, Levy and Neubig 2019, "Are sixteen heads really better than one?", 2.2.

    Example:
        >>> from bertedu import BertConfig, BertForPreTraining, load_tokenizer
        >>> config = BertConfig(hidden_size=12, num_hidden_layers=2, num_attention_heads=3)
        >>> bert = Bert(BertForPreTraining(config), load_tokenizer())
        >>> before = bert.hidden_states("my dog")
        >>> with without_heads(bert, [[1, 2]]):
        ...     bert.hidden_states("my dog").equal(before)
        False
        >>> bert.hidden_states("my dog").equal(before)
        True
    """
    config = bert.config
    silent: dict[int, list[int]] = defaultdict(list)
    for layer, head in off:
        if 1 <= layer <= config.num_hidden_layers and 1 <= head <= config.num_attention_heads:
            silent[layer - 1].append(head - 1)
    model: Any = bert.model
    layers = model.bert.encoder.layer

    def hook(heads: list[int]) -> Any:
        def cut(module: nn.Module, given: tuple[Tensor]) -> tuple[Tensor]:  # noqa: ARG001
            context = given[0].reshape(*given[0].shape[:-1], config.num_attention_heads, -1).clone()
            context[..., heads, :] = 0
            return (context.flatten(-2),)

        return cut

    handles = [
        layers[layer].attention.output.dense.register_forward_pre_hook(hook(heads))
        for layer, heads in silent.items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
