"""Widgets in a page without Python, whose engine answers what a reader types; no network."""

from collections.abc import Callable
from pathlib import Path

import pytest

import bertedu
from bertedu import Bert, finetuning
from bertedu.classroom.book.site import _POLICY, write
from bertedu.data import QUESTIONS
from bertedu.finetuning import question_answering
from bertedu.finetuning.model import FineTuned
from bertedu.widgets import (
    AttentionExplorer,
    AttentionStep,
    EmbeddingSum,
    Journey,
    MaskExplorer,
    Patch,
    TextClassifier,
    TryIt,
    WordPieceExplorer,
)
from bertedu.widgets.static_page import engine_note, fragment, host_script
from bertedu.widgets.web_certificate import page_model
from bertedu.widgets.web_pack import (
    finetuned_checksum,
    model_checksum,
    tokenizer_checksum,
    web_pack,
)
from bertedu.widgets.web_page import pack_script, write_pack, write_page
from tests.browser.test_web_page import damaged, other_version
from tests.finetuned_models import finetuned
from tests.test_web_pack import TOKENIZER, adapter, bert

LESSON = """# %% [markdown]
# # 01 · A lesson

# %%
from bertedu.widgets import WordPieceExplorer
WordPieceExplorer("my dog")
"""


@pytest.fixture
def opened(new_page, tmp_path: Path) -> Callable[..., object]:
    """Opens a page of widgets beside the small model's engine and pack."""

    def open_page(*widgets: object, model: Bert | None = None, **adapters: FineTuned):
        model = model or bert()
        write_page(model, tmp_path)
        models = {tokenizer_checksum(TOKENIZER): "bert", model_checksum(model): "bert"}
        for name, tuned in adapters.items():
            write_pack(name, web_pack(tuned), tmp_path)
            models[finetuned_checksum(tuned)] = name
        note = engine_note(["bert"], models)
        (tmp_path / "widgets.html").write_text(
            '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>widgets</title>'
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
            f"<main>{''.join(map(fragment, widgets))}</main>{note}{host_script(widgets)}",
            encoding="utf-8",
        )
        page = new_page()
        page.set_default_timeout(30_000)
        page.goto((tmp_path / "widgets.html").as_uri())
        page.locator(".bertedu").nth(len(widgets) - 1).wait_for()
        return page

    return open_page


def idle(page) -> None:
    page.locator('.bertedu[aria-busy="true"]').first.wait_for(state="detached")


def test_pieces_of_what_is_typed(opened) -> None:
    page = opened(WordPieceExplorer("my dog"))
    widget = page.locator(".bertedu")
    box = widget.get_by_label("Text Segment A")
    assert not page.locator(".bertedu-int8").is_visible()
    box.fill("precipitation unaffable")  # the caret is in the last word
    widget.locator(".be-chip", has_text="##ffa").first.wait_for()
    idle(page)
    assert "Longest match first: unaffable" in widget.inner_text()
    assert page.locator(".bertedu-int8").is_visible()
    box.fill("a" * 2001)
    status = widget.locator(".be-status")
    page.locator(".be-problem").wait_for()
    assert "2,001 characters and this picture shows at most 2,000" in status.inner_text()
    assert widget.locator(".be-chip", has_text="##ffa").count() > 0  # the picture is the last one
    box.fill("my dog")
    page.locator(".be-problem").wait_for(state="detached")
    widget.get_by_label("Second text Segment B").fill("likes")
    widget.locator(".be-chip", has_text="likes").first.wait_for()


def test_attention_of_what_is_typed(opened) -> None:
    page = opened(AttentionExplorer("my dog", bert=bert()))
    widget = page.locator(".bertedu")
    widget.get_by_label("Text Segment A").fill("the cat likes my garden")
    widget.locator("[data-token]", has_text="garden").first.wait_for()
    idle(page)
    expected = AttentionExplorer("the cat likes my garden", bert=bert()).summary()
    entropy = expected.partition("entropy ")[2].partition(" nats")[0]
    assert f"{entropy} nats" in widget.inner_text()
    widget.get_by_label("Text Segment A").fill("cat " * 110)
    widget.get_by_text("112 of at most 128 tokens.").wait_for()  # the page's own limit


def test_a_step_of_what_is_typed(opened) -> None:
    page = opened(AttentionStep("my dog", bert=bert()))
    widget = page.locator(".bertedu")
    widget.get_by_label("Text one sentence").fill("the cat likes my garden")
    widget.locator(".be-names button", has_text="garden").wait_for()
    idle(page)
    expected = AttentionStep("the cat likes my garden", bert=bert()).shares.tolist()
    told = widget.locator(".be-shares .be-row .be-number").all_inner_texts()
    assert [float(text[:-2]) for text in told] == pytest.approx(
        [100 * p for p in expected], abs=0.5
    )


def test_guesses_of_what_is_typed_and_clicked(opened) -> None:
    page = opened(TryIt("my dog is [MASK].", bert=bert()))
    widget = page.locator(".bertedu")
    widget.get_by_role("button", name="a cup of").click()  # the page has this answer
    widget.locator(".be-chip", has_text="cup").first.wait_for()
    assert not page.locator(".bertedu-int8").is_visible()
    widget.get_by_label("Sentence Segment A").fill("the cat likes my garden")
    widget.locator(".be-chip", has_text="garden").wait_for()
    idle(page)
    widget.locator(".be-chip", has_text="cat").click()
    widget.locator(".be-row").first.wait_for()
    expected = TryIt("the cat likes my garden", bert=page_model(bert()))
    expected.masks = [2]
    [place] = expected.places
    assert widget.locator(".be-row .be-name").all_inner_texts()[:1] == [place.first[0].token]
    rank = f"is number {place.hidden.rank:,} of"
    assert rank in widget.inner_text()
    widget.locator("summary").click()
    widget.get_by_label("layer 1, head 2", exact=True).click()
    widget.get_by_text("1 head of").wait_for()
    idle(page)
    expected.off = [[1, 2]]
    told = widget.locator(".be-row .be-percent").first.inner_text()
    assert told == f"{100 * expected.places[0].first[0].probability:.1f} %"


def test_masks_sums_and_the_journey_of_what_is_typed(opened) -> None:
    page = opened(
        MaskExplorer("my dog"),
        EmbeddingSum("my dog", None, bert()),
        Journey("my dog", None, bert()),
    )
    masks, sums, journey = page.locator(".bertedu").all()
    for widget in (masks, sums, journey):
        widget.get_by_label("Text Segment A").fill("the cat likes my garden")
        widget.get_by_text("garden").first.wait_for()
    idle(page)
    masks.get_by_label("Seed of all rolls").fill("5")
    idle(page)
    assert page.locator(".be-problem").count() == 0
    assert page.locator(".bertedu-int8").count() == 3
    expected = MaskExplorer("the cat likes my garden", seed=5)
    seen = [chip.get_attribute("class") for chip in masks.locator(".be-chips .be-chip").all()]
    fates = expected.fates[0].tolist()
    assert ["be-masked" in each for each in seen[: len(fates)]] == [fate == 1 for fate in fates]


def test_a_fine_tuned_model_comes_when_it_is_needed(opened, new_page, tmp_path: Path) -> None:
    tuned, _ = adapter()
    page = opened(MaskExplorer("my dog"), TextClassifier(tuned, "my dog"), likes=tuned)
    masks, classified = page.locator(".bertedu").all()
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url.rpartition("/")[2]))
    masks.get_by_label("Text Segment A").fill("a cat")
    page.locator(".bertedu-int8").wait_for()
    idle(page)
    assert loaded.count("likes.pack.js") == 0
    (tmp_path / "likes.pack.js").rename(tmp_path / "away")
    box = classified.locator("textarea")
    box.fill("the cat likes my garden")
    page.locator(".be-problem").wait_for()
    said = classified.locator(".be-status").inner_text()
    assert said == "likes.pack.js is missing: put it beside this page again."
    (tmp_path / "away").rename(tmp_path / "likes.pack.js")
    box.fill("the cat likes a garden")
    classified.get_by_text("garden").first.wait_for()
    idle(page)
    expected = page_model(tuned).predict("the cat likes a garden")
    assert f"{100 * expected.probabilities[expected.label]:.1f} %" in classified.inner_text()
    box.fill("the cat likes the garden")
    idle(page)
    assert loaded.count("likes.pack.js") == 2  # it failed once, and was loaded once
    new_page.complaints[:] = [text for text in new_page.complaints if "ERR_FILE" not in text]


def test_what_the_engine_cannot_answer_stays_fixed_and_says_so(opened) -> None:
    other = AttentionExplorer("my dog", bert=bert(hidden_act="relu"))
    tuned = TextClassifier(finetuned("classification"), "my dog")
    page = opened(tuned, other)
    for widget in page.locator(".bertedu").all():
        assert widget.locator("textarea").first.get_attribute("readonly") is not None
        assert "no Python behind it" in widget.inner_text()


@pytest.mark.parametrize("file", ["bert.js", "bert.pack.js"])
def test_without_a_file_one_sentence_says_so(file: str, opened, new_page, tmp_path: Path) -> None:
    page = opened(WordPieceExplorer("my dog"))
    (tmp_path / file).unlink()
    page.reload()
    box = page.locator(".bertedu").get_by_label("Text Segment A")
    box.fill("a cat")
    page.locator(".be-problem").wait_for()
    said = page.locator(".be-status").inner_text()
    assert said == f"{file} is missing: put it beside this page again."
    assert page.locator(".be-chip", has_text="dog").count() > 0
    new_page.complaints[:] = [text for text in new_page.complaints if "ERR_FILE" not in text]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (damaged, "The pack is damaged: copy it again."),
        (
            other_version,
            "The pack has version 9, and this page reads version 1: export the model again.",
        ),
    ],
)
def test_a_pack_that_cannot_be_used_leaves_the_picture(
    change, sentence: str, opened, tmp_path: Path
) -> None:
    page = opened(TryIt("my dog is [MASK].", bert=bert()))
    script, pack = tmp_path / "bert.pack.js", tmp_path / "bert.pack"
    script.write_text(pack_script("bert", change(pack.read_bytes())))
    box = page.get_by_label("Sentence Segment A")
    box.fill("a cat")
    page.locator(".be-problem").wait_for()
    assert page.locator(".be-status").inner_text() == sentence
    assert page.locator(".be-chip", has_text="dog").count() == 1  # the picture is the last one
    script.write_text(pack_script("bert", pack.read_bytes()))
    box.fill("a cat sleeps")  # once mended, it answers without a reload
    page.locator(".be-chip", has_text="cat").wait_for()


def test_two_tabs_do_not_disturb_each_other(opened) -> None:
    pages = [opened(WordPieceExplorer("my dog")) for _ in range(2)]
    for page, word in zip(pages, ("cat", "garden"), strict=True):
        page.get_by_label("Text Segment A").fill(f"the {word}")
    for page, word in zip(pages, ("cat", "garden"), strict=True):
        page.locator(".be-chip", has_text=word).first.wait_for()
        idle(page)
        assert page.locator(".be-problem").count() == 0


def test_patch_in_a_page(opened) -> None:
    tuned = {case: adapter(case)[0] for case in ("classification", "question_answering")}
    patch = Patch("who likes [MASK]?", "a dog", "a cat", bert(), *tuned.values())
    page = opened(patch, **tuned)
    widget = page.locator(".bertedu")
    widget.get_by_label("Second text Segment B").fill("the cat likes my garden")
    widget.locator(".be-chip", has_text="garden").wait_for()
    idle(page)
    widget.get_by_text("Cut a layer").click()
    widget.get_by_label("layer 2 left out").click()
    widget.locator(".be-line", has_text="without layer 2").wait_for()
    idle(page)
    patch = Patch("who likes [MASK]?", "the cat likes my garden", "a cat", page_model(bert()),
                  *map(page_model, tuned.values()))  # fmt: skip
    patch.layers = [2]
    told = widget.locator("tbody tr td:last-child").all_inner_texts()
    assert patch.after.gap[0].token in told[0]
    assert f"{100 * max(patch.after.label.values()):.1f} %" in told[2]
    assert page.locator(".be-problem").count() == 0


def test_the_book_has_a_bert_where_it_is_asked_for(new_page, tmp_path: Path) -> None:
    (tmp_path / "course").mkdir()
    (tmp_path / "course" / "01_wordpiece.py").write_text(LESSON, encoding="utf-8")
    site = tmp_path / "site"
    write(tmp_path, site, say=lambda line: None, bert=bert())
    page = new_page()
    page.set_default_timeout(30_000)
    page.goto((site / "01_wordpiece.html").as_uri())
    page.locator(".bertedu").get_by_label("Text Segment A").fill("unaffable")
    page.locator(".be-chip", has_text="##ffa").first.wait_for()
    page.goto((site / "index.html").as_uri())
    page.get_by_role("link", name="another page").click()
    page.locator("#wake").click()
    page.locator("#wake", has_text="BERT is awake").wait_for()
    write(tmp_path, site, say=lambda line: None)
    assert not (site / "bert.pack").exists()
    assert 'id="bertedu-engine"' not in (site / "01_wordpiece.html").read_text()


NOTES = """# %% [markdown]
# # 01 · The notes

# %%
from bertedu.widgets import SpanExplorer, TryIt
TryIt()

# %%
SpanExplorer("questions", "Who fell?", "The rain fell.")
"""


@pytest.fixture
def notes(monkeypatch, tmp_path: Path) -> Path:
    """A book of one lesson, with the course's model and its graduates."""
    # The certificate takes a minute, and this page does not show it; test_web_pack.py has it.
    monkeypatch.setattr("bertedu.widgets.web_page.certificate", lambda model: {})
    (tmp_path / "course").mkdir()
    (tmp_path / "course" / "01_wordpiece.py").write_text(NOTES, encoding="utf-8")
    write(tmp_path, tmp_path / "site", say=lambda line: None, bert=bertedu.load())
    return tmp_path / "site"


@pytest.mark.timeout(900)
def test_the_book_answers_as_jupyterlab_does(new_page, notes: Path, artefacts: Path) -> None:
    """From a disk, the network refused, without Python: the sentence, and the notes' question."""
    asked = question_answering.read(QUESTIONS / "precipitation.json")[0]
    [[guess, *_]] = bertedu.load().fill_mask("my dog is [MASK].")
    prediction = finetuning.load("questions").predict((asked.question, asked.document))
    assert prediction.text == "gravity"
    for width in (1280, 390):
        page = new_page(width=width)
        page.set_default_timeout(120_000)
        requested: list[str] = []
        page.on("request", lambda request, urls=requested: urls.append(request.url))
        page.goto((notes / "01_wordpiece.html").as_uri())
        page.locator(".bertedu").nth(1).wait_for()
        guessing, spans = page.locator(".bertedu").all()
        guessing.get_by_label("Sentence Segment A").fill("my dog is [MASK].")
        guessing.locator(".be-chip", has_text="dog").wait_for()
        idle(page)
        assert guessing.locator(".be-row .be-name").first.inner_text() == guess.token
        spans.get_by_label("Question Segment A").fill(asked.question)
        spans.get_by_label("Document Segment B").fill(asked.document)
        spans.get_by_text("“gravity”").first.wait_for()
        idle(page)
        assert page.locator(".be-problem").count() == 0
        own = ("blob:", "data:", notes.as_uri())
        assert [url for url in requested if not url.startswith(own)] == []
        loaded = [url.rpartition("/")[2] for url in requested if url.endswith(".pack.js")]
        assert loaded == ["bert.pack.js", "questions.pack.js"]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.screenshot(path=artefacts / f"book-answers-{width}.png", full_page=True)
        page.close()
