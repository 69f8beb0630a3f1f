# %% [markdown]
# # 09 · Slot filling
#
# **How does BERT give one answer for each word?**
#
# *Wake me at half past six on Monday.* What are the time and the day? BERT answers once **for every
# word**.
#
# **Afterwards you can**
# - give each word one label, and say which pieces the loss counts;
# - read BIO tags, see an illegal one, and mend it;
# - judge by whole slots, and say why the accuracy of the tags is misleading;
# - fine-tune a tagger that also names the intent.
#
# **You need** lessons 01, 02 and 06. No internet connection.
#
# **Time** about 60 minutes to work through; two trainings take one to two minutes each.
#
# **In the paper** Devlin et al. 2019 (arXiv:1810.04805), §5.3, which does the same for names; with
# an intent: Chen, Zhuo and Wang 2019 (arXiv:1902.10909).

# %%
import math

import matplotlib.pyplot as plt
import torch

import bertedu
from bertedu.classroom import checks
from bertedu.classroom.figures import COLORS, STYLE, diagram
from bertedu.data import SLOTS
from bertedu.finetuning import SlotFilling, slot_filling

# %% tags=["nbval-check-output"]
plt.style.use(STYLE)
bert = bertedu.load()
tokenizer = bert.tokenizer
train, dev, test = (slot_filling.read(SLOTS / part) for part in ("train", "dev", "test"))
print(f"{len(train)} requests in train, {len(dev)} in dev, {len(test)} in test")

# %% [markdown]
# ## 1. One answer for each word
#
# In the lecture notes this is **case 2**: a single sentence in, a class for each word out
# ([**sequence labelling**](../docs/glossary.md#using-it)). Finding the slots of a request in this
# way is [**slot filling**](../docs/glossary.md#using-it). Each token's vector goes through the same
# **linear classifier**. The notes' example is *arrive Taipei on November 2nd*.

# %%
words = ("arrive", "taipei", "on", "november", "2nd")
word_tags = ("O", "B-place", "O ", "B-date", "I-date")  # the space tells the two boxes apart
boxes = {
    "[CLS]": (0.17, 0.1, 0.9, 0.45, "text"),
    "[SEP]": (6.5, 0.1, 0.9, 0.45, "text"),
    "BERT": (0.1, 0.85, 7.3, 0.45, "attention"),
    "pooler": (0.1, 1.65, 1.05, 0.55, "heads"),
    "intent\nH → N": (0.1, 2.55, 1.05, 0.55, "heads"),
}
arrows = [("[CLS]", "BERT"), ("[SEP]", "BERT"), ("BERT", "pooler"), ("pooler", "intent")]

# %%
word_boxes, word_arrows = {}, []
for i, (word, answer) in enumerate(zip(words, word_tags, strict=True)):
    left, linear = 1.35 + 1.02 * i, " " * i + "linear" + " " * i
    word_boxes |= {word: (left, 0.1, 0.92, 0.45, "text"),
                   f"{linear}\nH → K": (left, 1.65, 0.92, 0.55, "heads"),
                   answer: (left, 2.6, 0.92, 0.45, "group")}  # fmt: skip
    word_arrows += [(word, "BERT"), ("BERT", linear), (linear, answer)]
diagram(boxes | word_boxes, arrows + word_arrows, size=(7.5, 3.2))

# %% [markdown]
# *Taipei* is a place, *November 2nd* a date. These are [**slots**](../docs/glossary.md#using-it).
# Each word has a tag: **B-** where a slot *begins*, **I-** where it goes on (*inside*), **O**
# *outside* of all.
#
# What the request wants, for example to book a table, is its
# [**intent**](../docs/glossary.md#using-it). `[CLS]` answers it, through the pooler and another
# classifier.
#
# **Predict:** this course's requests have 18 kinds of slot and 5 intents. How many different tags
# are there? How many parameters has the tags' classifier, with H = 384?

# %% tags=["nbval-check-output"]
task = SlotFilling().learned_from(train)
K, H, N = len(task.labels), bert.config.hidden_size, len(task.intents)
sizes = {name: p.numel() for name, p in task.head(bert.config).named_parameters()}
head = {part: sum(n for name, n in sizes.items() if name.startswith(part))
        for part in ("classifier", "bert.pooler", "intent_classifier")}  # fmt: skip
print(f"{K} tags, for example", *task.labels[:5])
print(f"{N} intents:", *task.intents)
print(f"tags: {H} * {K} + {K} = {head['classifier']:,} parameters")
print(f"intents: {H} * {N} + {N} = {head['intent_classifier']:,}, behind the pooler's "
      f"{head['bert.pooler']:,}")  # fmt: skip

# %% [markdown]
# B- and I- for each kind of slot, and O.

# %% tags=["nbval-check-output"]
share = head["classifier"] / sum(sizes.values())
print(f"the tags' classifier is {share:.2%} of the model")
assert (K, head["classifier"]) == (2 * 18 + 1, H * K + K)
assert (head["intent_classifier"], head["bert.pooler"]) == (H * N + N, H * H + H)
assert share < 0.001

# %% [markdown]
# ## 2. Look at the data
#
# Most values in the test requests do not occur in training.

# %% tags=["nbval-check-output"]
for name, part in {"train": train, "dev": dev, "test": test}.items():
    number = sum(len(example.words) for example in part)
    slots = sum(len(example.slots) for example in part)
    print(f"{name:6}{len(part):4} requests {number:6,} words {slots:5} slots")
for intent in task.intents:
    example = next(e for e in train if e.intent == intent and len(e.slots) >= 2)
    print(f"\n{intent}: {example.text}")
    print("   " + "; ".join(f"{slot.label} = {slot.text}" for slot in example.slots))

# %%
from collections import Counter

counts = Counter(slot.label for example in train for slot in example.slots)
figure, axes = plt.subplots(figsize=(7.5, 3.8))
bars = axes.barh(*zip(*reversed(counts.most_common()), strict=True))
axes.bar_label(bars, padding=3, fontsize=9)
axes.set(xticks=[], title=f"{counts.total()} slots in {len(train)} requests, very unequal")
axes.tick_params(axis="y", labelsize=9)
assert max(counts.values()) > 10 * min(counts.values())

# %% [markdown]
# Two baselines. The first says O for every word. The second gives each word its most frequent tag
# in training, and O to unknown words.

# %%
from bertedu.finetuning.baselines import UsualTags

gold = [list(example.tags) for example in test]
all_outside = [["O"] * len(tags) for tags in gold]
usual = UsualTags.fit(train).predict(test)


def tag_accuracy(found):
    pairs = [(a, b) for row in zip(gold, found, strict=True) for a, b in zip(*row, strict=True)]
    return sum(a == b for a, b in pairs) / len(pairs)


# %% [markdown]
# **Predict** the accuracy of the first one's tags, in percent.

# %% tags=["nbval-check-output"]
# BEGIN SOLUTION
outside_guessed = 30
# END SOLUTION
checks.guess(outside_guessed, 100 * tag_accuracy(all_outside), "%", within=5)

# %% tags=["nbval-check-output"]
print(f"always O:            {tag_accuracy(all_outside):.1%} of the tags are correct")
print(f"a word's usual tag:  {tag_accuracy(usual):.1%} of the tags are correct")

# %% [markdown]
# More than half of its tags are correct, and *always O* has found *no* slot.

# %%
assert tag_accuracy(usual) > tag_accuracy(all_outside) > 0.5

# %% [markdown]
# ## 3. Words, pieces, labels
#
# The labels belong to *words*. BERT reads *pieces* (lesson 01).
#
# **Predict:** the request below has 7 words. How many tokens will it have, and how many labels?

# %% tags=["nbval-check-output"]
request = next(e for e in train if {"yesterday", "whistles"} <= set(e.words))
[feature] = task.features(request, tokenizer, max_length=64)
positions = slot_filling.pieces_of(request, feature.encoding)
word_at = {p: w for w, of_word in enumerate(positions) for p in of_word}
piece_labels = feature.labels["labels"]
print("token       word       its tag    label")
for p, token in enumerate(feature.encoding.tokens):
    w = word_at.get(p)
    word, tag = ("-", "-") if w is None else (request.words[w], request.tags[w])
    asked = "" if piece_labels[p] < 0 else task.labels[piece_labels[p]]
    print(f"{token:11} {word:10} {tag:10} {piece_labels[p]:5}  {asked}")
tags_of = {t for e in train for w, t in zip(e.words, e.tags, strict=True) if w == "yesterday"}
assert tags_of == {"B-song", "B-date"}

# %% [markdown]
# The **first piece** of each word has the word's label. All other pieces, `[CLS]` and `[SEP]` have
# **-100**: the loss leaves them out. (The first piece can still *look at* them.)
#
# *Yesterday* is a song here, and a day elsewhere. The table has one tag for both.

# %%
assert int((piece_labels != -100).sum()) == len(request.words) == 7
assert len(piece_labels) == 10

# %% [markdown]
# Why not give the label to each piece of the word?

# %% tags=["nbval-check-output"]
early = next(e for e in train if "6:45" in e.words)
[feature] = task.features(early, tokenizer, max_length=64)
split = slot_filling.pieces_of(early, feature.encoding)
for tag, of_word in zip(early.tags, split, strict=True):
    if tag != "O" and len(of_word) > 1:
        print(tag, "for each of:", *(feature.encoding.tokens[p] for p in of_word))
begun, copied = 0, 0
for example in train:
    [feature] = task.features(example, tokenizer, max_length=64)
    pieces = slot_filling.pieces_of(example, feature.encoding)
    begins = [len(p) for p, tag in zip(pieces, example.tags, strict=True) if tag[0] == "B"]
    begun, copied = begun + len(begins), copied + sum(begins)
print(f"{begun} slots would become {copied}")
assert copied > 1.05 * begun

# %% [markdown]
# B- means that a slot *begins here*, so this one time would become three slots. (In exhibit 22 of
# lesson 13 a program does this.)
#
# ## 4. Count whole slots
#
# **Decoding.** The classifier answers for each word separately. It may say I- where there is
# nothing to continue: after an O, or after a slot with another label. Such an [**illegal
# I-**](../docs/glossary.md#using-it) is read as a B-, as in the old program `conlleval`.
#
# **Predict** the slots in these tags:

# %% tags=["nbval-check-output"]
spoken = ["wake", "me", "half", "seven", "in", "rome", "tomorrow"]
broken = ["O", "O", "I-time", "I-time", "O", "I-place", "I-date"]
legal, changed = slot_filling.mend(broken)
print("said:   ", *(f"{tag:8}" for tag in broken))
print("mended: ", *(f"{tag:8}" for tag in legal))
spoken_slots = slot_filling.Example.from_words(spoken, legal).slots
for slot in spoken_slots:
    print(f"{slot.label:6} {slot.text:12} characters {slot.start} to {slot.end}")

# %%
assert changed == [2, 5, 6]
assert [slot.text for slot in spoken_slots] == ["half seven", "rome", "tomorrow"]

# %% [markdown]
# One could do without B- only if two slots of the same label never stood side by side:

# %% tags=["nbval-check-output"]
from itertools import pairwise

touching = [(e, b) for e in train for a, b in pairwise(e.slots)
            if a.label == b.label and a.last_word + 1 == b.first_word]  # fmt: skip
print(f"{len(touching)} such places in {len(train)} requests, such as: {touching[0][0].text}")
assert touching

# %% [markdown]
# **Scoring.** A found slot is correct if its label, its first word *and* its last word are those of
# a true one. [**Precision**](../docs/glossary.md#using-it) is the share of the found slots that is
# correct, [**recall**](../docs/glossary.md#using-it) the share of the true slots that was found.
# [**F1**](../docs/glossary.md#using-it) is 2{=definition} · correct / (found + true), the harmonic
# mean of both.
#
# **Predict:** is a slot that is one word too short half correct?


# %%
def slots_in(examples, tag_rows):
    """All slots, each with the number of its request, so that none is right in another one."""
    return {
        (number, slot.label, slot.first_word, slot.last_word)
        for number, (e, tags) in enumerate(zip(examples, tag_rows, strict=True))
        for slot in slot_filling.slots_of(e.text, e.offsets, slot_filling.mend(tags)[0])
    }


def f1(found):
    true, ours = slots_in(test, gold), slots_in(test, found)
    return 2 * len(true & ours) / (len(true) + len(ours))


# %% [markdown]
# **Predict:** what is the F1 of the table's slots, in percent?

# %% tags=["nbval-check-output"]
# BEGIN SOLUTION
f1_guessed = 60
# END SOLUTION
checks.guess(f1_guessed, 100 * f1(usual), "%", within=5)

# %% tags=["nbval-check-output"]
print("                  accuracy of tags    F1 of slots")
for name, found in {"always O": all_outside, "a word's usual tag": usual}.items():
    print(f"{name:19} {tag_accuracy(found):14.1%} {f1(found):14.1%}")
    assert abs(f1(found) - slot_filling.slot_scores(gold, found)["f1"]) < 1e-9

# %% [markdown]
# A slot that is one word too short is **not correct at all**. The table's tags are correct for more
# than two words of three, and its F1 is under a quarter.

# %%
assert f1(all_outside) == 0
assert f1(usual) < 1 / 4
assert 2 / 3 < tag_accuracy(usual) < 3 / 4

# %% [markdown]
# ## 5. One request, down to the numbers
#
# One request, by hand, through the fresh classifiers on the pretrained encoder.

# %%
from bertedu.finetuning import FinetuningRecipe, FinetuningRun

recipe = FinetuningRecipe(epochs=6, batch_size=16, learning_rate=1e-3, freeze_layers=3)
run = FinetuningRun(SlotFilling(), bert, train, dev, recipe=recipe)
print(f"{run.steps} steps, about {run.estimate():.0f} seconds on this machine")

# %%
from bertedu.finetuning.task import collate_features

batch = collate_features([run.features[train.index(request)]])
with torch.inference_mode():
    output = run.model.eval()(**batch)
log_p = output.logits[0].log_softmax(dim=-1)  # [S, K]
labels = batch["labels"][0]  # [S]
counted = labels != -100
by_hand = -log_p[counted, labels[counted]]  # a -log p for each word
for word, tag, loss in zip(request.words, request.tags, by_hand, strict=True):
    print(f"{word:10} {tag:9} p {(-loss).exp():.1%}   -log p {loss:.2f} nats")
print(f"mean {by_hand.mean():.2f} nats (equal probabilities: log {K} = {math.log(K):.2f})")

# %%
log_p_intents = output.intent_logits[0].log_softmax(dim=-1)  # [N]
intent_by_hand = -log_p_intents[batch["intent_labels"][0]]
print(f"intent: {intent_by_hand:.2f} nats (log {N} = {math.log(N):.2f})")
print(f"loss: {by_hand.mean():.2f} + {intent_by_hand:.2f} = {output.loss:.2f} nats")
assert torch.allclose(output.slot_loss, by_hand.mean(), atol=1e-5)
assert torch.allclose(output.intent_loss, intent_by_hand, atol=1e-5)
assert torch.allclose(output.loss, by_hand.mean() + intent_by_hand, atol=1e-5)
assert abs(float(output.loss) - math.log(K * N)) < 1.5

# %% [markdown]
# The loss is the **sum of two means**: one over the words, one over the requests. The places with
# -100 do not count:

# %% tags=["nbval-check-output"]
spoiled = output.logits[0].clone()
spoiled[~counted] = 1000 * torch.randn(int((~counted).sum()), K)
loss = torch.nn.functional.cross_entropy(spoiled, labels)  # it leaves -100 out by itself
same = torch.isclose(loss, output.slot_loss)
print(f"with noise at every -100 the loss is {'the same' if same else 'another one'}")
assert same

# %% [markdown]
# ## 6. Watch it learn
#
# The encoder and the two classifiers are trained together, except for the embeddings and the three
# lowest layers. The state that is best on *dev* is kept.
#
# **Predict:** which rises sooner, the accuracy of the intents or the F1 of the slots?


# %%
def train_and_watch(run):
    reports = []
    for report in run:
        reports.append(report)
        if report.metrics:
            slots, intents = (report.metrics[name] for name in ("f1", "intent_accuracy"))
            print(f"epoch {report.epoch + 1:2}: loss {report.loss:.2f} nats; "
                  f"dev: F1 of slots {slots:.1%}, accuracy of intents {intents:.1%}")  # fmt: skip
    return reports


reports = train_and_watch(run)
tuned = run.finetuned
print(f"{sum(report.seconds for report in reports):.0f} seconds for {len(reports)} steps")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 2.8))
losses = torch.tensor([report.loss for report in reports])
left.plot(losses, color=COLORS["own"], alpha=0.35, linewidth=1)
left.plot(range(9, len(losses)), losses.unfold(0, 10, 1).mean(dim=1), color=COLORS["own"])
left.set(xlabel="step", ylabel="loss, nats", ylim=(0, None), title="train (thick: mean of 10)")
epochs = range(1, len(run.evaluations) + 1)
for (name, label), marker in zip(
    {"f1": "F1 of slots", "intent_accuracy": "accuracy of intents"}.items(), "os", strict=True
):
    right.plot(epochs, [100 * m[name] for _, m in run.evaluations], marker=marker, label=label)
right.set(xlabel="epoch", ylabel="%", ylim=(0, 100), title=f"dev, {len(dev)} requests")
right.legend(loc="lower right")
assert losses[-10:].mean() < losses[:10].mean() / 2
assert all(m["intent_accuracy"] > m["f1"] for _, m in run.evaluations[:3])
assert min(Counter(tag for example in train for tag in example.tags).values()) == 1

# %% [markdown]
# In this run the accuracy of the intents rises sooner. There are five intents, and 37 tags.
#
# ## 7. Why it is still weak
#
# Divide the true slots into those whose value also occurs with that label in training, and new
# ones. **Predict:** what share of the new ones does the table find, and what share the model?

# %%
answers = {"pretrained": tuned.predict(test)}
rows = {"usual tags": usual, "pretrained": [p.tags for p in answers["pretrained"]]}
known = {(slot.label, slot.text) for example in train for slot in example.slots}
place = {(n, s.label, s.first_word, s.last_word): (s.label, s.text) in known
         for n, example in enumerate(test) for s in example.slots}  # fmt: skip
print(f"{sum(place.values())} of {len(place)} slots of the test requests have a known value")
assert sum(place.values()) < len(place) / 4  # most values are new


# %%
def recall_of(found):
    """The share of the slots that was found: of those with a known value, and with a new one."""
    ours = slots_in(test, found)
    return [sum(slot in ours for slot, old in place.items() if old is which)
            / sum(old is which for old in place.values()) for which in (True, False)]  # fmt: skip


recall = {name: recall_of(found) for name, found in rows.items()}
print("recall of the slots with a  known value    new value")
for name, (of_known, of_new) in recall.items():
    print(f"{name:24} {of_known:14.1%} {of_new:12.1%}")
assert recall["usual tags"][1] < 0.15
assert recall["pretrained"][0] > recall["pretrained"][1] + 0.1
assert losses[-10:].mean() < 0.3

# %% [markdown]
# The table does not see the words around a new value. The model does: it finds about three new
# values of five. But it finds four of five known ones, and its loss in training is near 0. More
# **data**, with other values, may help. Some of its errors:


# %%
def named(slot):
    number, label, first, last = slot
    return f"{label} “{' '.join(test[number].words[first : last + 1])}”"


true, ours = slots_in(test, gold), slots_in(test, rows["pretrained"])
missed, extra = sorted(true - ours), sorted(ours - true)
for number in sorted({slot[0] for slot in missed})[:40:6]:
    print(test[number].text)
    print("   missed:       ", *(named(slot) for slot in missed if slot[0] == number))
    print("   wrongly found:", *([named(slot) for slot in extra if slot[0] == number] or ["none"]))

# %% [markdown]
# ### Deeper: which kinds of errors?
#
# A found slot can have another label, other ends, or both; or it overlaps no true slot.


# %%
def kind_of(slot, others):
    """Why a slot is not among the others."""
    number, label, first, last = slot
    met = [o for o in others if o[0] == number and o[2] <= last and first <= o[3]]
    if any(o[2:] == (first, last) for o in met):
        return "other label, same words"
    if any(o[1] == label for o in met):
        return "same label, other ends"
    return "other label, other ends" if met else "no overlap"


# %%
kinds = {"missed": [kind_of(slot, ours) for slot in missed],
         "wrongly found": [kind_of(slot, true) for slot in extra]}  # fmt: skip
print(f"{len(true & ours)} slots are correct, {len(missed)} true ones were missed, "
      f"{len(extra)} were found that are not true")  # fmt: skip
for kind in sorted({*kinds["missed"], *kinds["wrongly found"]}):
    print(f"{kind:26}", *(f"{name} {of.count(kind):3}   " for name, of in kinds.items()))
assert len(missed) + len(true & ours) == len(true)
assert len(extra) + len(true & ours) == len(ours)
assert kinds["missed"].count("no overlap") < len(missed) / 4

# %% [markdown]
# In most cases the model found something at the place, but with another label or other ends.
#
# ### Deeper: mend, or throw away?
#
# A stricter rule *throws away* each slot that begins with an illegal I-.
#
# **Predict:** which rule gives the higher F1?

# %%
raw = [[p.labels[k] for k in p.probabilities.argmax(-1).tolist()] for p in answers["pretrained"]]
mended = sum(len(p.mended) for p in answers["pretrained"])


def without_illegal(tags):
    kept, before = [], "O"
    for tag in tags:
        kept.append("O" if tag[0] == "I" and before[2:] != tag[2:] else tag)
        before = kept[-1]
    return kept


# %%
thrown = f1([without_illegal(tags) for tags in raw])
print(f"{mended} of {sum(map(len, raw))} tags are illegal I- tags")
print(f"F1 of slots: {thrown:.1%} if they are thrown away, {f1(raw):.1%} if they are mended")
assert f1(raw) == f1(rows["pretrained"])
assert [slot_filling.mend(tags)[0] for tags in raw] == rows["pretrained"]

# %% [markdown]
# Here throwing away gives the higher F1. Mending can save slots whose first word was called I-
# instead of B-, and can add wrong ones. So whoever reports an F1 must name the rule; ours is that
# of `conlleval`. Exercise 5 has a third way.
#
# ## 8. The graduate
#
# The same head on the same checkpoint, after the 13,084 training requests of SNIPS (Coucke et al.
# 2018), with 7 intents and 39 kinds of slot. Its card in `bertedu/graduates` has the figures.
#
# **Predict:** in how many of the 14 requests below does it find the intent and *every* slot?

# %%
graduate = bertedu.finetuning.load("slots")
print(len(graduate.task.intents), "intents:", *graduate.task.intents)
plain = """
AddToPlaylist: add this [song](music_item) to [my](playlist_owner) [holiday](playlist) playlist
AddToPlaylist: add the [album](music_item) to the playlist [summer party](playlist)
BookRestaurant: book a table for [two](party_size_number) at a [restaurant](restaurant_type) in \
[london](city)
BookRestaurant: i need a table for [five](party_size_number) people in [rome](city) \
[tonight](timeRange)
GetWeather: will it [rain](condition_description) in [paris](city) [tomorrow](timeRange)
GetWeather: what is the weather like in [berlin](city)
GetWeather: is it [cold](condition_temperature) in [sweden](country) [today](timeRange)
PlayMusic: play a [song](music_item) by [madonna](artist)
PlayMusic: play some [jazz](genre) music
RateBook: give [this](object_select) [book](object_type) [four](rating_value) [stars](rating_unit)
RateBook: give [treasure island](object_name) a rating of [5](rating_value) out of [6](best_rating)
SearchCreativeWork: show me the [book](object_type) [animal farm](object_name)
SearchScreeningEvent: where is [king kong](movie_name) showing
SearchScreeningEvent: show me the [movie schedule](object_type) for [tonight](timeRange)
"""

# %%
import re

asked, whole = [], []
for line in plain.strip().splitlines():
    intent, marked = line.split(": ", 1)
    wanted = [(label, value) for value, label in re.findall(r"\[(.+?)\]\((.+?)\)", marked)]
    asked.append((intent, re.sub(r"\[(.+?)\]\(.+?\)", r"\1", marked), wanted))
for (intent, spoken_request, wanted), found in zip(
    asked, graduate.predict([text for _, text, _ in asked]), strict=True
):
    slots = [(slot.label, slot.text) for slot in found.slots]
    whole.append(found.intent.label == intent and slots == wanted)
    told = "; ".join(f"{label} = {value}" for label, value in slots)
    print(f"{'✓' if whole[-1] else '✗'} {spoken_request}\n     {found.intent.label}: {told}")
print(f"in {sum(whole)} of {len(whole)} requests the intent and all slots are correct")
assert sum(whole) >= 12

# %% [markdown]
# **Try it with your own words**, in the picture. Point at a word for its distribution over the
# tags. For example: *play the best songs from 1975*.
#
# With a click (a link with ▸ sets the picture, and one more click sets it back):
# [*italian*](#TokenTagger?word=italian
# "“italian” (word 3): B-cuisine 96.9 %") (word 3) begins a cuisine with 96.9 %,
# [*restaurant*](#TokenTagger?word=restaurant
# "“restaurant” (word 4): B-restaurant_type 98.2 %") (word 4) a type of restaurant with 98.2 %, and
# [*three*](#TokenTagger?word=three
# "“three” (word 6): B-party_size_number 99.9 %") (word 6) the number of people with 99.9 %.
# [*restaurant* as I-cuisine](#TokenTagger?flips=4.I-cuisine
# "cuisine “italian restaurant” (words 3 to 4") makes one slot of the words 3 to 4; and
# [*restaurant* as I-restaurant_type](#TokenTagger?flips=4.I-restaurant_type
# "I-restaurant_type after B-cuisine continues nothing, so it is read as B-restaurant_type")
# continues nothing: decoding reads it as B-restaurant_type.

# %%
from bertedu.widgets import TokenTagger

tagger = TokenTagger(graduate, "book an italian restaurant for three people tomorrow")
assert [slot.text for slot in tagger.slots] == ["italian", "restaurant", "three", "tomorrow"]
tagger

# %% [markdown]
# ### What pretraining buys, and what data buys
#
# The recipe and requests of section 6, but **random** weights at the start. The baselines: the
# usual tags, and for the intents a bag of words.

# %%
from bertedu.finetuning.baselines import BagOfWords

random_run = FinetuningRun(SlotFilling(), bert.config, train, dev, recipe=recipe)
train_and_watch(random_run)
of_random = random_run.finetuned.predict(test)
del random_run  # its model would stay in memory
bag = BagOfWords.fit([e.text for e in train], [e.intent for e in train], tokenizer)

# %%
arms = {"baseline": usual, "random": [p.tags for p in of_random], "pretrained": rows["pretrained"]}
said = {"baseline": [p.label for p in bag.predict([e.text for e in test])],
        "random": [p.intent.label for p in of_random],
        "pretrained": [p.intent.label for p in answers["pretrained"]]}  # fmt: skip
slot_f1s = {name: f1(found) for name, found in arms.items()}
intents = {name: sum(a == e.intent for a, e in zip(found, test, strict=True)) / len(test)
           for name, found in said.items()}  # fmt: skip
print("              tag accuracy   F1 of slots   intent accuracy")
for name, found in arms.items():
    print(f"{name:12} {tag_accuracy(found):13.1%} {slot_f1s[name]:13.1%} {intents[name]:17.1%}")
of_graduate = graduate.metrics
print(
    f"graduate (on SNIPS)        {of_graduate['f1']:13.1%} {of_graduate['intent_accuracy']:17.1%}"
)

# %% [markdown]
# The graduate's line is of SNIPS' development requests: another test, not to be compared with the
# others. How much would the scores change with *other* requests? As in lesson 03 we draw 120 of the
# 120, with repetition, a thousand times (the **bootstrap**).


# %%
def interval(found):
    true, ours = slots_in(test, gold), slots_in(test, found)
    per = torch.zeros(len(test), 2)  # right; found + true
    for slots, column in ((true & ours, 0), (true, 1), (ours, 1)):
        for number, *_ in slots:
            per[number, column] += 1
    rng = torch.Generator().manual_seed(0)
    drawn = per[torch.randint(len(test), (1000, len(test)), generator=rng)].sum(dim=1)  # [1000, 2]
    return (200 * drawn[:, 0] / drawn[:, 1]).quantile(torch.tensor([0.025, 0.975])).tolist()


# %%
bands = {name: interval(found) for name, found in arms.items()}
figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 2.8), sharey=True)
colors = [COLORS[kind] for kind in ("outline", "baseline", "own")]
for axes, shares, title in ((left, slot_f1s, "F1 of slots"), (right, intents, "accuracy, intents")):
    bars = axes.bar(list(shares), [100 * x for x in shares.values()], color=colors)
    axes.bar_label(bars, [f"{x:.1%}" for x in shares.values()], label_type="center", fontsize=10,
                   bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5})  # fmt: skip
    axes.set(title=title, ylim=(0, 100))
left.set_ylabel("%")
for x, (low, high) in enumerate(bands.values()):
    left.plot([x, x], [low, high], color=COLORS["ink"], linewidth=2)

# %%
recall["random"] = recall_of(arms["random"])
print("random: recall {:.1%} of known values, {:.1%} of new ones".format(*recall["random"]))
assert bands["pretrained"][0] > bands["random"][1]  # not even the intervals meet
assert slot_f1s["pretrained"] > slot_f1s["baseline"] + 0.05
assert intents["pretrained"] > 0.7
assert recall["pretrained"][1] > max(recall["random"][1], recall["usual tags"][1]) + 0.15

# %% [markdown]
# (The lines are where 95 %{=definition} of the draws lie.) The pretrained model's F1 is far ahead,
# and its recall most of all at new values. The random model sees the same words and differs only in
# its starting weights. In the pretrained table of token vectors, before any attention, which tokens
# are most similar?
#
# **Predict** the neighbours of *chopin*.

# %%
table = bert.model.bert.embeddings.word_embeddings.weight.detach()
table = torch.nn.functional.normalize(table, dim=1)  # [V, H], each row of length 1
near = {}
for word in ("chopin", "friday", "taipei", "seven"):
    cosines = table @ table[tokenizer.vocab[word]]  # [V]
    near[word] = [tokenizer.tokens[i] for i in cosines.topk(6).indices.tolist()[1:]]
    print(f"{word:8}", *near[word])
weekdays = {"monday", "tuesday", "wednesday", "thursday", "saturday", "sunday"}
assert (
    len({"brahms", "mozart", "beethoven", "schumann", "bach", "liszt"} & set(near["chopin"])) >= 2
)
assert len(weekdays & set(near["friday"])) >= 2

# %% [markdown]
# Our guess: what the model learns of one composer helps with others whose vectors are similar.
#
# ## 9. Touch it
#
# This tagger runs your own model. Click a word and **flip its label**. Here an illegal I- after an
# O is shown and mended.

# %%
illegal = TokenTagger(tuned, "wake me at 6:45")
illegal.settings = {"flips": {"0": "O", "1": "O", "2": "O", "3": "I-time"}}
print("said:  ", *illegal.labels)
print("mended:", *slot_filling.mend(illegal.labels)[0])
illegal

# %%
assert illegal.mended == [3]
assert illegal.prediction.pieces[3] == ["6", ":", "45"]
assert [(slot.label, slot.text) for slot in illegal.slots] == [("time", "6:45")]

# %% [markdown]
# **Your own request.** What does the model answer to *tell me a joke*?

# %%
my_request = "could you put two bottles of milk on the shopping list for friday"
found = tuned.predict(my_request)
print(found.intent.label, f"{found.intent.probabilities[found.intent.label]:.1%}")
for slot in found.slots:
    print(f"{slot.label:10} {slot.text}")
assert all(my_request[slot.start : slot.end] == slot.text for slot in found.slots)

# %%
joke = tuned.predict("tell me a joke").intent
print("tell me a joke:", *(f"{name} {share:.1%}" for name, share in joke.probabilities.items()))
assert abs(sum(joke.probabilities.values()) - 1) < 1e-5

# %% [markdown]
# A softmax over five intents gives all its probability to the five. It cannot say *none of these*.
#
# ## 10. Your data, or BERT-base
#
# The same code reads real data sets, too:
#
# | form | what `slot_filling.read` is given |
# |:--|:--|
# | SNIPS, ATIS | a folder with `seq.in`, `seq.out` and `label` |
# | CoNLL (names in news) | a file: a word and its tag a line, an empty line after a sentence |
# | your own | a `.jsonl` with `text`, `slots` (`label`, `start`, `end`) and `intent` |
# | the Hugging Face hub | `hub:NAME:SPLIT` |

# %% tags=["nbval-check-output"]
import tempfile
from pathlib import Path

folder = tempfile.TemporaryDirectory()
conll, own = Path(folder.name, "two.conll"), Path(folder.name, "one.jsonl")
conll.write_text("table O\nfor O\nfour B-party_size\n\nin O\ncape B-place\ntown I-place\n")
own.write_text('{"text": "in Cape Town, please", "intent": "GetWeather", '
               '"slots": [{"label": "place", "start": 3, "end": 12}]}\n')  # fmt: skip
for example in (*slot_filling.read(conll), *slot_filling.read(own)):
    print(
        *(f"{word} {tag}" for word, tag in zip(example.words, example.tags, strict=True)), sep=" | "
    )
assert slot_filling.read(conll)[1].slots[0].text == "cape town"
assert slot_filling.read(own)[0].slots[0].text == "Cape Town"

# %% [markdown]
# Name a folder with the parts *train*, *valid* and *test* here, and run the cell.
# (`bert-base-uncased` is downloaded once, some 440{=source its page on huggingface.co} MB: lesson
# 14.) On SNIPS, with BERT-base, Chen, Zhuo and Wang report an F1 of 97.0 % and an intent accuracy
# of 98.6 %{=source Chen, Zhuo and Wang 2019, arXiv:1902.10909}.

# %%
your_data = None  # "snips", for example: a folder in which train, valid and test are
start = "bertedu"  # or "bert-base-uncased"
if your_data:
    parts = [slot_filling.read(Path(your_data, part)) for part in ("train", "valid", "test")]
    yours = bertedu.finetune(SlotFilling(), start, *parts[:2], recipe=FinetuningRecipe(epochs=3))
    print(yours.evaluate(parts[2]))

# %% [markdown]
# The same on the command line:
#
#     bertedu finetune slot-filling snips/train --dev snips/valid --test snips/test --out my_tagger
#     bertedu predict my_tagger "wake me at seven" "table for two in rome"
#
# The second command on the model of this page:

# %%
from bertedu.commands.cli import main

tuned.save(Path(folder.name, "my_tagger"))
code = main(["predict", str(Path(folder.name, "my_tagger")), "wake me at seven"])
again = bertedu.finetuning.load(Path(folder.name, "my_tagger")).predict("wake me at seven")
assert code == 0
assert again.slots == tuned.predict("wake me at seven").slots

# %% [markdown]
# ## Recap
#
# - One linear classifier, the same at every place, gives each word a tag; `[CLS]` gives the intent.
# - A word answers at its first piece. All other tokens have -100, and the loss leaves them out.
# - An illegal I- is read as a B-.
# - Most tags are O, so their accuracy is misleading. Count whole slots: label and both ends.
# - Here pretraining helps most at values that do not occur in training.
#
# **The answer:** One linear classifier answers at the first piece of each word, and whole slots are
# counted by F1.

# %% [markdown]
# ## Test yourself
#
# Choose an answer: a click opens its explanation.
#
# **1. A word falls into three pieces. What are their labels?**
#
# <details class="option"><summary>A. Each piece has the word's label.</summary>
#
# **No.** Then one B- becomes three slots.
#
# </details>
#
# <details class="option"><summary>B. The last piece has the label, the others have O.</summary>
#
# **No.** O is a label too, and the loss would count it.
#
# </details>
#
# <details class="option"><summary>
# C. The first piece has the word's label, the others have -100.
# </summary>
#
# **Yes.** So each word is asked once.
#
# </details>

# %% [markdown]
# **2. A program says O for every word. 62 % of its tags are correct. What is its F1 of slots?**
#
# <details class="option"><summary>A. 0 %.</summary>
#
# **Yes.** It finds no slot at all. F1 counts slots, not tags.
#
# </details>
#
# <details class="option"><summary>B. 62 %.</summary>
#
# **No.** That is the accuracy of the tags.
#
# </details>
#
# <details class="option"><summary>C. About 30 %.</summary>
#
# **No.** No slot is found, so none is correct.
#
# </details>

# %% [markdown]
# **3. The true slot is "the golden dragon"; the model finds "golden dragon" with the same label.
# How is this counted?**
#
# <details class="option"><summary>A. As two thirds of a correct slot.</summary>
#
# **No.** Both ends must be those of the true slot.
#
# </details>
#
# <details class="option"><summary>
# B. As one slot that was missed, and one that was wrongly found.
# </summary>
#
# **Yes.** The first word differs. So recall and precision both fall.
#
# </details>
#
# <details class="option"><summary>C. As correct, since the label is the same.</summary>
#
# **No.** The label alone is not enough.
#
# </details>

# %% [markdown]
# ## Exercises
#
# Replace each `...` by your answer, and run the cell and the next one. `checks.best_legal.hint()`
# gives a hint for that exercise.
#
# ### Predict
#
# **1.** *remind me to tune the ukulele*: `ukulele` is `uk ##ule ##le`, the other words are whole.
# How many words, how many tokens that BERT reads, and how many labels that the loss counts? Answer
# with `{"words": ..., "tokens": ..., "counted": ...}`.

# %%
# BEGIN SOLUTION
ukulele = {"words": 6, "tokens": 10, "counted": 6}
# END SOLUTION

# %% tags=["nbval-check-output"]
checks.counted_labels(ukulele)

# %% [markdown] tags=["solution"]
# *Why:* 5 whole words, 3 pieces, `[CLS]` and `[SEP]`: 5 + 3 + 2 = 10. Each word is asked once.

# %% [markdown]
# **2.** One request, what is true and what was found. Answer with `{"tag accuracy": ...,
# "precision": ..., "recall": ..., "f1": ...}`; fractions such as `3 / 4` are welcome.
#
# | word | true | found |
# |:--|:--|:--|
# | book | O | O |
# | a | O | O |
# | table | O | O |
# | for | O | O |
# | four | B-party_size | B-party_size |
# | at | O | O |
# | the | B-restaurant | O |
# | golden | I-restaurant | B-restaurant |
# | dragon | I-restaurant | I-restaurant |
# | tomorrow | B-date | B-date |
# | at | O | O |
# | seven | B-time | O |

# %%
# BEGIN SOLUTION
scores = {"tag accuracy": 9 / 12, "precision": 2 / 3, "recall": 2 / 4, "f1": 4 / 7}
# END SOLUTION

# %% tags=["nbval-check-output"]
checks.table_for_four(scores)

# %% [markdown] tags=["solution"]
# *Why:* *the*, *golden* and *seven* have wrong tags. Of three found slots two are correct, of four
# true ones two were found; 2 · 2 / (3 + 4) = 4/7.

# %% [markdown]
# ### Complete
#
# **3.** From tags to slots, `[label, first word, last word]` each, in their order. An I- that
# continues nothing begins a slot.


# %%
def tags_to_slots(tags):
    # BEGIN SOLUTION
    slots, before = [], "O"
    for i, tag in enumerate(tags):
        if tag.startswith("B-") or (tag.startswith("I-") and before[2:] != tag[2:]):
            slots.append([tag[2:], i, i])
        elif tag.startswith("I-"):
            slots[-1][2] = i
        before = tag
    return slots
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.tags_to_slots(tags_to_slots)

# %% [markdown] tags=["solution"]
# *Why:* a tag begins a slot, or makes the last one longer, or is O. `before[2:]` is empty for an O,
# and differs from every label.

# %% [markdown]
# **4.** Precision, recall and F1 of whole slots, in this order. Both arguments are lists of
# requests, each a list of slots `(label, first word, last word)`. Where there is nothing to divide
# by, the result is 0.


# %%
def slot_f1(gold, found):
    # BEGIN SOLUTION
    right = sum(len(set(a) & set(b)) for a, b in zip(gold, found, strict=True))
    ours, true = sum(map(len, found)), sum(map(len, gold))
    return (
        right / ours if ours else 0.0,
        right / true if true else 0.0,
        2 * right / (ours + true) if ours + true else 0.0,
    )
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.slot_f1(slot_f1)

# %% [markdown] tags=["solution"]
# *Why:* one counts over all requests and divides once. In a mean of the requests' own F1, a request
# with one slot would count as much as one with six.

# %% [markdown]
# ### Build
#
# **5.** Mending comes after the choice. One can also choose the likeliest of all *legal* sequences.
# Given log-probabilities [W, K] of W words and the K tags (a list), return the W tags with the
# largest sum. You need not try all K^W sequences: for each tag, only the best way that *ends in it*
# can become part of the best one. (This is the **Viterbi** algorithm.)


# %%
def best_legal(log_p, tags):
    # BEGIN SOLUTION
    may_follow = torch.tensor([[tag[0] != "I" or old[2:] == tag[2:] for tag in tags]
                               for old in tags])  # fmt: skip
    barred = torch.where(may_follow, 0.0, -torch.inf)  # [K, K], from the tag before to the tag
    score = log_p[0] + torch.tensor([-torch.inf if tag[0] == "I" else 0.0 for tag in tags])
    came_from = []
    for row in log_p[1:]:
        best, before = (score[:, None] + barred).max(dim=0)  # over the tag before
        score = best + row
        came_from.append(before)
    path = [int(score.argmax())]
    for before in reversed(came_from):
        path.append(int(before[path[-1]]))
    return [tags[k] for k in reversed(path)]
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.best_legal(best_legal)

# %% tags=["solution"]
viterbi = [best_legal(p.probabilities.log(), p.labels) for p in answers["pretrained"]]
print(f"F1 of slots: {f1(raw):.1%} mended, {f1(viterbi):.1%} with the likeliest legal sequence")
assert all(not slot_filling.mend(tags)[1] for tags in viterbi)
assert f1(viterbi) > f1(raw) - 0.05

# %% [markdown] tags=["solution"]
# *Why it is quick:* K² sums for each word, instead of K^W sequences. A CRF also *learns* how well
# each tag follows another. Chen, Zhuo and Wang tried it on ATIS: the F1 was 96.0 % instead of 96.1
# %{=source Chen, Zhuo and Wang 2019, arXiv:1902.10909}.

# %% [markdown]
# **6.** (Without a check.) Your assistant books tables. Its F1 of slots is 90 %. Your boss reads
# the tag accuracy, 97 %, and wants to let it act without asking back. Which number should decide,
# and how would you measure it?

# %% [markdown] tags=["solution"]
# *A model answer.* Neither: a booking is correct only if the intent and *all* slots are, so count
# whole requests (`sentence_accuracy` in the library's metrics). Count on requests of real users,
# with an interval. Some mistakes cost more than others, so look at each slot. One can act where the
# model is sure, ask back where it is not, and measure how many wrong bookings are left at each
# threshold.
