"""The attention explorer's numbers are the model's: in Python, and in the browser's own code."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bertedu import Bert, BertConfig, BertForPreTraining, InputError, load_tokenizer
from bertedu.attention import attention_probs, attention_scores
from bertedu.widgets import AttentionExplorer
from bertedu.widgets.attention_explorer import NUMBERS, pooled, row_numbers
from tests.pictures import drawn_from

STATIC = Path(__file__).parents[1] / "bertedu" / "widgets" / "static"
TOKENIZER = load_tokenizer()
HOSTILE = "<script>alert(1)</script> <img src=x onerror=alert(1)> שלום \N{DOG FACE}"
LAYERS, HEADS, WIDTH = 2, 3, 8


def random_bert(layers: int = LAYERS, heads: int = HEADS, positions: int = 512) -> Bert:
    """A model whose heads differ: its weights are random, but not small."""
    torch.manual_seed(0)
    config = BertConfig(
        hidden_size=heads * WIDTH,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=32,
        max_position_embeddings=positions,
        initializer_range=0.6,
    )
    return Bert(BertForPreTraining(config), TOKENIZER)


BERT = random_bert()


def unpacked(block: bytes) -> tuple[dict[str, object], dict[str, np.ndarray]]:
    length = int.from_bytes(block[:4], "little")
    header = json.loads(block[4 : 4 + length])
    body = -(-(4 + length) // 8) * 8
    arrays = {
        each["name"]: np.frombuffer(
            block, each["dtype"], int(np.prod(each["shape"])), body + each["offset"]
        ).reshape(each["shape"])
        for each in header["arrays"]
    }
    return header, arrays


@pytest.fixture
def explore() -> Iterator[object]:
    made = []

    def explorer(*args: object, **options: object) -> AttentionExplorer:
        made.append(AttentionExplorer(*args, **{"bert": BERT} | options))
        return made[-1]

    yield explorer
    for each in made:
        each.close()


@pytest.mark.parametrize("pair", [None, "he likes playing"])
def test_every_head_is_the_models_own(explore, pair: str | None) -> None:
    explorer = explore("my dog is cute", pair, complete=True)
    theirs = BERT.attention("my dog is cute", pair)  # [L, A, S, S]
    header, arrays = unpacked(explorer.heads)
    probs = torch.from_numpy(arrays["probs0"].astype(np.float32)).view_as(theirs)
    assert header["which"] == [[[layer, head] for layer in range(2) for head in range(3)]]
    assert torch.allclose(probs, theirs, atol=5e-4)
    maps = torch.from_numpy(unpacked(explorer.data)[1]["maps0"] / 255)
    assert torch.allclose(maps.float(), theirs, atol=0.5 / 255 + 1e-6)
    assert theirs.std() > 0.05  # the comparison could fail


def test_the_vectors_of_a_chosen_head_give_its_scores_and_its_probabilities(explore) -> None:
    explorer = explore("my dog is cute", "he likes playing", complete=False)
    theirs = BERT.attention("my dog is cute", "he likes playing")
    for layer, head in [(1, 3), (2, 1)]:
        explorer.settings = explorer.settings | {"layer": layer, "head": head}
        header, arrays = unpacked(explorer.heads)
        query, key = (torch.tensor(arrays[name]) for name in ("query0", "key0"))
        assert header["which"] == [[[layer - 1, head - 1]]]
        assert arrays["query0"].dtype == np.float32
        probs = attention_probs(attention_scores(query[0], key[0]))
        assert torch.allclose(probs, theirs[layer - 1, head - 1], atol=1e-5)


def test_row_numbers_are_what_their_names_say() -> None:
    ids = TOKENIZER.encode("my dog").input_ids  # [CLS] my dog [SEP]
    probs = torch.tensor(
        [[0.1, 0.2, 0.3, 0.4], [0.25, 0.25, 0.25, 0.25], [0, 0, 1.0, 0], [0.4, 0.3, 0.2, 0.1]]
    )
    rows = row_numbers(probs, ids, TOKENIZER)
    assert rows[:, 1].tolist() == probs[:, 0].tolist()
    assert rows[:, 2].tolist() == probs[:, 3].tolist()
    assert rows[:, 3].tolist() == pytest.approx([0.1, 0.25, 1.0, 0.1])
    assert rows[:3, 4].tolist() == pytest.approx([0.2, 0.25, 0.0])
    assert rows[1:, 5].tolist() == pytest.approx([0.25, 0.0, 0.2])
    assert rows[0, 5].isnan()
    assert rows[3, 4].isnan()
    assert rows[1:3, 0].tolist() == pytest.approx([np.log(4), 0.0])
    pair = TOKENIZER.encode("my", "dog").input_ids  # two [SEP]
    assert row_numbers(torch.full((5, 5), 0.2), pair, TOKENIZER)[0, 2] == pytest.approx(0.4)


def node(script: str, cases: object, folder: Path) -> object:
    """What a script prints as JSON, when `cases` and the widget's functions are at hand."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    (folder / "cases.json").write_text(json.dumps(cases))
    code = f"""
      import {{ readFileSync }} from "node:fs";
      import * as widget from {json.dumps((STATIC / "attention_explorer.js").as_uri())};
      import {{ unpack }} from {json.dumps((STATIC / "shared.js").as_uri())};
      const cases = JSON.parse(readFileSync({json.dumps(str(folder / "cases.json"))}));
      const read = (file) => unpack(new Uint8Array(readFileSync(file)));
      {script}
    """
    command = ["node", "--no-warnings", "--input-type=module", "--eval", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("complete", [True, False])
def test_the_browser_computes_the_same_numbers(explore, complete: bool, tmp_path: Path) -> None:
    explorer = explore("my dog is cute", HOSTILE, complete=complete)
    explorer.settings = explorer.settings | {"layer": 2, "head": 2}
    for name in ("data", "heads"):
        (tmp_path / name).write_bytes(getattr(explorer, name))
    script = """
      const [data, heads] = [read(cases[0]), read(cases[1])];
      const [text] = data.texts;
      const size = text.tokens.length;
      const n = heads.which[0].findIndex(([layer, head]) => layer === 1 && head === 1);
      const width = heads.query0.shape[2];
      const part = (name, length) => heads[name].values.subarray(n * length, (n + 1) * length);
      const head = { size, width, scale: 1, values: part("probs0", size * size),
                     query: part("query0", size * width), key: part("key0", size * width) };
      const clean = (numbers) => numbers.map((x) => (Number.isNaN(x) ? null : x));
      const report = (special, renormalise) => {
        const kept = widget.keptPositions(text, special);
        return [kept, clean(widget.averages(head, text, kept, renormalise)), kept.map((i) =>
          clean(widget.rowNumbers(widget.rowOf(head, i, kept, renormalise), i, text)))];
      };
      const products = text.tokens.map((_, j) => widget.products(head, 2, j));
      const reports = [[true, false], [false, false], [false, true]].map((how) => report(...how));
      console.log(JSON.stringify([...reports, products]));
    """
    whole, hidden, renormalised, products = node(
        script, [str(tmp_path / "data"), str(tmp_path / "heads")], tmp_path
    )
    ids = TOKENIZER.encode("my dog is cute", HOSTILE).input_ids
    probs = BERT.attention("my dog is cute", HOSTILE)[1, 1]
    words = (ids != TOKENIZER.cls_token_id) & (ids != TOKENIZER.sep_token_id)
    left = probs * words
    cases = [
        (whole, probs, torch.ones_like(words)),
        (hidden, probs, words),
        (renormalised, left / left.sum(-1, keepdim=True), words),
    ]
    for (kept, averages, rows), shares, places in cases:
        expected = row_numbers(shares, ids, TOKENIZER)[places]
        assert kept == places.nonzero().flatten().tolist()
        theirs = torch.tensor(
            [[np.nan if x is None else x for x in row] for row in rows], dtype=torch.float32
        )
        assert torch.allclose(theirs, expected, atol=2e-3, equal_nan=True)
        assert torch.allclose(torch.tensor(averages), expected.nanmean(0), atol=2e-3)
    scores = attention_scores(explorer._shown[0].query[1, 1], explorer._shown[0].key[1, 1])[2]
    assert len(products[0]) == WIDTH
    tolerance = 0.02 if complete else 1e-4
    assert torch.allclose(torch.tensor(products).sum(-1), scores, atol=tolerance)
    assert torch.allclose(attention_probs(scores), probs[2], atol=1e-5)
    assert scores.abs().max() > 1


@settings(max_examples=30)
@given(st.integers(1, 90), st.integers(1, 40))
def test_a_pooled_map_keeps_every_dots_largest(size: int, side: int) -> None:
    maps = np.random.default_rng(size).integers(0, 255, (2, size, size), dtype=np.uint8)
    small = pooled(maps, side)
    assert small.shape[-2:] == (min(size, side),) * 2
    assert (small.max((1, 2)) == maps.max((1, 2))).all()
    block = max(1, size // side)  # of the first dot
    assert small[1, 0, 0] == maps[1, :block, :block].max()


def test_what_is_sent_stays_small(explore) -> None:
    """The sizes of the embedded model: 6 layers, 12 heads of 32 numbers."""
    torch.manual_seed(0)
    config = BertConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=12)
    bert = Bert(BertForPreTraining(config), TOKENIZER)
    sent = {}
    for words in (27, 125, 509):
        explorer = explore("dog " * (words - 2), "it is", bert=bert)
        assert len(explorer._shown[0].encoding) == words + 3
        sent[words + 3] = sum(map(len, (explorer.data, explorer.heads, explorer.to_words())))
    assert sent[30] <= 150_000
    assert sent[128] <= 2_000_000
    assert sent[512] <= 2_000_000
    assert unpacked(explorer.data)[1]["maps0"].shape == (6, 12, 64, 64)
    assert unpacked(explorer.heads)[1]["probs0"].shape == (1, 512, 512)


def test_short_texts_bring_everything_and_long_ones_on_demand(explore) -> None:
    short, long = explore("my dog"), explore("dog " * 100)
    assert len(unpacked(short.heads)[0]["which"][0]) == LAYERS * HEADS
    assert unpacked(long.heads)[0]["which"] == [[[0, 0]]]
    long.settings = long.settings | {"beside": [2, 3]}
    assert unpacked(long.heads)[0]["which"] == [[[0, 0], [1, 2]]]
    long.settings = long.settings | {"layer": 2}
    before = long.heads
    long.settings = long.settings | {"token": 5}  # no other head: nothing is sent
    assert long.heads is before


def test_another_text_brings_the_same_head(explore) -> None:
    explorer = explore("my dog is cute", other="the dog bites", complete=False)
    explorer.settings = explorer.settings | {"layer": 2, "head": 3, "beside": [1, 2]}
    header, arrays = unpacked(explorer.heads)
    assert header["which"] == [[[1, 2], [0, 1]], [[1, 2]]]
    theirs = BERT.attention("the dog bites")[1, 2].numpy()
    assert np.allclose(arrays["probs1"][0], theirs, atol=5e-4)


def test_repr_is_one_stable_line_with_the_heads_numbers(explore) -> None:
    explorer = explore("my dog is cute", "he likes playing")
    explorer.settings = explorer.settings | {"layer": 2, "head": 3}
    probs = BERT.attention("my dog is cute", "he likes playing")[1, 2]
    entropy = torch.special.entr(probs).sum(-1).mean()
    assert repr(explorer) == (
        f"AttentionExplorer(10 tokens, layer 2 head 3 of 2 x 3: entropy {entropy:.2f} nats, "
        f"to itself {100 * probs.diagonal().mean():.1f} %)"
    )
    assert explore("my dog").data == explore("my dog").data


def test_hostile_text_stays_text(explore) -> None:
    explorer = explore(HOSTILE, "<b>", other=HOSTILE)
    tags = {node.tag for node in ET.fromstring(explorer.to_words()).iter()}
    assert tags == {"div", "p", "b", "code"}


@pytest.mark.parametrize("text", ["", " ", "[CLS] [SEP]", "\N{DOG FACE}"])
def test_a_text_without_words_is_shown(explore, text: str) -> None:
    assert "entropy" in repr(explore(text, None))


def test_new_texts_give_new_data_and_let_go_of_pinned_tokens(explore) -> None:
    explorer = explore("my dog is cute", "he likes playing")
    explorer.settings = explorer.settings | {"layer": 2, "token": 8, "target": 7}
    explorer.text, explorer.pair = "my cat", None
    header, _ = unpacked(explorer.data)
    assert header["texts"][0]["tokens"] == ["[CLS]", "my", "cat", "[SEP]"]
    assert header["version"] == unpacked(explorer.heads)[0]["version"]
    assert explorer.settings["token"] is explorer.settings["target"] is None
    assert explorer.settings["layer"] == 2


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"text": "a " * 10_000}, "The text has 10,002 tokens and this picture shows at most 40"),
        (
            {"other": "a " * 50},
            "The text has 52 tokens and this picture shows at most 40: shorten it.",
        ),
        ({"text": "\ud800"}, "the text holds half of a surrogate pair"),
    ],
)
def test_what_cannot_be_shown_is_refused_and_the_picture_stays(
    explore, changes: dict[str, str], sentence: str
) -> None:
    bert = random_bert(positions=40)
    with pytest.raises(InputError, match="^" + sentence):
        AttentionExplorer(bert=bert, **changes)
    explorer = explore(bert=bert)
    before = drawn_from(explorer)
    for name, value in changes.items():
        setattr(explorer, name, value)
    assert explorer.problem.startswith(sentence)
    assert unpacked(explorer.data)[0]["problem"] == explorer.problem
    assert drawn_from(explorer) == before
    explorer.text, explorer.other = "my cat", None
    assert explorer.problem == ""


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"layer": 3}, "There is no layer 3, head 1: this model has layers 1 to 2 and heads"),
        ({"beside": [1, 0]}, "There is no layer 1, head 0"),
        ({"token": 6}, "There is no token 6: the text's positions go from 0 to 5."),
    ],
)
def test_settings_that_cannot_be_shown_are_refused(
    explore, changes: dict[str, object], sentence: str
) -> None:
    explorer = explore()
    with pytest.raises(InputError, match="^" + sentence):
        explorer.settings = explorer.settings | changes


def test_python_and_the_browser_call_the_numbers_alike() -> None:
    assert json.dumps(NUMBERS) in (STATIC / "attention_explorer.js").read_text().replace("'", '"')
