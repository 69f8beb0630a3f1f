"""One sentence through ten checkpoints of a pretraining run, from noise to words that fit."""

import base64
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
import traitlets
from torch import Tensor

from bertedu.bert import Guess
from bertedu.encoding import Encoding, collate
from bertedu.errors import InputError
from bertedu.heads import IS_NEXT
from bertedu.pretraining.film import Film, Moment
from bertedu.widgets.base import AskingWidget, described, encode_short
from bertedu.widgets.try_it import Preset
from bertedu.widgets.web_pack import model_checksum
from bertedu.widgets.words import percent, readable

LONGEST = 32  # tokens: each head's picture is sent for every checkpoint
GUESSES = 5
LAYER, HEAD = 1, 1

PRESETS = (
    Preset("i do not [MASK] how to swim.", None, ("know",)),
    Preset("he [MASK] to school yesterday.", None, ("went", "came")),
    Preset("a dog has a [MASK].", None, ("mouth", "tail", "nose", "tongue")),
    Preset("i want to [MASK] home.", None, ("go", "come")),
    Preset("lily saw a big dog in the park.", "she [MASK] very happy.", ("was", "felt", "is")),
)
"""What the buttons ask; a test holds the last checkpoint's first guess against the good words."""


class Frame(NamedTuple):
    """What one checkpoint says.

    Attributes:
        moment: how far the run was.
        places: for each [MASK], the likeliest tokens, the likeliest first.
        follows: the probability that the pair follows the text; None without one.
        attention: [L, A, S, S], rows ask and sum to 1.
    """

    moment: Moment
    places: list[list[Guess]]
    follows: float | None
    attention: Tensor


class TimeMachine(AskingWidget):
    """Shows how the answers to one text changed while a model learned.

    All checkpoints answer at once: moving between them asks Python nothing.

    Args:
        text: segment A, with a [MASK] where a word is to be guessed.
        pair: segment B, or None.
        film: the checkpoints; None means those that come with the course.
        presets: what the buttons ask.

    Attributes:
        text, pair: what is asked; changes when the reader types, and can be set.
        settings: frame, the checkpoint that is shown, from 0 on; layer and head, from 1; token, the
            position that asks, or None.
        problem: why the last text is not shown, in one sentence, or "".
        frames: what each checkpoint says.

    Raises:
        InputError: the first text is no text, or longer than LONGEST tokens.
        CheckpointError: the film's files are missing or damaged.

    Example:
        >>> machine = TimeMachine("i do not [MASK] how to swim.")
        >>> machine.settings["frame"], machine.frames[9].places[0][0].token
        (9, 'know')
        >>> machine.settings = machine.settings | {"frame": 0}
        >>> machine
        TimeMachine(10 tokens, checkpoint 1 of 10, step 0, 0 tokens read: [MASK] is ...; no pair)
    """

    text = traitlets.Unicode().tag(sync=True)
    pair = traitlets.Unicode(None, allow_none=True).tag(sync=True)
    presets: Any = traitlets.List().tag(sync=True)
    film: Any = traitlets.Dict().tag(sync=True)
    PINS = ("token",)

    def __init__(
        self,
        text: str = PRESETS[0].text,
        pair: str | None = PRESETS[0].pair,
        film: Film | None = None,
        presets: Sequence[Preset] = PRESETS,
    ) -> None:
        self._film = the_film() if film is None else film
        config = self._film.config
        first = {
            "frame": len(self._film) - 1,
            "layer": min(LAYER, config.num_hidden_layers),
            "head": min(HEAD, config.num_attention_heads),
            "token": None,
        }
        super().__init__(first, text=text, pair=pair)
        self.presets = [[preset.text, preset.pair] for preset in presets]
        self.film = {
            "about": self._film.about,
            "moments": [moment._asdict() for moment in self._film.moments],
            "curve": self._film.curve,
            "unigram_loss": self._film.unigram_loss,
        }

    def summary(self) -> str:
        """Returns the main numbers in one line."""
        place = self.settings["frame"]
        frame = self.frames[place]
        told = [
            f"[MASK] is {readable(first[0].token)} {percent(first[0].probability)}"
            for first in frame.places
        ]
        judged = "no pair" if frame.follows is None else f"B follows A {percent(frame.follows)}"
        return (
            f"{len(self._encoding)} tokens, checkpoint {place + 1} of {len(self.frames)}, step "
            f"{frame.moment.steps:,}, {frame.moment.tokens:,} tokens read: "
            f"{', '.join(told) or 'no [MASK]'}; {judged}"
        )

    def checksums(self) -> list[str]:
        """Returns those of the checkpoints, by which a page's engine knows whether it has them."""
        return [model_checksum(self._film[place]) for place in range(len(self._film))]

    def carried(self) -> dict[str, Any]:
        """Returns the answers to the presets: for each, what is asked, and `data` in base64."""
        answers = []
        for text, pair in map(tuple, self.presets):
            other = TimeMachine(text, pair, self._film, ())
            answers.append({"asked": [text, pair], "data": base64.b64encode(other.data).decode()})
            other.close()
        return {"answers": answers}

    def _check(self, settings: dict[str, Any]) -> None:
        config = self._film.config
        allowed = {
            "frame": range(len(self._film)),
            "layer": range(1, config.num_hidden_layers + 1),
            "head": range(1, config.num_attention_heads + 1),
            "token": [None, *range(len(self._encoding))],
        }
        for name, choices in allowed.items():
            if settings[name] not in choices:
                numbers = [choice for choice in choices if choice is not None]
                raise InputError(
                    f"There is no {name} {settings[name]!r}: choose from {numbers[0]} to "
                    f"{numbers[-1]}."
                )

    def _look(self, text: str, pair: str | None) -> None:
        film = self._film
        most = min(LONGEST, film.config.max_position_embeddings)
        self._encoding: Encoding = encode_short(film.tokenizer, most, text, pair)
        at = (self._encoding.input_ids == film.tokenizer.mask_token_id).nonzero().flatten()
        self._positions: list[int] = at.tolist()
        self._probs = []  # for each checkpoint, [M, V]
        self.frames: list[Frame] = []
        batch = collate([self._encoding])
        for place, moment in enumerate(film.moments):
            model = film[place].model
            with torch.inference_mode():
                output = model.bert(**batch, output_attentions=True)
                probs = model.cls.predictions(output.last_hidden_state[0, at]).softmax(dim=-1)
                judged = model.cls.seq_relationship(output.pooler_output).softmax(dim=-1)
            self._probs.append(probs)
            best = probs.topk(GUESSES)
            places = [
                [Guess(film.tokenizer.tokens[i], p) for p, i in zip(values, ids, strict=True)]
                for values, ids in zip(best.values.tolist(), best.indices.tolist(), strict=True)
            ]
            follows = None if pair is None else float(judged[0, IS_NEXT])
            attention = torch.cat(output.attention_probs or ())
            self.frames.append(Frame(moment, places, follows, attention))

    def _packed(self) -> dict[str, Any]:
        """The probability of every token that is among some checkpoint's first guesses, in all."""
        film, encoding = self._film, self._encoding
        words = [
            list(dict.fromkeys(guess.token for frame in self.frames for guess in frame.places[n]))
            for n in range(len(self._positions))
        ]
        packed = {
            **described(film.tokenizer, encoding.input_ids, encoding.token_type_ids),
            "heads": [film.config.num_hidden_layers, film.config.num_attention_heads],
            "vocabulary": len(film.tokenizer),
            "positions": self._positions,
            "words": words,
            "follows": None if encoding.pair is None else [frame.follows for frame in self.frames],
            "attention": np.stack(
                [(255 * frame.attention).round().byte().numpy() for frame in self.frames]
            ),
        }
        for n, tokens in enumerate(words):
            ids = torch.tensor([film.tokenizer.vocab[token] for token in tokens])
            packed[f"probs{n}"] = torch.stack([probs[n, ids] for probs in self._probs]).numpy()
        return packed


@cache
def the_film() -> Film:
    """Returns the film that comes with the course, the same one for all widgets."""
    return Film()
