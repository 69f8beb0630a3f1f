"""A BERT in a page: from a disk and from a server, with the network refused, beside Python."""

import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import bertedu
from bertedu import Bert
from bertedu.widgets.web_certificate import page_model
from bertedu.widgets.web_pack import FIRST_LINE
from bertedu.widgets.web_page import pack_script, write_page
from tests.finetuned_models import finetuned
from tests.test_web_pack import adapter, bert

TEXT = "my dog is [MASK]."


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `bertedu export web bertedu` writes."""
    folder = tmp_path_factory.mktemp("embedded")
    write_page(bertedu.load(), folder)
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of a small model; a test may change a copy."""
    folder = tmp_path_factory.mktemp("small")
    write_page(bert(), folder)
    return folder


@pytest.fixture
def server(embedded: Path) -> Iterator[str]:
    """The address of a server with the embedded model's folder."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(embedded))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}/index.html"
        serving.shutdown()


@pytest.fixture
def opened(new_page):
    """Opens a page, and in the end has seen nothing asked for outside of its folder."""
    asked: list[str] = []

    def open_page(url: str, **look: object):
        page = new_page(**look)
        page.set_default_timeout(60_000)
        page.on("request", lambda request: asked.append(request.url))
        page.goto(url)
        folder = url.rpartition("/")[0]
        open_page.folder = folder
        return page

    yield open_page
    assert [url for url in asked if not url.startswith(("blob:", open_page.folder))] == []


def wake(page) -> None:
    page.locator("#wake").click()
    page.locator("#wake", has_text="BERT is awake").wait_for()
    page.locator("#status", has_text="tokens)").wait_for()  # it has answered what stood there


def typed(page, text: str, pair: str | None = None) -> str:
    """Types, and returns what the page says once it has answered."""
    page.evaluate(
        """fields => {  // at once: the page may ask between two texts typed one after the other
            document.getElementById("status").textContent = "";
            for (const [id, text] of Object.entries(fields)) {
                document.getElementById(id).value = text;
                document.getElementById(id).dispatchEvent(new Event("input", { bubbles: true }));
            }
        }""",
        {"text": text} | ({} if pair is None else {"pair": pair}),
    )
    page.locator("#status", has_text=".").wait_for()
    return page.locator("#status").inner_text()


def guesses(page) -> list[str]:
    return page.locator(".share bdi").all_inner_texts()


def test_from_a_disk_it_answers_as_python_does(opened, embedded: Path, artefacts: Path) -> None:
    page = opened((embedded / "index.html").as_uri())
    wake(page)
    said = typed(page, "The capital of [MASK] is paris.")
    assert "tokens)" in said
    model: Bert = bertedu.load()
    shown = guesses(page)
    (theirs,) = page_model(model).fill_mask("The capital of [MASK] is paris.")
    assert shown == [guess.token for guess in theirs]
    typed(page, TEXT)
    assert guesses(page)[0] == model.fill_mask(TEXT)[0][0].token
    typed(page, "my dog is cute", "he likes playing")
    follows = page_model(model).next_sentence("my dog is cute", "he likes playing")
    assert f"{follows:.1%}".replace("%", " %") in page.locator("#verdict").inner_text()
    page.screenshot(path=artefacts / "bert-in-a-page.png", full_page=True)


def test_its_numbers_are_pytorchs_and_the_page_shows_it(opened, embedded: Path) -> None:
    page = opened((embedded / "index.html").as_uri())
    wake(page)
    page.get_by_text("Compare with PyTorch's numbers").click()
    page.locator("#compared table").wait_for()
    rows = page.locator("#compared tr").all_inner_texts()[1:]
    assert [row.split("\t")[0] for row in rows] == [
        "hidden states", "attention probs", "prediction logits", "seq relationship logits",
    ]  # fmt: skip
    assert all(row.endswith("✓") for row in rows)
    assert "first guesses are those of the model" in page.locator("#compared").inner_text()


def test_from_a_server_the_pack_is_fetched_as_bytes(opened, server: str) -> None:
    page = opened(server)
    with page.expect_response(lambda response: response.url.endswith("/bert.pack")):
        wake(page)
    typed(page, TEXT)
    assert guesses(page)[0] == bertedu.load().fill_mask(TEXT)[0][0].token


@pytest.mark.parametrize("case", ["classification", "slot_filling", "question_answering"])
def test_a_fine_tuned_model_has_a_page(case: str, opened, tmp_path: Path) -> None:
    tuned = finetuned(case)
    write_page(tuned, tmp_path)
    page = opened((tmp_path / "index.html").as_uri())
    wake(page)
    two = len(tuned.task.texts) == 2
    assert page.locator("#pair").is_visible() == two
    if two:
        typed(page, "who likes it", "my dog likes playing.")
        prediction = page_model(tuned).predict(("who likes it", "my dog likes playing."))
        expected = prediction.text or "There is no answer in this text."
        assert page.locator("#span").inner_text() == expected
        assert "type the second" in typed(page, "who likes it", "")
    elif case == "classification":
        typed(page, "my dog likes playing")
        assert guesses(page)[0] == page_model(tuned).predict("my dog likes playing").label
    else:
        typed(page, "rome")
        tags = page.locator(".pieces small").all_inner_texts()
        assert tags[1] in tuned.task.labels


def test_an_adapter_has_a_page_with_two_packs(opened, tmp_path: Path) -> None:
    tuned, _ = adapter()
    bertedu.save_pretrained(bert().model, tmp_path / "base", tuned.tokenizer)
    tuned.base = tuned.base._replace(name=str(tmp_path / "base"))
    write_page(tuned, tmp_path / "out")
    page = opened((tmp_path / "out" / "index.html").as_uri())
    wake(page)
    typed(page, "my dog likes playing")
    assert guesses(page)[0] == page_model(tuned).predict("my dog likes playing").label


def test_what_cannot_be_read_costs_one_sentence(opened, small: Path) -> None:
    page = opened((small / "index.html").as_uri())
    assert typed(page, "my") == "BERT is asleep: press “Wake BERT”."
    wake(page)
    assert typed(page, "") == "There is nothing to read yet: type a text."
    assert typed(page, " \n ") == "There is nothing to read yet: type a text."
    said = typed(page, "[MASK] " * 511)
    assert said == "The text has 513 tokens, and this model reads at most 512: shorten it."
    assert "tokens)" in typed(page, "<script>window.hurt = 1</script> [MASK] <img src=x>")
    assert page.evaluate("window.hurt") is None
    assert "Write [MASK]" in page.locator("#answer").inner_text() or guesses(page)
    assert "tokens)" in typed(page, "nothing is masked")
    assert "Write [MASK] where a word" in page.locator("#answer").inner_text()


def damaged(pack: bytes) -> bytes:
    return pack[:-9] + bytes([pack[-9] ^ 1]) + pack[-8:]


def other_version(pack: bytes) -> bytes:
    return pack[:FIRST_LINE].replace(b'"version": 1,', b'"version": 9,') + pack[FIRST_LINE:]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (damaged, "The pack is damaged: copy it again."),
        (
            other_version,
            "The pack has version 9, and this page reads version 1: export the model again.",
        ),
        (lambda _: b"%%%%", "This is no pack of bertedu: export the model again."),
        (None, "bert.pack.js is missing: put it beside this page again."),
    ],
)
def test_a_pack_that_cannot_be_used_costs_one_sentence(
    change, sentence: str, opened, new_page, small: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "page"
    shutil.copytree(small, folder)
    script = folder / "bert.pack.js"
    if change:
        script.write_text(pack_script("bert", change((folder / "bert.pack").read_bytes())))
    else:
        script.unlink()
    page = opened((folder / "index.html").as_uri())
    page.locator("#wake").click()
    page.locator("#status.wrong").wait_for()
    assert page.locator("#status").inner_text() == sentence
    shutil.copyfile(small / "bert.pack.js", script)  # once mended, it wakes without a reload
    wake(page)
    new_page.complaints[:] = [text for text in new_page.complaints if "ERR_FILE" not in text]


def test_a_script_that_holds_no_pack_costs_one_sentence(
    opened, new_page, small: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "page"
    shutil.copytree(small, folder)
    text = (folder / "bert.pack.js").read_text()
    (folder / "bert.pack.js").write_text(text[: len(text) // 2])
    page = opened((folder / "index.html").as_uri())
    page.locator("#wake").click()
    page.locator("#status.wrong").wait_for()
    assert page.locator("#status").inner_text() == "bert.pack.js is damaged: copy it again."
    new_page.complaints[:] = [text for text in new_page.complaints if "Invalid" not in text]


def test_two_tabs_do_not_disturb_each_other(opened, small: Path) -> None:
    pages = [opened((small / "index.html").as_uri()) for _ in range(2)]
    for page in pages:
        wake(page)
    for page, text in zip(pages, ("a [MASK]", "the [MASK] dog"), strict=True):
        typed(page, text)
        assert guesses(page) == [guess.token for guess in page_model(bert()).fill_mask(text)[0]]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_sticks_out_and_axe_finds_nothing(
    width: int, theme: str, opened, small: Path, axe: str, artefacts: Path
) -> None:
    page = opened((small / "index.html").as_uri(), width=width, theme=theme)
    wake(page)
    typed(page, "unaffable " * 8 + "[MASK] [MASK]", "x" * 99)
    page.get_by_text("Compare with PyTorch's numbers").click()
    page.locator("#compared table").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.evaluate(axe)
    found = page.evaluate(
        "() => axe.run().then(r => r.violations.map(v => [v.id, v.nodes[0].html]))"
    )
    assert found == []
    page.screenshot(path=artefacts / f"bert-page-{width}-{theme}.png", full_page=True)
