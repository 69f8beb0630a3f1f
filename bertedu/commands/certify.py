"""`bertedu certify`: this BERT beside the reference implementation, number by number.

And the one that computes in a page, in int8, beside the checkpoint that it was made of.

transformers is imported here and nowhere else in the package, and only when asked to compare.
"""

import argparse
import random
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from bertedu.bert import Bert, load
from bertedu.checkpoint import load_into, load_tokenizer
from bertedu.config import BertConfig
from bertedu.errors import InputError
from bertedu.heads import BertForPreTraining
from bertedu.widgets.web_certificate import certificate

OUTPUT_BAR = 1e-5
GRADIENT_BAR = 1e-4
INT8_LOSS_BAR = 5e-3  # nats
INT8_GUESS_BAR = 0.02
SMALL = BertConfig(
    vocab_size=1000,
    hidden_size=64,
    num_hidden_layers=4,
    num_attention_heads=4,
    intermediate_size=256,
    max_position_embeddings=64,
)
TEXTS = (
    "My dog is cute. He likes playing!",
    "unaffable, un-affable, UNAFFABLE",
    "Crème brûlée in İstanbul for 3,50 €",
    "東京タワー and 北京 🤗 👩‍👩‍👧",
    "The man went to the [MASK] . [SEP] he bought a gallon [MASK] milk",
    "مرحبا שלום\u200b नमस्ते\x00",
    "x" * 101,
    "",
)


class Certificate(NamedTuple):
    """One compared quantity.

    Attributes:
        quantity: what was compared.
        difference: the largest absolute difference; for gradients, relative to the largest value
            of that parameter's gradient; for the tokenizer, the number of texts that differ.
        bar: what the difference must not exceed.

    Example:
        >>> Certificate("loss, nats", 3e-7, 1e-5).passed
        True
    """

    quantity: str
    difference: float
    bar: float

    @property
    def passed(self) -> bool:
        """Whether the difference is within the bar (NaN is not)."""
        return self.difference <= self.bar


def certify(config: BertConfig = SMALL, seed: int = 0, texts: int = 500) -> list[Certificate]:
    """Returns how far this library's numbers are from those of transformers.

    Both sides get the same seeded random weights and the same batch: rows of uneven lengths, with
    padding and two segments. The tokenizers get the same texts.

    Args:
        config: the sizes of the compared models.
        seed: of weights, batch and texts.
        texts: how many texts the tokenizers are compared on.

    Raises:
        InputError: transformers is not installed.

    Source: the reference is transformers' BertForPreTraining, eager attention, and BertTokenizer.
    """
    try:
        import transformers
    except ImportError as error:
        raise InputError(
            "the comparison needs the reference implementation, which is not installed: "
            "run `pip install transformers`"
        ) from error
    settings = config.to_dict() | {"attn_implementation": "eager"}
    theirs: Any = transformers.BertForPreTraining(transformers.BertConfig(**settings))
    _randomize(theirs.eval(), seed)
    ours = BertForPreTraining(config).eval()
    load_into(ours, theirs.state_dict())
    vocab = load_tokenizer().vocab
    return [
        *_model_certificates(ours, theirs, seed),
        *_tokenizer_certificates(transformers.BertTokenizer(vocab=vocab), texts, seed),
    ]


def certify_page(bert: Bert) -> list[Certificate]:
    """Returns what a page's int8 weights change on the course's held-out documents.

    Args:
        bert: any model with its tokenizer.

    Returns:
        The loss, and the share of first guesses that become others; none without a masked-LM head.
    """
    found = certificate(bert)
    if not found:
        return []
    what = f"of {found['compared']} held-out masks, int8 in a page"
    loss = abs(found["loss_int8"] - found["loss"])
    return [
        Certificate(f"loss {what}, nats", loss, INT8_LOSS_BAR),
        Certificate(f"first guesses {what}, share", 1 - found["same"], INT8_GUESS_BAR),
    ]


def _model_certificates(ours: BertForPreTraining, theirs: Any, seed: int) -> list[Certificate]:
    batch, labels = _batch(ours.config, seed)
    everything = {"output_hidden_states": True, "output_attentions": True}
    mine, other = ours(**batch, **labels, **everything), theirs(**batch, **labels, **everything)
    mine.loss.backward()
    other.loss.backward()
    with torch.no_grad():
        fused = ours(**batch)  # without attention maps: torch's own kernel
    states = list(zip(mine.encoder.hidden_states, other.hidden_states, strict=True))
    pooled = theirs.bert.pooler(other.hidden_states[-1])
    pairs = [("embeddings", *states[0])]
    pairs += [(f"hidden states of layer {i}", *pair) for i, pair in enumerate(states[1:], 1)]
    probs = zip(mine.encoder.attention_probs, other.attentions, strict=True)
    pairs += [(f"attention of layer {i}", *pair) for i, pair in enumerate(probs, 1)]
    pairs += [
        ("pooled [CLS]", mine.encoder.pooler_output, pooled),
        ("last hidden states, fused", fused.encoder.last_hidden_state, other.hidden_states[-1]),
        ("masked-LM logits, fused", fused.prediction_logits, other.prediction_logits),
        ("next-sentence logits", mine.seq_relationship_logits, other.seq_relationship_logits),
        ("loss, nats", mine.loss, other.loss),
    ]
    rows = [Certificate(name, _largest(a - b), OUTPUT_BAR) for name, a, b in pairs]
    return [*rows, Certificate("gradients, relative", _gradients(ours, theirs), GRADIENT_BAR)]


def _gradients(ours: nn.Module, theirs: nn.Module) -> float:
    """Returns the largest difference, each relative to that parameter's largest gradient."""
    mine, other = (
        {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        for model in (ours, theirs)
    )
    worst = []
    for name, gradient in other.items():
        # The softmax ignores a key's bias: its gradient is 0 and has no size of its own.
        scale = _largest(other[name.replace("key.bias", "key.weight")])
        worst.append(_largest(mine[name] - gradient) / scale)
    return float(torch.tensor(worst).max())  # unlike Python's max, keeps NaN


def _tokenizer_certificates(theirs: Any, count: int, seed: int) -> list[Certificate]:
    tokenizer = load_tokenizer()
    generator = random.Random(seed)
    texts = [*TEXTS, *(_text(tokenizer.tokens, generator) for _ in range(count - len(TEXTS)))]
    ids = offsets = 0
    for text in texts[:count]:
        mine, other = tokenizer.encode(text), theirs(text, return_offsets_mapping=True)
        ids += mine.input_ids.tolist() != other["input_ids"]
        offsets += mine.offsets != other["offset_mapping"]
    return [
        Certificate(f"token ids of {count} texts", ids, 0),
        Certificate(f"character offsets of {count} texts", offsets, 0),
    ]


def _text(tokens: list[str], generator: random.Random) -> str:
    """Returns some words of the vocabulary between characters of any script."""
    parts = []
    for _ in range(generator.randint(1, 20)):
        code = generator.choice((generator.randrange(0x3000), generator.randrange(0x20000)))
        character = " " if 0xD800 <= code <= 0xDFFF else chr(code)  # surrogates are no characters
        parts += [generator.choice(tokens).removeprefix("##"), generator.choice((" ", character))]
    return "".join(parts)


def _batch(config: BertConfig, seed: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    longest = min(32, config.max_position_embeddings)
    lengths = torch.tensor([longest, 2 * longest // 3, longest // 3, 1])
    shape = (len(lengths), longest)
    mask = (torch.arange(longest) < lengths[:, None]).long()
    ids = torch.randint(config.vocab_size, shape, generator=generator)
    chosen = (torch.rand(shape, generator=generator) < 0.15) & mask.bool()
    chosen[0, 0] = True  # at least one
    batch = {
        "input_ids": ids.where(mask.bool(), torch.tensor(config.pad_token_id)),
        "token_type_ids": torch.randint(config.type_vocab_size, shape, generator=generator),
        "attention_mask": mask,
    }
    truth = torch.randint(config.vocab_size, shape, generator=generator)
    return batch, {
        "labels": truth.where(chosen, torch.tensor(-100)),
        "next_sentence_label": torch.arange(len(lengths)) % 2,
    }


def _randomize(model: nn.Module, seed: int) -> None:
    """Fills all weights, biases and LayerNorms too, so that none can be wrong unnoticed."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            dense = parameter.ndim == 2 and "embeddings" not in name
            noise = torch.randn(parameter.shape, generator=generator)
            noise *= 0.8 / parameter.shape[-1] ** 0.5 if dense else 0.05
            parameter.copy_(1 + noise if name.endswith("LayerNorm.weight") else noise)


def _largest(difference: Tensor) -> float:
    return float(difference.detach().abs().max())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("--base", action="store_true", help="12 layers of 768, as BERT-base")
    parser.add_argument("--seed", type=int, default=0, help="of weights, batch and texts")
    parser.add_argument("--texts", type=int, default=500, help="for the tokenizers")


def run(arguments: argparse.Namespace) -> int:
    """Prints the table; returns 0 when every difference is within its bar, else 1."""
    from rich.console import Console
    from rich.table import Table

    config = BertConfig() if arguments.base else SMALL
    rows = [*certify(config, arguments.seed, arguments.texts), *certify_page(load())]
    table = Table("quantity", title=f"Differences from transformers, seed {arguments.seed}")
    for column in ("difference", "bar", ""):
        table.add_column(column, justify="right")
    for row in rows:
        verdict = "[green]✓[/]" if row.passed else "[bold red]✗[/]"
        # Escaped: rich would take "[CLS]" for markup.
        table.add_row(
            row.quantity.replace("[", r"\["), f"{row.difference:.2g}", f"{row.bar:g}", verdict
        )
    console = Console()
    console.print(table)
    failed = [row.quantity for row in rows if not row.passed]
    console.print(
        f"Beyond the bar: {', '.join(failed)}." if failed else "Equal within every bar.",
        markup=False,
    )
    return 1 if failed else 0
