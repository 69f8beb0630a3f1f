"""A tiny seeded model and its tokenizer, for tests that need no trained weights."""

import torch

from bertedu import BertConfig, BertTokenizer
from bertedu.tokenizer import SPECIAL_TOKENS

TOKENIZER = BertTokenizer(
    [*SPECIAL_TOKENS, "my", "dog", "is", "cute", "he", "likes", "play", "##ing"]
)
CONFIG = BertConfig(
    vocab_size=len(TOKENIZER),
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=32,
    max_position_embeddings=12,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
    initializer_range=0.5,
)


def build(model_class, config: BertConfig = CONFIG):
    torch.manual_seed(0)
    return model_class(config).eval()
