"""The ledger of claims in the book: marks in the text, what a click on one shows, and the page."""

import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from bertedu.classroom.claims import FOLLOWED, KINDS, Claim
from bertedu.classroom.claims.cells import Cell
from bertedu.classroom.claims.links import placed

LEDGER = "claims.html"
NO_CLAIM = {"place", "name", "estimate"}  # numbers that count lessons, years and the like
MOST_PRINTED = 40  # lines of an output around the one that counts


def mark(tokens: Sequence[Any], claims: Sequence[Claim], first: int) -> None:
    """Makes links of the numbers in a text that can be followed.

    Args:
        tokens: as the parser gives them; changed in place.
        claims: one for each number of the text, in order.
        first: the number of the first claim on its page.
    """
    from markdown_it.token import Token

    cuts: dict[int, list[tuple[int, int, str]]] = {}
    for place, claim, piece, start, end in placed(tokens, claims):
        cuts.setdefault(id(piece), []).append((start, end, _opening(first + place, claim)))
    for token in tokens:
        if not (token.children and cuts):
            continue
        children = []
        for child in token.children:
            done = 0
            for start, end, opening in cuts.get(id(child), []):
                children += [
                    _text(Token, child.content[done:start]),
                    Token("html_inline", "", 0, content=opening),
                    _text(Token, child.content[start:end]),
                    Token("html_inline", "", 0, content="</a>"),
                ]
                done = end
            children.append(_text(Token, child.content[done:]) if done else child)
        token.children = children


def _text(token: Any, content: str) -> Any:
    return token("text", "", 0, content=content)


def _opening(place: int, claim: Claim) -> str:
    where = f"#cell-{claim.cell.place}" if claim.cell and not _elsewhere(claim) else ""
    href = where or f"{LEDGER}#{claim.lesson}"
    return f'<a class="book-claim" id="claim-{place}" href="{href}">'


def _elsewhere(claim: Claim) -> bool:
    return claim.cell is not None and claim.cell.lesson != claim.lesson


def today() -> str:
    """Returns the day on which a lesson is executed, or the one that a reproducible build sets."""
    seconds = float(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))


def page_data(claims: Iterable[Claim], pages: Mapping[str, str], executed: str) -> str:
    """Returns the script element that a page's panel reads.

    Args:
        claims: of the page, in order.
        pages: each lesson's page, by its number.
        executed: the day on which the lesson was.
    """
    rows, cells = [], {}
    for claim in claims:
        key = ""
        if claim.cell:
            key = f"{claim.cell.lesson}-{claim.cell.place}"
            cells[key] = {
                "href": _address(claim, pages),
                "code": claim.cell.source,
                "printed": claim.cell.printed,
                "assertions": claim.cell.assertions,
            }
        kind = KINDS.get(claim.kind, "")
        rows.append([claim.number, claim.sentence, claim.kind, kind, key, claim.line])
    data = json.dumps({"rows": rows, "cells": cells, "executed": executed}, ensure_ascii=False)
    data = data.replace("<", "\\u003c")
    return f'<script type="application/json" id="book-claims">{data}</script>\n'


def _address(claim: Claim, pages: Mapping[str, str]) -> str:
    cell: Cell | None = claim.cell
    if cell is None:
        return ""
    page = pages.get(cell.lesson, "") if _elsewhere(claim) else ""
    return "" if _elsewhere(claim) and not page else f"{page}#cell-{cell.place}"


def entries(claims: Sequence[Claim], page: str, executed: str) -> str:
    """Returns one lesson's part of the page of all claims, as HTML.

    Args:
        claims: of the lesson, in order.
        page: the lesson's page.
        executed: the day on which the lesson was.
    """
    items = []
    for place, claim in enumerate(claims):
        if claim.kind in NO_CLAIM:
            continue
        followed = claim.kind in FOLLOWED and claim.kind != "picture"
        number = escape(claim.number)
        value = f'<a href="{page}#claim-{place}">{number}</a>' if followed else number
        proof = escape(KINDS.get(claim.kind, claim.reason))
        if claim.line:
            tag = "span" if claim.kind == "source" else "code"
            proof += f": <{tag}>{escape(claim.line)}</{tag}>"
        if claim.cell and claim.kind == "output" and claim.cell.assertions:
            proof += f" · <code>{escape(' '.join(claim.cell.assertions[0].split()))}</code>"
        when = f" · {executed}" if executed and claim.cell else ""
        items.append(
            f"<li><b>{value}</b> <span>{escape(claim.sentence)}</span>"
            f"<small>{proof}{when}</small></li>"
        )
    return f'<ul class="book-ledger">{"".join(items)}</ul>\n'


FILTER = (
    '<p class="book-filter"><label for="book-filter">Only those with these words</label> '
    '<input id="book-filter" type="search" autocomplete="off"> '
    '<span id="book-filtered" role="status"></span></p>\n'
)
