"""The paper's two tasks, learned from plain text: `bertedu pretrain`.

`sources` reads text, `corpus` turns it into ids on disk, `pairs` makes sentence pairs of them,
`masking` hides tokens, `run` learns from the result, `kept` keeps what a model answered on its way,
`film` reads ten such checkpoints of a small run;
`averaging` takes the mean of what came out.
"""

from bertedu.pretraining.run import (
    Evaluation,
    PretrainingData,
    PretrainingStep,
    Recipe,
    evaluate,
    pretrain,
    set_token_frequencies,
    unigram_log_probs,
)
from bertedu.training.batches import Batch

__all__ = [
    "Batch",
    "Evaluation",
    "PretrainingData",
    "PretrainingStep",
    "Recipe",
    "evaluate",
    "pretrain",
    "set_token_frequencies",
    "unigram_log_probs",
]
