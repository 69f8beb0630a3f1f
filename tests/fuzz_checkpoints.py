"""Damages checkpoint folders at random and opens them: a sentence, or transformers' numbers.

    python tests/fuzz_checkpoints.py          200 folders, always the same
    python tests/fuzz_checkpoints.py 50 7     50 others: seed 7

Every folder is a good one with one or two accidents. Opening it, and asking it, must end in one of
bertedu's own errors, in one line, or in the numbers that transformers computes from the same folder
(or, where only a name was changed that we undo, in those of the good one): no traceback, no hang,
and not a gigabyte of memory.
"""

import contextlib
import faulthandler
import json
import os
import random
import re
import shutil
import struct
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file

sys.path.insert(0, str(Path(__file__).parents[1]))

import bertedu
from bertedu import BertForPreTraining, CheckpointError, InputError
from bertedu.finetuning import Classification, FineTuned, Inference, SlotFilling, load
from bertedu.finetuning.model import SETTINGS
from tests.cases import CONFIG, TOKENIZER

MEMORY = 2**30  # bytes more than before
SECONDS = 60  # until one folder counts as hanging
TEXTS = ["w1 good romes", "W2 Bad <x1> wörd, \u4f60 [MASK] in rome.", ""]
Accident = Callable[[random.Random, Path], None]
JUNK: list[Any] = [
    None, True, False, 0, 1, 2, -1, 3.5, float("nan"), float("inf"), 10**9, 10**30, 10**400, "",
    "x", [], [1], ["O", "x"], {}, {"0": "a"}, {"type": "Sequence"}, [[[[]]]], "\ud800", "a\nb",
]  # fmt: skip


def good(folder: Path, kind: str) -> None:
    """Writes a folder as we save it, or as transformers does."""
    torch.manual_seed(3)
    config = replace(CONFIG, initializer_range=0.4)
    if kind == "pretraining":
        bertedu.save_pretrained(BertForPreTraining(config), folder, TOKENIZER)
        return
    task = {
        "pairs": Inference(labels=("entailment", "neutral")),
        "slots": SlotFilling(labels=("O", "B-city", "I-city")),
        "texts": Classification(labels=("bad", "good")),
    }[kind.removesuffix(", published")]
    FineTuned(task, task.head(config), TOKENIZER, 40).save(folder)
    if kind.endswith("published"):
        (folder / SETTINGS).unlink()
        (folder / "vocab.txt").unlink()
        (folder / "tokenizer.json").write_text(json.dumps(fast()))


def fast() -> dict[str, Any]:
    """Returns a tokenizer.json of BERT's own kind."""
    theirs = transformers.BertTokenizer(vocab={t: i for i, t in enumerate(TOKENIZER.tokens)})
    content: dict[str, Any] = json.loads(theirs.backend_tokenizer.to_str())
    return content


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())


def truncate(rng: random.Random, folder: Path) -> None:
    file = rng.choice(files_of(folder))
    content = file.read_bytes()
    file.write_bytes(content[: rng.choice([0, 1, 8, 100, rng.randrange(len(content) + 1)])])


def flip_bits(rng: random.Random, folder: Path) -> None:
    file = rng.choice(files_of(folder))
    content = bytearray(file.read_bytes())
    for _ in range(rng.choice([1, 1, 4, 16])):
        if content:
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    file.write_bytes(content)


def replace_file(rng: random.Random, folder: Path) -> None:
    file = rng.choice(files_of(folder))
    other = rng.choice(files_of(folder)).read_bytes()
    file.write_bytes(
        rng.choice(
            [
                b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n",
                rng.randbytes(300),
                b"\xef\xbb\xbf" + file.read_bytes(),
                b'{"a":' * 200_000,
                file.read_bytes().replace(b"\n", b"\r\n"),
                b"<html>404</html>",
                other,
            ]
        )
    )


def move_about(rng: random.Random, folder: Path) -> None:
    file = rng.choice(files_of(folder))
    kind = rng.randrange(4)
    if kind == 0:
        file.unlink()
    elif kind == 1:
        file.unlink()
        file.mkdir()
    elif kind == 2:
        (folder / "inside").mkdir()
        for each in files_of(folder):
            each.rename(folder / "inside" / each.name)
    else:
        file.unlink()
        file.symlink_to(file.name)


def places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Returns the ways to everything in a JSON tree, but into the vocabulary only a few."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree)
    found = []
    for key, value in list(pairs)[:12] if len(tree) > 25 else pairs:
        found.append((*path, key))
        if isinstance(value, dict | list):
            found += places(value, (*path, key))
    return found


def change_json(rng: random.Random, folder: Path) -> None:
    found = [path for path in files_of(folder) if path.suffix == ".json"]
    if not found:
        return
    file = rng.choice(found)
    with contextlib.suppress(ValueError):
        tree = json.loads(file.read_text("utf-8", errors="replace"))
        for _ in range(rng.choice([1, 1, 2])):
            if not isinstance(tree, dict) or not (ways := places(tree)):
                return
            *way, last = rng.choice(ways)
            at = tree
            for step in way:
                at = at[step]
            if rng.random() < 0.2 and isinstance(at, dict):
                at[rng.choice(["x", "num_labels", "problem_type", last])] = at.pop(last)
            else:
                at[last] = rng.choice(JUNK)
        file.write_text(json.dumps(tree))


def change_config(rng: random.Random, folder: Path) -> None:
    """Puts in what changes the meaning of a model, rather than its form."""
    file = folder / "config.json"
    if not file.is_file():
        return
    with contextlib.suppress(ValueError):
        values = json.loads(file.read_text("utf-8", errors="replace"))
        size = rng.choice(
            [name for name, value in values.items() if isinstance(value, int | float)]
        )
        values |= rng.choice(
            [
                {size: rng.choice([10**9, 10**12, 0, -3, 1, 3, 0.5, float("nan")])},
                {"problem_type": rng.choice(["multi_label_classification", "regression", 3])},
                {"id2label": {"0": "x", "1": "x"}},
                {"id2label": {"1": "x", "5": "y"}},
                {"num_labels": rng.choice([1, 2, 3, 10**9])},
                {"quantization_config": {"load_in_8bit": True}},
                {"tokenizer_class": rng.choice(["BertJapaneseTokenizer", "BertTokenizerFast"])},
                {"architectures": rng.choice([None, "Bert", ["BertForTokenClassification"], [[]]])},
                {"hidden_act": rng.choice(["relu", "gelu_new", "silu", None])},
                {"type_vocab_size": 1}, {"num_hidden_layers": 1}, {"num_attention_heads": 4},
                {"is_decoder": True}, {"position_embedding_type": "relative_key"},
            ]
        )  # fmt: skip
        file.write_text(json.dumps(values))


def change_weights(rng: random.Random, folder: Path) -> None:
    file = folder / "model.safetensors"
    try:
        weights = load_file(file)
    except Exception:  # noqa: BLE001 (an accident was here before)
        return
    name, other = rng.choice(sorted(weights)), rng.choice(sorted(weights))
    dtypes = [torch.int8, torch.uint8, torch.bool, torch.float16, torch.bfloat16, torch.float64,
              torch.float8_e4m3fn, torch.int64]  # fmt: skip
    prefix = rng.choice(["module.", "_orig_mod.", "model.", "bert.", "_orig_mod.module."])
    kind = rng.randrange(10)
    if kind == 0:
        weights[name] = weights[name].to(rng.choice(dtypes))
    elif kind == 1:
        dtype = rng.choice(dtypes)
        weights = {key: value.to(dtype) for key, value in weights.items()}
    elif kind == 2:
        weights = {prefix + key: value for key, value in weights.items()}
    elif kind == 3:
        weights[rng.choice([name + "x", prefix + name, name.upper()])] = weights.pop(name)
    elif kind == 4:
        weights[prefix + name] = weights[other].clone()
    elif kind == 5:
        weights = {
            re.sub(r"LayerNorm\.weight", "LayerNorm.gamma", key): value
            for key, value in weights.items()
        }
    elif kind == 6:
        value = rng.choice([float("nan"), float("inf"), 1e38, -1e30])
        weights[name].flatten()[rng.randrange(weights[name].numel())] = value
    elif kind == 7:
        weights[name] = rng.choice([weights[name][:1], weights[name][None], torch.zeros(0, 10**6)])
    elif kind == 8:
        del weights[name]
    else:
        weights[name], weights[other] = weights[other].clone(), weights[name].clone()
    save_file({key: value.contiguous() for key, value in weights.items()}, file)


def divide(rng: random.Random, folder: Path) -> None:
    """Divides the weights among files, as transformers does, and perhaps not rightly."""
    file = folder / "model.safetensors"
    try:
        weights = load_file(file)
    except Exception:  # noqa: BLE001 (an accident was here before)
        return
    file.unlink()
    places = {name: rng.choice(["a.safetensors", "b.safetensors"]) for name in weights}
    for part in set(places.values()):
        mine = {name: weights[name] for name, place in places.items() if place == part}
        save_file(mine, folder / part)
    name = rng.choice(sorted(places))
    content = {"metadata": {}, "weight_map": places}
    content |= rng.choice([{}, {}, {}, {"weight_map": rng.choice(JUNK)},
                           {"weight_map": places | {name: rng.choice(JUNK)}},
                           {"weight_map": places | {name: "c.safetensors"}}])  # fmt: skip
    (folder / f"{file.name}.index.json").write_text(json.dumps(content))


def change_header(rng: random.Random, folder: Path) -> None:
    """Makes a safetensors file say other things of its bytes."""
    file = folder / "model.safetensors"
    content = file.read_bytes() if file.is_file() else b""
    with contextlib.suppress(ValueError, struct.error, IndexError):
        length = struct.unpack("<Q", content[:8])[0]
        header = json.loads(content[8 : 8 + length])
        name = rng.choice(sorted(header))
        key = rng.choice(sorted(header[name]))
        header[name][key] = rng.choice([*JUNK, [10**9, 10**9], [0, 10**12], "F8_E4M3", "I32", [16]])
        text = json.dumps(header).encode()
        said = rng.choice([len(text), len(text), 2**62])
        file.write_bytes(struct.pack("<Q", said) + text + content[8 + length :])


class Swelling:
    """Would run a command, were it unpickled."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, ("ran",)


def pickled(rng: random.Random, folder: Path) -> None:
    file = folder / "model.safetensors"
    try:
        weights: dict[Any, Any] = load_file(file)
    except Exception:  # noqa: BLE001 (an accident was here before)
        return
    file.unlink()
    name = rng.choice(sorted(weights))
    weights = rng.choice(
        [
            weights,
            weights | {name: Swelling()},
            weights | {name: torch.zeros(1).expand(10**9)},
            weights | {name: torch.zeros(1, 1).expand(10**6, 10**6)},
            weights | {name: torch.zeros(3, 3).to_sparse()},
            weights | {name: torch.zeros(10**12, device="meta")},
            weights | {3: torch.zeros(3)},
            {"state_dict": weights},
            weights | {name: 3},
            {key: value.half() for key, value in weights.items()},
        ]
    )
    torch.save(
        weights, folder / "pytorch_model.bin", _use_new_zipfile_serialization=rng.random() < 0.7
    )


def odd_tokenizer(rng: random.Random, folder: Path) -> None:
    """Writes tokenizer files of other classes, with other normalizers and added tokens."""
    normalizers = [
        None, {"type": "NFC"}, {"type": "Lowercase"},
        {"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "StripAccents"}]},
        {"type": "Replace", "pattern": {"Regex": "(a+)+$"}, "content": ""},
        {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": False,
         "strip_accents": True, "lowercase": False},
    ]  # fmt: skip
    content = fast() | {"normalizer": rng.choice(normalizers)}
    if rng.random() < 0.5:
        flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
        token = {"id": rng.choice([len(TOKENIZER), 4, 10**9]), "content": "<x1>"}
        content["added_tokens"].append(token | flags)
    if rng.random() < 0.3:
        content["post_processor"] = None
    if rng.random() < 0.8:
        (folder / "tokenizer.json").write_text(json.dumps(content))
    if rng.random() < 0.3:
        (folder / "added_tokens.json").write_text(json.dumps({"<x1>": rng.choice(JUNK)}))
    kind = rng.choice(["PreTrainedTokenizerFast", "BertTokenizer", "XLNetTokenizer", 3, None])
    settings = {"tokenizer_class": kind, "do_lower_case": rng.choice([True, False, None, "no"])}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def odd_vocabulary(rng: random.Random, folder: Path) -> None:
    words = list(TOKENIZER.tokens)
    kind = rng.randrange(5)
    if kind == 0:
        rng.shuffle(words)
    elif kind == 1:
        words += ["more", "words"]
    elif kind == 2:
        words[rng.randrange(len(words))] = rng.choice(words)
    elif kind == 3:
        del words[rng.randrange(len(words))]
    else:
        words[-1] = "<x1>"
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")


ACCIDENTS = (
    truncate, flip_bits, flip_bits, replace_file, move_about, change_json, change_json, change_json,
    change_config, change_config, change_weights, change_weights, change_header, pickled,
    odd_tokenizer, odd_tokenizer, odd_vocabulary, divide,
)  # fmt: skip


def peak() -> int:
    """Returns the most memory that was resident since the last call, in bytes (Linux)."""
    try:
        status = Path("/proc/self/status").read_text()
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return 0
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) * 1024


Numbers = list[tuple[list[int], torch.Tensor]]


def ours(folder: Path, kind: str) -> tuple[Any, Numbers]:
    """Returns what bertedu makes of a folder: the model, ids and logits of each text."""
    if kind == "pretraining":
        bert = bertedu.load(folder)
        bert.fill_mask("w1 [MASK]", top_k=1)
        model, tokenizer = bert.model, bert.tokenizer
    else:
        tuned = load(folder)
        tuned.predict([(t, t) for t in TEXTS] if tuned.task.name == "inference" else TEXTS)
        model, tokenizer = tuned.model, tuned.tokenizer
    found = numbers(model, lambda text: tokenizer.encode(text).input_ids.tolist())
    return model, found


def theirs(folder: Path, name: str) -> Numbers:
    """Returns what transformers' class of that name makes of it."""
    model = getattr(transformers, name).from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    return numbers(model, lambda text: tokenizer(text)["input_ids"])


def numbers(model: Any, encode: Callable[[str], list[int]]) -> Numbers:
    return [(ids, logits(model, ids)) for ids in map(encode, TEXTS)]


def logits(model: Any, ids: list[int]) -> torch.Tensor:
    with torch.inference_mode():
        output = model(torch.tensor([ids]))
    found: torch.Tensor = getattr(output, "logits", getattr(output, "prediction_logits", None))
    return found


def same(one: Numbers, other: Numbers) -> bool:
    return all(
        a_ids == b_ids
        and a.shape == b.shape
        and torch.allclose(
            a, b, rtol=1e-3, atol=1e-4 * float(b.nan_to_num().abs().max()) + 1e-5, equal_nan=True
        )
        for (a_ids, a), (b_ids, b) in zip(one, other, strict=True)
    )


def outcome(folder: Path, kind: str, before: Any, excused: bool) -> str:
    """Returns "refused", "equal", "undone", or what went wrong.

    Args:
        folder: a damaged one.
        kind: of the good one.
        before: the good one's model.
        excused: transformers may refuse what does not matter here, such as a missing decoder.
    """
    try:
        model, found = ours(folder, kind)
    except (CheckpointError, InputError) as error:
        message = str(error)
        lines = "\n" in message or len(message) > 700
        return f"WRONG: no sentence: {message[:200]!r}" if lines else "refused"
    except Exception as error:  # noqa: BLE001 (that is what is looked for)
        return f"WRONG: {type(error).__name__}: {str(error)[:200]}"
    try:
        right = theirs(folder, type(model).__name__)
    except Exception as error:  # noqa: BLE001 (whatever transformers cannot read)
        right, reason = [], f"{type(error).__name__}: {str(error)[:100]}"
    if right and same(found, right):
        return "equal"
    ids = [ids for ids, _ in found]
    read_alike = ids == [ids for ids, _ in right] if right else excused
    if read_alike and same(found, [(each, logits(before, each)) for each in ids]):
        return "undone"
    return f"WRONG: other numbers than transformers{'' if right else f' ({reason})'}"


def fuzz(count: int, seed: int = 0, report: Callable[[str], None] = print) -> Counter[str]:
    """Returns how many folders ended how."""
    transformers.logging.set_verbosity(transformers.logging.CRITICAL)
    transformers.logging.disable_progress_bar()
    warnings.simplefilter("ignore")
    kinds = ("pretraining", "texts", "pairs", "slots", "pairs, published", "slots, published")
    with tempfile.TemporaryDirectory() as scratch:
        base = Path(scratch)
        before = {}
        for kind in kinds:
            good(base / kind, kind)
            before[kind], found = ours(base / kind, kind)
            assert same(found, theirs(base / kind, type(before[kind]).__name__)), kind

        def judged(folder: Path, kind: str, accidents: Sequence[Accident]) -> str:
            peak()
            start = peak()
            ended = outcome(folder, kind, before[kind], odd_tokenizer not in accidents)
            return ended if peak() - start <= MEMORY else "WRONG: more than a gigabyte"

        return after_accidents(base, kinds, ACCIDENTS, judged, count, seed, report)


def after_accidents(
    base: Path,
    kinds: Sequence[str],
    accidents: Sequence[Accident],
    judged: Callable[[Path, str, Sequence[Accident]], str],
    count: int,
    seed: int,
    report: Callable[[str], None],
) -> Counter[str]:
    """Returns how many copies of good folders ended how, after one or two accidents each.

    Args:
        base: holds a good folder of each kind.
        kinds: their names.
        accidents: what may happen to a copy.
        judged: given the copy, its kind and its accidents, "refused" or the like, or "WRONG: why".
        count: copies.
        seed: of everything random.
        report: told of each that is wrong.
    """
    counts: Counter[str] = Counter()
    for number in range(count):
        rng = random.Random(f"{seed}-{number}")
        kind, folder = rng.choice(kinds), base / "damaged"
        shutil.copytree(base / kind, folder)
        happened = rng.sample(accidents, rng.choice([1, 1, 1, 2]))
        for accident in happened:
            with contextlib.suppress(Exception):  # the first left nothing for it to damage
                accident(rng, folder)
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        ended = judged(folder, kind, happened)
        faulthandler.cancel_dump_traceback_later()
        if ended.startswith("WRONG"):
            names = ", ".join(accident.__name__ for accident in happened)
            report(f"{seed}-{number} ({kind}; {names}): {ended}")
        counts[ended.split(":")[0]] += 1
        shutil.rmtree(folder)
    return counts


def run(fuzz: Callable[[int, int], Counter[str]]) -> int:
    """Fuzzes as the command line says; returns 1 where something was wrong."""
    total, chosen = (int(word) for word in (*sys.argv[1:], *["200", "0"][len(sys.argv) - 1 :]))
    ends = fuzz(total, chosen)
    print(", ".join(f"{name} {ends[name]}" for name in sorted(ends)))
    return int("WRONG" in ends)


if __name__ == "__main__":
    sys.exit(run(fuzz))
