"""The list of lessons, and the course's own drawings.

The drawings are in the colours of `bertedu.classroom.figures.PARTS`.
"""

import base64
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from bertedu.classroom.figures import MARGIN, Arrow, Box, Diagram, diagram


class Lesson(NamedTuple):
    """A lesson of the course.

    Attributes:
        name: of its source and its notebook.
        question: the one that it answers.
        sign: what its box on the map says.
        box: where that box is, in inches, and its part; None for the lesson that has the map.
    """

    name: str
    question: str
    sign: str = ""
    box: Box | None = None


COURSE = (
    Lesson("00_start_here", "What is BERT, and does this course run on your computer?"),
    Lesson("01_wordpiece", "How does a text become pieces and ids?",
           "WordPiece", (1.25, 1.8, 0.95, 0.55, "embeddings")),
    Lesson("02_masked_language_model", "How can a model learn language from unlabelled text?",
           "masked words", (4.72, 1.8, 1.22, 0.55, "heads")),
    Lesson("03_next_sentence_prediction",
           "How does a model learn whether one sentence follows another?",
           "next sentence", (6.06, 1.8, 1.22, 0.55, "heads")),
    Lesson("04_input_embeddings", "How does a token become a vector?",
           "input embeddings", (2.62, 1.8, 1.5, 0.55, "embeddings")),
    Lesson("05_self_attention", "How does a token take in information from the other tokens?",
           "self-attention", (2.62, 0.9, 1.5, 0.55, "attention")),
    Lesson("06_the_whole_model",
           "Which parts is BERT made of, and where are its 110 million parameters?",
           "the whole model", (2.5, 0.75, 1.75, 2.3, "group")),
    Lesson("07_joint_pretraining", "What happens while BERT learns both tasks at once?",
           "both learned at once", (4.6, 1.7, 2.8, 1.35, "group")),
    Lesson("08_classification", "How does BERT give one answer for a whole text?",
           "classification", (4.72, 0.74, 1.22, 0.55, "heads")),
    Lesson("09_slot_filling", "How does BERT give one answer for each word?",
           "slot filling", (6.06, 0.74, 1.22, 0.55, "heads")),
    Lesson("10_inference", "How does BERT judge whether one sentence implies another?",
           "inference", (4.72, 0.11, 1.22, 0.55, "heads")),
    Lesson("11_question_answering", "How does BERT find an answer in a document?",
           "answers", (6.06, 0.11, 1.22, 0.55, "heads")),
    Lesson("12_fine_tuning_in_practice",
           "Which settings make fine-tuning work, and how sure may one be of its answers?",
           "fine-tuning in practice", (0.1, 0.85, 2.0, 0.55, "heads")),
    Lesson("13_bug_museum", "Which mistakes did others make, and would you have found them?",
           "museum of bugs", (0.1, 0.1, 1.5, 0.55, "text")),
    Lesson("14_beyond", "What does a large BERT cost, and what came after BERT?",
           "beyond the laptop", (1.75, 0.1, 1.65, 0.55, "text")),
    Lesson("15_gallery", "Which picture answers which question?",
           "gallery", (3.5, 0.1, 0.95, 0.55, "text")),
)  # fmt: skip
LESSONS = {lesson.name: lesson.question for lesson in COURSE if lesson.box}


def lesson_links(folder: Path = Path()) -> dict[str, str]:
    """Returns the notebooks that there are: a lesson's number, and where its link leads.

    Args:
        folder: where the notebooks are. One that is not built yet counts when its source is in
            a course/ beside or above the folder.
    """
    return {
        name[:2]: f"{name}.ipynb"
        for name, *_ in COURSE
        if any(
            place.exists()
            for place in (
                folder / f"{name}.ipynb",
                *(folder / up / "course" / f"{name}.py" for up in ("..", "../..")),
            )
        )
    }


def lesson_table(folder: Path = Path()) -> str:
    r"""Returns what follows the first lesson as a Markdown table; those that exist are links.

    Args:
        folder: where the notebooks are, as in `lesson_links`.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "01_wordpiece.ipynb").touch()
        >>> print(*lesson_table(folder).splitlines()[2:4], sep="\n")
        | 01 | [wordpiece](01_wordpiece.ipynb) | How does a text become pieces and ids? |
        | 02 | masked language model | How can a model learn language from unlabelled text? |
    """
    links = lesson_links(folder)
    lines = ["| | lesson | the question it answers |", "|:--|:--|:--|"]
    for name, question, *_ in COURSE[1:]:
        number, _, title = name.replace("_", " ").partition(" ")
        linked = f"[{title}]({links[number]})" if number in links else title
        lines.append(f"| {number} | {linked} | {question} |")
    return "\n".join(lines)


def lesson_strip(name: str) -> str:
    """Returns the line at the head and the foot of a lesson: the one before, all, the next.

    Args:
        name: of the lesson.

    Example:
        >>> lesson_strip("01_wordpiece")[:64]
        '[← 00 start here](00_start_here.ipynb) · [00](00_start_here.ipyn'
    """
    names = [lesson.name for lesson in COURSE]
    place = names.index(name)
    numbers = " ".join(
        f"**{other[:2]}**" if other == name else f"[{other[:2]}]({other}.ipynb)" for other in names
    )
    parts = [
        *(f"[← {other.replace('_', ' ')}]({other}.ipynb)" for other in names[:place][-1:]),
        numbers,
        *(f"[{other.replace('_', ' ')} →]({other}.ipynb)" for other in names[place + 1 :][:1]),
    ]
    return " · ".join(parts)


CIRCLES = "○◔◑◕●"  # none, some, half, most, all


class CourseMap:
    """BERT from a text to its answers, with each lesson at its place, as a link.

    Args:
        links: a lesson's number ("01"), and where its link leads.
        done: a lesson's number, and how many of how many exercises are right.

    Example:
        >>> CourseMap({"01": "01_wordpiece.ipynb"}, {"01": (1, 4)})
        map: your text → 01; 01 → 04; 04 → 05; 06 → 07; 06 → fine-tuning; 01 ◔ 1 of 4
    """

    def __init__(
        self, links: Mapping[str, str], done: Mapping[str, tuple[int, int]] | None = None
    ) -> None:
        self.links, self.done = links, done or {}
        self.figure = map_figure()

    def __repr__(self) -> str:
        done = [f"{n} {circle(*done)} {done[0]} of {done[1]}" for n, done in self.done.items()]
        return f"map: {'; '.join([self.figure.words, *done])}"

    def _repr_html_(self) -> str:
        spots = []
        for name, question, sign, box in sorted(COURSE, key=lambda lesson: not _is_frame(lesson)):
            if box is None or name[:2] not in self.links:
                continue
            right, of = self.done.get(name[:2], (0, 0))
            said = f"{right} of {of} exercises are right" if of else question
            mark = circle(right, of) if of else ""
            lesson = f' data-lesson="{name[:2]}"'
            spots.append(
                Spot(self.links[name[:2]], box[:4], said, f"{name[:2]} {sign}", mark, lesson)
            )
        return linked_drawing(self.figure, spots, self.figure.words)


class Spot(NamedTuple):
    """A part of a drawing that is a link.

    Attributes:
        href: where it leads.
        place: left, bottom, width and height, in inches.
        title: what is said when it is pointed at.
        text: what it is called.
        mark: a character in its corner.
        attribute: of the mark's element.
    """

    href: str
    place: tuple[float, float, float, float]
    title: str
    text: str
    mark: str = ""
    attribute: str = ""


def linked_drawing(figure: Diagram, spots: Sequence[Spot], alt: str) -> str:
    """Returns a drawing as HTML, with links over it.

    A front end that takes away the places of the links (GitHub) shows them below the drawing.

    Args:
        figure: the drawing.
        spots: its links; of two that overlap the later one is above.
        alt: what it shows, in words.
    """
    wide, high = figure.get_size_inches()
    links = []
    for spot in spots:
        left, bottom, width, height = spot.place
        left, bottom = left + MARGIN, bottom + MARGIN
        percents = (left / wide, 1 - (bottom + height) / high, width / wide, height / high)
        place = ";".join(
            f"{side}:{100 * share:.2f}%"
            for side, share in zip(("left", "top", "width", "height"), percents, strict=True)
        )
        links.append(
            f'<a href="{spot.href}" title="{spot.title}" style="position:absolute;{place};'
            f'font-size:0;text-decoration:none">{spot.text} '
            f'<span{spot.attribute} style="{_CIRCLE}">{spot.mark}</span></a>'
        )
    drawing = base64.b64encode(figure._repr_png_()).decode()
    return (
        f'<div style="position:relative;min-width:560px;max-width:{120 * wide:.0f}px">'
        f'<img alt="{alt}" style="display:block;width:100%" '
        f'src="data:image/png;base64,{drawing}">{"".join(links)}</div>'
    )


_CIRCLE = "position:absolute;right:2px;top:1px;line-height:1;font-size:11px;color:#1f2328"


def circle(right: int, of: int) -> str:
    """Returns how much of a lesson is done, as one character.

    Example:
        >>> [circle(right, 5) for right in range(6)]
        ['○', '◔', '◔', '◕', '◕', '●']
    """
    if right in {0, of}:
        return CIRCLES[-1] if right else CIRCLES[0]
    return CIRCLES[1 + (2 * right >= of) + (2 * right > of)]


def _is_frame(lesson: Lesson) -> bool:
    return lesson.box is not None and lesson.box[-1] == "group"


def map_figure() -> Diagram:
    """Returns the drawing of the map.

    Example:
        >>> map_figure()
        diagram: your text → 01; 01 → 04; 04 → 05; 06 → 07; 06 → fine-tuning
    """
    boxes: dict[str, Box] = {
        f"{lesson.name[:2]}\n{lesson.sign}": lesson.box for lesson in COURSE if lesson.box
    }
    boxes["your text"] = (0.1, 1.8, 0.85, 0.55, "text")
    boxes["fine-tuning"] = (4.6, 0.02, 2.8, 1.56, "group")
    boxes = dict(sorted(boxes.items(), key=lambda item: item[1][-1] != "group"))  # frames first
    ways = ["your text", "01", "04", "05"]
    return diagram(boxes, [*pairwise(ways), ("06", "07"), ("06", "fine-tuning")], size=(7.5, 3.1))


def architecture() -> Diagram:
    """Returns all of BERT beside one of its layers, with the shapes at each stage.

    Source: Devlin et al. 2019, section 3; Vaswani et al. 2017, section 3.1.

    Example:
        >>> repr(architecture()).split("; ")[0]
        'diagram: ids, segments, mask → embeddings'
    """
    bert: dict[str, Box] = {
        "ids, segments, mask\n[B, S]": (0.5, 0.05, 2.0, 0.5, "text"),
        "embeddings\n[B, S, H]": (0.5, 0.85, 2.0, 0.5, "embeddings"),
        "layer 1": (0.5, 1.78, 2.0, 0.3, "attention"),
        "layer 2 … L - 1": (0.5, 2.25, 2.0, 0.3, "attention"),
        "layer L": (0.5, 2.72, 2.0, 0.3, "attention"),
    }
    heads: dict[str, Box] = {
        "masked-LM head\n[B, S, V]": (0.05, 3.62, 1.4, 0.5, "heads"),
        "pooler\n[B, H]": (1.6, 3.62, 1.4, 0.5, "heads"),
        "next-sentence head\n[B, 2]": (1.45, 4.4, 1.7, 0.5, "heads"),
    }
    layer: dict[str, Box] = {
        "states [B, S, H]": (4.0, 0.05, 2.2, 0.4, "text"),
        "self-attention": (4.0, 1.05, 2.2, 0.4, "attention"),
        "add, then LayerNorm": (4.0, 1.75, 2.2, 0.4, "norm"),
        "feed-forward network\nH → 4 H → H": (4.0, 2.45, 2.2, 0.6, "feed-forward"),
        "add, then LayerNorm ": (4.0, 3.35, 2.2, 0.4, "norm"),  # the space tells the two apart
        "new states [B, S, H]": (4.0, 4.6, 2.2, 0.4, "text"),
    }
    frames: dict[str, Box] = {
        "L layers": (0.25, 1.65, 2.5, 1.72, "group"),
        "one layer": (3.6, 0.75, 3.8, 3.6, "group"),
    }
    straight = [
        ("L layers", "masked-LM head"),
        ("L layers", "pooler"),
        ("pooler", "next-sentence head"),
    ]
    residual = [
        ("states [B, S, H]", "add, then LayerNorm", 6.8),
        ("add, then LayerNorm", "add, then LayerNorm ", 6.8),
    ]
    arrows: list[Arrow] = [*pairwise(_names(bert)), *straight, *pairwise(_names(layer)), *residual]
    return diagram(frames | bert | heads | layer, arrows, size=(7.5, 5.1))


def _names(boxes: dict[str, Box]) -> list[str]:
    return [label.partition("\n")[0] for label in boxes]
