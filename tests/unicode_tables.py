"""Makes unicode.js, which characters BERT drops, strips and sets apart, of the tokenizer itself.

    python -m tests.unicode_tables

A browser's own tables are newer or older than the tokenizer's, and differ between browsers.
"""

from itertools import groupby

from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from bertedu.widgets.palette import STATIC

FILE = STATIC / "bert" / "unicode.js"
CHARACTERS = [chr(code) for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF]
OFF = {"clean_text": False, "handle_chinese_chars": False, "strip_accents": False}


def module() -> str:
    """Returns what unicode.js is to be."""
    clean, chinese, strip = (BertNormalizer(**{**OFF, name: True}, lowercase=False) for name in OFF)
    removed = [c for c in CHARACTERS if clean.normalize_str(c) == ""]
    kept = [c for c in CHARACTERS if clean.normalize_str(c) == c and c != " "]
    text = "".join(f"a{c} " for c in kept)  # one call: a call for each would take a minute
    starts = {start for _, (start, _) in BertPreTokenizer().pre_tokenize_str(text)}
    tables = {
        "REMOVED": (removed, "Control characters and their like: they go."),
        "SPACES": (
            [c for c in CHARACTERS if clean.normalize_str(c) == " "],
            "White space: each becomes a space.",
        ),
        "CHINESE": (
            [c for c in kept if chinese.normalize_str(c) != c],
            "Chinese characters: each is a word of its own.",
        ),
        "MARKS": (
            [c for c in kept if strip.normalize_str(c) == ""],
            "Marks without width of their own, such as accents: they are stripped.",
        ),
        "PUNCTUATION": (
            [c for i, c in enumerate(kept) if 3 * i + 1 in starts],
            "Punctuation, and all symbols of ASCII: each is a word of its own.",
        ),
    }
    lines = [
        "// First and last code point of each range, as the tokenizer of Python has them; made by",
        "// `python -m tests.unicode_tables`.",
    ]
    for name, (characters, purpose) in tables.items():
        lines += ["", f"/** {purpose} */", f"export const {name} = [", *_wrapped(characters), "];"]
    return "\n".join([*lines, ""])


def _wrapped(characters: list[str]) -> list[str]:
    codes = enumerate(map(ord, characters))
    runs = [list(run) for _, run in groupby(codes, lambda pair: pair[1] - pair[0])]
    edges = [f"{run[0][1]:#x}, {run[-1][1]:#x}," for run in runs]
    return ["  " + " ".join(edges[i : i + 5]) for i in range(0, len(edges), 5)]


if __name__ == "__main__":
    FILE.write_text(module(), encoding="utf-8")
