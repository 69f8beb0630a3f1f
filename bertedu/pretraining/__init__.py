"""The paper's two tasks, learned from plain text: `bertedu pretrain`.

`sources` reads text, `corpus` turns it into ids on disk, `pairs` makes sentence pairs of them,
`masking` hides tokens, `run` learns from the result; `averaging` takes the mean of what came out.
"""

from bertedu.pretraining.run import (
    Batch,
    Evaluation,
    PretrainingData,
    Recipe,
    StepReport,
    evaluate,
    pretrain,
    set_token_frequencies,
    unigram_log_probs,
)

__all__ = [
    "Batch",
    "Evaluation",
    "PretrainingData",
    "Recipe",
    "StepReport",
    "evaluate",
    "pretrain",
    "set_token_frequencies",
    "unigram_log_probs",
]
