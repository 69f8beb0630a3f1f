"""What each widget draws is what Python computed: every chip, number, dot and curve at its place.

As a still shows it: the widget as it stands, on a page of its own.
"""

import json
import re
from collections.abc import Callable
from math import log

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bertedu import Bert, BertConfig, BertForPreTraining, load_tokenizer
from bertedu.classroom.stills import page_of, stored
from bertedu.finetuning.slot_filling import mend
from bertedu.pretraining import Evaluation, PretrainingStep
from bertedu.widgets import (
    AttentionExplorer,
    AttentionStep,
    EmbeddingSum,
    Journey,
    MaskExplorer,
    PairExplorer,
    SpanExplorer,
    TextClassifier,
    TokenTagger,
    TrainingMonitor,
    WordPieceExplorer,
)
from bertedu.widgets.embedding_sum import EVERYTHING
from bertedu.widgets.palette import STATIC
from bertedu.widgets.words import readable, visible_text
from tests.finetuned_models import finetuned, unpacked

TOKENIZER = load_tokenizer()
PALETTE = json.loads((STATIC / "palette.json").read_text())
ROWS = "all => all.map(node => [...node.children].map(part => part.textContent))"
DOTS = "c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"


@pytest.fixture(scope="module")
def drawn(new_page) -> Callable[..., object]:
    """Draws a widget on an otherwise empty page, and returns its root element."""
    page = new_page()

    def draw(widget):
        page.set_content(page_of(stored(widget)))
        root = page.locator(".bertedu-still > div > .bertedu")
        root.wait_for()
        page.evaluate("() => new Promise(requestAnimationFrame)")
        return root

    return draw


@pytest.fixture(scope="module")
def bert() -> Bert:
    torch.manual_seed(0)
    config = BertConfig(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=3, initializer_range=0.4
    )
    return Bert(BertForPreTraining(config), TOKENIZER)


def rows(locator) -> list[list[str]]:
    """The texts of each element's parts: of a chip, the piece and the lines beneath it."""
    return locator.evaluate_all(ROWS)


def share(value: float) -> str:
    return f"{100 * value:.1f} %"


def colours(stops: list[str], shares: np.ndarray) -> np.ndarray:
    """The colours of a scale, [..., 3]: 0 is its beginning, 1 its end."""
    ends = np.array([list(bytes.fromhex(stop[1:])) for stop in stops])
    place = np.clip(shares, 0, 1) * (len(stops) - 1)
    low = np.minimum(place.astype(int), len(stops) - 2)
    return ends[low] + (place - low)[..., None] * (ends[low + 1] - ends[low])


# ---- chips -------------------------------------------------------------------------------------


@pytest.mark.parametrize("masks", [40, 0])
def test_each_token_has_its_own_id_and_label_in_order(drawn, masks: int) -> None:
    widget = MaskExplorer("my dog is hairy and unaffable", "he likes it", seed=3)
    widget.settings = widget.settings | {"rate": 60, "mask": masks, "random": 40}
    ids, names = widget._encoding.input_ids.tolist(), ["", "masked", "random", "kept"]
    kinds = set()
    for roll in range(8):
        widget.settings = widget.settings | {"roll": roll}
        expected = []
        for i, fate in enumerate(widget.fates[roll].tolist()):
            kinds.add(fate)
            piece, seen = widget._encoding.tokens[i], ids[i]
            if fate == 1:
                piece, seen = "[MASK]", TOKENIZER.mask_token_id
            elif fate == 2:
                seen = int(widget._pool[int(widget._random[roll, i])])
                piece = f"{piece} {visible_text(TOKENIZER.tokens[seen])}"  # the first is struck
            label = str(ids[i] if fate else -100)
            expected.append([piece, str(seen), label, names[fate] or "\u00a0"])
        root = drawn(widget)
        assert rows(root.locator("[aria-label=Tokens] .be-chip")) == expected
        struck = root.locator(".be-chip s").all_text_contents()
        assert struck == [widget._encoding.tokens[i] for i in (widget.fates[roll] == 2).nonzero()]
    assert kinds == ({0, 1, 2, 3} if masks else {0, 2, 3})
    counted = root.locator(".be-histograms figcaption").all_inner_texts()
    chosen = int((widget.fates != 0).sum())
    for fate, text in enumerate(counted, 1):
        count = int((widget.fates == fate).sum())
        assert (
            f"{names[fate]} {count:,} of {chosen:,} chosen tokens: {share(count / chosen)}" in text
        )


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.text(max_size=60), st.none() | st.text(max_size=20))
def test_every_text_becomes_chips_that_can_be_read(drawn, text: str, pair: str | None) -> None:
    widget = WordPieceExplorer(text, pair)
    encoding = TOKENIZER.encode(text, pair)
    assert rows(drawn(widget).locator("[aria-label=Tokens] .be-chip")) == [
        [visible_text(token), str(index), "\u00a0" if added else f"{start}–{end}"]
        for token, index, added, (start, end) in zip(
            encoding.tokens,
            encoding.input_ids.tolist(),
            encoding.special_tokens_mask,
            encoding.offsets,
            strict=True,
        )
    ]
    widget.close()


def test_each_word_stands_over_its_own_effect_and_attention(drawn) -> None:
    widget = TextClassifier(finetuned("classification"), "a warm, funny, unaffable film")
    for label in widget.labels:
        widget.settings = {"label": label, "attention": True}
        root = drawn(widget)
        assert f"What each word adds to the probability of “{label}”" in root.inner_text()
        effects = 100 * widget.effects[:, widget.labels.index(label)]
        told = [f"{effect:+.1f}".replace("-", "−") for effect in effects]
        assert rows(root.locator(".be-chips .be-chip")) == [
            [word, "0.0" if effect[1:] == "0.0" else effect, share(attention)]
            for word, effect, attention in zip(widget.words, told, widget._attention, strict=True)
        ]
    assert [[row[0], row[-1]] for row in rows(root.locator(".be-labels .be-share"))] == [
        [label, share(p)] for label, p in zip(widget.labels, widget.probabilities, strict=True)
    ]


@pytest.mark.parametrize("flips", [{}, {"1": "I-date"}, {"0": "B-city", "1": "I-date"}])
def test_each_word_has_its_own_pieces_label_and_probabilities(drawn, flips) -> None:
    widget = TokenTagger(finetuned("slot_filling"), "book an unaffable flight to Taipei")
    widget.settings = {"flips": flips}
    found, (legal, mended) = widget.prediction, mend(widget.labels)
    root = drawn(widget)
    cards = root.locator(".be-card")
    pieces = cards.evaluate_all(
        "all => all.map(c => [...c.querySelectorAll('.be-chip')]"
        ".map(chip => [...chip.children].map(part => part.textContent)))"
    )
    assert pieces == [
        [[piece, "−100" if n else "label"] for n, piece in enumerate(word)] for word in found.pieces
    ]
    tags = [text.removesuffix(" ✎") for text in root.locator(".be-tag").all_text_contents()]
    assert tags == [
        f"{raw} ✗ {legal[w]}" if w in mended else raw for w, raw in enumerate(widget.labels)
    ]
    assert mended
    best = found.probabilities.sort(descending=True, stable=True)
    for w in range(len(found.words)):
        assert rows(cards.nth(w).locator(".be-few")) == [
            [found.labels[k], share(p)]
            for p, k in zip(best.values[w, :3].tolist(), best.indices[w, :3].tolist(), strict=True)
        ]
    told = root.locator(".be-verdict").inner_text()
    for slot in widget.slots:
        assert f"{slot.label} “{slot.text}”" in told


def test_each_document_token_has_its_word_and_both_probabilities(drawn) -> None:
    widget = SpanExplorer(
        finetuned("question_answering"),
        "What causes precipitation to fall?",
        "In meteorology, precipitation is any product of the condensation of water vapor.",
    )
    root, found = drawn(widget), widget.prediction
    starts, ends = (x.double().softmax(0).tolist() for x in (found.start_logits, found.end_logits))
    words = unpacked(widget.data)["words"]
    tokens = root.locator(".be-document button")
    assert tokens.all_text_contents() == found.tokens
    assert tokens.evaluate_all("all => all.map(b => b.getAttribute('aria-description'))") == [
        f"start {share(start)}, end {share(end)}" for start, end in zip(starts, ends, strict=True)
    ]
    numbers = root.locator(".be-document .be-small").all_text_contents()
    first = [n for n in range(len(words)) if n and words[n] != words[n - 1] and words[n]]
    assert {n: text for n, text in enumerate(numbers) if text != "\u00a0"} == {
        n: str(words[n]) for n in first
    }
    answers = [row[1:4] for row in rows(root.locator(".be-answer"))]
    assert answers[: len(found.spans)] == [
        [readable(s.text), f"({s.first_word}, {s.last_word})", share(s.probability)]
        for s in found.spans
    ]
    assert ["no answer", "[CLS]", share(found.no_answer_probability)] in answers


@pytest.mark.parametrize("token", [None, 2])
def test_each_answering_token_has_what_the_head_gives_it(drawn, bert, token) -> None:
    widget = AttentionExplorer("my dog is cute", None, bert)
    widget.settings = widget.settings | {"layer": 2, "head": 1, "token": token}
    probs = bert.attention("my dog is cute")[1, 0]
    shares = probs.mean(0) if token is None else probs[token]
    assert rows(drawn(widget).locator("[data-target][data-panel='0']")) == [
        [piece, share(p)]
        for piece, p in zip(bert.encode("my dog is cute").tokens, shares.tolist(), strict=True)
    ]


@pytest.mark.parametrize(
    "change", [{}, {"stage": 4}, {"temperature": 0.25, "scaled": False}, {"temperature": 4}]
)
def test_the_step_draws_the_heads_own_numbers(drawn, bert, change) -> None:
    """Strips, scores, shares and the output; each ribbon is as wide as its share."""
    widget = AttentionStep("my dog is cute", bert, layer=2, head=3, token=2)
    widget.settings = widget.settings | change
    root, trace = drawn(widget), bert.trace("my dog is cute")
    keys, values = (part[1, 2].double() for part in (trace.key, trace.value))
    shares, divisor = widget.shares.tolist(), change.get("temperature", 1)
    divisor *= 8**0.5 if widget.settings["scaled"] else 1
    if not {"temperature", "scaled"} & change.keys():
        assert shares == pytest.approx(trace.attention_probs[1, 2, 2].tolist(), abs=1e-6)
    numbers = root.locator(".be-scores .be-row").evaluate_all(ROWS)
    raw, divided = np.array([[float(x.replace("−", "-")) for x in row[2:]] for row in numbers]).T
    assert raw == pytest.approx(widget.scores.numpy(), abs=0.0051)
    assert divided == pytest.approx(widget.scores.numpy() / divisor, abs=0.0051)
    assert [row[0] for row in numbers] == trace.encoding.tokens
    assert [row[-1] for row in rows(root.locator(".be-shares .be-row"))] == list(map(share, shares))
    tracks = root.locator(".be-shares .be-track").evaluate_all(
        "all => all.map(t => t.firstChild.offsetWidth / t.offsetWidth)"
    )
    assert tracks == pytest.approx(shares, abs=0.03)  # of a bar's border, too
    weighted = values if change.get("stage") == 4 else widget.shares[:, None] * values
    mixed = [*weighted] if change.get("stage") == 4 else [*weighted, widget.output]
    queries = torch.stack([widget.query, *keys]).abs().max()
    extreme = torch.stack(mixed).abs().max()
    for name, strips, end in (
        ("query", widget.query[None], queries), ("key", keys, queries),
        ("value", weighted, extreme), ("output", widget.output[None], extreme),
    ):  # fmt: skip
        dots = root.locator(f"canvas[data-kind={name}]").evaluate_all(f"all => all.map({DOTS})")
        shown = np.array(dots).reshape(*strips.shape, 4)[..., :3]
        expected = colours(PALETTE["diverging"], (strips / end + 1).numpy() / 2)
        assert np.abs(shown - expected).max() <= 1, name
    assert root.locator("canvas[data-kind=output]").is_visible() == (change.get("stage") is None)
    ribbons = root.locator(".be-flow path").evaluate_all(
        "all => all.map(p => [p.dataset.row, p.getAttribute('stroke-width')])"
    )
    wide = {int(row): float(width) for row, width in ribbons}
    assert [wide[i] for i in range(6)] == pytest.approx([max(0.75, 16 * p) for p in shares])


@pytest.mark.parametrize("compare", ["input", "before", "token"])
def test_the_journeys_panels_have_the_pinned_tokens_numbers(drawn, bert, compare: str) -> None:
    text, pair = "my dog is [MASK]", "he likes it"
    widget = Journey(text, pair, bert, {"inference": lambda *_: ["entailment 8 %"]})
    widget.settings = widget.settings | {"layer": 2, "token": 2, "compare": compare, "open": 6}
    root, encoding = drawn(widget), bert.encode(text, pair)
    assert rows(root.locator(".be-panel-1 .be-chip")) == [
        [piece, str(index)]
        for piece, index in zip(encoding.tokens, encoding.input_ids.tolist(), strict=True)
    ]
    fates, expected = ["", "masked", "random", "kept"], []
    for place in widget.rolls()[0]:
        piece, was = visible_text(place["token"]), encoding.tokens[place["position"]]
        piece = f"{was} {piece}" if place["fate"] == 2 else piece
        expected.append([piece, fates[place["fate"]]])
    assert [row[:2] for row in rows(root.locator(".be-panel-2 .be-chip"))] == expected
    states = bert.hidden_states(text, pair)
    before = torch.cat([states[:1], states[:-1]])
    other = {"input": states[:1], "before": before, "token": states[:, 2:3]}[compare]
    cosines = torch.cosine_similarity(states, other, dim=-1)
    for stage in (1, 2):
        told = root.locator(f".be-state[data-stage='{stage}']").all_text_contents()
        got = [float(value.replace("−", "-")) for value in told]
        assert got == pytest.approx(cosines[stage].tolist(), abs=0.006)
    shares = [float(text) for text in root.locator(".be-shares .be-cell").all_text_contents()]
    assert shares == pytest.approx(
        (100 * bert.attention(text, pair)[1].mean(0)[2]).tolist(), abs=0.51
    )
    [guess, *_] = widget.guesses(2)
    assert guess.token in root.locator(".be-card").first.inner_text()
    assert f"{share(widget.stages.follows)} that it follows" in root.inner_text()
    widget.settings = widget.settings | {"open": 7}
    assert "entailment 8 %" in drawn(widget).inner_text()


def test_a_journey_without_heads_says_so(drawn, tmp_path) -> None:
    bare = Bert(BertForPreTraining(BertConfig(hidden_size=12, num_attention_heads=2)), TOKENIZER)
    bare.missing = ("cls.predictions.bias", "cls.seq_relationship.weight")
    widget = Journey("my [MASK]", "he", bare)
    assert widget.stages.probs is widget.stages.follows is None
    told = drawn(widget).inner_text()
    assert "no next-sentence head" in told
    assert "–" in told  # in place of a guess


# ---- dots ----------------------------------------------------------------------------------------


def test_the_overview_shows_each_heads_map_at_its_place(drawn, bert) -> None:
    """Every dot has the colour of its probability, and the chosen head is marked."""
    widget = AttentionExplorer("my dog is cute", None, bert)
    widget.settings = widget.settings | {"layer": 2, "head": 3}
    root = drawn(widget)
    mosaic = root.locator("canvas.be-mosaic")
    cell, (layers, heads) = 72, (2, 3)
    dots = np.array(mosaic.evaluate(DOTS)).reshape(layers * cell, heads * cell, 4)[..., :3]
    header = unpacked(widget.data)
    levels = header["maps0"] / 255 / header["darkest"]
    middles = 4 + ((np.arange(6) + 0.5) * (cell - 8) / 6).astype(int)
    for row, column in np.ndindex(layers, heads):
        shown = dots[row * cell + middles][:, column * cell + middles]
        expected = colours(PALETTE["sequential"], levels[row, column])
        assert np.abs(shown - expected).max() <= 3  # one step of 255
    marked = root.locator(".be-heads button[aria-pressed=true], .be-heads .be-chosen")
    assert (marked.get_attribute("data-layer"), marked.get_attribute("data-head")) == ("2", "3")


def test_each_matrix_of_the_embedding_sum_has_its_own_values(drawn, bert) -> None:
    widget = EmbeddingSum("my dog is cute", "he likes play ##ing", bert)
    widget.settings = widget.settings | {"segment": False, "head": 2, "dimensions": [0, 20]}
    root = drawn(widget)
    token, _, position = widget.terms
    plain, normed = widget.scales
    expected = {
        "token": (token, plain), "segment": (torch.zeros_like(token), plain),
        "position": (position, plain), "sum": (widget.summed, plain),
        "what the first layer reads": (widget.states, normed),
    }  # fmt: skip
    expected = {name: (each[:, :20] / size + 1) / 2 for name, (each, size) in expected.items()}
    before, now = widget.attention(EVERYTHING), widget.attention()
    highest, change = max(before.max(), now.max()), now - before
    expected |= {
        "attention with everything on": before / highest,
        "attention now": now / highest,
        "change of attention": (change / change.abs().max() + 1) / 2,
        "learned positions": (widget.cosines[0] + 1) / 2,
        "sinusoidal positions": (widget.cosines[1] + 1) / 2,
    }
    for name, shares in expected.items():
        stops = PALETTE["sequential" if name.startswith("attention") else "diverging"]
        dots = np.array(root.locator(f".be-heat[aria-label^='{name};'] canvas").evaluate(DOTS))
        shown = dots.reshape(*shares.shape, 4)[..., :3]
        # What travels in half precision may lie one step of 255 off.
        assert np.abs(shown - colours(stops, shares.numpy())).max() <= 2, name


# ---- points and curves ---------------------------------------------------------------------------


def test_a_point_lies_where_its_probabilities_say(drawn) -> None:
    tries = [("the cute dog likes playing", f"an animal {n}") for n in range(2)]
    widget = PairExplorer(finetuned("inference"), *tries[0], tries)
    root = drawn(widget)

    def numbers(text: str) -> list[float]:
        return [float(x) for x in re.findall(r"-?[\d.]+", text)]

    edge = numbers(root.locator(".be-edge").get_attribute("d"))
    corners = np.array(edge).reshape(3, 2)
    for name, shares in (
        ("now", [widget.probabilities]), ("alone", [widget.alone]), ("try", widget.trail),
    ):  # fmt: skip
        marks = root.locator(f".be-mark-{name}").all()
        places = [numbers(mark.get_attribute("transform")) for mark in marks]
        moved = np.array(places) - np.array(shares) @ corners
        if name == "try":  # the first is the pair itself: it stands beside it, 21 px a step
            moved[:, 0] -= 21 * np.round(moved[:, 0] / 21)
        assert np.abs(moved).max() <= 0.11, name
    assert root.locator(".be-lead").count() >= 1
    assert root.locator(".be-mark-try text").all_text_contents() == ["1", "2"]


def monitor(held_out: float, *losses: float) -> TrainingMonitor:
    shown = TrainingMonitor(10, 6.5)
    for step, loss in enumerate(losses):
        shown.add(PretrainingStep(step, loss, loss / 8, 1e-3, 900, 0.1))
    shown.evaluated(len(losses), Evaluation(held_out, 0.6, 0.6, 0.7, 6.5, 100, 10))
    shown.predicted(len(losses), [("the <b> [MASK]", ["sun", "rain", "sea"])])
    return shown


def test_the_curves_lie_where_the_losses_say(drawn) -> None:
    losses = [6.9 - 0.2 * step + 0.05 * (step % 3) for step in range(10)]
    root = drawn(monitor(5.0, *losses))
    told = root.locator("svg.be-curve text").all_text_contents()
    for expected in (
        "unigram 6.50",
        f"ln 2, a coin {log(2):.2f}",
        "held out 5.00",
        "held out 0.60",
    ):
        assert expected in told
    assert rows(root.locator(".be-answers tr"))[1] == ["10", "sun rain sea"]
    assert "the <b> [MASK]" in root.inner_text()
    for column, (baseline, held_out) in enumerate(((6.5, 5.0), (log(2), 0.6))):
        curve = root.locator("svg.be-curve").nth(column)
        raw, smooth, base = (
            np.array(re.findall(r"[\d.]+", curve.locator(f".be-{name}").get_attribute("d")), float)
            for name in ("raw", "smooth", "baseline")
        )
        height = float(curve.locator("circle").get_attribute("cy"))
        slope = (height - base[1]) / (held_out - baseline)  # pixels a nat
        expected = [base[1] + slope * (loss / (8 if column else 1) - baseline) for loss in losses]
        inside = np.clip(expected, 10, 166)  # an outlier is drawn at the edge
        points = raw.reshape(-1, 2)
        assert points[:, 1] == pytest.approx(inside, abs=0.2)
        assert np.diff(points[:, 0]) == pytest.approx(points[1, 0] - points[0, 0], abs=0.15)
        assert smooth[-1] == pytest.approx(float(np.mean(expected)), abs=0.2)


def test_a_run_that_diverged_is_still_drawn(drawn) -> None:
    root = drawn(monitor(float("nan"), 6.0, float("nan"), float("nan")))
    assert "NaN" not in root.locator(".be-curves").inner_html()
