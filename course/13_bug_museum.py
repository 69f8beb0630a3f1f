# %% [markdown]
# # 13 · The museum of bugs
#
# **Which mistakes did others make, and would you have found them?**
#
# Every mistake in this museum was published: in libraries, in courses, in code behind papers.
# Most give no error message. Only a number is wrong.
#
# **Afterwards you can**
# - say from a symptom which part of a program to look at first;
# - mend twenty-seven published mistakes, and say how large the damage of each is;
# - write the one-line test that would have found it.
#
# **You need** lessons 02 to 06; the rooms on fine-tuning and answers can wait until after 08 to 11.
# No internet connection.
#
# **Time** about half an hour for the five exhibits that are **for class**, two hours for all seven
# rooms; less than a minute of CPU time.
#
# **In the paper** Devlin et al. 2019 (arXiv:1810.04805) describes the model and its training:
# §3.1, §4, and appendix A.
#
# At each exhibit read the **symptom** and *predict* its cause. Run the code, look at the
# **damage**, find the line. Then write the **mend** where the `...` stands, and run the check. The
# code is ours; the mistake in it is the published one.

# %%
import math
from itertools import pairwise

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional as F

import bertedu
from bertedu.classroom import checks
from bertedu.classroom.figures import STYLE

plt.style.use(STYLE)

# %% tags=["nbval-check-output"]
bert = bertedu.load()
tokenizer = bert.tokenizer
print(bert)

# %% [markdown]
# **Five exhibits are for class: 9, 14, 17, 18 and 23{=#}.** All others are marked *Deeper* and
# can be
# left out. Of the five, only 18{=#} uses results of another one, exhibit 9. (Some of the
# others use
# what earlier cells made. So first run all cells above the one that you want.)
#
# | room | exhibits | what it is about |
# |:--|:--|:--|
# | 1 text | 1 to 3{=#} | what the model reads |
# | 2 masks | 4 to 7{=#} | which tokens it must predict |
# | 3 pairs | 8, **9**, 10{=#} | what its labels say |
# | 4 the model | 11 to 13, **14**, 15, 16{=#} | how it computes |
# | 5 losses | **17**, **18**, 19{=#} | what the loss counts |
# | 6 fine-tuning | 20 to 22, **23**{=#} | how it is trained and measured |
# | 7 answers | 24 to 27{=#} | how its numbers are read |
# | 8 false alarms | | claims about bugs that were wrong |
#
# The floor plan: each number and each room is a link to its section. A star and a pink ground mark
# the exhibits for class; the circles (● right, ◐ tried, ○ not yet) fill as your mends pass.

# %%
from bertedu.classroom.museum import FloorPlan

FloorPlan(checks.board().states)

# %% [markdown]
# The check of each exhibit has two hints: `checks.best_pairs.hint()`.
#
# ## Room 1: text
#
# ### Exhibit 1. Deeper: two best pairs
#
# **Symptom.** A course trains a WordPiece vocabulary by hand. A program gives *another* vocabulary.
# At the third merge, the page finds two pairs with the best score.
#
# **Predict:** `hu ##g` or `hu ##gs`: which has the higher score, count(ab) / (count(a) · count(b))?

# %%
counts = {"hug": 10, "pug": 5, "pun": 12, "bun": 4, "hugs": 5}
splits = {"hug": ["hu", "##g"], "pug": ["p", "##u", "##g"], "pun": ["p", "##u", "##n"],
          "bun": ["b", "##u", "##n"], "hugs": ["hu", "##gs"]}  # fmt: skip
on_the_page = {("hu", "##g"): 1 / 15, ("hu", "##gs"): 1 / 15, ("p", "##u"): 1 / 21,
               ("##u", "##g"): 1 / 21, ("##u", "##n"): 1 / 21, ("b", "##u"): 1 / 21}  # fmt: skip
best_on_the_page = max(on_the_page, key=on_the_page.get)  # the first of the best

# %% tags=["nbval-check-output"]
from bertedu.wordpiece import longest_matches

before = ["b", "h", "p", "##g", "##n", "##s", "##u", "##gs", "hu"]
for name, third in {"the page": "hug", "a program": "hugs"}.items():
    vocabulary = {piece: i for i, piece in enumerate([*before, third])}
    print(f"{name:10} hugs →", *(tried[-1] for tried in longest_matches("hugs", vocabulary)))
assert best_on_the_page == ("hu", "##g")

# %% [markdown]
# **The damage:** from here on the two vocabularies differ. **Find it** with a program that shows
# all the best pairs: return *all* pairs with the highest score, a list in alphabetical order.


# %%
def best_pairs(splits, counts):
    """All pairs with the highest score, in alphabetical order."""
    # BEGIN SOLUTION
    pieces, pairs = {}, {}
    for word, split in splits.items():
        for piece in split:
            pieces[piece] = pieces.get(piece, 0) + counts[word]
        for two in pairwise(split):
            pairs[two] = pairs.get(two, 0) + counts[word]
    scores = {(a, b): n / (pieces[a] * pieces[b]) for (a, b), n in pairs.items()}
    return sorted(pair for pair in scores if math.isclose(scores[pair], max(scores.values())))
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.best_pairs(best_pairs)

# %% tags=["solution", "nbval-check-output"]
print(best_pairs(splits, counts))
assert best_pairs(splits, counts) == [("hu", "##gs")]

# %% [markdown] tags=["solution"]
# *What was wrong:* a sum done by hand. `hu` occurs 15 times and `##g` 15{=01:scores} times
# (`##gs` has taken the other five): 10/225 = 2/45, less than 5/75 = 1/15. (`##u ##g` is not
# 1/21{=on_the_page} either, but 5/(21 · 15) = 1/63.)

# %% [markdown]
# **Published:** huggingface/course, pull request #547 (lesson 01 tells more). **Remember:** a
# worked example is code. Run it.
#
# ### Exhibit 2. Deeper: a switch that is always on
#
# **Symptom.** With a *cased* vocabulary all names become `[UNK]`, although the reader has switched
# lower-casing off: `--lower_case False`.
#
# **Predict:** what does Python make of `bool("False")`?

# %%
import argparse


def lower_case_option(arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument("--lower_case", type=bool, default=True)
    return parser.parse_args(arguments).lower_case


# %% tags=["nbval-check-output"]
from bertedu.tokenizer import SPECIAL_TOKENS

text = "Anna took the train from Paris to Rome . In Rome she met Tom and Nora ."
cased = [*SPECIAL_TOKENS, *dict.fromkeys(text.split())]
for option in ([], ["--lower_case", "False"]):
    lowercase = lower_case_option(option)
    pieces = bertedu.BertTokenizer(cased, lowercase=lowercase).encode(text).tokens
    unknown = f"{pieces.count('[UNK]')} of {len(pieces)} tokens are [UNK]"
    print(f"{' '.join(option) or '(no option)':19} → {lowercase}: {unknown}")
assert pieces.count("[UNK]") == 7
assert "[UNK]" not in bertedu.BertTokenizer(cased, lowercase=False).encode(text).tokens

# %% [markdown]
# **The damage:** every word with a capital letter is lost, names first. **Mend it:** lower-casing
# is on without the option, and otherwise as the reader says, in large or small letters.


# %%
def wants_lower_case(arguments):
    """True or False, from [], ["--lower_case", "True"] or ["--lower_case", "False"]."""
    parser = argparse.ArgumentParser()

    # BEGIN SOLUTION
    parser.add_argument("--lower_case", type=lambda text: text.lower() == "true", default=True)
    return parser.parse_args(arguments).lower_case
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.wants_lower_case(wants_lower_case)

# %% [markdown] tags=["solution"]
# *What was wrong:* `bool` of any text that is not empty is True.
# (`argparse.BooleanOptionalAction` makes a pair of switches, and is another mend.)

# %% [markdown]
# **Published:** huggingface/transformers #131 (a switch that was always on); `type=bool` stands in
# codertimo/BERT-pytorch, `__main__.py`. **Remember:** test both positions of every switch.
#
# ### Exhibit 3. Deeper: marks at the wrong place
#
# **Symptom.** A program highlights the answer in a text. In a text about *İstanbul* every mark
# stands a little too far to the right.
#
# **Predict:** how long is `"İ".lower()`?


# %%
def highlight(text, word):
    start = text.lower().index(word)
    return start, start + len(word)


# %% tags=["nbval-check-output"]
for text in ("Rome is big", "İstanbul is big", "İİİ is big"):
    start, end = highlight(text, "big")
    print(f"{text:16} {text[start:end]!r}")
assert len("İ".lower()) == 2
assert text[slice(*highlight(text, "big"))] != "big"

# %% [markdown]
# **The damage** grows with every such character before the word, so subtracting one mends only one
# example. **Mend it** for all: return (start, end), so that `text[start:end]`, in small letters, is
# the word (its first place, if there are several).


# %%
def where_in_original(text, word):
    """Start and end of a small-lettered word in the text as it was typed."""
    # BEGIN SOLUTION
    origin = [i for i, char in enumerate(text) for _ in char.lower()]
    start = "".join(char.lower() for char in text).index(word)
    return origin[start], origin[start + len(word) - 1] + 1
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.where_in_original(where_in_original)

# %% [markdown] tags=["solution"]
# *What was wrong:* the place was counted in the changed text and used in the original. `origin`
# keeps for each character of the changed text where it came from.

# %% [markdown]
# **Published:** huggingface/tokenizers #215 (there it was Japanese), PaddlePaddle/PaddleNLP #880
# (double spaces). **Remember:** a place is a pair, number *and* text. Test: each token's slice of
# the original, normalised, is the token.
#
# ## Room 2: masks
#
# ### Exhibit 4. Deeper: nothing to guess
#
# **Symptom.** The masked-LM loss falls faster than in the paper. The finished model fills gaps with
# nonsense.
#
# **Predict:** one draw chooses the token *and* decides its fate. When is it smaller than 80
# %{=draw} of
# itself?


# %%
def fate_at_first(draw):
    if draw >= 0.15:
        return "not chosen"
    if draw < draw * 0.8:
        return "masked"
    if draw < draw * 0.9:
        return "random"
    return "kept"


# %% tags=["nbval-check-output"]
from collections import Counter

draws = torch.rand(100_000, generator=torch.Generator().manual_seed(0)).tolist()
fates = Counter(fate_at_first(draw) for draw in draws)
chosen = sum(fates.values()) - fates["not chosen"]
for fate in ("masked", "random", "kept"):
    print(f"{fate:7} {fates[fate] / chosen:6.1%} of the chosen tokens")
assert fates["kept"] == chosen

# %% [markdown]
# **The damage:** no token is ever hidden. The model sees every answer and can copy it, so a low
# loss shows nothing. The repository needed four commits until the shares were correct. **Mend
# it:** of the draws below 0.15 the smallest 80 % are masked, the next 10 % random, the rest kept.


# %%
def fate_of_token(draw):
    """One of "not chosen", "masked", "random", "kept": 15 % are chosen, and these 80/10/10."""
    # BEGIN SOLUTION
    if draw >= 0.15:
        return "not chosen"
    again = draw / 0.15  # the same draw, stretched: from 0 to 1 again
    return "masked" if again < 0.8 else "random" if again < 0.9 else "kept"
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.fate_of_token(fate_of_token)

# %% [markdown] tags=["solution"]
# *What was wrong:* both limits were computed from the draw itself. The first repair mended the
# second limit only: then there are random tokens, and still no `[MASK]`.

# %% [markdown]
# **Published:** codertimo/BERT-pytorch #29, mended in October 2018. **Remember:** a falling loss
# does not prove that the task is the intended one. Count the inputs.
#
# ### Exhibit 5. Deeper: too few random tokens
#
# **Symptom.** Two versions of a library, for two frameworks, mask the same text. The shares of
# `[MASK]` agree. Yet one has five times as many random tokens as the other.
#
# **Predict:** the second draw is made only for the tokens that the first one did not mask. What is
# its limit?


# %%
def two_draws_at_first(first, second):
    if first < 0.8:
        return "masked"
    return "random" if second < 0.1 else "kept"


# %% tags=["nbval-check-output"]
pairs = torch.rand(50_000, 2, generator=torch.Generator().manual_seed(1)).tolist()
fates = Counter(two_draws_at_first(*two) for two in pairs)
for fate in ("masked", "random", "kept"):
    print(f"{fate:7} {fates[fate] / len(pairs):5.1%} of the chosen tokens")
assert abs(fates["random"] / len(pairs) - 0.02) < 0.005

# %% [markdown]
# **The damage:** 80/2/18{=arithmetic}, for 0.1 · 20 = 2, instead of 80/10/10. **Mend it.** (You
# may choose whether
# the small or the
# large second draws become random.)


# %%
def fate_of_two_draws(first, second):
    """The fate of a chosen token, 80/10/10."""
    # BEGIN SOLUTION
    if first < 0.8:
        return "masked"
    return "random" if second < 0.5 else "kept"
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.fate_of_two_draws(fate_of_two_draws)

# %% [markdown] tags=["solution"]
# *What was wrong:* 0.1 is the share of *all* chosen tokens; of the fifth that is left it is the
# half.

# %% [markdown]
# **Published:** huggingface/transformers #32329. **Remember:** ask of every percentage: of what?
# (In #1927 and #2858 of the same project, readers report the *correct* 0.5{=rest} as a bug.)
#
# ### Exhibit 6. Deeper: the answer is [PAD]
#
# **Symptom.** After a change of the code the loss is very low: most answers are correct with near
# certainty. Asked for a missing word, the model answers `[PAD]`.
#
# **Predict:** rows of 40 tokens, padded to 128. If every position may be chosen, what share of the
# labels is `[PAD]`, in percent?


# %%
def anything_goes(ids, special_ids):  # noqa: ARG001
    return torch.ones_like(ids, dtype=torch.bool)


short = torch.zeros(200, 128, dtype=torch.long)
short[:, :40] = torch.randint(1_000, 30_000, (200, 40), generator=torch.Generator().manual_seed(2))
short[:, 0], short[:, 39] = tokenizer.cls_token_id, tokenizer.sep_token_id

# %% tags=["nbval-check-output"]
draw = torch.rand(short.shape, generator=torch.Generator().manual_seed(3))
asked = short[anything_goes(short, tokenizer.special_ids) & (draw < 0.15)]
padding = (asked == tokenizer.pad_token_id).float().mean().item()
print(f"{padding:.1%} of {len(asked):,} labels are [PAD], the accuracy of always saying [PAD]")
assert 0.66 < padding < 0.71
special = torch.isin(asked, torch.tensor(sorted(tokenizer.special_ids))).float().mean()
assert special > padding  # [CLS] and [SEP], too

# %% [markdown]
# **The damage:** two thirds of the labels are the same and trivial. **Mend it:** which tokens may
# be chosen? (`ids` is a tensor [B, S], `special_ids` a set.)


# %%
def may_be_chosen(ids, special_ids):
    """bool, like ids [B, S]: where an ordinary token stands."""
    # BEGIN SOLUTION
    return ~torch.isin(ids, torch.tensor(sorted(special_ids)))
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.may_be_chosen(may_be_chosen)

# %% [markdown] tags=["solution"]
# *What was wrong:* three lines that excluded special tokens had been lost. Excluding `[PAD]` alone
# leaves `[CLS]` and `[SEP]`, which were masked in other programs (transformers #1307).

# %% [markdown]
# **Published:** huggingface/transformers #11155. **Remember:** test what must *never* be asked: no
# label is a special id.
#
# ### Exhibit 7. Deeper: a [SEP] in the middle
#
# **Symptom.** In a tutorial's training batches, a sentence sometimes has a `[SEP]` in its middle
# that nobody put there.
#
# **Predict:** a vocabulary of 33 entries, four of them special. What share of the "random words" is
# no word, in percent?


# %%
def any_id(count, vocab_size, special_ids, generator):  # noqa: ARG001
    return torch.randint(vocab_size, (count,), generator=generator)


# %% tags=["nbval-check-output"]
drawn = any_id(100_000, 33, {0, 1, 2, 3}, torch.Generator().manual_seed(4))
print(f"small vocabulary: {(drawn < 4).float().mean():.1%} of the draws are special tokens")
useless = [t for t in tokenizer.tokens if t in SPECIAL_TOKENS or t.startswith("[unused")]
drawn = any_id(100_000, len(tokenizer), set(), torch.Generator().manual_seed(4))
of_bert = torch.isin(drawn, torch.tensor([tokenizer.vocab[t] for t in useless])).float().mean()
print(f"BERT's vocabulary: {of_bert:.1%} of the draws are special or [unused…]")
assert abs(of_bert - len(useless) / len(tokenizer)) < 0.002
assert abs(4 / 33 - 0.121) < 0.001

# %% [markdown]
# **The damage** is large for a toy and small for BERT. Google's own program draws from the whole
# vocabulary, too, and whether a change helps is not measured here. **Mend it:** draw ordinary
# tokens, each equally likely, a list or a tensor of `count` ids.


# %%
def random_ids(count, vocab_size, special_ids, generator):
    """`count` ids of ordinary tokens, with the generator's randomness."""
    # BEGIN SOLUTION
    ordinary = torch.tensor([i for i in range(vocab_size) if i not in special_ids])
    return ordinary[torch.randint(len(ordinary), (count,), generator=generator)]
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.random_ids(random_ids)

# %% [markdown] tags=["solution"]
# *What was wrong:* "any number below V" is not "any word". Special ids need not be the first ones
# (BERT's are 0 and 100 to 103{=01:special}), so a lower limit alone does not mend it.

# %% [markdown]
# **Published:** graykode/nlp-tutorial #40 and #86. **Remember:** look at a network's inputs,
# decoded, before you train.
#
# ## Room 3: pairs
#
# ### Exhibit 8. Deeper: an accuracy that stops at 90 %
#
# **Symptom.** The accuracy of next sentence prediction does not rise above 90 %{=given}, whatever
# the
# model's size. The corpus of this experiment has five lines.
#
# **Predict:** how high can it be? And with a hundred lines?


# %%
import random


def any_sentence(follows, count, rng):  # noqa: ARG001
    return rng.randrange(count)


# %% tags=["nbval-check-output"]
rng = random.Random(5)
for lines in (5, 20, 100):
    truly_next = sum(any_sentence(2, lines, rng) == 2 for _ in range(50_000)) / 50_000
    ceiling = 1 - truly_next / 2  # half of the pairs are called random
    print(
        f"{lines:3} lines: {truly_next:5.1%} of 'random' ones follow; best accuracy {ceiling:.1%}"
    )
    assert abs(truly_next - 1 / lines) < 0.01

# %% [markdown]
# **The damage:** some pairs carry both labels, and no model can be correct for both. **Mend it:**
# each of the other sentences equally likely, and all of the randomness from `rng`.


# %%
def other_sentence(follows, count, rng):
    """A random number from 0 to count - 1, but never `follows`, with rng.randrange."""
    # BEGIN SOLUTION
    number = rng.randrange(count - 1)
    return number + (number >= follows)
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.other_sentence(other_sentence)

# %% [markdown] tags=["solution"]
# *What was wrong:* "random" included the true one. Drawing from one number fewer and stepping
# over the forbidden one keeps all others equally likely.

# %% [markdown]
# **Published:** codertimo/BERT-pytorch #110; NVIDIA/DeepLearningExamples #421 saw the same with a
# corpus of one document. **Remember:** no example may occur with both labels. Assert it.
#
# ### Exhibit 9. The lower, the better
#
# **Symptom.** A published method asks BERT whether a topic "follows" a text. This baseline does no
# better than chance.
#
# **Predict:** of the two logits, which one says "B follows A"?


# %%
def next_at_first(logits):
    return logits.softmax(dim=-1)[:, 1]


# %% tags=["nbval-check-output"]
from bertedu.data import HELD_OUT

texts = [path.read_text("utf-8").split("\n\n") for path in sorted(HELD_OUT.iterdir())]
sentences = [d.strip().rstrip(".?").split(". ") for topic in texts for d in topic[:2]]
true = [(s[i], s[i + 1]) for s in sentences for i in (0, 2)]
other = [(s[i], sentences[n - 9][i + 1]) for n, s in enumerate(sentences) for i in (0, 2)]
batch = bertedu.collate([tokenizer.encode(*pair) for pair in true + other])
with torch.inference_mode():
    pooled = bert.model.bert(**batch).pooler_output  # without the large masked-LM head
    pair_logits = bert.model.cls.seq_relationship(pooled)
is_true = torch.tensor([True] * len(true) + [False] * len(other))
print(f"{len(true)} pairs that follow, {len(other)} random ones")

# %% tags=["nbval-check-output"]
by_column = [((pair_logits.softmax(-1)[:, c] > 0.5) == is_true).float().mean().item()
             for c in (0, 1)]  # fmt: skip
assert torch.equal(next_at_first(pair_logits), pair_logits.softmax(-1)[:, 1])
print(f"accuracy by column 0: {by_column[0]:.1%}, by column 1: {by_column[1]:.1%}")
assert math.isclose(sum(by_column), 1, abs_tol=1e-6)
assert by_column[0] > 0.7

# %% [markdown]
# **The damage:** the better the model, the worse it looks; an accuracy of *a* becomes 1 - *a*.
# **Mend it.**


# %%
def probability_of_next(logits):
    """The probability that B follows A, [N], from logits [N, 2]."""
    # BEGIN SOLUTION
    return logits.softmax(dim=-1)[:, bertedu.heads.IS_NEXT]
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.probability_of_next(probability_of_next)

# %% [markdown] tags=["solution"]
# *What was wrong:* one expects 1 to mean "yes". In BERT 1 means "is random": its author wrote
# that this was his first convention.

# %% [markdown]
# **Published:** the question in google-research/bert #125 and huggingface/transformers #836; code
# that reads the other column in osainz59/Ask2Transformers #5 (whether it changed published numbers
# is open). **Remember:** a constant with a name (`IS_NEXT = 0`) avoids this. An accuracy *far
# below* chance, on many examples, suggests that the labels are reversed.
#
# ### Exhibit 10. Deeper: one sentence, one document
#
# **Symptom.** The accuracy of next sentence prediction is 100 %{=given} after a minute. The file
# has one
# sentence a line, separated by blank lines.
#
# **Predict:** to BERT's program a blank line ends a *document*. How many true next sentences are
# there?


# %%
def neat_text(documents):
    return "\n\n".join(sentence for document in documents for sentence in document)


# %% tags=["nbval-check-output"]
def labels_of(text, rng):
    """A coin for each sentence with a next one; without one, B can only be random (label 1)."""
    documents = [document.splitlines() for document in text.split("\n\n")]
    return [rng.randrange(2) if i + 1 < len(d) else 1 for d in documents for i in range(len(d))]


rng = random.Random(6)
as_it_should_be = "\n\n".join("\n".join(document) for document in sentences)
for name, text in {"blank lines": neat_text(sentences), "documents": as_it_should_be}.items():
    dealt = labels_of(text, rng)
    print(f"{name:12} {sum(dealt) / len(dealt):6.1%} of {len(dealt)} pairs are called random")
assert set(labels_of(neat_text(sentences), rng)) == {1}

# %% [markdown]
# **The damage:** all labels are the same, so a constant answer is always correct. **Mend it:** one
# sentence a line, and a blank line between two documents (but none at the end).


# %%
def corpus_text(documents):
    """A text file's content, from lists of sentences."""
    # BEGIN SOLUTION
    return "\n\n".join("\n".join(document) for document in documents)
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.corpus_text(corpus_text)

# %% [markdown] tags=["solution"]
# *What was wrong:* nothing in the program; the file's form had another meaning than its author
# thought.

# %% [markdown]
# **Published:** google-research/bert #125. **Remember:** an accuracy of 100 %{=definition} is
# suspicious. Look
# at the mean of the labels first.
#
# ## Room 4: the model
#
# ### Exhibit 11. Deeper: nearly LayerNorm
#
# **Symptom.** A model written from a well-known page trains well. With the *published* weights its
# outputs agree with the original only to the second or third digit.
#
# **Predict:** `std()` divides by H - 1. How much does that change for H = 4? For H = 384?


# %%
def nearly_layer_norm(x, weight, bias, eps):
    mean, std = x.mean(-1, keepdim=True), x.std(-1, keepdim=True)
    return weight * (x - mean) / (std + eps) + bias


# %% tags=["nbval-check-output"]
one = torch.tensor([[1.0, 0, 0, 0]])
ones, zeros = torch.ones(4), torch.zeros(4)
print(f"first number: nearly LayerNorm {nearly_layer_norm(one, ones, zeros, 1e-12)[0, 0]:.4f}, "
      f"LayerNorm {F.layer_norm(one, [4])[0, 0]:.4f}")  # fmt: skip
encoding = bertedu.collate([bert.encode("My dog is cute.", "He likes playing.")])
norms = [part for part in bert.model.bert.modules() if isinstance(part, nn.LayerNorm)]
with torch.inference_mode():
    right = bert.model.bert(**encoding).last_hidden_state
    for norm in norms:
        norm.forward = lambda x, n=norm: nearly_layer_norm(x, n.weight, n.bias, n.eps)
    nearly = bert.model.bert(**encoding).last_hidden_state
for norm in norms:
    del norm.forward  # as it was

# %% tags=["nbval-check-output"]
gap = (nearly - right).abs().max().item()
more = "more" if gap > 1e-3 else "less"
print(f"{len(norms)} LayerNorms: the last states differ by {more} than 0.001")
assert gap > 1e-3
assert math.isclose(math.sqrt(383 / 384), 0.9987, abs_tol=1e-4)

# %% [markdown]
# **The damage:** none for a model that was *trained* so. For one that was not, the difference is
# more than a hundred times the tolerance of lesson 06. **Mend it.**


# %%
def bert_layer_norm(x, weight, bias, eps):
    """LayerNorm over the last dimension, as BERT's weights expect it."""
    # BEGIN SOLUTION
    centred = x - x.mean(-1, keepdim=True)
    variance = centred.square().mean(-1, keepdim=True)
    return weight * centred / (variance + eps).sqrt() + bias
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.bert_layer_norm(bert_layer_norm)

# %% [markdown] tags=["solution"]
# *What was wrong:* two things: the sum of squares was divided by H - 1, and eps was added to the
# deviation instead of the variance.

# %% [markdown]
# **Published:** harvardnlp/annotated-transformer #122, and from there in codertimo/BERT-pytorch
# #30. **Remember:** compare each part with a reference on random input, not only the whole by its
# score.
#
# ### Exhibit 12. Deeper: one text instead of two
#
# **Symptom.** Features are extracted for pairs of sentences. They look plausible, but they are not
# those of the original.
#
# **Predict:** what does the model see of a pair when every segment id is 0?


# %%
def types_at_first(a, b):
    return [0] * (len(a) + len(b) + 3)


# %% tags=["nbval-check-output"]
with torch.inference_mode():
    both = {"0 and 1": batch["token_type_ids"], "all 0": torch.zeros_like(batch["token_type_ids"])}
    outputs = {name: bert.model.bert(**batch | {"token_type_ids": x}) for name, x in both.items()}
    judge = bert.model.cls.seq_relationship
    shares = {name: judge(o.pooler_output).softmax(-1)[:, 0] for name, o in outputs.items()}
correct = {name: ((share > 0.5) == is_true).float().mean() for name, share in shares.items()}
print(*(f"segment ids {name}: accuracy {share:.1%}" for name, share in correct.items()), sep="\n")
states = [output.last_hidden_state for output in outputs.values()]
assert (states[0] - states[1]).abs().max() > 0.1
assert correct["0 and 1"] > 0.7
assert correct["all 0"] < 0.6

# %% [markdown]
# **The damage:** `[SEP]` still stands between the two, and yet the accuracy on the pairs of
# exhibit 9 falls to a coin's. In training, the second sentence of a pair had ones. **Mend it.**


# %%
def token_types(a, b):
    """Segment ids of [CLS] a [SEP] b [SEP]; of [CLS] a [SEP] if b is empty."""
    # BEGIN SOLUTION
    return [0] * (len(a) + 2) + ([1] * (len(b) + 1) if b else [])
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.token_types(token_types)

# %% [markdown] tags=["solution"]
# *What was wrong:* the segment ids have a default, zeros, and no message tells whoever forgets
# them.

# %% [markdown]
# **Published:** huggingface/transformers #263; the opposite, ones for a *single* text, in
# john-hewitt/structural-probes #13. **Remember:** a default hides that something was forgotten.
# Test: the number of ones is the length of B plus one.
#
# ### Exhibit 13. Deeper: five hundred and ten words
#
# **Symptom.** An author cuts every text to 510 words, leaving room for `[CLS]` and `[SEP]`. Some
# texts stop with an index error deep in the model.
#
# **Predict:** 510 words are how many tokens?


# %%
def cut_to_words(text, limit):
    return " ".join(text.split()[: limit - 2])


# %% tags=["nbval-check-output"]
text = "Unaffable hairballs outplay Jupyter's embeddings. " * 110
ids = tokenizer.encode(cut_to_words(text, 512)).input_ids
print(f"{len(cut_to_words(text, 512).split())} words, {len(ids):,} tokens")
positions = bert.model.bert.embeddings.position_embeddings
try:
    positions(torch.arange(len(ids)))
except (IndexError, RuntimeError) as error:
    print("looking up the positions raises", type(error).__name__)
assert len(ids) > positions.num_embeddings == 512

# %% [markdown]
# **The damage:** here a crash. **Mend it:** count tokens, keep as many as fit, and mind how the
# row ends. (`limit` is 2 or more.)


# %%
def shortened(ids, limit):
    """[CLS] ... [SEP] as a list of ids: at most `limit` of them, and still [SEP] at the end."""
    # BEGIN SOLUTION
    return ids if len(ids) <= limit else [*ids[: limit - 1], ids[-1]]
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.shortened(shortened)

# %% [markdown] tags=["solution"]
# *What was wrong:* 512 is a number of tokens, and of rows in a table. And `ids[:limit]` would cut
# off the `[SEP]`: no crash, but an input without its last mark.

# %% [markdown]
# **Published:** texts of more than 512 tokens broke alexandrainst/danlp #54 and
# huggingface/transformers #5611. **Remember:** test at the border: 511, 512 and 513{=definition}
# tokens.
#
# ### Exhibit 14. Looking at nothing
#
# **Symptom.** The code runs, trains, and predicts the most frequent class.
#
# **Predict:** in `attention_mask`, 1 means "a real token". What do the scores of real tokens
# become?


# %%
def mask_at_first(attention_mask):
    return attention_mask[:, None, None, :] * -10_000.0


# %% tags=["nbval-check-output"]
attention_mask = torch.tensor([[1, 1, 1, 1, 1, 0, 0, 0]])
scores = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(7))
ways = {
    "at first": mask_at_first(attention_mask),
    "on the queries": (1 - attention_mask[:, None, :, None]) * -10_000.0,
    "on the keys": (1 - attention_mask[:, None, None, :]) * -10_000.0,
}
on_padding = {name: (scores + way).softmax(-1)[..., 5:].sum(-1) for name, way in ways.items()}
for name, share in on_padding.items():
    print(f"{name:15} {share.mean():6.1%} of the attention is on padding")
assert on_padding["at first"].min() > 0.999
assert on_padding["on the keys"].max() < 1e-6
assert on_padding["on the queries"].mean() > 0.1

# %% [markdown]
# **The damage:** with the wrong sign, *all* attention goes to padding. The second line is a similar
# mistake (lesson 06): the mask lies on the wrong axis. **Mend it.**


# %%
def additive_mask(attention_mask):
    """What is added to scores [B, A, queries, keys], from a mask [B, S] with 1 = real."""
    # BEGIN SOLUTION
    return (1 - attention_mask[:, None, None, :]) * -10_000.0
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.additive_mask(additive_mask)

# %% [markdown] tags=["solution"]
# *What was wrong:* a mask says "real" in one place and "hide" in another. One of the two had to be
# reversed.

# %% [markdown]
# **Published:** nyu-mll/jiant, pull request #465 ("Critical bug"); the wrong axis in
# hyunwoongko/transformer, pull request #40. **Remember:** put random numbers behind the padding. If
# any real token's state changes, the mask is wrong.
#
# ### Exhibit 15. Deeper: shorter vectors beside padding
#
# **Symptom.** Padding gets exactly zero attention. Still, the same sentence has shorter vectors the
# more padding stands beside it.
#
# **Predict:** what is the sum of a row, if some of its shares are set to 0 afterwards?


# %%
def shares_at_first(scores, mask):
    return scores.softmax(dim=-1) * mask


# %% tags=["nbval-check-output"]
mask = torch.arange(8) < 4
sums = shares_at_first(scores[0], mask).sum(-1)
print(f"the rows' sums are {sums.min():.2f} to {sums.max():.2f}; each should be 1")
assert sums.max() < 1

# %% [markdown]
# **The damage:** a part of each vector is missing, as large as padding's share was. **Mend it.**
# (At least one key is real.)


# %%
def attention_shares(scores, mask):
    """Attention probabilities from scores [A, S, S]; mask [S] is True at real keys."""
    # BEGIN SOLUTION
    return scores.masked_fill(~mask, float("-inf")).softmax(dim=-1)
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.attention_shares(attention_shares)

# %% [markdown] tags=["solution"]
# *What was wrong:* the order. (Setting to 0 afterwards *and* dividing each row by its sum is
# right, too: room 8.)

# %% [markdown]
# **Published:** huggingface/pytorch-image-models, pull request #2236. **Remember:** after every
# softmax, assert that rows sum to 1.
#
# ### Exhibit 16. Deeper: another output at every call
#
# **Symptom.** A tutorial's BERT, in evaluation mode, gives another output at each call for the same
# input. And its saved weights take less space than they should.
#
# **Predict:** how many parameters does the class below have?


# %%
class NewbornOutput(nn.Module):
    def __init__(self, H):
        super().__init__()
        self.H = H

    def forward(self, context, states):
        dense, norm = nn.Linear(self.H, self.H), nn.LayerNorm(self.H)
        return norm(states + dense(context))


# %% tags=["nbval-check-output"]
torch.manual_seed(8)
newborn = NewbornOutput(64).eval()
context, states = torch.randn(2, 3, 64)
first, second = newborn(context, states), newborn(context, states)
print(f"the outputs of two calls differ by up to {(first - second).abs().max():.2f}")
print(sum(p.numel() for p in newborn.parameters()), "parameters instead of", 64 * 64 + 3 * 64)
assert not torch.allclose(first, second, atol=0.1)
assert 768 * 768 + 3 * 768 == 592_128  # in a layer of BERT-base

# %% [markdown]
# **The damage:** in BERT-base these would be 12{=paper} × 592,128 numbers that are never trained,
# and
# random noise for all other layers. **Mend it.**


# %%
class AttentionOutput(nn.Module):
    def __init__(self, H):
        super().__init__()
        # BEGIN SOLUTION
        dense, norm = nn.Linear(H, H), nn.LayerNorm(H)
        # END SOLUTION
        self.dense, self.norm = dense, norm

    def forward(self, context, states):
        # BEGIN SOLUTION
        return self.norm(states + self.dense(context))
        # END SOLUTION


# %% tags=["nbval-check-output"]
checks.attention_output(AttentionOutput)

# %% [markdown] tags=["solution"]
# *What was wrong:* layers made in `forward` are new and random each time; torch knows only those
# that `__init__` made and `self` holds.

# %% [markdown]
# **Published:** graykode/nlp-tutorial #29 and #55. **Remember:** two tests find this in a second:
# two calls are equal; the number of parameters is that of the formula.
#
# ## Room 5: losses
#
# ### Exhibit 17. A mask that does nothing
#
# **Symptom.** Rows have room for ten guesses. Most need fewer, and the empty slots have the weight
# 0. A reader sets *all* weights to 1, and the loss does not change.
#
# **Predict:** one number times a mask, summed, divided by the mask's sum: what is the result?


# %%
def loss_at_first(logits, labels, weights):
    loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten())
    return (loss * weights).sum() / weights.sum()


# %% tags=["nbval-check-output"]
rng = torch.Generator().manual_seed(9)
weights = (torch.arange(10) < torch.randint(2, 11, (64, 1), generator=rng)).float()
labels = torch.randint(1, 1_000, (64, 10), generator=rng) * weights.long()
logits = torch.randn(64, 10, 1_000, generator=rng)
logits[..., 0] += 15 * (1 - weights)  # [PAD] is an easy guess where nothing is asked
masked = loss_at_first(logits, labels, weights)
unmasked = loss_at_first(logits, labels, torch.ones(64, 10))
print(
    f"{weights.mean():.1%} of the slots are real; loss {masked:.2f} nats, "
    f"with all weights 1: {unmasked:.2f} nats"
)
assert torch.isclose(masked, unmasked)

# %% [markdown]
# **The damage:** the model is trained on the empty slots, too, and here they make the loss look
# small. What is the loss of the slots that count? **Mend it:** one number. (Every row has at
# least one such slot.)


# %%
def real_slot_loss(logits, labels, weights):
    """The mean loss of the slots with weight 1, from [B, M, V], [B, M] and [B, M]."""
    # BEGIN SOLUTION
    losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    return (losses * weights.flatten()).sum() / weights.sum()
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.real_slot_loss(real_slot_loss)

# %% tags=["solution", "nbval-check-output"]
print(f"{real_slot_loss(logits, labels, weights):.2f} nats instead of {masked:.2f} nats")
assert real_slot_loss(logits, labels, weights) > 1.2 * masked

# %% [markdown] tags=["solution"]
# *What was wrong:* cross_entropy had taken the mean before the mask came. Multiplying the mean by
# 0 and 1 and dividing by how many ones there are gives the mean back.

# %% [markdown]
# **Published:** d2l-ai/d2l-en #2582. In dhlee347/pytorchic-bert #24 the weights are used and the
# sum is divided by all slots. **Remember:** change a logit that must not count; the loss must not
# move.
#
# ### Exhibit 18. A low loss at fifty per cent
#
# **Symptom.** "My loss of next sentence is very low, but the acc … is always near 50%", a reader
# writes. Each number is computed correctly, but not over the same pairs.
#
# **Predict:** the same loss object serves the words, where label 0 is padding, and the pairs. What
# does label 0 mean there?


# %%
def pair_loss_at_first(logits, labels):
    return F.cross_entropy(logits, labels, ignore_index=0)


def train_a_head(loss_of, steps=300):
    """A new head on BERT's [CLS] vectors of exhibit 9's pairs: losses, accuracies."""
    history, head = [], nn.Linear(pooled.shape[1], 2)
    labels = (~is_true).long()  # 0 = B follows A
    optimizer = torch.optim.Adam(head.parameters(), lr=0.01)
    for _ in range(steps):
        loss = loss_of(logits := head(pooled.clone()), labels)
        optimizer.zero_grad(), loss.backward(), optimizer.step()
        history.append((loss.item(), (logits.argmax(-1) == labels).float().mean().item()))
    return history


# %% tags=["nbval-check-output"]
torch.manual_seed(10)
runs = {"at first": train_a_head(pair_loss_at_first), "both classes": train_a_head(F.cross_entropy)}
for name, history in runs.items():
    print(f"{name:13} loss {history[-1][0]:.3f} nats, accuracy {history[-1][1]:.1%}")
assert runs["at first"][-1][0] < runs["both classes"][-1][0]  # the lower loss ...
assert runs["at first"][-1][1] < 0.6 < runs["both classes"][-1][1]  # ... the worse model

# %%
figure, (left, right_axes) = plt.subplots(1, 2, figsize=(7.5, 2.6))
plt.close(figure)
for (name, history), line in zip(runs.items(), ("--", "-"), strict=True):
    losses, accuracies = zip(*history, strict=True)
    left.plot(losses, line, label=name)
    right_axes.plot([100 * a for a in accuracies], line, label=name)
left.set(xlabel="step", ylabel="loss, nats", title="The loss")
right_axes.set(xlabel="step", ylabel="accuracy, %", title="The accuracy", ylim=(40, 102))
right_axes.legend(loc="center right")
figure

# %% [markdown]
# **The damage:** pairs of class 0 do not count, so a head that always says 1 has a loss near 0.
# **Mend it.**


# %%
def next_sentence_loss(logits, labels):
    """The mean loss of logits [N, 2], both classes counted."""
    # BEGIN SOLUTION
    return F.cross_entropy(logits, labels)
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.next_sentence_loss(next_sentence_loss)

# %% [markdown] tags=["solution"]
# *What was wrong:* `ignore_index=0` belongs to the words' loss. (And a batch with zeros only would
# be 0/0: nan.)

# %% [markdown]
# **Published:** codertimo/BERT-pytorch #32, #49 and #98. **Remember:** look at loss *and* accuracy:
# of the same pairs, a loss near 0 and an accuracy near chance cannot both be true. Test: a batch of
# one class alone has a finite, positive loss.
#
# ### Exhibit 19. Deeper: a loss that stops at 0.55
#
# **Symptom.** A classifier with three classes has an accuracy near 100 %{=given}, and its loss
# stops at
# 0.55.
#
# **Predict:** `cross_entropy` contains a softmax. What is the smallest loss, if the model's output
# is already a probability, at most 1?


# %%
def output_at_first(states, weight, bias):
    return F.linear(states, weight, bias).softmax(dim=-1)


# %% tags=["nbval-check-output"]
for C in (2, 3, 4, len(tokenizer)):
    perfect = torch.full((1, C), -20.0)
    perfect[0, 0] = 20.0  # certain, and right
    label = torch.tensor([0])
    once, again = (F.cross_entropy(x, label) for x in (perfect, perfect.softmax(-1)))
    print(f"{C:6,} classes: loss {once:.2f} nats with logits, {again:.3f} with probabilities")
    assert math.isclose(again, math.log(math.e + C - 1) - 1, abs_tol=1e-4)

# %% [markdown]
# **The damage:** the loss never comes near 0, while the accuracy, which needs only the largest
# number, looks good. **Mend it:** return the raw **logits**, that is, the output of the dense
# layer. (The check compares what `cross_entropy` makes of your answer, for every class. So a
# number that is added to all logits of one text does not count: `logits + 7` passes, and so does
# `log_softmax(logits)`, which adds such a number.)


# %%
def classifier_logits(states, weight, bias):
    """What goes into cross_entropy, from states [N, H], weight [C, H], bias [C]."""
    # BEGIN SOLUTION
    return F.linear(states, weight, bias)
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.classifier_logits(classifier_logits)

# %% [markdown] tags=["solution"]
# *What was wrong:* a softmax of a softmax. Keep logits everywhere; make probabilities for people
# only.

# %% [markdown]
# **Published:** lansinuote/Huggingface_Toturials #6, and ariecattan/SciCo #2, where the floor of
# 0.74 is worked out. **Remember:** know the smallest loss of your task and the loss of a blind
# guess (ln C), and check that a perfect answer reaches the first.
#
# ## Room 6: fine-tuning
#
# ### Exhibit 20. Deeper: no parameter without decay
#
# **Symptom.** The optimiser has two groups, with weight decay and without. Nobody has counted the
# parameters of the second.
#
# **Predict:** is `"…output.LayerNorm.weight"` in the list `["bias", "LayerNorm"]`?


# %%
def spared_at_first(names, parts):
    return [name for name in names if name in parts]


# %% tags=["nbval-check-output"]
names = [name for name, _ in bert.model.bert.named_parameters()]
spared = spared_at_first(names, ["bias", "LayerNorm"])
print(f"{len(spared)} of {len(names)} parameters are without decay")
assert spared == []
assert abs((1 - 1e-4 * 0.01) ** 10_000 - 0.99) < 1e-4  # what is left after 10,000 steps

# %% [markdown]
# **The damage:** biases and LayerNorm weights are pulled towards 0 as well, in every step by the
# learning rate times the decay: after 10,000 steps of 1e-4 with a decay of 0.01, by 1 %. **Mend
# it:** each name once, in any order.


# %%
def without_decay(names, parts):
    """The names that have one of the parts in them."""
    # BEGIN SOLUTION
    return [name for name in names if any(part in name for part in parts)]
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.without_decay(without_decay)

# %% tags=["solution", "nbval-check-output"]
number = len(without_decay(names, ["bias", "LayerNorm"]))
print(f"{number} of {len(names)} parameters are without decay")
L = bert.config.num_hidden_layers
assert len(without_decay(names, ["bias", "LayerNorm"])) == L * (6 + 4) + 2 + 1

# %% [markdown] tags=["solution"]
# *What was wrong:* `x in list` asks for an equal element; `part in name` asks for a part of a
# text. The count has a formula: six biases and two LayerNorms in each layer, one LayerNorm after
# the embeddings, one bias in the pooler.

# %% [markdown]
# **Published:** huggingface/transformers #33, mended in November 2018; copies still have the line.
# **Remember:** a group, a filter, a mask: print how many are in it.
#
# ### Exhibit 21. Deeper: two evaluations, two results
#
# **Symptom.** Two evaluations of one model on one file give two results. "I used `no_grad`", the
# author says.
#
# **Predict:** does `torch.no_grad()` switch dropout off?


# %%
def states_at_first(model, ids):
    with torch.no_grad():
        return model(ids).last_hidden_state


# %% tags=["nbval-check-output"]
torch.manual_seed(11)
ids = bert.encode("my dog is cute").input_ids[None]
encoder = bert.model.bert.train()  # as in the middle of training
for part in encoder.modules():
    if isinstance(part, nn.Dropout):
        part.p = 0.1  # BERT's own
first, second = states_at_first(encoder, ids), states_at_first(encoder, ids)
encoder.eval()
alike = F.cosine_similarity(first, second, dim=-1)
print(f"the same tokens twice: cosines {alike.min():.2f} to {alike.max():.2f}; each should be 1")
assert alike.max() < 0.9999

# %% [markdown]
# **The damage:** noise in the vectors, and so in comparisons of them. A course's page
# (d2l-ai/d2l-en, `bert-pretraining.md`; our own reading, not a report) compares a word's vectors
# in two sentences with dropout on. **Mend it**, so that training can go on afterwards as before.
# (`model(ids)` or its `last_hidden_state`: the check's model gives both.)


# %%
def sentence_states(model, ids):
    """model(ids) without dropout and without gradients; the model's mode is put back."""
    # BEGIN SOLUTION
    was_training = model.training
    model.eval()
    with torch.no_grad():
        states = model(ids)
    model.train(was_training)
    return states
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.sentence_states(sentence_states)

# %% [markdown] tags=["solution"]
# *What was wrong:* two switches were taken for one. `eval()` turns dropout off; `no_grad()` turns
# gradients off.

# %% [markdown]
# **Published:** huggingface/transformers #432 and many after it; in codertimo/BERT-pytorch #92 it
# is claimed that `no_grad` is enough. **Remember:** evaluate twice. If the results differ,
# something is still random.
#
# ### Exhibit 22. Deeper: two persons become nine
#
# **Symptom.** A tagger for names is good on familiar names and bad on rare ones, where it finds
# *too many*.
#
# **Predict:** a rare name splits into several pieces. Which label does each get?


# %%
def labels_at_first(labels, words):
    return [-100 if word is None else labels[word] for word in words]


# %% tags=["nbval-check-output"]
B_PERSON, OUTSIDE = 1, 0
sentence, word_labels = ["leibniz", "likes", "nebuchadnezzar"], [B_PERSON, OUTSIDE, B_PERSON]
pieces = [tokenizer.encode(word).tokens[1:-1] for word in sentence]
words = [None, *(i for i, split in enumerate(pieces) for _ in split), None]
given = labels_at_first(word_labels, words)
print("tokens ", *(piece for split in pieces for piece in split))
print("labels ", *given)
print(word_labels.count(B_PERSON), "persons became", given.count(B_PERSON))
assert given.count(B_PERSON) > word_labels.count(B_PERSON)

# %% [markdown]
# **The damage:** B means "a name *begins* here", so each piece is a person. **Mend it:** one label
# for each word, at its first piece; -100 everywhere else.


# %%
def piece_labels(labels, words):
    """A label for each token, from the words' labels and each token's word (None: special)."""
    # BEGIN SOLUTION
    before = [None, *words]
    return [
        -100 if word is None or word == last else labels[word]
        for last, word in zip(before, words, strict=False)
    ]
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.piece_labels(piece_labels)

# %% [markdown] tags=["solution"]
# *What was wrong:* a label of a *word* was copied to pieces, for which it is not true.

# %% [markdown]
# **Published:** chanzuckerberg/software-mention-extraction #2; labels that stand at the wrong
# tokens in google-research/bert #560 and #646. **Remember:** count the entities before and after
# tokenising.
#
# ### Exhibit 23. A vector that depends on the batch
#
# **Symptom.** A sentence has one vector when it is alone, and another when it shares a batch with a
# long sentence. The attention mask is correct.
#
# **Predict:** which vectors go into `states.mean(dim=1)`?


# %%
def vector_at_first(states, attention_mask):  # noqa: ARG001
    return states.mean(dim=1)


# %% tags=["nbval-check-output"]
alone = bert.encode("my dog is cute")
lengths, vectors = [len(alone), 8, 16, 32, 64, 128], []
with torch.inference_mode():
    for S in lengths:
        ids = F.pad(alone.input_ids, (0, S - len(alone)))[None]
        states = bert.model.bert(ids, attention_mask=(ids != 0).long()).last_hidden_state
        vectors.append(vector_at_first(states, ids != 0))
cosines = F.cosine_similarity(torch.cat(vectors), vectors[0]).tolist()
for S, cosine in zip(lengths, cosines, strict=True):
    print(f"padded to {S:3} tokens: cosine {cosine:.2f} to the sentence alone")
assert cosines[0] > 0.9999
assert cosines[-1] < 0.8

# %%
figure, axes = plt.subplots(figsize=(7.5, 2.4))
plt.close(figure)
axes.plot(lengths, cosines, "o-")
axes.set(xlabel="tokens of the row, padding included", ylabel="cosine", ylim=(0, 1.05))
axes.set_title("One sentence with more and more padding, compared with itself alone")
figure

# %% [markdown]
# **The damage:** a search engine may find a sentence in one batch and not in another. **Mend it.**


# %%
def mean_vector(states, attention_mask):
    """[B, H]: the mean of the real tokens' states [B, S, H]; mask [B, S], 1 = real."""
    # BEGIN SOLUTION
    mask = attention_mask[:, :, None]
    return (states * mask).sum(dim=1) / mask.sum(dim=1)
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.mean_vector(mean_vector)

# %% [markdown] tags=["solution"]
# *What was wrong:* the mask had kept padding out of the attention. But the padded positions have
# states of their own, and the mean took them in.

# %% [markdown]
# **Published:** huggingface/transformers #17463, autoliuweijie/BERT-whitening-pytorch #13.
# **Remember:** every step that looks across tokens needs the mask. Test: alone and in a batch, the
# same.
#
# ## Room 7: answers
#
# ### Exhibit 24. Deeper: a probability of 8.5
#
# **Symptom.** A program for questions shows how sure it is of its answer: 8.5.
#
# **Predict:** what is the largest value of a sum of two logits?


# %%
def score_at_first(start_logits, end_logits, start, end):
    return start_logits[start] + end_logits[end]


# %% tags=["nbval-check-output"]
start_logits, end_logits = torch.tensor([[1.0, 4.5, 0.5, 0.0], [0.0, 1.0, 4.0, 0.5]])
p_start, p_end = start_logits.softmax(-1), end_logits.softmax(-1)
print(f"the program shows {score_at_first(start_logits, end_logits, 1, 2):.1f}")
print(f"the first repair shows the mean, {(p_start[1] + p_end[2]) / 2:.3f}")
every_mean = (p_start[:, None] + p_end[None, :]) / 2
print(f"the means of all pairs sum to {every_mean.sum():.1f}; probabilities sum to 1")
assert every_mean.sum() > 1.5

# %% [markdown]
# **The damage:** nobody can read this number. The first repair, the mean of two probabilities,
# looks like a probability and is none: over all answers it does not sum to 1. **Mend it.** (You may
# draw start and end separately, from all positions, or together, from all legal spans.)


# %%
def span_probability(start_logits, end_logits, start, end):
    """The probability of the answer from `start` to `end`."""
    # BEGIN SOLUTION
    return start_logits.softmax(-1)[start] * end_logits.softmax(-1)[end]
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.span_probability(span_probability)

# %% [markdown] tags=["solution"]
# *What was wrong:* a score was called a probability, and then averaged. Both ends must be correct,
# so the probabilities are multiplied, as the reviewer of the repair wrote.

# %% [markdown]
# **Published:** allenai/allennlp #4465 and its repair, allennlp-models pull request #244.
# **Remember:** whatever you call a probability: sum it over everything that can happen.
#
# ### Exhibit 25. Deeper: an empty answer
#
# **Symptom.** For some questions a tutorial prints an empty answer.
#
# **Predict:** start and end are chosen separately. What can happen?


# %%
def span_at_first(start_logits, end_logits, context):  # noqa: ARG001
    return int(start_logits.argmax()), int(end_logits.argmax())


# %% tags=["nbval-check-output"]
tokens = ["[CLS]", "where", "?", "[SEP]", "in", "the", "park", "behind", "the", "school", "[SEP]"]
rng = torch.Generator().manual_seed(12)
backwards, in_question = 0, 0
for _ in range(1_000):
    start, end = span_at_first(*torch.randn(2, len(tokens), generator=rng), context=4)
    backwards += end < start
    in_question += start < 4
print(
    f"of 1,000 untrained answers {backwards} end before they begin; "
    f"{in_question} start in the question"
)
assert backwards > 300
assert in_question > 200

# %% [markdown]
# **The damage:** `tokens[5:3]` is empty, and Python does not complain. **Mend it**, but still
# allow answers of one token.


# %%
def best_span(start_logits, end_logits, context):
    """(start, end), start <= end, both from position `context` on, with the largest sum."""
    # BEGIN SOLUTION
    scores = start_logits[:, None] + end_logits[None, :]  # [S, S], rows start, columns end
    allowed = torch.ones_like(scores).triu().bool()
    allowed[:context] = False
    best = int(scores.masked_fill(~allowed, float("-inf")).argmax())
    return divmod(best, len(start_logits))
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.best_span(best_span)

# %% [markdown] tags=["solution"]
# *What was wrong:* two choices that belong together were made separately. `triu()` keeps the
# diagonal, where start and end are one token; `triu(1)`, proposed in a course, would throw it away.

# %% [markdown]
# **Published:** meta-pytorch/captum #684, huggingface/transformers #12254; the repair that breaks
# answers of one token in huggingface/course, pull request #613. **Remember:** an answer is never
# empty, and is a part of the text. Assert both.
#
# ### Exhibit 26. Deeper: more text, fewer answers
#
# **Symptom.** The longer the text, the more often the program says "no answer".
#
# **Predict:** a long text is read in windows, and every window has a score for holding *no* answer.
# Which of these numbers counts?


# %%
def answered_at_first(null_scores, best_span_score):
    return best_span_score >= max(null_scores)


# %% tags=["nbval-check-output"]
rng = random.Random(13)
for number in (1, 2, 4, 8):
    answered = sum(
        answered_at_first([rng.gauss(2, 2), *(rng.gauss(6, 2) for _ in range(number - 1))], 7.0)
        for _ in range(2_000)
    )
    print(f"windows with the answer: 1 of {number}; found in {answered / 2_000:5.1%} of the texts")
assert answered / 2_000 < 0.15

# %% [markdown]
# **The damage** (the scores are invented: windows without the answer have mostly higher scores
# for "no answer"): with each further window "no answer" is more likely to win. **Mend it.** (No
# two scores are equal.)


# %%
def has_answer(null_scores, best_span_score):
    """Whether the best span of all windows beats "no answer"; one null score a window."""
    # BEGIN SOLUTION
    return best_span_score >= min(null_scores)
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.has_answer(has_answer)

# %% [markdown] tags=["solution"]
# *What was wrong:* a comparison with the wrong sign, so a variable named after the minimum held the
# maximum. The text has no answer only if *every* window says so, also the least sure one.

# %% [markdown]
# **Published:** huggingface/notebooks #8. **Remember:** adding text that has nothing to do with the
# question must not take an answer away.
#
# ### Exhibit 27. Deeper: a question without an answer
#
# **Symptom.** One question is never answered, whichever model is used, although its answer stands
# in the text.
#
# **Predict:** windows of 114 tokens, the next one begins 128 tokens later. Which tokens does nobody
# read?


# %%
def windows_at_first(length, size, stride):
    return [(start, min(start + size, length)) for start in range(0, length, stride)]


# %% tags=["nbval-check-output"]
found = windows_at_first(157, 114, 128)
read = {token for start, end in found for token in range(start, end)}
print("windows, as (start, end):", *found)
print(157 - len(read), "tokens are in no window")
for meaning, step in {"step": 128, "overlap": 354 - 128}.items():
    starts = range(0, 1000 - 354 + step, step)
    print(f"1,000 tokens, windows of 354, 'stride 128' as {meaning}: {len(starts)} windows")
assert len(read) == 157 - 14

# %% [markdown]
# **The damage:** some tokens are never read. The word *stride* means a step to some and an overlap
# to others. **Mend it:** windows that cover everything, each but the last `size` tokens long and
# sharing `overlap` (less than `size`) tokens with the next. What fits into one window is one
# window.


# %%
def windows(length, size, overlap):
    """[(start, end), ...]: cover 0 to length, neighbours share `overlap`, no window too many."""
    # BEGIN SOLUTION
    found, start = [], 0
    while True:
        found.append((start, min(start + size, length)))
        if start + size >= length:
            return found
        start += size - overlap
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.windows(windows)

# %% tags=["solution"]
read = {token for start, end in windows(157, 114, 14) for token in range(start, end)}
assert len(read) == 157

# %% [markdown] tags=["solution"]
# *What was wrong:* the step was larger than the window.

# %% [markdown]
# **Published:** huggingface/transformers #2548; the two meanings in #18160 and pull request #22942.
# **Remember:** name a number after what it is (step, overlap). Test: the union of all windows is
# the text.
#
# ## Room 8: false alarms
#
# These claims about bugs were wrong. **Predict** for each: true or false? Then run the cells; their
# assertions decide.
#
# - *"Masking after the softmax is wrong, even if each row is divided by its sum afterwards."*
#   (abisee/pointer-generator #88; its author takes it back.)
# - *"Random replacement must have the probability 0.1, not 0.5."* (huggingface/transformers #1927,
#   #2858; exhibit 5.)
# - *"`no_grad` is enough for an evaluation."* (codertimo/BERT-pytorch #92; exhibit 21: here
#   somebody denied a bug that is one.)

# %%
shown = torch.arange(8) < 5
before = scores.masked_fill(~shown, float("-inf")).softmax(-1)
after = scores.softmax(-1) * shown
after /= after.sum(-1, keepdim=True)
assert torch.allclose(before, after, atol=1e-6)  # equal: the report was wrong

# %%
rest = 1 - 0.8
assert math.isclose(rest * 0.5, 0.1)  # half of the rest is a tenth of all: the report was wrong
dropout = nn.Dropout(0.5).train()
with torch.no_grad():
    assert not torch.equal(dropout(torch.ones(99)), torch.ones(99))  # it is not enough

# %% [markdown]
# A claim about code needs an assertion, too.
#
# ## Recap: the guide to the museum
#
# | symptom | look first at | the test that finds it |
# |:--|:--|:--|
# | the loss falls too well | masks (4, 6), pairs (10), losses (17, 18){=#} | count what is asked |
# | an accuracy near chance, or far *below* it | label conventions (9, 18) | reverse it (9){=#} |
# | the loss stops above 0 | double softmax (19), false negatives (8){=#} | feed a right answer |
# | results change from call to call | dropout (21), layers in `forward` (16){=#} | call twice |
# | results change with the batch | masks (14, 15), means (23){=#} | alone and in a batch |
# | near the original, not equal | LayerNorm (11), segments (12){=#} | compare part by part |
# | crashes on some inputs only | lengths (13){=#} | 511, 512, 513{=definition} |
# | rare words, other alphabets | pieces (22), offsets (3), words (1, 2){=#} | slice the original |
# | long texts have worse answers | windows (26, 27), spans (24, 25){=#} | add irrelevant text |
#
# **The answer:** Most of these mistakes give no error message, and a test of a few lines finds
# them, if it says what must be *true* and not what the code does.
#
# What you have done in the museum and in the whole course (kept on this machine only):

# %%
checks.board()

# %% [markdown]
# ## Test yourself
#
# Choose an answer: a click opens its explanation.
#
# **1. Your masked-LM loss falls much faster than in the paper, and there is no error message. What
# do you do first?**
#
# <details class="option"><summary>
# A. Use a higher learning rate, since training works so well.
# </summary>
#
# **No.** A loss that is too low may mean that the task is too easy.
#
# </details>
#
# <details class="option"><summary>
# B. Count the inputs: which tokens are masked, and which labels are counted?
# </summary>
#
# **Yes.** Exhibits 4 and 6 have this symptom. In both, most answers were easy.
#
# </details>
#
# <details class="option"><summary>C. Wait until the end of training.</summary>
#
# **No.** More training does not repair a wrong task, and costs time.
#
# </details>

# %% [markdown]
# **2. In BERT's next sentence prediction, what does column 1 of the two logits say?**
#
# <details class="option"><summary>A. B follows A.</summary>
#
# **No.** That is column 0. Whoever reads column 1 gets one minus the accuracy.
#
# </details>
#
# <details class="option"><summary>B. The pair is in the training text.</summary>
#
# **No.** No head of BERT says that.
#
# </details>
#
# <details class="option"><summary>C. B is random.</summary>
#
# **Yes.** The label is 0 for "B follows A" and 1 for "B is random", as in Google's code.
#
# </details>

# %% [markdown]
# **3. A sentence has another vector in a batch with a long sentence than alone. The attention mask
# is correct. Which step is wrong?**
#
# <details class="option"><summary>A. A mean over all positions, padding included.</summary>
#
# **Yes.** The padded positions have states of their own. The mean needs the mask, too.
#
# </details>
#
# <details class="option"><summary>B. The tokenizer.</summary>
#
# **No.** The tokens of the sentence are the same in both cases.
#
# </details>
#
# <details class="option"><summary>C. Dropout, which was left on.</summary>
#
# **No.** Then two calls would differ even without a batch. Here the length of the batch matters.
#
# </details>

# %% [markdown]
# ## Exercises
#
# ### Predict
#
# **1.** Of the twenty-seven exhibits, which would have been found by none of these three: "evaluate
# twice and compare", "alone and in a batch", "count what is asked"? Name at least five.

# %% [markdown] tags=["solution"]
# *A model answer.* For example 1 (a sum by hand), 2 (a switch), 3 (offsets), 9 (the column), 11
# (LayerNorm), 12 (segments), 19 (double softmax), 20 (weight decay), 24 to 27{=#}. Each needs
# something
# from outside: a reference, a formula, a border case.

# %% [markdown]
# ### Complete
#
# **2.** Choose three exhibits and write for each the test that it tells you to remember, as a
# function of the mend: it must pass for yours and fail for the function "at first".

# %% [markdown] tags=["solution"]
# *A model answer*, for exhibits 15, 17 and 27:

# %% tags=["solution"]
tests = {
    "rows sum to 1": lambda f: torch.allclose(f(scores[0], mask).sum(-1), torch.ones(4, 8)),
    "empty slots do not count": lambda f: torch.isclose(
        f(logits, labels, weights),
        f(logits + torch.arange(1_000) / 100 * (1 - weights[..., None]), labels, weights),
    ),
    "all is read": lambda f: {t for a, b in f(157, 114, 28) for t in range(a, b)} == {*range(157)},
}
mended = (attention_shares, real_slot_loss, windows)
ill = (shares_at_first, loss_at_first, lambda length, size, _: windows_at_first(length, size, 128))
assert all(test(good) for test, good in zip(tests.values(), mended, strict=True))
assert not any(test(bad) for test, bad in zip(tests.values(), ill, strict=True))

# %% [markdown]
# ### Build
#
# **3.** (Without a check.) Put an exhibit of your own into the museum: a mistake of yours, or one
# from the issues of a project that you use. Symptom, code in ten lines, damage as a number, mend,
# test. Is it a mistake, or only a deviation? How do you know?

# %% [markdown] tags=["solution"]
# *What makes a good exhibit:* the damage is a number that anybody can compute again. The mend
# changes that number and nothing else. And something outside the code (the paper, a formula, a
# reference implementation) says which of the two is correct. Without that it is a deviation.
