"""Damages data files and reads them: `python -m tests.fuzz_files [COUNT] [SEED]`.

A damaged file must either give the examples that it gave when it was whole, or an InputError of
one sentence that names it. Where a part of the file, or a line's end, is missing, nothing may tell:
"a part" counts those that gave some of the examples, and at most two others.
"""

import json
import random
import shutil
import signal
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bertedu import InputError
from bertedu.data import INFERENCE, QUESTIONS, SENTIMENT, SLOTS
from bertedu.finetuning import TASKS

SECONDS = 20
ROWS = 40


def files() -> dict[str, tuple[str, bytes]]:
    """Returns whole files by name, each with its task."""
    reviews = [r.split("\t") for r in (SENTIMENT / "train.tsv").read_text("utf-8").splitlines()]
    pairs = [r.split("\t") for r in (INFERENCE / "train.tsv").read_text("utf-8").splitlines()]
    reviews, pairs = reviews[: ROWS + 1], pairs[: ROWS + 1]
    seq_in, seq_out = (
        (SLOTS / "train" / name).read_text("utf-8").splitlines()[:ROWS]
        for name in ("seq.in", "seq.out")
    )
    sentences = [(a.split(), b.split()) for a, b in zip(seq_in, seq_out, strict=True)]
    articles = json.loads((QUESTIONS / "train.json").read_text("utf-8"))["data"][:2]
    questions = [
        {"id": q["id"], "question": q["question"], "context": p["context"], "answers": q["answers"]}
        for article in articles for p in article["paragraphs"] for q in p["qas"]
    ]  # fmt: skip

    def table(rows: list[list[str]], mark: str) -> str:
        quote = '"' if mark == "," else ""
        return "".join(mark.join(f"{quote}{c}{quote}" for c in row) + "\n" for row in rows)

    def lines(rows: list[Any]) -> str:
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)

    def objects(rows: list[list[str]]) -> list[dict[str, str]]:
        return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]

    tokens = [{"tokens": words, "tags": tags} for words, tags in sentences]
    conll = "\n".join(
        "".join(f"{w}\t{t}\n" for w, t in zip(words, tags, strict=True))
        for words, tags in sentences
    )
    made = {
        "reviews.tsv": ("classification", table(reviews, "\t")),
        "reviews.csv": ("classification", table(reviews, ",")),
        "reviews.txt": ("classification", table([r[::-1] for r in reviews[1:]], " ")),
        "reviews.jsonl": ("classification", lines(objects(reviews))),
        "reviews.json": ("classification", json.dumps(objects(reviews))),
        "pairs.tsv": ("inference", table(pairs, "\t")),
        "pairs.csv": ("inference", table(pairs, ",")),
        "pairs.jsonl": ("inference", lines(objects(pairs))),
        "slots.conll": ("slot_filling", conll),
        "slots.jsonl": ("slot_filling", lines(tokens)),
        "questions.json": ("question_answering", json.dumps({"data": articles})),
        "questions.jsonl": ("question_answering", lines(questions)),
    }
    return {name: (task, text.encode()) for name, (task, text) in made.items()}


Damage = Callable[[bytes, random.Random], bytes]


def within(content: bytes, rng: random.Random) -> int:
    """Returns a place in the file that is not at its ends."""
    return rng.randrange(len(content) // 8, len(content) * 7 // 8)


def at_line(content: bytes, rng: random.Random, line: bytes) -> bytes:
    """Returns the content with a line more somewhere."""
    rows = content.splitlines(keepends=True)
    rows.insert(rng.randrange(1, len(rows) + 1), line + b"\n")
    return b"".join(rows)


def put(content: bytes, rng: random.Random, inserted: bytes) -> bytes:
    """Returns the content with bytes more somewhere."""
    at = within(content, rng)
    return content[:at] + inserted + content[at:]


DAMAGES: dict[str, Damage] = {
    "a mark at its start": lambda c, _: b"\xef\xbb\xbf" + c,
    "two marks": lambda c, _: b"\xef\xbb\xbf" * 2 + c,
    "utf-16": lambda c, _: c.decode().encode("utf-16"),
    "utf-16 without a mark": lambda c, r: c.decode().encode(r.choice(["utf-16-le", "utf-16-be"])),
    "utf-16 cut in a character": lambda c, _: c.decode().encode("utf-16")[:-1],
    "utf-32": lambda c, _: c.decode().encode("utf-32"),
    "Windows' lines": lambda c, _: c.replace(b"\n", b"\r\n"),
    "an old Mac's lines": lambda c, _: c.replace(b"\n", b"\r"),
    "no last line's end": lambda c, _: c.rstrip(b"\n"),
    "blank lines at its end": lambda c, r: c + b"\n" * r.randrange(1, 9),
    "blanks at its lines' ends": lambda c, _: c.replace(b"\n", b" \n"),
    "a byte that is no UTF-8": lambda c, r: put(c, r, bytes([r.randrange(0xF8, 0x100)])),
    "half of a character": lambda c, r: put(c, r, "\u597d".encode()[:2]),
    "latin-1": lambda c, r: put(c, r, b"caf\xe9 "),
    "zero bytes": lambda c, _: bytes(len(c) // 4) + c,
    "nothing": lambda _, __: b"",
    "blank": lambda _, r: b" \n" * r.randrange(1, 9),
    "another's bytes": lambda _, r: r.randbytes(r.randrange(64, 4096)),
    "a picture": lambda c, _: b"\x89PNG\r\n\x1a\n" + c,
    "a zip": lambda c, _: b"PK\x03\x04" + c,
    "a web page": lambda c, _: b"<!DOCTYPE html>\n<html>" + c,
    "a pointer": lambda _, __: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
    "an endless line": lambda c, r: at_line(c, r, b"endless " * 200_000),
    "deep JSON": lambda c, r: at_line(c, r, b"[" * 100_000),
    "a row of one word": lambda c, r: at_line(c, r, b"word"),
    "a list for a row": lambda c, r: at_line(c, r, b"[1]"),
    "an open quote": lambda c, r: at_line(c, r, b'{"text":"'),
    "its end is missing": lambda c, r: c[: within(c, r)],
    "its start is missing": lambda c, r: c[within(c, r) :],
    "a line's end is missing": lambda c, r: (
        c[: (at := c.rfind(b"\n", 0, within(c, r)))] + c[at + 1 :]
    ),
}  # fmt: skip


def outcome(task: str, path: Path, whole: list[Any]) -> str:
    """Returns what reading a damaged file comes to."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            signal.alarm(SECONDS)
            found = TASKS[task].read(path)
        except InputError as error:
            sentence = str(error)
            right = path.name in sentence and "\n" not in sentence and len(sentence) < 500
            return "refused by name" if right else f"WRONG SENTENCE: {sentence!r}"
        except TimeoutError:
            return "HANG"
        except Exception as error:  # noqa: BLE001 (that is what is sought)
            return f"TRACEBACK: {type(error).__name__}: {error}"
        finally:
            signal.alarm(0)
    if told or bare(found) == bare(whole):
        return "told in a warning" if told else "equal"
    others = set(bare(found)) - set(bare(whole))
    return "a part" if len(others) <= 2 else "OTHER EXAMPLES"


def bare(examples: list[Any]) -> list[str]:
    """Returns examples without the ids that a reader made of their places."""
    return [repr(getattr(e, "answers", "")) + repr(e).split(", id=")[0] for e in examples]


def main(count: int = 150, seed: int = 0) -> int:
    """Prints how many damages came to what; returns 1 where one came to something wrong."""

    def late(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, late)
    rng, counts, wrong = random.Random(seed), Counter[str](), 0
    originals = files()
    folder = Path(tempfile.mkdtemp())
    for number in range(count):
        name = list(originals)[number % len(originals)]
        kind = (
            list(DAMAGES)[number % len(DAMAGES)] if rng.random() < 0.5 else rng.choice([*DAMAGES])
        )
        task, content = originals[name]
        (folder / name).write_bytes(content)
        whole = TASKS[task].read(folder / name)
        path = folder / f"damaged {name}"
        path.write_bytes(DAMAGES[kind](content, rng))
        result = outcome(task, path, whole)
        counts[result.partition(":")[0]] += 1
        if result[:2].isupper() or (result == "a part" and "missing" not in kind):
            wrong += 1
            print(f"{number}: {name}, {kind}: {result:.300}")
    shutil.rmtree(folder)
    print(f"{count} files, seed {seed}: {dict(counts)}, {wrong} wrong")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
