"""Links in a lesson's prose that set a widget, and what is wrong with them.

`[head 7 of layer 3](#AttentionExplorer?layer=3&head=7&token=dog "cute 41.0 %")` sets the next
AttentionExplorer, or else the one before, and its title is what the widget then says. What such
a link can name is known by the widget's own JavaScript (`state`; see "what is set, as a short
text" in widgets/static/shared.js). Here is as much of it as a source can be held against without a
browser.
"""

import ast
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import parse_qsl

from bertedu.errors import InputError

LINK = re.compile(
    r"\[(?P<words>(?:[^\[\]]|\[[^\]]*\])+)\]\((?P<href>#(?P<kind>[A-Z]\w*)\?(?P<parts>[^\s)]*))"
    r'(?:\s+"(?P<title>[^"]*)")?\)'
)
"""A link that sets a widget, in Markdown; the title may stand on the next line."""

_PROSE = re.compile(r"^#(?: (.*))?$")
_NUMBER = re.compile(r"\d[\d.,]*")

Value = Callable[[str, Sequence[str] | None], str | None]
"""Says why a value cannot be set among the pieces that are shown (None: not known), or None."""


@dataclass(frozen=True)
class Link:
    """A link that sets a widget.

    Args:
        line: where its paragraph begins in the source, from 1.
        href: as it stands there, `#Kind?name=value&...`.
        kind: the widget's class.
        parts: what it sets, by name.
        title: what the widget says then, its parts set apart by "; ".
        words: what is linked, on one line.
        paragraph: the paragraph around it, on one line, without the links' addresses and titles.
    """

    line: int
    href: str
    kind: str
    parts: Mapping[str, str]
    title: str
    words: str
    paragraph: str


def _anything(_value: str, _shown: Sequence[str] | None) -> None:
    return None


def _number(least: float, most: float, whole: bool = True) -> Value:
    def problem(value: str, _shown: Sequence[str] | None) -> str | None:
        try:
            number = float(value)
        except ValueError:
            number = least - 1
        fits = least <= number <= most and (not whole or number.is_integer())
        return None if fits else f"can be {least} to {most}"

    return problem


def _one_of(*names: str) -> Value:
    def problem(value: str, _shown: Sequence[str] | None) -> str | None:
        return None if value in names else f"can be {', '.join(names)}"

    return problem


def _piece(value: str, shown: Sequence[str] | None) -> str | None:
    """A piece that is shown, with its number where it is not the first: `dog`, `dog.2`."""
    name, _, nth = value.rpartition(".")
    if shown is None or value in shown or (nth.isdecimal() and shown.count(name) >= int(nth) > 0):
        return None
    return "is not in what the widget shows"


def _pieces(value: str, shown: Sequence[str] | None) -> str | None:
    return next(filter(None, (_piece(each, shown) for each in value.split(","))), None)


def _like(pattern: str) -> Value:
    def problem(value: str, _shown: Sequence[str] | None) -> str | None:
        return None if re.fullmatch(pattern, value) else f"must look like {pattern}"

    return problem


_LAYERS, _HEADS = 6, 12  # of the course's model
_LAYER, _HEAD, _SWITCH = _number(1, _LAYERS), _number(1, _HEADS), _one_of("on", "off")
_HEAD_OR_MEAN = _number(0, _HEADS)
_PERCENT, _PLACE = _number(0, 100), _like(r"\d+\.\d+")
_TEXTS: dict[str, Value] = {"text": _anything, "pair": _anything}

KINDS: Mapping[str, Mapping[str, Value]] = {
    "AttentionExplorer": {
        **_TEXTS, "other": _anything, "layer": _LAYER, "head": _HEAD, "token": _piece,
        "target": _piece, "view": _one_of("matrix", "lines"), "beside": _PLACE,
        "special": _SWITCH, "renormalise": _SWITCH, "difference": _SWITCH,
    },
    "AttentionStep": {
        "text": _anything, "layer": _LAYER, "head": _HEAD, "token": _piece, "target": _piece,
        "temperature": _number(0.25, 4, whole=False), "scaled": _SWITCH, "stage": _number(1, 6),
    },
    "EmbeddingSum": {
        **_TEXTS, "token": _SWITCH, "segment": _SWITCH, "position": _SWITCH,
        "layer_norm": _SWITCH, "centred": _SWITCH, "head": _HEAD_OR_MEAN,
        "dimensions": _like(r"\d+-\d+"), "cell": _like(r"(cell|pair|place)\.\d+\.\d+"),
    },
    "Journey": {
        **_TEXTS, "token": _piece, "open": _number(1, 7), "roll": _number(1, 99),
        "layer": _LAYER, "head": _HEAD_OR_MEAN, "compare": _one_of("input", "before", "token"),
    },
    "MaskExplorer": {
        **_TEXTS, "seed": _number(0, 2**31 - 1), "rate": _number(1, 100), "mask": _PERCENT,
        "random": _PERCENT, "roll": _number(1, 9999), "whole_words": _SWITCH, "token": _piece,
    },
    "PairExplorer": {
        "premise": _anything, "hypothesis": _anything, "pinned": _like(r"alone|\d+"),
    },
    "Patch": {
        **_TEXTS, "other": _anything, "off": _like(r"(\d+\.\d+,?)+"), "layers": _like(r"(\d+,?)+"),
        "segment": _one_of("cut"), "copy": _like(r"\d+\.\d+\.\d+"),
    },
    "SentencePairBuilder": {
        "documents": _number(2, 999), "from": _one_of("others", "all"),
        "labels": _one_of("even", "coin"), "a": _PLACE, "label": _one_of("follows", "random"),
        "b": _PLACE,
    },
    "SpanExplorer": {
        "question": _anything, "document": _anything, "start": _piece, "end": _piece,
        "view": _one_of("joint", "product"), "threshold": _number(-99, 99, whole=False),
    },
    "TextClassifier": {
        "text": _anything, "label": _anything, "word": _piece, "attention": _SWITCH,
    },
    "TimeMachine": {
        **_TEXTS, "frame": _number(1, 10), "layer": _number(1, 3), "head": _number(1, 4),
        "token": _piece,
    },
    "TokenTagger": {"text": _anything, "word": _piece, "flips": _like(r"(\d+\.[^,]+,?)+")},
    "TrainingMonitor": {"step": _number(1, 10**6)},
    "TryIt": {
        **_TEXTS, "guess_first": _SWITCH, "off": _like(r"(\d+\.\d+,?)+"), "hide": _pieces,
    },
    "WordPieceExplorer": {**_TEXTS, "word": _piece, "token": _piece},
}  # fmt: skip
"""What each kind of widget lets a link set; a browser test holds it against the widgets."""


def links(source: str) -> Iterator[Link]:
    r"""Yields the links of a lesson that set a widget.

    Args:
        source: a lesson, in py:percent.

    Example:
        >>> [link] = links('# %% [markdown]\n# See [it](#TryIt?hide=dog "dog").')
        >>> link.kind, link.parts, link.title, link.line, link.paragraph
        ('TryIt', {'hide': 'dog'}, 'dog', 2, 'See it.')
    """
    lines = [*source.split("\n"), ""]
    paragraph: list[str] = []
    for number, line in enumerate(lines, 1):
        prose = _PROSE.match(line)
        if prose and prose[1] and not line.startswith("# %%"):
            paragraph.append(prose[1].strip())
            continue
        text = " ".join(paragraph)
        for found in LINK.finditer(text):
            yield Link(
                number - len(paragraph),
                found["href"],
                found["kind"],
                dict(parse_qsl(found["parts"], keep_blank_values=True)),
                found["title"] or "",
                found["words"],
                LINK.sub(lambda other: other["words"], text),
            )
        paragraph = []


def problems(source: Path) -> Iterator[str]:
    """Yields what is wrong with a lesson's links that set a widget, a sentence each.

    Whether a widget then says what a title promises is not seen here: it needs the model's numbers.

    Args:
        source: the lesson's file.
    """
    text = source.read_text(encoding="utf-8")
    widgets = _shown_widgets(text)
    for link in links(text):
        where = f"{source.name}, line {link.line}: {link.href}"
        if link.kind not in KINDS:
            yield f"{where}: there is no widget {link.kind}"
            continue
        own = [(line, texts) for line, kind, texts in widgets if kind == link.kind]
        if not own:
            yield f"{where}: this lesson shows no {link.kind}"
            continue
        _, texts = next((one for one in own if one[0] > link.line), own[-1])
        texts = [*filter(None, map(link.parts.get, _text_names(link.kind)))] or texts
        shown = None if texts is None else _pieces_of(texts)
        for name, value in link.parts.items():
            if name not in KINDS[link.kind]:
                yield f"{where}: {link.kind} has no {name!r}"
            elif why := KINDS[link.kind][name](value, shown):
                yield f"{where}: {name} {value!r} {why}"
        if not link.title:
            yield f"{where}: no title says what the widget shows then"
        for number in _NUMBER.findall(link.title):
            if number.rstrip(".,") not in _numbers(link.paragraph):
                yield f"{where}: the prose around it does not have {number.rstrip('.,')}"


def _text_names(kind: str) -> list[str]:
    return [name for name, value in KINDS[kind].items() if value is _anything and name != "label"]


def _numbers(text: str) -> set[str]:
    return {number.rstrip(".,") for number in _NUMBER.findall(text)}


def _shown_widgets(source: str) -> list[tuple[int, str, list[str] | None]]:
    """The widgets that a lesson makes: line, class, and their texts where these are constants."""
    try:
        tree = ast.parse(source.replace("\nawait ", "\n"))
    except SyntaxError as error:
        raise InputError(f"a lesson that is no Python: {error}") from None
    named = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = [getattr(node.func, "attr", getattr(node.func, "id", "")) for node in calls]
    return sorted(
        (node.lineno, name, _texts_of(name, node, named))
        for name, node in zip(names, calls, strict=True)
        if name in KINDS
    )


def _texts_of(kind: str, call: ast.Call, named: Mapping[str, ast.expr]) -> list[str] | None:
    import bertedu.widgets

    parameters = inspect.signature(getattr(bertedu.widgets, kind)).parameters
    given = dict(zip(parameters, call.args, strict=False))
    given |= {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    texts = []
    for name in _text_names(kind):
        node = given.get(name)
        if isinstance(node, ast.Name):
            node = named.get(node.id, node)
        if node is not None and not isinstance(node, ast.Constant):
            return None
        text = node.value if node else parameters[name].default if name in parameters else None
        if isinstance(text, str):
            texts.append(text)
    return texts


def _pieces_of(texts: Sequence[str]) -> list[str]:
    """All pieces and words that a widget with these texts may show."""
    pieces = [piece for text in texts for piece in _tokens(text)]
    words = re.findall(r"\w+|[^\w\s]", " ".join([*texts, *(text.lower() for text in texts)]))
    return ["[CLS]", *pieces, *(word for word in words if word not in pieces), *["[SEP]"] * 2]


@cache
def _tokens(text: str) -> tuple[str, ...]:
    from bertedu.checkpoint import load_tokenizer

    return tuple(load_tokenizer().encode(text).tokens[1:-1])
