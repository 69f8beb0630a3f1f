# %% [markdown]
# # 12 · Fine-tuning in practice
#
# **Which settings make fine-tuning work, and how sure may one be of its answers?**
#
# Lessons 08 to 11 trained with settings that somebody had chosen for you. With your own data you
# choose them yourself.
#
# **Afterwards you can**
# - choose a learning rate from a picture, and recognize a run that fails;
# - freeze layers, or train a low-rank update, and say what each saves and costs;
# - cut long texts so that the answer is not cut away;
# - measure whether a model is as often right as it says, and correct it;
# - find the layer in which an answer becomes readable.
#
# **You need** lesson 08. No internet connection.
#
# **Time** about 60 minutes to work through; about a minute of CPU time.
#
# **In the paper** Devlin et al. 2019 (arXiv:1810.04805), appendix A.3.

# %%
import re
import textwrap
import time

import matplotlib.pyplot as plt
import numpy as np
import torch

import bertedu
from bertedu.classroom import checks
from bertedu.classroom.figures import COLORS, STYLE
from bertedu.data import HELD_OUT, SENTIMENT, SLOTS
from bertedu.finetuning import FinetuningRecipe, FinetuningRun, load, slot_filling
from bertedu.finetuning.adapters import add_lora
from bertedu.finetuning.classification import Classification, Example, read

# %% tags=["nbval-check-output"]
plt.style.use(STYLE)
bert = bertedu.load()
tokenizer = bert.tokenizer
print(bert)

# %% [markdown]
# ## 1. A small task
#
# The requests of lesson 09 have one of five intents. We take every fourth request of *train*, so
# that a run takes seconds.


# %% tags=["nbval-check-output"]
def requests(part):
    return [Example(one.text, one.intent) for one in slot_filling.read(SLOTS / part)]


train, dev, test = requests("train")[::4], requests("dev"), requests("test")
labels = sorted({example.label for example in train})
print(f"{len(train)} requests to learn from, {len(dev)} to choose by, {len(test)} to judge by")
print(*labels, sep=", ")
for label in labels:
    print(f"{label:11} {next(e.text for e in train if e.label == label)}")
assert all(sum(e.label == label for e in dev) == len(dev) / 5 for label in labels)

# %% [markdown]
# The five intents are equally frequent. So a model that does not read gets 20 % right, and the
# loss of a model that knows nothing is log 5 = 1.61 nats (lesson 08).
#
# ## 2. Watch a run that works, and one that fails
#
# A recipe holds the settings. In this one the learning rate is 3e-4, as in lesson 08. **Do not
# copy this to BERT-base**: the paper's are 2e-5 to 5e-5.
#
# **Predict** the accuracy on *dev* after 6 epochs, in percent, with the learning rate 3e-4, and
# with ten times that.


# %%
def recipe(rate=3e-4, **settings):
    return FinetuningRecipe(
        epochs=6, batch_size=16, learning_rate=rate, max_length=32, **settings)  # fmt: skip


def learn(run, epochs=6):
    """Loss of each step in nats, and the accuracy on dev after each epoch."""
    losses, scores = [], []
    for report in run:
        losses.append(report.loss)
        if report.metrics:
            scores.append(report.metrics["accuracy"])
            print(f"epoch {report.epoch + 1}: loss {np.mean(losses[-7:]):.2f} nats, "
                  f"accuracy on dev {scores[-1]:.0%}", flush=True)  # fmt: skip
            if len(scores) == epochs:
                break
    return losses, scores


# %%
works = FinetuningRun(Classification(), bert, train, dev, recipe=recipe())
print(f"{works.steps} steps, about {works.estimate():.0f} s on this machine")
works_losses, works_scores = learn(works)
tuned = works.finetuned  # the weights of its best epoch
del works  # the run had more of them in memory
assert works_scores[-1] > 0.65

# %%
print("the same examples and order; ten times the learning rate; three of the six epochs")
fails = FinetuningRun(Classification(), bert, train, dev, recipe=recipe(3e-3))
fails_losses, fails_scores = learn(fails, epochs=3)
assert fails_scores[-1] < 0.35
del fails
assert abs(np.mean(fails_losses[-7:]) - np.log(5)) < 0.15

# %%
figure, axes = plt.subplots(figsize=(7.5, 2.8))
axes.plot(works_losses, label="learning rate 3e-4")
axes.plot(fails_losses, "--", label="learning rate 3e-3")
axes.axhline(np.log(5), color=COLORS["ink"], linestyle=":", label="log 5: equal probabilities")
axes.set(xlabel="step", ylabel="loss, nats", ylim=(0, 2.2))
axes.set_title("A run that works, and one that fails")
legend = axes.legend(loc="lower left")

# %% [markdown]
# The second run does not learn slowly: it does not learn. Its loss stays at log 5, and its
# accuracy is that of one constant answer. A likely reason, not tested here: large first steps
# destroyed the pretrained weights.
#
# **When your run fails, look in this order:**
#
# 1. Is the *first* loss near log K? If not, the head or the labels are wrong (lesson 08).
# 2. Does the loss *stay* near log K? Take a third of the learning rate, and a warm-up.
# 3. Does the loss fall, and *dev* does not follow? There may be too few examples, or too many
#    epochs.
# 4. Repeat it with another seed before you believe a result, good or bad.
#
# ## 3. Learning rate, epochs and seeds in one picture
#
# Five learning rates, six epochs and three seeds take four to five minutes of CPU time together.
# The runs are **stored** (how many of the 60 *dev* requests were right after each epoch), and the
# run above was one of them. `repeat = True` computes all of them again.
#
# **Predict:** which of the rates 3e-5, 1e-4, 3e-4, 1e-3 and 3e-3 is best after six epochs? How far
# apart are the three seeds of the best one, in points?

# %%
repeat = False
stored = {  # learning rate: for each seed, correct answers of 60 after each epoch
    3e-5: [[12, 23, 25, 27, 30, 30], [12, 12, 11, 13, 16, 16], [17, 19, 21, 23, 27, 27]],
    1e-4: [[16, 33, 33, 39, 46, 46], [16, 23, 26, 34, 39, 39], [23, 33, 39, 44, 46, 46]],
    3e-4: [[17, 43, 48, 48, 49, 51], [26, 34, 45, 46, 46, 46], [41, 48, 49, 46, 47, 49]],
    1e-3: [[21, 39, 42, 45, 52, 51], [22, 32, 36, 42, 46, 45], [30, 45, 39, 44, 46, 48]],
    3e-3: [[12, 12, 12, 12, 12, 12], [12, 12, 12, 12, 12, 12], [12, 12, 12, 12, 12, 12]],
}

# %%
if repeat:
    for rate in stored:
        runs = (FinetuningRun(Classification(), bert, train, dev, recipe=recipe(rate, seed=seed))
                for seed in range(3))  # fmt: skip
        stored[rate] = [[round(len(dev) * score) for score in learn(one)[1]] for one in runs]
grid = np.array(list(stored.values())) / len(dev)  # [rates, seeds, epochs]


def power(rate):
    return f"{rate:.0e}".replace("e-0", "e-")  # 3e-4, as the text writes it


rates = [power(rate) for rate in stored]
assert abs(works_scores[-1] - grid[rates.index("3e-4"), 0, -1]) < 0.1, "the stored run differs"

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3.1), width_ratios=(1, 1.15))
for seed in range(3):
    left.plot(100 * grid[:, seed, -1], "o", color=COLORS["own"], alpha=0.6)
left.plot(100 * grid[:, :, -1].mean(1), color=COLORS["own"])
left.axhline(20, color=COLORS["ink"], linestyle="--", linewidth=1)
left.set_xticks(range(5), rates)
left.set(ylim=(0, 100), xlabel="learning rate (dashed: chance)", ylabel="accuracy on dev, %",
         title="After six epochs")  # fmt: skip
right.imshow(100 * grid.mean(1), cmap="Blues", vmin=0, vmax=100, aspect="auto")
for (row, epoch), score in np.ndenumerate(grid.mean(1)):
    right.text(epoch, row, f"{100 * score:.0f}", ha="center", va="center",
               color="white" if score > 0.7 else COLORS["ink"])  # fmt: skip
right.set_xticks(range(6), range(1, 7))
right.set_yticks(range(5), rates)
right.set(xlabel="epochs", ylabel="learning rate", title="Accuracy on dev, % (mean)")
right.grid(visible=False)

# %%
for rate, scores in zip(rates, 100 * grid[:, :, -1], strict=True):
    print(f"{rate:>7}: {scores.mean():.1f} % (seeds: {', '.join(f'{s:.0f}' for s in scores)})")
best = grid[:, :, -1].mean(1).argmax()
print(f"best: {rates[best]}; its seeds are {100 * np.ptp(grid[best, :, -1]):.0f} points apart")
assert rates[best] == "3e-4"
assert grid[-1, :, -1].max() == 0.2  # the highest rate: no seed learns
assert grid[0, :, -1].mean() < 0.5  # the lowest: six epochs are not enough
assert np.ptp(grid[best, :, -1]) > abs(grid[2, :, -1].mean() - grid[3, :, -1].mean())

# %% [markdown]
# Read the picture in three ways:
#
# - **Of the three, the rate matters most.** With the lowest, six epochs are not enough; with the
#   highest, nothing is learned. Try factors of three.
# - **More epochs helped the low rates.** They did not help the highest.
# - **Seeds differ.** A difference of a few points between two settings with one seed each says
#   nothing. Dodge et al. 2020 (arXiv:2002.06305) fine-tuned BERT-large hundreds of times on the
#   same data, and found that seeds alone decided between a good and a bad result.
#
# We chose by *dev*, among many runs. The best of many is partly lucky, so its accuracy on *dev*
# is likely to be too high. We report the accuracy on *test*, once:

# %%
on_test = np.mean([answer.label == example.label for answer, example in
                   zip(tuned.predict([e.text for e in test]), test, strict=True)])  # fmt: skip
print(f"accuracy on dev {max(works_scores):.1%}, on test {on_test:.1%}")
assert on_test > 0.6

# %% [markdown]
# ## 4. Freeze what need not learn
#
# `freeze_layers=n` keeps the embeddings and the n lowest layers as they are. Their gradients are
# not computed, which saves time. With all layers frozen (and without dropout) the outputs for a
# text never change. So one can compute them **once** and train the head alone.
#
# **Predict:** how many times faster is a step with all 6 layers frozen?

# %%
seconds = {}  # of CPU time, for three steps
for frozen in (0, 2, 4, 6):
    one = FinetuningRun(Classification(), bert, train, recipe=recipe(freeze_layers=frozen))
    began = time.process_time()
    one.estimate()
    seconds[frozen] = time.process_time() - began
faster = {frozen: seconds[0] / needed for frozen, needed in seconds.items()}
for frozen, times in faster.items():
    print(f"{frozen} layers frozen: {times:.1f} times as fast")
assert faster[6] > 1.2

# %% [markdown]
# What does it cost? Three seeds each, stored as above (accuracy on *dev* after six epochs):

# %%
frozen_runs = {  # layers frozen, learning rate: correct answers of 60
    (0, 3e-4): [51, 46, 49],
    (2, 3e-4): [50, 46, 51],
    (4, 3e-4): [47, 46, 49],
    (6, 3e-4): [27, 31, 29],
    (6, 3e-3): [44, 42, 47],
}
for (frozen, rate), found in frozen_runs.items():
    print(f"{frozen} layers frozen, rate {power(rate)}: {100 * np.mean(found) / 60:.1f} % on dev "
          f"(seeds: {', '.join(f'{100 * n / 60:.0f}' for n in found)})")  # fmt: skip
assert sum(frozen_runs[2, 3e-4]) > sum(frozen_runs[0, 3e-4]) - 6
assert sum(frozen_runs[6, 3e-4]) < sum(frozen_runs[4, 3e-4]) - 45
assert sum(frozen_runs[6, 3e-3]) > sum(frozen_runs[6, 3e-4]) + 30

# %% [markdown]
# Two or four frozen layers cost less than the seeds differ. With all six frozen, only the pooler
# and the head learn. Then the rate of section 2 is **too low**, and ten times that rate is
# better. So the best rate depends on what learns. The quick way is one pass over all texts, then
# only vectors:


# %%
@torch.inference_mode()
def outputs(encoder, texts):
    """The mean of the outputs of each layer [L + 1, N, H], padding left out."""
    parts = []
    for first in range(0, len(texts), 60):
        batch = bertedu.collate([tokenizer.encode(text) for text in texts[first : first + 60]])
        states = torch.stack(encoder(**batch, output_hidden_states=True).hidden_states)
        real = batch["attention_mask"][:, :, None]
        parts.append((states * real).sum(2) / real.sum(1))
    return torch.cat(parts, dim=1)


def fit(x, y, x_new):
    """Answers for x_new [M, H] of a ridge regression fitted to x [N, H] and classes y [N]."""
    mean, std = x.mean(0), x.std(0) + 1e-6
    x, x_new = (x - mean) / std, (x_new - mean) / std
    targets = torch.nn.functional.one_hot(y).float() - 1 / len(y.unique())
    penalty = len(x) * torch.eye(x.shape[1])
    return (x_new @ torch.linalg.solve(x.T @ x + penalty, x.T @ targets)).argmax(1)


# %%
began = time.perf_counter()
x_train, x_dev = (outputs(bert.model.bert, [e.text for e in part]) for part in (train, dev))
y_train, y_dev = (torch.tensor([labels.index(e.label) for e in part]) for part in (train, dev))
head_only = float((fit(x_train[-1], y_train, x_dev[-1]) == y_dev).float().mean())
print(f"frozen outputs and a linear head: accuracy on dev {head_only:.0%} "
      f"in {time.perf_counter() - began:.1f} s")  # fmt: skip
assert head_only > 0.6

# %% [markdown]
# Try this first. It is the number that fine-tuning must beat.
#
# ## 5. LoRA in 20 lines
#
# Fine-tuning changes all numbers of the model, so every task needs a copy of the model. **LoRA**
# (Hu et al. 2021, arXiv:2106.09685) leaves each matrix W as it is and learns a [**low-rank
# update**](../docs/glossary.md#using-it) beside it: W + (α / r) B A, where A has only r rows and
# B only r columns. At first B is zero, so the model starts unchanged.


# %%
class LowRank(torch.nn.Module):
    """A linear layer W x + b that stays, plus an update (alpha / r) B A x that learns."""

    def __init__(self, linear, rank, alpha):
        super().__init__()
        self.linear = linear.requires_grad_(False)
        self.A = torch.nn.Parameter(torch.randn(rank, linear.in_features) / rank)
        self.B = torch.nn.Parameter(torch.zeros(linear.out_features, rank))
        self.scale = alpha / rank

    def forward(self, x):
        return self.linear(x) + self.scale * (x @ self.A.T) @ self.B.T

    def merged(self):
        """The same as one plain matrix."""
        return self.linear.weight + self.scale * self.B @ self.A


# %% [markdown]
# **Predict:** how many numbers does an update of rank 8 learn for a matrix from 384 to 1,536
# numbers? (The matrix itself has 589,824.)

# %% tags=["nbval-check-output"]
# BEGIN SOLUTION
update_guessed = 15360
# END SOLUTION
dense = bert.model.bert.encoder.layer[0].intermediate.dense
lower = LowRank(torch.nn.Linear(384, 1536), rank=8, alpha=16)
learned = sum(p.numel() for p in lower.parameters() if p.requires_grad)
checks.guess(update_guessed, learned, "numbers")

# %%
lower = LowRank(torch.nn.Linear(dense.in_features, dense.out_features), rank=8, alpha=16)
x = torch.randn(5, dense.in_features)
assert torch.equal(lower(x), lower.linear(x))  # B is zero: it begins as what it was
torch.nn.init.normal_(lower.B)
merged = x @ lower.merged().T + lower.linear.bias
assert torch.allclose(lower(x), merged, atol=1e-3)
print(f"update beside W or merged: outputs differ by {(lower(x) - merged).abs().max():.0e} at most")

# %% [markdown]
# After training, the update can be added to W (*merged*): then the model is as fast as before.
# The library puts an update beside all matrices of all layers:

# %% tags=["nbval-check-output"]
whole = Classification(labels=tuple(labels)).head(bert.config)
total = sum(p.numel() for p in whole.parameters())
add_lora(whole, rank=8)
updates = sum(p.numel() for n, p in whole.named_parameters() if "lora_" in n)
del whole
print(f"{updates:,} of {total:,} numbers: {updates / total:.1%}; "
      f"in half precision {2 * updates / 1e6:.1f} MB, not {2 * total / 1e6:.0f} MB")  # fmt: skip
sides = {(384, 384): 4, (384, 1536): 1, (1536, 384): 1}  # of one layer: query, key, value, two more
assert updates == 6 * sum(8 * sum(shape) * count for shape, count in sides.items())

# %%
lora_runs = {  # learning rate: correct answers of 60 on dev after six epochs, rank 8, three seeds
    1e-3: [45, 45, 49],
    3e-3: [44, 50, 53],
}
for rate, found in lora_runs.items():
    print(f"rank 8, rate {power(rate)}: {100 * np.mean(found) / 60:.1f} % on dev "
          f"(seeds: {', '.join(f'{100 * n / 60:.0f}' for n in found)})")  # fmt: skip
assert sum(lora_runs[3e-3]) > sum(frozen_runs[0, 3e-4]) - 6  # as good as all numbers
assert sum(lora_runs[3e-3]) > sum(lora_runs[1e-3])

# %% [markdown]
# So an update of 1.5 % of the numbers reaches what all of them reach, as far as three seeds can
# show. The rate at which the whole model learned nothing (section 2) is the better of the two
# here. The four graduates of the course are such updates, small files on one base.
#
# ## 6. Texts that are too long
#
# BERT has 512{=paper} positions, and attention over so many is expensive. What does not fit is
# cut ([**truncation**](../docs/glossary.md#using-it)), and many programs cut the end without a
# warning. To see what this does we hide one clear sentence among six that say nothing good or
# bad: first, in the middle, or last. The limit is 34{=given} tokens; the texts have twice as many
# and more.

# %%
judge = load("sentiment")
clear = {"What a lovely film!": 1, "The film was far too long.": 0, "The food was delicious.": 1,
         "The soup was cold and had no taste.": 0, "Our room was clean and quiet.": 1,
         "Our room was dirty and smelled of smoke.": 0, "I really like this phone.": 1,
         "My new phone broke after two days.": 0, "I have never had a better pizza.": 1,
         "I will never eat here again.": 0, "We had a great time at the beach.": 1,
         "We had an awful time at the airport.": 0, "I passed my exam!": 1,
         "I failed the exam and cried all day.": 0, "My teacher explains everything so well.": 1,
         "The lesson was boring and nobody listened.": 0,
         "Thank you for the beautiful flowers.": 1,
         "Nobody said thank you for all my work.": 0}  # fmt: skip

# %%
topics = ("weather", "night_sky", "sea", "mathematics")
documents = [(HELD_OUT / f"{topic}.txt").read_text("utf-8") for topic in topics]
calm = [sentence.strip() for text in documents for sentence in re.findall(r"[^.!?]+[.!?]", text)]
rng = np.random.default_rng(0)
PLACES = {"first": 0, "middle": 3, "last": 6}
texts = {place: [] for place in PLACES}
for sentence in [*clear] * 2:
    others = list(rng.choice(calm, 6, replace=False))
    for place, k in PLACES.items():
        texts[place].append(" ".join([*others[:k], sentence, *others[k:]]))
lengths = [len(tokenizer.encode(text)) for of_place in texts.values() for text in of_place]
print(f"{min(lengths)} to {max(lengths)} tokens; the first text, with the sentence in the middle:")
print(textwrap.fill(texts["middle"][0], 78))
assert np.mean(lengths) > 2 * 34

# %% [markdown]
# Four ways to cut: the **head** (the first 32{=given} pieces), the **tail** (the last 32{=given}),
# **both ends** (16{=given} and 16{=given}), and overlapping **windows** over the whole text whose
# logits are averaged.
#
# **Predict** for each way where it works and where it is a coin.


# %%
def pieces(text, start, stop):
    """The part of a text from one piece to another."""
    offsets = tokenizer.encode(text).offsets[1:-1][start:stop]
    return text[offsets[0][0] : offsets[-1][1]]


def windows(text, size=32, step=16):
    count = len(tokenizer.encode(text)) - 2
    return [pieces(text, start, start + size) for start in range(0, count - step, step)]


def logits(texts, cut):
    """The mean logit of "positive" over the parts of each text."""
    parts = [cut(text) for text in texts]
    answers = judge.predict([part for of_one in parts for part in of_one])
    p = np.array([answer.probabilities["positive"] for answer in answers])
    owner = np.repeat(np.arange(len(parts)), [len(of_one) for of_one in parts])
    return np.bincount(owner, np.log(p / (1 - p))) / np.bincount(owner)


# %%
ways = {"head": lambda text: [pieces(text, 0, 32)],
        "tail": lambda text: [pieces(text, -32, None)],
        "both ends": lambda text: [f"{pieces(text, 0, 16)} {pieces(text, -16, None)}"],
        "windows": windows, "whole text": lambda text: [text]}  # fmt: skip

# %%
truth = np.array([*clear.values()] * 2, bool)
found_at = {way: {place: np.mean((logits(texts[place], cut) > 0) == truth) for place in PLACES}
            for way, cut in ways.items()}  # fmt: skip
print(f"{'the sentence stands':20}" + "".join(f"{place:>9}" for place in PLACES))
for way, shares in found_at.items():
    print(f"{way:20}" + "".join(f"{share:9.0%}" for share in shares.values()))
assert found_at["head"]["first"] > found_at["head"]["last"] + 0.15
assert found_at["tail"]["last"] > found_at["tail"]["first"] + 0.15
worst = {way: min(shares.values()) for way, shares in found_at.items()}
assert worst["windows"] > max(worst[way] for way in ("head", "tail", "both ends")) + 0.05

# %% [markdown]
# Head and tail are no better than a coin where the sentence was cut away, and the answer does not
# say so. Sun et al. 2019 (arXiv:1905.05583) found head and tail together best for film reviews.
# Here windows have the best worst case of the four. Lesson 11 uses them for questions on a
# document. Even with the whole text about a fifth of the answers are wrong.
#
# ## 7. Is it as often right as it says?
#
# A model that is sure to 90 %{=given} should be right in nine of ten such cases
# ([**calibration**](../docs/glossary.md#using-it)). The graduate of lesson 08 has never seen the
# 600 sentences of the course; many of them say *a wet raincoat*, not *bad*. How sure is it, and
# how often is it right?
#
# **Predict** both, in percent.

# %%
sentences = [e for part in ("train", "dev", "test") for e in read(SENTIMENT / f"{part}.tsv")]
p = np.array([a.probabilities["positive"] for a in judge.predict([e.text for e in sentences])])
positive = np.array([e.label == "1" for e in sentences])
assert len(sentences) == 600
confidence, correct = np.maximum(p, 1 - p), (p > 0.5) == positive
print(f"mean probability of its answers {confidence.mean():.1%}, accuracy {correct.mean():.1%}")
assert confidence.mean() > correct.mean() + 0.1

# %% [markdown]
# It is **overconfident**. The remedy with one number is a
# [**temperature**](../docs/glossary.md#using-it) (Guo et al. 2017, arXiv:1706.04599): divide all
# logits by T before the softmax. No answer changes, only how sure it
# is. We choose T on half of the sentences, and look at the other half.


# %%
def scaled(p, temperature):
    return 1 / (1 + np.exp(-np.log(p / (1 - p)) / temperature))


def nats(p, positive):
    return -np.log(np.where(positive, p, 1 - p)).mean()


half = np.arange(len(p)) % 2 == 0
temperatures = np.arange(1, 8, 0.25)
T = min(temperatures, key=lambda t: nats(scaled(p[half], t), positive[half]))
before, afterwards = p[~half], scaled(p[~half], T)
print(f"T = {T:.2f}; loss on the other half {nats(before, positive[~half]):.2f} nats before, "
      f"{nats(afterwards, positive[~half]):.2f} after")  # fmt: skip
assert T > 1.5
assert nats(afterwards, positive[~half]) < nats(before, positive[~half]) - 0.1


# %%
def reliability(p, positive):
    """For each bin of confidence: its mean, the accuracy, and how many answers it has."""
    sure, is_right = np.maximum(p, 1 - p), (p > 0.5) == positive
    bins = np.minimum(((sure - 0.5) / 0.1).astype(int), 4)
    return np.array([(sure[bins == b].mean(), is_right[bins == b].mean(), (bins == b).sum())
                     for b in range(5) if (bins == b).any()])  # fmt: skip


# %%
figure, panels = plt.subplots(1, 2, figsize=(7.5, 3.2), sharey=True)
for axes, numbers, title in zip(panels, (before, afterwards), ("As it is", f"T = {T:.2f}"),
                                strict=True):  # fmt: skip
    table = reliability(numbers, positive[~half])
    error = np.average(np.abs(table[:, 0] - table[:, 1]), weights=table[:, 2])
    axes.plot([50, 100], [50, 100], color=COLORS["ink"], linestyle="--", linewidth=1)
    axes.bar(100 * table[:, 0], 100 * table[:, 1], width=5)
    axes.set(xlim=(47, 103), ylim=(0, 105), xlabel="confidence, % (dashed: calibrated)")
    axes.set_title(f"{title}: error {100 * error:.0f} points")
    print(f"{title}: expected calibration error {100 * error:.1f} points")
panels[0].set(ylabel="accuracy, %")
assert error < 0.12

# %% [markdown]
# *Confidence* is the probability of the answer. The *expected calibration error* is the mean
# distance of the bars from the dashed line, weighted by how many answers are in each. With T the
# model is right exactly as often as before. T was chosen on **these** sentences; for others
# another T may fit. Calibrate on data like those to come.
#
# ## 8. In which layer can one read the answer?
#
# A probe (lesson 07) on each layer's outputs: the head of section 4, for positive or negative. We
# probe the pretrained encoder and the graduate's.
#
# **Predict:** where does the graduate's curve rise, and where are the two equal?

# %%
parts = [read(SENTIMENT / f"{part}.tsv") for part in ("train", "test")]
y_learn, y_judge = (torch.tensor([int(e.label) for e in part]) for part in parts)
assert len(y_judge) == 120
curves = {}
print("accuracy on test: embeddings, layers 1 to 6")
for name, encoder in {"pretrained": bert.model.bert, "graduate": judge.model.bert}.items():
    x_learn, x_judge = (outputs(encoder, [e.text for e in part]) for part in parts)
    curves[name] = [float((fit(a, y_learn, b) == y_judge).float().mean())
                    for a, b in zip(x_learn, x_judge, strict=True)]  # fmt: skip
    print(f"{name:10} " + " ".join(f"{share:.0%}" for share in curves[name]))
assert curves["pretrained"][0] == curves["graduate"][0]  # the same embeddings
assert np.mean(curves["graduate"][2:]) > np.mean(curves["pretrained"][2:]) + 0.03

# %%
figure, axes = plt.subplots(figsize=(7.5, 2.8))
for (name, shares), marker in zip(curves.items(), "os", strict=True):
    axes.plot([100 * share for share in shares], f"{marker}-", label=name)
axes.axhline(50, color=COLORS["ink"], linestyle="--", linewidth=1)
axes.set_xticks(range(7), ["embeddings", *(f"layer {i}" for i in range(1, 7))])
axes.set(ylim=(40, 90), ylabel="accuracy on test, %",
         title="A probe on the outputs of each layer (dashed: chance)")  # fmt: skip
legend = axes.legend(loc="upper left")

# %% [markdown]
# The pretrained encoder's curve is nearly flat: the mean of the embeddings (a bag of words) is
# about as good as any layer. The graduate's is higher from layer 2 on: after fine-tuning,
# *positive or negative* is easier to read there, up to the top. With 120 test sentences,
# differences of a few points mean nothing (lesson 08). Look at the distance of the two curves.
#
# ## Recap
#
# - Choose the learning rate first, in factors of three; look at the loss beside log K.
# - Compare settings over several seeds; choose by *dev*; report *test* once.
# - Frozen outputs and a linear head give the number to beat.
# - LoRA learns 1.5 % of the numbers, beside the matrices; here it needed a higher rate.
# - What is cut cannot be read: look where the answer stands before you choose head, tail or
#   windows.
# - A probability must be measured, too. One temperature corrects it, for data of one kind.
#
# **The answer:** Of the settings tried, the learning rate matters most, and seeds still differ by
# points; one may be as sure of an answer as a reliability diagram on similar texts shows.

# %% [markdown]
# ## Test yourself
#
# Choose an answer: a click opens its explanation.
#
# **1. The loss of a new run on 5 classes stays near 1.6 nats for two epochs. What do you change
# first?**
#
# <details class="option"><summary>A. The number of epochs: it needs more time.</summary>
#
# **No.** 1.6 nats are log 5: the model knows nothing. A low rate shows a slow fall. In section 3
# more epochs did not help the rate that was too high.
#
# </details>
#
# <details class="option"><summary>B. The learning rate: a third of it.</summary>
#
# **Yes.** A rate that is too high is a likely cause. Then look at the labels.
#
# </details>
#
# <details class="option"><summary>C. The size of the model: a larger one learns more.</summary>
#
# **No.** The loss says that nothing was learned, not that the model is too small.
#
# </details>

# %% [markdown]
# **2. What does LoRA save?**
#
# <details class="option"><summary>
# A. Numbers to learn and to store for each task; not the time of an answer.
# </summary>
#
# **Yes.** The update has a few percent of the numbers. Merged, the model is as fast as before, not
# faster.
#
# </details>
#
# <details class="option"><summary>
# B. Time when the model answers: its matrices are smaller.
# </summary>
#
# **No.** W is still there, whole. The product B A is added to it.
#
# </details>
#
# <details class="option"><summary>C. The forward pass through the frozen layers.</summary>
#
# **No.** All layers are computed in every step. Only with frozen layers, and no update in them, can
# their outputs be computed once.
#
# </details>

# %% [markdown]
# **3. A classifier gives its answers a mean probability of 96 %; its accuracy is 74 %. You divide
# its logits by T = 3. What changes?**
#
# <details class="option"><summary>A. Both: the probability falls, and the accuracy rises.</summary>
#
# **No.** The order of the classes stays the same, so every answer stays the same.
#
# </details>
#
# <details class="option"><summary>B. How sure it is. Its answers stay the same.</summary>
#
# **Yes.** Its probabilities come nearer to its accuracy, on data like those that T was chosen by.
#
# </details>
#
# <details class="option"><summary>C. Nothing: softmax takes out a common factor.</summary>
#
# **No.** Softmax takes out a common *summand*. A factor makes it sharper or flatter.
#
# </details>

# %% [markdown]
# ## Exercises
#
# Replace each `...` by your answer, and run the cell and the next one. `checks.NAME.hint()` gives a
# hint, and then a second one.

# %% [markdown]
# ### Predict
#
# **1.** How many steps do 6 epochs over 105 examples take, in batches of 16?

# %%
# BEGIN SOLUTION
steps = 42
# END SOLUTION

# %% tags=["nbval-check-output"]
checks.steps_of_a_run(steps)

# %% [markdown] tags=["solution"]
# *Why:* 105 = 6 · 16 + 9, so an epoch has seven batches, and each is a step: 6 · 7 = 42.

# %% [markdown]
# **2.** How many numbers has an update of rank 16, for a matrix from 768 to 3,072 numbers?

# %%
# BEGIN SOLUTION
in_update = 61440
# END SOLUTION

# %% tags=["nbval-check-output"]
checks.numbers_in_update(in_update)

# %% [markdown] tags=["solution"]
# *Why:* A has 16 rows of 768, B 3,072 rows of 16: 16 · (768 + 3,072). The matrix itself
# has 768 · 3,072 = 2,359,296.

# %% [markdown]
# ### Complete
#
# **3.** Choose a setting: `scores` has for each learning rate the accuracies of its seeds. Return
# the rate that is best on average.


# %%
def best_rate(scores):
    # BEGIN SOLUTION
    return max(scores, key=lambda rate: sum(scores[rate]) / len(scores[rate]))
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.best_rate(best_rate)

# %% [markdown] tags=["solution"]
# *Why:* the mean of the seeds. The best single run may be luck, and luck does not repeat itself.

# %% [markdown]
# **4.** Merge an update: `W` [out, in], `A` [r, in], `B` [out, r], and `alpha`.


# %%
def merged_weight(W, A, B, alpha):
    # BEGIN SOLUTION
    return W + alpha / len(A) * B @ A
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.merged_weight(merged_weight)

# %% [markdown] tags=["solution"]
# *Why:* (W + s B A) x = W x + s B (A x), for every x. So the merged matrix computes the same in one
# product.

# %% [markdown]
# ### Build
#
# **5.** Windows over a text of `count` pieces: each has `size` pieces, and a new one begins every
# `step`. The first that reaches the end is the last one, and it ends at `count`. Return (start,
# stop) of each.


# %%
def window_places(count, size, step):
    # BEGIN SOLUTION
    places = []
    for start in range(0, count, step):
        places.append((start, min(start + size, count)))
        if start + size >= count:
            break
    return places
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.window_places(window_places)

# %% [markdown] tags=["solution"]
# *Why:* every piece is in a window, and none is read after the end is reached. A text that fits is
# one window.

# %% [markdown]
# **6.** The expected calibration error: `confidence` [N] and `correct` [N] (true or false) of N
# answers, and the number of `bins`, of equal width from 0 to 1. Weigh each bin by its answers.


# %%
def calibration_error(confidence, correct, bins):
    # BEGIN SOLUTION
    place = (confidence * bins).astype(int)
    gaps = [abs((confidence - correct)[place == b].sum()) for b in range(bins)]
    return sum(gaps) / len(confidence)
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.calibration_error(calibration_error)

# %% tags=["solution"]
for name, p_of in {"as it is": before, "with T": afterwards}.items():
    sure, is_right = np.maximum(p_of, 1 - p_of), (p_of > 0.5) == positive[~half]
    print(f"{name}: {100 * calibration_error(sure, is_right, 10):.1f} points")

# %% [markdown] tags=["solution"]
# *Why:* the number of answers times the distance of the means is the distance of the sums.

# %% [markdown]
# **7.** (Without a check.) A colleague writes: "LoRA is 1.2 points better than full fine-tuning on
# our data. We used the same learning rate for both, to be fair." What do you ask?

# %% [markdown] tags=["solution"]
# *A model answer.* The same rate is not fair: in section 5 LoRA needed a higher one. Each method
# should have its own rate, chosen by *dev*. How many seeds for each? Is the difference larger
# than that between seeds? Were *test* sentences used once, for both, in pairs?
