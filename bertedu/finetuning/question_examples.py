"""Questions about documents, with their answers: written by hand, and read from files."""

import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bertedu.errors import InputError
from bertedu.finetuning.squad_files import placed, squad_questions, table_questions
from bertedu.finetuning.tables import hub_rows, json_rows
from bertedu.utils.hub import HUB


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


def read(path: str | Path) -> list[Example]:
    """Returns the questions of a file, or of a data set of the hub.

    Answers that do not stand where the file says are counted in a warning; they are good for
    comparing, but nothing is learned from them.

    Args:
        path: SQuAD's .json, v1.1 or v2.0; a .jsonl with `question`, `document` or `context`, and
            `answers` (each with `text` and `start` or `answer_start`; an empty list = no
            answer); or a data set of the hub, `hub:NAME:SPLIT`.

    Raises:
        InputError: what cannot be read, by its line or its question's id.
    """
    name = str(path)
    if name.startswith(HUB):
        raw = table_questions(hub_rows(name))
    elif name.endswith(".jsonl"):
        raw = table_questions(json_rows(Path(path)))
    else:
        raw = squad_questions(Path(path))
    examples, wrong = [], Counter[str]()
    for where, question, document, answers, identity in raw:
        if not isinstance(question, str) or not isinstance(document, str):
            raise InputError(f"{where}: question and document must be text")
        if not document.strip():
            raise InputError(f"{where}: the document is empty")
        if answers is not None and not isinstance(answers, list):
            raise InputError(f"{where}: answers must be a list, each with text and start")
        checked = (
            None if answers is None else tuple(Answer(*placed(a, document, where)) for a in answers)
        )
        misplaced = [a.text for a in checked or () if a.start is None]
        wrong.update({where: len(misplaced)} if misplaced else {})
        examples.append(Example(question, document, checked or (), identity, checked == ()))
    if wrong:
        warnings.warn(
            f"{path}: {wrong.total():,} answers do not stand where the file says, the first at "
            f"{next(iter(wrong))}: nothing is learned from them",
            stacklevel=2,
        )
    return examples
