"""SQuAD's questions: read from its files and from tables, and scored by its official rules.

Answers from a Chinese document are scored by CMRC's rule (`cmrc`).

Source: rajpurkar/SQuAD-explorer, evaluate-v1.1.py and evaluate-v2.0.py.
"""

import re
import string
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from bertedu.errors import InputError
from bertedu.finetuning import cmrc
from bertedu.finetuning.tables import (
    NO_COLUMNS,
    Columns,
    Row,
    check_columns,
    parsed,
    some,
    sound,
    table,
)
from bertedu.utils.lines import whole_text

QUESTION, DOCUMENT = ("question",), ("document", "context", "passage", "paragraph")
"""What files call the columns."""
Raw = tuple[str, Any, Any, Any, str]
"""What a file says of a question: where, question, document, answers, id."""
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


class Answer(NamedTuple):
    """A right answer: its text, and the character where it begins; None = that is not known."""

    text: str
    start: int | None


@dataclass(frozen=True)
class Example:
    """A question about a document, and its answers where they are known.

    Attributes:
        question: one.
        document: the text that holds the answer.
        answers: one or more right answers.
        id: as in SQuAD's files.
        impossible: it is known that the document holds no answer.
    """

    question: str
    document: str
    answers: tuple[Answer, ...] = ()
    id: str = ""
    impossible: bool = False

    @property
    def target(self) -> Answer | None:
        """The answer to learn: of those whose place is known, the most frequent one."""
        known = [answer for answer in self.answers if answer.start is not None]
        return Counter(known).most_common(1)[0][0] if known and not self.impossible else None


def read(path: str | Path, encoding: str = "utf-8", columns: Columns = NO_COLUMNS) -> list[Example]:
    """Returns the questions of a file, or of a data set of the hub.

    Answers that do not stand where the file says are counted in a warning; they are good for
    comparing, but nothing is learned from them.

    Args:
        path: SQuAD's .json, v1.1 or v2.0; a .jsonl, .csv or .tsv with `question`, `document` or
            `context`, and `answers` (each with `text` and `start` or `answer_start`; an empty
            list = no answer) or one `answer` with its `answer_start`; or a data set of the hub,
            `hub:NAME:SPLIT`.
        encoding: of the file.
        columns: what the file calls `question`, `document`, `answers`, `answer`, `answer_start`.

    Raises:
        InputError: what cannot be read, by its line or its question's id.
    """
    check_columns(columns, "question", "document", "answers", "answer", "answer_start")
    raw = _squad_questions(Path(path), encoding) if str(path).endswith(".json") else None
    if raw is None:
        rows = table(path, QUESTION, encoding, columns)
        if rows is None:
            raise InputError(
                f"{path}:1: the header names no question: add "
                "--columns question=NAME,document=NAME,answer=NAME,answer_start=NAME"
            )
        raw = _table_questions(rows)
    examples: list[Example] = []
    misplaced: list[str] = []
    for where, *asked in raw:
        example = _checked(where, *asked)
        examples.append(example)
        misplaced += [where for answer in example.answers if answer.start is None]
    if misplaced:
        warnings.warn(
            f"{path}: {len(misplaced):,} answers do not stand where the file says, the first at "
            f"{misplaced[0]}: nothing is learned from them",
            stacklevel=2,
        )
    return some(examples, path)


def _checked(where: str, question: Any, document: Any, answers: Any, identity: str) -> Example:
    """Returns a question as an example; an answer that is not where it should be has no start."""
    if not isinstance(question, str) or not isinstance(document, str):
        raise InputError(f"{where}: question and document must be text")
    sound(question, "question", where)
    sound(document, "document", where)
    if not document.strip():
        raise InputError(f"{where}: the document is empty")
    if answers is None:
        return Example(question, document, id=identity)
    if not isinstance(answers, list):
        raise InputError(f"{where}: answers must be a list, each with text and start")
    placed = []
    for answer in answers:
        try:
            text, start = answer["text"], answer.get("start", answer.get("answer_start"))
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{where}: an answer needs text and start ({error!r})") from error
        if not isinstance(text, str) or not text.strip():
            raise InputError(f"{where}: the answer {text!r} is no text")
        if type(start) is int:
            start += len(text) - len(text.lstrip())
        text = sound(text, "the answer", where).strip()
        right = type(start) is int and start >= 0 and document[start : start + len(text)] == text
        placed.append(Answer(text, start if right else None))
    return Example(question, document, tuple(placed), identity, impossible=not placed)


def _squad_questions(path: Path, encoding: str) -> Iterator[Raw] | None:
    """Returns the questions of a SQuAD file; None if it is a list of rows, or rows line by line."""
    text = whole_text(path, encoding)
    if "\n{" in text.strip() and '"paragraphs"' not in text:
        return None
    content = parsed(text, f"{path}:1")
    if isinstance(content, dict) and "question" in content:
        return None
    rows = content.get("data") if isinstance(content, dict) else content
    if isinstance(rows, list) and rows and isinstance(rows[0], dict) and "question" in rows[0]:
        return None
    return _of_articles(content, path)


def _of_articles(content: Any, path: Path) -> Iterator[Raw]:
    where = str(path)
    try:
        for article in content["data"]:
            for paragraph in article["paragraphs"]:
                where = f"{path}: a question of {str(paragraph['context'])[:40]!r}"
                for question in paragraph["qas"]:
                    where = f"{path}: question {question['id']!s:.40}"
                    answers = _answers(question, where)
                    identity = str(question["id"])
                    yield where, question["question"], paragraph["context"], answers, identity
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{where}: this is not SQuAD's form ({error!r:.60})") from error


def _answers(cells: dict[str, Any], where: str) -> Any:
    """Returns a question's answers, none where it says that it is impossible.

    Raises:
        InputError: is_impossible is no truth value, or there is no answer and it is false.
    """
    answers, impossible = cells.get("answers"), cells.get("is_impossible")
    if impossible is not None:
        told = {"true": True, "1": True, "false": False, "0": False, "": False}
        known = told.get(str(impossible).strip().lower())
        if known is None:
            raise InputError(f"{where}: is_impossible is {impossible!r:.40}, not true or false")
        if known:
            return []
        if answers == []:
            raise InputError(f"{where}: there is no answer, and is_impossible is false")
    return answers


def _table_questions(rows: Iterator[Row]) -> Iterator[Raw]:
    """Yields the questions of a table."""
    for row in rows:
        answers = row.cells.get("answers")
        if isinstance(answers, dict):  # the hub's form: a list of each
            try:
                pairs = zip(answers["text"], answers["answer_start"], strict=True)
                answers = [{"text": text, "start": start} for text, start in pairs]
            except (KeyError, TypeError, ValueError) as error:
                raise InputError(
                    f"{row.where}: answers need a list of text and one of answer_start ({error!r})"
                ) from error
        alone = row.cells.get("answer", row.cells.get("answer_text"))
        if answers is None and alone is not None:
            start = row.cells.get("answer_start")
            if isinstance(start, str) and start.strip().isdecimal():
                start = int(start)
            answers = [{"text": alone, "start": start}]
        answers = _answers(row.cells | {"answers": answers}, row.where)
        question, document = row.value(*QUESTION), row.value(*DOCUMENT)
        yield row.where, question, document, answers, str(row.cells.get("id", row.where))


def normalize_answer(text: str) -> str:
    """Returns the text in lower case, without ASCII punctuation, articles and spare spaces.

    Example:
        >>> normalize_answer("The  White-House, a Home")
        'whitehouse home'
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_and_f1(prediction: str, golds: Sequence[str], *, v1: bool = False) -> tuple[float, float]:
    """Returns exact match and F1 (of the words in common) with the nearest right answer.

    Args:
        prediction: "" = no answer.
        golds: the right answers; empty = there is none.
        v1: the rules of v1.1, where a text without any word matches nothing in F1.

    Example:
        >>> exact_and_f1("the cat", ["cat"]), exact_and_f1("", []), exact_and_f1("a cat", [])
        ((1.0, 1.0), (1.0, 1.0), (0.0, 0.0))
        >>> exact_and_f1("white cat", ["a cat", "dog"])[1]
        0.6666666666666666
    """
    right = [normalize_answer(gold) for gold in golds]
    if not v1:
        right = [gold for gold in right if gold] or [""]
    found = normalize_answer(prediction)
    return float(found in right), max((_f1(found, gold, v1) for gold in right), default=0.0)


def _f1(found: str, gold: str, v1: bool) -> float:
    if not v1 and not (found and gold):
        return float(found == gold)
    words, others = found.split(), gold.split()
    common = (Counter(words) & Counter(others)).total()
    return 2 * common / (len(words) + len(others)) if common else 0.0


def scored(example: Example, answer: str, *, v1: bool = False) -> tuple[float, float]:
    """Returns exact match and F1 of one answer, by the rule for its document's language.

    Args:
        example: with its right answers.
        answer: "" = no answer.
        v1: as in `exact_and_f1`.
    """
    golds = [gold.text for gold in example.answers]
    if cmrc.is_chinese(example.document):
        return cmrc.exact_and_f1(answer, golds)
    return exact_and_f1(answer, golds, v1=v1)


def squad_scores(examples: Sequence[Example], answers: Sequence[str]) -> dict[str, float]:
    """Returns exact match and F1, each from 0 to 1.

    Args:
        examples: with their right answers; v2.0's rules hold if one of them has none, and CMRC's
            where the document is Chinese.
        answers: one a question; "" = no answer.

    Returns:
        exact_match and f1; where some questions have no answer, also answerable_f1 and
        no_answer_accuracy.

    Raises:
        InputError: no question has answers to compare with.
    """
    known = [(e, a) for e, a in zip(examples, answers, strict=True) if e.answers or e.impossible]
    if not known:
        raise InputError("there is no question with an answer to compare with")
    v2 = any(example.impossible for example, _ in known)
    rows = [(e.impossible, *scored(e, a, v1=not v2)) for e, a in known]

    def mean(values: list[float]) -> float:
        return sum(values) / len(values)

    scores = {"exact_match": mean([e for _, e, _ in rows]), "f1": mean([f for _, _, f in rows])}
    if v2:
        scores["no_answer_accuracy"] = mean([e for impossible, e, _ in rows if impossible])
        if answerable := [f for impossible, _, f in rows if not impossible]:
            scores["answerable_f1"] = mean(answerable)
    return scores
