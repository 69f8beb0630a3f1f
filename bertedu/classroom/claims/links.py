"""The numbers of a notebook's text as links to the cells that computed them.

JupyterLab follows `#cell-id=` and the id of a cell; where a page does not, the link does nothing.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from bertedu.classroom.claims import COMPUTED, FOLLOWED, Claim, claims
from bertedu.classroom.claims.prose import parse, passages
from bertedu.classroom.editions import Edition

_LINK_END = re.compile(r"\]\([^()\s]*(?:\s+\"[^\"]*\")?\)")


def placed(
    tokens: Iterable[Any], claims: Sequence[Claim]
) -> Iterator[tuple[int, Claim, Any, int, int]]:
    """Yields the numbers of a text that can be followed, but for those in links of their own.

    Args:
        tokens: as the parser gives them.
        claims: one for each number of the text, in order.

    Returns:
        The claim's number in the text, the claim, the text token in which the number stands, and
        where it begins and ends there.
    """
    found = iter(enumerate(claims))
    for passage in passages(tokens):
        for number in passage.numbers:
            place, claim = next(found)
            linked = any(start <= number.start < end for start, end, _ in passage.links)
            if claim.kind not in FOLLOWED or linked or claim.kind == "picture":
                continue
            begin, piece = [each for each in passage.pieces if each[0] <= number.start][-1]
            end = min(number.end - begin, len(piece.content))  # its % may stand in the next line
            yield place, claim, piece, number.start - begin, end


def link_numbers(edition: Edition, notebook: Any) -> Any:
    """Returns a notebook whose text leads from each computed number to its cell.

    Args:
        edition: which lesson, with or without solutions.
        notebook: its cells with their outputs; changed in place.
    """
    for cell, found in zip(notebook.cells, claims(edition, notebook), strict=True):
        if found:
            cell.source = linked(cell.source, found)
    return notebook


def linked(source: str, claims: Sequence[Claim]) -> str:
    """Returns a text in Markdown with its computed numbers as links.

    Args:
        source: the text.
        claims: one for each of its numbers, in order.
    """
    tokens = parse(source)
    cuts: dict[int, list[tuple[int, int, str]]] = {}
    for _, claim, piece, start, end in placed(tokens, claims):
        if claim.kind in COMPUTED and claim.cell and claim.cell.lesson == claim.lesson:
            cuts.setdefault(id(piece), []).append((start, end, claim.cell.id))
    parts, done, at = [], 0, 0
    for token in (child for block in tokens for child in block.children or []):
        if token.type == "link_close" and (close := _LINK_END.search(source, at)):
            at = close.end()
        if not token.content or (begin := source.find(token.content, at)) < 0:
            continue
        at = begin + len(token.content)
        for start, end, cell in cuts.get(id(token), []):
            number = source[begin + start : begin + end]
            parts += [source[done : begin + start], f"[{number}](#cell-id={cell})"]
            done = begin + end
    return "".join([*parts, source[done:]])
