"""Checkpoints: a Hugging Face folder or hub id becomes a model, and a model such a folder.

Every published name that differs from ours is listed in `renamed`; nothing else is guessed. A
folder is believed only as far as its parts agree: before a model is built, the config's sizes are
those of the tensors in the file (`read_config`).
"""

import json
import os
import re
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from bertedu.config import BertConfig
from bertedu.errors import CheckpointError, InputError
from bertedu.model import BertModel
from bertedu.tokenizer import BertTokenizer
from bertedu.utils.files import (
    WEIGHT_FILES,
    read_json,
    refuse_pointer,
    replacing,
    weight_files,
)
from bertedu.utils.hub import download
from bertedu.utils.validation import all_finite

EMBEDDED = Path(__file__).parent / "checkpoints"
"""The folder of the checkpoint that comes with the course."""

DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
"""What a weight may be in a file; integers and float8 are nothing without their scales."""
DECODER = "cls.predictions.decoder.weight"
WORDS = "bert.embeddings.word_embeddings.weight"
_WRAPPED = re.compile(r"^(?:_orig_mod\.|module\.)+")  # torch.compile, DataParallel
_HUB_ID = re.compile(r"(?=.{1,96}$)[\w.-]+(/[\w.-]+)?")  # the hub has none that is longer

Model = TypeVar("Model", bound=nn.Module)


def resolve(name: str | os.PathLike[str]) -> Path:
    """Returns the folder that a checkpoint's name stands for.

    Args:
        name: "bertedu" (the embedded checkpoint, or the folder that the environment variable
            BERTEDU_CHECKPOINT names), a folder, or a hub id such as "bert-base-uncased".

    Raises:
        CheckpointError: there is no such folder, or the hub does not give it.

    Example:
        >>> resolve("no/such/folder")
        Traceback (most recent call last):
        bertedu.errors.CheckpointError: there is no folder 'no/such/folder': check the path
    """
    if name == "bertedu":
        chosen = Path(os.environ.get("BERTEDU_CHECKPOINT") or EMBEDDED)
        if not chosen.is_dir():
            raise CheckpointError(f"BERTEDU_CHECKPOINT names {chosen}, which is no folder: mend it")
        return chosen
    if os.path.isdir(name):  # noqa: PTH112 (a path that no disk could hold is none, not an error)
        return Path(name)
    if isinstance(name, str) and _HUB_ID.fullmatch(name) and not os.path.exists(name):  # noqa: PTH110
        return download(name)
    raise CheckpointError(f"there is no folder {str(name)!r:.200}: check the path")


def load_tokenizer(name: str | os.PathLike[str] = "bertedu") -> BertTokenizer:
    """Returns the tokenizer of a checkpoint; the embedded one's needs no weights.

    Args:
        name: as in `resolve`.

    Example:
        >>> load_tokenizer().encode("my dog is cute").tokens
        ['[CLS]', 'my', 'dog', 'is', 'cute', '[SEP]']
    """
    return BertTokenizer.from_folder(resolve(name))


def from_pretrained(
    name: str | os.PathLike[str],
    model_class: type[Model],
    *,
    labels: tuple[str, ...] | None = None,
    new: tuple[str, ...] = (),
) -> Model:
    """Returns a model of `model_class` with a checkpoint's weights, in evaluation mode.

    Args:
        name: as in `resolve`.
        model_class: `BertModel`, or one of the classes in `bertedu.heads`.
        labels: names of the classes, where the head is new.
        new: prefixes of parameters that may be missing and then stay freshly initialised, such
            as ("classifier",) when fine-tuning begins. Anything else that is missing is an
            error. Heads that the file has and the model lacks are left out.

    Raises:
        CheckpointError: the folder, its config or its weights cannot be used; the message says
            which and why.

    Example:
        >>> from bertedu.heads import BertForPreTraining
        >>> from_pretrained("no/such/folder", BertForPreTraining)
        Traceback (most recent call last):
        bertedu.errors.CheckpointError: there is no folder 'no/such/folder': check the path
    """
    folder = resolve(name)
    config = read_config(folder)
    if labels is not None:
        config = replace(config, labels=labels)
    model = model_class(config)
    load_into(model, folder, may_be_new=new)
    return model.eval()


def read_config(folder: Path) -> BertConfig:
    """Returns the config of a checkpoint folder; its sizes are those of the weights there.

    Raises:
        CheckpointError: no readable config.json, a model that is not a BERT, or other sizes than
            the weights have: such a model is never built.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise CheckpointError(
            f"{folder} has no config.json: name a folder with config.json, vocab.txt and "
            "model.safetensors"
        )
    config = BertConfig.from_dict(read_json(path))
    width, layers = config.hidden_size, config.num_hidden_layers
    weights = named(_mapped(folder), folder)
    _check_shape(weights, WORDS, [config.vocab_size, width], folder)
    embeddings = WORDS.removesuffix("word_embeddings.weight")
    for table, rows in {
        "position_embeddings": config.max_position_embeddings,
        "token_type_embeddings": config.type_vocab_size,
    }.items():
        _check_shape(weights, f"{embeddings}{table}.weight", [rows, width], folder)
    for layer in range(min(layers, len(weights) + 1)):  # so many layers are never all there
        name = f"bert.encoder.layer.{layer}.intermediate.dense.weight"
        _check_shape(weights, name, [config.intermediate_size, width], folder)
    return config


def _check_shape(
    weights: Mapping[str, Tensor], name: str, wanted: list[int], source: str | Path
) -> None:
    if name not in weights:
        if not any(other.startswith("bert.") for other in weights):
            raise CheckpointError(
                f"{source} shares no parameter name with BERT: another architecture"
            )
        raise CheckpointError(
            f"{source} has no {name}, which config.json asks for: it was saved from another kind "
            "of model, or is not whole"
        )
    if (found := list(weights[name].shape)) != wanted:
        raise CheckpointError(
            f"{source}: {name} has shape {found}, the config asks for {wanted}: config.json and "
            "weights do not belong together"
        )


def check_vocabulary(config: BertConfig, tokenizer: BertTokenizer) -> None:
    """Refuses a tokenizer that has ids which the model does not.

    Raises:
        InputError: they do not belong together.
    """
    if config.vocab_size < len(tokenizer):
        raise InputError(
            f"the tokenizer has {len(tokenizer):,} tokens and the model {config.vocab_size:,}: "
            "they do not belong together"
        )


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Returns a checkpoint folder's tensors by their names in the file, as float32.

    Raises:
        CheckpointError: no weights, a broken file, code inside a pickle, or a value that is not
            a finite number.
    """
    weights = {n: w.float() if w.dtype in DTYPES else w for n, w in _mapped(folder).items()}
    for name, weight in weights.items():
        if weight.dtype == torch.float32 and not all_finite(weight):
            raise CheckpointError(f"{folder}: {name} holds NaN or infinity; it cannot be used")
    return weights


def _mapped(folder: Path) -> dict[str, Tensor]:
    """Returns a folder's tensors as they are in its files, each read when it is looked at."""
    if not (files := weight_files(folder)):
        raise CheckpointError(f"{folder} has no {' or '.join(WEIGHT_FILES[::2])}")
    weights: dict[str, Tensor] = {}
    for path in files:
        if not path.is_file():
            raise CheckpointError(f"{path} is missing, and the index beside it names it: copy it")
        found = _mapped_file(path)
        if twice := sorted(weights.keys() & found.keys()):
            raise CheckpointError(f"{folder} holds {twice[0]} in two files: copy all of them again")
        weights |= found
    return weights


def _mapped_file(path: Path) -> dict[str, Tensor]:
    """Returns one file's tensors."""
    refuse_pointer(path)
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            weights = load_file(path)
        else:
            whole = zipfile.is_zipfile(path)  # else a file of torch before 1.6
            if whole and any(part.compress_type for part in zipfile.ZipFile(path).infolist()):
                raise ValueError("compressed: it may swell to any size")
            weights = torch.load(path, map_location="cpu", weights_only=True, mmap=whole)
    except Exception as error:  # each format breaks in its own ways; all mean the same here
        raise CheckpointError(
            f"{path} is damaged, or holds more than tensors, and was not loaded: copy it again "
            f"({type(error).__name__})"
        ) from error
    if not isinstance(weights, dict) or not all(isinstance(w, Tensor) for w in weights.values()):
        raise CheckpointError(f"{path} is not a table of tensors")
    size = path.stat().st_size
    for name, weight in weights.items():  # a pickle may say of a few numbers that they are many
        strange = weight.layout != torch.strided or weight.device.type != "cpu"
        if not isinstance(name, str) or strange or weight.nbytes > size:
            raise CheckpointError(f"{path}: {name!s:.60} is no ordinary tensor; it cannot be used")
    return weights


def named(
    weights: Mapping[str, Tensor], source: str | Path = "the checkpoint"
) -> dict[str, Tensor]:
    """Returns published tensors by our names, without what is no parameter.

    Raises:
        CheckpointError: two of them are one parameter, and differ.
    """
    ours: dict[str, Tensor] = {}
    for published, weight in weights.items():
        if not (name := renamed(published)):
            continue
        other = ours.setdefault(name, weight)
        if (other.shape, other.dtype) != (weight.shape, weight.dtype) or (
            other is not weight and not torch.equal(other, weight)
        ):
            raise CheckpointError(f"{source} holds {name} twice, with different numbers")
    return ours


@cache
def renamed(name: str) -> str | None:
    """Returns our name of a published parameter; None for what is not a parameter.

    Example:
        >>> renamed("bert.embeddings.LayerNorm.gamma")
        'bert.embeddings.LayerNorm.weight'
        >>> renamed("encoder.layer.0.output.dense.bias")
        'bert.encoder.layer.0.output.dense.bias'
        >>> renamed("_orig_mod.module.pooler.dense.bias")
        'bert.pooler.dense.bias'
        >>> renamed("bert.embeddings.position_ids")
    """
    name = _WRAPPED.sub("", name)
    if name.startswith(("embeddings.", "encoder.", "pooler.")):  # saved from a bare encoder
        name = f"bert.{name}"
    if name.endswith("embeddings.position_ids"):  # 0, 1, 2, ...: a constant, not learned
        return None
    if name == "cls.predictions.decoder.bias":  # a second name of cls.predictions.bias
        return "cls.predictions.bias"
    name = re.sub(r"LayerNorm\.gamma$", "LayerNorm.weight", name)  # TensorFlow's names
    return re.sub(r"LayerNorm\.beta$", "LayerNorm.bias", name)


def load_into(
    model: nn.Module,
    weights: Path | dict[str, Tensor],
    *,
    may_be_new: tuple[str, ...] = (),
    source: str | Path = "the checkpoint",
) -> list[str]:
    """Copies weights into a model and returns the names of the parameters that stay as they are.

    Args:
        model: any of our models; its own tied decoder needs no weight. One on the meta device
            takes the tensors themselves, uncopied.
        weights: a checkpoint's folder, or tensors by published names; those that the model has no
            place for are left out.
        may_be_new: prefixes of the parameters that the weights need not hold.
        source: what to call tensors in an error; a folder has its own name.

    Raises:
        CheckpointError: a folder that cannot be read, a parameter that is not there and may not
            be new, a tensor of another shape, or a decoder that is not tied to the token table.

    Example:
        >>> config = BertConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1,
        ...                     num_attention_heads=2, intermediate_size=16)
        >>> weights = BertModel(config, add_pooling_layer=False).state_dict()
        >>> load_into(BertModel(config), weights, may_be_new=("pooler",))
        ['pooler.dense.weight', 'pooler.dense.bias']
        >>> load_into(BertModel(config), weights)
        Traceback (most recent call last):
        bertedu.errors.CheckpointError: the checkpoint has no pooler.dense.weight (2 of
        BertModel's parameters are missing): it was saved from another kind of model, or is not
        whole
    """
    if isinstance(weights, Path):
        source = weights
        weights = read_weights(source)
    ours = named(weights, source)
    if DECODER in ours and not torch.equal(ours[DECODER], ours.get(WORDS, ours[DECODER])):
        raise CheckpointError(f"{source}: the decoder is not tied to the word embeddings")
    if WORDS in ours:
        ours[DECODER] = ours[WORDS]
    prefix = "bert." if isinstance(model, BertModel) else ""
    wanted = model.state_dict()
    found: dict[str, Tensor] = {}
    for name, current in wanted.items():
        if prefix + name not in ours:
            continue
        _check_shape(ours, prefix + name, list(current.shape), source)
        found[name] = ours[prefix + name]
        if found[name].dtype not in DTYPES:
            kind = str(found[name].dtype).removeprefix("torch.")
            raise CheckpointError(
                f"{source}: {name} is {kind}, and bertedu computes with floating-point numbers: "
                "save the model unquantized, as float32 or float16"
            )
    if not found:
        raise CheckpointError(f"{source} shares no parameter name with BERT: another architecture")
    missing = [name for name in wanted if name not in found]
    if lost := [name for name in missing if not name.startswith(may_be_new)]:
        raise CheckpointError(
            f"{source} has no {lost[0]} ({len(lost)} of {type(model).__name__}'s parameters are "
            "missing): it was saved from another kind of model, or is not whole"
        )
    meta = any(weight.is_meta for weight in wanted.values())  # it takes the tensors themselves
    model.load_state_dict(found, strict=False, assign=meta)
    return missing


def save_pretrained(
    model: nn.Module,
    folder: str | os.PathLike[str],
    tokenizer: BertTokenizer | None = None,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Writes config.json, model.safetensors and the tokenizer, as transformers reads them.

    The weights are replaced in one step: a full disk or a killed process leaves the old file.

    Args:
        model: one of our models.
        folder: made when missing.
        tokenizer: its vocabulary, too.
        dtype: of the numbers in the file.

    Raises:
        CheckpointError: the folder cannot be written to.
    """
    from safetensors.torch import save_file

    folder = Path(folder)
    config: BertConfig = model.config  # type: ignore[assignment]
    tensors = {
        name: weight.detach().to("cpu", dtype).contiguous()
        for name, weight in model.state_dict().items()
        if name != DECODER  # the same numbers as the word embeddings
    }
    values = config.to_dict() | {
        "architectures": [type(model).__name__],
        "dtype": str(dtype).removeprefix("torch."),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / "model.safetensors") as temporary:
            save_file(tensors, temporary, metadata={"format": "pt"})
        with replacing(folder / "config.json") as temporary:
            temporary.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
        if tokenizer is not None:
            tokenizer.save(folder)
    except Exception as error:  # safetensors has an error class of its own
        raise CheckpointError(f"{folder} could not be written: {error}") from error
