"""The museum's floor plan: its rooms and exhibits, each a link to its section of lesson 13."""

from collections.abc import Mapping
from itertools import pairwise

from bertedu.classroom.checks.progress import MEANING, SIGNS
from bertedu.classroom.figures import Arrow, Box, Diagram, diagram
from bertedu.classroom.lessons import Spot, linked_drawing

ROOMS = ("text", "masks", "pairs", "the model", "losses", "fine-tuning", "answers", "false alarms")
EXHIBITS: Mapping[int, tuple[int, str, str]] = {  # number: room, title, the check of its mend
    1: (1, "two best pairs", "best_pairs"),
    2: (1, "a switch that is always on", "wants_lower_case"),
    3: (1, "marks at the wrong place", "where_in_original"),
    4: (2, "nothing to guess", "fate_of_token"),
    5: (2, "too few random tokens", "fate_of_two_draws"),
    6: (2, "the answer is [PAD]", "may_be_chosen"),
    7: (2, "a [SEP] in the middle", "random_ids"),
    8: (3, "an accuracy that stops at 90 %", "other_sentence"),
    9: (3, "The lower, the better", "probability_of_next"),
    10: (3, "one sentence, one document", "corpus_text"),
    11: (4, "nearly LayerNorm", "bert_layer_norm"),
    12: (4, "one text instead of two", "token_types"),
    13: (4, "five hundred and ten words", "shortened"),
    14: (4, "Looking at nothing", "additive_mask"),
    15: (4, "shorter vectors beside padding", "attention_shares"),
    16: (4, "another output at every call", "attention_output"),
    17: (5, "A mask that does nothing", "real_slot_loss"),
    18: (5, "A low loss at fifty per cent", "next_sentence_loss"),
    19: (5, "a loss that stops at 0.55", "classifier_logits"),
    20: (6, "no parameter without decay", "without_decay"),
    21: (6, "two evaluations, two results", "sentence_states"),
    22: (6, "two persons become nine", "piece_labels"),
    23: (6, "A vector that depends on the batch", "mean_vector"),
    24: (7, "a probability of 8.5", "span_probability"),
    25: (7, "an empty answer", "best_span"),
    26: (7, "more text, fewer answers", "has_answer"),
    27: (7, "a question without an answer", "windows"),
}
FOR_CLASS = (9, 14, 17, 18, 23)

_WIDTH, _HEIGHT, _GAP = 1.72, 1.42, 0.2  # of a room, and between two, in inches


class FloorPlan:
    """The museum's rooms, in the order of the tour, with every exhibit as a link.

    Args:
        states: a check's name, and "right", "tried" or "", as the progress board has them.

    Example:
        >>> plan = FloorPlan({"best_pairs": "right"})
        >>> repr(plan).split("; ")[-1]
        'exhibit 1: right'
        >>> 'href="#Exhibit-9.-The-lower,-the-better"' in plan._repr_html_()
        True
    """

    def __init__(self, states: Mapping[str, str] | None = None) -> None:
        self.states, self.figure = states or {}, floor_plan_figure()

    def __repr__(self) -> str:
        seen = [
            f"exhibit {number}: {MEANING[state]}"
            for number, (*_, check) in EXHIBITS.items()
            if (state := self.states.get(check, ""))
        ]
        return "; ".join([f"floor plan of 8 rooms and {len(EXHIBITS)} exhibits", *seen])

    def _repr_html_(self) -> str:
        spots = [
            Spot(f"#{anchor(f'Room {room}: {name}')}", _room(room), name, f"Room {room}: {name}")
            for room, name in enumerate(ROOMS, 1)
        ]
        for number, (_, title, check) in EXHIBITS.items():
            state = self.states.get(check)
            mark = "" if state is None else SIGNS[state]
            said = title if state is None else f"{title} ({MEANING[state]})"
            spots.append(
                Spot(f"#{anchor(heading(number))}", _place(number), said, f"Exhibit {number}", mark)
            )
        return linked_drawing(self.figure, spots, repr(self))


def heading(number: int) -> str:
    """Returns the heading under which an exhibit stands.

    Example:
        >>> heading(9), heading(10)
        ('Exhibit 9. The lower, the better', 'Exhibit 10. Deeper: one sentence, one document')
    """
    deeper = "" if number in FOR_CLASS else "Deeper: "
    return f"Exhibit {number}. {deeper}{EXHIBITS[number][1]}"


def anchor(title: str) -> str:
    """Returns a heading's name in an address, as JupyterLab makes it."""
    return title.replace(" ", "-")


def floor_plan_figure() -> Diagram:
    """Returns the drawing: the rooms in the order of the tour; a star is an exhibit for class.

    Example:
        >>> floor_plan_figure().words.split("; ")[:2]
        ['Room 1: text → Room 2: masks', 'Room 2: masks → Room 3: pairs']
    """
    names = [f"Room {room}: {name}" for room, name in enumerate(ROOMS, 1)]
    boxes: dict[str, Box] = {name: (*_room(room), "group") for room, name in enumerate(names, 1)}
    for number in EXHIBITS:
        part, star = ("heads", " ★") if number in FOR_CLASS else ("text", "")
        boxes[f"{number}{star}"] = (*_place(number), part)
    doors: list[Arrow] = list(pairwise(names))
    return diagram(boxes, doors, size=(4 * _WIDTH + 3 * _GAP, 2 * _HEIGHT + _GAP))


_Place = tuple[float, float, float, float]


def _room(room: int) -> _Place:
    """Where a room is: four above, from left to right; four below, back again."""
    row, column = divmod(room - 1, 4)
    left = (column if row == 0 else 3 - column) * (_WIDTH + _GAP)
    return left, (1 - row) * (_HEIGHT + _GAP), _WIDTH, _HEIGHT


def _place(number: int) -> _Place:
    room = EXHIBITS[number][0]
    left, bottom, *_ = _room(room)
    row, column = divmod(sum(EXHIBITS[n][0] == room for n in range(1, number)), 3)
    return left + 0.09 + 0.53 * column, bottom + 0.62 - 0.52 * row, 0.48, 0.44
