"""Where a fine-tuning run begins: a pretrained encoder under a fresh head, frozen in part."""

import os
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from bertedu.bert import Bert
from bertedu.checkpoint import load_tokenizer, load_weights, read_config, read_weights, resolve
from bertedu.config import BertConfig
from bertedu.errors import CheckpointError, InputError
from bertedu.finetuning.task import Task
from bertedu.tokenizer import BertTokenizer

Checkpoint = Bert | BertConfig | str | os.PathLike[str]
"""A loaded BERT, a checkpoint's name, or a config, which stands for fresh random weights."""


def starting_model(
    task: Task[Any, Any],
    bert: Checkpoint,
    tokenizer: BertTokenizer | None = None,
    dropout: float | None = None,
) -> tuple[nn.Module, BertTokenizer]:
    """Returns a model with a fresh head on a checkpoint's encoder, and its tokenizer.

    Raises:
        CheckpointError: the checkpoint lacks a part of the encoder.
        InputError: the tokenizer has more tokens than the model.
    """
    weights: dict[str, Tensor] | None = None
    source = "the checkpoint"
    if isinstance(bert, BertConfig):
        config, tokenizer = bert, tokenizer or load_tokenizer()
    elif isinstance(bert, Bert):
        config, tokenizer = bert.config, bert.tokenizer
        state = bert.model.state_dict()
        weights = {name: weight for name, weight in state.items() if name not in bert.missing}
    else:
        folder = resolve(bert)
        config, tokenizer, source = read_config(folder), load_tokenizer(folder), str(folder)
        weights = read_weights(folder)
    if config.vocab_size < len(tokenizer):
        raise InputError(
            f"the tokenizer has {len(tokenizer):,} tokens and the model {config.vocab_size:,}: "
            "they do not belong together"
        )
    if dropout is not None:
        config = replace(config, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout)
    model = task.head(config)
    if weights is not None:
        heads = tuple(name for name in task.new if not name.startswith("bert."))
        encoder = {name: w for name, w in weights.items() if not name.startswith(heads)}
        missing = load_weights(model, encoder, source)
        if lost := [name for name in missing if not name.startswith(task.new)]:
            raise CheckpointError(f"{source} lacks {lost[0]}: it is no whole encoder")
    return model, tokenizer


def freeze(model: nn.Module, layers: int, encoder: bool) -> None:
    """Keeps weights as they are: of the first layers, with the embeddings, or of the encoder.

    Raises:
        InputError: more layers than there are.
    """
    config: BertConfig = model.config  # type: ignore[assignment]
    if not 0 <= layers <= config.num_hidden_layers:
        raise InputError(f"freeze_layers is {layers}; this model has {config.num_hidden_layers}")
    frozen = [f"bert.encoder.layer.{i}." for i in range(layers)]
    frozen += ["bert.embeddings."] if layers else []
    frozen += ["bert."] if encoder else []
    for name, parameter in model.named_parameters():
        parameter.requires_grad = not name.startswith(tuple(frozen))
