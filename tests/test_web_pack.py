"""A model in a page: its pack, and the engine's tokens and numbers beside the library's."""

import base64
import copy
import json
import random
import shutil
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

import bertedu
from bertedu import Bert, BertConfig, BertForPreTraining, load_tokenizer
from bertedu.commands.certify import TEXTS, _text
from bertedu.commands.cli import main
from bertedu.errors import InputError
from bertedu.finetuning import Classification
from bertedu.finetuning.adapters import add_lora
from bertedu.finetuning.model import Base, FineTuned
from bertedu.tokenizer import SPECIAL_TOKENS, BertTokenizer
from bertedu.widgets import (
    AttentionExplorer,
    AttentionStep,
    TryIt,
    WordPieceExplorer,
)
from bertedu.widgets.base import AskingWidget
from bertedu.widgets.palette import STATIC
from bertedu.widgets.web_certificate import certificate, example, numbers, page_model, reference
from bertedu.widgets.web_pack import (
    FIRST_LINE,
    dequantised,
    int8_rows,
    model_checksum,
    tokenizer_checksum,
    web_pack,
    weights_of,
)
from bertedu.widgets.web_page import engine_script, write_page
from tests import unicode_tables
from tests.finetuned_models import SIZES, TASKS, finetuned, unpacked
from tests.page_engine import ask

pytestmark = pytest.mark.timeout(600)  # seven seconds of work can take minutes on a busy machine
BAR = 1e-4
MANY = 10_000
TOKENIZER = load_tokenizer()
ODD = (
    "é É ñ ü ß İ ı ǅ ﬁ Ω Å à̖́ 한국어 日本 東京 ㍿ 𠀀 豈 ア ｱ 🤗 👩‍👩‍👧 🇩🇪 שלום مرحبا العربية "
    "नमस्ते ไทย \u200b \u200d \u200e \u202e \u2060 \ufeff \x00 \x07 \x1b \x7f \x85 \xa0 \u2003 "
    "\u2028 \u3000 \ufffd \u00ad ' ’ “ ” — … ! # $ % ^ ` ~ € ¿ « 、 。 [MASK] [SEP] [mask] "
    "##ing ## 12,5 "
)
PAIRS = [
    ("my dog is [MASK].", None),
    ("my dog is [MASK]", "he [MASK] playing"),
    ("", None),
    ("a " * 40, "b " * 40),  # more tokens than the engine computes at once
]


@cache
def bert(**settings: object) -> Bert:
    torch.manual_seed(3)
    config = BertConfig(**{**SIZES, "initializer_range": 0.3, **settings})
    model = BertForPreTraining(config)
    for name, parameter in model.named_parameters():  # none may be 0 or 1 unnoticed
        if parameter.ndim == 1:
            torch.nn.init.normal_(parameter, mean=float("LayerNorm.weight" in name), std=0.3)
    return Bert(model, TOKENIZER)


def generated(count: int) -> list[str]:
    """Texts of every kind: words of the vocabulary between accents, scripts, signs and controls."""
    generator = random.Random(22)
    odd = ODD.split(" ")
    texts = []
    while len(texts) < count:
        parts = [_text(TOKENIZER.tokens, generator)]
        parts += generator.choices(odd, k=generator.randint(0, 6))
        generator.shuffle(parts)
        texts.append(generator.choice(("", " ")).join(parts))
    return texts


def adapter(case: str = "classification") -> tuple[FineTuned, bytes]:
    """An adapter for a case, and the pack of the checkpoint that it stands on."""
    base = bert()
    task = TASKS[case]
    torch.manual_seed(5)
    model = task.head(base.config)
    model.bert.load_state_dict(base.model.bert.state_dict(), strict=False)  # one has no pooler
    add_lora(model, rank=3)
    for name, parameter in model.named_parameters():
        if ".lora_" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return FineTuned(task, model, TOKENIZER, 384, base=Base.of(base, model)), web_pack(base)


# ---------------------------------------------------------------- the pack


def test_a_number_is_off_by_half_a_step_of_its_row_at_most() -> None:
    weight = torch.randn(7, 50) * torch.tensor([1e-6, 1e-3, 1, 10, 1e3, 1, 0])[:, None]
    rows, scale = int8_rows(weight)
    assert rows.dtype == torch.int8
    assert bool(((rows * scale[:, None] - weight).abs() <= 0.501 * scale[:, None]).all())
    assert rows.abs().amax(1).tolist() == [127] * 6 + [0]


def test_only_matrices_lose_anything() -> None:
    weights = {"matrix": torch.randn(3, 3), "vector": torch.randn(3)}
    changed = dequantised(weights)
    assert torch.equal(changed["vector"], weights["vector"])
    assert not torch.equal(changed["matrix"], weights["matrix"])


def test_the_embedded_checkpoint_fits() -> None:
    model = bertedu.load()
    pack = web_pack(model, reference(model))
    assert len(pack) <= 24_000_000
    assert len(pack) * 4 / 3 + 100 <= 32_000_000


def test_an_adapter_is_small() -> None:
    torch.manual_seed(0)
    task = TASKS["classification"]
    model = task.head(BertConfig(hidden_size=384, num_hidden_layers=6, intermediate_size=1536))
    add_lora(model, rank=32)
    tuned = FineTuned(task, model, TOKENIZER, 128, base=Base("bertedu", "0"))
    assert 1_000_000 < len(web_pack(tuned)) <= 3_000_000


def test_a_tokenizer_of_another_kind_is_refused() -> None:
    tokenizer = BertTokenizer(TOKENIZER.tokens)
    tokenizer.usual = False
    with pytest.raises(InputError, match="cannot be exported"):
        web_pack(Bert(bert().model, tokenizer))


# ---------------------------------------------------------------- tokens


def test_the_tables_are_those_of_the_tokenizer() -> None:
    assert unicode_tables.FILE.read_text("utf-8") == unicode_tables.module()


def test_tokens_ids_and_offsets_are_pythons_on_many_texts(tmp_path: Path) -> None:
    texts = [*TEXTS, *generated(MANY)]
    differing = []
    pack = web_pack(bert())
    for text, mine in zip(texts, ask(tmp_path, pack, texts=texts)["texts"], strict=True):
        theirs = TOKENIZER.encode(text)
        same = mine["tokens"] == theirs.tokens
        same &= mine["input_ids"] == theirs.input_ids.tolist()
        same &= [tuple(place) for place in mine["offsets"]] == theirs.offsets
        differing += [] if same else [text]
    assert differing == []


def test_tokens_are_pythons_on_the_golden_cases(tmp_path: Path, shared: Path) -> None:
    cases = json.loads((shared / "data/tokenizer_golden/uncased.json").read_text())
    texts = [case["text"] for case in cases]
    told = ask(tmp_path, web_pack(bert()), texts=texts)["texts"]
    assert [each["tokens"] for each in told] == [TOKENIZER.encode(text).tokens for text in texts]


@pytest.mark.parametrize(
    "switches",
    [
        {"lowercase": False},
        {"strip_accents": False},
        {"lowercase": False, "strip_accents": True, "tokenize_chinese_chars": False},
    ],
)
def test_every_switch_of_the_tokenizer_counts(switches: dict[str, bool], tmp_path: Path) -> None:
    words = ["crème", "creme", "Crème", "Creme", "東京", "東", "京", "##x"]
    tokenizer = BertTokenizer([*SPECIAL_TOKENS, *words], **switches)
    config = BertConfig(**SIZES, vocab_size=len(tokenizer))
    pack = web_pack(Bert(BertForPreTraining(config), tokenizer))
    texts = ["Crème brûlée", "creme CREME", "東京x"]
    told = ask(tmp_path, pack, texts=texts)["texts"]
    assert [each["tokens"] for each in told] == [tokenizer.encode(text).tokens for text in texts]


# ---------------------------------------------------------------- numbers


def assert_close(mine: dict[str, np.ndarray], theirs: dict[str, torch.Tensor]) -> None:
    for name, tensor in theirs.items():
        assert mine[name].size == tensor.numel(), name
        difference = np.abs(mine[name] - tensor.numpy().ravel()).max()
        assert difference <= BAR, (name, difference)


@pytest.mark.parametrize("simd", [True, False])
@pytest.mark.parametrize(
    "settings",
    [{}, {"hidden_act": "gelu_new"}, {"hidden_act": "relu", "hidden_size": 30}],
    ids=["gelu", "gelu_new", "relu, 30 wide"],
)
def test_every_number_is_pythons(settings: dict[str, object], simd: bool, tmp_path: Path) -> None:
    model = bert(**settings)
    told = ask(tmp_path, web_pack(model, reference(model)), simd=simd, traces=PAIRS)
    page = page_model(model)
    for (text, pair), trace in zip(PAIRS, told["traces"], strict=True):
        theirs = numbers(model, text, pair)
        assert_close(trace["numbers"], theirs)
        one = page.trace(text, pair)
        assert_close(trace["numbers"], {"query": one.query, "key": one.key, "value": one.value})
        assert float(theirs["hidden_states"].abs().max()) > 1  # not nearly 0 on both sides
    assert [each["name"] for each in told["compared"]] == list(numbers(model, *example(model)))
    assert max(each["difference"] for each in told["compared"]) <= BAR


def test_the_embedded_checkpoint_answers_as_python_does(tmp_path: Path) -> None:
    model = bertedu.load()
    pairs = [*PAIRS[:2], ("calculus is a [MASK] of math", "it [MASK] developed by newton")]
    told = ask(tmp_path, web_pack(model), traces=pairs)["traces"]
    page = page_model(model)
    for (text, pair), trace in zip(pairs, told, strict=True):
        assert_close(trace["numbers"], numbers(model, text, pair))
        shown = [[guess["token"] for guess in each] for each in trace["answer"]["guesses"]]
        assert shown == [[guess.token for guess in each] for each in page.fill_mask(text, pair)]
        assert [each[0] for each in shown] == [e[0].token for e in model.fill_mask(text, pair)]
        if pair:
            follows = page.next_sentence(text, pair)
            assert trace["answer"]["follows"] == pytest.approx(follows, abs=BAR)


@pytest.mark.parametrize("case", TASKS)
@pytest.mark.parametrize("simd", [True, False])
def test_each_case_answers_as_python_does(case: str, simd: bool, tmp_path: Path) -> None:
    tuned = finetuned(case)
    one = len(tuned.task.texts) == 1
    texts = [("my dog likes playing in rome", None), ("was it good?", None)]
    pairs = [("who likes it", "my dog likes playing."), ("a dog runs", "nobody moves [MASK]")]
    asked = texts if one else pairs
    told = ask(tmp_path, web_pack(tuned, reference(tuned)), simd=simd, traces=asked)
    page = page_model(tuned)
    for (text, pair), trace in zip(asked, told["traces"], strict=True):
        assert_close(trace["numbers"], numbers(tuned, text, pair))
        prediction = page.predict(text if one else (text, pair))
        shown = trace["answer"]
        if case == "question_answering":
            assert shown["span"] == prediction.text
        elif case == "slot_filling":
            tags = [  # each word's first piece has its tag; Python mends what cannot follow
                tag
                for tag, token, added in zip(
                    shown["tags"], shown["tokens"], shown["special"], strict=True
                )
                if not added and not token.startswith("##")
            ]
            assert tags == [tuned.task.labels[i] for i in prediction.probabilities.argmax(-1)]
        else:
            assert shown["labels"][0]["token"] == prediction.label
    assert max(each["difference"] for each in told["compared"]) <= BAR


@pytest.mark.parametrize("pooling", ["mean", "concat"])
def test_other_poolings_too(pooling: str, tmp_path: Path) -> None:
    task = Classification(labels=("a", "b", "c"), pooling=pooling, positions=8)
    tuned = FineTuned(task, task.head(BertConfig(**SIZES)), TOKENIZER, 384)
    asked = [("one two", None), ("one two three four five six seven eight nine ten", None)]
    for (text, _), trace in zip(
        asked, ask(tmp_path, web_pack(tuned), traces=asked)["traces"], strict=True
    ):
        assert_close(trace["numbers"], numbers(tuned, text))


@pytest.mark.parametrize("simd", [True, False])
def test_an_adapter_stands_on_its_checkpoint(simd: bool, tmp_path: Path) -> None:
    tuned, base = adapter()
    pack = web_pack(tuned, reference(tuned))
    assert len(pack) < len(base) / 5
    told = ask(tmp_path, base, pack, simd=simd, traces=[("my dog likes playing", None)])
    assert_close(told["traces"][0]["numbers"], numbers(tuned, "my dog likes playing"))
    plain = numbers(bert(), "my dog likes playing")["hidden_states"][-1].numpy().ravel()
    changed = told["traces"][0]["numbers"]["hidden_states"][-plain.size :]
    assert np.abs(plain - changed).max() > 0.1  # the update does count
    assert max(each["difference"] for each in told["compared"]) <= BAR


def test_a_checkpoint_without_heads_keeps_its_mouth_shut(tmp_path: Path) -> None:
    missing = tuple(n for n in bert().model.state_dict() if n.startswith(("cls.", "bert.pooler")))
    bare = Bert(bert().model, TOKENIZER, missing)
    assert not any(name.startswith("cls.") for name in weights_of(bare))
    trace = ask(tmp_path, web_pack(bare, reference(bare)), traces=PAIRS[1:2])["traces"][0]
    assert (trace["answer"]["guesses"], trace["answer"]["follows"]) == (None, None)
    assert set(trace["numbers"]) == {"hidden_states", "query", "key", "value", "attention_probs"}


def in_node(code: str) -> str:
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    command = ["node", "--no-warnings", "--input-type=module"]
    done = subprocess.run(command, input=code, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_erf_is_torchs() -> None:
    model = json.dumps((STATIC / "bert" / "model.js").as_uri())
    mine = in_node(f"""
      import {{ erf }} from {model};
      console.log(JSON.stringify(Array.from({{ length: 12001 }}, (_, i) => erf(i / 1000 - 6))));
    """)
    theirs = torch.erf(torch.arange(-6000, 6001, dtype=torch.float64) / 1000)
    assert float((torch.tensor(json.loads(mine), dtype=torch.float64) - theirs).abs().max()) < 7e-8


# ---------------------------------------------------------------- the widgets


def block(base64_text: str) -> dict[str, object]:
    return unpacked(base64.b64decode(base64_text))


def asked_of(widget: AskingWidget) -> list[object]:
    return [type(widget).__name__, dict(widget._asked), unpacked(widget.data)["first"]]


def test_pieces_are_packed_as_python_packs_them(tmp_path: Path) -> None:
    texts = [*TEXTS[:-1], *generated(60)]
    explorers = [
        WordPieceExplorer(text, pair)
        for text, pair in zip(texts, [None, *reversed(texts[1:])], strict=True)
    ]
    told = ask(tmp_path, web_pack(bert()), widgets=[asked_of(each) for each in explorers])
    for explorer, mine in zip(explorers, told["widgets"], strict=True):
        assert block(mine["data"]) == unpacked(explorer.data)


@pytest.mark.parametrize(
    "texts", [("my dog is cute", None, None), ("A [MASK]!", "he likes [UNK]", "a third text")]
)
def test_attention_is_packed_as_python_packs_it(texts, tmp_path: Path) -> None:
    model = bert()
    explorer = AttentionExplorer(*texts[:2], page_model(model), texts[2], complete=True)
    told = ask(tmp_path, web_pack(model), widgets=[asked_of(explorer)])["widgets"][0]
    for trait in ("data", "heads"):
        mine, theirs = block(told[trait]), unpacked(getattr(explorer, trait))
        if trait == "data":  # the page's own limit is lower than the widget's
            most = max(len(text["tokens"]) for text in theirs["texts"])
            assert mine.pop("length") == [most, 128]
        assert mine.keys() == theirs.keys()
        for name, value in theirs.items():
            if not isinstance(value, np.ndarray):
                near = pytest.approx(value, abs=0.011) if name == "darkest" else value
                assert mine[name] == near, name
                continue
            assert mine[name].shape == value.shape
            wrong = {"maps": 1, "averages": BAR}.get(name[:-1], 5e-3)  # Python's are halves
            assert np.abs(mine[name].astype(float) - value.astype(float)).max() <= wrong, name
            if name[:-1] == "maps":
                assert (mine[name] == value).mean() > 0.99


def test_a_step_of_attention_is_packed_as_python_packs_it(tmp_path: Path) -> None:
    model = bert()
    step = AttentionStep("my dog [MASK] cute", page_model(model), head=2)
    told = ask(tmp_path, web_pack(model), widgets=[asked_of(step)])["widgets"][0]
    mine, theirs = block(told["data"]), unpacked(step.data)
    assert mine.keys() == theirs.keys()
    for name in ("query", "key", "value", "probs"):
        assert mine[name].shape == theirs[name].shape
        assert np.abs(mine[name] - theirs[name]).max() <= BAR, name
        assert np.abs(theirs[name]).max() > 0.5, name  # not nearly 0 on both sides
        mine[name] = theirs[name] = None
    assert mine == theirs


def test_guesses_are_packed_as_python_packs_them(tmp_path: Path) -> None:
    model = bert()
    asked = [
        ("my dog is [MASK]. unaffable", None, [2, 7], {}, []),
        ("my dog", "he [MASK] it", [1, 2, 99], {"1": "DOG", "2": "unaffable", "5": "☃"}, []),
        ("my dog [MASK]", None, [], {"3": "  "}, [[1, 2], [2, 1], [9, 9]]),
        ("nothing hidden", "", [], {}, []),
    ]
    explorers = []
    for text, pair, *clicked in asked:
        explorer = TryIt(text, pair, page_model(model))
        with explorer.hold_trait_notifications():
            explorer.masks, explorer.guesses, explorer.off = clicked
        explorers.append(explorer)
    told = ask(tmp_path, web_pack(model), widgets=[asked_of(each) for each in explorers])
    for explorer, mine in zip(explorers, told["widgets"], strict=True):
        same(block(mine["data"]), unpacked(explorer.data))


def same(mine: object, theirs: object) -> None:
    """Python's probabilities are rounded, and two tokens that are as likely may change places."""
    if isinstance(theirs, float):
        assert mine == pytest.approx(theirs, abs=BAR)
    elif isinstance(theirs, dict):
        assert mine.keys() == theirs.keys()
        for name, each in theirs.items():
            same(mine[name], each)
    elif isinstance(theirs, list):
        assert len(mine) == len(theirs)
        for one, other in zip(mine, theirs, strict=True):
            same(one, other)
    else:
        assert mine == theirs


def test_what_is_too_long_for_a_picture_is_refused(tmp_path: Path) -> None:
    asked = [
        ["WordPieceExplorer", {"text": "a" * 1500, "pair": "b" * 501}, {}],
        ["AttentionExplorer", {"text": "a " * 127, "pair": None, "other": None}, {}],
        ["WordPieceExplorer", {"text": "\ud800", "pair": None}, {}],
        ["AttentionStep", {"text": "a " * 23}, {}],
        ["TryIt", {"text": "a " * 47, "pair": None, "masks": [], "guesses": {}, "off": []}, {}],
    ]
    told = ask(tmp_path, web_pack(bert()), widgets=asked)["widgets"]
    with pytest.raises(InputError) as python:
        WordPieceExplorer("a" * 1500, "b" * 501)
    assert told[0]["problem"] == str(python.value)
    assert told[1]["problem"] == (
        "The text has 129 tokens and this picture shows at most 128: shorten it."
    )
    assert "half of a surrogate pair" in told[2]["problem"]
    with pytest.raises(InputError) as python:
        AttentionStep("a " * 23, bert())
    assert told[3]["problem"] == str(python.value)
    with pytest.raises(InputError) as python:
        TryIt("a " * 47, bert=bert())
    assert told[4]["problem"] == str(python.value)


def test_only_what_the_pack_can_stand_in_for_is_marked() -> None:
    assert WordPieceExplorer("a").checksum() == tokenizer_checksum(TOKENIZER)
    other = BertTokenizer(TOKENIZER.tokens, lowercase=False)
    assert WordPieceExplorer("a", tokenizer=other).checksum() != tokenizer_checksum(TOKENIZER)
    assert AttentionExplorer("a", bert=bert()).checksum() == model_checksum(bert())
    assert AttentionExplorer("a", bert=bert(hidden_act="relu")).checksum() != model_checksum(bert())
    assert AttentionExplorer("a", bert=page_model(bert())).checksum() != model_checksum(bert())


# ---------------------------------------------------------------- the certificate


def test_the_certificate_of_a_model_that_int8_does_not_change_is_perfect() -> None:
    page = page_model(bert())
    again = certificate(page_model(page))
    assert again["same"] == 1
    assert again["loss"] == pytest.approx(again["loss_int8"], abs=1e-4)


def test_the_certificate_of_the_embedded_checkpoint() -> None:
    found = certificate(bertedu.load())
    assert found["compared"] > 500
    assert found["same"] >= 0.98
    assert abs(found["loss"] - found["loss_int8"]) < 0.005


@pytest.mark.parametrize("case", TASKS)
def test_every_case_has_a_certificate(case: str) -> None:
    found = certificate(finetuned(case))
    assert found["compared"] > 10
    assert 0.5 < found["same"] <= 1


def test_a_model_is_judged_by_the_documents_that_it_has_room_for() -> None:
    short = copy.copy(finetuned("question_answering"))
    short.max_length = 64  # less than two windows share
    assert certificate(short) == {}
    short.max_length = 180
    assert 0 < certificate(short)["compared"] <= 100


# ---------------------------------------------------------------- the folder and the command


def test_the_folder_holds_all_that_a_page_needs(tmp_path: Path) -> None:
    write_page(bert(), tmp_path / "out")
    files = {file.name for file in (tmp_path / "out").iterdir()}
    assert files == {"index.html", "bert.js", "bert.pack", "bert.pack.js"}
    page = (tmp_path / "out" / "index.html").read_text()
    assert "{{" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert "wasm-unsafe-eval" in page
    assert "\nexport " not in engine_script()
    assert "import {" not in engine_script()
    worker = json.loads(engine_script().partition(" = ")[2].partition(";\n")[0])
    done = in_node(f"new Function({json.dumps(worker)})")  # it is one script, and can be read
    assert done == ""


def test_the_command_writes_a_model_and_says_how_good_it_is(tmp_path: Path, capsys) -> None:
    bertedu.save_pretrained(bert().model, tmp_path / "model", TOKENIZER)
    out = tmp_path / "out"
    assert main(["export", "web", str(tmp_path / "model"), str(out)]) == 0
    said = capsys.readouterr().out
    assert "bert.pack  " in said
    assert "nats, as int8" in said
    assert (out / "bert.pack").read_bytes()[:FIRST_LINE].startswith(b'{"format": "bertedu pack"')


@pytest.mark.parametrize("lora", [False, True])
def test_the_command_writes_a_fine_tuned_model(lora: bool, tmp_path: Path, capsys) -> None:
    bertedu.save_pretrained(bert().model, tmp_path / "base", TOKENIZER)
    tuned = finetuned("inference")
    if lora:
        tuned, _ = adapter()
        tuned.base = tuned.base._replace(name=str(tmp_path / "base"))
    tuned.save(tmp_path / "tuned")
    out = tmp_path / "out"
    assert main(["export", "web", str(tmp_path / "tuned"), str(out)]) == 0
    packs = {file.name for file in out.glob("*.pack")}
    assert packs == ({"bert.pack", "classification.pack"} if lora else {"bert.pack"})
    assert "answers are the same as int8" in capsys.readouterr().out


def test_what_cannot_be_exported_costs_one_sentence(tmp_path: Path, capsys) -> None:
    assert main(["export", "web", "no/such/folder", str(tmp_path)]) == 2
    assert "there is no folder" in capsys.readouterr().err
    bertedu.save_pretrained(bert().model, tmp_path / "model", TOKENIZER)
    (tmp_path / "taken").write_text("a file")
    assert main(["export", "web", str(tmp_path / "model"), str(tmp_path / "taken")]) == 2
    assert "Traceback" not in capsys.readouterr().err
    short = BertForPreTraining(BertConfig(**SIZES, max_position_embeddings=4))
    bertedu.save_pretrained(short, tmp_path / "short", TOKENIZER)
    assert main(["export", "web", str(tmp_path / "short"), str(tmp_path / "out")]) == 2
    assert "this model reads 4 tokens at most" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["index.html", "bert.js"])
def test_what_was_written_elsewhere_is_not_replaced(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("a reader's own")
    with pytest.raises(InputError, match=f"{name} is not of an earlier export"):
        write_page(bert(), tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "a reader's own"
    (tmp_path / name).unlink()
    for _ in range(2):  # what was written here is
        write_page(bert(), tmp_path)


def test_a_folder_that_cannot_be_made_is_told_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="cannot be made .*: take another folder"):
        write_page(bert(), tmp_path / "file" / "page")
