# %% [markdown]
# # 02 · The masked language model
#
# **How can a model learn language from unlabelled text?**
#
# Hide a few words, and let the model guess them from both sides. A model that is trained in this
# way is a [**masked language model**](../docs/glossary.md#pretraining). Which tokens are chosen,
# what happens to them, which places does the loss count, and why?
#
# **Afterwards you can**
# - show what happens to a chosen token in each of the three cases;
# - say exactly how many tokens of a text are chosen, and test a masking function;
# - compute the loss token by token, and notice when a program counts the wrong tokens;
# - explain 80/10/10 by your own measurements, and compare whole words with pieces;
# - measure a bias of the model, and say what the measurement does not show.
#
# **You need** lesson 01, probabilities and logarithms. No internet connection.
#
# **Time** about 60 minutes to work through; less than one minute of CPU time.
#
# **In the paper** Devlin et al. 2019 (arXiv:1810.04805), §3.1 "Task #1: Masked LM"; appendices A.1
# (the rule), A.2 (the procedure) and C.2 (other rules).

# %% tags=["nbval-check-output"]
import torch

import bertedu
from bertedu.classroom import checks

bert = bertedu.load()
print(bert)

# %% [markdown]
# ## 1. Three fates
#
# The paper's own example is the sentence *my dog is hairy*; its last word is
# [**chosen**](../docs/glossary.md#pretraining). One of three things happens to a chosen token, its
# three *fates*:
#
# - in 80 % of the cases it is [**masked**](../docs/glossary.md#pretraining): the model sees
#   [**`[MASK]`**](../docs/glossary.md#text-and-tokens) in its place;
# - in 10 % it is [**random**](../docs/glossary.md#pretraining): the model sees another token, here
#   `apple`;
# - in 10 % it is [**kept**](../docs/glossary.md#pretraining): the model sees the token itself.
#
# **Predict:** which word must the model give at this place, in each of the three cases?

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
# In all three cases the answer is `hairy`, id 15892. This is the
# [**label**](../docs/glossary.md#pretraining) of the place. It stands in `labels`. **-100** means
# that nothing is asked at a place; PyTorch's [**cross-entropy**](../docs/glossary.md#pretraining)
# leaves it out.
#
# The model is *not* told which places were chosen. It sees `[MASK]`, but a random or a kept token
# looks like any other.
#
# ## 2. Roll it
#
# The explorer below masks any text. Under each token stand the id that the model sees, its label,
# and its fate.
#
# Press *Reroll* until all chosen tokens are masked. Type a text with a long rare word, and tick
# *whole words*.
#
# A link with ▸ sets the picture, and one more click sets it back:
# [choose 100 %](#MaskExplorer?rate=100
# "18 chosen; there are no more ordinary tokens"), and 18 tokens are chosen;
# [choose 50 %](#MaskExplorer?rate=50
# "= 10.50, rounded 10 (a half to the even neighbour)"), and 10.50 is rounded to 10;
# [choose 1 %](#MaskExplorer?rate=1
# "at least 1: 1 chosen"), and still 1 is chosen.
# [`[CLS]` has the label -100 in every roll](#MaskExplorer?token=[CLS]
# "a special token, never chosen; label -100"). And
# [without random and kept tokens](#MaskExplorer?mask=100&random=0
# "chosen tokens: 100.0 %") 100.0 % of the chosen tokens become `[MASK]`.

# %% tags=["nbval-check-output"]
from bertedu.widgets import MaskExplorer

MaskExplorer("My dog is hairy, and its hairballs are everywhere.", "He likes playing with them.",
             seed=49)  # fmt: skip

# %% [markdown]
# ## 3. How many? Exactly.
#
# The paper says "15 % of all WordPiece tokens in each sequence". Google's code says it exactly
# (google-research/bert, `create_pretraining_data.py`):
#
# - The number is **exact**: 15 % of the sequence's length, **`[CLS]` and `[SEP]` counted**, rounded
#   as Python rounds, and **at least one**.
# - `[CLS]` and `[SEP]` are counted but never chosen.
# - A setting (`max_predictions_per_seq`, 20 for a length of 128{=source google-research/bert,
#   create_pretraining_data.py}) limits the number. We leave it out.
#
# **Predict:** how many tokens are chosen when the sequence has 3{=number_chosen} tokens? 10? 30?
# 128? Write the four guesses as `{3: …, 10: …, 30: …, 128: …}`.


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

# %% [markdown]
# A sentence of one word always gets this word chosen: a third of its tokens. And 1.5 became 2, but
# 4.5 became 4{=number_chosen}: Python rounds a half to the *even* neighbour.
#
# Does the library follow this rule? We test 20{=picked} sequences of each length:

# %%
from bertedu.pretraining.masking import MASKED, NOT_CHOSEN, RANDOM, MaskingRule, mask_tokens

generator = torch.Generator().manual_seed(0)
for length in range(3, 513):
    ids = torch.full((20, length), tokenizer.vocab["dog"])
    ids[:, 0], ids[:, -1] = tokenizer.cls_token_id, tokenizer.sep_token_id
    picked = mask_tokens(ids, tokenizer, generator).fates != NOT_CHOSEN  # [20, length]
    assert (picked.sum(dim=1) == number_chosen(length)).all()
    assert not picked[:, [0, -1]].any()  # never [CLS], never [SEP]
assert [number_chosen(length) for length in (3, 10, 30, 128)] == [1, 2, 4, 19]

# %% [markdown]
# Other programs decide for each token by chance. That is 15 % *on average*, but not the same.
# **Predict:** in what share of the sentences with 4 words would no word be chosen?

# %% tags=["nbval-check-output"]
nothing = 0.85**4
print(f"no word would be chosen in {nothing:.0%} of the four-word sentences")

# %%
assert 0.5 < nothing < 0.55

# %% [markdown]
# ## 4. Thousands of rolls
#
# Now real text: the sentences of the course's held-out documents, padded into one
# [**batch**](../docs/glossary.md#the-model). We mask the batch 100 times: about 45,000 masked
# sentences. (Google's code masks once, when it writes the file, and makes ten differently masked
# copies. Masking anew in every epoch is [**dynamic**](../docs/glossary.md#pretraining) masking; Liu
# et al. 2019, arXiv:1907.11692, Table 1, found it comparable or slightly better.)

# %% tags=["nbval-check-output"]
import re

import matplotlib.pyplot as plt

from bertedu.classroom.figures import COLORS, STYLE
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
# The *number* for a sentence is always the same; places and fates are random. How near to 80/10/10
# must the shares be? For N chosen tokens and a fate of probability p, the share lies within 1.96 ·
# √(p (1 - p) / N) of p in about 95 of 100{=definition} cases. This is the **95 % band**.
#
# **Predict:** is N large enough to notice a program that does 79/11/10?


# %% tags=["nbval-check-output"]
def band(p, N):
    half = 1.96 * (p * (1 - p) / N) ** 0.5
    return p - half, p + half


N = int((fates != NOT_CHOSEN).sum())
names = ["not chosen", "masked", "random", "kept"]
for fate, p in {1: 0.8, 2: 0.1, 3: 0.1}.items():
    share = int((fates == fate).sum()) / N
    low, high = band(p, N)
    print(f"{names[fate]:7} {share:6.2%} of {N:,}   95 % band {low:.2%} to {high:.2%}")
    assert low <= share <= high

# %%
assert not band(0.8, N)[0] <= 0.79 <= band(0.8, N)[1]

# %% [markdown]
# It is: 79 % lies outside the band. In *one* masking of the batch N is smaller, so the shares vary
# more:

# %%
plt.style.use(STYLE)
per_roll = int(expected.sum())
shares = (fates == MASKED).sum(dim=(1, 2)) / per_roll  # [100]
low, high = band(0.8, per_roll)
figure, axes = plt.subplots()
axes.axhspan(low, high, color=COLORS["other"], alpha=0.25, label="95 % band")
axes.axhline(0.8, color=COLORS["dim"], linewidth=1)
axes.plot(range(1, 101), shares, "o", markersize=4, label=f"one masking, {per_roll:,} tokens")
axes.set(title="The share that became [MASK]", xlabel="masking", ylabel="of the chosen tokens")
axes.set_ylim(0.755, 0.845)  # so that no point is under the legend
axes.legend(loc="lower right", ncols=2)
inside = int(((shares >= low) & (shares <= high)).sum())

# %% tags=["nbval-check-output"]
print(inside, "of 100 maskings lie in the 95 % band")
assert 89 <= inside <= 100  # of 100, 95 on average; fewer than 89: once in 200 times

# %% [markdown]
# ## 5. What the loss counts, token by token
#
# At *every* place the model gives a probability to each of the 30,522 tokens. The loss there is
# **-log p**, where p is the probability of the true token. Its unit is
# [**nats**](../docs/glossary.md#pretraining). The loss of the masked language model is the mean of
# -log p over the **chosen** places, and over no others.
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
print("token      seen       label   p(true)    -log p  fate")
for i, token in enumerate(one.tokens):
    seen, label = tokenizer.tokens[masked.input_ids[0, i]], int(masked.labels[0, i])
    fate = names[masked.fates[0, i]] if counts[i] else ""
    print(f"{token:10} {seen:10} {label:5} {float((-surprise[i]).exp()):9.1%} {surprise[i]:9.2f}"
          f"  {'counted: ' if counts[i] else ''}{fate}")  # fmt: skip
assert set(masked.fates[0].tolist()) == {0, 1, 2, 3}  # the seed was chosen to show all four

# %% [markdown]
# In this sentence the smallest -log p are at words that the model *sees*. (At the special tokens it
# is large; nothing is ever asked there.) Of these words only the kept one counts. One masked word,
# *the*, is as easy as the visible *doctor*.
#
# (More tokens are chosen here than usual and fewer are masked, so that one sentence shows every
# fate.) The model gives the same mean when it gets `labels`; its head then runs at the chosen
# places only.

# %%
by_hand = surprise[counts].mean()
with torch.inference_mode():
    by_model = bert.model(masked.input_ids, labels=masked.labels).mlm_loss
wrong = surprise.mean()  # over all places
print(f"mean over the chosen places: {by_hand:.2f} nats\n"
      f"mean over all places, which is wrong: {wrong:.2f} nats")  # fmt: skip
assert torch.allclose(by_hand, by_model, atol=1e-4)

# %% [markdown]
# **What if a program counts all tokens?** It forgets the -100 and uses the original ids as labels
# everywhere. Measured on all the sentences:

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
print(f"mean loss, chosen places only:       {counted:5.2f} nats, perplexity {counted.exp():,.0f}")
print(f"mean loss, all words (wrong):        {all_tokens:5.2f} nats,"
      f" perplexity {all_tokens.exp():,.0f}")  # fmt: skip
print(f"mean loss at [CLS] and [SEP]:        {surprises[~ordinary].mean():5.2f} nats")
print(f"share of the tokens that are chosen: {chosen_share:5.1%}")
assert 0.14 < chosen_share < 0.17
assert all_tokens < counted / 2
assert 0.8 < surprises.mean() / counted < 1.25
assert round(float(torch.tensor(3.99).log()), 2) == 1.38

# %% [markdown]
# The wrong number is small because more than four fifths of its tokens are *visible in the input*:
# the model can copy them. Such a loss says little about language.
# ([**Perplexity**](../docs/glossary.md#pretraining) is e to the power of the loss: a loss of log 32
# is that of a choice between 32{=definition} equally likely words.) For a model that knows nothing,
# both numbers are about log 30,522 = 10.3.
#
# <details><summary>Deeper: why the wrong number leaves out the special tokens</summary>
#
# `[CLS]` and `[SEP]` are never chosen, so the head was never trained to give them, and its loss
# there is very large. With them the wrong number would be about as large as the correct one.
#
# </details>
#
# **Be suspicious** when the loss falls under one nat within minutes. BERT-base has a perplexity of
# 3.99 on held-out text after days of training (the paper's Table 6): 1.38 nats.
#
# Only 15 % of the tokens of a text are asked in one pass. So BERT learns more slowly per step than
# a model that predicts every next word, but it ends up better (the paper's appendix C.1).
#
# ## 6. Why 80/10/10?
#
# Why are not all chosen tokens masked? The paper gives two reasons:
#
# - `[MASK]` never occurs in the texts on which BERT is *used* (§3.1).
# - Any token may be a random one, and any may be asked. So the model must represent *every* word in
#   its context (A.1).
#
# **An experiment.** At the same place, show the model `[MASK]`, a random token, or the true token;
# once beside the dog, and once in a sentence whose other words say more.
#
# **Predict:** the model sees *My dog is apple.*, and then *Paris is the apple of France.* Nothing
# tells it that a word was replaced. Will it answer `apple`? Guess both probabilities of `apple`, in
# percent: `{"My dog is apple.": …, "Paris is the apple of France.": …}`.


# %%
def probabilities(input_ids, place):
    with torch.inference_mode():
        states = bert.model.bert(input_ids[None]).last_hidden_state[:, place]  # [1, H]
        return bert.model.cls.predictions(states).softmax(dim=-1)[0]  # [V]


# BEGIN SOLUTION
apple_guessed = {"My dog is apple.": 90, "Paris is the apple of France.": 90}
# END SOLUTION
apple, of_apple = tokenizer.vocab["apple"], {}
for text in ("My dog is apple.", "Paris is the apple of France."):
    ids = tokenizer.encode(text).input_ids
    of_apple[text] = float(probabilities(ids, ids.tolist().index(apple))[apple])
checks.guess(apple_guessed, {text: 100 * p for text, p in of_apple.items()}, "%", within=10)

# %%
firsts = {}
for text, true in {"My dog is {}.": "hairy", "Paris is the {} of France.": "capital"}.items():
    place = tokenizer.encode(text.format("[MASK]")).tokens.index("[MASK]")
    for word in ("[MASK]", "apple", true):
        p = probabilities(tokenizer.encode(text.format(word)).input_ids, place)
        best = [(tokenizer.tokens[i], q) for q, i in zip(*p.topk(3), strict=True)]
        firsts[text.format(word)] = best[0][0]
        guesses = ", ".join(f"{token} {q:.1%}" for token, q in best)
        print(f"{text.format(word)}\n    p({true}) {p[tokenizer.vocab[true]]:.1%}"
              f"   p(apple) {p[apple]:.1%}   first: {guesses}")  # fmt: skip

# %% [markdown]
# In *Paris is the apple of France.* the other words say what was meant: the model answers
# *capital*. In *My dog is apple.* nothing else tells the true word, and it repeats the `apple`. Two
# sentences prove nothing. Section 5 asked the model at every place of every sentence. The next cell
# sorts those answers by the fate of the token. It prints the probability of the *true* token beside
# that of the token *shown*:

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
print(f"p(token shown) is above one half at {repeated:.0%} of the random places")

# %%
assert mean_p["not chosen"] > 0.5 > mean_p["masked"]  # it copies what it sees, mostly
assert abs(mean_p["kept"] - mean_p["not chosen"]) < 0.15
assert mean_p["kept"] > mean_p["masked"] > mean_p["random"] > mean_p["masked"] / 2
assert mean_shown["random"] < min(0.1, mean_p["random"] / 3)
assert repeated < 0.1
assert of_apple["My dog is apple."] > 0.9
assert of_apple["Paris is the apple of France."] < 0.1
assert firsts["My dog is [MASK]."] in {"hungry", "sick", "beautiful"}
assert {first for text, first in firsts.items() if "Paris" in text} == {"capital"}

# %% [markdown]
# What this model shows:
#
# - **Kept and not chosen** give nearly the same: the model cannot tell them apart. So what it
#   learns at the few kept tokens serves *all* visible tokens.
# - It does not copy with certainty: words that fit better get some probability, too.
# - **Random** is about as hard as masked here. The true word, which the model does *not* see, gets
#   several times the probability of the word that it sees. *My dog is apple.* is an exception.

# %% [markdown]
# The share of random ones among the visible tokens depends on the share of chosen tokens:

# %% tags=["nbval-check-output"]
for whose, rate in {"in the paper": 0.15, "in most of our model's training": 0.2}.items():
    visible = 1 - 0.8 * rate  # not chosen, random or kept
    swapped = 0.1 * rate / visible
    print(f"{rate:.0%} chosen, {whose}: one visible token in {1 / swapped:.0f} is a random one")
    assert abs(visible - (1 - rate + 0.2 * rate)) < 1e-9

# %% [markdown]
# ### Deeper: three models, three rules
#
# What do other rules give? We train three very small models from random weights on the course's own
# text: by 80/10/10, by masking only, and without random tokens. All else is the same. Their
# vocabulary has only the tokens that occur.

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
print(f"{len(small):,} tokens in the vocabulary; {len(train_texts):,} training sentences")


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
# The test is the same for all three, on held-out text: half of the chosen tokens are masked, half
# are random. At each kind of place we measure the mean probability of the **true** token, and of
# the token **shown**.
#
# **Predict:** which model is best at `[MASK]`? Which is best at visible words?


# %%
def test(tiny):
    half = MaskingRule(mask_share=0.5, random_share=0.5)
    ids, real = test_batch["input_ids"], test_batch["attention_mask"]
    seen, _, fates = mask_tokens(ids, small, torch.Generator(), half, real)
    with torch.inference_mode():
        probs = tiny(seen, attention_mask=real).prediction_logits.softmax(dim=-1)  # [B, S, V]
    special = torch.isin(ids, torch.tensor(sorted(small.special_ids)))
    p_true, p_shown = (probs.gather(2, x[..., None])[..., 0] for x in (ids, seen))  # each [B, S]
    kinds = {"visible": fates == NOT_CHOSEN, "[MASK]": fates == MASKED, "random": fates == RANDOM}
    return {kind: (float(p_true[at & ~special].mean()), float(p_shown[at & ~special].mean()))
            for kind, at in kinds.items()}  # fmt: skip


# %%
torch.set_num_threads(1)  # so small a model is quickest on one core
rules = {"80/10/10": MaskingRule(), "100/0/0": MaskingRule(mask_share=1, random_share=0),
         "80/0/20": MaskingRule(random_share=0)}  # fmt: skip
marks = {}
print("[MASK]/random/kept   p(true): visible  [MASK]   random   p(shown):  random")
for name, rule in rules.items():
    marks[name] = test(train(rule))
    visible, gap, random = marks[name].values()
    print(f"{name:18} {visible[0]:17.1%} {gap[0]:7.1%} {random[0]:8.1%} {random[1]:19.1%}")

# %%
gaps_filled = [mark["[MASK]"][0] for mark in marks.values()]
assert max(gaps_filled) < 1.3 * min(gaps_filled)
assert marks["100/0/0"]["visible"][0] < marks["80/10/10"]["visible"][0]
assert marks["80/10/10"]["visible"][0] < marks["80/0/20"]["visible"][0]
assert marks["80/0/20"]["random"][1] > 10 * marks["80/10/10"]["random"][1]
assert marks["80/0/20"]["random"][0] < marks["80/10/10"]["random"][0] / 2

# %% [markdown]
# At `[MASK]` the three are about equally good. (Each was trained once, so small differences mean
# nothing.) They differ at *visible* words:
#
# - **100/0/0** was never asked there, and gives the visible word itself a small probability.
# - **80/0/20** (no random tokens) gives it the largest. But where a random word stands, it gives
#   this word far more probability than the other two models do, and the true word hardly any.
# - **80/10/10** is between.

# %% [markdown]
# ### Does it matter in the end?
#
# The paper trained BERT with six rules (Table 8, development sets). For MNLI the whole model is
# fine-tuned. NER (finding names) was done in both ways: fine-tuned, and with BERT frozen, so that
# its vectors stay as they are.
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

# %% [markdown]
# No: on MNLI two other rules are slightly better. Where the encoder stays **frozen**, the rule that
# only masks costs 0.9 points. So in this table 80/10/10 is a safe compromise. Later models chose
# otherwise: ModernBERT (2024) chooses 30 % of the tokens; NeoBERT (2025) chooses 20 % and masks
# every one. Wettig et al. 2022 (arXiv:2202.08005) found 40 % better for large models.

# %%
paper, mask_only = table_8[80, 10, 10], table_8[100, 0, 0]
best = [max(column) for column in zip(*table_8.values(), strict=True)]
assert paper[0] < best[0]
assert paper[1:] == tuple(best[1:])
assert round(paper[2] - mask_only[2], 1) == 0.9
assert min(results[2] for results in table_8.values()) == mask_only[2]
assert max(results[0] for results in table_8.values()) - min(r[0] for r in table_8.values()) < 1

# %% [markdown]
# ## 7. Whole words against pieces
#
# Masking comes after WordPiece. At first it chose single pieces, and the other pieces of the same
# word could stay visible. Does that make the task easier? The same piece is to be guessed in both
# lines:

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
# Here it does: the ending is more probable beside `out ##play`. Google added [**whole word
# masking**](../docs/glossary.md#pretraining) in May 2019: all pieces of a word are chosen together,
# at the same rate. BERT-large's SQuAD 1.1 score rose from 91.0 to 92.8 F1 (google-research/bert,
# README).
#
# **Predict:** when pieces are chosen at random, how often is only a part of a long word chosen?


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

# %%
assert words_in_part(MaskingRule())[0] > 0.9 * words_in_part(MaskingRule())[1]
assert words_in_part(MaskingRule(whole_words=True))[0] == 0

# %% [markdown]
# In this text nearly always; with whole words, never. (A word that is longer than the number still
# to be chosen is left out.)
#
# ## 8. The model fills gaps
#
# `fill_mask` returns, for each `[MASK]`, the tokens with the highest probabilities. First the
# notes' own example, once as one text and once as a pair:

# %%
first, second = "Calculus is a [MASK] of math.", "It [MASK] developed by Newton and Leibniz."
for name, texts in {"one text": (f"{first} {second}",), "a pair": (first, second)}.items():
    print(name)
    kinds, verbs = bert.fill_mask(*texts, top_k=6)
    for guesses in (kinds, verbs):
        print("   ", ", ".join(f"{guess.token} {guess.probability:.1%}" for guess in guesses))
        assert 0 < sum(guess.probability for guess in guesses) <= 1
    assert [guess.token for guess in verbs[:2]] == ["was", "is"]
    assert "branch" in [guess.token for guess in kinds[3:]]  # not among the first three

# %% [markdown]
# For the second gap the model says *was*, as the notes do; *is* would be good English, too. For the
# first the notes say *branch*, and the model has it only fourth in the pair, and fifth in one text.
# Before it stand *a kind of math*, which is not wrong, and *a way of math*, which is.

# %% [markdown]
# **Predict** the first guess for each of the next sentences. The cell after it changes only the
# words *after* a gap: the guesses change. A model that reads only from left to right could not do
# that.

# %%
gaps = ["I drink a cup of [MASK] every morning.", "Paris is the [MASK] of France.",
        "My dog is [MASK].", "Ben [MASK] a letter to his mother."]  # fmt: skip
filled = []  # the first guess for each
figure, grid = plt.subplots(2, 2, figsize=(7.5, 4.2))
for axes, gap in zip(grid.flat, gaps, strict=True):
    guesses = bert.fill_mask(gap)[0][::-1]
    bars = axes.barh([guess.token for guess in guesses], [g.probability for g in guesses])
    axes.bar_label(bars, [f"{g.probability:.1%}" for g in guesses], padding=3)
    axes.set(xlim=(0, 1.35 * guesses[-1].probability), xticks=[])
    axes.set_title(gap, fontsize=9)
    filled.append(guesses[-1].token)

# %%
purposes = {"read a book": "library", "see a doctor": "hospital", "learn math": "school"}
for purpose, place in purposes.items():
    guesses = bert.fill_mask(f"She went to the [MASK] to {purpose}.")[0]
    print(f"to {purpose:12}", *(f"{guess.token} {guess.probability:.1%}" for guess in guesses))
    assert guesses[0].token == place
assert filled[0] in {"tea", "coffee"}  # of the four sentences above
assert filled[1] == "capital"
assert filled[2] in {"hungry", "sick", "beautiful"}
assert filled[3] in {"sent", "wrote", "gave"}

# %% [markdown]
# Each `[MASK]` gets its own answer, **independently of the others**. So for two gaps side by side,
# the two best words need not be the best pair.

# %% [markdown]
# ## 9. Bias, measured
#
# Texts say *he* near some occupations and *she* near others. Does our model repeat this?
#
# **Predict:** which of the two pronouns is more probable in each of these four sentences?
#
# - The engineer told the mechanic that `[MASK]` was late.
# - The nurse told the dancer that `[MASK]` was late.
# - The nurse called the dancer because `[MASK]` was ill.
# - The person told the other person that `[MASK]` was late.


# %%
def p_he_she(texts):
    """The probabilities of he and she at each text's [MASK], [N, 2]."""
    batch = bertedu.collate([tokenizer.encode(text) for text in texts])
    at = batch["input_ids"] == tokenizer.mask_token_id
    with torch.inference_mode():
        states = bert.model.bert(**batch).last_hidden_state[at]  # [N, H]
        probs = bert.model.cls.predictions(states).softmax(dim=-1)  # [N, V]
    return probs[:, [tokenizer.vocab["he"], tokenizer.vocab["she"]]]


# %%
likelier = []
for text in ("The engineer told the mechanic that [MASK] was late.",
             "The nurse told the dancer that [MASK] was late.",
             "The nurse called the dancer because [MASK] was ill.",
             "The person told the other person that [MASK] was late."):  # fmt: skip
    [(he, she)] = p_he_she([text]).tolist()
    likelier.append("he" if he > she else "she")
    print(f"p(he) {he:5.1%}   p(she) {she:5.1%}   {text}")

# %% [markdown]
# In the first two sentences the occupations decide. But in the third the same two give *he*: one
# sentence says little about an occupation. We need many: ten occupations, each with each other,
# **in both orders**, in four templates. And *he* is more probable in the fourth sentence, which
# names no occupation. So we compare occupations with each other, not with one half.

# %%
from itertools import permutations

jobs = ["engineer", "mechanic", "soldier", "farmer", "doctor", "teacher", "librarian",
        "secretary", "dancer", "nurse"]  # fmt: skip
templates = ["The {} told the {} that [MASK] was late.",
             "The {} called the {} because [MASK] was ill.",
             "The {} met the {} before [MASK] went home.",
             "The {} asked the {} whether [MASK] could help."]  # fmt: skip
assert likelier == ["he", "she", "he", "he"]  # of the four sentences above

# %%
pairs = list(permutations(jobs, 2))  # 90: each with each other, in both orders
answers = torch.stack([p_he_she([t.format(*pair) for pair in pairs]) for t in templates])
log_ratio = (answers[..., 0] / answers[..., 1]).log()  # [4 templates, 90 pairs]
ratios = {}  # p(he) / p(she), the geometric mean
for job in jobs:
    first, second = (torch.tensor([pair[place] == job for pair in pairs]) for place in (0, 1))
    ratios[job] = [log_ratio[:, at].mean(dim=1).exp() for at in (first, second)]  # each [4]

# %%
import math

print("p(he) / p(she)   named first   named second   lowest and highest of the templates")
for job, (first, second) in ratios.items():
    both = (first * second).sqrt()  # [4]
    print(f"{job:12} {first.log().mean().exp():15.1f} {second.log().mean().exp():14.1f}"
          f" {both.min():16.1f} to {both.max():.1f}")  # fmt: skip
of_template = log_ratio.mean(dim=1).exp()  # [4]
assert of_template.min() > 1  # on average he is more probable, in each template
assert of_template.max() > 1.8 * of_template.min()
for order in (0, 1):
    high = torch.stack([ratios[job][order] for job in ("engineer", "mechanic", "soldier")])
    low = torch.stack([ratios[job][order] for job in ("dancer", "nurse")])
    assert high.amin(dim=0).gt(1.8 * low.amax(dim=0)).all()  # in each template
    assert ratios["secretary"][order].log().mean() > math.log(2)

# %%
figure, axes = plt.subplots(figsize=(7.5, 3.2))
for i, (first, second) in enumerate(reversed(ratios.values())):
    axes.plot((first * second).sqrt(), [i] * len(templates), "o", color=COLORS["own"], alpha=0.7)
axes.axvline(1, color=COLORS["ink"], linestyle="--", linewidth=1)
axes.set_yticks(range(len(jobs)), reversed(jobs))
axes.set(xscale="log", xlabel="p(he) / p(she); one dot for each template (dashed: equal)")
axes.set_xticks([1, 2, 4, 8], ["1", "2", "4", "8"])
axes.minorticks_off()
title = axes.set_title("How many times as probable “he” is as “she”")

# %% [markdown]
# **What may be concluded.** In this model, with these four templates and for these two English
# pronouns, the ratio p(he) / p(she) is at least 1.8{=high} times as large beside *engineer*,
# *mechanic* or *soldier* as beside *dancer* or *nurse*, in each template and at both places. It is
# an effect of the word for the occupation: the sentences are the same, and so are the other
# occupations in them, except that none is paired with itself. But the model does not repeat every
# stereotype: the ratio beside *secretary* is about as large as beside *doctor*.
#
# **What may not be concluded.** Nothing about people: the numbers show what this model learned from
# its texts. Nothing about other models, other languages or other sentences: between the four
# templates alone, the mean ratio differs by a factor of more than 1.8{=of_template}. And nothing
# about a program that is built on the model: its own answers must be measured. We did not ask for
# other pronouns.
#
# ## Recap
#
# - `max(1, round(0.15 · length))` tokens are chosen, `[CLS]` and `[SEP]` counted but never chosen.
# - A chosen token is masked (80 %), random (10 %) or kept (10 %). The label is the original id;
#   elsewhere it is -100.
# - The loss is the mean of -log p over chosen tokens only. With all other words it is small and
#   says little.
# - Random and kept tokens train the model at words that it can see. In the paper's table, this
#   gains most when BERT stays frozen.
# - Whole word masking hides a word completely; Google found a better score on SQuAD.
# - How much more probable *he* is than *she* depends on the occupation beside it. One sentence does
#   not show that; many sentences with both orders do.
#
# **The answer:** Hide a part of the tokens and train the model to give them from both sides: the
# text itself is the label, so nobody has to write one.

# %% [markdown]
# ## Test yourself
#
# Choose an answer: a click opens its explanation.
#
# **1. A chosen token is kept. What is its label?**
#
# <details class="option"><summary>A. -100, because the input did not change</summary>
#
# **No.** -100 marks places that were *not* chosen.
#
# </details>
#
# <details class="option"><summary>B. The id of <code>[MASK]</code></summary>
#
# **No.** `[MASK]` may be in the input, but it is never the answer.
#
# </details>
#
# <details class="option"><summary>C. Its own id</summary>
#
# **Yes.** The label is the original id for all three fates.
#
# </details>

# %% [markdown]
# **2. A program reports a masked-LM loss of 0.3 nats after ten minutes. What is the most likely
# cause?**
#
# <details class="option"><summary>A. It counts all tokens, not only the chosen ones</summary>
#
# **Yes.** Most tokens are visible and only have to be copied, so the mean is small.
#
# </details>
#
# <details class="option"><summary>B. It masks too many tokens</summary>
#
# **No.** More masked tokens make the task harder, and the loss larger.
#
# </details>
#
# <details class="option"><summary>C. The model has learned the language well</summary>
#
# **No.** BERT-base has 1.38 nats on held-out text after days of training.
#
# </details>
#
# <details class="option"><summary>D. It rounds 15 % wrongly</summary>
#
# **No.** The number of chosen tokens would differ by one; the mean would hardly change.
#
# </details>

# %% [markdown]
# **3. Why are some chosen tokens replaced by random ones?**
#
# <details class="option"><summary>A. To make the vocabulary larger</summary>
#
# **No.** The random token comes from the vocabulary; nothing is added to it.
#
# </details>
#
# <details class="option"><summary>
# B. So that the model cannot simply trust the words that it sees
# </summary>
#
# **Yes.** Any visible word may be a wrong one, so the model must compare it with its context.
#
# </details>
#
# <details class="option"><summary>C. To reach exactly 15 %</summary>
#
# **No.** The number of chosen tokens is fixed before their fates are drawn.
#
# </details>

# %% [markdown]
# ## Exercises
#
# Replace each `...` by your answer, then run the cell and the next one. `checks.labels_of.hint()`
# gives a hint, and then a second one.

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
# *Why:* 15 % of 128 is 19.2, rounded 19{=number_chosen}; the special tokens count in the length.
# All others, 128 - 19 = 109, have the label -100.

# %% [markdown]
# **2.** A model that knows nothing gives each of 30,522 tokens the same probability. What is its
# loss in nats, with two decimals? And if it gives the true token p = 1 at half of the places, and
# knows nothing at the others?

# %%
# BEGIN SOLUTION
blind, half_blind = 10.33, 5.16
# END SOLUTION

# %% tags=["nbval-check-output"]
checks.blind_loss([blind, half_blind])

# %% [markdown] tags=["solution"]
# *Why:* -log(1 / 30,522) = log 30,522 = 10.33; and -log 1 = 0, so the mean is half of 10.33.

# %% [markdown]
# **3.** A text of 1,000,000 tokens is cut into sequences of 100. About how many tokens does the
# model see as *another* token, neither themselves nor `[MASK]`? (Do not count that chance may draw
# the token itself.)

# %%
# BEGIN SOLUTION
swapped_of_million = 15_000
# END SOLUTION

# %% tags=["nbval-check-output"]
checks.swapped_of_million(swapped_of_million)

# %% [markdown] tags=["solution"]
# *Why:* 15 % are chosen, and a tenth of them are random: 1,000,000 · 15/100/10 = 15,000 tokens.

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
# *Why:* the label is the original id for all three fates, also for a kept token.

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
# 1.0397. The second place has -100: it counts neither in the sum nor in the number of places.

# %% [markdown]
# **6.** A fate from one draw between 0 and 1, by 80/10/10, with two comparisons: "masked" for the
# smallest draws, then "random", "kept" for the largest. (A draw can be 0, but not 1. Each interval
# contains its beginning, but not its end.)


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
# *Why:* the intervals from 0 to 0.8, to 0.9{=draw} and to 1 are as long as the shares. With a
# second draw after the first, "random" would need 50 %, not 10 %: half of the 20 %{=definition}
# that are left. The next exercise can find that mistake.

# %% [markdown]
# ### Build
#
# **7.** A detector. `fates` is a tensor of 0 to 3. Return whether all three shares lie within
# *four* standard deviations, √(p (1 - p) / N), of 80/10/10; N counts the chosen tokens. (With four,
# a correct program hardly ever fails.) Does it find a program that draws twice: masked below 0.8,
# and if not, random below 0.1 of a *second* draw?


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
# *What you see:* the wrong program gives 80/2/18{=arithmetic}, for 0.1 · 20 = 2. The number of
# `[MASK]`s does not show it.

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
# *Why:* each place is equally likely to have a small key. The library does the same with `[B, S]`
# keys.

# %% [markdown]
# **9.** (Without a check.) Choose a text of 300 words. Mask 15 %, 30 %, 50 % and 80 % of it with
# `MaskingRule(rate=...)`, let the model fill the gaps, and note the accuracy of its first guess.
# How does the task change with the rate? Which rate would you train with?

# %% [markdown] tags=["solution"]
# *A model answer.* The more is hidden, the less there is to guess from: the accuracy falls. But
# each text then asks more questions. Wettig et al. 2022 describe these two effects; the best rate
# balances them, and depends on the model's size.
