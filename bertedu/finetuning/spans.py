"""The span of a document that answers: every legal one is scored, and one softmax joins them all.

A span i..j scores start[i] + end[j]. It is legal when both ends lie in the document, the end does
not come before the start, and it is not too long.

Source: Devlin et al. 2019, sections 4.2 and 4.3; google-research/bert run_squad.py,
write_predictions.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from bertedu.encoding import Encoding, Offsets
from bertedu.errors import InputError


class Span(NamedTuple):
    """A span of tokens: both ends count from the document's first token and belong to it."""

    first: int
    last: int
    score: float
    probability: float


class SpanScores(NamedTuple):
    """The best spans, and what there is beside them.

    Attributes:
        spans: the likeliest first.
        no_answer_probability: 0 where no answer is not an option.
    """

    spans: list[Span]
    no_answer_probability: float


def legal_scores(start: Tensor, end: Tensor, max_tokens: int) -> Tensor:
    """Returns the scores of all legal spans: [D, M], row = first token, column = length - 1.

    Args:
        start: [D] logits of the document's tokens.
        end: the same.
        max_tokens: of a span, M at most.

    Returns:
        -inf where the span would go beyond the document.

    Example:
        >>> legal_scores(torch.tensor([1.0, 2.0]), torch.tensor([10.0, 20.0]), 2)
        tensor([[11., 21.],
                [22., -inf]])
    """
    most = max(1, min(max_tokens, len(start)))
    ends = F.pad(end, (0, most - 1), value=-torch.inf).unfold(0, most, 1)  # [D, M]
    return start[:, None] + ends


def best_spans(
    start: Tensor,
    end: Tensor,
    *,
    n_best: int = 20,
    max_tokens: int = 30,
    null_score: float | None = None,
) -> SpanScores:
    """Returns the n best legal spans, with their probabilities among all legal ones.

    Args:
        start: [D] logits of the document's tokens.
        end: the same.
        n_best: how many.
        max_tokens: of a span.
        null_score: of no answer, which then is one of the choices.

    Example:
        >>> scores = best_spans(torch.zeros(2), torch.zeros(2), null_score=0.0)
        >>> len(scores.spans), round(scores.no_answer_probability, 3)
        (3, 0.25)
    """
    scores = legal_scores(start.double(), end.double(), max_tokens)
    flat = scores.flatten()
    total = flat.logsumexp(0)
    null = -torch.inf if null_score is None else null_score
    total = torch.logaddexp(total, torch.tensor(null, dtype=torch.float64))
    best = flat.topk(min(n_best, int(flat.isfinite().sum())))
    probabilities = (best.values - total).exp().tolist()
    width = scores.shape[1]
    spans = [
        Span(index // width, index // width + index % width, score, probability)
        for index, score, probability in zip(
            best.indices.tolist(), best.values.tolist(), probabilities, strict=True
        )
    ]
    return SpanScores(spans, float((null - total).exp()))


def illegal_spans(size: int, document: int, max_tokens: int) -> dict[str, int]:
    """Returns how many pairs of positions are no answer, by the first reason that applies.

    Args:
        size: S, tokens of the whole input.
        document: D, those of the document.
        max_tokens: of a span.

    Example:
        >>> illegal_spans(size=5, document=3, max_tokens=2)
        {'outside the document': 16, 'end before start': 3, 'too long': 1}
    """
    beyond = max(0, document - max_tokens)
    return {
        "outside the document": size * size - document * document,
        "end before start": document * (document - 1) // 2,
        "too long": beyond * (beyond + 1) // 2,
    }


class Windows(NamedTuple):
    """Where the windows of one document lie, and the document put together again.

    Attributes:
        first: position of the document's first token in each window.
        starts: index of each window's first token in the document.
        stops: index after its last one.
        tokens: [CLS] question [SEP] document [SEP], the whole document.
        offsets: of these tokens.
    """

    first: int
    starts: list[int]
    stops: list[int]
    tokens: list[str]
    offsets: list[Offsets]


def windows_of(encodings: Sequence[Encoding], overlap: int) -> Windows:
    """Returns how windows made by `BertTokenizer.encode_windows` lie.

    Args:
        encodings: all windows of one document, in order.
        overlap: as they were made with.
    """
    first = int(encodings[0].token_type_ids.argmax())  # position of the first 1
    lengths = [len(encoding) - first - 1 for encoding in encodings]  # without the last [SEP]
    starts = [index * (lengths[0] - overlap) for index in range(len(encodings))]
    stops = [start + length for start, length in zip(starts, lengths, strict=True)]
    tokens, offsets = encodings[0].tokens[:first], encodings[0].offsets[:first]
    for encoding, start in zip(encodings, starts, strict=True):
        known = len(tokens) - first - start  # tokens that the window before had, too
        tokens += encoding.tokens[first + known : -1]
        offsets += encoding.offsets[first + known : -1]
    return Windows(first, starts, stops, [*tokens, encodings[0].tokens[-1]], [*offsets, (0, 0)])


def best_window(windows: Windows) -> Tensor:
    """Returns, for each token of the document, the window that shows it with the most context.

    The context is the smaller of what the window holds on the token's left and on its right; on
    a tie, the first window counts. int64 [D].

    Source: google-research/bert run_squad.py, _check_is_max_context.

    Example:
        >>> best_window(Windows(0, [0, 2], [4, 6], [], [])).tolist()
        [0, 0, 0, 1, 1, 1]
    """
    best = torch.full((windows.stops[-1],), -1)
    chosen = torch.zeros_like(best)
    for index, (start, stop) in enumerate(zip(windows.starts, windows.stops, strict=True)):
        left = torch.arange(stop - start)
        context = torch.minimum(left, left.flip(0))
        better = context > best[start:stop]
        best[start:stop] = torch.where(better, context, best[start:stop])
        chosen[start:stop] = torch.where(better, index, chosen[start:stop])
    return chosen


def merge_logits(windows: Windows, logits: Sequence[Tensor]) -> Tensor:
    """Returns one row of logits for the whole document, each token's from its best window.

    Before the document stand those of the window whose [CLS] scores least: it is the surest that
    the answer is there.

    Args:
        windows: where they lie.
        logits: of each window, [S, 2].

    Returns:
        [S, 2] for the tokens of `windows.tokens`.

    Raises:
        InputError: as many windows and logits are needed.
    """
    if len(logits) != len(windows.starts):
        raise InputError(f"{len(windows.starts)} windows have {len(logits)} outputs")
    surest = min(logits, key=lambda of_window: float(of_window[0].sum()))
    if len(logits) == 1:
        return logits[0]
    chosen = best_window(windows)
    document = logits[0].new_empty(len(chosen), 2)
    for index, (start, stop) in enumerate(zip(windows.starts, windows.stops, strict=True)):
        mine = chosen[start:stop] == index
        document[start:stop][mine] = logits[index][windows.first : -1][mine]
    return torch.cat([surest[: windows.first], document, surest[-1:]])
