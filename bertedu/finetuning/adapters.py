"""Low-rank adapters: a fine-tuning that fits into 3 MB and leaves the checkpoint as it is.

A linear layer's update is not a whole matrix but a product of two thin ones, B A with r rows and
columns between them; only these, and the head, learn. `add_lora` puts them in, `merge_lora` adds
them to the weights for good, `save_adapter` and `load_adapter` write and read the format of the
`peft` library: adapter_config.json and adapter_model.safetensors.

Source: Hu et al. 2021, LoRA, arXiv:2106.09685, section 4.1; huggingface/peft.
"""

import hashlib
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from bertedu.checkpoint import DTYPES
from bertedu.errors import CheckpointError, InputError
from bertedu.utils.files import read_json, refuse_pointer, replacing, write_json
from bertedu.utils.validation import all_finite

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
LAYERS = ("query", "key", "value", "output.dense", "intermediate.dense")
"""The linear layers of a BERT layer, by the end of their names, as peft's target_modules."""

_PREFIX = "base_model.model."  # what peft puts before our parameters' names
_HEADS = ("classifier", "pooler", "qa_outputs", "pooled_classifier", "intent_classifier")
_PEFT_TASKS = {
    "BertForSequenceClassification": "SEQ_CLS",
    "BertForTokenClassification": "TOKEN_CLS",
    "BertForQuestionAnswering": "QUESTION_ANS",
}
# Settings of peft that change what is computed; another value than one of these is refused.
_PLAIN: dict[str, tuple[Any, ...]] = {
    "bias": ("none",), "use_dora": (False,), "fan_in_fan_out": (False,), "lora_bias": (False,),
    "alpha_pattern": ({},), "rank_pattern": ({},), "alora_invocation_tokens": (),
    "use_qalora": (False,), "layer_replication": (), "trainable_token_indices": (),
    "target_parameters": ([],), "use_rslora": (False, True),
    # The others begin with other weights in the base.
    "init_lora_weights": (True, False, "gaussian", "orthogonal", "eva"),
}  # fmt: skip
# Those that say how it was trained, or where it belongs; the tensors' own names say the rest.
_TOLD = {
    "peft_type", "task_type", "base_model_name_or_path", "r", "lora_alpha", "lora_dropout",
    "inference_mode", "target_modules", "modules_to_save", "layers_to_transform", "auto_mapping",
    "revision", "peft_version", "megatron_core", "qalora_group_size", "eva_config",
    "ensure_weight_tying",
}  # fmt: skip
_LAYER = re.compile(r"\.layer\.(\d+)\.")
_FILLING = {nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_}
_MOST = 1e6  # lora_alpha, either way: more is an accident


class Unfilled(TorchFunctionMode):
    """Inside, layers begin without the random numbers that loading would replace at once.

    Drawing them takes three quarters of the time in which a BERT is built.

    Example:
        >>> with torch.device("meta"), Unfilled():
        ...     nn.Linear(2, 3).weight.device
        device(type='meta')
    """

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:  # as torch calls it
        """Returns what `func` would, and the tensor as it is in place of a filled one."""
        if func in _FILLING:
            return kwargs["tensor"]
        return func(*args, **(kwargs or {}))


class LoraLinear(nn.Linear):
    """A linear layer whose weight W stays, plus a learned update of rank r: W + (alpha / r) B A.

    Args:
        linear: the layer; its weight and bias are shared, not copied.
        rank: r, rows of A and columns of B.
        alpha: how strongly the update counts.

    Example:
        >>> layer = LoraLinear(nn.Linear(6, 4), rank=2, alpha=4)
        >>> layer.lora_A.weight.shape, layer.lora_B.weight.shape, layer.scale
        (torch.Size([2, 6]), torch.Size([4, 2]), 2.0)
    """

    def __init__(self, linear: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__(linear.in_features, linear.out_features, device="meta")
        self.weight, self.bias = linear.weight, linear.bias
        self.lora_A = nn.Linear(linear.in_features, rank, bias=False)
        self.lora_B = nn.Linear(rank, linear.out_features, bias=False)
        nn.init.zeros_(self.lora_B.weight)  # so that the layer begins as what it was
        self.scale = alpha / rank

    def forward(self, states: Tensor) -> Tensor:
        """Returns [..., out] of states [..., in]."""
        update: Tensor = self.lora_B(self.lora_A(states))
        return F.linear(states, self.weight, self.bias) + self.scale * update

    def merged(self) -> nn.Linear:
        """Returns a plain layer that computes the same."""
        plain = nn.Linear(self.in_features, self.out_features, device="meta")
        update = self.scale * self.lora_B.weight @ self.lora_A.weight
        plain.weight = nn.Parameter((self.weight + update).detach(), self.weight.requires_grad)
        plain.bias = self.bias
        return plain


def add_lora(
    model: nn.Module, rank: int, alpha: float | None = None, layers: Iterable[str] = LAYERS
) -> None:
    """Gives linear layers of the encoder a low-rank update, and freezes all of it but these.

    Args:
        model: encoder and head; what is not in the encoder's layers learns as before, except the
            embeddings.
        rank: of the updates.
        alpha: how strongly they count; None means twice the rank.
        layers: which, by the end of their names.

    Raises:
        InputError: a rank below 1, or no such layer.

    Example:
        >>> from bertedu import BertConfig, BertForSequenceClassification
        >>> model = BertForSequenceClassification(BertConfig(vocab_size=9, hidden_size=8,
        ...     num_hidden_layers=1, num_attention_heads=2, intermediate_size=16))
        >>> add_lora(model, rank=2, layers=["query"])
        >>> [name for name, p in model.named_parameters() if p.requires_grad][:2]
        ['bert.encoder.layer.0.attention.self.query.lora_A.weight',
        'bert.encoder.layer.0.attention.self.query.lora_B.weight']
    """
    if rank < 1:
        raise InputError(f"the rank is {rank}; it must be at least 1")
    ends = tuple(f".{layer}" for layer in layers)
    chosen = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and ".layer." in name and name.endswith(ends)
    ]
    if not chosen:
        raise InputError(f"the model has no linear layer called {', '.join(layers)}")
    for name in chosen:
        linear: Any = model.get_submodule(name)
        _replace(model, name, LoraLinear(linear, rank, 2 * rank if alpha is None else alpha))
    freeze_base(model)


def freeze_base(model: nn.Module) -> None:
    """Lets only the updates and the head learn."""
    for name, parameter in model.named_parameters():
        in_base = name.startswith(("bert.encoder", "bert.embeddings"))
        parameter.requires_grad = ".lora_" in name or not in_base


def lora_layers(model: nn.Module) -> Iterator[tuple[str, LoraLinear]]:
    """Yields the layers with an update, by name."""
    for name, module in model.named_modules():
        if isinstance(module, LoraLinear):
            yield name, module


def merge_lora(model: nn.Module) -> None:
    """Adds every update to its weight; afterwards the model is like any fully fine-tuned one."""
    for name, layer in list(lora_layers(model)):
        _replace(model, name, layer.merged())


def base_checksum(weights: Mapping[str, Tensor]) -> str:
    """Returns a sha256 of the encoder's own weights, without updates, pooler and heads.

    Args:
        weights: by our names, as `state_dict()` gives them.
    """
    digest = hashlib.sha256()
    for name, weight in sorted(weights.items()):
        if name.startswith(("bert.encoder.", "bert.embeddings.")) and ".lora_" not in name:
            digest.update(name.encode() + weight.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def save_adapter(
    model: nn.Module, folder: Path, base: str, dtype: torch.dtype = torch.float32
) -> None:
    """Writes the updates and the head, in peft's format.

    Args:
        model: one that `add_lora` has changed.
        folder: made when missing.
        base: the checkpoint that it stands on, for whoever loads it.
        dtype: of the numbers in the file.

    Raises:
        CheckpointError: the folder cannot be written to.
        InputError: the model has no update.
    """
    from safetensors.torch import save_file

    updates = dict(lora_layers(model))
    if not updates:
        raise InputError("the model has no low-rank update: it was fine-tuned whole")
    first = next(iter(updates.values()))
    rank = first.lora_A.out_features
    heads = sorted({part for name, _ in model.named_parameters() if (part := _head_of(name))})
    config = {
        "peft_type": "LORA",
        "task_type": _PEFT_TASKS.get(type(model).__name__),
        "base_model_name_or_path": base,
        "r": rank,
        "lora_alpha": first.scale * rank,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "target_modules": sorted({_end_of(name) for name in updates}),
        "modules_to_save": heads,
    }
    tensors = {
        _PREFIX + name: weight.detach().to("cpu", dtype).contiguous()
        for name, weight in model.state_dict().items()
        if ".lora_" in name or _head_of(name)
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / WEIGHTS) as temporary:
            save_file(tensors, temporary, metadata={"format": "pt"})
    except Exception as error:  # safetensors has an error class of its own
        raise CheckpointError(f"{folder} could not be written: {error}") from error
    write_json(folder / CONFIG, config)


def load_adapter(model: nn.Module, folder: Path) -> None:
    """Puts an adapter's updates and head into a model that holds the base's weights.

    The base's tensors stay as they are, so that several models may share them.

    Args:
        model: encoder and head, as `add_lora` takes it; what is on the meta device must come from
            the adapter.
        folder: what `save_adapter`, or peft, wrote.

    Raises:
        CheckpointError: a file is missing or damaged, does not fit the model, or asks for a
            variant of LoRA that is not computed here; the message names it.
    """
    config = read_adapter_config(folder)
    tensors = _read_tensors(folder)
    updates = {
        name.removesuffix(".lora_A.weight"): weight
        for name, weight in tensors.items()
        if name.endswith(".lora_A.weight")
    }
    linear = {name for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    if strange := [name for name in updates if name not in linear]:
        raise CheckpointError(f"{folder}: the model has no linear layer {strange[0]}")
    wanted = {name for name in linear if _is_target(name, config)}
    if different := sorted(wanted ^ updates.keys()):
        raise CheckpointError(
            f"{folder}: {different[0]} is a layer in one of {CONFIG} and {WEIGHTS} alone: it is "
            "not a whole adapter"
        )
    rank = config["r"]
    alpha = config["lora_alpha"] * (math.sqrt(rank) if config.get("use_rslora") else 1)
    for name, weight in updates.items():
        if weight.shape[:1] != (rank,):
            raise CheckpointError(
                f"{folder}: r is {rank}, and {name}.lora_A.weight has shape {list(weight.shape)}: "
                "the two files do not belong together"
            )
    with Unfilled():
        for name in updates:
            _replace(model, name, LoraLinear(model.get_submodule(name), rank, alpha))  # type: ignore[arg-type]
    ours = model.state_dict()
    for name, weight in tensors.items():
        if name not in ours:
            raise CheckpointError(f"{folder}: the model has no parameter {name}")
        if weight.shape != ours[name].shape:
            raise CheckpointError(
                f"{folder}: {name} has shape {list(weight.shape)}, the model asks for "
                f"{list(ours[name].shape)}: it belongs to another base"
            )
    heads = [f".{module}." for module in config.get("modules_to_save") or []]
    if lost := [
        name
        for name, weight in ours.items()
        if name not in tensors
        and (".lora_" in name or weight.is_meta or any(head in f".{name}" for head in heads))
    ]:
        raise CheckpointError(f"{folder} has no {lost[0]}: it is not a whole adapter")
    model.load_state_dict(tensors, strict=False, assign=True)


def read_adapter_config(folder: Path) -> dict[str, Any]:
    """Returns an adapter's settings.

    Raises:
        CheckpointError: the file is missing or damaged, or names a method or an option of peft
            that changes the numbers and is not computed here.
    """
    if not (path := folder / CONFIG).is_file():
        raise CheckpointError(f"{folder} has no {CONFIG}: it holds no adapter")
    config = read_json(path)
    if (kind := config.get("peft_type")) != "LORA":
        told = repr(kind)[:40].strip("'")  # on one line
        raise CheckpointError(f"{folder} is a {told} adapter; only LORA is read here")
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if type(rank) is not int or rank < 1:
        raise CheckpointError(f"{path} is damaged (r is {rank!r:.40}): copy it again")
    if isinstance(alpha, bool) or not (isinstance(alpha, int | float) and -_MOST <= alpha <= _MOST):
        raise CheckpointError(f"{path} is damaged (lora_alpha is {alpha!r:.40}): copy it again")
    lists = {"target_modules": str, "layers_to_transform": int, "modules_to_save": str}
    for name, kind in lists.items():
        listed = config.get(name)
        whole = isinstance(listed, list) and all(type(item) is kind for item in listed)
        if not whole and (listed is not None or name == "target_modules"):
            raise CheckpointError(
                f"{path}: {name} is {listed!r:.40}, and bertedu reads only a list: write each there"
            )
    for name, value in config.items():
        plain = _PLAIN.get(name, ())
        # True is no 1 here, and what is off, or not there, is of no account.
        usual = any(value == one and type(value) is type(one) for one in plain)
        if value and not usual and name not in _TOLD:
            told = repr(name)[1:40].rstrip("'")
            raise CheckpointError(
                f"{path}: {told} = {value!r:.40} is a variant of LoRA that is not "
                "computed here: merge the adapter into its base with peft, and load that"
            )
    return config


def base_of(folder: Path) -> str:
    """Returns the name of the checkpoint that an adapter stands on.

    Raises:
        CheckpointError: the adapter names none, or cannot be read.
    """
    name = read_adapter_config(folder).get("base_model_name_or_path")
    if not isinstance(name, str) or not name:
        raise CheckpointError(f"{folder / CONFIG} has no base_model_name_or_path: write it there")
    return name


def published_model(folder: Path) -> dict[str, Any]:
    """Returns what an adapter that peft wrote means: `architectures`, and names for its `labels`.

    Raises:
        CheckpointError: its task is none of ours, or its head is missing.
    """
    kind = read_adapter_config(folder).get("task_type")
    names = {task: architecture for architecture, task in _PEFT_TASKS.items()}
    if not isinstance(kind, str) or kind not in names:
        raise CheckpointError(
            f"{folder / CONFIG} has task_type {kind!r:.40}; those read here are {', '.join(names)}"
        )
    ends = ("classifier.bias", "qa_outputs.bias")
    heads = [w for n, w in _read_tensors(folder).items() if n.endswith(ends) and w.ndim == 1]
    if not heads:
        raise CheckpointError(f"{folder / WEIGHTS} has no classifier: it is not a whole adapter")
    labels = tuple(f"LABEL_{i}" for i in range(len(heads[0])))
    return {"architectures": [names[kind]], "labels": labels}


def _read_tensors(folder: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    refuse_pointer(folder / WEIGHTS)
    try:
        tensors = load_file(folder / WEIGHTS)
    except Exception as error:  # cut, or no safetensors: both mean the same here
        raise CheckpointError(
            f"{folder / WEIGHTS} is damaged ({type(error).__name__}): copy it again"
        ) from error
    for name, weight in tensors.items():
        tensors[name] = number = weight.float()
        if weight.dtype not in DTYPES or not all_finite(number):
            raise CheckpointError(f"{folder / WEIGHTS}: {name} holds what is no finite number")
        if not name.startswith(_PREFIX):
            raise CheckpointError(f"{folder / WEIGHTS}: {name!s:.60} is no name that peft writes")
    return {name.removeprefix(_PREFIX): weight for name, weight in tensors.items()}


def _is_target(name: str, config: Mapping[str, Any]) -> bool:
    """Returns whether the settings say that a linear layer has an update, as peft reads them."""
    chosen = config.get("layers_to_transform")
    layer = _LAYER.search(name)
    if chosen is not None and not (layer and int(layer[1]) in chosen):
        return False
    return any(f".{name}".endswith(f".{target}") for target in config["target_modules"])


def _head_of(name: str) -> str:
    """Returns which of the parts that learn whole a parameter belongs to, or ""."""
    parts = name.split(".")
    return next((head for head in _HEADS if head in parts), "")


def _end_of(name: str) -> str:
    return next(layer for layer in (*LAYERS, name) if name.endswith(layer))


def _replace(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, module)
