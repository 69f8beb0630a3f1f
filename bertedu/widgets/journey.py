"""One text on its way through all of BERT, in seven linked stations: the course's centrepiece."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar

import numpy as np
import torch
import traitlets
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

from bertedu.bert import Bert, Guess, Trace, load
from bertedu.encoding import Encoding
from bertedu.errors import CheckpointError, InputError
from bertedu.finetuning.model import FineTuned, opened
from bertedu.heads import IS_NEXT
from bertedu.pretraining.masking import KEPT, MASKED, RANDOM, MaskedBatch, mask_tokens
from bertedu.utils.validation import IGNORED
from bertedu.widgets.base import SCREEN, AskingWidget, described, encode_short, pack
from bertedu.widgets.embedding_sum import embedding_terms
from bertedu.widgets.web_pack import model_checksum

LONGEST = SCREEN  # tokens: columns that a reader can follow, scrolling sideways
ROLLS = 8  # that the reader can look through
DRAWN = 400  # rolls that those are chosen from
DIMENSIONS = 16  # of each vector, shown as colours
GUESSES = 5
STATIONS = 7
MOST_CASES = 6
MOST_LINES = 12  # of one case's answer
COMPARISONS = ("input", "before", "token")

Case = Callable[[str, str | None], str | Sequence[str]]


class Journey(AskingWidget):
    """Follows one text, or a pair, through BERT: seven strips, and a token lights up in all.

    Pieces, masks, the pair, the summed embeddings, attention, hidden states, and the heads'
    answers. `cases` adds the answers of fine-tuned models.

    Args:
        text: segment A.
        pair: segment B, or None.
        bert: any model with its tokenizer; None means `bertedu.load()`.
        cases: by name, fine-tuned models, or their names, whose answers are shown; or functions
            of text and pair that return a few lines of text. What they refuse with an InputError
            is shown, too.

    Attributes:
        text, pair: what is shown; changes when the reader types, and can be set.
        settings: layer, from 1; head, from 1, or 0 for the mean of all; compare, one of
            COMPARISONS; roll, from 0; token, the position that is pinned, or None; open, the
            station that shows all it has, 1 to 7, or None.
        problem: why the last text is not shown, in one sentence, or "".

    Raises:
        InputError: the first text is no text, or longer than LONGEST tokens, the settings name
            something that is not there, or `cases` are too many, or neither models nor
            functions.
        CheckpointError: there is no model of a name in `cases`.

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

    MOST_TOKENS = LONGEST
    text = traitlets.Unicode().tag(sync=True)
    pair = traitlets.Unicode(None, allow_none=True).tag(sync=True)
    said = traitlets.Bytes().tag(sync=True)  # of the rolls, which takes longer than all the rest
    PINS: ClassVar[Sequence[str]] = ("token", "roll")

    def __init__(
        self,
        text: str = "calculus is a [MASK] of mathematics.",
        pair: str | None = "it was developed by newton and leibniz.",
        bert: Bert | None = None,
        cases: Mapping[str, Case | FineTuned[Any, Any] | str] | None = None,
    ) -> None:
        self.bert = load() if bert is None else bert
        self.cases: dict[str, Case] = {
            name: asking(case) if isinstance(case, FineTuned | str) else case
            for name, case in (cases or {}).items()
        }
        if len(self.cases) > MOST_CASES or not all(map(callable, self.cases.values())):
            raise InputError(
                f"cases has {len(self.cases)} entries: give at most {MOST_CASES}, each a "
                "fine-tuned model, its name, or a function of text and pair that returns lines of "
                "text"
            )
        layer = (self.bert.config.num_hidden_layers + 1) // 2
        first = {"layer": layer, "head": 0, "compare": "input", "roll": 0}
        first |= {"token": None, "open": None}
        super().__init__(first, text=text, pair=pair)

    @property
    def attention(self) -> Tensor:
        """The probabilities of the layer and head that are chosen, [S, S]."""
        layer, head = self.settings["layer"], self.settings["head"]
        probs = self.stages.trace.attention_probs[layer - 1]
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

    def checksum(self) -> str | None:
        """Returns the model's checksum; None with cases, which may be a reader's own functions."""
        return None if self.cases else model_checksum(self.bert)

    def _check(self, settings: dict[str, Any]) -> None:
        config = self.bert.config
        allowed = {
            "layer": range(1, config.num_hidden_layers + 1),
            "head": range(config.num_attention_heads + 1),
            "compare": COMPARISONS,
            "roll": range(ROLLS),
            "token": [None, *range(len(self.stages.encoding))],
            "open": [None, *range(1, STATIONS + 1)],
        }
        for name, choices in allowed.items():
            if settings[name] not in choices:
                raise InputError(
                    f"There is no {name} {settings[name]!r}; choose from {choices[0]} to "
                    f"{choices[-1]}."
                )

    def _send_rest(self) -> None:
        """Sends what the model says of the rolls, and the tokens by which the browser knows whose.

        That takes twice as long as all the rest, and is seen only where a reader asks for it.
        """
        encoding = self.stages.encoding
        ids, types = encoding.input_ids.tolist(), encoding.token_type_ids.tolist()
        self.said = pack({"ids": ids, "types": types, "rolls": self.rolls()})

    def _look(self, text: str, pair: str | None) -> None:
        """Computes all stages, and asks the cases."""
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

    def _packed(self) -> dict[str, Any]:
        """All that the browser needs to follow every choice."""
        found, tokenizer = self.stages, self.bert.tokenizer
        encoding = found.encoding
        guesses = [self.guesses(position) for position in range(len(encoding))]
        best = [[guess.probability for guess in each] for each in guesses]
        return {
            "size": found.terms.shape[-1],
            **described(tokenizer, encoding.input_ids, encoding.token_type_ids),
            "mask_id": tokenizer.mask_token_id,
            "follows": found.follows,
            "guesses": [[guess.token for guess in each] for each in guesses],
            "rolls": self.places(),
            "drawn": DRAWN,
            "answers": self.answers,
            "scales": self.scales(),
            "terms": self.strips().numpy(),
            "lengths": found.lengths.numpy(),
            "attention": found.trace.attention_probs.numpy().astype(np.float16),
            "cosines": found.cosines.numpy().astype(np.float16),
            "to_input": found.to_input.numpy(),
            "to_before": found.to_before.numpy(),
            "probs": np.array(best, dtype=np.float32),
        }

    def strips(self) -> Tensor:
        """Returns what is shown of token, segment, position, sum and LayerNorm: [5, S, D]."""
        found = self.stages
        everything = [found.terms, found.summed[None], found.trace.hidden_states[:1]]
        return torch.cat(everything)[..., :DIMENSIONS]

    def scales(self) -> list[float]:
        """Returns where the colours end: of terms and sum, and of what LayerNorm makes of it."""
        strips = self.strips()
        parts = strips[:-1], strips[-1:]
        return [max(float(part.abs().quantile(0.98)), 1e-6) for part in parts]

    def places(self) -> list[list[dict[str, Any]]]:
        """Returns, for each roll, what befell the chosen places.

        Each is a dict: position, fate, the token and id that the model sees, and None for what it
        says there: see `rolls`.
        """
        masked, tokens = self.stages.masked, self.bert.tokenizer.tokens
        found: list[list[dict[str, Any]]] = [[] for _ in masked.fates]
        for row, position in (masked.labels != IGNORED).nonzero().tolist():
            seen = int(masked.input_ids[row, position])
            found[row].append({
                "position": position,
                "fate": int(masked.fates[row, position]),
                "token": tokens[seen],
                "id": seen,
                **dict.fromkeys(("guess", "probability", "truth")),
            })  # fmt: skip
        return found

    @torch.inference_mode()
    def rolls(self) -> list[list[dict[str, Any]]]:
        """Returns `places` with what the model says there, which a pass over each roll tells.

        That is the guess that the masked-LM head makes from the masked text, and the probabilities
        of the guess and of the token that stood there; without that head they stay None.
        """
        found, masked = self.places(), self.stages.masked
        if self.stages.probs is None:
            return found
        tokens, model = self.bert.tokenizer.tokens, self.bert.model
        chosen = masked.labels != IGNORED
        types = self.stages.encoding.token_type_ids.expand_as(masked.input_ids)
        states = model.bert(masked.input_ids, types).last_hidden_state[chosen]  # [N, H]
        probs = model.cls.predictions(states).softmax(-1)[:, : len(tokens)]  # [N, V]
        truths = probs.gather(1, masked.labels[chosen][:, None])[:, 0]
        told = zip(*(each.tolist() for each in (*probs.max(-1), truths)), strict=True)
        for place, (probability, best, truth) in zip(chain(*found), told, strict=True):
            place.update(guess=tokens[best], probability=probability, truth=truth)
        return found


@dataclass(frozen=True)
class Stages:
    """What becomes of one input at every stage of a model; `stages` computes it.

    Attributes:
        trace: the model's own pass over the S tokens.
        terms: token, segment and position embeddings, [3, S, H].
        probs: what the masked-LM head gives at every place as typed, [S, V]; None without it.
        follows: the probability that B follows A; None without a pair or without that head.
        masked: ROLLS training examples that the masking rule makes of it, [ROLLS, S].
    """

    trace: Trace
    terms: Tensor
    probs: Tensor | None
    follows: float | None
    masked: MaskedBatch

    @property
    def encoding(self) -> Encoding:
        """The S tokens."""
        return self.trace.encoding

    @property
    def summed(self) -> Tensor:
        """The sum of the three terms, the model's own to the bit: [S, H]."""
        token, segment, position = self.terms
        total: Tensor = token + segment + position
        return total

    @property
    def cosines(self) -> Tensor:
        """How alike two tokens' vectors are after each stage: [L + 1, S, S]."""
        unit = normalize(self.trace.hidden_states, dim=-1)
        return unit @ unit.transpose(-1, -2)

    @property
    def to_input(self) -> Tensor:
        """How alike each token's vector still is to its own input: [L + 1, S]."""
        return cosine_similarity(self.trace.hidden_states, self.trace.hidden_states[:1], dim=-1)

    @property
    def to_before(self) -> Tensor:
        """How alike it is to the same token's vector one layer earlier: [L, S]."""
        return cosine_similarity(
            self.trace.hidden_states[1:], self.trace.hidden_states[:-1], dim=-1
        )

    @property
    def lengths(self) -> Tensor:
        """Lengths of token, segment and position embedding, and of their sum: [4, S]."""
        lengths: Tensor = torch.cat([self.terms, self.summed[None]]).norm(dim=-1)
        return lengths


@torch.inference_mode()
def stages(bert: Bert, text: str, pair: str | None = None) -> Stages:
    """Returns what becomes of a text at every stage.

    Of DRAWN training examples that the paper's masking rule makes of it, seed 0, those with the
    most different fates are kept, the first drawn first.

    Args:
        bert: any model with its tokenizer.
        text: segment A.
        pair: segment B, or None.

    Raises:
        InputError: it is no text, or longer than LONGEST tokens or the model's positions.
    """
    tokenizer, model = bert.tokenizer, bert.model
    longest = min(LONGEST, bert.config.max_position_embeddings)
    encoding = encode_short(tokenizer, longest, text, pair)
    trace, masked = bert.trace(encoding), _most_different(bert, encoding)
    probs = follows = None
    if trace.prediction_logits is not None:
        probs = trace.prediction_logits.softmax(-1)[:, : len(tokenizer)]
    if pair is not None and trace.seq_relationship_logits is not None:
        follows = float(trace.seq_relationship_logits.softmax(-1)[IS_NEXT])
    terms = embedding_terms(model.bert.embeddings, encoding.input_ids, encoding.token_type_ids)
    return Stages(trace, terms, probs, follows, masked)


def _most_different(bert: Bert, encoding: Encoding) -> MaskedBatch:
    """ROLLS of the rule's rolls: those with the most different fates, the first drawn first."""
    copies = encoding.input_ids.expand(DRAWN, -1)
    generator = torch.Generator().manual_seed(0)
    real = torch.ones_like(copies)  # a [PAD] that was typed counts, too
    masked = mask_tokens(copies, bert.tokenizer, generator, attention_mask=real)
    fates = torch.tensor([MASKED, RANDOM, KEPT])[:, None, None]
    different = (masked.fates == fates).any(-1).sum(0)  # [DRAWN]
    kept = different.sort(descending=True, stable=True).indices[:ROLLS]
    return MaskedBatch(*(part[kept] for part in masked))


def asking(model: FineTuned[Any, Any] | str) -> Case:
    """Returns a function of text and pair that says what a fine-tuned model finds.

    Args:
        model: of any of the four cases, or its name. Classification and slot filling read the
            first text.

    Example:
        >>> from bertedu import BertConfig, load_tokenizer
        >>> from bertedu.finetuning import Inference
        >>> task = Inference(labels=("entailment", "neutral"))
        >>> sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
        >>> model = FineTuned(task, task.head(BertConfig(**sizes)), load_tokenizer(), 64)
        >>> len(asking(model)("a dog runs", "an animal moves"))  # a line for each label
        2
    """
    tuned = opened(model)

    def told(inputs: str | tuple[str, str]) -> list[str]:
        lines: list[str] = tuned.predict(inputs).chances()
        return lines

    def case(text: str, pair: str | None) -> list[str]:
        names = [names[0] for names in tuned.task.texts]
        if len(names) == 1:
            return told(text)
        if pair is None:
            raise InputError(f"It reads {' and '.join(names)}: type a second text.")
        return told((text, pair))

    return case
