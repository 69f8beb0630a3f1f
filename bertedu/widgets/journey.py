"""One text on its way through all of BERT, in seven linked panels: the course's centrepiece."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import traitlets
from torch import Tensor

import bertedu
from bertedu.bert import Bert, Guess
from bertedu.errors import CheckpointError, InputError
from bertedu.finetuning.model import FineTuned
from bertedu.utils.validation import IGNORED
from bertedu.widgets.base import Widget, javascript_module, pack, style_sheet
from bertedu.widgets.journey_cases import Case, asking
from bertedu.widgets.journey_stages import DRAWN, ROLLS, stages

DIMENSIONS = 16  # of each vector, shown as colours
GUESSES = 5
MOST_CASES = 6
MOST_LINES = 12  # of one case's answer
COMPARISONS = ("input", "before", "token")


class Journey(Widget):
    """Follows one text, or a pair, through BERT: seven panels, and a token lights up in all.

    Pieces, masks, the pair, the summed embeddings, attention, hidden states, and the heads'
    answers. `cases` adds the answers of fine-tuned models.

    Args:
        text: segment A.
        pair: segment B, or None.
        bert: any model with its tokenizer; None means `bertedu.load()`.
        cases: by name, fine-tuned models, whose answers are shown; or functions of text and pair
            that return a few lines of text. What they refuse with an InputError is shown, too.

    Attributes:
        text, pair: what is shown; changes when the reader types, and can be set.
        settings: layer, from 1; head, from 1, or 0 for the mean of all; compare, one of
            COMPARISONS; roll, from 0; token, the position that is pinned, or None.
        problem: why the last text is not shown, in one sentence, or "".

    Raises:
        InputError: the first text is no text, or longer than LONGEST tokens, the settings name
            something that is not there, or `cases` are too many, or neither models nor
            functions.

    Example:
        >>> from bertedu import BertConfig, BertForPreTraining, load_tokenizer
        >>> config = BertConfig(hidden_size=12, num_hidden_layers=2, num_attention_heads=3)
        >>> bert = Bert(BertForPreTraining(config), load_tokenizer())
        >>> cases = {"length": lambda text, pair: f"{len(text)} characters"}
        >>> journey = Journey("my dog is cute", None, bert, cases)
        >>> journey
        Journey(6 tokens, 2 layers x 3 heads, 1 case; no [MASK], no pair)
        >>> journey.answers
        {'length': ['14 characters']}
    """

    _esm = javascript_module("journey")
    _css = style_sheet("journey")
    text = traitlets.Unicode().tag(sync=True)
    pair = traitlets.Unicode(None, allow_none=True).tag(sync=True)
    settings = traitlets.Dict().tag(sync=True)
    picture = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        text: str = "calculus is a branch of [MASK]",
        pair: str | None = "it was developed by newton and leibniz",
        bert: Bert | None = None,
        cases: Mapping[str, Case | FineTuned[Any, Any]] | None = None,
    ) -> None:
        self.bert = bertedu.load() if bert is None else bert
        self.cases: dict[str, Case] = {
            name: asking(case) if isinstance(case, FineTuned) else case
            for name, case in (cases or {}).items()
        }
        if len(self.cases) > MOST_CASES or not all(map(callable, self.cases.values())):
            raise InputError(
                f"cases has {len(self.cases)} entries: give at most {MOST_CASES}, each a "
                "fine-tuned model, or a function of text and pair that returns lines of text"
            )
        self.problem = ""
        self._travel(text, pair)
        super().__init__(
            text=text, pair=pair, settings=self._first(), data=self._packed(text, pair)
        )
        self.picture = self.to_svg()
        self.observe(self._answer, ["text", "pair"])
        self.observe(self._draw, "settings")

    @property
    def attention(self) -> Tensor:
        """The probabilities of the layer and head that are chosen, [S, S]."""
        layer, head = self.settings["layer"], self.settings["head"]
        probs = self.stages.attention_probs[layer - 1]
        return probs[head - 1] if head else probs.mean(dim=0)

    def guesses(self, position: int) -> list[Guess]:
        """Returns the masked-LM head's likeliest tokens at a place, as typed; [] without a head."""
        if self.stages.probs is None:
            return []
        best = self.stages.probs[position].topk(GUESSES)
        tokens = self.bert.tokenizer.tokens
        both = zip(best.values.tolist(), best.indices.tolist(), strict=True)
        return [Guess(tokens[index], probability) for probability, index in both]

    def summary(self) -> str:
        """Returns the main numbers in one line."""
        config, encoding = self.bert.config, self.stages.encoding
        sizes = f"{config.num_hidden_layers} layers x {config.num_attention_heads} heads"
        count = len(self.cases)
        cases = f", {count} case{'s' * (count > 1)}" if count else ""
        masks = (encoding.input_ids == self.bert.tokenizer.mask_token_id).nonzero().flatten()
        guess = next(iter(self.guesses(int(masks[0]))), None) if len(masks) else None
        said = f"[MASK] is {guess.token} {guess.probability:.1%}" if guess else "no [MASK]"
        follows = self.stages.follows
        judged = "no pair" if follows is None else f"B follows A {follows:.1%}"
        return f"{len(encoding)} tokens, {sizes}{cases}; {said}, {judged}"

    def to_svg(self) -> str:
        """Returns the seven panels as the settings stand."""
        from bertedu.widgets.journey_picture import drawn

        return drawn(self)

    @traitlets.validate("settings")
    def _check(self, proposal: Any) -> dict[str, Any]:
        settings: dict[str, Any] = {**self._first(), **proposal["value"]}
        config = self.bert.config
        allowed = {
            "layer": range(1, config.num_hidden_layers + 1),
            "head": range(config.num_attention_heads + 1),
            "compare": COMPARISONS,
            "roll": range(ROLLS),
            "token": [None, *range(len(self.stages.encoding))],
        }
        for name, choices in allowed.items():
            if settings[name] not in choices:
                raise InputError(
                    f"There is no {name} {settings[name]!r}; choose from {choices[0]} to "
                    f"{choices[-1]}."
                )
        return settings

    def _first(self) -> dict[str, Any]:
        layer = (self.bert.config.num_hidden_layers + 1) // 2
        return {"layer": layer, "head": 0, "compare": "input", "roll": 0, "token": None}

    def _travel(self, text: str, pair: str | None) -> None:
        """Computes all stages; a refused text leaves everything as it was."""
        found = stages(self.bert, text, pair)
        answers = {}
        for name, case in self.cases.items():
            try:
                answer = case(text, pair)
            except (InputError, CheckpointError) as error:
                answer = str(error)
            lines = answer.splitlines() if isinstance(answer, str) else [str(a) for a in answer]
            answers[str(name)] = lines[:MOST_LINES]
        self.stages, self.answers = found, answers

    def _answer(self, change: Any) -> None:  # noqa: ARG002  # which of the two does not matter
        if self._asked == (self.text, self.pair):
            return  # both came in one message
        try:
            self._travel(self.text, self.pair)
            self.problem = ""
        except InputError as error:
            self.problem = str(error)
        with self.hold_sync():
            if not self.problem:
                self.settings = self.settings | {"token": None, "roll": 0}
            self.data = self._packed(self.text, self.pair)
            self.picture = self.to_svg()

    def _draw(self, change: Any) -> None:  # noqa: ARG002
        self.picture = self.to_svg()

    def _packed(self, text: str, pair: str | None) -> bytes:
        """All that the browser needs to follow every choice, and for what it is the answer."""
        self._asked = (text, pair)
        found, tokenizer = self.stages, self.bert.tokenizer
        encoding = found.encoding
        header = {
            "asked": self._asked,
            "problem": self.problem,
            "first": self._first(),
            "size": found.terms.shape[-1],
            "tokens": encoding.tokens,
            "ids": encoding.input_ids.tolist(),
            "types": encoding.token_type_ids.tolist(),
            "special": [i in tokenizer.special_ids for i in encoding.input_ids.tolist()],
            "mask_id": tokenizer.mask_token_id,
            "follows": found.follows,
            "guesses": [[g.token for g in self.guesses(i)] for i in range(len(encoding))],
            "rolls": self.rolls(),
            "drawn": DRAWN,
            "answers": self.answers,
            "scales": self.scales(),
        }
        best = [[g.probability for g in self.guesses(i)] for i in range(len(encoding))]
        return pack(
            header,
            terms=self.strips().numpy(),
            lengths=found.lengths.numpy(),
            attention=found.attention_probs.numpy().astype(np.float16),
            cosines=found.cosines.numpy().astype(np.float16),
            to_input=found.to_input.numpy(),
            to_before=found.to_before.numpy(),
            probs=np.array(best, dtype=np.float32),
        )

    def strips(self) -> Tensor:
        """Returns what is shown of token, segment, position, sum and LayerNorm: [5, S, D]."""
        found = self.stages
        everything = [found.terms, found.summed[None], found.hidden_states[:1]]
        return torch.cat(everything)[..., :DIMENSIONS]

    def scales(self) -> list[float]:
        """Returns where the colours end: of terms and sum, and of what LayerNorm makes of it."""
        strips = self.strips()
        parts = strips[:-1], strips[-1:]
        return [max(float(part.abs().quantile(0.98)), 1e-6) for part in parts]

    def rolls(self) -> list[list[dict[str, Any]]]:
        """Returns, for each roll, what befell the chosen places and what the model says there.

        Each place is a dict: position, fate, the token and id that the model sees, the guess that
        the masked-LM head makes from the masked text, and the probabilities of the guess and of
        the token that stood there; without that head the last three are None.
        """
        masked, tokens = self.stages.masked, self.bert.tokenizer.tokens
        found: list[list[dict[str, Any]]] = [[] for _ in masked.fates]
        for number, (row, position) in enumerate((masked.labels != IGNORED).nonzero().tolist()):
            seen, label = (int(each[row, position]) for each in (masked.input_ids, masked.labels))
            place: dict[str, Any] = {
                "position": position,
                "fate": int(masked.fates[row, position]),
                "token": tokens[seen],
                "id": seen,
                **dict.fromkeys(("guess", "probability", "truth")),
            }
            if self.stages.masked_probs is not None:
                probs = self.stages.masked_probs[number]
                best = int(probs.argmax())
                place |= {"guess": tokens[best], "probability": float(probs[best])}
                place["truth"] = float(probs[label])
            found[row].append(place)
        return found
