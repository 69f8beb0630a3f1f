"""Checks of the predictions in the lessons on learning: 02, 03 and 07."""

import math

from bertedu.classroom.checks.framework import check

# Lesson 02


@check("02", value=True)
def chosen_of_128() -> list[int]:
    """How many of 128 tokens are chosen, and how many labels are -100."""
    chosen = max(1, round(0.15 * 128))
    return [chosen, 128 - chosen]


chosen_of_128.wrong(
    "special tokens not counted",
    [19, 106],
    "19 is right; every token has a label, also [CLS] and [SEP]: the two numbers add up to 128",
)
chosen_of_128.wrong(
    "rounded up", [20, 108], "15 % of 128 is 19.2, and that is rounded to the nearest number"
)
chosen_of_128.wrong(
    "changed only",
    [17, 111],
    "kept tokens are chosen, too, though one does not see it: all of the 15 % count",
)
chosen_of_128.wrong(
    "masked only",
    [15, 113],
    "80 % of the chosen ones become [MASK]; all the chosen ones have a label",
)


@check("02", value=True)
def blind_loss() -> list[float]:
    """The loss of a model that knows nothing, and of one that knows half of the tokens."""
    return [round(math.log(30_522), 2), round(math.log(30_522) / 2, 2)]


blind_loss.wrong(
    "bits", [14.9, 7.45], "these are bits (log2); nats have the natural logarithm, `math.log`"
)
blind_loss.wrong(
    "log of half as many",
    [10.33, 9.63],
    "at half of the places it is blind, among *all* tokens: the mean of 0 and 10.33",
)
blind_loss.wrong(
    "adds log 2",
    [10.33, 11.02],
    "-log 1 is 0: where it is right with p = 1 the loss is 0, so that the mean goes down",
)
blind_loss.wrong(
    "probability", [0.0, 0.5], "those are probabilities, not losses: the loss is the mean of -log p"
)
blind_loss.wrong("the other half", [10.33, 10.33], "half of the places cost nothing: -log 1 = 0")


@check("02", value=True)
def swapped_of_million() -> int:
    """How many of a million tokens the model sees as another token."""
    return 10_000 * round(0.15 * 100) // 10


swapped_of_million.wrong(
    "of all", 100_000, "a tenth of the *chosen* tokens become random, not a tenth of all"
)
swapped_of_million.wrong("all chosen", 150_000, "so many are chosen; a tenth of them become random")
swapped_of_million.wrong(
    "kept as well", 30_000, "the kept ones are not changed: only the random tenth is another token"
)
swapped_of_million.wrong(
    "with [MASK]", 135_000, "[MASK] is not counted here: only another token in the word's place"
)

# Lesson 03


@check("03", value=True)
def row_of_pair() -> list[int]:
    """The length of the row for a pair of 9 and 12 tokens, and how many segment ids are 1."""
    a, b = 9, 12
    return [1 + a + 1 + b + 1, b + 1]


row_of_pair.wrong(
    "SEP to A", [24, 12], "the last [SEP] closes B and has B's segment id, so there is one more"
)
row_of_pair.wrong(
    "both SEPs to B",
    [24, 14],
    "the first [SEP] closes A and has A's segment id, so there is one less",
)
row_of_pair.wrong(
    "no special tokens",
    [21, 12],
    "the special tokens are tokens: one [CLS], and a [SEP] behind each",
)
row_of_pair.wrong("one SEP", [23, 12], "each of the two texts ends with a [SEP]; you have one only")
row_of_pair.wrong(
    "one SEP, in B", [23, 13], "A ends with a [SEP] of its own: the row is one token longer"
)


@check("03", value=True)
def best_of_100() -> float:
    """The best possible accuracy in percent under the naive rule, in a text of 100 sentences."""
    return 100 * (1 - 0.5 / 100)


best_of_100.wrong(
    "all pairs", 99.0, "1 in 100 of the *random* pairs is none; those are half of all pairs"
)
best_of_100.wrong("perfect", 100.0, "the same pair occurs with both labels: nobody can know which")
best_of_100.wrong(
    "the share", 0.5, "that is the share it must get wrong, in percent; what is left?"
)
best_of_100.wrong("not in percent", 0.995, "right as a share; the exercise asks for percent")


@check("03", value=True)
def loss_of_guessing() -> list[float | str]:
    """The loss of a model that gives every pair 50 %, and of one that is always certain."""
    return [round(math.log(2), 2), "without bound"]


loss_of_guessing.wrong(
    "certain is undecided",
    [0.69, 0.69],
    "0.69 is right for the first; the other gives p = 0 to the truth on every second pair: -log 0?",
)
loss_of_guessing.wrong(
    "certain is half wrong",
    [0.69, 1],
    "1 would be bounded; -log p has no largest value, and here p of the truth is 0 at times",
)
loss_of_guessing.wrong(
    "probability",
    [0.5, "without bound"],
    "0.5 is the probability; the loss is -log of it",
)
loss_of_guessing.wrong(
    "bits", [1, "without bound"], "one *bit*: log2. In nats, with the natural logarithm, it is less"
)

# Lesson 07


@check("07", value=True)
def how_many_losses() -> list[int]:
    """How many -log p go into the words' mean and into the pairs', for 32 rows of 128 tokens."""
    return [32 * 19, 32]


how_many_losses.wrong(
    "all tokens", [4096, 32], "only the chosen tokens are asked: 19 in each row, not 128"
)
how_many_losses.wrong(
    "one row", [19, 1], "that is one row; a batch has 32, and the mean runs over all of them"
)
how_many_losses.wrong(
    "two sentences", [608, 64], "a row is one pair and one question: does B follow A?"
)
how_many_losses.wrong(
    "masked only", [486, 32], "random and kept tokens are asked as well: all 19 of each row count"
)


@check("07", value=True)
def billions() -> int:
    """The tokens of the paper's pretraining, in billions."""
    return round(1_000_000 * 256 * 512 / 1e9)


billions.wrong(
    "a corpus", 3, "3.3 billion words are in the text; it was read about forty times over"
)
billions.wrong("rows", 256, "256 is the number of rows in a step: steps × rows × tokens in a row")
billions.wrong("thousands", 131_072, "right, but in millions: the exercise asks for billions")
billions.wrong("one length", 128, "that is the paper's own rounding; 10⁶ · 256 · 512 is a bit more")


@check("07", value=True)
def knows_nothing() -> list[float | bool]:
    """The joint loss of two heads that know nothing of 500 tokens; and has 6.9 learned?"""
    return [round(math.log(500) + math.log(2), 1), False]


knows_nothing.wrong(
    "words only", [6.2, True], "6.2 is for the words alone; the pairs' head knows nothing either"
)
knows_nothing.wrong(
    "words only, no",
    [6.2, False],
    "6.2 is for the words alone; add what a coin costs on the pairs",
)
knows_nothing.wrong(
    "learned all the same",
    [6.9, True],
    "the number is right; so is there anything left that it could have learned?",
)
knows_nothing.wrong(
    "bits", [10.0, True], "these are bits (log2); nats have the natural logarithm, `math.log`"
)
