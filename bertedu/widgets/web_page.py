"""A folder with a BERT in it that runs in a browser: a page, the engine, and a model's pack.

It opens from a disk or from any server, and reaches for nothing else.
"""

import base64
import json
import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from bertedu.bert import Bert
from bertedu.bert import load as load_bert
from bertedu.errors import InputError
from bertedu.finetuning.model import FineTuned
from bertedu.utils.files import replacing
from bertedu.widgets.base import javascript_module
from bertedu.widgets.palette import DARK, LIGHT, STATIC
from bertedu.widgets.web_certificate import certificate, example, reference
from bertedu.widgets.web_pack import web_pack

BASE = "bert"
"""The name of a pack that is a whole model; an adapter's is that of its case."""

# By these what was written here is known again.
TITLE = "<title>BERT in this page · bertedu</title>"
SCRIPT = "const BERT_WORKER = "

POLICY = (
    "default-src 'none'; script-src 'self' file: 'unsafe-inline' 'wasm-unsafe-eval' blob:; "
    "worker-src blob:; connect-src 'self'; style-src 'unsafe-inline'"
)
"""Nothing from elsewhere; WebAssembly of the page's own bytes, in a worker of the page's own."""


def engine_script() -> str:
    """Returns bert.js: a classic script, after which a page has `bertedu.wake`.

    Example:
        >>> engine_script().startswith("const BERT_WORKER = ")
        True
    """
    # No module: of a page from a disk, Chromium never starts a worker that is one.
    worker = re.sub(r"^export ", "", javascript_module("bert/worker"), flags=re.MULTILINE)
    page = (STATIC / "bert" / "page.js").read_text("utf-8")
    return f"{SCRIPT}{json.dumps(worker)};\n{page}"


def pack_script(name: str, pack: bytes) -> str:
    r"""Returns a pack as a classic script, for pages that may fetch nothing.

    Example:
        >>> pack_script("bert", b"abc")
        'bertedu.receive("bert", "YWJj");\n'
    """
    return f'bertedu.receive({json.dumps(name)}, "{base64.b64encode(pack).decode()}");\n'


class Written(NamedTuple):
    """What `write_page` wrote.

    Attributes:
        certificate: what the page says of its numbers, see `certificate`.
        packs: the files of the packs, each as bytes and as a script.
    """

    certificate: dict[str, Any]
    packs: list[Path]


def write_page(model: Bert | FineTuned[Any, Any], out: Path, page: str = "index.html") -> Written:
    """Writes a page, bert.js and the packs.

    Args:
        model: a pretrained or a fine-tuned one; with an adapter its checkpoint is written, too.
        out: the folder, made when missing; other files in it stay, and none is replaced that was
            not written here.
        page: the name of the page's file.

    Raises:
        InputError: a model whose tokenizer a page has not, or files of other pages in the folder.
    """
    _refuse_others(out, {page: TITLE, "bert.js": SCRIPT})
    try:  # before the long work
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out} cannot be made ({error.strerror}): take another folder") from error
    certified = certificate(model)
    own = {"certificate": certified, **reference(model)}
    packs = {BASE: web_pack(model, own)}
    if isinstance(model, FineTuned) and model.base:
        packs = {BASE: web_pack(load_bert(model.base.name)), model.task.name: packs[BASE]}
    files = [file for name, pack in packs.items() for file in write_pack(name, pack, out)]
    with replacing(out / "bert.js") as temporary:
        temporary.write_text(engine_script(), encoding="utf-8")
    with replacing(out / page) as temporary:
        temporary.write_text(_page(model, list(packs)), encoding="utf-8")
    return Written(certified, files)


def write_pack(name: str, pack: bytes, out: Path) -> list[Path]:
    """Writes a pack, as bytes for pages of a server and as a script for those of a disk."""
    files = [out / f"{name}.pack", out / f"{name}.pack.js"]
    for file, content in zip(files, (pack, pack_script(name, pack).encode()), strict=True):
        with replacing(file) as temporary:
            temporary.write_bytes(content)
    return files


def _refuse_others(out: Path, marks: Mapping[str, str]) -> None:
    """Refuses a folder with a file that would be lost: a reader's own page, for example."""
    for name, mark in marks.items():
        file = out / name
        if file.is_dir() or (file.is_file() and mark not in file.read_text("utf-8", "replace")):
            raise InputError(f"{file} is not of an earlier export: move it, or take another folder")


def _page(model: Bert | FineTuned[Any, Any], packs: list[str]) -> str:
    parts = {
        "POLICY": escape(POLICY),
        "COLOURS": _colours(),
        "PACKS": json.dumps(packs),
        "EXAMPLE": json.dumps([text or "" for text in example(model)]),
        "FIELDS": json.dumps(_fields(model)),
    }
    page = (STATIC / "bert" / "demo.html").read_text("utf-8")
    for name, text in parts.items():
        page = page.replace(f"{{{{{name}}}}}", text)
    return page


def _fields(model: Bert | FineTuned[Any, Any]) -> dict[str, Any]:
    if isinstance(model, Bert):
        return {"text": "Text", "pair": "Second text, if any", "needed": False}
    names = [names[0].capitalize() for names in model.task.texts]
    return {"text": names[0], "pair": names[1] if names[1:] else None, "needed": len(names) > 1}


def _colours() -> str:
    light, dark = (
        f"color-scheme:{theme};" + ";".join(f"--be-{name}:{color}" for name, color in all_.items())
        for theme, all_ in (("light", LIGHT), ("dark", DARK))
    )
    return f":root{{{light}}}\n@media(prefers-color-scheme:dark){{:root{{{dark}}}}}"
