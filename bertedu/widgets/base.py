"""What every widget of the course is: data as bytes, one JavaScript module, a line in words."""

import json
import re
import struct
from asyncio import TimerHandle, get_running_loop
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import anywidget
import numpy as np
import traitlets
from numpy.typing import NDArray
from torch import Tensor

from bertedu.encoding import Encoding
from bertedu.errors import InputError
from bertedu.tokenizer import BertTokenizer
from bertedu.widgets.palette import STATIC, css_variables
from bertedu.widgets.words import in_words

HTML = "text/html"
# How many tokens of what a reader types a picture shows; each has one of these.
ROWS = 24  # a row a token, with much in it
SCREEN = 48  # something of every token on one screen
BYTE = 256  # a place among them fits into a byte
MODEL = 512  # all that BERT reads
# Seconds after an answer to what is typed: it is drawn by then, or the next one is asked.
REST = 0.2
_ROOT = re.compile(r'\bname: "(?P<name>be-[\w-]+)"')
_IMPORT = re.compile(r'^import [^;]+ from "(?P<file>\.[\w./]+)"[^;]*;\n', re.MULTILINE)


class Widget(anywidget.AnyWidget):
    """A widget of the course.

    A subclass in widgets/x.py is shown by static/x.js in the style of static/x.css; it puts
    `pack(...)` into `data`, and says what it shows in `summary`. Python draws nothing: what a
    reader sees without a browser's scripts is that line, or a picture that a browser took while
    the notebook was built (classroom/stills.py).
    """

    data = traitlets.Bytes().tag(sync=True)

    def __init_subclass__(cls, **options: Any) -> None:
        name = cls.__module__.rpartition(".")[2]
        if not hasattr(cls, "_esm") and (STATIC / f"{name}.js").is_file():
            cls._esm, cls._css = javascript_module(name), style_sheet(name)
        super().__init_subclass__(**options)

    def summary(self) -> str:
        """Returns the main numbers in one line."""
        raise NotImplementedError

    def to_words(self) -> str:
        """Returns the main numbers and the tokens as HTML, for a page that runs no scripts."""
        header = unpacked_header(self.data)
        text = header.get("texts", [header])[0]
        kinds = [kind for kind in ("tokens", "words", "shown") if kind in text]
        tokens = text[kinds[0]] if kinds else ()
        return in_words(type(self).__name__, self.summary(), tokens)

    def carried(self) -> dict[str, Any]:
        """Returns by name what a page without Python also has: what JSON can hold."""
        return {}

    def close(self) -> None:
        """Closes the widget and its layout, which ipywidgets would leave behind."""
        layout = self.layout
        super().close()
        layout.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.summary()})"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        data, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        return {**data, HTML: self.to_words()}, metadata


class AskingWidget(Widget):
    """A widget that is asked about texts, and asked again when one of them changes.

    A subclass gives its texts, traits of its own, and the settings as they stand at first to
    `__init__`, and has `_look` and `_packed`; `_check` where some settings mean nothing; in PINS
    the settings that a new text lets go; and in BESIDE other traits that an answer depends on.

    The browser sends all that changed in one message. `data` comes back with what was asked, so
    that it knows which answer it has, and the problem, where the answer is still the last one.

    Attributes:
        settings: how it is shown, and what is pinned; can be set.
        problem: why the last text is not shown, in one sentence, or "".
        longest: the most tokens that it shows, which it says before they are reached; 0 for none.
    """

    PINS: ClassVar[Sequence[str]] = ()
    BESIDE: ClassVar[Sequence[str]] = ()
    MOST_TOKENS: ClassVar[int] = 0

    settings = traitlets.Dict().tag(sync=True)
    longest = traitlets.Int(0).tag(sync=True)

    def __init__(self, first: Mapping[str, Any], **asked: Any) -> None:
        self.problem = ""
        self._typed = False  # what is asked now
        self._due: TimerHandle | None = None
        self._first = dict(first)
        self._look(**asked)
        data = self._answer(asked)
        super().__init__(**asked, settings=first, longest=self.MOST_TOKENS, data=data)
        self._send_rest()
        self.observe(self._ask_again, list(asked))

    def _look(self, *args: Any, **asked: Any) -> None:
        """Computes the answer; a refused text raises InputError and leaves all as it was."""
        raise NotImplementedError

    def _packed(self) -> dict[str, Any]:
        """Returns what the browser needs, by name: arrays, and what JSON can hold."""
        raise NotImplementedError

    def _send_rest(self) -> None:
        """Sends what takes longer than the answer, and is seen later."""

    def _check(self, settings: dict[str, Any]) -> None:
        """Raises InputError where the settings mean nothing."""

    @traitlets.validate("settings")
    def _completed(self, proposal: Any) -> dict[str, Any]:
        settings = {**self._first, **proposal["value"]}
        self._check(settings)
        return settings

    def checksum(self) -> str | None:
        """Returns the checksum of what answers, by which a page's engine knows whether it can, too.

        None where only Python can.
        """
        return None

    def checksums(self) -> list[str]:
        """Returns those of all that answers, where there is more than one; none as `checksum`."""
        checksum = self.checksum()
        return [checksum] if checksum else []

    def _ask_again(self, change: Any) -> None:  # noqa: ARG002  # which of them does not matter
        asked = {name: getattr(self, name) for name in self._asked}
        if asked == self._asked:
            return  # all came in one message
        try:
            self._look(**asked)
            self.problem = ""
        except InputError as error:
            self.problem = str(error)
        with self.hold_sync():
            if not self.problem:
                self.settings = self.settings | {name: self._first[name] for name in self.PINS}
            self.data = self._answer(asked)
        if not self.problem:
            self._send_rest_soon()

    def _send_rest_soon(self) -> None:
        """Has `_send_rest` called once the reader rests; another question takes its place."""
        if self._due:
            self._due.cancel()
        self._due = None
        if self._typed:
            with suppress(RuntimeError):  # no kernel, so nobody draws meanwhile
                self._due = get_running_loop().call_later(REST, self._send_rest)
                return
        self._send_rest()

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Takes what the browser sends."""
        self._typed = True
        try:
            super().set_state(sync_data)
        finally:
            self._typed = False

    def _answer(self, asked: dict[str, Any]) -> bytes:
        self._asked = asked
        packed = self._packed()
        arrays = {name: each for name, each in packed.items() if isinstance(each, np.ndarray)}
        header = {"asked": list(asked.values()), "problem": self.problem, "first": self._first}
        header |= {name: each for name, each in packed.items() if name not in arrays}
        return pack(header, **arrays)


def check_length(tokens: int, most: int) -> None:
    """Raises InputError where a text has more than `most` tokens."""
    if tokens > most:
        raise InputError(
            f"The text has {tokens:,} tokens and this picture shows at most {most}: shorten it."
        )


def encode_short(
    tokenizer: BertTokenizer, most: int, text: str, pair: str | None = None
) -> Encoding:
    """Returns a text as the model takes it; InputError where it has more than `most` tokens."""
    encoding = tokenizer.encode(text, pair)
    check_length(len(encoding), most)
    return encoding


def described(tokenizer: BertTokenizer, ids: Tensor, types: Tensor) -> dict[str, list[Any]]:
    """Returns what the browser needs of a text's S tokens to draw them.

    Example:
        >>> from bertedu import load_tokenizer
        >>> tokenizer = load_tokenizer()
        >>> text = tokenizer.encode("dog")
        >>> described(tokenizer, text.input_ids, text.token_type_ids)["special"]
        [True, False, True]
    """
    numbers = ids.tolist()
    return {
        "tokens": [tokenizer.tokens[index] for index in numbers],
        "ids": numbers,
        "types": types.tolist(),
        "special": [index in tokenizer.special_ids for index in numbers],
    }


def pack(header: Mapping[str, Any], **arrays: NDArray[Any]) -> bytes:
    """Returns a header and arrays as one block of bytes, which `unpack` in shared.js reads.

    The layout: the header's length (4 bytes, little-endian), the header (JSON), then, from the
    next multiple of 8 on, the arrays, each at a multiple of 8.

    Args:
        header: what JSON can hold.
        arrays: of dtype uint8, int32, float16, float32 or float64.

    Example:
        >>> block = pack({"tokens": ["dog"]}, ids=np.array([3899], dtype=np.int32))
        >>> len(block) % 8, block[-8:-4] == (3899).to_bytes(4, "little")
        (0, True)
    """
    described, blocks, offset = [], [], 0
    for name, array in arrays.items():
        block = _padded(np.ascontiguousarray(array).tobytes())
        described.append(
            {"name": name, "dtype": str(array.dtype), "shape": array.shape, "offset": offset}
        )
        blocks.append(block)
        offset += len(block)
    text = json.dumps(
        {**header, "arrays": described}, separators=(",", ":"), allow_nan=False
    ).encode()
    return _padded(struct.pack("<I", len(text)) + text) + b"".join(blocks)


def unpacked_header(block: bytes) -> dict[str, Any]:
    """Returns the header of what `pack` gave.

    Example:
        >>> unpacked_header(pack({"tokens": ["dog"]}))
        {'tokens': ['dog'], 'arrays': []}
    """
    (length,) = struct.unpack_from("<I", block)
    header: dict[str, Any] = json.loads(block[4 : 4 + length])
    return header


def javascript_module(name: str) -> str:
    """Returns static/NAME.js with what it imports from its folder put in its place.

    A front end loads a widget as one module without an address, so imports cannot resolve there.
    """
    joined = set()

    def whole(file: Path) -> str:
        def inline(match: re.Match[str]) -> str:
            imported = (file.parent / match["file"]).resolve()
            if imported in joined:
                return ""
            joined.add(imported)
            if imported.suffix == ".js":
                return whole(imported)
            return f"const PALETTE = {imported.read_text('utf-8')}"

        return _IMPORT.sub(inline, file.read_text("utf-8"))

    return whole(STATIC / f"{name}.js")


def style_sheet(name: str) -> str:
    """Returns the colours, static/shared.css and static/NAME.css as one style sheet.

    The rules of NAME.css hold within the widget's own element only, the second class of its root,
    so that widgets on one page do not disturb each other.
    """
    shared, own = ((STATIC / f"{file}.css").read_text("utf-8") for file in ("shared", name))
    root = _ROOT.search((STATIC / f"{name}.js").read_text("utf-8"))
    if root is not None:
        at_root = re.compile(rf"^(\s*)(?=\.(?:bertedu|{root['name']})(?![\w-]))", re.MULTILINE)
        own = f".{root['name']} {{\n" + at_root.sub(r"\1&", own) + "}\n"
    return css_variables() + shared + own


def _padded(block: bytes) -> bytes:
    return block + bytes(-len(block) % 8)
