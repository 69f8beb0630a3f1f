"""Adapters are peft's: it loads ours, we load its, merged and unmerged."""

from pathlib import Path

import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file
from torch import nn

from bertedu import (
    BertConfig,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
)
from bertedu.checkpoint import save_pretrained
from bertedu.finetuning.adapters import (
    WEIGHTS,
    add_lora,
    load_adapter,
    merge_lora,
    save_adapter,
)
from tests.fuzz_adapters import fuzz

# peft asks transformers for a name that it has given up.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")

CONFIG = BertConfig(
    vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
    intermediate_size=32, max_position_embeddings=24, labels=("no", "maybe", "yes"),
)  # fmt: skip
HEADS = [BertForSequenceClassification, BertForTokenClassification, BertForQuestionAnswering]
PAIRS = [(head, getattr(transformers, head.__name__)) for head in HEADS]


def inputs() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    lengths = torch.tensor([24, 1, 9])
    mask = (torch.arange(24) < lengths[:, None]).long()
    return {
        "input_ids": torch.randint(1, 50, (3, 24), generator=generator) * mask,
        "token_type_ids": (torch.arange(24) > 4).long() * mask,
        "attention_mask": mask,
    }


def logits(model: nn.Module) -> list[torch.Tensor]:
    model.eval()
    if isinstance(model, peft.PeftModelForQuestionAnswering):
        model = model.base_model  # its own forward (peft 0.21) forgets the token_type_ids
    with torch.inference_mode():
        output = model(**inputs())
    real = inputs()["attention_mask"].bool()
    if hasattr(output, "start_logits"):
        return [output.start_logits[real], output.end_logits[real]]
    found = output.logits
    if found.ndim == 2:
        return [found]
    split = isinstance(model, BertForQuestionAnswering)
    return [part[real] for part in (found.unbind(-1) if split else [found])]


def equal(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.allclose(a, b, atol=1e-5) for a, b in zip(one, other, strict=True))


def trained(model: nn.Module) -> nn.Module:
    """Random numbers everywhere that learns."""
    generator = torch.Generator().manual_seed(5)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3
    return model


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_peft_loads_ours(ours: type[nn.Module], theirs: type, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = ours(CONFIG)
    save_pretrained(model, tmp_path / "base")
    before = logits(model)
    add_lora(model, rank=4)
    assert equal(logits(model), before), "it begins as what it was"
    trained(model)
    save_adapter(model, tmp_path / "adapter", "base", torch.float32)
    base = theirs.from_pretrained(tmp_path / "base")
    loaded = peft.PeftModel.from_pretrained(base, tmp_path / "adapter")
    assert not equal(logits(model), before)
    assert equal(logits(model), logits(loaded))
    assert equal(logits(model), logits(loaded.merge_and_unload()))
    unmerged = logits(model)
    merge_lora(model)
    assert equal(logits(model), unmerged)
    assert set(model.state_dict()) == set(ours(CONFIG).state_dict())


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_an_adapter_in_16_bits_is_the_same_to_peft(
    ours: type[nn.Module], theirs: type, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model, again = ours(CONFIG), ours(CONFIG)
    again.load_state_dict(model.state_dict())
    save_pretrained(model, tmp_path / "base")
    add_lora(model, rank=4)
    save_adapter(trained(model), tmp_path / "adapter", "base", torch.float16)
    assert {w.dtype for w in load_file(tmp_path / "adapter" / WEIGHTS).values()} == {torch.float16}
    load_adapter(again, tmp_path / "adapter")
    assert {w.dtype for w in again.state_dict().values()} == {torch.float32}
    base = theirs.from_pretrained(tmp_path / "base")
    loaded = peft.PeftModel.from_pretrained(base, tmp_path / "adapter")
    assert equal(logits(again), logits(loaded))
    assert not equal(logits(again), logits(model)), "rounded numbers are others"


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
@pytest.mark.parametrize("rslora", [False, True])
def test_we_load_pefts(ours: type[nn.Module], theirs: type, rslora: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = ours(CONFIG)
    save_pretrained(model, tmp_path / "base")
    kind = {"Sequence": "SEQ_CLS", "Token": "TOKEN_CLS", "Question": "QUESTION_ANS"}
    task = next(value for name, value in kind.items() if name in ours.__name__)
    settings = peft.LoraConfig(
        task_type=task, r=3, lora_alpha=5, use_rslora=rslora,
        target_modules=["query", "value", "attention.output.dense"],
    )  # fmt: skip
    theirs_trained = trained(
        peft.get_peft_model(theirs.from_pretrained(tmp_path / "base"), settings)
    )
    theirs_trained.save_pretrained(tmp_path / "adapter")
    load_adapter(model, tmp_path / "adapter")
    assert equal(logits(model), logits(theirs_trained))
    merge_lora(model)
    assert equal(logits(model), logits(theirs_trained))


def test_a_few_damaged_folders_end_in_a_sentence_or_in_pefts_numbers() -> None:
    """`make fuzz` opens 200."""
    told: list[str] = []
    ends = fuzz(15, seed=2, report=told.append)
    assert told == []
    assert ends["refused"]
    assert ends["equal"]
