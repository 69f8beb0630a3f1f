# %% [markdown]
# # 02 · The masked language model
#
# BERT learns language from plain text, without anybody's labels. The trick: hide a few words and
# let it guess them from the words on both sides. This lesson takes the trick apart: which tokens
# are chosen, what becomes of them, what exactly is counted as a mistake, and why.
#
# **Afterwards you can**
# - carry a sentence through the three fates of a chosen token, by hand;
# - say how many tokens of a text are chosen, exactly, and test a masking function for it;
# - compute the loss token by token, and see at a glance that a program counts the wrong tokens;
# - explain 80/10/10 with measurements of your own, and whole words against pieces.
#
# **You need** lesson 01, and to have met probabilities and logarithms. No internet connection.
#
# **Time** about 60 minutes to work through; less than one minute of CPU time.
#
# **In the paper** Devlin et al. 2019 (arXiv:1810.04805), §3.1 "Task #1: Masked LM"; appendices
# A.1 (the rule), A.2 (the procedure) and C.2 (other rules).
#
# How to work: *predict* first (say your answer aloud, or write it down), then *run* the cell,
# then read the explanation. What the text says of the results is checked by `assert`s in the cells.

# %% tags=["nbval-check-output"]
import torch

import bertedu
from bertedu.classroom import checks

bert = bertedu.load()
print(bert)

# %% [markdown]
# ## 1. Three fates
#
# The paper's own example is the sentence *my dog is hairy*, with the last word chosen. A chosen
# token meets one of three fates:
#
# - 80 % of the time, **masked**: the model sees `[MASK]` in its place;
# - 10 % of the time, **random**: the model sees some other token, here `apple`;
# - 10 % of the time, **kept**: the model sees the token itself.
#
# **Predict:** what is the model asked to say at this place, in each of the three cases?

# %% tags=["nbval-check-output"]
tokenizer = bert.tokenizer
encoding = tokenizer.encode("my dog is hairy")
place = encoding.tokens.index("hairy")
labels = torch.full_like(encoding.input_ids, -100)
labels[place] = encoding.input_ids[place]

inputs = {}
for fate, piece in {"masked": "[MASK]", "random": "apple", "kept": "hairy"}.items():
    inputs[fate] = encoding.input_ids.clone()
    inputs[fate][place] = tokenizer.vocab[piece]
    print(f"{fate:7} {tokenizer.decode(inputs[fate], skip_special=False)}")
    print("    ids", *inputs[fate].tolist(), "\n labels", *labels.tolist())
assert torch.equal(inputs["kept"], encoding.input_ids)

# %% [markdown]
# In all three cases the answer is `hairy`, id 15892. It stands in **`labels`**, which are the same
# three times. **-100** says "nothing is asked here"; it is a number that no token has, and
# PyTorch's cross-entropy leaves it out.
#
# Note what the model is *not* told: where the chosen places are. It sees `[MASK]`, but a random or
# a kept token looks like any other.
#
# ## 2. Roll it
#
# The explorer below chooses and decides for any text. Beneath each token stand the id that the
# model sees, its label, and its fate. (On a page without a running kernel you see a picture.)
#
# Things to try: reroll until a token is kept. Move *chosen, of all tokens* to 100 %: which tokens
# are still not chosen? Move the three shares; what do the three histograms do? Type a text of your
# own with a long rare word in it, and tick *whole words*.

# %% tags=["nbval-check-output"]
from bertedu.widgets import MaskExplorer

MaskExplorer("My dog is hairy, and its hairballs are everywhere.", "He likes playing with them.",
             seed=49)  # fmt: skip

# %% [markdown]
# ## 3. How many? Exactly.
#
# "15 % of all WordPiece tokens in each sequence" leaves questions. Do `[CLS]` and `[SEP]` count?
# Is a coin thrown for each token? What of a short sentence? The paper's own code answers
# (google-research/bert, `create_pretraining_data.py`):
#
# - The number is **exact**: 15 % of the sequence's length, **`[CLS]` and `[SEP]` counted**, rounded
#   as Python rounds, and **at least one**. It is not a coin for each token.
# - `[CLS]` and `[SEP]` are counted but never chosen.
# - And at most as many as a setting says (`max_predictions_per_seq`, 20 for a length of 128). We
#   leave that out.
#
# **Predict:** how many tokens are chosen when the sequence has 3 tokens? 10? 30? 128? Write the
# four guesses as `{3: …, 10: …, 30: …, 128: …}`.


# %% tags=["nbval-check-output"]
# BEGIN SOLUTION
chosen_guessed = {3: 0, 10: 1, 30: 5, 128: 19}
# END SOLUTION


def number_chosen(length, rate=0.15):
    return max(1, round(rate * length))


checks.guess(chosen_guessed, {length: number_chosen(length) for length in (3, 10, 30, 128)})

# %% tags=["nbval-check-output"]
for length in (3, 6, 10, 30, 50, 128, 512):
    exact = 0.15 * length
    print(f"{length:4} tokens x 15 % = {exact:5.2f}  chosen: {number_chosen(length):2}"
          f"  which is {number_chosen(length) / length:5.1%}")  # fmt: skip
assert [number_chosen(length) for length in (3, 10, 30, 128)] == [1, 2, 4, 19]

# %% [markdown]
# Two things surprise. A sentence of one word gets its word chosen every time: a third of its
# tokens. And 1.5 became 2, but 4.5 became 4: Python rounds a half to the *even* neighbour.
#
# Does the library follow this rule? At every length that BERT can read, on 20 sequences each:

# %%
from bertedu.pretraining.masking import MASKED, NOT_CHOSEN, RANDOM, MaskingRule, mask_tokens

generator = torch.Generator().manual_seed(0)
for length in range(3, 513):
    ids = torch.full((20, length), tokenizer.vocab["dog"])
    ids[:, 0], ids[:, -1] = tokenizer.cls_token_id, tokenizer.sep_token_id
    picked = mask_tokens(ids, tokenizer, generator).fates != NOT_CHOSEN  # [20, length]
    assert (picked.sum(dim=1) == number_chosen(length)).all()
    assert not picked[:, [0, -1]].any()  # never [CLS], never [SEP]

# %% [markdown]
# A coin for each token (many programs do that, and it is 15 % *on average*) is something else.
# **Predict:** of sentences with 4 words, how many would get nothing to learn from?

# %% tags=["nbval-check-output"]
nothing = 0.85**4
print(f"{nothing:.0%} of all four-word sentences would be wasted")
assert 0.5 < nothing < 0.55

# %% [markdown]
# ## 4. Thousands of rolls
#
# Now real text: the course's own held-out documents, sentence by sentence, padded into one batch.
# We mask the whole batch 100 times: about 45,000 rolls of a sentence. (Google's code masks once,
# when the file is written, and makes ten differently masked copies. Drawing anew for every epoch
# is called *dynamic* masking; Liu et al. 2019, arXiv:1907.11692, Table 1, found it comparable or
# slightly better.)

# %% tags=["nbval-check-output"]
import re

import matplotlib.pyplot as plt

from bertedu.classroom.figures import STYLE
from bertedu.data import HELD_OUT

documents = [path.read_text("utf-8") for path in sorted(HELD_OUT.glob("*.txt"))]
sentences = [s.strip() for text in documents for s in re.split(r"(?<=[.!?])\s", text)]
encodings = [tokenizer.encode(s) for s in sentences if s]
batch = bertedu.collate(encodings)
lengths = batch["attention_mask"].sum(dim=1)  # [B]
print(len(lengths), "sentences of", int(lengths.min()), "to", int(lengths.max()), "tokens")
print(sentences[0])

# %%
generator = torch.Generator().manual_seed(2)
rolls = [
    mask_tokens(batch["input_ids"], tokenizer, generator, attention_mask=batch["attention_mask"])
    for _ in range(100)
]
fates = torch.stack([roll.fates for roll in rolls])  # [100, B, S]
per_sentence = (fates != NOT_CHOSEN).sum(dim=-1)  # [100, B]
expected = torch.tensor([number_chosen(length) for length in lengths.tolist()])
assert (per_sentence == expected).all()
assert per_sentence.numel() > 45_000
assert (fates[:, batch["attention_mask"] == 0] == NOT_CHOSEN).all()  # padding is never chosen

# %% [markdown]
# The *number* is always the same; only which tokens, and their fates, are random. So how near to
# 80/10/10 must the shares come? Of N chosen tokens, the share of those that meet a fate of
# probability p lies, 95 times of 100, within 1.96 · √(p (1 - p) / N) of p: the **95 % band**.
#
# **Predict:** would this notice a program that does 79/11/10?


# %% tags=["nbval-check-output"]
def band(p, N):
    half = 1.96 * (p * (1 - p) / N) ** 0.5
    return p - half, p + half


N = int((fates != NOT_CHOSEN).sum())
names = ["not chosen", "masked", "random", "kept"]
for fate, p in {1: 0.8, 2: 0.1, 3: 0.1}.items():
    share = int((fates == fate).sum()) / N
    low, high = band(p, N)
    print(f"{names[fate]:7} {share:.2%} of {N:,}   95 % band {low:.2%} to {high:.2%}")
    assert low <= share <= high
assert not band(0.8, N)[0] <= 0.79 <= band(0.8, N)[1]

# %% [markdown]
# It would: 79 % lies far outside. But look at *one* roll of the batch at a time, and the shares
# dance. How much? The same formula, with a smaller N:

# %%
plt.style.use(STYLE)
per_roll = int(expected.sum())
shares = (fates == MASKED).sum(dim=(1, 2)) / per_roll  # [100]
low, high = band(0.8, per_roll)
figure, axes = plt.subplots()
axes.axhspan(low, high, color="#E69F00", alpha=0.25, label="95 % band")
axes.axhline(0.8, color="#57606a", linewidth=1)
axes.plot(range(1, 101), shares, "o", markersize=4, label=f"one roll, {per_roll:,} chosen tokens")
axes.set(title="The share that became [MASK]", xlabel="roll", ylabel="of the chosen tokens")
axes.legend(loc="lower right", frameon=True)
inside = int(((shares >= low) & (shares <= high)).sum())

# %% tags=["nbval-check-output"]
print(inside, "of 100 rolls lie in the band")
assert 89 <= inside <= 100  # of 100 good rolls, 95 on average; fewer than 89: once in 200 times

# %% [markdown]
# ## 5. What the loss counts, token by token
#
# The model gives, at *every* place, a probability to each of the 30,522 tokens. The loss at a place
# is **-log p**, where p is the probability it gave to the true token, measured in nats. The masked
# language model's loss is the mean of -log p over the **chosen** places, and over no others.
#
# **Predict:** at which places below will a trained model have the smallest -log p?

# %%
sentence = "The doctor drove to the hospital with her sick mother in the morning."
one = tokenizer.encode(sentence)
masked = mask_tokens(one.input_ids[None], tokenizer, torch.Generator().manual_seed(21),
                     MaskingRule(rate=0.3, mask_share=0.5, random_share=0.25))  # fmt: skip
with torch.inference_mode():
    logits = bert.model(masked.input_ids).prediction_logits  # [1, S, V]
log_p = logits.log_softmax(dim=-1)[0]  # [S, V]
surprise = -log_p.gather(1, one.input_ids[:, None])[:, 0]  # -log p of the true token, [S]
counts = masked.labels[0] != -100  # [S]

# %%
print("token      seen       label    p(token)  -log p  fate")
for i, token in enumerate(one.tokens):
    seen, label = tokenizer.tokens[masked.input_ids[0, i]], int(masked.labels[0, i])
    fate = names[masked.fates[0, i]] if counts[i] else ""
    print(f"{token:10} {seen:10} {label:5} {float((-surprise[i]).exp()):9.1%} {surprise[i]:9.2f}"
          f"  {'counted: ' if counts[i] else ''}{fate}")  # fmt: skip
assert set(masked.fates[0].tolist()) == {0, 1, 2, 3}  # the seed was chosen to show all four

# %% [markdown]
# Now the same number from the model itself, which is given `labels` and never computes the other
# places at all. (Here more tokens are chosen than usual, and fewer of them masked, so that one
# sentence shows every case.)

# %%
by_hand = surprise[counts].mean()
with torch.inference_mode():
    by_model = bert.model(masked.input_ids, labels=masked.labels).mlm_loss
wrong = surprise.mean()  # over all places
print(f"counted places only: {by_hand:.2f} nats\nall places, wrongly: {wrong:.2f} nats")
assert torch.allclose(by_hand, by_model, atol=1e-4)

# %% [markdown]
# **What goes wrong when all tokens are counted?** Whoever forgets the -100 and uses the original
# ids as labels everywhere gets a loss as well. It even looks better! On all the sentences:

# %%
roll = rolls[0]
real = batch["attention_mask"].bool()
truth, shown = batch["input_ids"][real], roll.input_ids[real]  # each [N], padding left out
with torch.inference_mode():
    states = bert.model.bert(roll.input_ids, attention_mask=batch["attention_mask"])
    states = states.last_hidden_state[real]  # [N, H]
    log_p = torch.cat([  # of both tokens, some places at a time: all [N, V] would need much memory
        bert.model.cls.predictions(states[part]).log_softmax(-1)
        .gather(1, torch.stack([truth[part], shown[part]], dim=1))
        for part in torch.arange(len(truth)).split(512)
    ])  # [N, 2]  # fmt: skip
surprises, p_of_shown = -log_p[:, 0], log_p[:, 1].exp()  # each [N]
fate_of = roll.fates[real]  # [N]
ordinary = ~torch.isin(truth, torch.tensor(sorted(tokenizer.special_ids)))

# %%
counted, all_tokens = surprises[fate_of != NOT_CHOSEN].mean(), surprises[ordinary].mean()
chosen_share = float((fate_of != NOT_CHOSEN).float().mean())
print(f"counted places only: {counted:.2f} nats, as unsure as between {counted.exp():,.0f} words")
print(f"all places, wrongly: {all_tokens:.2f} nats, as unsure as between {all_tokens.exp():,.0f}")
print(f"[CLS] and [SEP], never asked: {surprises[~ordinary].mean():.2f} nats each")
print(f"counted: {chosen_share:.1%} of all tokens")
assert 0.14 < chosen_share < 0.17
assert all_tokens < counted / 2
assert 0.8 < surprises.mean() / counted < 1
assert round(float(torch.tensor(3.99).log()), 2) == 1.38

# %% [markdown]
# With a trained model the wrong number is a small fraction of the right one, since 85 % of its
# tokens are *visible in the input*: to say them, one only has to copy. Such a loss says nothing
# about language. It falls fast, it looks wonderful, and five sixths of what the model is asked to
# do is to repeat. A blind model cannot even copy: for it, both numbers are about log 30,522 =
# 10.3.
#
# (`[CLS]` and `[SEP]` are left out of this wrong number, unlike that of the one sentence above.
# They are never chosen, so the head has learned that they never are the answer: asked for one, it
# is lost, and with them the wrong number would be nearly as large as the right one. A model
# *trained* with the mistake would have learned them, too.)
#
# **The warning sign:** a masked-LM loss that falls under one nat within minutes. BERT-base itself,
# after days, has a perplexity of 3.99 on held-out text (the paper's Table 6): 1.38 nats.
#
# The price of counting so few: each text teaches only 15 % of its tokens, so that the model learns
# more slowly per step than one that predicts every next word (the paper's appendix C.1; but it
# ends up better).
#
# ## 6. Why 80/10/10?
#
# Why not simply mask all that are chosen? The paper gives two reasons:
#
# - `[MASK]` never occurs in the texts that BERT is *used* on (§3.1). A model that is only ever
#   asked at `[MASK]` need not do anything sensible at other places.
# - As any token may turn out to be a swapped one, the model must keep a picture of what *every*
#   word should be, and not trust what it sees blindly (A.1).
#
# **An experiment.** Take the same places, and show the model `[MASK]`, a random token, or the true
# token. One place at a time: first the dog.
#
# **Predict:** it sees *my dog is apple*, and nothing tells it that the last word was swapped.
# Will it say `apple`? And if the sentence ends with a full stop, *my dog is apple.*? Guess both
# probabilities of `apple`, in percent: `{"my dog is apple": …, "my dog is apple.": …}`.


# %%
def probabilities(input_ids, place):
    with torch.inference_mode():
        states = bert.model.bert(input_ids[None]).last_hidden_state[:, place]  # [1, H]
        return bert.model.cls.predictions(states).softmax(dim=-1)[0]  # [V]


# BEGIN SOLUTION
apple_guessed = {"my dog is apple": 90, "my dog is apple.": 90}
# END SOLUTION
apple = tokenizer.vocab["apple"]
of_apple = {text: float(probabilities(tokenizer.encode(text).input_ids, place)[apple])
            for text in ("my dog is apple", "my dog is apple.")}  # fmt: skip
checks.guess(apple_guessed, {text: 100 * p for text, p in of_apple.items()}, "%", within=10)

# %%
for end in ("", "."):
    for word in ("[MASK]", "apple", "hairy"):
        p = probabilities(tokenizer.encode(f"my dog is {word}{end}").input_ids, place)
        best = zip(*p.topk(3), strict=True)
        guesses = ", ".join(f"{tokenizer.tokens[i]} {q:.1%}" for q, i in best)
        print(f"{word + end:7} p(hairy) {p[tokenizer.vocab['hairy']]:6.2%}"
              f"   p(apple) {p[apple]:6.2%}   first: {guesses}")  # fmt: skip
assert of_apple["my dog is apple."] > 5 * of_apple["my dog is apple"]

# %% [markdown]
# One full stop turns the answer round: without it the model wants a full stop at that place, and
# hardly an `apple`; with it, it mostly repeats the `apple` that it sees. So the dog proves nothing.
# One sentence never does. Section 5 has asked the model at every place of every sentence. Sort
# those answers by what had become of the token, and put the probability of the token that is
# *shown* beside that of the *true* one:

# %%
mean_p, mean_shown = {}, {}
for fate in (0, 3, 1, 2):
    at = (fate_of == fate) & ordinary
    mean_p[names[fate]] = float(surprises[at].neg().exp().mean())
    mean_shown[names[fate]] = float(p_of_shown[at].mean())
    print(f"{names[fate]:11} {int(at.sum()):5} places   p(true token) {mean_p[names[fate]]:6.1%}"
          f"   p(token shown) {mean_shown[names[fate]]:6.1%}"
          f"   loss {float(surprises[at].mean()):5.2f} nats")  # fmt: skip
repeated = float((p_of_shown[(fate_of == RANDOM) & ordinary] > 0.5).float().mean())
print(f"random: at {repeated:.0%} of the places p(token shown) is above one half")

# %%
assert mean_p["not chosen"] > 0.5 > mean_p["masked"]  # it copies what it sees, mostly
assert abs(mean_p["kept"] - mean_p["not chosen"]) < 0.15
assert mean_p["kept"] > mean_p["masked"] > mean_p["random"] > mean_p["masked"] / 2
assert mean_shown["random"] < min(0.1, mean_p["random"] / 3)
assert repeated < 0.1

# %% [markdown]
# What a *trained* model shows:
#
# - **Kept and not chosen** come out nearly the same. They must: to the model they are the same
#   thing. What it learned at the few kept tokens, to hold on to what is there, it now does at
#   *all* visible tokens. That is the point of "kept".
# - Yet it does not copy with certainty. It has learned that some visible tokens have been swapped
#   (how many, the next cell counts), and some of its trust goes to words that fit better.
# - **Random** is about as hard as masked: the model must notice that the word does not fit, and
#   then find the true one. This row is the proof that it does not just repeat its input: the word
#   that it does *not* see gets several times the probability of the word that it sees.
#   *My dog is apple.* is one of the few exceptions. They are places like this one: a short
#   sentence, in which nothing else says which word was meant.

# %% [markdown]
# You have already seen what a place looks like at which nothing is ever asked: `[CLS]` and `[SEP]`
# are never chosen. Look at them in the table of section 5. Whatever the model says there is an
# accident.

# %% tags=["nbval-check-output"]
for whose, rate in {"in the paper": 0.15, "in most of our model's training": 0.25}.items():
    visible = 1 - 0.8 * rate  # not chosen, random or kept
    swapped = 0.1 * rate / visible
    print(f"{rate:.0%} chosen, {whose}: one visible token in {1 / swapped:.0f} is swapped")
    assert abs(visible - (1 - rate + 0.2 * rate)) < 1e-9

# %% [markdown]
# **The other rules.** So much for a model that learned by 80/10/10. What would others be like? We
# can train three very small ones, from nothing, on the course's own text: by the paper's rule, by
# masking only, and by never swapping. They differ in nothing else.
#
# To be quick, they get a vocabulary of just the tokens that occur, and a few seconds each.

# %% tags=["nbval-check-output"]
from bertedu.data import TRAIN
from bertedu.tokenizer import SPECIAL_TOKENS

texts = [path.read_text("utf-8") for path in sorted(TRAIN.glob("*.txt"))]
train_texts = [s.strip() for text in texts for s in re.split(r"(?<=[.!?])\s", text) if s.strip()]
used = {i for ids in tokenizer.ids_batch([*train_texts, *sentences]) for i in ids}
small = bertedu.BertTokenizer([*SPECIAL_TOKENS, *(tokenizer.tokens[i] for i in sorted(used))])
train_batch, test_batch = (
    bertedu.collate([small.encode(s) for s in part if s]) for part in (train_texts, sentences)
)
sizes = bertedu.BertConfig(
    vocab_size=len(small), hidden_size=64, num_hidden_layers=2, num_attention_heads=2,
    intermediate_size=256, hidden_dropout_prob=0, attention_probs_dropout_prob=0)  # fmt: skip
print(f"{len(small):,} tokens, {len(train_texts):,} sentences to train on")


# %%
def train(rule, steps=300):
    torch.manual_seed(0)
    tiny = bertedu.BertForPreTraining(sizes)
    optimizer = torch.optim.AdamW(tiny.parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        rows = torch.randint(len(train_batch["input_ids"]), (48,), generator=generator)
        ids, real = train_batch["input_ids"][rows], train_batch["attention_mask"][rows]
        seen, labels, _ = mask_tokens(ids, small, generator, rule, real)
        tiny(seen, attention_mask=real, labels=labels).mlm_loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return tiny.eval()


# %% [markdown]
# The test is the same for all three, on text that none has seen: of the chosen tokens half are
# masked and half are swapped. At each kind of place we ask for the mean probability of the
# **true** token, and of the token that is **shown**.
#
# **Predict:** which of the three fills gaps best? Which is best at places that are simply visible?


# %%
def test(tiny):
    half = MaskingRule(mask_share=0.5, random_share=0.5)
    ids, real = test_batch["input_ids"], test_batch["attention_mask"]
    seen, _, fates = mask_tokens(ids, small, torch.Generator(), half, real)
    with torch.inference_mode():
        probs = tiny(seen, attention_mask=real).prediction_logits.softmax(dim=-1)  # [B, S, V]
    special = torch.isin(ids, torch.tensor(sorted(small.special_ids)))
    p_true, p_shown = (probs.gather(2, x[..., None])[..., 0] for x in (ids, seen))  # each [B, S]
    kinds = {"visible": fates == NOT_CHOSEN, "[MASK]": fates == MASKED, "swapped": fates == RANDOM}
    return {kind: (float(p_true[at & ~special].mean()), float(p_shown[at & ~special].mean()))
            for kind, at in kinds.items()}  # fmt: skip


# %%
torch.set_num_threads(1)  # so small a model is quickest on one core
rules = {"80/10/10": MaskingRule(), "100/0/0": MaskingRule(mask_share=1, random_share=0),
         "80/0/20": MaskingRule(random_share=0)}  # fmt: skip
marks = {}
print("[MASK]/random/kept   p(true): visible  [MASK]  swapped   p(shown): swapped")
for name, rule in rules.items():
    marks[name] = test(train(rule))
    visible, gap, swapped = marks[name].values()
    print(f"{name:18} {visible[0]:17.1%} {gap[0]:7.1%} {swapped[0]:8.1%} {swapped[1]:19.1%}")

# %%
gaps_filled = [mark["[MASK]"][0] for mark in marks.values()]
assert max(gaps_filled) < 1.3 * min(gaps_filled)
assert marks["100/0/0"]["visible"][0] < marks["80/10/10"]["visible"][0]
assert marks["80/10/10"]["visible"][0] < marks["80/0/20"]["visible"][0]
assert marks["80/0/20"]["swapped"][1] > 10 * marks["80/10/10"]["swapped"][1]
assert marks["80/0/20"]["swapped"][0] < marks["80/10/10"]["swapped"][0] / 2

# %% [markdown]
# At `[MASK]` the three are about equally good (trained once each: small differences say nothing).
# They differ at the words that one can *see*, and those are all the words in the texts on which
# BERT will be used:
#
# - **100/0/0** was never asked there, and says little about the very word before its eyes.
# - **80/0/20** (never swapped) is the best there, for a bad reason: it repeats what it sees. Where
#   a word was swapped the wrong one gets far more of its trust than in the others, and the true one
#   hardly any.
# - **80/10/10** stands between: it uses what it sees more than the first, and trusts it less than
#   the second.

# %% [markdown]
# **Does it matter in the end?** The paper trained BERT with six rules (Table 8, development sets).
# MNLI is a task for which the whole model is fine-tuned; NER (finding names) was done both ways,
# fine-tuned, and with BERT frozen, so that its vectors had to be good as they are.
#
# **Predict:** is 80/10/10 the best in all three columns?

# %% tags=["nbval-check-output"]
table_8 = {  # [MASK], same, random: MNLI, NER fine-tuned, NER frozen
    (80, 10, 10): (84.2, 95.4, 94.9), (100, 0, 0): (84.3, 94.9, 94.0),
    (80, 0, 20): (84.1, 95.2, 94.6), (80, 20, 0): (84.4, 95.2, 94.7),
    (0, 20, 80): (83.7, 94.8, 94.6), (0, 0, 100): (83.6, 94.9, 94.6),
}  # fmt: skip
print("[MASK] same random   MNLI  NER fine-tuned  NER frozen")
for shares, results in table_8.items():
    print("{:5}{:6}{:6}   {:6}{:12}{:13}".format(*shares, *results))
paper = table_8[80, 10, 10]
best = [max(column) for column in zip(*table_8.values(), strict=True)]
assert paper[0] < best[0]
assert paper[1:] == tuple(best[1:])

# %% [markdown]
# No: on MNLI two other rules are slightly ahead. The paper's own reading: fine-tuning is
# surprisingly robust, as it mends what the rule did. The difference shows where the encoder stays
# **frozen**: there, the rule that only masks costs 0.9 points. So 80/10/10 is a safe compromise,
# not a law of nature, and later models chose otherwise: ModernBERT (2024) chooses 30 % of the
# tokens, NeoBERT (2025) 20 % and masks every one of them. At the rate, too, 15 % is not best for
# every model: Wettig et al. 2022 (arXiv:2202.08005) found 40 % better for large ones.

# %%
mask_only = table_8[100, 0, 0]
assert round(paper[2] - mask_only[2], 1) == 0.9
assert min(results[2] for results in table_8.values()) == mask_only[2]
assert max(results[0] for results in table_8.values()) - min(r[0] for r in table_8.values()) < 1

# %% [markdown]
# ## 7. Whole words against pieces
#
# Masking comes after WordPiece, and at first it took no care of words: any piece may be chosen,
# and its neighbours from the same word stay in sight. Is that too easy? The hidden piece is to be
# guessed in both lines:

# %%
pieces = tokenizer.encode("The story was outplaying all the others.")
hidden = pieces.tokens.index("##ing")
first = pieces.tokens.index("out")
print(*pieces.tokens)
chances = {}
for name, places in {"one piece": [hidden], "whole word": range(first, hidden + 1)}.items():
    ids = pieces.input_ids.clone()
    ids[list(places)] = tokenizer.mask_token_id
    chances[name] = float(probabilities(ids, hidden)[tokenizer.vocab["##ing"]])
    print(f"{name:11} p(##ing) {chances[name]:8.2%}")
assert chances["one piece"] > chances["whole word"]

# %% [markdown]
# With `out ##play` in sight, little is left to guess but an ending. That is why Google added
# **whole word masking** in May 2019: all pieces of a word are chosen together, at the same rate.
# BERT-large's SQuAD 1.1 score rose from 91.0 to 92.8 F1 (google-research/bert, README).
#
# **Predict:** choosing pieces at random, how often is a word of several pieces chosen only in part?


# %%
def words_in_part(rule, rolls=300):
    text = "the unaffable dog dislikes hairballs, embeddings and outplaying unbelievable cats"
    ids = tokenizer.encode(text).input_ids
    fates = mask_tokens(ids.expand(rolls, -1), tokenizer, torch.Generator().manual_seed(0), rule)
    tokens, touched, in_part = [tokenizer.tokens[i] for i in ids], 0, 0
    starts = [i for i, token in enumerate(tokens) if not token.startswith("##")]
    for start, end in zip(starts, [*starts[1:], len(tokens)], strict=True):
        if end - start > 1:
            number = (fates.fates[:, start:end] != NOT_CHOSEN).sum(dim=1)  # [rolls]
            touched += int((number > 0).sum())
            in_part += int(((number > 0) & (number < end - start)).sum())
    return in_part, touched


# %% tags=["nbval-check-output"]
for name, rule in {"pieces": MaskingRule(), "whole words": MaskingRule(whole_words=True)}.items():
    in_part, touched = words_in_part(rule)
    print(f"{name:12} {in_part:4} of {touched:4} chosen long words are chosen only in part")
assert words_in_part(MaskingRule())[0] > 0.9 * words_in_part(MaskingRule())[1]
assert words_in_part(MaskingRule(whole_words=True))[0] == 0

# %% [markdown]
# Nearly always. With whole words, never. (A word that is longer than what may still be chosen is
# passed over, so that a sequence can end with a few tokens fewer.)
#
# ## 8. The model fills gaps
#
# Enough of rules. `fill_mask` returns, for each `[MASK]`, the likeliest tokens with their
# probabilities. First the notes' own example, once as one text, and once as a pair:

# %%
first, second = "Calculus is a [MASK] of math.", "It [MASK] developed by Newton and Leibniz."
firsts = {}  # the first guess for the second gap
for name, texts in {"one text": (f"{first} {second}",), "a pair": (first, second)}.items():
    print(name)
    for guesses in bert.fill_mask(*texts):
        print("   ", ", ".join(f"{guess.token} {guess.probability:.1%}" for guess in guesses))
        assert 0 < sum(guess.probability for guess in guesses) <= 1
    assert {guess.token for guess in guesses[:2]} == {"is", "was"}
    firsts[name] = guesses[0].token
assert firsts == {"one text": "is", "a pair": "was"}

# %% [markdown]
# For the second gap only *is* and *was* are in question, and both are good English: nothing in the
# sentence decides. So a small thing decides: as one text the first guess is *is*, and as a pair,
# with `[SEP]` between the two and two segments, it is *was*. Lesson 07 has the pair, and answers
# *was*. That is no contradiction: both words are the first two each time.

# %% [markdown]
# **Predict** the first guess for each of the next sentences, then change one word *after* the gap
# and see the guesses change. A model that reads from left to right could not do that.

# %%
gaps = ["I drink a cup of [MASK] every morning.", "Paris is the [MASK] of France.",
        "The dog [MASK] at the mailman.", "She put the [MASK] on the table and ate."]  # fmt: skip
figure, grid = plt.subplots(2, 2, figsize=(7.5, 4.2))
for axes, gap in zip(grid.flat, gaps, strict=True):
    guesses = bert.fill_mask(gap)[0][::-1]
    bars = axes.barh([guess.token for guess in guesses], [g.probability for g in guesses])
    axes.bar_label(bars, [f"{g.probability:.1%}" for g in guesses], padding=3)
    axes.set(xlim=(0, 1.35 * guesses[-1].probability), xticks=[])
    axes.set_title(gap, fontsize=9)

# %%
before, after = (
    bert.fill_mask(f"I drink a cup of [MASK] {rest}")[0]
    for rest in ("every morning.", "with my sister in London at five o'clock.")
)
for guesses in (before, after):
    print(*(f"{guess.token} {guess.probability:.1%}" for guess in guesses), sep=", ")
assert [guess.probability for guess in before] != [guess.probability for guess in after]
drinks = {"coffee", "tea", "water", "beer", "milk", "wine"}
assert drinks & {guess.token for guess in before}

# %% [markdown]
# Each `[MASK]` gets its own answer, **independently of the others**: the model does not first
# decide for one word and then look for a second that goes with it. For two gaps side by side the
# likeliest pair need not be the likeliest words put together.
#
# ## Recap
#
# - `max(1, round(0.15 · length))` tokens are chosen, `[CLS]` and `[SEP]` counted but never chosen.
# - A chosen token is masked (80 %), swapped (10 %) or kept (10 %). The label is the original id;
#   elsewhere it is -100.
# - The loss is the mean of -log p over chosen tokens only. Counting the others makes the number
#   small and meaningless.
# - Random and kept tokens make the model think about the words that it can see. What that is worth
#   shows when BERT stays frozen; fine-tuning evens it out.
# - Whole word masking makes the task harder and, so it was found, the model better.
#
# ## Exercises
#
# Replace each `...` by your answer and run the cell and the one after it. A check says "✓ right",
# or what your mistake suggests, or "not done yet"; all else goes on working. If you are
# stuck, `checks.labels_of.hint()` gives a hint for that exercise, and then a second one.

# %% [markdown]
# ### Predict
#
# **1.** A sequence of 128 tokens, `[CLS]` and two `[SEP]` among them. How many are chosen? How many
# labels are -100?

# %%
# BEGIN SOLUTION
chosen, ignored = 19, 109
# END SOLUTION

# %% tags=["nbval-check-output"]
checks.chosen_of_128([chosen, ignored])

# %% tags=["solution"]
assert [chosen, ignored] == [number_chosen(128), 128 - number_chosen(128)]

# %% [markdown] tags=["solution"]
# *Why:* 15 % of 128 is 19.2, rounded 19; the special tokens count in the length. All others, 109,
# have the label -100.

# %% [markdown]
# **2.** A model that knows nothing gives each of 30,522 tokens the same probability. Its loss in
# nats, with two decimals? And if it is right half of the time with p = 1, and blind otherwise?

# %%
# BEGIN SOLUTION
blind, half_blind = 10.33, 5.16
# END SOLUTION

# %% tags=["nbval-check-output"]
checks.blind_loss([blind, half_blind])

# %% [markdown] tags=["solution"]
# *Why:* -log(1 / 30,522) = log 30,522 = 10.33; and -log 1 = 0, so that the mean is the half.

# %% [markdown]
# **3.** One long text of 1,000,000 tokens, cut into sequences of 100. About how many tokens does
# the model see as *another* token, neither itself nor `[MASK]`? (Do not count that chance may
# draw the token itself.)

# %%
# BEGIN SOLUTION
swapped_of_million = 15_000
# END SOLUTION

# %% tags=["nbval-check-output"]
checks.swapped_of_million(swapped_of_million)

# %% [markdown] tags=["solution"]
# *Why:* 15 chosen in each of 10,000 sequences, and a tenth of them random: 1.5 % of all tokens.

# %% [markdown]
# ### Complete
#
# **4.** Labels from fates, all three `[B, S]`. `ids` are the original ids, `fates` are 0 where a
# token was not chosen.


# %%
def labels_of(ids, fates):
    # BEGIN SOLUTION
    return torch.where(fates == NOT_CHOSEN, -100, ids)
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.labels_of(labels_of)

# %% tags=["solution"]
assert torch.equal(labels_of(batch["input_ids"], roll.fates), roll.labels)

# %% [markdown] tags=["solution"]
# *Why:* the label is the original id for all three fates, the kept one too. A frequent mistake is
# to label only where the input *changed*; then nothing is ever asked at kept tokens.

# %% [markdown]
# **5.** The loss from log-probabilities `log_p` `[S, V]` and labels `[S]`, one number, without
# PyTorch's `cross_entropy` and `nll_loss`. At least one label is not -100.


# %%
def masked_lm_loss(log_p, labels):
    counted = labels != -100
    # BEGIN SOLUTION
    return -log_p[counted, labels[counted]].mean()
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.masked_lm_loss(masked_lm_loss)

# %% tags=["solution", "nbval-check-output"]
toy = torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1], [0.25, 0.25, 0.5]]).log()
print(f"{masked_lm_loss(toy, torch.tensor([1, -100, 2])):.4f} nats")

# %% [markdown] tags=["solution"]
# *Why:* with these three places, (-log 1/4 - log 1/2) / 2 = (2 log 2 + log 2) / 2 = 1.5 log 2 =
# 1.0397. The second place, with its -100, has no say, neither in the sum nor in the number it is
# divided by.

# %% [markdown]
# **6.** A fate from one draw between 0 and 1, as a rule of 80/10/10 with two comparisons: "masked"
# for the smallest draws, then "random", "kept" for the largest. (A draw can be 0, but not 1: so
# let each of the three intervals have its beginning, but not its end.)


# %%
def fate_of_draw(draw):
    # BEGIN SOLUTION
    if draw < 0.8:
        return "masked"
    return "random" if draw < 0.9 else "kept"
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.fate_of_draw(fate_of_draw)

# %% [markdown] tags=["solution"]
# *Why:* the intervals from 0 to 0.8, to 0.9 and to 1 are as long as the shares. A second draw for
# random *after* a first one for masked would need 50 %, not 10 %: half of the 20 % that are left.
# That is a mistake which the next exercise can find.

# %% [markdown]
# ### Build
#
# **7.** A detector. `fates` is a tensor of 0 to 3. Return whether all three shares lie within
# *four* standard deviations, √(p (1 - p) / N), of 80/10/10; N counts the chosen tokens. (Four, so
# that a good program is
# hardly ever accused.) Does it find a program that draws twice: masked below 0.8, and if not,
# random below 0.1 of a *second* draw?


# %%
def is_80_10_10(fates):
    # BEGIN SOLUTION
    N = int((fates != NOT_CHOSEN).sum())
    return all(
        abs(int((fates == fate).sum()) / N - p) <= 4 * (p * (1 - p) / N) ** 0.5
        for fate, p in ((1, 0.8), (2, 0.1), (3, 0.1))
    )
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.is_80_10_10(is_80_10_10)

# %% tags=["solution"]
draws = torch.rand(2, 20_000, generator=torch.Generator().manual_seed(0))
mistaken = torch.where(draws[0] < 0.8, 1, torch.where(draws[1] < 0.1, 2, 3))
assert is_80_10_10(fates)  # of the library, section 4
assert not is_80_10_10(mistaken)

# %% [markdown] tags=["solution"]
# *What one sees:* the mistaken program gives 80/2/18. Neither the loss nor the number of `[MASK]`s
# would have told.

# %% [markdown]
# **8.** Choose `count` places out of `candidates` (a list of positions) so that each is equally
# likely, with a torch generator. Return them in any order, no place twice, and leave `candidates`
# as it is. *Hint:* a random key for each; take those with the smallest keys.


# %%
def choose(candidates, count, generator):
    # BEGIN SOLUTION
    keys = torch.rand(len(candidates), generator=generator)
    return sorted(candidates[i] for i in keys.argsort()[:count].tolist())
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.choose(choose)

# %% [markdown] tags=["solution"]
# *Why:* whoever has the smallest keys is a fair draw, and it works for a whole batch at once:
# `bertedu/masking.py` does the same with `[B, S]` keys.

# %% [markdown]
# **9.** (Without a check.) Choose a text of 300 words. Mask 15 %, 30 %, 50 % and 80 % of it with
# `MaskingRule(rate=...)`, let the model fill the gaps, and note how often its first guess is
# right. How does the task change with the rate? Which rate would you train with, and what would
# you give up?

# %% [markdown] tags=["solution"]
# *A model answer.* The more is hidden, the less there is to guess from: the share of right guesses
# falls, slowly at first, and what remains are the small words that grammar demands. On the other
# hand each text then asks more questions, so that every step teaches more. Wettig et al. 2022
# describe just these two effects; the best rate balances them, and it depends on the model's size.
