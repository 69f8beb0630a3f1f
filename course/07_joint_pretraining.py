# %% [markdown]
# # 07 · Both learned at once
#
# **What happens while BERT learns both tasks at once?**
#
# BERT learns the tasks of lessons 02 and 03 **in the same step, from the same rows of text**: this
# is its [**pretraining**](../docs/glossary.md#pretraining). You add the two losses, watch a small
# BERT learn from random weights, and measure what this learning is useful for.
#
# **Afterwards you can**
# - write down, position by position, what BERT must answer in one training example;
# - compute the joint loss by hand, and say which weights learn from which part of it;
# - judge a training run by its baselines;
# - show with a probe what pretraining gives.
#
# **You need** lessons 02, 03 and 06. No internet connection.
#
# **Time** about 60 minutes to work through; about one minute of CPU time.
#
# **In the paper** Devlin et al. 2019 (arXiv:1810.04805), §3.1 and appendix A.2.

# %% tags=["nbval-check-output"]
import math

import matplotlib.pyplot as plt
import numpy as np
import torch

import bertedu
from bertedu.classroom import checks
from bertedu.classroom.figures import COLORS, STYLE, token_chips
from bertedu.heads import IS_NEXT

plt.style.use(STYLE)
bert = bertedu.load()
tokenizer = bert.tokenizer
print(bert)

# %% [markdown]
# ## 1. One row, three questions
#
# The lecture notes' example has two hidden words (we add the full stops):
#
# `[CLS] calculus is a [MASK] of math [SEP] it [MASK] developed by newton and leibniz [SEP]`
#
# The notes give the answers **false, branch, was**. *Branch* and *was* are the hidden words.
# *False* is a mistake if the question is "does B follow A?". It is correct if the question is "is B
# random?" (lesson 03). For the loss only Google's number counts: **0**, B follows.
#
# **Predict:** at which positions does BERT give the three answers?

# %%
notes = "calculus is a [MASK] of math.", "it [MASK] developed by newton and leibniz."
pair = tokenizer.encode(*notes)
token_chips(pair.tokens, pair.input_ids.tolist(), segments=pair.token_type_ids.tolist())

# %% tags=["nbval-check-output"]
hidden = (pair.input_ids == tokenizer.mask_token_id).nonzero()[:, 0]
labels = torch.full_like(pair.input_ids, -100)
labels[hidden] = torch.tensor([tokenizer.vocab[word] for word in ("branch", "was")])
print(f"position 0, [CLS]: next_sentence_label {IS_NEXT}, B follows A")
for position, token in enumerate(pair.tokens):
    asked = int(labels[position])
    answer = "-" if asked == -100 else tokenizer.tokens[asked]
    print(f"{position:3} {token:10} segment {pair.token_type_ids[position]}   {asked:5} {answer}")
assert [tokenizer.tokens[i] for i in labels[labels != -100]] == ["branch", "was"]
assert (len(pair), pair.tokens[15:18]) == (20, ["lei", "##bn", "##iz"])

# %% [markdown]
# BERT must answer at three of 20{=pair} places. (*Leibniz* is three pieces.)
#
# ## 2. The model's answers
#
# **Predict** its first guess for each `[MASK]`: `{"is a …": "…", "it …": "…"}`.

# %%
# BEGIN SOLUTION
words_guessed = {"is a …": "kind", "it …": "was"}
# END SOLUTION
first, second = bert.fill_mask(*notes, top_k=6)
checks.guess(words_guessed, {"is a …": first[0].token, "it …": second[0].token})

# %%
is_random = 1 - bert.next_sentence(*notes)
for question, p in {"does B follow A?": 1 - is_random, "is B random?": is_random}.items():
    print(f"{question:16} {'true' if p > 0.5 else 'false':5} ({p:.1%})")
for guesses in (first, second):
    print(*(f"{guess.token} {guess.probability:.1%}" for guess in guesses), sep=", ")

# %%
figure, both = plt.subplots(1, 2, figsize=(7.5, 3))
for axes, guesses, truth in zip(both, (first, second), ("branch", "was"), strict=True):
    colors = [COLORS["right" if guess.token == truth else "own"] for guess in guesses]
    bars = axes.barh([g.token for g in guesses], [g.probability for g in guesses], color=colors)
    marked = [f"{g.probability:.1%}{' ✓' * (g.token == truth)}" for g in guesses]
    axes.bar_label(bars, marked, padding=3, fontsize=9)
    axes.set(xlim=(0, 1.3 * guesses[0].probability), xticks=[], title=f"the true word: {truth}")
    axes.invert_yaxis()
assert [guess.token for guess in second[:2]] == ["was", "is"]
assert second[0].probability > 0.8
assert "branch" in {guess.token for guess in first[1:6]}
assert is_random < 0.15

# %% [markdown]
# The answer for the pair is correct, and *was* comes first, with nine tenths of the probability.
# *Branch* is the fourth guess, after *kind*, *study* and *way*, which fit the grammar as well. The
# model is small, and has read 54 million tokens after its start (see its card in
# `bertedu/checkpoints`); BERT read hundreds of times as much.
#
# ## 3. The joint loss
#
# The [**loss**](../docs/glossary.md#pretraining) of the row is the **sum of two means**: the mean
# of -log p over the chosen tokens, plus the mean of -log p over the pairs (appendix A.2).
#
# **Predict:** which of the two will be larger here?

# %%
batch = bertedu.collate([pair])
with torch.inference_mode():
    logits = bert.model(**batch)
log_p = logits.prediction_logits.log_softmax(dim=-1)[0]  # [S, V]
by_hand = -log_p[hidden, labels[hidden]]  # -log p(branch), -log p(was)
pair_by_hand = -logits.seq_relationship_logits.log_softmax(dim=-1)[0, IS_NEXT]
print("branch {:.2f} nats, was {:.2f} nats".format(*by_hand.tolist()))
print(f"masked words, the mean: {by_hand.mean():.2f}    next sentence: {pair_by_hand:.2f}")
print(f"joint loss: {by_hand.mean() + pair_by_hand:.2f}")

# %%
targets = {"labels": labels[None], "next_sentence_label": torch.tensor([IS_NEXT])}
with torch.inference_mode():
    by_model = bert.model(**batch, **targets)
assert torch.allclose(by_model.mlm_loss, by_hand.mean(), atol=1e-4)
assert torch.allclose(by_model.nsp_loss, pair_by_hand, atol=1e-4)
assert torch.allclose(by_model.loss, by_model.mlm_loss + by_model.nsp_loss)

# %% [markdown]
# **Which part learns from which loss?** Take the [**gradient**](../docs/glossary.md#pretraining) of
# each loss by itself, and compute its length in each part of the model. A part with gradient 0
# learns nothing.
#
# **Predict:** which parts learn nothing from the words, and which nothing from the pairs?


# %%
def gradient_lengths(loss):
    named = dict(bert.model.named_parameters())
    gradients = torch.autograd.grad(loss, named.values(), retain_graph=True, allow_unused=True)
    lengths = dict.fromkeys(parts.values(), 0.0)
    for name, gradient in zip(named, gradients, strict=True):
        part = next(part for prefix, part in parts.items() if name.startswith(prefix))
        lengths[part] += 0.0 if gradient is None else float(gradient.square().sum())
    return {part: length**0.5 for part, length in lengths.items()}


parts = {"bert.embeddings": "embeddings", "bert.encoder": "encoder", "bert.pooler": "pooler",
         "cls.predictions": "masked-word head", "cls.seq": "next-sentence head"}  # fmt: skip
output = bert.model(**batch, **targets)
from_words, from_pairs = gradient_lengths(output.mlm_loss), gradient_lengths(output.nsp_loss)

# %%
print("length of the gradient   masked words   next sentence")
for part in parts.values():
    print(f"{part:22}{from_words[part]:15.3f}{from_pairs[part]:16.3f}")

# %%
assert from_words["pooler"] == from_words["next-sentence head"] == 0
assert from_pairs["masked-word head"] == 0
for part in ("embeddings", "encoder"):
    assert from_words[part] > 0
    assert from_pairs[part] > 0

# %% [markdown]
# Each head learns from its own task. The **encoder and the embeddings learn from both**: this is
# [**multi-task learning**](../docs/glossary.md#pretraining). The pooler on top of `[CLS]` learns
# only from next sentence prediction.
#
# ## 4. A small BERT learns from nothing
#
# The model has 2 layers of 128{=num_hidden_layers} instead of 12 of 768{=paper}, and reads
# 204{=train} short documents instead of 3.3 billion{=paper} words. Its vocabulary has only the
# tokens of this text and single characters, so it is fast.

# %% tags=["nbval-check-output"]
import string

from bertedu.data import TRAIN
from bertedu.tokenizer import SPECIAL_TOKENS

texts = [path.read_text("utf-8") for path in sorted(TRAIN.glob("*.txt"))]
seen = {tokenizer.tokens[i] for ids in tokenizer.ids_batch(texts) for i in ids}
seen |= set(string.ascii_lowercase + string.digits + string.punctuation)
seen |= {"##" + c for c in string.ascii_lowercase + string.digits}
small = bertedu.BertTokenizer([*SPECIAL_TOKENS, *sorted(seen - set(SPECIAL_TOKENS))])
print(f"{len(small):,} tokens in the vocabulary, instead of {len(tokenizer):,}")

# %% tags=["nbval-check-output"]
import tempfile

from bertedu.data import HELD_OUT
from bertedu.pretraining.corpus import Corpus

folder = tempfile.TemporaryDirectory()
train, held_out = (
    Corpus.build([str(text)], small, f"{folder.name}/{text.name}", progress=False)
    for text in (TRAIN, HELD_OUT)
)
print(f"train: {train}\nheld out: {held_out}")

# %% [markdown]
# **The recipe.** As in the paper, the [**learning rate**](../docs/glossary.md#pretraining) rises
# for some steps, the [**warm-up**](../docs/glossary.md#pretraining), and then falls to 0. Some
# things differ, for a short run on little text:
#
# - a batch has as many rows as fit into 1,536 tokens;
# - the learning rate is larger, and there is no dropout;
# - 30 %{=recipe} of the tokens are chosen instead of 15{=paper}, so each row asks twice as many
#   questions;
# - half of the pairs are cut to a random shorter length, not a tenth, so a batch has more of them;
# - the weights are pulled more strongly towards 0 (`weight_decay`).
#
# The test uses the paper's shares, on [**held-out**](../docs/glossary.md#pretraining) documents.

# %%
import itertools

from bertedu import pretraining
from bertedu.pretraining import PretrainingData, Recipe
from bertedu.pretraining.masking import MaskingRule

recipe = Recipe(
    steps=400, max_length=80, tokens_per_batch=1536, learning_rate=2e-3, warmup_steps=50,
    short_share=0.5, weight_decay=0.5, masking=MaskingRule(rate=0.3), mlm_only=False)  # fmt: skip
as_in_test = Recipe(steps=1, max_length=80, mlm_only=False)
test_batches = list(itertools.islice(PretrainingData(held_out, small, as_in_test).batches(), 16))
pairs = sum(len(batch["next_sentence_label"]) for batch in test_batches)
print(f"{recipe.steps:,} training steps; the test has {pairs} held-out pairs, always the same")

# %% [markdown]
# **The baselines.** A loss means something only when it is compared with that of a simple method, a
# [**baseline**](../docs/glossary.md#pretraining):
#
# - *masked words*: the method knows only how often each token occurs in the training text
#   ([**unigram**](../docs/glossary.md#pretraining));
# - *next sentence*: the method guesses by chance, **ln 2** = 0.69 nats; or it knows the two
#   *lengths* (lesson 03).


# %%
def lengths_and_labels(batches):
    lengths, labels = [], []
    for batch in batches:
        b = batch["token_type_ids"].sum(dim=1)
        lengths.append(torch.stack([batch["attention_mask"].sum(dim=1) - b, b], dim=1))
        labels.append(batch["next_sentence_label"])
    return (torch.cat(lengths) - 30) / 15, torch.cat(labels)  # [N, 2], about -2 to 2; [N]


# %%
train_batches = itertools.islice(PretrainingData(train, small, as_in_test).batches(), 120)
x, y = lengths_and_labels(train_batches)
test_lengths, test_labels = lengths_and_labels(test_batches)
torch.manual_seed(0)
counter = torch.nn.Sequential(torch.nn.Linear(2, 16), torch.nn.Tanh(), torch.nn.Linear(16, 2))
optimizer = torch.optim.Adam(counter.parameters(), lr=0.02)
for _ in range(300):
    torch.nn.functional.cross_entropy(counter(x), y).backward()
    optimizer.step()
    optimizer.zero_grad()

# %%
with torch.inference_mode():
    lengths_loss = float(torch.nn.functional.cross_entropy(counter(test_lengths), test_labels))
unigrams = pretraining.unigram_log_probs(train, len(small))
torch.manual_seed(0)
config = bertedu.BertConfig(
    vocab_size=len(small), hidden_size=128, num_hidden_layers=2, num_attention_heads=8,
    intermediate_size=512, max_position_embeddings=128, initializer_range=0.05,
    hidden_dropout_prob=0, attention_probs_dropout_prob=0)  # fmt: skip
tiny = bertedu.Bert(bertedu.BertForPreTraining(config), small)

# %%
untrained = pretraining.evaluate(tiny.model, test_batches, unigrams)
print(
    f"masked words: unigram {untrained.unigram_loss:.2f}, untrained {untrained.mlm_loss:.2f} nats"
)
print(f"next sentence: chance {math.log(2):.2f}, lengths {lengths_loss:.2f}, "
      f"untrained {untrained.nsp_loss:.2f} nats")  # fmt: skip

# %%
pretraining.set_token_frequencies(tiny.model, unigrams)  # explained below
start = pretraining.evaluate(tiny.model, test_batches, unigrams)
assert abs(untrained.mlm_loss - math.log(len(small))) < 0.5
assert abs(start.mlm_loss - start.unigram_loss) < 0.25, "first run the cell that makes `tiny` again"
assert lengths_loss < math.log(2)

# %% [markdown]
# The loss of an untrained model is about that of a guess among all its tokens.
# `set_token_frequencies` writes the logs of the tokens' counts into the bias of the masked-word
# head. So the model begins near the unigram baseline.
#
# **Watch it learn.** It takes about a minute. *Pause* interrupts the training, *Stop* ends it. The
# table below the curves shows the model's guesses for some gaps.
#
# **Predict:** which of the two losses falls first?

# %%
from bertedu.widgets import TrainingMonitor

gaps = [
    "The dog sleeps on the [MASK].",
    "The [MASK] fell all night.",
    "She put the [MASK] in the oven.",
]
monitor = TrainingMonitor(recipe.steps, untrained.unigram_loss)


def look(step):
    monitor.evaluated(step, pretraining.evaluate(tiny.model, test_batches, unigrams))
    monitor.predicted(step, [(gap, [g.token for g in tiny.fill_mask(gap, top_k=4)[0]])
                             for gap in gaps])  # fmt: skip


# %%
steps = pretraining.pretrain(tiny.model, PretrainingData(train, small, recipe), recipe)
await monitor.run(steps, look, every=50)  # noqa: F704, PLE1142

# %% [markdown]
# **Read the curves.** The loss of the words falls, and that of the pairs stays near chance. (The
# held-out circles have 15 %{=paper} chosen tokens, the thick line has 30 %{=recipe}, which is
# harder: do not compare their heights.)
#
# A link with ▸ marks a step in both curves, with the loss of its batch and the mean of the
# last 20{=given} (or fewer) batches:
# [step 1](#TrainingMonitor?step=1
# "Step 1:"), [step 50](#TrainingMonitor?step=50
# "Step 50:"), [step 100](#TrainingMonitor?step=100
# "Step 100:"), [step 200, half of the run](#TrainingMonitor?step=200
# "Step 200:"), and [step 400, its end](#TrainingMonitor?step=400
# "Step 400:").

# %%
final = pretraining.evaluate(tiny.model, test_batches, unigrams)
gap = final.unigram_loss - final.mlm_loss
print(f"masked words: {final.mlm_loss:.2f} nats, {gap:.2f} under the unigram baseline; "
      f"accuracy of the first guess {final.mlm_accuracy:.0%}")  # fmt: skip
print(f"next sentence: {final.nsp_loss:.2f} nats (chance {math.log(2):.2f}, lengths "
      f"{lengths_loss:.2f}); accuracy {final.nsp_accuracy:.0%}")  # fmt: skip
tokens = sum(report.tokens for report in monitor.reports)
seconds = sum(report.seconds for report in monitor.reports)
if monitor.state == "finished":
    assert 0.3 < gap < 0.6
    assert math.log(2) - 0.06 < final.nsp_loss < math.log(2) + 0.03

# %% [markdown]
# The words' loss is under its baseline, on documents that the model has never seen: it uses the
# context a little. The pairs' loss is near its baselines.
#
# **Five times as long.** The same model from the same weights, in 1,500{=longer} steps of
# 2,048{=longer} tokens, takes some minutes. That run is **stored**: the held-out losses after every
# 125{=watched} steps. `repeat = True` computes it again.
#
# **Predict:** does the pairs' loss fall now, and when?

# %%
import dataclasses

longer = dataclasses.replace(recipe, steps=1500, tokens_per_batch=2048, learning_rate=1.5e-3)
watched = range(125, 1501, 125)  # steps


def losses_of_longer_run(model):
    run = pretraining.pretrain(model, PretrainingData(train, small, longer), longer)
    found = [
        pretraining.evaluate(model, test_batches, unigrams)
        for report in run
        if report.step + 1 in watched
    ]
    return [each.mlm_loss for each in found], [each.nsp_loss for each in found]


# %%
repeat = False
if repeat:
    torch.manual_seed(0)
    again = bertedu.Bert(bertedu.BertForPreTraining(config), small)
    pretraining.set_token_frequencies(again.model, unigrams)
word_losses, pair_losses = losses_of_longer_run(again.model) if repeat else (
    [5.81, 5.70, 5.64, 5.60, 5.55, 5.51, 5.48, 5.44, 5.36, 5.28, 5.21, 5.18],
    [0.69, 0.68, 0.67, 0.69, 0.68, 0.65, 0.61, 0.66, 0.57, 0.55, 0.53, 0.52],
)  # fmt: skip

# %%
figure, both = plt.subplots(1, 2, figsize=(7.5, 2.9), layout="constrained")
of_pairs = {"chance": math.log(2), "lengths": lengths_loss}
for axes, losses, baselines, task in (
    (both[0], word_losses, {"unigram": final.unigram_loss}, "masked words"),
    (both[1], pair_losses, of_pairs, "next sentence"),
):
    axes.plot(watched, losses, marker="o", color=COLORS["own"])
    for style, (name, height) in zip(("--", ":"), baselines.items(), strict=False):
        axes.axhline(height, color=COLORS["ink"], linestyle=style, linewidth=1, label=name)
    axes.set(title=task, xlabel="steps", ylabel="held-out loss, nats")
    axes.legend()
assert final.unigram_loss - word_losses[-1] > 0.8
assert min(pair_losses[:5]) > 0.66  # up to step 625
assert pair_losses[-1] < min(0.6, lengths_loss)

# %% [markdown]
# Now both losses are under all their baselines. But the pairs' loss begins to fall only after step
# 625{=pair_losses}. A low loss does not show that the model understands: in lesson 03, shared words
# alone were correct for about three pairs of four.
#
# ### Ten moments of a longer run
#
# This picture keeps ten checkpoints of another small model. `bertedu pretrain` trained it from
# scratch on simple English, with a vocabulary of 4,000 pieces (see its card in `bertedu/film`).
#
# **Predict:** a model that has read nothing guesses at random. What does it guess next: names,
# frequent words, or words that fit? Then move the slider.

# %%
from bertedu.widgets import TimeMachine

machine = TimeMachine()
machine

# %%
for frame in machine.frames:
    guessed = ", ".join(guess.token for guess in frame.places[0][:3])
    print(f"{frame.moment.tokens:>11,} tokens read, {frame.moment.mlm_loss:.2f} nats: {guessed}")
started, ended = machine.frames[0].moment, machine.frames[-1].moment
assert abs(started.mlm_loss - math.log(4000)) < 0.3
print(f"accuracy on held-out pairs: {started.nsp_accuracy:.0%} at first, "
      f"{ended.nsp_accuracy:.0%} at the end")  # fmt: skip
assert ended.mlm_loss < 5 < started.mlm_loss
assert 0.6 < ended.nsp_accuracy < 0.8

# %% [markdown]
# For this sentence, the guesses are at first any pieces. Then most are frequent tokens: a full
# stop, *is*, *to*, *the*. After one million tokens they are verbs, and *know* comes first. Try a
# short sentence of your own. A second sentence is judged, too: the last checkpoint is correct for
# 67 % of the held-out pairs. (For a short pair, its card says, the verdict means little.)
#
# ## 5. And the real one?
#
# **Predict:** how long would this machine need for BERT-base as in the paper: 1,000,000 steps of
# 256 rows of 512 tokens? Guess the years. (The work grows with the number of weights times the
# number of tokens. In fact nine tenths of the steps had rows of only 128 tokens: about a third of
# the work.)

# %%
# BEGIN SOLUTION
years_guessed = 2
# END SOLUTION
here = sum(p.numel() for name, p in tiny.model.named_parameters() if "embeddings" not in name)
base = 12 * (4 * 768**2 + 2 * 768 * 3072)  # the matrices of 12 layers
paper_tokens = 1_000_000 * 256 * 512
years = seconds * (base * paper_tokens) / (here * tokens) / 3600 / 24 / 365
checks.guess(years_guessed, round(years), "years")

# %%
print(f"this run: {tokens:,} tokens, {tokens / seconds:,.0f} tokens a second")
print(f"BERT-base: {paper_tokens:,} tokens with {base / here:,.0f} times the weights:"
      f" about {years:,.0f} years")  # fmt: skip

# %% [markdown]
# The paper used 16 TPU chips for four days. So one *downloads* a pretrained model; and the course's
# own model began with the encoder of a published one (see its card in `bertedu/checkpoints`).
#
# ## 6. What does pretraining buy?
#
# Has a model that fills gaps learned what other tasks need? A
# [**probe**](../docs/glossary.md#pretraining) tests this: freeze the model, take its vectors, and
# train a very simple classifier on them. If it succeeds, the vectors *contain* the information.
#
# Which of 12 topics does a single sentence belong to? There are three encoders: the
# course's with **random** weights, the **tiny** one after its longer run, and the **embedded** one,
# the course's. The tiny one is much smaller and has its own vocabulary. (Its accuracy is stored
# with its run.)

# %%
import re


def sentences_of(folder, most):
    chosen = []
    for topic, path in enumerate(sorted(folder.glob("*.txt"))):
        found = [s for s in re.split(r"(?<=[.!?])\s+", path.read_text("utf-8").strip()) if s]
        order = torch.randperm(len(found), generator=torch.Generator().manual_seed(topic))
        chosen += [(found[i], topic) for i in order[:most].tolist()]
    return chosen


probe_train, probe_test = sentences_of(TRAIN, 50), sentences_of(HELD_OUT, 25)
print(f"{len(probe_train)} sentences to train on, {len(probe_test)} to test on; for example:")
print(" ", probe_test[0][0])


# %%
@torch.inference_mode()
def vectors(model, data):
    found = []
    for first in range(0, len(data), 32):
        batch = bertedu.collate([model.encode(text) for text, _ in data[first : first + 32]])
        states = model.model.bert(**batch).last_hidden_state  # [B, S, H]
        real = batch["attention_mask"][..., None]  # [B, S, 1]
        found.append((states * real).sum(dim=1) / real.sum(dim=1))  # the mean over the tokens
    return torch.cat(found)  # [N, H]


# %%
def probe(x, y, test):
    mean, std = x.mean(dim=0), x.std(dim=0) + 1e-6
    x, test = (x - mean) / std, (test - mean) / std
    targets = torch.nn.functional.one_hot(y, 12) - 1 / 12
    ridge = 0.3 * x.shape[1] * torch.eye(len(x))
    return (test @ x.T @ torch.linalg.solve(x @ x.T + ridge, targets)).argmax(dim=-1)


# %%
torch.manual_seed(0)
nobody = bertedu.Bert(bertedu.BertForPreTraining(bert.config), tokenizer)
y, test_y = (torch.tensor([topic for _, topic in data]) for data in (probe_train, probe_test))
sizes = (1, 2, 5, 10, 20, 50)
learned = {}
encoders = {"random": nobody, "embedded": bert} | ({"tiny": again} if repeat else {})
for name, model in encoders.items():
    x, test_x = vectors(model, probe_train), vectors(model, probe_test)
    learned[name] = []
    for size in sizes:
        rows = torch.cat([(y == topic).nonzero()[:size, 0] for topic in range(12)])
        right = probe(x[rows], y[rows], test_x) == test_y
        learned[name].append(float(right.float().mean()))
if not repeat:
    learned["tiny"] = [0.16, 0.23, 0.23, 0.27, 0.26, 0.37]

# %%
print("sentences", *(f"{size:4}" for size in sizes), "  of each topic; below, the accuracy")
for name, shares in learned.items():
    print(f"{name:9}", *(f"{share:4.0%}" for share in shares))
figure, axes = plt.subplots(figsize=(7.5, 3.2))
axes.set_title("The same probe on three encoders")
axes.axhline(100 / 12, color=COLORS["ink"], linestyle="--", linewidth=1)
axes.set(xscale="log", ylim=(0, 100), ylabel="accuracy, %")
axes.set_xlabel("sentences of each topic that the probe has seen (dashed: guessing)")
axes.set_xticks(sizes, [str(size) for size in sizes])
for (name, shares), of in zip(learned.items(), ("baseline", "own", "other"), strict=True):
    marker = {"baseline": "s", "other": "o", "own": "^"}[of]
    axes.plot(sizes, [100 * share for share in shares], marker=marker, color=COLORS[of], label=name)
legend = axes.legend(loc="upper left")

# %%
assert learned["embedded"][-1] > learned["tiny"][-1] > learned["random"][-1]
assert learned["embedded"][2] > learned["random"][-1]  # 5 sentences are worth more than 50
assert abs(learned["random"][0] - 1 / 12) < 0.08
assert years > 10  # section 5

# %% [markdown]
# With the embedded encoder, **5** labelled sentences of each topic give a better accuracy than
# **50** with random weights. Labels of topics came only with the probe. So a pretrained model may
# need few examples for a [**downstream task**](../docs/glossary.md#pretraining), a task for which
# it is used later (lessons 08 to 11). The tiny encoder is better than random weights, too,
# but by less.
#
# (Each had an advantage. The tiny model learned from the text to which the topics belong. The
# embedded one has never seen this text, but its encoder began as one that was trained on pairs of
# related sentences. Its part in the result was not measured.)
#
# ## Recap
#
# - One row asks several questions: "does B follow A?" at `[CLS]`, and a word at each chosen token.
# - Joint loss = mean over chosen tokens + mean over pairs. Encoder and embeddings learn from
#   both, the pooler from the pairs only.
# - A loss is judged by its baseline (unigram; ln 2{=definition}; lengths), on held-out documents.
# - From random weights, a laptop learns a little in minutes; BERT-base would take it decades.
#
# **The answer:** In each step one row gives a loss for the chosen words and a loss for the pair;
# encoder and embeddings learn from the sum, and their vectors become useful for other tasks.

# %% [markdown]
# ## Test yourself
#
# Choose an answer: a click opens its explanation.
#
# **1. Which part learns nothing from the masked words?**
#
# <details class="option"><summary>A. The pooler</summary>
#
# **Yes.** The masked-word head reads the tokens' vectors directly.
#
# </details>
#
# <details class="option"><summary>B. The embeddings</summary>
#
# **No.** They learn from both losses.
#
# </details>
#
# <details class="option"><summary>C. The encoder</summary>
#
# **No.** It learns from both losses; this is multi-task learning.
#
# </details>

# %% [markdown]
# **2. A loss of masked words falls from 10.3 to 6 nats. Does the model use the context?**
#
# <details class="option"><summary>A. Yes: a falling loss shows it</summary>
#
# **No.** Counting how often each token occurs also makes the loss fall.
#
# </details>
#
# <details class="option"><summary>
# B. Only if 6 is under the loss of the unigram baseline, on held-out text
# </summary>
#
# **Yes.** The baseline knows the frequencies and no context.
#
# </details>
#
# <details class="option"><summary>C. No: the loss must reach 0</summary>
#
# **No.** No model can know each hidden word; BERT-base itself has log 3.99 = 1.38 nats.
#
# </details>

# %% [markdown]
# **3. What does the probe on frozen vectors show?**
#
# <details class="option"><summary>A. That the model was told about topics</summary>
#
# **No.** Pretraining has no topic labels; the probe's few labels come afterwards.
#
# </details>
#
# <details class="option"><summary>
# B. How well the whole model could be trained for the task
# </summary>
#
# **No.** The model stays frozen. Fine-tuning changes all weights.
#
# </details>
#
# <details class="option"><summary>
# C. That the vectors already contain information about the topic
# </summary>
#
# **Yes.** With the same labels on the vectors of random weights, its accuracy is much lower.
#
# </details>
#
# <details class="option"><summary>D. That a larger probe is better</summary>
#
# **No.** The probe is simple on purpose, so that its accuracy tells about the vectors.
#
# </details>

# %% [markdown]
# ## Exercises
#
# Replace each `...` by your answer, then run the cell and the next one. `checks.joint_loss.hint()`
# gives a hint, and then a second one.

# %% [markdown]
# ### Predict
#
# **1.** A batch has 32 rows of 128 tokens, and 19 tokens are chosen in each. How many -log p go
# into the masked words' mean, and how many into the pairs'?

# %%
# BEGIN SOLUTION
from_tokens, from_rows = 608, 32
# END SOLUTION

# %% tags=["nbval-check-output"]
checks.how_many_losses([from_tokens, from_rows])

# %% [markdown] tags=["solution"]
# *Why:* 19 in each row, and one pair a row. Each mean counts once, however many numbers are in it.

# %% [markdown]
# **2.** How many tokens has the paper's pretraining, in billions, rounded to whole ones: steps ·
# rows · tokens? (Section 5 has the numbers.)

# %%
# BEGIN SOLUTION
billions = 131
# END SOLUTION

# %% tags=["nbval-check-output"]
checks.billions(billions)

# %% [markdown] tags=["solution"]
# *Why:* 10⁶ · 256 · 512 = 131,072,000,000. (The paper rounds to 128,000 tokens a step.)

# %% [markdown]
# **3.** A model has a joint loss of 6.9 nats on a vocabulary of 500 tokens, 6.2 of it for the
# words. What would the loss be if both heads knew nothing, with one decimal? Has the model learned
# anything (`True` or `False`)?

# %%
# BEGIN SOLUTION
of_both, has_learned = 6.9, False
# END SOLUTION

# %% tags=["nbval-check-output"]
checks.knows_nothing([of_both, has_learned])

# %% [markdown] tags=["solution"]
# *Why:* log 500 + log 2 = 6.21 + 0.69 = 6.9: as good as knowing nothing.

# %% [markdown]
# ### Complete
#
# **4.** The joint loss, one number, from word logits `[B, S, V]` and labels `[B, S]`, and pair
# logits `[B, 2]` and labels `[B]`. `-100` is not counted.


# %%
def joint_loss(word_logits, word_labels, pair_logits, pair_labels):
    # BEGIN SOLUTION
    cross_entropy = torch.nn.functional.cross_entropy
    counted = word_labels != -100
    return cross_entropy(word_logits[counted], word_labels[counted]) + cross_entropy(
        pair_logits, pair_labels
    )
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.joint_loss(joint_loss)

# %% tags=["solution"]
of_notes = joint_loss(logits.prediction_logits, labels[None], logits.seq_relationship_logits,
                      torch.tensor([IS_NEXT]))  # fmt: skip
assert torch.allclose(of_notes, output.loss.detach(), atol=1e-4)

# %% [markdown] tags=["solution"]
# *Why:* a mean over chosen tokens, plus a mean over pairs. In one common mean over all -log p, the
# few pairs would hardly count.

# %% [markdown]
# **5.** Linear warm-up and decay: the learning rate of `step` (counted from 0), as a share of its
# peak. Step 0 has 1/warmup, step warmup - 1 the whole peak. From there it falls in a line: step
# `steps` would have 0, so the last one, steps - 1, has 1/(steps - warmup).


# %%
def share_of_peak(step, warmup, steps):
    # BEGIN SOLUTION
    if step < warmup:
        return (step + 1) / warmup
    return (steps - step) / (steps - warmup)
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.share_of_peak(share_of_peak)

# %% tags=["solution"]
for step in (0, 49, 50, 200, 399):
    share = recipe.learning_rate_at(step) / recipe.learning_rate
    assert abs(share_of_peak(step, 50, 400) - share) < 1e-9

# %% [markdown] tags=["solution"]
# *Why:* with the recipe of section 4, the first step has 1/50{=share_of_peak}, and the last
# 1/(400 - 50) = 1/350: no step has 0.

# %% [markdown]
# ### Build
#
# **6.** The unigram baseline. Given are the ids of a training text and of a test text (both are
# numpy arrays). Return the mean of -log p of the test ids, where p is a token's share of the
# training text, each of V tokens counted once more than it occurs.


# %%
def unigram_loss(training_ids, test_ids, V):
    # BEGIN SOLUTION
    counts = np.bincount(training_ids, minlength=V) + 1
    return -np.log(counts / counts.sum())[test_ids].mean()
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.unigram_loss(unigram_loss)

# %% tags=["solution"]
of_library = -float(unigrams[torch.tensor(held_out.ids.astype(np.int64))].mean())
assert abs(unigram_loss(train.ids, held_out.ids, len(small)) - of_library) < 1e-4

# %% [markdown] tags=["solution"]
# *Why one more:* a token of the test text that never occurred in training would have p = 0, and the
# loss would be infinite.

# %% [markdown]
# **7.** (Without a check.) Change the recipe in section 4 and run it again: half the learning rate;
# no `set_token_frequencies`; 15 % of the tokens; 4 layers; 2 heads. Write down first what you
# expect. What helps, and is it more than what another seed changes?

# %% [markdown] tags=["solution"]
# *A model answer.* With 15 % chosen, each step asks half as many questions. Without the token
# frequencies, the model must first learn the counts. For the other changes, compare with several
# seeds of one recipe: another seed also changes the losses. One run proves little, and the best of
# ten seeds shows mostly luck.
