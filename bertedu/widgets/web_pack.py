"""A model's weights as one block of bytes for a page: int8, with a scale for each row.

The page's engine, static/bert/, reads it. A pack is a line that says what it is and its checksum,
then a block of the same layout as `pack` in base.py, with one dtype more: the rows of an int8 array
are filled up with zeros to a multiple of 8 bytes, which the engine's kernel reads at once.
"""

import hashlib
import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bertedu.bert import Bert
from bertedu.checkpoint import DECODER
from bertedu.errors import InputError
from bertedu.finetuning.adapters import base_checksum, lora_layers
from bertedu.finetuning.model import FineTuned
from bertedu.tokenizer import BertTokenizer

VERSION = 1
FIRST_LINE = 192  # bytes
_ENCODER = ("bert.embeddings.", "bert.encoder.")


def int8_rows(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Returns a matrix as int8 [R, C] and a scale for each row, float32 [R].

    A row's largest number becomes 127, so no number is off by more than half its row's scale.

    Example:
        >>> rows, scale = int8_rows(torch.tensor([[1.0, -0.5], [0.0, 0.0]]))
        >>> rows.tolist(), scale.tolist() == [torch.tensor(1 / 127).item(), 1.0]
        ([[127, -64], [0, 0]], True)
    """
    scale = weight.abs().amax(dim=1) / 127
    scale = scale.where(scale > 0, torch.ones_like(scale))
    return (weight / scale[:, None]).round().to(torch.int8), scale


def dequantised(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the weights that the page computes with: a matrix has lost what int8 leaves out.

    Args:
        weights: by name; vectors stay as they are.

    Example:
        >>> (dequantised({"weight": torch.tensor([[1.0, 0.501]])})["weight"] * 127).round()
        tensor([[127.,  64.]])
    """
    result = dict(weights)
    for name, weight in weights.items():
        if weight.ndim == 2:
            rows, scale = int8_rows(weight.float())
            result[name] = rows * scale[:, None]
    return result


def weights_of(model: Bert | FineTuned[Any, Any]) -> dict[str, Tensor]:
    """Returns a model's weights by name, float32, without what its checkpoint lacked.

    The tied decoder is left out: it is the table of the words.
    """
    missing = model.missing if isinstance(model, Bert) else ()
    return {
        name: weight.detach().float().cpu()
        for name, weight in model.model.state_dict().items()
        if name not in (DECODER, *missing)
    }


def tokenizer_checksum(tokenizer: BertTokenizer) -> str:
    """Returns what tells tokenizers apart, or "" for one that splits in a way of its own.

    Example:
        >>> from bertedu import load_tokenizer
        >>> one, other = load_tokenizer(), BertTokenizer(load_tokenizer().tokens, lowercase=False)
        >>> tokenizer_checksum(one) == tokenizer_checksum(load_tokenizer())
        True
        >>> tokenizer_checksum(one) == tokenizer_checksum(other)
        False
    """
    if not tokenizer.usual:
        return ""
    told = json.dumps([tokenizer.tokens, _switches(tokenizer)])
    return hashlib.sha256(told.encode()).hexdigest()


def model_checksum(bert: Bert) -> str:
    """Returns what tells encoders apart, with their tokenizers; "" as `tokenizer_checksum`."""
    tokens = tokenizer_checksum(bert.tokenizer)
    told = [tokens, base_checksum(bert.model.state_dict()), bert.config.to_dict()]
    return tokens and hashlib.sha256(json.dumps(told).encode()).hexdigest()


def finetuned_checksum(tuned: FineTuned[Any, Any]) -> str | None:
    """Returns what tells adapters apart: their packs. None for what is no adapter.

    A whole fine-tuned model has a page of its own; a book has adapters beside its checkpoint.
    """
    if tuned.base is None or not tuned.tokenizer.usual:
        return None
    return hashlib.sha256(web_pack(tuned)).hexdigest()


def web_pack(model: Bert | FineTuned[Any, Any], extra: Mapping[str, Any] | None = None) -> bytes:
    """Returns a model as the bytes that a page's engine reads.

    Args:
        model: a pretrained or a fine-tuned one. Of an adapter only its own numbers are taken; the
            page needs its checkpoint's pack, too.
        extra: more for the header, what JSON can hold, and arrays of float32 or uint8.

    Raises:
        InputError: a tokenizer that does not split as BERT's own.
    """
    if not model.tokenizer.usual:
        raise InputError(
            "this model's tokenizer has added tokens, or a normalizer of its own, and a page "
            "splits only as BERT's own: it cannot be exported"
        )
    weights = weights_of(model)
    header: dict[str, Any] = {"kind": "pretrained", "encoder": base_checksum(weights)}
    header["max_length"] = model.config.max_position_embeddings
    if isinstance(model, FineTuned):
        task = {"name": model.task.name, "settings": model.task.settings()}
        header |= {"kind": "finetuned", "max_length": model.max_length, "task": task}
    arrays: dict[str, NDArray[Any]] = {}
    if isinstance(model, FineTuned) and model.base:
        scales = {name: layer.scale for name, layer in lora_layers(model.model)}
        weights = {n: w for n, w in weights.items() if _is_adapters(n)}
        header |= {"kind": "adapter", "base": header.pop("encoder"), "scales": scales}
    else:
        arrays["vocab"] = np.frombuffer("\n".join(model.tokenizer.tokens).encode(), np.uint8)
        header |= {"config": model.config.to_dict(), "tokenizer": _switches(model.tokenizer)}
    for name, weight in weights.items():
        if weight.ndim == 2:
            rows, scale = int8_rows(weight)
            arrays |= {name: rows.numpy(), f"{name}.scale": scale.numpy()}
        else:
            arrays[name] = weight.numpy()
    more = dict(extra or {})
    arrays |= {n: more.pop(n) for n, each in list(more.items()) if isinstance(each, np.ndarray)}
    return _sealed(_block(header | more, arrays))


def _is_adapters(name: str) -> bool:
    return ".lora_" in name or not name.startswith(_ENCODER)


def _switches(tokenizer: BertTokenizer) -> dict[str, bool]:
    strip = tokenizer.strip_accents
    return {
        "clean_text": True,
        "handle_chinese_chars": tokenizer.tokenize_chinese_chars,
        "strip_accents": tokenizer.lowercase if strip is None else strip,
        "lowercase": tokenizer.lowercase,
    }


def _block(header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    described, blocks, offset = [], [], 0
    for name, array in arrays.items():
        described.append(
            {"name": name, "dtype": str(array.dtype), "shape": array.shape, "offset": offset}
        )
        if array.dtype == np.int8:
            array = np.pad(array, ((0, 0), (0, -array.shape[1] % 8)))  # noqa: PLW2901
        blocks.append(_padded(np.ascontiguousarray(array).tobytes()))
        offset += len(blocks[-1])
    text = json.dumps({**header, "arrays": described}, separators=(",", ":"), allow_nan=False)
    return b"".join([_padded(struct.pack("<I", len(text.encode())) + text.encode()), *blocks])


def _padded(block: bytes) -> bytes:
    return block + bytes(-len(block) % 8)


def _sealed(block: bytes) -> bytes:
    """Returns a block behind the line by which the page knows that it is whole."""
    first = {
        "format": "bertedu pack",
        "version": VERSION,
        "bytes": len(block),
        "sha256": hashlib.sha256(block).hexdigest(),
    }
    return json.dumps(first).ljust(FIRST_LINE - 1).encode() + b"\n" + block
