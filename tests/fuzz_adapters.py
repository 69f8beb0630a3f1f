"""Damages adapter folders at random and opens them: a sentence, or peft's numbers.

    python tests/fuzz_adapters.py          200 folders, always the same
    python tests/fuzz_adapters.py 50 7     50 others: seed 7

As in `fuzz_checkpoints`: every folder is a good one with one or two accidents. Opening it, and
asking it, must end in one of bertedu's own errors, in one line, or in the numbers that peft
computes from the same folder (or, where it stumbles over what does not matter, in the good one's).
"""

import json
import os
import random
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import peft
import torch
import transformers
from safetensors.torch import load_file, save_file

sys.path.insert(0, str(Path(__file__).parents[1]))

import bertedu
from bertedu import BertForPreTraining, CheckpointError, InputError
from bertedu.finetuning import Classification, FineTuned, SlotFilling, load
from bertedu.finetuning.adapters import CONFIG as SETTINGS
from bertedu.finetuning.adapters import WEIGHTS, add_lora
from bertedu.finetuning.model import Base, starting_model
from bertedu.finetuning.task import SETTINGS as NOTE
from tests.cases import CONFIG, TOKENIZER
from tests.fuzz_checkpoints import (
    Numbers,
    after_accidents,
    change_json,
    flip_bits,
    move_about,
    numbers,
    replace_file,
    run,
    same,
    truncate,
)

KINDS = ("texts", "slots", "texts, published")


def good(folder: Path, base: Path, kind: str) -> None:
    """Writes an adapter as we save it, or as peft does."""
    tasks = {
        "texts": Classification(labels=("bad", "good")),
        "slots": SlotFilling(labels=("O", "B-x")),
    }
    task = tasks[kind.removesuffix(", published")]
    torch.manual_seed(5)
    model, _ = starting_model(task, base)
    noted = Base.of(base, model)
    add_lora(model, rank=3, alpha=5)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = torch.randn(parameter.shape) * 0.3
    FineTuned(task, model, TOKENIZER, 40, base=noted).save(folder)
    if kind.endswith("published"):
        (folder / NOTE).unlink()
        settings = json.loads((folder / SETTINGS).read_text())
        peft.LoraConfig(**settings).save_pretrained(folder)


def change_settings(rng: random.Random, folder: Path) -> None:
    """Puts in what changes the meaning of an adapter, rather than its form."""
    file = folder / SETTINGS
    settings = json.loads(file.read_text("utf-8"))
    settings |= rng.choice(
        [
            {"peft_type": rng.choice(["IA3", "PREFIX_TUNING", "lora", None, 3])},
            {"base_model_name_or_path": rng.choice([None, "", "no/such", 3, "\0", "x" * 5000])},
            {"base_model_name_or_path": str(folder.parent / "other")},
            {"base_model_name_or_path": str(folder)},
            {"r": rng.choice([0, -1, 1, 4, 2.5, True, 10**9, "3"])},
            {"lora_alpha": rng.choice([0, -2, 7, 0.5, 10**400, float("nan"), float("inf"), True])},
            {"use_rslora": rng.choice([True, "yes", 1])},
            {"rank_pattern": {"query": 2}}, {"alpha_pattern": {"query": 2}},
            {"use_dora": True}, {"bias": rng.choice(["all", "lora_only"])}, {"lora_bias": True},
            {"init_lora_weights": rng.choice(["pissa", "olora", "gaussian", "loftq", False])},
            {"target_modules": rng.choice([["query"], ["nothing"], "query", [3], None, ["dense"]])},
            {"layers_to_transform": [0]}, {"fan_in_fan_out": True},
            {"task_type": rng.choice(["CAUSAL_LM", "TOKEN_CLS", "QUESTION_ANS", [1], None])},
            {"an_option_of_tomorrow": rng.choice([True, {"x": 1}, 0, None])},
        ]
    )  # fmt: skip
    file.write_text(json.dumps(settings))


def change_tensors(rng: random.Random, folder: Path) -> None:
    file = folder / WEIGHTS
    tensors = load_file(file)
    name, other = rng.choice(sorted(tensors)), rng.choice(sorted(tensors))
    dtypes = [torch.int8, torch.bool, torch.float16, torch.float64, torch.float8_e4m3fn]
    kind = rng.randrange(10)
    if kind == 0:
        tensors[name] = tensors[name].to(rng.choice(dtypes))
    elif kind == 1:
        value = rng.choice([float("nan"), float("inf")])
        tensors[name].flatten()[rng.randrange(tensors[name].numel())] = value
    elif kind == 2:
        tensors[name] = rng.choice(
            [tensors[name][:1], tensors[name][None], torch.zeros(()), torch.zeros(0, 10**6)]
        )
    elif kind == 3:
        del tensors[name]
    elif kind == 4:
        layer = name.rpartition(".lora_")[0] or name
        tensors = {key: value for key, value in tensors.items() if not key.startswith(layer)}
    elif kind == 5:
        tensors[rng.choice([name + "x", name.upper(), name.removeprefix("base_model.model.")])] = (
            tensors.pop(name)
        )
    elif kind == 6:
        tensors[name], tensors[other] = tensors[other].clone(), tensors[name].clone()
    elif kind == 7:  # another rank throughout
        tensors = {
            key: value[:2] if "lora_A" in key else value[:, :2] if "lora_B" in key else value
            for key, value in tensors.items()
        }
    elif kind == 8:
        tensors[name.replace("lora_A", "lora_magnitude_vector") + "y"] = torch.zeros(3)
    else:
        tensors[name] = tensors[name].double() * 1e300
    save_file({key: value.contiguous() for key, value in tensors.items()}, file)


ACCIDENTS = (
    truncate, flip_bits, replace_file, move_about, change_json, change_json, change_settings,
    change_settings, change_settings, change_tensors, change_tensors, change_tensors,
)  # fmt: skip


def ours(folder: Path) -> tuple[str, Numbers]:
    """Returns what bertedu makes of a folder: the model's class, ids and logits of each text."""
    tuned = load(folder)
    tuned.predict(["w1 good romes", ""])
    encode = tuned.tokenizer.encode
    return type(tuned.model).__name__, numbers(
        tuned.model, lambda text: encode(text).input_ids.tolist()
    )


def theirs(folder: Path, name: str) -> Numbers:
    """Returns what peft makes of it, on transformers' class of that name."""
    head = load_file(folder / WEIGHTS)["base_model.model.classifier.bias"]
    settings = json.loads((folder / SETTINGS).read_text())
    base = settings["base_model_name_or_path"]
    model = getattr(transformers, name).from_pretrained(
        base, num_labels=len(head), dtype=torch.float32
    )
    adapted = peft.PeftModel.from_pretrained(model, folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    return numbers(adapted, lambda text: tokenizer(text)["input_ids"])


def outcome(folder: Path, before: Numbers | None = None) -> str:
    """Returns "refused", "equal", "undone" (the good one's), or what went wrong."""
    try:
        model, found = ours(folder)
    except (CheckpointError, InputError) as error:
        message = str(error)
        lines = "\n" in message or len(message) > 700
        return f"WRONG: no sentence: {message[:200]!r}" if lines else "refused"
    except Exception as error:  # noqa: BLE001 (that is what is looked for)
        return f"WRONG: {type(error).__name__}: {str(error)[:200]}"
    try:
        right = theirs(folder, model)
    except Exception as error:  # noqa: BLE001 (whatever peft cannot read)
        if before and same(found, before):  # it may refuse what does not matter
            return "undone"
        return f"WRONG: read, and peft does not ({type(error).__name__}: {str(error)[:100]})"
    return "equal" if same(found, right) else "WRONG: other numbers than peft"


def fuzz(count: int, seed: int = 0, report: Callable[[str], None] = print) -> Counter[str]:
    """Returns how many folders ended how."""
    transformers.logging.set_verbosity(transformers.logging.CRITICAL)
    transformers.logging.disable_progress_bar()
    os.environ["HF_HUB_OFFLINE"] = "1"
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        home = Path(scratch)
        for seeded, name in enumerate(("base", "other")):
            torch.manual_seed(seeded)
            model = BertForPreTraining(replace(CONFIG, initializer_range=0.4))
            bertedu.save_pretrained(model, home / name, TOKENIZER)
        before = {}
        for kind in KINDS:
            good(home / kind, home / "base", kind)
            before[kind] = ours(home / kind)[1]
            assert outcome(home / kind) == "equal", outcome(home / kind)

        def judged(folder: Path, kind: str, _: object) -> str:
            return outcome(folder, before[kind])

        return after_accidents(home, KINDS, ACCIDENTS, judged, count, seed, report)


if __name__ == "__main__":
    sys.exit(run(fuzz))
