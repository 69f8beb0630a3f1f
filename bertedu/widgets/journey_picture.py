"""The Journey as a still picture, for print, for GitHub and for screen readers."""

from collections.abc import Callable, Sequence
from functools import partial
from html import escape
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bertedu.widgets.palette import DIVERGING, LIGHT, SEQUENTIAL
from bertedu.widgets.svg import (
    MARGIN,
    WIDTH,
    Chip,
    Picture,
    cells,
    percent,
    readable,
    token_chips,
    visible_text,
)

if TYPE_CHECKING:
    from bertedu.widgets.journey import Journey

_LEFT = MARGIN + 78.0  # of the first token's column
_NARROWEST = 30.0  # of a column that has room for a number
_FATES = ("", "masked", "random", "kept")
_TERMS = ("token", "+ segment", "+ position", "= sum", "LayerNorm")
_COMPARED = {"input": "its own input", "before": "the layer before"}


def drawn(journey: "Journey") -> str:
    """Returns the seven panels of a journey, as its settings stand, as one SVG element."""
    picture = Picture(f"{journey.summary()}. {' '.join(journey.stages.encoding.tokens)}")
    for number, (name, draw) in enumerate(_PANELS.items(), 1):
        picture.heading(f"{number}  {name}")
        draw(journey, picture)
    return picture.to_svg()


def _pieces(journey: "Journey", picture: Picture) -> None:
    picture.chips(_chips(journey))


def _masks(journey: "Journey", picture: Picture) -> None:
    chips = _chips(journey, below=["", ""])
    for place in journey.rolls()[journey.settings["roll"]]:
        fate, position = _FATES[place["fate"]], place["position"]
        guess = "" if place["guess"] is None else _said(place["guess"], place["probability"])
        was = chips[position].text if fate == "random" else ""
        chips[position] = Chip(
            place["token"], [fate, guess], chips[position].segment, fate=fate, was=was
        )
    picture.chips(chips)
    picture.note(
        "Were it a training example: dark is [MASK], magenta a random token for the struck one, "
        "a green outline kept; beneath, what the model then says."
    )


def _pair(journey: "Journey", picture: Picture) -> None:
    follows = journey.stages.follows
    if follows is not None:
        verdict = "B follows A" if follows >= 0.5 else "B is random"
        said = f"{verdict}, says the head: {percent(follows)} that it follows"
    else:
        pair = bool(journey.stages.encoding.token_type_ids.any())
        said = "no next-sentence head" if pair else "no pair: all is segment A"
    picture.lines([(said, "ink")])


def _sum(journey: "Journey", picture: Picture) -> None:
    tokens, lit = journey.stages.encoding.tokens, journey.settings["token"]
    picture.drawing(86, lambda top: _names(tokens, top, lit))
    for name, values, scale in _strips(journey):
        shares = (values / scale + 1) / 2  # [S, DIMENSIONS]
        picture.drawing(34, partial(_strip, name, shares.T))
    picture.note(
        f"Blue is below 0, red above; a column a token, its first {shares.shape[1]} dimensions "
        "from top to bottom."
    )


def _attention(journey: "Journey", picture: Picture) -> None:
    settings, probs = journey.settings, journey.attention
    lit, tokens = settings["token"], journey.stages.encoding.tokens
    row = probs.mean(dim=0) if lit is None else probs[lit]
    highest = float(row.max())
    label = "gets, mean" if lit is None else "gets"
    numbers = [[f"{100 * share:.1f}" for share in row.tolist()]]
    picture.drawing(24, partial(_grid, [label], row[None] / highest, SEQUENTIAL, numbers))
    head = f"head {settings['head']}" if settings["head"] else "mean of all heads"
    asker = "all tokens, on average" if lit is None else f"“{visible_text(tokens[lit])}”"
    picture.note(
        f"Layer {settings['layer']}, {head}: what each token gets from {asker}, in percent, "
        f"from 0 to {percent(highest)}."
    )


def _states(journey: "Journey", picture: Picture) -> None:
    cosines, other = _compared(journey)
    names = [f"layer {n}" if n else "input" for n in range(len(cosines))]
    numbers = [[f"{value:.2f}" for value in row] for row in cosines.tolist()]
    grid = partial(_grid, names, (cosines + 1) / 2, DIVERGING, numbers)
    picture.drawing(20 * len(cosines) + 4, grid)
    picture.note(f"Each token's vector: its cosine to {other}.")


def _answers(journey: "Journey", picture: Picture) -> None:
    encoding, lit = journey.stages.encoding, journey.settings["token"]
    masks = encoding.input_ids == journey.bert.tokenizer.mask_token_id
    asked = masks.nonzero().flatten().tolist() or [0] if lit is None else [lit]
    lines = []
    for i in asked:
        guesses = ", ".join(_said(*guess) for guess in journey.guesses(i))
        lines.append(f"{visible_text(encoding.tokens[i])} at {i}: {guesses or 'no masked-LM head'}")
    for name, answer in journey.answers.items():
        lines += [readable(f"{name}: {line}") for line in answer]
    picture.lines((line, "ink") for line in lines)


_PANELS: dict[str, Callable[["Journey", Picture], None]] = {
    "Pieces": _pieces,
    "Masks": _masks,
    "Pair": _pair,
    "Summed embeddings": _sum,
    "Attention": _attention,
    "Hidden states": _states,
    "The heads' answers": _answers,
}


def _chips(journey: "Journey", below: Sequence[str] | None = None) -> list[Chip]:
    encoding = journey.stages.encoding
    ids, types = encoding.input_ids, encoding.token_type_ids
    lines = None if below is None else [below] * len(encoding)
    return token_chips(journey.bert.tokenizer, ids, types, lines)


def _strips(journey: "Journey") -> list[tuple[str, Tensor, float]]:
    values, scales = journey.strips(), journey.scales()
    kinds = [scales[0]] * 4 + [scales[1]]
    return list(zip(_TERMS, values, kinds, strict=True))


def _compared(journey: "Journey") -> tuple[Tensor, str]:
    """What stands in the hidden states' cells, [stages, S], and what it compares with."""
    found, compare = journey.stages, journey.settings["compare"]
    if compare == "input":
        return found.to_input, _COMPARED[compare]
    if compare == "before":
        return torch.cat([torch.ones_like(found.to_before[:1]), found.to_before]), _COMPARED[
            compare
        ]
    lit = journey.settings["token"] or 0
    return found.cosines[:, lit], f"“{visible_text(found.encoding.tokens[lit])}” at {lit}"


def _column(count: int) -> float:
    return (WIDTH - MARGIN - _LEFT) / count


def _names(tokens: Sequence[str], top: float, lit: int | None) -> str:
    """The tokens, upright, each over its column."""
    side = _column(len(tokens))
    labels = []
    for number, token in enumerate(tokens):
        x, y = _LEFT + (number + 0.5) * side + 4, top + 80
        weight = 700 if number == lit else 400
        labels.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="12" font-weight="{weight}" '
            f'transform="rotate(-90 {x:.1f} {y:.1f})">{escape(visible_text(token)[:11])}</text>'
        )
    return f'<g font-family="monospace" fill="{LIGHT["ink"]}">{"".join(labels)}</g>'


def _label(text: str, y: float) -> str:
    return (
        f'<text x="{MARGIN}" y="{y:.1f}" font-size="12" font-family="monospace" '
        f'fill="{LIGHT["dim"]}">{escape(text)}</text>'
    )


def _strip(name: str, shares: Tensor, top: float) -> str:
    width = WIDTH - MARGIN - _LEFT
    return _label(name, top + 20) + cells(shares, DIVERGING, _LEFT, top, width, 32)


def _grid(
    names: Sequence[str],
    shares: Tensor,
    stops: Sequence[str],
    numbers: Sequence[Sequence[str]],
    top: float,
) -> str:
    """Rows of colour, with their numbers where a column has room."""
    side, height = _column(shares.shape[1]), 20.0
    parts = [cells(shares, stops, _LEFT, top, WIDTH - MARGIN - _LEFT, height * len(names))]
    for row, name in enumerate(names):
        y = top + height * row + 14
        parts.append(_label(name, y))
        if side < _NARROWEST:
            continue
        for column, number in enumerate(numbers[row]):
            x, share = _LEFT + (column + 0.5) * side, float(shares[row, column])
            dark = share > 0.68 if stops is SEQUENTIAL else abs(share - 0.5) > 0.35
            parts.append(
                f'<text x="{x:.1f}" y="{y:.1f}" font-size="12" font-family="monospace" '
                f'text-anchor="middle" fill="{"#ffffff" if dark else "#000000"}">{number}</text>'
            )
    return "".join(parts)


def _said(token: str, probability: float) -> str:
    return f"{visible_text(token)} {percent(probability)}"
