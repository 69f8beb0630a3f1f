"""The widgets of the four fine-tuning cases, used as a person would, on one page.

What appears is what the library says: the same small models are built here and in the kernel.
"""

import re

import pytest

from bertedu.widgets import PairExplorer, SpanExplorer, TextClassifier
from tests.finetuned_models import finetuned

# One of the texts is of a language that the vocabulary lacks, which the library says.
pytestmark = pytest.mark.filterwarnings("ignore:.*tokens are .UNK.")

HOSTILE = "<script>window.hurt=1</script> <img src=x onerror='window.hurt=1'>"
NASTY = [HOSTILE, "שלום 你好 \N{DOG FACE}", "word " * 200]
FILM, REQUEST = "a warm, funny, unaffable film", "book an unaffable flight to Taipei"
PREMISE, HYPOTHESIS = "the cute dog likes playing", "an animal is outside"
QUESTION = "What causes precipitation to fall?"
DOCUMENT = (
    "In meteorology, precipitation is any product of the condensation of atmospheric water vapor "
    "that falls under gravity. Its forms include drizzle, rain, sleet, snow, graupel and hail."
)


@pytest.fixture(scope="module")
def page(lab, open_notebook):
    lab.write(
        "finetuned.ipynb",
        "from tests.finetuned_models import finetuned\nfrom bertedu.widgets import *",
        f"TextClassifier(finetuned('classification'), {FILM!r})",
        f"TokenTagger(finetuned('slot_filling'), {REQUEST!r})",
        f"PairExplorer(finetuned('inference'), {PREMISE!r}, {HYPOTHESIS!r})",
        f"SpanExplorer(finetuned('question_answering'), {QUESTION!r}, {DOCUMENT!r})",
    )
    page = open_notebook("finetuned.ipynb")
    page.locator(".be-span-explorer").wait_for()
    return page


def widget_of(page, name: str, *texts: str):
    """A widget on its first texts, nothing pinned."""
    widget = page.locator(f".be-{name}")
    widget.scroll_into_view_if_needed()
    type_texts(widget, *texts)
    widget.locator("button").first.focus()
    page.keyboard.press("Escape")
    return widget


def type_texts(widget, *texts: str) -> None:
    for box, text in zip(widget.locator("textarea").all(), texts, strict=True):
        box.fill(text)
    widget.page.wait_for_function("node => !node.ariaBusy", arg=widget.element_handle())


def texts_of(locator) -> list[str]:
    return [text.replace("−", "-") for text in locator.all_inner_texts()]


def percents(locator) -> list[float]:
    return [float(text.removesuffix(" %")) for text in texts_of(locator)]


def unhurt(widget) -> None:
    assert widget.locator("img, script").count() == 0
    assert widget.page.evaluate("window.hurt") is None


# ---- TextClassifier --------------------------------------------------------------------------


@pytest.fixture
def classifier(page):
    return widget_of(page, "text-classifier", FILM)


def effects_agree(widget, text: str) -> None:
    twin = TextClassifier(finetuned("classification"), text)
    assert percents(widget.locator(".be-labels .be-percent")) == pytest.approx(
        (100 * twin.probabilities).tolist(), abs=0.11
    )
    best = int(twin.probabilities.argmax())
    told = texts_of(widget.locator(".be-chips .be-small"))
    assert [float(text) for text in told] == pytest.approx(
        (100 * twin.effects[:, best]).tolist(), abs=0.11
    )
    twin.close()


@pytest.mark.parametrize("text", ["my dog is cute", *NASTY])
def test_a_typed_text_is_classified_without_each_of_its_words(classifier, text: str) -> None:
    type_texts(classifier, text)
    effects_agree(classifier, text)
    unhurt(classifier)


def test_the_other_label_and_a_word_by_the_keyboard(classifier) -> None:
    before = [float(text) for text in texts_of(classifier.locator(".be-chips .be-small"))]
    classifier.locator('.be-labels [aria-pressed="false"]').click()
    after = [float(text) for text in texts_of(classifier.locator(".be-chips .be-small"))]
    assert after == pytest.approx([-each for each in before], abs=0.11)
    classifier.locator(".be-chips button").first.focus()
    for key in ("ArrowRight", "ArrowRight", "Enter"):
        classifier.page.keyboard.press(key)
    line = classifier.locator(".be-line")
    assert line.inner_text().startswith("Pinned: without “,” (word 3): negative ")
    classifier.page.keyboard.press("Escape")
    assert line.inner_text().startswith("Hover shows")
    classifier.locator('.be-labels [aria-pressed="false"]').click()


def test_nothing_typed_and_too_much_typed(classifier) -> None:
    type_texts(classifier, "")
    assert classifier.locator(".be-status").inner_text().startswith("No word yet")
    type_texts(classifier, "word " * 300)
    assert "302 tokens and this picture shows at most 256" in classifier.inner_text()


# ---- TokenTagger -----------------------------------------------------------------------------


@pytest.fixture
def tagger(page):
    return widget_of(page, "token-tagger", REQUEST)


@pytest.mark.parametrize("text", ["fly to Paris on November 2nd", *NASTY])
def test_a_typed_request_is_tagged_as_the_library_tags_it(tagger, text: str) -> None:
    type_texts(tagger, text)
    theirs = finetuned("slot_filling").predict(text)
    told = [re.sub(r".*✗ ", "", each) for each in texts_of(tagger.locator(".be-tag"))]
    assert told == theirs.tags
    assert [each.strip() for each in texts_of(tagger.locator(".be-slot-label"))] == [
        slot.label for slot in theirs.slots
    ]
    unhurt(tagger)


def test_an_illegal_label_is_made_shown_and_mended_and_taken_back(tagger) -> None:
    cards = tagger.locator(".be-card")
    for number in (4, 5):
        cards.nth(number).click()
        label = "O" if number == 4 else "I-city"
        tagger.locator(".be-choices").get_by_text(label, exact=True).click()
    verdict = tagger.locator(".be-verdict")
    assert "✗ I-city after O continues nothing, so it is read as B-city." in verdict.inner_text()
    assert "city “Taipei” (word 6, characters 28 to 34)" in verdict.inner_text()
    tagger.get_by_role("button", name="The model's own labels").click()
    theirs = finetuned("slot_filling").predict(REQUEST)
    assert texts_of(tagger.locator(".be-slot-label")) == [slot.label for slot in theirs.slots]


def test_pieces_after_the_first_are_ignored_and_a_word_is_pinned_by_the_keyboard(tagger) -> None:
    assert texts_of(tagger.locator(".be-card").nth(2).locator(".be-small")) == [
        "label", "-100", "-100"
    ]  # fmt: skip
    tagger.locator(".be-card").first.focus()
    for key in ("ArrowRight", "ArrowRight", "Enter"):
        tagger.page.keyboard.press(key)
    told = tagger.locator(".be-line").inner_text()
    assert told.startswith("Pinned: “unaffable” (word 3)")
    assert "pieces una ##ffa ##ble: only una is asked" in told
    theirs = finetuned("slot_filling").predict(REQUEST).probabilities[2]
    assert percents(tagger.locator(".be-choices .be-percent")) == pytest.approx(
        sorted((100 * theirs).tolist(), reverse=True), abs=0.11
    )


# ---- PairExplorer ----------------------------------------------------------------------------


@pytest.fixture
def pairs(page):
    return widget_of(page, "pair-explorer", PREMISE, HYPOTHESIS)


def points_agree(widget, premise: str, hypothesis: str) -> None:
    twin = PairExplorer(finetuned("inference"), premise, hypothesis)
    for row, shares in ((".be-row-now", twin.probabilities), (".be-row-alone", twin.alone)):
        told = percents(widget.locator(f"{row} td:not(:first-child)"))
        assert told == pytest.approx((100 * shares).tolist(), abs=0.11)
    twin.close()


@pytest.mark.parametrize("text", NASTY)
def test_a_typed_pair_moves_the_point(pairs, text: str) -> None:
    type_texts(pairs, text if len(text) < 500 else PREMISE, text)
    points_agree(pairs, text if len(text) < 500 else PREMISE, text)
    unhurt(pairs)


def test_one_word_is_edited_and_the_earlier_try_stays(pairs) -> None:
    pairs.locator("textarea").nth(1).press("Enter")  # looked at
    before = pairs.locator(".be-mark-try").count()
    old = pairs.locator(".be-mark-now").get_attribute("transform")
    pairs.locator(".be-words-b .be-word").last.click()
    pairs.page.keyboard.type("asleep")
    pairs.page.wait_for_function(
        "node => node.querySelector('.be-words-b').textContent.includes('asleep')"
        " && !node.ariaBusy",
        arg=pairs.element_handle(),
    )
    points_agree(pairs, PREMISE, "an animal is asleep")
    assert "B: outside → asleep" in pairs.locator(".be-row-now").inner_text()
    assert pairs.locator(".be-mark-try").count() == min(before + 1, 12)
    tried = pairs.locator(".be-mark-try").last.get_attribute("transform")
    (x, y), (was_x, was_y) = (map(float, text[10:-1].split()) for text in (tried, old))
    assert y == was_y
    assert round(x - was_x, 1) % 21 == 0  # beside the marks that have its place, 21 px a step
    pairs.locator(".be-try").nth(-3).click()  # the last try, before the pair and B alone
    pairs.get_by_role("button", name="Put these words back").click()
    pairs.page.wait_for_function(
        "node => node.querySelector('.be-words-b').textContent.includes('outside')"
        " && !node.ariaBusy",
        arg=pairs.element_handle(),
    )
    points_agree(pairs, PREMISE, HYPOTHESIS)


# ---- SpanExplorer ----------------------------------------------------------------------------


@pytest.fixture
def spans(page):
    return widget_of(page, "span-explorer", QUESTION, DOCUMENT)


def answers_agree(widget, question: str, document: str) -> None:
    theirs = finetuned("question_answering").predict((question, document))
    told = widget.locator(".be-answer[data-answer]").evaluate_all(
        "rows => rows.map(row => [...row.children].map(cell => cell.textContent))"
    )
    assert len(told) == len(theirs.spans)
    (none,) = percents(widget.locator(".be-none span:nth-child(4)"))
    assert none == pytest.approx(100 * theirs.no_answer_probability, abs=0.11)
    for row, span in zip(told, theirs.spans, strict=True):
        assert row[2] == f"({span.first_word}, {span.last_word})"
        assert float(row[3].removesuffix(" %")) == pytest.approx(100 * span.probability, abs=0.11)


@pytest.mark.parametrize("text", NASTY)
def test_another_question_and_document_are_answered(spans, text: str) -> None:
    type_texts(spans, text if len(text) < 500 else QUESTION, text)
    answers_agree(spans, text if len(text) < 500 else QUESTION, text)
    unhurt(spans)


def test_two_clicks_and_the_arrow_keys_lead_to_any_pair(spans) -> None:
    twin = SpanExplorer(finetuned("question_answering"), QUESTION, DOCUMENT)
    gravity = twin.prediction.tokens.index("gravity")
    for _ in range(2):
        spans.locator(f'.be-document [data-place="{gravity}"]').click()
    line = spans.locator(".be-line")
    found = twin.prediction
    score = float(found.start_logits[gravity] + found.end_logits[gravity])
    assert f"(17, 17), positions {gravity} to {gravity}" in line.inner_text()
    told = re.search(r"score (-?[\d.]+\d)", line.inner_text().replace("−", "-"))
    assert float(told[1]) == pytest.approx(score, abs=0.006)
    spans.locator('.be-cell[aria-pressed="true"]').focus()
    spans.page.keyboard.press("ArrowLeft")
    assert "no answer: end before start" in line.inner_text()
    spans.page.keyboard.press("Escape")
    assert line.inner_text().startswith("Hover shows")
    twin.close()


def test_the_plane_and_the_rows_say_what_is_under_the_pointer(spans) -> None:
    size = len(finetuned("question_answering").predict((QUESTION, DOCUMENT)).tokens)
    plane = spans.locator("canvas.be-plane")
    plane.scroll_into_view_if_needed()
    side = plane.bounding_box()["width"]
    plane.click(position={"x": (12 + 0.5) * side / size, "y": (10 + 0.5) * side / size})
    assert "positions 10 to 12" in spans.locator(".be-line").inner_text()


def test_the_dot_products_add_up_to_the_logits(spans) -> None:
    theirs = finetuned("question_answering").predict((QUESTION, DOCUMENT))
    best = theirs.spans[0]
    logits = (theirs.start_logits[best.first_token], theirs.end_logits[best.last_token])
    told = texts_of(spans.locator(".be-dots .be-verdict b"))
    assert [float(told[0]), float(told[2])] == pytest.approx([float(x) for x in logits], abs=0.006)
    assert spans.locator(".be-part").count() == 2 * 16  # the largest


def test_the_threshold_silences_the_model(spans) -> None:
    slider = spans.locator("input[type=range]")
    slider.focus()
    spans.page.keyboard.press("Home")
    assert "there is none" in spans.locator(".be-reply").inner_text()
    spans.page.keyboard.press("End")
    assert "there is none" not in spans.locator(".be-reply").inner_text()


def test_an_empty_document_is_refused_in_a_sentence(spans) -> None:
    type_texts(spans, QUESTION, "")
    assert "is empty: give its text" in spans.locator(".be-status").inner_text()
    parts = spans.locator(":scope > *").evaluate_all(
        "all => all.map(n => [n.className, getComputedStyle(n).opacity])"
    )
    whole = {name for name, opacity in parts if opacity == "1"}
    whole.discard("be-told be-save")
    assert whole == {"be-inputs be-qa", "be-status be-problem", "be-foot", "be-tooltip"}


# ---- how they look ---------------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_they_look_as_they_should(theme: str, classifier, tagger, pairs, spans, look_at) -> None:
    widths = (1280, 800, 640)
    classifier.locator(".be-chips button").first.click()
    look_at(classifier, "text-classifier", theme, height=700, widths=widths)
    tagger.locator(".be-card").nth(2).click()
    look_at(tagger, "token-tagger", theme, height=1100, widths=widths)
    pairs.locator(".be-try").first.click()
    look_at(pairs, "pair-explorer", theme, height=900, widths=widths)
    spans.locator(".be-answer[data-answer]").nth(1).click()
    look_at(spans, "span-explorer", theme, height=2000, widths=widths)
