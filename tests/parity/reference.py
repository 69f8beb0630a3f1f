"""Our model and the reference with the same weights, telling inputs, and the bars."""

import logging
from dataclasses import replace

import torch
import transformers
from torch import Tensor, nn

from bertedu import BertConfig, BertForQuestionAnswering
from bertedu.checkpoint import load_into

OUTPUT_BAR = 1e-5  # largest absolute difference of any output
GRADIENT_BAR = 1e-4  # largest difference of a gradient, relative to that parameter's largest

transformers.logging.set_verbosity(logging.ERROR)
transformers.logging.disable_progress_bar()


def make_config(**sizes) -> BertConfig:
    small = {
        "vocab_size": 99,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 40,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "labels": ("a", "b", "c"),
    }
    return BertConfig(**small | sizes)


CONFIGS = {
    "small": make_config(),
    "one layer, one head, odd sizes": make_config(
        hidden_size=20, num_hidden_layers=1, num_attention_heads=1, intermediate_size=37,
        vocab_size=51, max_position_embeddings=23, labels=("a", "b"),
    ),
    "gelu_new, three segments, large eps": make_config(
        hidden_act="gelu_new", type_vocab_size=3, layer_norm_eps=0.03, num_attention_heads=2,
        pad_token_id=7,
    ),
    "relu, six layers, many heads": make_config(
        hidden_act="relu", num_hidden_layers=6, hidden_size=48, num_attention_heads=12
    ),
}  # fmt: skip
BASE = make_config(
    vocab_size=2000, hidden_size=768, num_hidden_layers=12, num_attention_heads=12,
    intermediate_size=3072, max_position_embeddings=512,
)  # fmt: skip


def twins(
    ours: type[nn.Module], theirs: str, config: BertConfig, attention: str = "eager", seed: int = 0
) -> tuple[nn.Module, nn.Module]:
    """Return our model and the reference, both holding the same loud random weights."""
    if theirs == "BertForQuestionAnswering":  # the reference's has as many rows as labels
        config = replace(config, labels=("start", "end"))
    values = config.to_dict() | {"attn_implementation": attention}
    reference = getattr(transformers, theirs)(transformers.BertConfig(**values)).eval()
    randomize(reference, seed)
    model = ours(config).eval()
    assert load_into(model, reference.state_dict()) == []
    return model, reference


def randomize(model: nn.Module, seed: int) -> None:
    """Fill every parameter, biases and LayerNorms too, so that each one matters."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim == 2 and "embeddings" not in name:
                noise *= 0.8 / parameter.shape[1] ** 0.5
            else:
                noise *= 0.3
            parameter.copy_(1 + noise if name.endswith("LayerNorm.weight") else noise)


def make_batch(config: BertConfig, padding: str = "uneven", seed: int = 0) -> dict[str, Tensor]:
    """Return five rows with segments of all kinds; `padding` says where, if anywhere."""
    generator = torch.Generator().manual_seed(seed)
    length = min(21, config.max_position_embeddings)
    shape = (5, length)
    ids = torch.randint(config.vocab_size, shape, generator=generator)
    segments = torch.randint(config.type_vocab_size, shape, generator=generator)
    segments[0] = 0
    lengths = {"none": [length] * 5, "uneven": [length, 1, 2, length - 4, 9]}
    if padding == "scattered":  # zeros at the start and in the middle, too
        mask = torch.randint(2, shape, generator=generator)
        mask[:, 5] = 1
    else:
        mask = (torch.arange(length) < torch.tensor(lengths[padding])[:, None]).long()
    ids[mask == 0] = config.pad_token_id
    return {"input_ids": ids, "token_type_ids": segments, "attention_mask": mask}


def make_labels(config: BertConfig, model: str, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the labels that the reference class `model` takes."""
    generator = torch.Generator().manual_seed(5)
    mask = batch["attention_mask"]
    tokens = torch.randint(config.num_labels, mask.shape, generator=generator)
    words = torch.randint(config.vocab_size, mask.shape, generator=generator)
    chosen = torch.rand(mask.shape, generator=generator) < 0.3
    chosen[0, 0] = True
    rows = torch.tensor([0, 1, 1, 0, 1])
    return {
        "BertForPreTraining": {
            "labels": words.where(chosen, torch.tensor(-100)),
            "next_sentence_label": rows,
        },
        "BertForSequenceClassification": {"labels": rows},
        "BertForTokenClassification": {"labels": tokens.where(mask == 1, torch.tensor(-100))},
        "BertForQuestionAnswering": {
            "start_positions": torch.tensor([3, 0, 1, 6, 200]),  # the last lies outside
            "end_positions": torch.tensor([5, 0, 1, 6, 200]),
        },
    }[model]


def assert_close(ours: Tensor, theirs: Tensor, bar: float = OUTPUT_BAR) -> None:
    assert ours.shape == theirs.shape
    difference = float((ours - theirs).detach().abs().max())
    assert difference <= bar, f"differs by {difference:.2e}, the bar is {bar:.0e}"


def assert_same_gradients(model: nn.Module, reference: nn.Module) -> None:
    """Compare the gradient of every parameter; both losses have been propagated back."""
    theirs = {name: gradient(p) for name, p in reference.named_parameters()}
    ours = {name: gradient(p) for name, p in model.named_parameters()}
    assert ours.keys() == theirs.keys()
    largest = max(float(g.abs().max()) for g in theirs.values())
    for name, expected in theirs.items():
        difference = float((ours[name] - expected).abs().max())
        if vanishes(name, model):
            assert float(expected.abs().max()) <= 1e-6 * largest, name
            assert difference <= 1e-6 * largest, name
        else:
            scale = float(expected.abs().max())
            assert difference <= GRADIENT_BAR * scale, f"{name}: {difference / scale:.1e}"


def vanishes(name: str, model: nn.Module) -> bool:
    """Tell whether a gradient is 0 in exact arithmetic: a softmax ignores what shifts all alike."""
    if not isinstance(model, BertForQuestionAnswering):
        return name.endswith("key.bias")
    last = f"layer.{model.config.num_hidden_layers - 1}.output.LayerNorm.bias"
    return name.endswith(("key.bias", last, "qa_outputs.bias"))


def gradient(parameter: nn.Parameter) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
