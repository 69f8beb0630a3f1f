"""Questions from files: SQuAD's JSON, and tables."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bertedu.errors import InputError

Raw = tuple[str, Any, Any, list[Any] | None, str]  # where, question, document, answers, id


def squad_questions(path: Path) -> Iterator[Raw]:
    """Yields the questions of a SQuAD file."""
    if not path.is_file():
        raise InputError(f"there is no file {path}: check the path")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start:,} is not UTF-8: convert the file") from error
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}: this is not JSON ({error.msg})") from error
    where = str(path)
    try:
        for article in content["data"]:
            for paragraph in article["paragraphs"]:
                where = f"{path}: a question of {str(paragraph['context'])[:40]!r}"
                for question in paragraph["qas"]:
                    where = f"{path}: question {question['id']}"
                    answers = question.get("answers")
                    if question.get("is_impossible"):
                        answers = []
                    elif answers == []:
                        raise InputError(f"{where}: there is no answer, and is_impossible is false")
                    yield where, question["question"], paragraph["context"], answers, question["id"]
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{where}: this is not SQuAD's form ({error!r})") from error


def table_questions(rows: Iterator[Any]) -> Iterator[Raw]:
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
        question, document = row.value("question"), row.value("document", "context")
        yield row.where, question, document, answers, str(row.cells.get("id", row.where))


def placed(answer: Any, document: str, where: str) -> tuple[str, int | None]:
    """Returns an answer's text and start; None where its text does not stand there."""
    try:
        text, start = answer["text"], answer.get("start", answer.get("answer_start"))
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{where}: an answer needs text and start ({error!r})") from error
    if not isinstance(text, str) or not text.strip():
        raise InputError(f"{where}: the answer {text!r} is no text")
    right = type(start) is int and start >= 0 and document[start : start + len(text)] == text
    return text, start if right else None
