"""The joint loop: exact resumption, exact sharing between processes, and learning."""

import itertools
import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bertedu import (
    BertConfig,
    BertForPreTraining,
    BertTokenizer,
    CheckpointError,
    InputError,
    load,
)
from bertedu.commands.cli import main
from bertedu.commands.pretrain import History
from bertedu.pretraining import (
    PretrainingData,
    PretrainingStep,
    Recipe,
    evaluate,
    kept,
    pretrain,
    set_token_frequencies,
    unigram_log_probs,
)
from bertedu.pretraining.corpus import Corpus
from bertedu.tokenizer import SPECIAL_TOKENS
from bertedu.training.checkpoints import checkpoints, finishing
from bertedu.training.step import make_optimizer

TOKENIZER = BertTokenizer([*SPECIAL_TOKENS, *(f"w{i}" for i in range(40))])
CONFIG = BertConfig(
    vocab_size=len(TOKENIZER),
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=32,
    max_position_embeddings=32,
)
WSD = Recipe(steps=10, tokens_per_batch=128, warmup_steps=2, max_length=32, learning_rate=1e-2,
             schedule="wsd", decay_share=0.4)  # it falls from step 6  # fmt: skip
RECIPE = Recipe(steps=8, tokens_per_batch=128, warmup_steps=2, max_length=32, learning_rate=1e-2)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    """Documents that each keep to one of four themes, so that both tasks can be learned."""
    rng = np.random.default_rng(0)
    sentences: list[np.ndarray] = []
    document_starts = [0]
    for _ in range(60):
        words = 5 + 10 * rng.integers(4) + np.arange(10)
        count = int(rng.integers(3, 8))
        sentences += [rng.choice(words, size=rng.integers(3, 9)) for _ in range(count)]
        document_starts.append(len(sentences))
    starts = np.cumsum([0, *map(len, sentences)])
    return Corpus(np.concatenate(sentences).astype(np.uint16), starts, np.array(document_starts))


def fresh_model() -> BertForPreTraining:
    torch.manual_seed(1)
    return BertForPreTraining(CONFIG)


def losses(reports: list[PretrainingStep]) -> list[tuple[float, float]]:
    return [(report.mlm_loss, report.nsp_loss) for report in reports]


def test_learning_rate_rises_then_falls_to_nearly_nothing() -> None:
    recipe = Recipe(steps=100, warmup_steps=10, learning_rate=2.0)
    rates = [recipe.learning_rate_at(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.2)
    assert max(rates) == rates[9] == rates[10] == 2.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(2.0 / 90)


def test_under_wsd_the_learning_rate_stays_and_falls_at_the_end() -> None:
    recipe = Recipe(steps=100, warmup_steps=10, learning_rate=2.0, schedule="wsd")
    rates = [recipe.learning_rate_at(step) for step in range(100)]
    assert rates[:10] == [pytest.approx(0.2 * (step + 1)) for step in range(10)]
    assert set(rates[9:80]) == {2.0}
    assert rates[80:] == [pytest.approx(2.0 * (100 - step) / 20) for step in range(80, 100)]
    longer = replace(recipe, steps=777)
    assert rates[:80] == [longer.learning_rate_at(step) for step in range(80)], "to the last bit"
    assert replace(recipe, decay_share=0.5).learning_rate_at(75) == 1.0


@pytest.mark.parametrize(
    ("setting", "message"),
    [({"schedule": "cosine"}, "choose linear or wsd"), ({"decay_share": 1.0}, "less than 1")],
)
def test_a_schedule_that_cannot_be_run_is_refused(setting: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(RECIPE, **setting)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1e-9])
@pytest.mark.parametrize(
    "name",
    ["learning_rate", "weight_decay", "clip_norm", "short_share", "decay_share"],
)
def test_a_number_that_is_none_is_refused(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"{name} is {value}; it must be at least 0, and finite"):
        replace(RECIPE, **{name: value})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--learning-rate", "nan"], "learning_rate is nan; it must"),
        (["--learning-rate", "-1"], "learning_rate is -1.0; it must"),
        (["--short-share", "1.5"], "short_share is 1.5: from 0 to 1"),
        (["--mask-rate", "nan"], "The masking rate is nan"),
        (["--dropout", "nan"], "hidden_dropout_prob is nan; it must"),
        (["--warmup", "-3"], "warmup_steps is -3; it must"),
        (["--seed", "-1"], "seed is -1; it must"),
        (["--seed", str(2**63)], "seed is 9223372036854775808; it must be at most"),
        (["--evaluate-every", "0"], "--evaluate-every and --evaluation-batches are from 1"),
        (["--keep", "-1"], "--keep from 0"),
    ],
)
def test_numbers_that_cannot_be_used_are_one_sentence(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    out = str(tmp_path / "out")
    assert main(["pretrain", str(tmp_path / "text.txt"), "--out", out, *OPTIONS, *options]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_another_text_does_not_continue_the_run(corpus: Corpus, tmp_path: Path) -> None:
    data = PretrainingData(corpus, TOKENIZER, RECIPE)
    steps = pretrain(fresh_model(), data, RECIPE, folder=tmp_path, save_every=1)
    next(steps)
    steps.close()
    (tmp_path / "run.json").unlink()  # as it was before there was a note of the text
    next(pretrain(fresh_model(), data, RECIPE, folder=tmp_path))
    other = Corpus(corpus.ids[::-1].copy(), corpus.sentence_starts, corpus.document_starts)
    others = PretrainingData(other, TOKENIZER, RECIPE)
    with pytest.raises(CheckpointError, match="on other text, or with another vocabulary"):
        next(pretrain(fresh_model(), others, RECIPE, folder=tmp_path))
    next(pretrain(fresh_model(), data, RECIPE, folder=tmp_path))
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(CheckpointError, match="run.json is damaged"):
        next(pretrain(fresh_model(), data, RECIPE, folder=tmp_path))


def test_biases_and_layer_norms_do_not_decay() -> None:
    model = fresh_model()
    decayed, kept = make_optimizer(model, RECIPE).param_groups
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert decayed["weight_decay"] == 0.01
    assert kept["weight_decay"] == 0
    assert all(p.ndim == 2 for p in decayed["params"])
    assert all("bias" in names[id(p)] or "LayerNorm" in names[id(p)] for p in kept["params"])
    assert len(decayed["params"]) + len(kept["params"]) == len(names)


def test_batch_k_is_the_same_from_wherever_one_starts(corpus: Corpus) -> None:
    data = PretrainingData(corpus, TOKENIZER, RECIPE)
    whole = list(itertools.islice(data.batches(), 40))  # several epochs
    late = list(itertools.islice(data.batches(25), 15))
    for one, other in zip(whole[25:], late, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)
    masks = {tuple(batch["labels"].flatten().tolist()) for batch in whole}
    assert len(masks) == len(whole), "masks must be drawn anew"


def test_batches_keep_to_their_tokens_and_lengths(corpus: Corpus) -> None:
    data = PretrainingData(corpus, TOKENIZER, RECIPE)
    batches = list(itertools.islice(data.batches(), 30))
    assert max(batch["input_ids"].numel() for batch in batches) <= RECIPE.tokens_per_batch
    padding = 1 - np.mean([float(batch["attention_mask"].float().mean()) for batch in batches])
    assert padding < 0.15, "examples of like length belong together"
    follows = sum(int((batch["next_sentence_label"] == 0).sum()) for batch in batches)
    random = sum(int((batch["next_sentence_label"] == 1).sum()) for batch in batches)
    assert min(follows, random) > 30


def test_a_continued_run_is_bit_identical(corpus: Corpus, tmp_path: Path) -> None:
    data = PretrainingData(corpus, TOKENIZER, RECIPE)
    whole = losses(list(pretrain(fresh_model(), data, RECIPE)))
    steps = pretrain(fresh_model(), data, RECIPE, folder=tmp_path)
    first = losses(list(itertools.islice(steps, 5)))
    steps.close()
    torch.manual_seed(99)  # whatever the process did in between
    rest = losses(list(pretrain(BertForPreTraining(CONFIG), data, RECIPE, folder=tmp_path)))
    assert first + rest == whole
    assert [folder.name for folder in checkpoints(tmp_path)] == ["step-0000008"]
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"run.json", "step-0000008"}, "nothing is kept unasked"


@pytest.mark.parametrize(("stopped", "goes_on_from"), [(4, 4), (6, 6), (8, 6), (10, 6)])
def test_a_run_that_is_given_more_steps_is_as_if_it_had_been_planned_so(
    corpus: Corpus, tmp_path: Path, stopped: int, goes_on_from: int
) -> None:
    data, longer = PretrainingData(corpus, TOKENIZER, WSD), replace(WSD, steps=15)
    planned = fresh_model()
    whole = losses(list(pretrain(planned, data, longer)))
    steps = pretrain(fresh_model(), data, WSD, folder=tmp_path, save_every=100, keep=1)
    assert losses(list(itertools.islice(steps, stopped)))[:6] == whole[: min(stopped, 6)]
    steps.close()
    given_more = BertForPreTraining(CONFIG)
    rest = list(pretrain(given_more, data, longer, folder=tmp_path, save_every=100))
    assert not (tmp_path / "unfinished").exists()
    assert rest[0].step == goes_on_from
    assert losses(rest) == whole[goes_on_from:]
    for one, other in zip(given_more.parameters(), planned.parameters(), strict=True):
        assert torch.equal(one, other)
    assert [folder.name for folder in checkpoints(tmp_path)] == ["step-0000015"]
    assert [folder.name for folder in checkpoints(tmp_path / "decay")] == ["step-0000009"]


def test_more_steps_begin_where_the_fall_began_even_when_killed_at_once(
    corpus: Corpus, tmp_path: Path
) -> None:
    data = PretrainingData(corpus, TOKENIZER, WSD)
    whole = losses(list(pretrain(fresh_model(), data, WSD, folder=tmp_path)))
    steps = pretrain(fresh_model(), data, replace(WSD, steps=15), folder=tmp_path)
    next(steps)
    assert not checkpoints(tmp_path), "what fell is undone, and nothing saved: steps is not closed"
    again = losses(list(pretrain(fresh_model(), data, WSD, folder=tmp_path)))
    assert again == whole[6:], "the old number still holds"


def test_steps_that_a_run_cannot_be_given_are_refused(corpus: Corpus, tmp_path: Path) -> None:
    data = PretrainingData(corpus, TOKENIZER, WSD)

    def asked(recipe: Recipe, **settings: object) -> None:
        next(pretrain(fresh_model(), data, replace(recipe, **settings), folder=out))

    out = tmp_path / "linear"
    list(pretrain(fresh_model(), data, RECIPE, folder=out))
    with pytest.raises(CheckpointError, match=r"steps = 8, not 9: .*schedule wsd can be given"):
        asked(RECIPE, steps=9)
    with pytest.raises(CheckpointError, match="schedule = linear, not wsd"):
        asked(WSD)

    out = tmp_path / "stopped"
    steps = pretrain(fresh_model(), data, WSD, folder=out)
    list(itertools.islice(steps, 5))
    steps.close()
    with pytest.raises(CheckpointError, match=r"5 steps behind it, more than 4"):
        asked(WSD, steps=4)
    with pytest.raises(CheckpointError, match=r"fall from step 4, .* ask for 9 steps or more"):
        asked(WSD, steps=6)
    with pytest.raises(CheckpointError, match=r"decay_share = 0\.4, not 0\.5"):
        asked(WSD, steps=20, decay_share=0.5)
    list(pretrain(fresh_model(), data, replace(WSD, steps=9), folder=out))
    assert [folder.name for folder in checkpoints(out / "decay")] == ["step-0000005"]

    (out / "decay").rename(tmp_path / "lost")
    with pytest.raises(CheckpointError, match="keeps no checkpoint from before"):
        asked(WSD, steps=20)


def test_a_run_from_before_there_were_schedules_is_continued(
    corpus: Corpus, tmp_path: Path
) -> None:
    data = PretrainingData(corpus, TOKENIZER, RECIPE)
    whole = losses(list(pretrain(fresh_model(), data, RECIPE)))
    steps = pretrain(fresh_model(), data, RECIPE, folder=tmp_path)
    list(itertools.islice(steps, 5))
    steps.close()
    file = tmp_path / "step-0000005" / "recipe.json"
    recipe = json.loads(file.read_text())
    assert recipe.pop("schedule") == "linear"
    assert recipe.pop("decay_share") == 0.2
    file.write_text(json.dumps(recipe))
    with pytest.raises(CheckpointError, match="schedule = linear, not wsd"):
        next(pretrain(fresh_model(), data, replace(RECIPE, schedule="wsd"), folder=tmp_path))
    rest = losses(list(pretrain(fresh_model(), data, RECIPE, folder=tmp_path)))
    assert rest == whole[5:]


def test_checkpoints_are_kept_evenly_in_the_logarithm_of_the_steps() -> None:
    steps = kept.marks(20_000, 10)
    assert (len(steps), steps[0], steps[-1]) == (10, 16, 20_000)
    ratios = np.diff(np.log(steps))
    assert ratios.min() == pytest.approx(ratios.max(), rel=0.05)
    assert kept.marks(20_000, 1) == [20_000]
    assert kept.marks(20_000, 0) == []
    assert kept.marks(3, 10) == [1, 2, 3]
    with pytest.raises(InputError, match="-1 checkpoints"):
        kept.marks(20_000, -1)


def test_kept_checkpoints_have_answers_and_do_not_touch_the_training(
    corpus: Corpus, tmp_path: Path
) -> None:
    data = PretrainingData(corpus, TOKENIZER, WSD)
    whole = list(pretrain(fresh_model(), data, WSD))
    keeping = list(pretrain(fresh_model(), data, WSD, folder=tmp_path, keep=3))
    assert losses(keeping) == losses(whole)
    folders = checkpoints(tmp_path / "kept")
    assert [folder.name for folder in folders] == ["step-0000001", "step-0000003", "step-0000010"]
    for folder, done in zip(folders, (1, 3, 10), strict=True):
        assert json.loads((folder / "config.json").read_text())["dtype"] == "float16"
        answers, bert = json.loads((folder / "answers.json").read_text()), load(folder)
        assert (answers["steps"], answers["of_steps"]) == (done, 10)
        assert answers["tokens"] == sum(report.tokens for report in whole[:done])
        assert answers["learning_rate"] == whole[done - 1].learning_rate
        assert [(gap["text"], gap["pair"]) for gap in answers["gaps"]] == list(kept.GAPS)
        for gap in answers["gaps"]:
            guesses = bert.fill_mask(gap["text"], gap["pair"], top_k=5)
            assert gap["guesses"] == [[[g.token, round(g.probability, 4)] for g in gs]
                                      for gs in guesses]  # fmt: skip
        assert [pair["follows"] for pair in answers["pairs"]] == [
            round(bert.next_sentence(*pair), 4) for pair in kept.PAIRS
        ]
        attention = answers["attention"]
        assert (attention["layer"], attention["head"]) == (2, 2), "the last of a model that small"
        assert attention["tokens"] == bert.encode(*kept.ATTENTION).tokens
        probs = bert.attention(*kept.ATTENTION)[1, 1]
        np.testing.assert_allclose(attention["probs"], probs, atol=0.0005 + 1e-6)
        assert all(p == round(p, 3) for row in attention["probs"] for p in row)


def test_more_steps_keep_what_was_kept(corpus: Corpus, tmp_path: Path) -> None:
    data = PretrainingData(corpus, TOKENIZER, WSD)
    list(pretrain(fresh_model(), data, WSD, folder=tmp_path, keep=3))
    before = {f: (f / "answers.json").read_bytes() for f in checkpoints(tmp_path / "kept")}
    list(pretrain(fresh_model(), data, replace(WSD, steps=30), folder=tmp_path, keep=4))
    after = checkpoints(tmp_path / "kept")
    assert [int(folder.name[5:]) for folder in after] == [1, 3, 10, 30]  # by the new total, 10 too
    assert {f: (f / "answers.json").read_bytes() for f in before} == before
    assert json.loads((after[-1] / "answers.json").read_text())["of_steps"] == 30


def test_a_disk_that_is_full_when_a_checkpoint_is_to_be_kept(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = PretrainingData(corpus, TOKENIZER, WSD)
    whole = losses(list(pretrain(fresh_model(), data, WSD)))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept, "write_json", full)
    done = []
    with pytest.raises(CheckpointError, match=r"kept/step-0000010 could not .*make room"):
        done.extend(pretrain(fresh_model(), data, WSD, folder=tmp_path, save_every=4, keep=1))
    monkeypatch.undo()
    assert list((tmp_path / "kept").iterdir()) == []
    rest = pretrain(fresh_model(), data, WSD, folder=tmp_path, keep=1)
    assert losses(list(rest)) == whole[8:]
    assert (tmp_path / "kept" / "step-0000010" / "answers.json").is_file()


def test_another_recipe_does_not_continue_the_run(corpus: Corpus, tmp_path: Path) -> None:
    data = PretrainingData(corpus, TOKENIZER, RECIPE)
    begun = pretrain(fresh_model(), data, RECIPE, folder=tmp_path)
    next(begun)
    begun.close()
    other = replace(RECIPE, learning_rate=1.0)
    with pytest.raises(CheckpointError, match=r"learning_rate = 0\.01, not 1\.0"):
        next(pretrain(fresh_model(), data, other, folder=tmp_path))
    without = BertForPreTraining(replace(CONFIG, hidden_dropout_prob=0.5))
    with pytest.raises(CheckpointError, match=r"dropout = 0\.\d, not 0\.5"):
        next(pretrain(without, data, RECIPE, folder=tmp_path))


def test_a_full_disk_leaves_the_last_checkpoint(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = PretrainingData(corpus, TOKENIZER, RECIPE)
    whole = losses(list(pretrain(fresh_model(), data, RECIPE)))

    def full(_: object, path: Path) -> None:
        if "unfinished" in str(path) and len(done) > 4:
            path.write_bytes(b"half")
            raise OSError(28, "No space left on device")
        save(_, path)

    save, done = torch.save, []
    monkeypatch.setattr(torch, "save", full)
    steps = pretrain(fresh_model(), data, RECIPE, folder=tmp_path, save_every=2)
    with pytest.raises(CheckpointError, match="make room"):
        done.extend(steps)
    monkeypatch.undo()
    assert [folder.name for folder in checkpoints(tmp_path)] == ["step-0000004"]
    assert not (tmp_path / "unfinished").exists()
    rest = losses(list(pretrain(fresh_model(), data, RECIPE, folder=tmp_path)))
    assert losses(done)[:4] + rest == whole


def test_a_loss_that_is_no_number_stops_the_run_and_saves_nothing(
    corpus: Corpus, tmp_path: Path
) -> None:
    data, model = PretrainingData(corpus, TOKENIZER, RECIPE), fresh_model()
    steps = pretrain(model, data, RECIPE, folder=tmp_path, save_every=2)
    list(itertools.islice(steps, 3))
    torch.nn.init.constant_(model.cls.predictions.bias, float("nan"))
    with pytest.raises(InputError, match=r"the loss is nan in step 4, and nothing was saved over"):
        next(steps)
    assert [folder.name for folder in checkpoints(tmp_path)] == ["step-0000002"]


def test_a_history_without_its_steps_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    rows = [json.dumps({"step": step, "mlm_loss": 1.0}) + "\n" for step in range(4)]
    path.write_text("".join(rows) + '{"step": 4, "held_out": {}')  # a kill's half line
    assert [row["step"] for row in History(path, 3).rows] == [0, 1, 2]
    assert path.read_text() == "".join(rows[:3])
    for content in ("".join(rows[:2]), rows[0] + "{}\n", "no JSON"):
        path.write_text(content)
        with pytest.raises(CheckpointError, match=r"history.jsonl is damaged .*to begin anew"):
            History(path, 3)
        assert path.read_text() == content


def test_both_losses_fall_under_their_baselines(corpus: Corpus) -> None:
    recipe = replace(RECIPE, steps=200, tokens_per_batch=1024, warmup_steps=20)
    train, held_out = corpus.split(0.2)
    model, data = fresh_model(), PretrainingData(corpus, TOKENIZER, recipe, train)
    quiet = replace(recipe, mlm_only=False)
    held_out_data = PretrainingData(corpus, TOKENIZER, quiet, held_out)
    batches = list(itertools.islice(held_out_data.batches(), 4))
    unigrams = unigram_log_probs(corpus, len(TOKENIZER))
    before = evaluate(model, batches, unigrams)
    assert before.mlm_loss == pytest.approx(math.log(len(TOKENIZER)), abs=0.3)
    assert before.nsp_loss == pytest.approx(math.log(2), abs=0.1)
    set_token_frequencies(model, unigrams)
    assert evaluate(model, batches, unigrams).mlm_loss == pytest.approx(
        before.unigram_loss, abs=0.2
    )
    list(pretrain(model, data, recipe))
    after = evaluate(model, batches, unigrams)
    assert after.mlm_loss < after.unigram_loss - 0.5
    assert after.nsp_loss < 0.6
    assert after == evaluate(model, batches, unigrams), "evaluation has no dropout"


def test_evaluation_by_hand(corpus: Corpus) -> None:
    model = fresh_model().eval()
    batches = list(itertools.islice(PretrainingData(corpus, TOKENIZER, RECIPE).batches(), 2))
    nats = hits = tokens = 0.0
    for batch in batches:
        inputs = {k: v for k, v in batch.items() if "label" not in k}
        with torch.inference_mode():
            probs = model(**inputs).prediction_logits.softmax(-1)
        for row, column in (batch["labels"] != -100).nonzero().tolist():
            label = int(batch["labels"][row, column])
            nats -= math.log(probs[row, column, label])
            hits += int(probs[row, column].argmax()) == label
            tokens += 1
    evaluation = evaluate(model, batches)
    assert evaluation.tokens == tokens
    assert evaluation.mlm_loss == pytest.approx(nats / tokens, rel=1e-5)
    assert evaluation.mlm_accuracy == pytest.approx(hits / tokens)
    with pytest.raises(InputError, match="no held-out batch"):
        evaluate(model, [])


def test_a_model_that_no_machine_holds_is_refused_before_it_is_built(tmp_path, capsys) -> None:
    from bertedu.commands import cli

    (tmp_path / "text.txt").write_text(TEXT)
    words = ["pretrain", str(tmp_path / "text.txt"), "--out", str(tmp_path / "out")]
    assert cli.main([*words, "--layers", "100000000"]) == 2
    assert " parameters; at most 2,000,000,000" in capsys.readouterr().err


def test_what_cannot_be_kept_for_its_numbers_is_not_blamed_on_the_disk(tmp_path: Path) -> None:
    def save() -> None:
        with finishing(tmp_path / "step-0000001") as unfinished:
            unfinished.mkdir()
            raise CheckpointError("weights hold NaN")

    with pytest.raises(CheckpointError, match=r"^weights hold NaN$"):
        save()
    assert list(tmp_path.iterdir()) == []


TEXT = "\n\n".join(
    "\n".join(
        f"The {animal} number {i} sees a {thing}. It likes the {thing}. The {animal} sleeps."
        for thing in ("ball", "tree", "house")
    )
    for i, animal in enumerate(["dog", "cat", "horse", "bird", "mouse", "fish"] * 6)
)
OPTIONS = ["--layers", "1", "--hidden-size", "8", "--heads", "2", "--batch-tokens", "256",
           "--max-length", "64", "--warmup", "2", "--evaluate-every", "4", "--steps", "20",
           "--evaluation-batches", "2", "--dropout", "0"]  # fmt: skip
SINGLE = {"OMP_NUM_THREADS": "1"}


def command(text: Path, out: Path, *options: str) -> list[str]:
    words = ["-m", "bertedu.commands.cli", "pretrain", str(text), "--out", str(out)]
    return [*words, *OPTIONS, *options]


def history(out: Path) -> list[tuple[float, float]]:
    rows = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
    return [(row["mlm_loss"], row["nsp_loss"]) for row in rows if "mlm_loss" in row]


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """A run of the command that nobody disturbed: its text, its folder, what it printed."""
    folder = tmp_path_factory.mktemp("run")
    text = folder / "text.txt"
    text.write_text(TEXT)
    result = subprocess.run(
        [sys.executable, *command(text, folder / "out")],
        env=os.environ | SINGLE, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return text, folder / "out", result.stdout + result.stderr


def test_the_command_says_what_lies_ahead_and_how_it_went(
    whole_run: tuple[Path, Path, str],
) -> None:
    _, out, printed = whole_run
    assert "parameters; 20 steps of about" in printed
    assert "20 steps to go, about 1 min on this machine" in printed
    assert "step 20: held-out MLM" in printed
    assert len(history(out)) == 20
    assert "20 of 20 steps, finished; held-out MLM" in (out / "curves.svg").read_text("utf-8")
    from bertedu import load

    assert load(out / "best").fill_mask("the [MASK] sleeps")


def test_another_mask_rate_trains_but_does_not_judge(
    whole_run: tuple[Path, Path, str], tmp_path: Path
) -> None:
    text, usual, _ = whole_run
    more = ["--mask-rate", "0.5", "--steps", "4"]
    subprocess.run(
        [sys.executable, *command(text, tmp_path, *more)],
        env=os.environ | SINGLE, capture_output=True, check=True, timeout=120,
    )  # fmt: skip

    def judged(out: Path) -> int:
        rows = map(json.loads, (out / "history.jsonl").read_text().splitlines())
        return next(row["held_out"]["tokens"] for row in rows if "held_out" in row)

    recipe = json.loads(next(tmp_path.glob("step-*/recipe.json")).read_text())
    assert recipe["masking"]["rate"] == 0.5
    assert judged(tmp_path) == judged(usual)


def test_bfloat16_changes_the_digits_and_nothing_else(
    whole_run: tuple[Path, Path, str], tmp_path: Path
) -> None:
    text, usual, _ = whole_run
    subprocess.run(
        [sys.executable, *command(text, tmp_path, "--precision", "bf16", "--steps", "1")],
        env=os.environ | SINGLE, capture_output=True, check=True, timeout=120,
    )  # fmt: skip
    rough, exact = history(tmp_path)[0], history(usual)[0]
    assert rough != exact
    np.testing.assert_allclose(rough, exact, atol=0.05)


def test_a_killed_run_continues_as_if_nothing_had_happened(
    whole_run: tuple[Path, Path, str], tmp_path: Path
) -> None:
    text, undisturbed, _ = whole_run
    arguments = [sys.executable, *command(text, tmp_path / "out")]
    for kills in (1, 2):
        process = subprocess.Popen(
            arguments, env=os.environ | SINGLE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 60
        while len(list((tmp_path / "out").glob("step-*"))) == 0 or (
            kills == 2 and not list((tmp_path / "out").glob("unfinished"))
        ):
            if process.poll() is not None or time.monotonic() > deadline:
                break
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert checkpoints(tmp_path / "out")
    subprocess.run(arguments, env=os.environ | SINGLE, capture_output=True, check=True, timeout=120)
    assert history(tmp_path / "out") == history(undisturbed)


@pytest.mark.timeout(300)
def test_the_command_gives_a_finished_run_more_steps(
    whole_run: tuple[Path, Path, str], tmp_path: Path
) -> None:
    text, _, _ = whole_run

    def called(out: str, steps: int) -> str:
        more = ["--schedule", "wsd", "--decay-share", "0.3", "--keep", "2", "--steps", str(steps)]
        result = subprocess.run(
            [sys.executable, *command(text, tmp_path / out, *more)],
            env=os.environ | SINGLE, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert result.returncode in {0, 2}, result.stderr
        return result.stdout + result.stderr

    called("planned", 20)
    assert "back to step" not in called("given", 10)
    refused = called("given", 8)
    assert "10 steps behind it, more than 8" in refused
    assert "Traceback" not in refused
    printed = called("given", 20)
    assert "back to step 7, before the learning rate fell, and from there on to 20" in printed
    assert "13 steps to go" in printed
    assert history(tmp_path / "given") == history(tmp_path / "planned")
    kept_steps = [f.name[5:].lstrip("0") for f in checkpoints(tmp_path / "given" / "kept")]
    assert kept_steps == ["1", "10", "20"]


def test_two_processes_give_the_losses_of_one(
    whole_run: tuple[Path, Path, str], tmp_path: Path
) -> None:
    text, undisturbed, _ = whole_run
    launch = ["-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2",
              "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no",
              "--main_process_port", "0", "--num_cpu_threads_per_process", "1"]  # fmt: skip
    subprocess.run(
        [sys.executable, *launch,
         *command(text, tmp_path / "out")],
        env=os.environ | SINGLE, capture_output=True, check=True, timeout=200,
    )  # fmt: skip
    one, two = history(undisturbed), history(tmp_path / "out")
    assert len(one) == len(two) == 20
    np.testing.assert_allclose(two, one, atol=1e-4)
