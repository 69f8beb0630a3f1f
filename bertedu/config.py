"""The sizes of a BERT, under the names that Hugging Face's config.json uses."""

import dataclasses
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bertedu.errors import CheckpointError, InputError

HIDDEN_ACTS = ("gelu", "gelu_new", "relu")

MOST_LABELS = 100_000
"""More are an accident, or an attack on the memory."""

# Settings that would change the computation. Only the value given here is BERT.
_REQUIRED = {
    "model_type": "bert",
    "is_decoder": False,
    "add_cross_attention": False,
    "position_embedding_type": "absolute",
    "tie_word_embeddings": True,
}


@dataclass(frozen=True)
class BertConfig:
    """The sizes of one BERT; the defaults are BERT-base, uncased.

    Args:
        vocab_size: V, rows of the token table.
        hidden_size: H, width of every token's vector.
        num_hidden_layers: L.
        num_attention_heads: A; must divide H.
        intermediate_size: width inside the feed-forward network, 4 H in the paper.
        hidden_act: "gelu" (exact, with erf), "gelu_new" (tanh approximation) or "relu".
        hidden_dropout_prob: probability of zeroing a component after each dense layer.
        attention_probs_dropout_prob: probability of zeroing an attention probability.
        max_position_embeddings: rows of the position table, the longest input in tokens.
        type_vocab_size: rows of the segment table, 2 for A and B.
        initializer_range: standard deviation of fresh weights.
        layer_norm_eps: added to the variance in LayerNorm.
        pad_token_id: the token whose row gets no gradient as an input.
        labels: names of the classes of a classification head.

    Raises:
        InputError: a size that is no positive whole number, heads that do not divide H, a
            setting outside its range, or two labels of one name.

    Source: Devlin et al. 2019, section 3; google-research/bert modeling.py, BertConfig.

    Example:
        >>> BertConfig().head_size
        64
        >>> BertConfig(hidden_size=100, num_attention_heads=3)
        Traceback (most recent call last):
        bertedu.errors.InputError: hidden_size 100 is not divisible by num_attention_heads 3
    """

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    pad_token_id: int = 0
    labels: tuple[str, ...] = ("LABEL_0", "LABEL_1")

    def __post_init__(self) -> None:
        """Refuse sizes that cannot be built."""
        for field in dataclasses.fields(self):
            name, value = field.name, getattr(self, field.name)
            if field.type is int and type(value) is not int:
                raise InputError(f"{name} is {value!r:.40}; it must be a whole number")
            if field.type is float and type(value) not in (int, float):
                raise InputError(f"{name} is {value!r:.40}; it must be a number")
            if field.type is int and name != "pad_token_id" and value < 1:
                raise InputError(f"{name} is {value!r:.40}; it must be at least 1")
            if name.endswith("_prob") and not 0 <= value <= 1:
                raise InputError(f"{name} is {value!r:.40}; it must be from 0 to 1")
            if field.type is float and not 0 <= value <= sys.float_info.max:  # nor NaN
                raise InputError(f"{name} is {value!r:.40}; it must be a number from 0 up")
        if not 0 <= self.pad_token_id < self.vocab_size:
            raise InputError(
                f"pad_token_id is {self.pad_token_id}; it must be from 0 to {self.vocab_size - 1}"
            )
        if self.hidden_size % self.num_attention_heads:
            raise InputError(
                f"hidden_size {self.hidden_size} is not divisible by "
                f"num_attention_heads {self.num_attention_heads}"
            )
        if self.hidden_act not in HIDDEN_ACTS:
            known = ", ".join(HIDDEN_ACTS)
            raise InputError(f"hidden_act {self.hidden_act!r:.40} is not one of {known}")
        if len(set(self.labels)) < len(self.labels):
            double = Counter(self.labels).most_common(1)[0][0]
            raise InputError(
                f"two labels have the name {double!r:.40}: give each class a name of its own"
            )

    @property
    def head_size(self) -> int:
        """D = H / A, the width of one head's query, key and value."""
        return self.hidden_size // self.num_attention_heads

    @property
    def num_labels(self) -> int:
        """The number of classes of a classification head."""
        return len(self.labels)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "BertConfig":
        """Returns the config that a Hugging Face config.json describes.

        Args:
            values: the parsed JSON. Unknown keys that do not change the model are left out.

        Raises:
            CheckpointError: a setting that this library does not compute, named.

        Example:
            >>> BertConfig.from_dict({"model_type": "bert", "hidden_size": 384}).head_size
            32
            >>> BertConfig.from_dict({"model_type": "gpt2"})
            Traceback (most recent call last):
            bertedu.errors.CheckpointError: model_type is 'gpt2'; bertedu computes only 'bert'
        """
        if not isinstance(values, Mapping):
            raise CheckpointError(f"config.json holds a {type(values).__name__}, not settings")
        for name, required in _REQUIRED.items():
            if values.get(name, required) not in (required, None):
                raise CheckpointError(
                    f"{name} is {values[name]!r:.40}; bertedu computes only {required!r}"
                )
        if values.get("quantization_config"):
            raise CheckpointError(
                "the weights are quantized (quantization_config), and bertedu computes with "
                "floating-point numbers: save the model unquantized"
            )
        known = {field.name for field in dataclasses.fields(cls)} - {"labels"}
        sizes = {name: value for name, value in values.items() if name in known}
        if sizes.get("pad_token_id", 0) is None:
            del sizes["pad_token_id"]
        if (labels := _labels(values)) is not None:
            sizes["labels"] = labels
        try:
            return cls(**sizes)
        except InputError as error:
            raise CheckpointError(f"config.json: {error}") from error

    def to_dict(self) -> dict[str, Any]:
        """Returns what belongs in a Hugging Face config.json.

        Example:
            >>> BertConfig.from_dict(BertConfig().to_dict()) == BertConfig()
            True
        """
        values = dataclasses.asdict(self)
        labels = values.pop("labels")
        return {
            "model_type": "bert",
            **values,
            "id2label": {str(index): name for index, name in enumerate(labels)},
            "label2id": {name: index for index, name in enumerate(labels)},
        }


def _labels(values: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Returns the names of the classes, where a config.json says them or how many there are."""
    named, count = values.get("id2label"), values.get("num_labels")
    if count is not None and (type(count) is not int or not 1 <= count <= MOST_LABELS):
        raise CheckpointError(
            f"config.json: num_labels is {count!r:.40}; it must be from 1 to {MOST_LABELS:,}"
        )
    if named is None:
        return tuple(f"LABEL_{i}" for i in range(count)) if count else None
    try:
        names = {int(index): name for index, name in named.items()}
    except (AttributeError, ValueError) as error:
        raise CheckpointError("config.json: id2label must map numbers to names") from error
    if not all(isinstance(name, str) for name in names.values()):
        raise CheckpointError("config.json: id2label must map numbers to names")
    if sorted(names) != [*range(len(named))] or len(names) > MOST_LABELS:
        raise CheckpointError(
            "config.json: id2label must number its labels 0, 1, 2, ... without a gap, up to "
            f"{MOST_LABELS:,}"
        )
    if count not in (None, len(names)):
        raise CheckpointError(
            f"config.json: num_labels is {count}, and id2label names {len(names)}: mend one of them"
        )
    return tuple(names[index] for index in range(len(names)))
