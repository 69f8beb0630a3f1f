"""The mask explorer shows what `mask_tokens` does: in Python, and in the browser's own code."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from bertedu import BertTokenizer, InputError, load_tokenizer
from bertedu.pretraining.masking import NOT_CHOSEN, MaskingRule, mask_tokens
from bertedu.tokenizer import SPECIAL_TOKENS
from bertedu.widgets import MaskExplorer
from bertedu.widgets.mask_explorer import LONGEST, fates_from_draws
from tests.pictures import drawn_from

TOKENIZER = load_tokenizer()
STATIC = Path(__file__).parents[1] / "bertedu" / "widgets" / "static"
TEXTS = [
    "my dog is hairy",
    "",
    "[MASK] [SEP]##s unaffable hairballs [PAD] ## ####",
    "Outplaying unbelievable embeddings, 你好 🤗 " * 5,
    "word " * 50,
]
PAPER = {"rate": 15, "mask": 80, "random": 10, "whole_words": False, "roll": 0}


@st.composite
def percents(draw: st.DrawFn) -> dict[str, object]:
    """What the sliders can stand at."""
    mask = draw(st.integers(0, 100))
    return {
        "rate": draw(st.integers(1, 100)),
        "mask": mask,
        "random": draw(st.integers(0, 100 - mask)),
        "whole_words": draw(st.booleans()),
        "roll": 0,
    }


def rule_of(sliders: dict[str, object]) -> MaskingRule:
    shares = (sliders[name] / 100 for name in ("rate", "mask", "random"))
    return MaskingRule(*shares, sliders["whole_words"])


def replayed(
    ids: Tensor, rule: MaskingRule, seed: int, copies: int = 40
) -> tuple[Tensor, Tensor, Tensor]:
    """Fates of `mask_tokens`, and the keys and draws that it took from the generator."""
    batch = ids.expand(copies, -1)
    generator, again = (torch.Generator().manual_seed(seed) for _ in range(2))
    fates = mask_tokens(batch, TOKENIZER, generator, rule, torch.ones_like(batch)).fates
    keys = torch.rand(batch.shape, generator=again, dtype=torch.float64)
    draws = torch.full(batch.shape, 0.5, dtype=torch.float64)
    chosen = fates != NOT_CHOSEN
    draws[chosen] = torch.rand(int(chosen.sum()), generator=again, dtype=torch.float64)
    return fates, keys, draws


@given(st.sampled_from(TEXTS), percents(), st.integers(0, 2**31 - 1))
def test_the_rule_is_mask_tokens_own(text: str, sliders: dict[str, object], seed: int) -> None:
    ids, rule = TOKENIZER.encode(text).input_ids, rule_of(sliders)
    fates, keys, draws = replayed(ids, rule, seed)
    assert torch.equal(fates_from_draws(ids, TOKENIZER, keys, draws, rule), fates)


@pytest.mark.parametrize("text", TEXTS)
def test_the_rolls_are_those_of_mask_tokens(text: str) -> None:
    explorer = MaskExplorer(text, "he likes it", seed=7)
    ids = TOKENIZER.encode(text, "he likes it").input_ids
    batch = ids.expand(len(explorer.fates), -1)
    generator = torch.Generator().manual_seed(7)
    fates = mask_tokens(batch, TOKENIZER, generator, MaskingRule(), torch.ones_like(batch)).fates
    assert torch.equal(explorer.fates, fates)


def node(script: str, cases: object, folder: Path) -> object:
    """What a script prints as JSON, when `cases` and the widget's functions are at hand."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    (folder / "cases.json").write_text(json.dumps(cases))
    module = (STATIC / "mask_explorer.js").as_uri()
    rule = (STATIC / "rules" / "masking.js").as_uri()
    shared = (STATIC / "shared.js").as_uri()
    code = f"""
      import {{ readFileSync }} from "node:fs";
      import * as widget from {json.dumps(module)};
      import * as rule from {json.dumps(rule)};
      import {{ unpack }} from {json.dumps(shared)};
      const cases = JSON.parse(readFileSync({json.dumps(str(folder / "cases.json"))}));
      const read = (file) => unpack(new Uint8Array(readFileSync(file)));
      {script}
    """
    command = ["node", "--no-warnings", "--input-type=module", "--eval", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@settings(max_examples=1)
@given(st.lists(percents(), min_size=40, max_size=40))
def test_the_browser_gives_the_same_fates(
    tmp_path_factory: pytest.TempPathFactory, sliders: list[dict[str, object]]
) -> None:
    """40 settings of the sliders on every text; 2,000 rolls each, all told by a sum per roll."""
    folder = tmp_path_factory.mktemp("fates")
    cases, expected = [], []
    for number, text in enumerate(TEXTS):
        explorer = MaskExplorer(text, seed=number)
        file = folder / f"{number}.bin"
        file.write_bytes(explorer.data)
        for each in [PAPER, *sliders]:
            explorer.settings = each
            cases.append([str(file), each])
            expected.append(explorer.fates[:50].flatten().tolist() + checksums(explorer.fates))
    script = """
      const known = {};
      const answers = cases.map(([file, sliders]) => {
        known[file] ??= read(file);
        const fates = rule.fatesFromDraws(known[file], sliders);
        const length = known[file].tokens.length;
        const sums = [0, 0, 0, 0];
        fates.forEach((fate, i) => { sums[fate] += (i % 997) + 1; });
        return [...fates.subarray(0, 50 * length), ...sums];
      });
      console.log(JSON.stringify(answers));
    """
    assert node(script, cases, folder) == expected


def checksums(fates: Tensor) -> list[int]:
    """For each fate, where it fell: a sum that changes when one token's fate does."""
    weights = torch.arange(fates.numel()) % 997 + 1
    return torch.bincount(fates.flatten().long(), weights.double(), minlength=4).long().tolist()


def test_the_browser_rounds_as_the_library(tmp_path: Path) -> None:
    cases = [[length, rate] for length in range(2, 257) for rate in range(1, 101)]
    script = "console.log(JSON.stringify(cases.map(([n, rate]) => rule.countToChoose(n, rate))))"
    expected = [max(1, round(length * (rate / 100))) for length, rate in cases]
    assert node(script, cases, tmp_path) == expected


def test_the_browser_says_what_the_model_sees(tmp_path: Path) -> None:
    explorer = MaskExplorer("my dog is hairy and unaffable", "he likes it", seed=3)
    explorer.settings = PAPER | {"rate": 60, "mask": 40, "random": 40}
    (tmp_path / "data.bin").write_bytes(explorer.data)
    script = """
      const data = read(cases.file);
      const fates = rule.fatesFromDraws(data, cases.sliders);
      console.log(JSON.stringify(Array.from({length: 100}, (_, roll) =>
        widget.tokensSeen(data, fates, roll)
          .map((t) => [t.token, t.id, t.label, t.fate, t.was.token]))));
    """
    cases = {"file": str(tmp_path / "data.bin"), "sliders": explorer.settings}
    encoding = TOKENIZER.encode("my dog is hairy and unaffable", "he likes it")
    kinds = set()
    for row, fates in zip(
        node(script, cases, tmp_path), explorer.fates[:100].tolist(), strict=True
    ):
        for position, (token, index, label, fate, was) in enumerate(row):
            true_id = int(encoding.input_ids[position])
            kinds.add(fate)
            assert fate == fates[position]
            assert was == encoding.tokens[position]
            assert label == (true_id if fate else -100)
            assert TOKENIZER.tokens[index] == token
            assert fate == 2 or index == (TOKENIZER.mask_token_id if fate == 1 else true_id)
    assert kinds == {0, 1, 2, 3}


def test_random_tokens_are_ordinary_and_many() -> None:
    explorer = MaskExplorer()
    assert len(explorer._pool.unique()) > 200
    assert torch.isin(explorer._pool, TOKENIZER.ordinary_ids).all()
    assert len(explorer._random.unique()) == len(explorer._pool)


def test_repr_is_one_stable_line() -> None:
    assert repr(MaskExplorer(seed=1)) == repr(MaskExplorer(seed=1))
    assert repr(MaskExplorer()) == "MaskExplorer(6 tokens: 1 chosen, 1 masked, 0 random, 0 kept)"
    assert MaskExplorer(seed=1).data == MaskExplorer(seed=1).data != MaskExplorer(seed=2).data


def test_hostile_text_stays_text() -> None:
    text = "<script>alert(1)</script> & <img src=x onerror=alert(1)>"
    explorer = MaskExplorer(text, text)
    explorer.settings = PAPER | {"rate": 100, "mask": 0, "random": 50}
    assert "<script" not in explorer.to_words()
    assert "<img" not in explorer.to_words()


def test_new_text_and_seed_give_new_data_and_the_first_roll() -> None:
    explorer = MaskExplorer()
    explorer.settings = PAPER | {"roll": 1999, "rate": 30}
    before = explorer.data
    explorer.text = "word " * 200
    assert explorer.data != before
    assert explorer.settings == PAPER | {"rate": 30}
    assert len(explorer.fates) == 2**18 // 202
    explorer.seed = 5
    explorer.settings = PAPER
    assert torch.equal(explorer.fates, MaskExplorer("word " * 200, seed=5).fates)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"text": "a " * 255}, f"The text has 257 tokens and this picture shows at most {LONGEST}"),
        ({"seed": -1}, "The seed is -1; choose a number from 0 to 2,147,483,647."),
    ],
)
def test_what_cannot_be_shown_is_refused_and_the_picture_stays(
    changes: dict[str, object], sentence: str
) -> None:
    with pytest.raises(InputError, match="^" + sentence.replace("(", r"\(")):
        MaskExplorer(**changes)
    explorer = MaskExplorer()
    before = drawn_from(explorer)
    for name, value in changes.items():
        setattr(explorer, name, value)
    assert explorer.problem.startswith(sentence)
    assert drawn_from(explorer) == before
    explorer.seed, explorer.text = 0, "my dog"
    assert explorer.problem == ""


def test_another_vocabulary_can_be_used() -> None:
    tokenizer = BertTokenizer([*SPECIAL_TOKENS, "my", "dog"])
    explorer = MaskExplorer("my dog", tokenizer=tokenizer)
    assert repr(explorer) == "MaskExplorer(4 tokens: 1 chosen, 1 masked, 0 random, 0 kept)"
