# %% [markdown]
# # 10 · Inference
#
# Case 3 of the lecture notes: two sentences in, one answer out. The task is called **natural
# language inference** (NLI). Given a **premise**, is the **hypothesis** true, false, or unknown?
# This lesson trains BERT to say so. It also teaches something that matters more: how to find out
# *what* was learned, because in this task a good score is easy to have for the wrong reason.
#
# **Afterwards you can**
# - draw the head, count its numbers, and compute its loss by hand;
# - find out how far one gets without reading the premise, and why that must be done first;
# - fine-tune BERT on pairs, and put an honest interval around the result;
# - test what a model has learned with pairs made for that: negated, and turned round.
#
# **You need** lessons 03 (pairs), 06 (the pooler) and 08 (fine-tuning, a bag of words). No internet
# connection.
#
# **Time** about 60 minutes to work through; about two minutes of CPU time.
#
# **In the paper** Devlin et al. 2019 (arXiv:1810.04805), §4.1; the data sets are those of Bowman
# et al. 2015 (SNLI) and Williams et al. 2018 (MultiNLI).
#
# How to work: *predict* first (say your answer aloud, or write it down), then *run* the cell,
# then read the explanation. What the text says of the results is checked by `assert`s in the cells.

# %%
import math
import re
from collections import Counter
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import torch

import bertedu
from bertedu.classroom import checks
from bertedu.classroom.figures import STYLE, diagram, token_chips
from bertedu.finetuning import Inference, inference

# %% tags=["nbval-check-output"]
plt.style.use(STYLE)
bert = bertedu.load()
tokenizer = bert.tokenizer
print(bert)

# %% [markdown]
# ## 1. One answer from two sentences
#
# The input is the one of lesson 03: `[CLS] premise [SEP] hypothesis [SEP]`. The answer comes from
# `[CLS]`, whose vector has seen both sentences, and is one of three. The field calls them
#
# - **entailment**: if the premise holds, the hypothesis is *true*;
# - **contradiction**: if the premise holds, the hypothesis is *false*;
# - **neutral**: it may be either; *unknown*.

# %%
inputs = {
    "premise\nthe cute dog likes playing": (0.1, 1.1, 2.1, 0.55, "text"),
    "hypothesis\nan animal is outside": (0.1, 0.2, 2.1, 0.55, "text"),
}
rest = {
    "BERT": (2.7, 0.2, 1.1, 1.45, "attention"),
    "pooler\ntanh, of [CLS]": (4.2, 0.65, 1.3, 0.55, "heads"),
    "classifier\nH → 3": (5.8, 0.65, 1.1, 0.55, "heads"),
}
ways = [("premise", "BERT"), ("hypothesis", "BERT"), ("BERT", "pooler"), ("pooler", "classifier")]
diagram({**inputs, **rest}, ways, size=(7.2, 1.85))

# %% [markdown]
# **Predict:** how many numbers of this model are *new*, that is, not from pretraining?

# %% tags=["nbval-check-output"]
task = Inference(labels=("contradiction", "entailment", "neutral"))
told = {"entailment": "true", "contradiction": "false", "neutral": "unknown"}  # as the notes say
model = task.head(bert.config)
H, K = bert.config.hidden_size, len(task.labels)
new = sum(p.numel() for name, p in model.named_parameters() if name.startswith("classifier"))
print(f"new: {new:,} of {sum(p.numel() for p in model.parameters()):,}")
assert new == H * K + K

# %% [markdown]
# A row of weights for each answer, and a bias each. The pooler is not new: next sentence
# prediction, also a question about two sentences, has trained it (lesson 07).
#
# ## 2. The data, looked at
#
# 612 pairs, written for this course in *scenes* of three premises and three hypotheses.

# %% tags=["nbval-check-output"]
from bertedu.data import INFERENCE

train, dev, test = (inference.read(INFERENCE / f"{name}.tsv") for name in ("train", "dev", "test"))
for name, pairs in {"train": train, "dev": dev, "test": test}.items():
    counts = Counter(pair.label for pair in pairs)
    print(f"{name:6} {len(pairs)} pairs, {len(pairs) // 9} scenes;", dict(sorted(counts.items())))
    assert len(set(counts.values())) == 1

# %% tags=["nbval-check-output"]
scene = train[:9]
for premise in dict.fromkeys(pair.premise for pair in scene):
    print(premise)
    for pair in scene:
        if pair.premise == premise:
            print(f"    {pair.hypothesis:20} {told[pair.label]:8} ({pair.label})")

# %% [markdown]
# Read the columns, too: *The dog is asleep* is true of one premise, false of another, and open
# for the third.
#
# **Before anything else: does the test leak?** No sentence may stand in two files.


# %%
def sentences(pairs):
    return {text for pair in pairs for text in (pair.premise, pair.hypothesis)}


assert not sentences(train) & sentences(test)
assert not sentences(train) & sentences(dev)
assert not sentences(dev) & sentences(test)

# %% [markdown]
# ## 3. How far does one get without the premise?
#
# The most useful baseline of this task sounds absurd: hide the premise, and guess the label from
# the hypothesis **alone**. What can be learned so cannot be inference, since there is nothing to
# infer from.
#
# The guesser is a bag of words: logistic regression on word counts (lesson 08).
#
# **Predict** its accuracy on the test pairs, in percent. Guessing blindly is right for a third.

# %%
from bertedu.finetuning.baselines import BagOfWords


def accuracy(predictions, pairs):
    return np.mean([p.label == pair.label for p, pair in zip(predictions, pairs, strict=True)])


def hypothesis_alone(train, test):
    texts = [[pair.hypothesis for pair in pairs] for pairs in (train, test)]
    bag = BagOfWords.fit(texts[0], [pair.label for pair in train], tokenizer)
    return accuracy(bag.predict(texts[1]), test)


alone = hypothesis_alone(train, test)

# %%
# BEGIN SOLUTION
alone_guessed = 45
# END SOLUTION
checks.guess(alone_guessed, 100 * alone, "%", within=1)

# %% tags=["nbval-check-output"]
print(f"hypothesis alone: {alone:.1%}")

# %% [markdown]
# Exactly a third, and no cleverness would help. Each hypothesis stands there three times, once
# with each label; whoever sees only the hypothesis says the same each time, and is right once.

# %%
for pairs in (train, dev, test):
    for side in ("premise", "hypothesis"):
        seen = Counter((getattr(pair, side), pair.label) for pair in pairs)
        assert set(seen.values()) == {1}  # each sentence once with each label
        assert len(seen) == len(pairs)
assert abs(alone - 1 / 3) < 1e-9

# %% [markdown]
# That was *made* so. Left to themselves, people who write hypotheses give the label away: who is
# asked for something false likes to write *not* or *nobody*. On SNLI, of 550,000 such pairs, the
# hypothesis alone gives about 67 % (Gururangan et al. 2018, who measured it; Poliak et al. 2018
# on nine more sets).
#
# Let us write carelessly, too. Take the pairs that are *true*, and make from each a false one, by
# putting "It is not true that" in front, and an open one, by taking another scene's hypothesis.
#
# **Predict** what the hypothesis alone gives now.


# %%
def careless(pairs):
    true = [pair for pair in pairs if pair.label == "entailment"]
    made = []
    for number, pair in enumerate(true):
        denied = f"It is not true that {pair.hypothesis[0].lower()}{pair.hypothesis[1:]}"
        elsewhere = true[(number + 5) % len(true)].hypothesis  # three in a row are one scene
        made += [pair, inference.Example(pair.premise, denied, "contradiction"),
                 inference.Example(pair.premise, elsewhere, "neutral")]  # fmt: skip
    return made


# %% tags=["nbval-check-output"]
print(*[f"{pair.hypothesis}  [{pair.label}]" for pair in careless(test)[:3]], sep="\n")
leaked = hypothesis_alone(careless(train), careless(test))
print(f"hypothesis alone, careless pairs: {leaked:.1%}")
assert leaked > 0.55

# %% [markdown]
# What is *false* is found without reading a premise, by the word *not*. A model trained on such
# data would get a fine score, and would have learned to look for a word. **Rule:** before you
# praise a model that compares two things, show it only one of them.
#
# ## 4. How far does one get by counting?
#
# Both sentences, but still no reading. First the bag of words, now with two counts side by side.
#
# **Predict:** is it better than a third?

# %% tags=["nbval-check-output"]
texts, labels = [(pair.premise, pair.hypothesis) for pair in train], [pair.label for pair in train]
bag = BagOfWords.fit(texts, labels, tokenizer)
both = accuracy(bag.predict([(pair.premise, pair.hypothesis) for pair in test]), test)
print(f"two bags of words: {both:.1%}; largest weight learned: {bag.weight.abs().max():.4f}")
assert bag.weight.abs().max() < 1e-3

# %% [markdown]
# It learned *nothing*: each weight stays at 0. A sum of one number for each word of the premise
# and one for each of the hypothesis cannot say that two words *belong together*; and word by
# word, these labels are perfectly balanced.
#
# So let us count something that belongs to both: what **share of the hypothesis's words** stands
# in the premise, too? The more, the truer, one may hope. Two thresholds are learned from the
# training pairs.


# %%
def words(text):
    return set(re.findall(r"\w+", text.lower()))


def shared(pair):
    asked = words(pair.hypothesis)
    return len(asked & words(pair.premise)) / len(asked)


def by_overlap(pairs, high, low):
    share = np.array([shared(pair) for pair in pairs])
    return np.select([share >= high, share >= low], ["entailment", "contradiction"], "neutral")


# %%
truth = {name: np.array([pair.label for pair in pairs])
         for name, pairs in {"train": train, "dev": dev, "test": test}.items()}  # fmt: skip
for label in task.labels:
    mean = np.mean([shared(pair) for pair in train if pair.label == label])
    print(f"{told[label]:8} {mean:.0%} of the hypothesis's words stand in the premise")
steps = sorted({shared(pair) for pair in train})
high, low = max(((high, low) for high in steps for low in steps if low <= high),
                key=lambda two: np.mean(by_overlap(train, *two) == truth["train"]))  # fmt: skip
counted = by_overlap(test, high, low) == truth["test"]
print(f"thresholds {high:.2f} and {low:.2f}; right on the test pairs: {counted.mean():.1%}")
assert counted.mean() > 0.4

# %% [markdown]
# **This** is the number to beat: who counts common words is right far more often than a third of
# the time, and has read nothing. (Open hypotheses speak of something else, with other words.)
#
# ## 5. One pair, followed down to its loss
#
# Two sentences become one row of tokens; teal underlines the premise, violet the hypothesis.

# %%
from bertedu.finetuning import FineTuned, FinetuningRecipe, FinetuningRun, load

first_pair = scene[0]
encoding = task.features(first_pair, tokenizer, max_length=64)[0].encoding
token_chips(encoding.tokens, encoding.input_ids.tolist(), segments=encoding.token_type_ids.tolist())

# %% [markdown]
# `FinetuningRun` puts a fresh head on the pretrained encoder. Nothing is trained yet.
#
# **Predict** the loss of this pair, in nats, for a head that knows nothing.

# %%
recipe = FinetuningRecipe(epochs=7, batch_size=16, learning_rate=3e-4, freeze_layers=2,
                          max_length=48)  # fmt: skip
run = FinetuningRun(Inference(), bert, train, dev, recipe=recipe)
run.model.eval()
with torch.inference_mode():
    cls = run.model.bert(**bertedu.collate([encoding])).last_hidden_state[0, 0]  # [H]
    pooled = torch.tanh(run.model.bert.pooler.dense(cls))  # [H]
    logits = run.model.classifier.weight @ pooled + run.model.classifier.bias  # [3]
shares = logits.exp() / logits.exp().sum()
loss = -math.log(shares[run.task.labels.index(first_pair.label)])
for label, logit, share in zip(run.task.labels, logits.tolist(), shares.tolist(), strict=True):
    print(f"{told[label]:8} logit {logit:6.3f}   probability {share:.1%}")
print(f"the right one is {told[first_pair.label]}: loss {loss:.2f} nats; ln 3 = {math.log(3):.2f}")

# %%
right = torch.tensor([run.task.labels.index(first_pair.label)])
with torch.inference_mode():
    output = run.model(**bertedu.collate([encoding]), labels=right)
assert torch.allclose(output.logits[0], logits, atol=1e-4), "trained since: make `run` again first"
assert abs(float(output.loss) - loss) < 1e-4
assert abs(loss - math.log(3)) < 0.5

# %% [markdown]
# About ln 3: each answer is as good as the others. From here on, cross-entropy moves the head's
# weights and the encoder's, except for the embeddings and the two lowest layers: this recipe keeps
# them as they are, which saves time.
#
# ## 6. Training, before your eyes
#
# A line an epoch: the mean loss, and the share right on the development pairs. The state that is
# best there is kept. (A shorter run from random weights comes right after, for comparison.)
#
# **Predict** the mean loss of the first epoch. (It begins at about ln 3 = 1.10.)

# %%
print(f"{run.steps} steps, about {run.estimate():.0f} s on this machine")


def trained(run):
    losses = [[] for _ in range(run.recipe.epochs)]
    for report in run:
        losses[report.epoch].append(report.loss)
        if report.metrics:
            loss, right = np.mean(losses[report.epoch]), report.metrics["accuracy"]
            print(f"epoch {report.epoch + 1:2}: loss {loss:.2f} nats, development {right:.1%}")
    return [np.mean(of_epoch) for of_epoch in losses if of_epoch]


# %%
curves = {"pretrained": trained(run)}
tuned = run.finetuned
print(tuned)

# %%
blank = replace(recipe, epochs=3, batch_size=32, freeze_layers=0)  # nothing worth keeping
from_nothing = FinetuningRun(Inference(), bert.config, train, dev, recipe=blank)
print(f"from random weights: {from_nothing.steps} steps of {blank.batch_size} pairs")
curves["random weights"] = trained(from_nothing)
nothing = from_nothing.finetuned

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 2.8))
for (name, losses), trial, marker in zip(curves.items(), (run, from_nothing), "^s", strict=True):
    epochs = range(1, len(losses) + 1)
    left.plot(epochs, losses, marker=marker, label=name)
    right.plot(epochs, [100 * m["accuracy"] for _, m in trial.evaluations], marker=marker)
left.axhline(math.log(3), color="#333333", linestyle="--", linewidth=1)
right.axhline(100 / 3, color="#333333", linestyle="--", linewidth=1)
left.set(ylim=(0, 1.3), xlabel="epoch", ylabel="nats", title="loss while training")
right.set(ylim=(0, 100), xlabel="epoch", ylabel="right, %", title="development pairs")
left.legend(loc="lower left")
assert curves["pretrained"][-1] < 0.7 * math.log(3)
assert abs(curves["pretrained"][0] - math.log(3)) < 0.15
assert curves["random weights"][-1] > 0.85 * math.log(3)

# %%
at_the_end = FineTuned(run.task, run.model, tokenizer, run.max_length)  # not the state we keep
by_heart, new_pairs = (at_the_end.evaluate(pairs)["accuracy"] for pairs in (train, dev))
print(f"right at the end: {by_heart:.1%} of the training pairs, {new_pairs:.1%} of the new ones")
assert by_heart > new_pairs + 0.05

# %% [markdown]
# Dashed is the one who knows nothing. The distance between the two percentages is what was learned
# *by heart*: it holds for these 423 pairs, and does not carry over to new ones. (The first epoch's
# mean loss is still near ln 3: most of its steps were taken before anything was learned.)
#
# ## 7. The result, and how sure it is
#
# The model was chosen by the development pairs; no choice was made by the test pairs. Three of
# these share a premise, and nine a scene, so that they are not independent: the bootstrap
# (lesson 03) draws whole scenes.


# %%
def interval(right, draws=2000):
    scenes = np.asarray(right, dtype=float).reshape(-1, 9).mean(axis=1)
    drawn = np.random.default_rng(0).integers(len(scenes), size=(draws, len(scenes)))
    return np.percentile(scenes[drawn].mean(axis=1), [2.5, 97.5])


models = {"BERT, random weights": nothing, "BERT, pretrained": tuned}
answers = {name: np.array([p.label for p in model.predict(test)]) for name, model in models.items()}
blind = np.array([p.label for p in tuned.predict(inference.hypothesis_only(test))])
right_by = {"the hypothesis alone": blind == truth["test"], "counting words": counted}
right_by |= {name: given == truth["test"] for name, given in answers.items()}

# %%
bands = {name: interval(right) for name, right in right_by.items()}
figure, axes = plt.subplots(figsize=(7.5, 2.4))
shares = [100 * right.mean() for right in right_by.values()]
reach = np.abs(100 * np.array(list(bands.values())).T - shares)
bars = axes.barh(list(right_by), shares, xerr=reach, color=["#6b6b6b"] * 3 + ["#0072B2"])
axes.bar_label(bars, [f"{share:.1f} %" for share in shares], label_type="center", color="white")
axes.axvline(100 / 3, color="#333333", linestyle="--", linewidth=1)
axes.set(xlim=(0, 100), xlabel="test pairs judged rightly, % (lines: 95 % of the draws)")
axes.invert_yaxis()

# %%
score = {name: right.mean() for name, right in right_by.items()}
better = right_by["BERT, pretrained"].astype(float) - counted
low_end, high_end = interval(better)
print(f"pretrained against counting: {100 * better.mean():+.1f} points; "
      f"95 % of the draws: {100 * low_end:+.1f} to {100 * high_end:+.1f}")  # fmt: skip
print("more than luck" if low_end > 0 else "with so few scenes, it may be luck")
assert abs(score["the hypothesis alone"] - 1 / 3) < 1e-9  # section 3 said so
assert score["BERT, pretrained"] > 0.4
assert score["BERT, pretrained"] > score["BERT, random weights"] + 0.04

# %% [markdown]
# **What pretraining buys** is the distance between the two lower bars: the same head on the same
# pairs, once from random weights. Those were given fewer and larger steps, to save a minute; their
# loss stayed near ln 3. Would more of the same help them? Set `epochs=7, batch_size=16`, and see.
#
# **What the premise buys** is the distance to the first bar. It is the trained model itself,
# shown an empty premise, and it is right for exactly a third, as section 3 proved for everybody.
#
# And **what BERT buys over counting** is less than one would like. Say it with its interval, as
# the cell does, or do not say it.
#
# ## 8. What has it learned?
#
# A score says *that* something was learned, not *what*. Four questions, each with pairs made for
# it.
#
# **Is it just counting?** If so, it would be right where counting is right, and nowhere else.

# %%
ours = answers["BERT, pretrained"]
for name, where in {"right": counted, "wrong": ~counted}.items():
    share = np.mean((ours == truth["test"])[where])
    print(f"where counting is {name}: BERT is right for {share:.0%} of {where.sum()} pairs")
same = np.mean(ours == by_overlap(test, high, low))
print(f"it gives the same answer as counting for {same:.0%} of the pairs")
assert same < 0.9
hits = ours == truth["test"]
assert hits[counted].mean() > hits[~counted].mean()

# %% [markdown]
# Not just that: its answer is often another one. But where counting fails, look how near it comes
# to the third that a guess would get.
#
# **Which answer is hard?** A row for what is right, a column for what was said. And the same with
# *two* labels: is it true, or not?

# %%
from bertedu.finetuning.classification import confusion

table = confusion(truth["test"].tolist(), ours.tolist(), task.labels)
print("right \\ said " + "".join(f"{told[label]:>9}" for label in task.labels))
for label, row in zip(task.labels, table.tolist(), strict=True):
    print(f"{told[label]:12}" + "".join(f"{count:9}" for count in row))
three = np.mean(ours == truth["test"])
two = np.mean((ours == "entailment") == (truth["test"] == "entailment"))
lazy = np.mean(truth["test"] != "entailment")
print(f"three labels {three:.1%};  true or not {two:.1%};  always “not true” {lazy:.1%}")
known = np.mean((ours == "neutral") == (truth["test"] == "neutral"))
decided = (ours != "neutral") & (truth["test"] != "neutral")
print(f"unknown or not {known:.1%};  where it is not, and the model says so: "
      f"true or false {hits[decided].mean():.1%} of {decided.sum()}")  # fmt: skip
assert two >= three
assert abs(lazy - 2 / 3) < 1e-9
assert hits[decided].mean() < known
assert known > 2 / 3
assert hits[decided].mean() < 0.65

# %% [markdown]
# "True or not" looks so much better, and is not: always saying *not true* has two thirds. Every
# mistake between *false* and *unknown* is forgiven. When you read an accuracy, ask for the number
# of labels, and for the score of doing nothing.
#
# The last line tells more. *Unknown or not*: always saying *known* has two thirds; the model has
# more. *True or false*, where it decides: a coin has 50 %, and the model hardly more, if anything.
# It has learned to see whether the two sentences speak of the same thing, not what they say of it.
#
# **Does it understand *not*?** Put *not* behind *is*, *was*, *are* or *were* in a hypothesis, and
# what was true is false, what was false is true, and what was unknown stays so.
#
# **Predict:** of the pairs that it calls *true* or *false*, and rightly: for how many, in percent,
# does *not* turn its answer round?


# %%
flipped = {"entailment": "contradiction", "contradiction": "entailment", "neutral": "neutral"}
denial = re.compile(r"\b(no|not|nobody|nothing|none|never)\b", re.IGNORECASE)


def negated(pair):
    text, changed = re.subn(r"\b(is|was|are|were)\b", r"\1 not", pair.hypothesis, count=1)
    plain = not denial.search(pair.hypothesis) and " that " not in pair.hypothesis
    usable = changed and plain  # "knows that it is not so" is no denial
    return inference.Example(pair.premise, text, flipped[pair.label]) if usable else None


# %%
both_ways = [(pair, denied) for pair in test if (denied := negated(pair))]
plain, denied = ([two[i] for two in both_ways] for i in (0, 1))
said_plain, said_denied = ([p.label for p in tuned.predict(pairs)] for pairs in (plain, denied))
print(denied[1].premise, "/", denied[1].hypothesis, "→", told[denied[1].label])
for name, pairs, said in (("plain", plain, said_plain), ("with not", denied, said_denied)):
    right = np.mean([pair.label == label for pair, label in zip(pairs, said, strict=True)])
    print(f"{name:9} {right:.0%} right of {len(pairs)}; said:", dict(Counter(map(told.get, said))))

# %%
moved = [(a, b) for pair, a, b in zip(plain, said_plain, said_denied, strict=True)
         if a == pair.label != "neutral"]  # fmt: skip
turned = np.mean([b == flipped[a] for a, b in moved])

# BEGIN SOLUTION
turned_guessed = 70
# END SOLUTION
checks.guess(turned_guessed, 100 * turned, "%", within=10)

# %%
print(f"true or false, and right: {len(moved)} pairs; of these, *not* turned {turned:.0%} round")
assert 3 <= len(moved) < len(plain)
assert turned < 0.9

# %% [markdown]
# Whoever understands *not* would turn round every one of them. A number far below that says that
# the model hardly takes notice of the word: it judges what the sentences speak *of*, and *not*
# changes nothing there. The test score alone did not tell us so.
#
# **Does it know who did what?** The same words, once more, with subject and object exchanged.
# *The cat chased the dog* does not make *the dog chased the cat* true. Counting cannot see the
# difference, and says *true* each time.

# %%
deeds = """Clara called Malik|the cat chased the dog|the nurse thanked the doctor
the teacher greeted the boy|the farmer visited the baker|Omar invited Mei
the girl pushed the boy|the king praised the poet|the lawyer accused the driver
the wolf attacked the bear|the sailor saved the cook|my aunt helped my neighbour"""
probes = {"same": [], "passive": [], "turned round": []}
for deed in re.split(r"[|\n]", deeds):
    who, verb, whom = re.fullmatch(r"(.+) (\w+ed) (.+)", deed).groups()
    probes["same"].append((f"{deed}.", f"{deed}."))
    probes["passive"].append((f"{deed}.", f"{whom} was {verb} by {who}."))
    probes["turned round"].append((f"{deed}.", f"{whom} {verb} {who}."))
    assert words(probes["same"][-1][1]) == words(probes["turned round"][-1][1])

# %%
true_for = {}
for name, pairs in probes.items():
    given = tuned.predict(pairs)
    true_for[name] = np.mean([p.label == "entailment" for p in given])
    mean = np.mean([p.probabilities["entailment"] for p in given])
    print(f"{name:13} “true” for {true_for[name]:4.0%} of {len(pairs)}; mean probability {mean:.0%}"
          f"   such as: {pairs[1][1]}")  # fmt: skip
sees = true_for["same"] - true_for["turned round"]
print(f"exchanging the two changes “true” by {100 * sees:.0f} points of 100")
assert sees < 0.5

# %% [markdown]
# Somebody who understands has 100 %, 100 % and 0 %. To this model *who* chased *whom* hardly
# matters: all three sound alike to it. The mean probability says how sure it is: near 50 %, with
# nearly as much for another label, *true* is a narrow choice.
# A larger BERT can be just as blind, and sure of it. McCoy et al. 2019 ("Right for the wrong
# reasons", HANS) found that BERT-base, trained on all of MultiNLI, says *true* almost wherever the
# words of the hypothesis stand in the premise.
#
# ## 9. Its mistakes
#
# The ones of which it is surest.

# %%
found = tuned.predict(test)
wrong = [(p.probabilities[p.label], pair, p.label)
         for p, pair in zip(found, test, strict=True) if p.label != pair.label]  # fmt: skip
wrong.sort(key=lambda mistake: -mistake[0])
for sure, pair, said in wrong[:6]:
    print(f"{pair.premise}\n   {pair.hypothesis}")
    print(f"   said {told[said]} ({sure:.0%}), right is {told[pair.label]}")

# %%
share_of = {name: np.mean([shared(pair) for _, pair, said in wrong if said == name])
            for name in sorted({said for *_, said in wrong})}  # fmt: skip
for label, mean in share_of.items():
    print(f"wrongly called {told[label]:8} share of the hypothesis in the premise: {mean:.0%}")
sure = np.array([max(p.probabilities.values()) for p in found])
hit = ours == truth["test"]
print(f"how sure it is, where right: {sure[hit].mean():.0%}, where wrong: {sure[~hit].mean():.0%}")
assert sure[hit].mean() > sure[~hit].mean()
assert wrong[0][0] > 0.6

# %% [markdown]
# Read the premises aloud, and say what one must know in each case. The last line shows that it is
# less sure where it is wrong, on average; the list, that it can be wrong and quite sure. A high
# probability is no promise.
#
# ## 10. Edit one word, and watch
#
# The three probabilities are a point in a triangle; each corner is an answer. ● is the pair,
# ◆ the hypothesis with no premise, the numbers are earlier tries.
#
# **Predict** how the point moves, from try to try. (If it hardly moves where *cat* takes the place
# of *dog*, or where *not* comes in, you see section 8 again.)

# %%
from bertedu.widgets import PairExplorer

premise = "the cute dog likes playing in the park"
tries = ["the dog is cute", "the cat is cute", "the dog is not cute", "the dog is asleep"]
explorer = PairExplorer(tuned, premise, "an animal is outside", [(premise, b) for b in tries])
explorer

# %%
assert explorer.labels == ["entailment", "contradiction", "neutral"]
assert np.allclose(explorer.probabilities.sum(), 1)
for hypothesis, shares in zip([*tries, explorer.hypothesis],
                              [*explorer.trail, explorer.probabilities], strict=True):  # fmt: skip
    print(f"{hypothesis:22}", *(f"{told[name]} {share:.0%}" for name, share in
                                zip(explorer.labels, shares, strict=True)))  # fmt: skip
moves = np.abs(np.diff(explorer.trail, axis=0)).sum(axis=1) / 2
print("from try to try, probability moved:", *(f"{move:.0%}" for move in moves))
assert moves.max() > 0.05

# %% [markdown]
# **Your own pair.** Type into the picture, or here; then change one word at a time.

# %%
your_premise, your_hypothesis = "it rained all night", "the street is wet"
answer = tuned.predict((your_premise, your_hypothesis))
print(told[answer.label], {told[name]: f"{p:.0%}" for name, p in answer.probabilities.items()})

# %% [markdown]
# ## 11. The real thing
#
# SNLI has 550,000 pairs to train on, MultiNLI 390,000; the code is the same. `inference.read` reads
# their files (tab-separated or JSON lines, with `sentence1`, `sentence2`, `gold_label`; SNLI's `-`,
# no agreement, is left out), tables with `premise`, `hypothesis`, `label`, and `hub:snli:train`.

# %% tags=["nbval-check-output"]
import json
import tempfile
from pathlib import Path

rows = [{"sentence1": "It rains.", "sentence2": "It is wet outside.", "gold_label": "entailment"},
        {"sentence1": "It rains.", "sentence2": "It is Monday.", "gold_label": "-"}]  # fmt: skip
with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "snli_1.0_train.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    print(*inference.read(file), sep="\n")
    assert len(inference.read(file)) == 1

# %% [markdown]
# Give your own file here, and, if you like, another start: `"bert-base-uncased"` (looked for on
# the Hugging Face hub; a download of some 440 MB, once) or a folder. Until you do, the cell does
# nothing.

# %%
your_file = ""  # "snli_1.0_train.jsonl", "pairs.tsv", or "hub:snli:train"
start = bert  # "bert-base-uncased", or a folder
most = 8000  # pairs; on two cores, a few minutes
if your_file:
    pairs = inference.read(your_file)[:most]
    held_out = len(pairs) // 10
    yours = bertedu.finetune(Inference(), start, pairs[held_out:], pairs[:held_out])
    print(yours, f"hypothesis alone: {hypothesis_alone(pairs[held_out:], pairs[:held_out]):.1%}")

# %% [markdown]
# The same without a notebook, and what is left in the folder also opens in `transformers`:
#
# ```
# bertedu finetune inference train.tsv --dev dev.tsv --test test.tsv --out my_model
# bertedu predict my_model "it rained all night" "the street is wet"
# ```

# %%
with tempfile.TemporaryDirectory() as folder:
    tuned.save(folder)
    again = load(folder)
assert again.predict((your_premise, your_hypothesis)).label == answer.label

# %% [markdown]
# ## Recap
#
# - Premise and hypothesis are one row; the answer is one of three, from the pooled `[CLS]`; new
#   are 3 · H + 3 numbers.
# - First hide the premise. Here that gives exactly a third, by construction; in careless data, as
#   in SNLI, about twice as much.
# - Then count common words: that is the number to beat, and the margin has an interval.
# - A score does not say what was learned. Pairs made for one question do: *not*, who did what.
# - "True or not" is another question than "true, false or unknown", with another floor.
#
# ## Exercises
#
# Replace each `...` by your answer and run the cell and the one after it. A check says "✓ right",
# or what your mistake suggests, or "not done yet"; all else goes on working. If you are
# stuck, `checks.overlap.hint()` gives a hint for that exercise, and then a second one.
#
# ### Predict
#
# **1.** The loss of a model that gives each of the three answers the same probability: how many
# nats, with two decimals?

# %%
# BEGIN SOLUTION
loss_of_ignorance = 1.10
# END SOLUTION

# %% tags=["nbval-check-output"]
checks.loss_of_ignorance(loss_of_ignorance)

# %% [markdown] tags=["solution"]
# *Why:* -ln(1/3) = ln 3 = 1.10, whichever answer is right.

# %% [markdown]
# **2.** A model says *neutral* to everything. What is its accuracy on this course's pairs with
# three labels, and what if only "true or not" is asked? Answer with `{"three labels": ...,
# "true or not": ...}`, each a `Fraction(top, bottom)`.

# %%
from fractions import Fraction

# BEGIN SOLUTION
lazy_scores = {"three labels": Fraction(1, 3), "true or not": Fraction(2, 3)}
# END SOLUTION

# %% tags=["nbval-check-output"]
checks.lazy_scores(lazy_scores)

# %% [markdown] tags=["solution"]
# *Why:* a third of the pairs are neutral. As "not true", *neutral* is also right for each
# contradiction.

# %% [markdown]
# ### Complete
#
# **3.** From three probabilities to "true or not": is *entailment* (column 1) likelier than all
# else together? (At exactly a half it is not.)


# %%
def says_true(probabilities):
    """[N, 3], columns contradiction, entailment, neutral; returns N times True or False."""
    # BEGIN SOLUTION
    return probabilities[:, 1] > probabilities[:, 0] + probabilities[:, 2]
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.says_true(says_true)

# %% [markdown] tags=["solution"]
# *Why not the largest of the three:* with 45 % against 30 % and 25 %, entailment is the likeliest
# of three answers, and still it is more likely not true.

# %% [markdown]
# **4.** The share of the hypothesis's *different* words that stand in the premise. Both are lists
# of words, in small letters; the hypothesis has at least one. A word is in the premise as a whole.


# %%
def overlap(premise, hypothesis):
    # BEGIN SOLUTION
    asked = set(hypothesis)
    return len(asked & set(premise)) / len(asked)
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.overlap(overlap)

# %% [markdown] tags=["solution"]
# *Why of the hypothesis's words:* it is the hypothesis that must be covered. A long premise may
# say much else.

# %% [markdown]
# ### Build
#
# **5.** The best accuracy on given pairs that *anybody* can reach who sees only the hypotheses.
# (Each pair is a tuple: premise, hypothesis, label.) It is 1/3 for this course's pairs. Then try
# a data set of your own.


# %%
def best_alone(pairs):
    # BEGIN SOLUTION
    labels_of = {}
    for _, hypothesis, label in pairs:
        labels_of.setdefault(hypothesis, []).append(label)
    return sum(max(map(found.count, found)) for found in labels_of.values()) / len(pairs)
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.best_alone(best_alone)

# %% tags=["solution", "nbval-check-output"]
for name, pairs in {"ours": test, "careless": careless(test)}.items():
    triples = [(pair.premise, pair.hypothesis, pair.label) for pair in pairs]
    print(f"{name:9} at most {best_alone(triples):.1%}")

# %% [markdown] tags=["solution"]
# *Why:* who sees only the hypothesis says the same each time it comes; the best is its most
# frequent label. It is an upper limit: where each hypothesis occurs once, as in most data sets,
# it is 100 % and says nothing; then only a trained guesser tells.

# %% [markdown]
# **6.** Leaks: `train` and `test` are lists of (premise, hypothesis, label). Return all sentences
# that stand in both, no matter in which column, each once, sorted.


# %%
def in_both(train, test):
    # BEGIN SOLUTION
    ours, theirs = ({text for pair in pairs for text in pair[:2]} for pairs in (train, test))
    return sorted(ours & theirs)
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.in_both(in_both)

# %% [markdown] tags=["solution"]
# *Why both columns:* who has seen a sentence as a premise knows it also as a hypothesis.

# %% [markdown]
# **7.** (To write.) Is *unknown* the same as "I am not sure"? Find, with the picture of
# section 10, a pair for which *neutral* is right and the model is sure of it, and one on which it
# wavers. What would you have to change in data and model so that it could also say "I am not
# sure"?

# %% [markdown] tags=["solution"]
# *A model answer.* No. *Neutral* is a statement about the two sentences: the premise leaves the
# hypothesis open, and one may be certain of that. "I am not sure" is a statement about the model:
# its probability is spread over several answers, in the middle of the triangle. A model can be
# sure of *neutral* (near the third corner) and unsure between *true* and *false* (on the side
# between those two, with little *neutral*). To let it say so, the data need no fourth label; one
# sets a threshold on the largest probability, checks on held-out pairs that above it the model is
# right as often as it claims, and lets it be silent below.
