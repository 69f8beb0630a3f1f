# %% [markdown]
# # 08 · Classification
#
# **How does BERT give one answer for a whole text?**
#
# *I ought to have given up on this novel.* Is this praise or complaint?
# [**Fine-tuning**](../docs/glossary.md#using-it) puts a small new head on the pretrained model, and
# trains both on examples with their answers.
#
# **Afterwards you can**
# - say which numbers of a classifier are new, and compute an answer by hand;
# - fine-tune a classifier, and judge it beside baselines, on new sentences;
# - find out what a word does in a text;
# - compare three ways to make one vector of a sentence.
#
# **You need** lessons 01, 05 and 06. No internet connection.
#
# **Time** about 60 minutes to work through; about a minute and a half of CPU time.
#
# **In the paper** Devlin et al. 2019 (arXiv:1810.04805), §4.1 and appendix A.3.

# %%
from dataclasses import replace
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import torch

import bertedu
from bertedu.classroom import checks
from bertedu.classroom.figures import COLORS, STYLE, diagram, four_cases, outline_intervals
from bertedu.data import SENTIMENT
from bertedu.finetuning.classification import Classification, read

# %% tags=["nbval-check-output"]
plt.style.use(STYLE)
bert = bertedu.load()
tokenizer = bert.tokenizer
print(bert)

# %% [markdown]
# ## 1. One answer for a whole text
#
# The lecture notes have four cases of fine-tuning, with the same BERT. The heads differ, and the
# outputs that they read. H is the size of an output vector.

# %%
four_cases()

# %% [markdown]
# This lesson is about **case 1**: a single sentence in, a class out. BERT's vector for `[CLS]` goes
# through a [**linear classifier**](../docs/glossary.md#using-it), which begins with random numbers.

# %%
words = ("[CLS]", "such", "a", "lovely", "film", "[SEP]")
boxes = {"BERT": (0.1, 0.85, 7.3, 0.5, "attention"),
         "pooler\nH → H, tanh": (0.1, 1.75, 1.35, 0.6, "heads"),
         "linear classifier\nH → K": (1.95, 1.75, 1.6, 0.6, "heads"),
         "softmax": (4.05, 1.75, 1.0, 0.6, "norm"),
         "p(negative)\np(positive)": (5.55, 1.75, 1.6, 0.6, "text")}  # fmt: skip
for i, word in enumerate(words):
    boxes[word] = (0.27 + 1.2 * i, 0.1, 1.0, 0.45, "text")
way = ["BERT", "pooler", "linear classifier", "softmax", "p(negative)"]
diagram(boxes, [(word, "BERT") for word in words] + [*pairwise(way)], size=(7.5, 2.5))

# %% [markdown]
# The **pooler** is a dense layer with a tanh, trained in pretraining by next sentence prediction
# (lesson 07).
#
# **Predict:** how many parameters does the classifier have, for two classes and H = 384?

# %% tags=["nbval-check-output"]
# BEGIN SOLUTION
parameters_guessed = 770
# END SOLUTION
H, K = bert.config.hidden_size, 2
new_model = Classification(labels=("negative", "positive")).head(bert.config)
sizes = {name: p.numel() for name, p in new_model.named_parameters()}
del new_model  # only its sizes are needed
head = sum(size for name, size in sizes.items() if name.startswith("classifier"))
checks.guess(parameters_guessed, head, "parameters")

# %% tags=["nbval-check-output"]
pooler = sum(size for name, size in sizes.items() if name.startswith("bert.pooler"))
print(f"classifier: {head:,} new parameters; pooler: {pooler:,} pretrained parameters")
share = head / sum(sizes.values())
print(f"the whole model has {sum(sizes.values()):,} parameters; {share:.4%} of them are new")
assert share < 1e-4

# %% [markdown]
# A row of H weights and a bias for each class: 2 · 384 + 2. The paper says: "The only new
# parameters introduced during fine-tuning are classification layer weights", K × H of them. (The
# biases are in its code.)

# %%
assert head == K * H + K
assert pooler == H * H + H

# %% [markdown]
# ## 2. The data, and what one gets without reading
#
# The course's sentences are each for or against something.

# %% tags=["nbval-check-output"]
NAMES = {"0": "negative", "1": "positive"}


def sentences(name):
    return [replace(e, label=NAMES[e.label]) for e in read(SENTIMENT / f"{name}.tsv")]


train, dev, test = (sentences(name) for name in ("train", "dev", "test"))
for name, part in {"train": train, "dev": dev, "test": test}.items():
    tokens = [len(tokenizer.encode(example.text)) for example in part]
    positive = sum(example.label == "positive" for example in part)
    print(f"{name:6}{len(part):4} sentences, {positive} positive, "
          f"{min(tokens)} to {max(tokens)} tokens each")  # fmt: skip
    assert positive == len(part) / 2

# %% tags=["nbval-check-output"]
for e in train[:6]:
    print(f"{e.label:9} {e.text}")

# %% [markdown]
# The model learns from *train*. We choose settings, and when to stop, by *dev*. We judge by *test*,
# and choose nothing by it.
#
# Two **baselines**. What [**accuracy**](../docs/glossary.md#using-it), the share of correct
# answers, does each get?
#
# - **majority** always says the more frequent class;
# - [**bag of words**](../docs/glossary.md#using-it) is a logistic regression on the counts of the
#   tokens.
#
# **Predict** both, on the test sentences, in percent.

# %%
from bertedu.finetuning.baselines import BagOfWords, majority

texts, labels = ([getattr(e, field) for e in train] for field in ("text", "label"))
bag = BagOfWords.fit(texts, labels, tokenizer)
gold = np.array([example.label for example in test])
always = majority(labels)
from_bag = np.array([answer.label for answer in bag.predict([e.text for e in test])])
baselines = {"majority": gold == always, "bag of words": gold == from_bag}
for name, correct in baselines.items():
    print(f"{name:13} accuracy on test {correct.mean():.1%}")
assert baselines["majority"].mean() == 0.5
assert 0.5 < baselines["bag of words"].mean() < 0.85

# %%
for_positive = bag.weight[:-1, 1] - bag.weight[:-1, 0]  # [V]; the last row is the bias
order = for_positive.argsort()
print("for positive:", *(tokenizer.tokens[i] for i in order.flip(0)[:14]))
print("for negative:", *(tokenizer.tokens[i] for i in order[:14]))
assert for_positive[order[0]] < 0 < for_positive[order[-1]]

# %% [markdown]
# Many of these words say nothing for or against, and a count does not see their order.
#
# ## 3. One sentence, down to the numbers
#
# One sentence, by hand, through the pretrained encoder and a fresh head. Two dot products give the
# [**logits**](../docs/glossary.md#pretraining).
#
# **Predict** the loss in nats.

# %%
from bertedu.finetuning import FinetuningRecipe, FinetuningRun, finetune

recipe = FinetuningRecipe(
    epochs=3, batch_size=16, learning_rate=3e-4, freeze_layers=3, max_length=40)  # fmt: skip
run = FinetuningRun(Classification(), bert, train, dev, recipe=recipe)
model = run.model.eval()
example = train[1]
batch = bertedu.collate([tokenizer.encode(example.text)])
with torch.inference_mode():
    cls = model.bert(**batch).last_hidden_state[0, 0]  # [H], the first output
print(example)

# %%
dense, classifier = model.bert.pooler.dense, model.classifier
with torch.inference_mode():
    pooled = torch.tanh(dense.weight @ cls + dense.bias)  # [H]
    logits = classifier.weight @ pooled + classifier.bias  # [K]
probabilities = logits.exp() / logits.exp().sum()
for label, logit, p in zip(run.task.labels, logits, probabilities, strict=True):
    print(f"{label:9} logit {logit:+.3f}   probability {p:.1%}")
truth = run.task.labels.index(example.label)
loss = -probabilities[truth].log()
print(f"loss {loss:.3f} nats; log 2 = {np.log(2):.3f}")

# %%
with torch.inference_mode():
    output = model(**batch, labels=torch.tensor([truth]))
assert torch.allclose(output.logits[0], logits, atol=1e-4), "`run` was trained: make it again"
assert abs(float(output.loss - loss)) < 1e-4
assert abs(float(loss) - np.log(2)) < 0.35

# %% [markdown]
# A fresh head gives the classes about equal probabilities, so its loss begins near log K. If your
# own run begins far above it, look for a mistake.
#
# ## 4. Watch it learn
#
# A **recipe** holds the settings of a run. The paper's are batches of 16 or 32, learning rates of
# 2e-5 to 5e-5, and 2 to 4 epochs. Ours is 3e-4. **Do not copy this to BERT-base**: it is six times
# the paper's largest. `freeze_layers` leaves the embeddings and the three lowest layers as they
# are, which saves time.

# %% tags=["nbval-check-output"]
trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
print(f"{run.steps} steps of {recipe.batch_size} sentences at most, {recipe.epochs} epochs")
print(f"{trained:,} of {sum(sizes.values()):,} numbers are trained")
assert 0.2 < trained / sum(sizes.values()) < 0.3

# %%
print(f"on this machine it will take about {run.estimate():.0f} s")

# %% [markdown]
# **Predict:** in which epoch does the accuracy on *dev* rise most?


# %%
def learn(run):
    reports = []
    for report in run:
        reports.append(report)
        if report.metrics:
            recent = np.mean([r.loss for r in reports if r.epoch == report.epoch])
            print(f"epoch {report.epoch + 1}: loss {recent:.2f} nats, "
                  f"accuracy on dev {report.metrics['accuracy']:.1%}", flush=True)  # fmt: skip
    return reports


reports = learn(run)
tuned = run.finetuned  # the best state on dev
print(f"{sum(r.seconds for r in reports):.0f} s")

# %%
figure, (left, right_side) = plt.subplots(1, 2, figsize=(7.5, 2.9))
left.plot([r.loss for r in reports])
left.axhline(np.log(2), color=COLORS["ink"], linestyle="--", linewidth=1)
left.set(xlabel="step (dashed: log 2)", ylabel="nats", title="Loss on training batches")
looked = [report for report in reports if report.metrics]
scores = [report.metrics["accuracy"] for report in looked]
right_side.plot(
    [r.step + 1 for r in looked], [100 * s for s in scores], "o-", color=COLORS["other"]
)
right_side.set(xlabel="step", ylabel="accuracy, %", ylim=(40, 100), title="Accuracy on dev")
epoch_loss = [np.mean([r.loss for r in reports if r.epoch == e]) for e in range(recipe.epochs)]
assert epoch_loss[-1] < epoch_loss[0] - 0.1
assert max(scores) == tuned.metrics["accuracy"]

# %% [markdown]
# The left curve goes on falling where the accuracy on *dev* no longer rises: a sign of
# [**overfitting**](../docs/glossary.md#using-it). The state with the best accuracy on *dev* is
# kept: a simple form of [**early stopping**](../docs/glossary.md#using-it).
#
# ## 5. Why it is still weak
#
# **How sure is a percentage?** With 120 sentences, each is 100/120 = 0.8 points, and other
# sentences would give another accuracy. We draw 120 of the 120{=positive}, with repetition, many
# times, and report where 95 % of the results lie: a [**confidence
# interval**](../docs/glossary.md#using-it) (by the *bootstrap* of lesson 03).


# %%
def right_answers(model, examples=test):
    answers = model.predict([example.text for example in examples])
    return np.array([a.label == e.label for a, e in zip(answers, examples, strict=True)])


def interval(correct, draws=2000):
    """Where 95 % of the means lie, of numbers [runs, N] drawn again over runs and sentences."""
    correct = np.atleast_2d(correct).astype(float)
    rng = np.random.default_rng(0)
    runs = rng.integers(len(correct), size=(draws, len(correct), 1))
    rows = rng.integers(correct.shape[1], size=(draws, 1, correct.shape[1]))
    return np.percentile(correct[runs, rows].mean(axis=(1, 2)), [2.5, 97.5])


right = baselines | {"pretrained": right_answers(tuned)}
low, high = interval(right["pretrained"])
print(f"accuracy on test {right['pretrained'].mean():.1%}, 95 % of draws: {low:.1%} to {high:.1%}")
assert right["pretrained"].mean() > 0.55

# %% [markdown]
# Are 420 sentences too few? We fit a *probe* (lesson 07) with fewer and more of them: a ridge
# regression on the mean of the frozen outputs.
#
# **Predict:** at how many sentences does its curve become flat?


# %%
@torch.inference_mode()
def pooled_outputs(encoder, examples):
    if len(examples) > 100:  # in parts, for little memory
        parts = [
            pooled_outputs(encoder, examples[i : i + 100]) for i in range(0, len(examples), 100)
        ]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    batch = bertedu.collate([tokenizer.encode(example.text) for example in examples])
    output = encoder(**batch)
    real = batch["attention_mask"][:, :, None]  # [N, S, 1]
    states = output.last_hidden_state * real  # [N, S, H], zeros at the padding
    filled = torch.nn.functional.pad(states, (0, 0, 0, 32 - states.shape[1]))
    return {"[CLS]": states[:, 0], "pooler": output.pooler_output,
            "mean": states.sum(1) / real.sum(1), "concatenation": filled.flatten(1)}  # fmt: skip


# %%
def probe(x, y, dev, test):
    """For which test sentences a ridge regression is correct, bool [M]; dev chooses its penalty."""
    mean, std = x.mean(0), x.std(0) + 1e-6
    x, dev, test = ((part - mean) / std for part in (x, dev, test))
    products, found = x @ x.T, []
    for penalty in (0.1, 1, 10):
        ridge = penalty * x.shape[1] * torch.eye(len(x))
        weights = x.T @ torch.linalg.solve(products + ridge, y)  # [D]
        right_on_dev = (dev @ weights * y_dev > 0).float().mean()
        found.append((float(right_on_dev), test @ weights))
    _, scores = max(found, key=lambda pair: pair[0])
    return (scores * y_test > 0).numpy()


# %%
parts = (train, dev, test)
vectors = [pooled_outputs(bert.model.bert, part) for part in parts]
y_train, y_dev, y_test = (
    torch.tensor([1.0 if example.label == "positive" else -1.0 for example in part])
    for part in parts
)
x, x_dev, x_test = (part["mean"] for part in vectors)
sizes_tried, curve = (20, 50, 100, 200, 420), []
for size in sizes_tried:
    drawn = np.random.default_rng(0)
    rows = [torch.from_numpy(drawn.permutation(len(train))[:size]) for _ in range(20)]
    curve.append(np.mean([probe(x[r], y_train[r], x_dev, x_test).mean() for r in rows]))

# %%
figure, axes = plt.subplots(figsize=(7.5, 2.6))
axes.plot(sizes_tried, [100 * share for share in curve], "o-")
axes.axhline(50, color=COLORS["ink"], linestyle="--", linewidth=1)
axes.set(xscale="log", ylim=(45, 75), ylabel="accuracy on test, %")
axes.set_xticks(sizes_tried, [str(size) for size in sizes_tried], minor=False)
axes.minorticks_off()
axes.set_xlabel("training sentences (dashed: by chance; each point: the mean of 20 draws)")
axes.set_title("A probe on frozen outputs, fitted to more and more sentences")
print(*(f"{size}: {share:.1%}" for size, share in zip(sizes_tried, curve, strict=True)))
assert curve[-1] > curve[1] + 0.02

# %% [markdown]
# The probe's curve still rises at its end, so more **data** may help. Read the fine-tuned model's
# surest mistakes:

# %%
import re

answers = tuned.predict([example.text for example in test])
trust = np.array([max(a.probabilities.values()) for a in answers])
wrong = [i for i in np.argsort(-trust) if answers[i].label != test[i].label]
print(f"The model is wrong on {len(wrong)} of {len(test)} test sentences. The surest mistakes:")
for i in wrong[:8]:
    print(f"said {answers[i].label} ({trust[i]:.1%}), it is {test[i].label}: {test[i].text}")
met = {word for e in train for word in re.findall(r"\w+", e.text.lower())}
words_of_test = [word for e in test for word in re.findall(r"\w+", e.text.lower())]
new = np.mean([word not in met for word in words_of_test])
print(f"\n{new:.0%} of the words in the test sentences occur in no training sentence")
assert new > 0.2

# %% [markdown]
# Our guess: one must know what is good and bad about a perfume or a washing machine. No training
# sentence names either.
#
# ### Deeper: a pattern in the mistakes?
#
# **Count** before you believe in a pattern. Four candidates:

# %%
NEGATION = re.compile(r"\b(not?|never|nobody|nothing|none|neither|nor|hardly|without|n't|cannot)\b")
CONTRAST = re.compile(r"\b(but|although|though|yet|however|despite|until|while|unless)\b|;")
text = [example.text.lower() for example in test]
suspects = {
    "with a negation": np.array([bool(NEGATION.search(t)) for t in text]),
    "with a contrast": np.array([bool(CONTRAST.search(t)) for t in text]),
    "longer than 13 words": np.array([len(t.split()) > 13 for t in text]),
    "bag of words is wrong": ~right["bag of words"],
}

# %%
errors, rng = ~right["pretrained"], np.random.default_rng(0)
print(f"{'the sentences':24}{'number':>8}{'errors':>8}{'of others':>11}{'by chance':>11}")
for name, has in suspects.items():
    gap = errors[has].mean() - errors[~has].mean()
    groups = [rng.permutation(has) for _ in range(2000)]  # as many sentences, drawn blindly
    gaps = np.array([errors[group].mean() - errors[~group].mean() for group in groups])
    by_chance = (np.abs(gaps) >= abs(gap) - 1e-9).mean()
    told = "not proved" if by_chance > 0.05 else "more errors" if gap > 0 else "fewer errors"
    print(f"{name:24}{has.sum():8}{errors[has].mean():8.1%}{errors[~has].mean():11.1%}"
          f"{by_chance:11.1%}  {told}")  # fmt: skip

# %%
sure = trust > np.median(trust)
print(f"errors among the surer half: {errors[sure].mean():.1%}, "
      f"among the less sure half: {errors[~sure].mean():.1%}")  # fmt: skip
assert errors[sure].mean() < errors[~sure].mean()
assert trust[errors].max() > 0.8

# %% [markdown]
# *By chance* is the share of random groups of the same size with at least as large a gap. Three
# candidates are not proved. (Whoever tries twenty can expect one below 5 %, by chance alone.) The
# model is wrong more often where the bag of words is wrong, and where it is less sure. But some of
# its sure answers are wrong.
#
# ## 6. The graduate
#
# The same head on the same checkpoint, after a hundred times as many texts: on films and products,
# and daily talk. Its card in `bertedu/graduates` names the data. Only the head, the pooler and
# small updates of other matrices (an *adapter*) were trained.
#
# **Predict** its accuracy on the 20{=plain} plain sentences below, and that of the first model.

# %%
graduate = bertedu.finetuning.load("sentiment")
plain = {
    "What a lovely film!": "positive", "The film was far too long.": "negative",
    "The food was delicious.": "positive", "The soup was cold and had no taste.": "negative",
    "I laughed from the first minute to the last.": "positive",
    "I fell asleep in the middle of the film.": "negative",
    "Our room was clean and quiet.": "positive",
    "Our room was dirty and smelled of smoke.": "negative",
    "I really like this phone.": "positive", "My new phone broke after two days.": "negative",
    "I have never had a better pizza.": "positive", "I will never eat here again.": "negative",
    "We had a great time at the beach.": "positive",
    "We had an awful time at the airport.": "negative",
    "I passed my exam!": "positive", "I failed the exam and cried all day.": "negative",
    "My teacher explains everything so well.": "positive",
    "The lesson was boring and nobody listened.": "negative",
    "Thank you for the beautiful flowers.": "positive",
    "Nobody said thank you for all my work.": "negative",
}  # fmt: skip
verdicts = {"first model": tuned.predict(list(plain)), "graduate": graduate.predict(list(plain))}

# %%
print(f"{'':46}{'first model':>15}{'graduate':>15}")
for sentence, *both in zip(plain, *verdicts.values(), strict=True):
    said = [f"{a.label} {a.probabilities[a.label]:.0%}" for a in both]
    print(f"{sentence:46}{said[0]:>15}{said[1]:>15}")
for name, found in verdicts.items():
    share = np.mean([a.label == label for a, label in zip(found, plain.values(), strict=True)])
    print(f"{name}: accuracy {share:.0%} on {len(plain)} sentences")
assert share >= 0.85

# %% [markdown]
# **Try it with your own words.** The picture asks the graduate, and asks it again *without* each
# word. For example: *The soup was not bad at all.*
#
# With a click (a link with ▸ sets the picture, and one more click sets it back):
# [without *rude*](#TextClassifier?word=rude
# "negative 5.4 % instead of 91.9 %") the sentence is *negative* with 5.4 % instead of 91.9 %;
# [without *good*](#TextClassifier?word=good
# "negative 99.2 % instead of 91.9 %") with 99.2 %; and
# [without *but*](#TextClassifier?word=but
# "negative 67.7 % instead of 91.9 %") with 67.7 %.
# [For *positive*](#TextClassifier?label=positive
# "Most for “positive”: “good” +7.3") *good* adds most, 7.3 points.
# [Attention](#TextClassifier?attention=on
# "rank correlation 0.35") orders the words otherwise: the rank correlation is 0.35.

# %%
from bertedu.widgets import TextClassifier

TextClassifier(graduate, "The food was good, but the waiter was rude.")

# %% [markdown]
# ### What pretraining buys, and what data buys
#
# The same head, recipe and sentences, but **random weights** at the start. Two tests: the course's
# 120{=positive} sentences, and the 20{=plain} plain ones.
#
# **Predict** the accuracy of the random start on the 120, and the graduate's.

# %%
random_run = FinetuningRun(Classification(), bert.config, train, dev, recipe=recipe)
learn(random_run)
models = {"bag of words": bag, "random weights": random_run.finetuned,
          "pretrained": tuned, "graduate": graduate}  # fmt: skip
del random_run  # its model would stay in memory
right.update({name: right_answers(model) for name, model in models.items()})
on_plain = {"majority": 0.5} | {
    name: np.mean([answer.label == label for answer, label in
                   zip(model.predict(list(plain)), plain.values(), strict=True)])
    for name, model in models.items()
}  # fmt: skip

# %%
bands = {name: interval(right[name]) for name in on_plain}
print(f"{'':16}{'test sentences':>15}{'95 % of draws':>18}{'plain sentences':>18}")
for name, (low, high) in bands.items():
    print(f"{name:16}{right[name].mean():15.1%}{low:10.1%} to {high:.1%}{on_plain[name]:17.0%}")
for one, other in (("pretrained", "random weights"), ("pretrained", "bag of words"),
                   ("graduate", "bag of words"), ("graduate", "pretrained")):  # fmt: skip
    gain = right[one].astype(float) - right[other]
    low, high = interval(gain)
    print(f"{one} minus {other}: {100 * gain.mean():+.1f} points "
          f"(95 %: {100 * low:+.1f} to {100 * high:+.1f}): "
          f"{'a gain is shown' if low > 0 else 'no gain is shown'}")  # fmt: skip
assert right["pretrained"].mean() > right["random weights"].mean() + 0.05
assert right["graduate"].mean() > 0.55
assert on_plain["graduate"] > on_plain["pretrained"]

# %%
figure, axes = plt.subplots(figsize=(7.5, 2.8))
heights = np.array([100 * right[name].mean() for name in bands])
spans = np.abs(100 * np.array(list(bands.values())).T - heights)
kinds = ["baseline"] * 3 + ["own", "graduate"]
bars = axes.barh(list(bands), heights, xerr=spans, capsize=4,
                 color=[COLORS[kind] for kind in kinds])  # fmt: skip
outline_intervals(bars)
axes.plot([100 * share for share in on_plain.values()], list(bands), "D", color=COLORS["other"])
axes.axvline(50, color=COLORS["ink"], linestyle="--", linewidth=1)
axes.set(xlim=(0, 100), xlabel="accuracy, %: bars, test (lines: 95 %); diamonds, plain sentences")
axes.set_title("Without BERT, from random weights, pretrained, after real data")
axes.invert_yaxis()

# %% [markdown]
# From random weights this run stays near a coin. But where the interval of a difference reaches 0,
# these 120 sentences do not prove that one model is better.
#
# **What did the data buy?** On the 20{=plain} plain sentences the graduate is ahead, but 20{=plain}
# are too few for a proof. The course's sentences are harder: negation, contrast and irony are
# frequent. There the graduate, which learned from none of them, has about the accuracy of the model
# that learned from 420{=positive} of them.
#
# ## 7. Take a word away
#
# Which word made the model give its answer? Ask again **without** the word. If the probability of
# the class falls, the word spoke for the class in this text. In the picture above, type *The soup
# was not bad.* and click *not*; switch *attention* on to compare.
#
# Does the attention show the same? **Predict:** in how many of 40 test sentences is the word that
# `[CLS]` looks at most in the last layer also the word whose removal changes the graduate's answer
# most?


# %%
def effects(text):
    """What leaving out each word does to the probability of "positive" [W]."""
    words = text.split()
    versions = [text, *(" ".join(words[:i] + words[i + 1 :]) for i in range(len(words)))]
    p = np.array([answer.probabilities["positive"] for answer in graduate.predict(versions)])
    return p[0] - p[1:]


# %%
@torch.inference_mode()
def seen_from_cls(model, text):
    """[CLS]'s attention to each word [W] in the last layer, the mean over the heads."""
    encoding = tokenizer.encode(text)
    probs = model(**bertedu.collate([encoding]), output_attentions=True).attention_probs[-1]
    shares = np.zeros(len(text.split()))
    places = [text[:left].count(" ") for left, _ in encoding.offsets[1:-1]]
    np.add.at(shares, places, probs[0, :, 0, 1:-1].mean(0).numpy())  # a word's pieces together
    return shares


# %%
asked = [example.text for example in test[:40]]
does = [np.abs(effects(text)) for text in asked]
looks = [seen_from_cls(graduate.model.bert, text) for text in asked]
same = np.array([d.argmax() == s.argmax() for d, s in zip(does, looks, strict=True)])
chance = np.mean([1 / len(d) for d in does])
low, high = interval(same)
print(f"the two words are the same in {same.mean():.1%} of {len(asked)} sentences "
      f"(95 %: {low:.1%} to {high:.1%}); by chance in {chance:.1%}")  # fmt: skip
lost = np.mean([d[s.argmax()] / d.max() for d, s in zip(does, looks, strict=True)])
print(f"on average, the word looked at most has {lost:.0%} of the largest effect")
assert chance < low < same.mean() < 0.7

# %% [markdown]
# More often than by chance, but in many of the 40{=asked} sentences the two words differ. Removal
# has faults as well: "the was good" is no sentence, and if two words do the same, removing one may
# change little.
#
# ## 8. A claim, put to the test
#
# The lecture notes say: *in self-attention a word attends most to itself. `[CLS]` has no meaning of
# its own, so no single word dominates it, and therefore one classifies from it. One may also pool
# all outputs instead: their mean, or all of them concatenated.*
#
# Lesson 05 measured the first part. Does a single word dominate what `[CLS]` takes in?

# %%
dominance = {}
for name, encoder in {"pretrained": bert.model.bert, "fine-tuned": graduate.model.bert}.items():
    shares = [seen_from_cls(encoder, text) for text in asked]
    to_words = np.mean([s.sum() for s in shares])
    largest = np.mean([s.max() / s.sum() for s in shares])
    even = np.mean([1 / len(s) for s in shares])
    assert 2 * even < largest < 0.6
    dominance[name] = to_words, largest, even
assert dominance["fine-tuned"][1] > dominance["pretrained"][1] - 0.02

# %% [markdown]
# Then we classify from three different vectors of a sentence (three kinds of
# [**pooling**](../docs/glossary.md#using-it)):
#
# | pooling | what the classifier sees | its weights, K = 2{=K} |
# |:--|:--|--:|
# | `[CLS]` | the first output, through the pooler | 2 · 384 |
# | mean | the mean of all outputs, padding left out | 2 · 384 |
# | concatenation | 32{=counted} outputs, one after the other; zeros for fewer | 2 · 32 · 384 |

# %%
counted = {}
for pooling in ("cls", "mean", "concat"):
    fresh = Classification(labels=("negative", "positive"), pooling=pooling).head(bert.config)
    names = ("classifier.weight", "pooled_classifier.weight")
    counted[pooling] = next(p.numel() for n, p in fresh.named_parameters() if n in names)
del fresh
assert counted == {"cls": 2 * H, "mean": 2 * H, "concat": 2 * 32 * H}

# %% [markdown]
# **Before fine-tuning.** The probe of section 5 on each vector; `[CLS]` is tested before and after
# the pooler. Each is fitted 20{=x_dev} times, on 420 training sentences drawn with repetition.

# %%
rng = np.random.default_rng(0)
frozen = {name: [] for name in vectors[0]}
for _ in range(20):
    rows = torch.from_numpy(rng.integers(len(train), size=len(train)))
    for name, (x, x_dev, x_test) in ((n, [part[n] for part in vectors]) for n in frozen):
        frozen[name].append(probe(x[rows], y_train[rows], x_dev, x_test))
frozen = {name: np.array(correct) for name, correct in frozen.items()}  # [20, 120] each

# %% [markdown]
# **After fine-tuning.** The same short recipe for each pooling, and two seeds: six runs. (A *seed*
# decides the head's first numbers, the order of the sentences, and dropout.) The answers are
# **stored**; `repeat = True` runs them again.
#
# **Predict:** are the three accuracies further apart than before, or closer together?

# %%
repeat = False
quick = replace(recipe, epochs=2, freeze_layers=4, learning_rate=5e-4)
stored = {
    "[CLS]": ("949bff09bf07e22807b16ddbf99f5b", "f3efdf0f5fd963cf9563ec1b55944b"),
    "mean": ("f3efff0f7fd9e69bb7af6dfbd39d3f", "f5bfdf0d5fd9e2c9e7fd6dfbf39f5b"),
    "concatenation": ("dbfffe8fffd9e288a53f2d73d7bf5d", "fff5f76f7fd933dba5df6d37d7152c"),
}


def unpacked(bits):
    return np.unpackbits(np.frombuffer(bytes.fromhex(bits), np.uint8)).astype(bool)


after = {name: np.array([unpacked(bits) for bits in two]) for name, two in stored.items()}
if repeat:
    for name, pooling in {"[CLS]": "cls", "mean": "mean", "concatenation": "concat"}.items():
        task = Classification(pooling=pooling)
        runs = [finetune(task, bert, train, dev, recipe=replace(quick, seed=seed), progress=False)
                for seed in range(2)]  # fmt: skip
        after[name] = np.array([right_answers(one) for one in runs])
        print(f"{name}: fine-tuned twice", flush=True)

# %% [markdown]
# **Compare in pairs.** All poolings are tested on the same sentences, so we take the *difference*
# of two in each draw. If its interval lies on one side of 0, one pooling is better here. If not,
# these data cannot tell.

# %%
compared = {"probe": [("mean", "[CLS]"), ("mean", "pooler"), ("mean", "concatenation")],
            "fine-tuned": [("mean", "[CLS]"), ("mean", "concatenation"),
                           ("[CLS]", "concatenation")]}  # fmt: skip
differences = {}  # [runs, 120] each: +1 where only the first is correct, -1 where only the second
for when, correct in {"probe": frozen, "fine-tuned": after}.items():
    for one, other in compared[when]:
        differences[one, other, when] = correct[one].astype(float) - correct[other]


# %%
def dots(axes, rows):
    """For each (name, numbers [runs, N], color): its runs small, their mean large, its interval."""
    for place, (_, numbers, color) in enumerate(rows):
        axes.plot(100 * numbers.mean(1), [place] * len(numbers), ".", color=color, alpha=0.35)
        axes.plot(100 * interval(numbers), [place] * 2, color=color)
        axes.plot(100 * numbers.mean(), place, "o", color=color)
    axes.set(yticks=range(len(rows)), yticklabels=[name for name, *_ in rows])
    axes.tick_params(axis="y", labelsize=9)
    axes.invert_yaxis()


# %%
accuracy_rows = [(f"{name}, probe", correct, COLORS["own"]) for name, correct in frozen.items()]
accuracy_rows += [(f"{name}, fine-tuned", correct, COLORS["other"])
                  for name, correct in after.items()]  # fmt: skip
color_of = {"probe": COLORS["own"], "fine-tuned": COLORS["other"]}
difference_rows = [
    (f"{one} - {other}\n{when}", numbers, color_of[when])
    for (one, other, when), numbers in differences.items()
]

# %%
figure, panels = plt.subplot_mosaic([["all", "all"], ["pairs", "attention"]],
                                    figsize=(7.5, 6.2), width_ratios=(2, 1))  # fmt: skip
dots(panels["all"], accuracy_rows)
panels["all"].set(xlim=(40, 100), xlabel="accuracy on test, % (small: one run; line: 95 %)")
panels["all"].set_title("Which vector for a sentence?")
dots(panels["pairs"], difference_rows)
panels["pairs"].axvline(0, color=COLORS["ink"], linestyle="--", linewidth=1)
panels["pairs"].set(xlabel="points", title="Differences in accuracy")
panels["attention"].set(ylabel="% (dashed: even share)", title="[CLS]'s attention:\nlargest share")
panels["attention"].axhline(100 * dominance["pretrained"][2], color=COLORS["ink"], linestyle="--")
bars = panels["attention"].bar(list(dominance), [100 * d[1] for d in dominance.values()],
                               color=[COLORS["own"], COLORS["other"]])  # fmt: skip

# %% [markdown]
# **What may one conclude?**
#
# - The best and the worst pooling are eleven points apart before fine-tuning, and twelve after it;
#   `[CLS]` has the lowest accuracy both times.
# - An interval that ends within a few tenths of a point of 0 is hardly a verdict.
# - Compare poolings of the same colour: probe and fine-tuning differ in more than the training.
# - The data are few: 120 sentences, one small model, one recipe and two seeds.
# - **This model is not neutral.** Its encoder began as that of `all-MiniLM-L6-v2` (see the card in
#   `bertedu/checkpoints`), which was trained to make sentence vectors *by the mean*. Our guess:
#   this helps the mean.
# - The notes are partly true: no word has all of `[CLS]`'s attention, but the largest share is
#   several times an even one, and no smaller in the graduate.
#
# <details><summary>Deeper: what others found</summary>
#
# Without training for it, BERT's sentence vectors from the mean compare better than those from
# `[CLS]` (54.8 against 29.2{=source Reimers and Gurevych 2019, Table 1} on average over seven
# sets). Trained for it, the two are about equal (80.8 against 79.8, and 87.4 against 86.6: Reimers
# and Gurevych 2019, arXiv:1908.10084, Tables 1 and 6).
#
# </details>
#
# ### Deeper: the tables behind the picture

# %%
for name, (to_words, largest, even) in dominance.items():
    print(f"{name}: {to_words:.0%} of [CLS]'s attention goes to words; the word with the "
          f"most has {largest:.0%} of it, on average (an even share: {even:.0%})")  # fmt: skip
for name, number in counted.items():
    print(f"pooling {name}: the classifier has {number:,} weights")

# %%
for name, correct in frozen.items():
    low, high = 100 * interval(correct)
    print(f"{name + ', probe':26} accuracy {correct.mean():.1%} (95 %: {low:.1f} to {high:.1f} %)")
for name, correct in after.items():
    runs = " and ".join(f"{one.mean():.1%}" for one in correct)
    print(f"{name + ', fine-tuned':26} accuracy {runs} (two seeds)")

# %%
for (one, other, when), difference in differences.items():
    low, high = 100 * interval(difference)
    lead = max(low, -high)  # from 0 to the nearer end; below 0 where the interval holds 0
    finding = (
        "no difference is shown" if lead <= 0 else "too near 0 to decide" if lead < 0.5
        else f"{one if low > 0 else other} is better"
    )  # fmt: skip
    print(f"{when}: {one} minus {other}: {100 * difference.mean():+.1f} points "
          f"(95 %: {low:+.1f} to {high:+.1f}): {finding}")  # fmt: skip

# %%
for name, correct in after.items():
    before = frozen["pooler" if name == "[CLS]" else name]  # its classifier sits on the pooler
    gain, seeds = 100 * (correct.mean() - before.mean()), 100 * np.ptp(correct.mean(axis=1))
    print(f"{name}: {gain:+.1f} points, fine-tuned minus probe; "
          f"{seeds:.1f} points between the two seeds")  # fmt: skip

# %% [markdown]
# ## 9. Your own data, and the real BERT
#
# These lines work for a file with the columns `sentence` and `label` (.tsv as in GLUE, .csv, or
# .jsonl), or with lines `LABEL text`. Name a file and run the cell.

# %%
my_file = None  # such as "SST-2/train.tsv", or "hub:stanfordnlp/sst2:train" with a network
my_start = "bertedu"  # or "bert-base-uncased", where it can be had (lesson 14)
if my_file is not None:
    mine = read(my_file)
    held_out, learned = mine[::10], [e for i, e in enumerate(mine) if i % 10]
    my_model = finetune(Classification(), my_start, learned, held_out)
    print(my_model)

# %% [markdown]
# The message names a line that cannot be read:

# %% tags=["nbval-check-output"]
import tempfile
from pathlib import Path

from bertedu.commands.cli import main

folder = tempfile.TemporaryDirectory()
faulty = Path(folder.name, "reviews.tsv")
faulty.write_text("sentence\tlabel\nA joy.\t1\nA bore.\n", encoding="utf-8")
try:
    read(faulty)
except bertedu.InputError as error:
    told = str(error).replace(f"{folder.name}/", "")
    print(told)
assert ":3" in told

# %% [markdown]
# On the command line it is two steps:
#
# ```
# bertedu finetune classification reviews.tsv --out my_classifier
# bertedu predict my_classifier "What a lovely film!" "What a waste of time."
# ```
#
# The first holds out a tenth to choose by (or takes `--dev FILE`); `--init bert-base-uncased`
# starts from the real BERT. The second command, here:

# %%
tuned.save(f"{folder.name}/my_classifier")
asked_for = ["What a lovely film!", "What a waste of time."]
for its_name in (f"{folder.name}/my_classifier", "sentiment"):
    assert main(["predict", its_name, *asked_for]) == 0

# %% [markdown]
# The first two answers are those of your model, the others the graduate's.
#
# **And the first sentence of this lesson?**

# %%
opening = "I ought to have given up on this novel."
answer = graduate.predict(opening)
print(f"{answer.label} ({answer.probabilities[answer.label]:.1%}): {opening}")
assert answer.label == "negative"

# %% [markdown]
# It is a complaint: the writer has read on, and regrets it.
#
# ## Recap
#
# - Case 1: `[CLS]`'s output → pooler → linear classifier → softmax. Only the linear classifier is
#   new.
# - Judge on sentences that were used neither to learn nor to choose, beside baselines, with an
#   interval.
# - A curve that still rises at its end suggests more data.
# - Remove a word to see what it does. The attention shows it only in part.
# - Compare poolings in pairs, over several seeds.
#
# **The answer:** A small new matrix turns the pooled vector of `[CLS]` into one answer; baselines,
# test sentences and an interval say how good it is.

# %% [markdown]
# ## Test yourself
#
# Choose an answer: a click opens its explanation.
#
# **1. Which parameters of a classifier for two classes are new?**
#
# <details class="option"><summary>A. All parameters of the model.</summary>
#
# **No.** The encoder and the pooler are pretrained.
#
# </details>
#
# <details class="option"><summary>B. The matrix and the biases of the linear classifier.</summary>
#
# **Yes.** These are 2 · 384 + 2 numbers, less than a ten thousandth of the model.
#
# </details>
#
# <details class="option"><summary>C. The pooler and the linear classifier.</summary>
#
# **No.** The pooler was trained in pretraining, by next sentence prediction.
#
# </details>

# %% [markdown]
# **2. The pretrained model is 5 points better than the bag of words. The 95 % interval of the
# difference goes from -5 to +16. What may you report?**
#
# <details class="option"><summary>A. The pretrained model is better.</summary>
#
# **No.** The interval of the difference contains 0.
#
# </details>
#
# <details class="option"><summary>B. The two models are equally good.</summary>
#
# **No.** The interval also contains a difference of 16 points.
#
# </details>
#
# <details class="option"><summary>C. The bag of words is better.</summary>
#
# **No.** The measured difference points the other way.
#
# </details>
#
# <details class="option"><summary>
# D. These sentences do not show which of the two is better.
# </summary>
#
# **Yes.** An interval on both sides of 0 leaves both possible.
#
# </details>

# %% [markdown]
# **3. How do you find out which word of a text made the model say "negative"?**
#
# <details class="option"><summary>
# A. Ask again without each word, and see how the probability changes.
# </summary>
#
# **Yes.** This measures what the model used in this text.
#
# </details>
#
# <details class="option"><summary>B. Take the word that [CLS] looks at most.</summary>
#
# **No.** In many of our 40{=asked} sentences another word's removal changes the answer most.
#
# </details>
#
# <details class="option"><summary>
# C. Take the word with the largest weight in the bag of words.
# </summary>
#
# **No.** These weights are those of another model.
#
# </details>

# %% [markdown]
# ## Exercises
#
# Replace each `...` by your answer, and run the cell and the next one. `checks.NAME.hint()` gives a
# hint.

# %% [markdown]
# ### Predict
#
# **1.** BERT-base (H = 768) is fine-tuned to sort letters into 5 classes. How many parameters does
# the new classifier on its pooled `[CLS]` have?

# %%
# BEGIN SOLUTION
numbers = 3845
# END SOLUTION

# %% tags=["nbval-check-output"]
checks.numbers_in_head(numbers)

# %% [markdown] tags=["solution"]
# *Why:* 5 · 768 weights and 5 biases. The pooler was pretrained.

# %% [markdown]
# **2.** A fresh head, 4 classes: about how large is the first loss, in nats, with two decimals?

# %%
# BEGIN SOLUTION
first_loss = 1.39
# END SOLUTION

# %% tags=["nbval-check-output"]
checks.loss_of_fresh_head(first_loss)

# %% [markdown] tags=["solution"]
# *Why:* it gives each class about 1/4, and -log(1/4) = log 4 = 1.39.

# %% [markdown]
# ### Complete
#
# **3.** From pooled vectors to probabilities [B, K], for a batch: `pooled` [B, H], `weight` [K, H],
# `bias` [K].


# %%
def class_probabilities(pooled, weight, bias):
    # BEGIN SOLUTION
    return (pooled @ weight.T + bias).softmax(dim=-1)
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.class_probabilities(class_probabilities)

# %% [markdown] tags=["solution"]
# *Why:* one dot product for each class and text, and a softmax over the classes, the last axis.

# %% [markdown]
# **4.** The concatenation: `states` [B, S, H] and `attention_mask` [B, S] to [B, positions · H].
# Put zeros at the padding and where the texts are shorter than `positions`; cut longer ones.


# %%
def concatenated(states, attention_mask, positions):
    # BEGIN SOLUTION
    states = (states * attention_mask[:, :, None])[:, :positions]
    more = positions - states.shape[1]
    return torch.nn.functional.pad(states, (0, 0, 0, more)).flatten(1)
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.concatenated(concatenated)

# %% [markdown] tags=["solution"]
# *Why:* the classifier has a weight for each number at each place, so the places must be the same
# for every text.

# %% [markdown]
# ### Build
#
# **5.** What each word does: given a function `probability(text)` and a text, return for each word
# the probability with the word minus that without it. (Words are what stands between blanks.)


# %%
def word_effects(probability, text):
    # BEGIN SOLUTION
    words = text.split()
    rest = [" ".join(words[:i] + words[i + 1 :]) for i in range(len(words))]
    return [probability(text) - probability(without) for without in rest]
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.word_effects(word_effects)

# %% tags=["solution"]
for text in (test[4].text, test[5].text):
    told = word_effects(lambda t: tuned.predict(t).probabilities["positive"], text)
    print("p(positive) with each word minus p(positive) without it, in points:")
    print(*(f"{word} {100 * effect:+.0f}" for word, effect in zip(text.split(), told, strict=True)))

# %% [markdown] tags=["solution"]
# *Why:* by place, not by word: "so so good" has two different *so*. The same word can have another
# effect in another text.

# %% [markdown]
# **6.** The paired bootstrap of section 8. `right_a` and `right_b` say for each of N sentences
# whether a model is right (bool [N]). `draws` [D, N] holds the numbers of the sentences of each
# draw. Return the two ends (lower, upper) between which 95 % of the differences in accuracy lie, a
# minus b, as `np.percentile` finds them.


# %%
def paired_interval(right_a, right_b, draws):
    # BEGIN SOLUTION
    differences = right_a[draws].mean(axis=1) - right_b[draws].mean(axis=1)  # [D]
    return np.percentile(differences, [2.5, 97.5])
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.paired_interval(paired_interval)

# %% tags=["solution"]
draws = np.random.default_rng(0).integers(len(test), size=(2000, len(test)))
low, high = 100 * paired_interval(right["pretrained"], right["bag of words"], draws)
print(f"accuracy, pretrained minus bag of words: {low:+.1f} to {high:+.1f} points")

# %% [markdown] tags=["solution"]
# *Why:* in each draw both models are judged on the same sentences.

# %% [markdown]
# **7.** (Without a check.) A colleague writes: "We replaced `[CLS]` by the mean and gained 1.7
# points on our 120 test sentences. We recommend the mean." What do you ask, and what would convince
# you?

# %% [markdown] tags=["solution"]
# *A model answer.* 1.7 points are two sentences of 120. How many seeds were run for each? What is
# the interval of the *paired* difference? Was the recipe chosen by dev sentences? Was the encoder
# trained with the mean? Convincing are several seeds each, an interval on one side of 0, and the
# same sign on a second data set.
