# %% [markdown]
# # 05 · Self-attention
#
# **How does a token take in information from the other tokens?**
#
# [**Self-attention**](../docs/glossary.md#the-model) is the only part of BERT in which tokens take
# in information from each other. You compute it by hand, and test a claim of the lecture notes.
#
# **Afterwards you can**
# - compute query, key, value, score, probability and context for one token by hand;
# - show why scores are divided by √D, and what padding does without a mask;
# - follow one layer from its input to its output, with residuals and LayerNorm;
# - say, with numbers and intervals, what a word attends to, and what that does *not* explain.
#
# **You need** lesson 04 and matrix products. No internet connection.
#
# **Time** about 75 minutes to work through; less than one minute of CPU time.
#
# **In the paper** Vaswani et al. 2017 (arXiv:1706.03762), §3.2; Devlin et al. 2019 takes it over
# (§3 "Model Architecture"). What trained heads do: Clark et al. 2019 (arXiv:1906.04341).

# %% tags=["nbval-check-output"]
import copy
import math

import matplotlib.pyplot as plt
import torch

import bertedu
from bertedu.attention import attend, attention_probs, attention_scores
from bertedu.classroom import checks
from bertedu.classroom.figures import COLORS, STYLE

plt.style.use(STYLE)
bert = bertedu.load()
tokenizer = bert.tokenizer
print(bert)

# %% [markdown]
# ## 1. One token asks
#
# Three learned matrices make three other vectors from each token's vector:
#
# - a [**query**](../docs/glossary.md#the-model): what does the token look for?
# - a [**key**](../docs/glossary.md#the-model): by what do other tokens find it?
# - a [**value**](../docs/glossary.md#the-model): what does it give to a token that finds it?
#
# A token compares its query with *every* key, also its own, by a dot product. The
# [**softmax**](../docs/glossary.md#the-model) turns these scores into shares that sum to 1. The
# **context** of the token is the sum of all values, weighted by these shares.
#
# Compute on paper, with vectors of two numbers:
#
# | token | query | key | value |
# |:--|:--|:--|:--|
# | dog | (2, 0) | (1, 0) | (10, 0){=value} |
# | is | (0, 0) | (0, 1) | (0, 10){=value} |
# | cute | (1, 1) | (1, 1) | (5, 5){=value} |
#
# **Predict:** which token does *dog* attend to most? And *is*, whose query is zero?

# %% tags=["nbval-check-output"]
query = torch.tensor([[2.0, 0], [0, 0], [1, 1]])  # [S, D]: 3 tokens, 2 numbers
key = torch.tensor([[1.0, 0], [0, 1], [1, 1]])
value = torch.tensor([[10.0, 0], [0, 10], [5, 5]])

scores = query @ key.T / math.sqrt(2)  # [S, S]: rows ask, columns answer
probs = scores.exp() / scores.exp().sum(dim=-1, keepdim=True)  # softmax
context = probs @ value  # [S, D]
for token, row, mixed in zip(("dog", "is", "cute"), probs, context, strict=True):
    print(
        f"{token:5} shares", *(f"{p:.2f}" for p in row), "  context", *(f"{x:.1f}" for x in mixed)
    )
assert torch.allclose(probs.sum(dim=-1), torch.ones(3))

# %% [markdown]
# *dog* attends equally to *dog* and *cute*: its query reads only the first number of the keys,
# and both have the same. *is* has the query 0, so all its shares are equal. The shares always sum
# to 1, so no token can attend to nothing.
#
# The library does the same in three short functions:

# %% tags=["nbval-check-output"]
assert torch.allclose(attention_scores(query, key), scores)
assert torch.allclose(attention_probs(scores), probs)
assert torch.allclose(attend(query, key, value)[0], context)
print("the library gives the same scores, shares and contexts")

# %% [markdown]
# The same step in our trained BERT, with D = 32{=by_hand} numbers in place of two (one *head* of
# its first layer). *playing* asks: **Play** shows each step, from its query to the output.
#
# **Predict:** the scores can also be divided by a *temperature*; at 1 it is the model. At 2, does
# the largest share rise or fall? And without the division by √D? Then try both.
#
# **Step by step.** A link with ▸ sets the picture below, and one more click on it sets that back:
#
# - [1, query and keys](#AttentionStep?stage=1
#   "“playing” asks with its query, 32 numbers"): *playing* asks with 32 numbers;
# - [2, scores](#AttentionStep?stage=2
#   "“dog” has the largest, 23.23"): query times key, and *dog* has the largest, 23.23;
# - [3, divide](#AttentionStep?stage=3
#   "Each score is divided by 5.66: “dog” has the largest, 4.11"): by √32{=by_hand}, about 5.66,
#   which leaves 4.11;
# - [4, softmax](#AttentionStep?stage=4
#   "“dog” gets 62.1 %"): *dog* gets 62.1 %;
# - [5, weigh](#AttentionStep?stage=5
#   "Each token's value is multiplied by its share"): each token's value is multiplied by its share;
# - [6, add up](#AttentionStep?stage=6&target=dog
#   "“playing” asks “dog” (position 2): score 23.23, divided 4.11, share 62.1 %"): the sum is what
#   the head gives to *playing*; the line at the foot repeats the numbers of *dog* (position 2).
#
# Any other token may ask:
# [*likes* looks at *dog*, too, with 34.7 %](#AttentionStep?stage=4&token=likes
# "“dog” gets 34.7 %"), and
# [*he* mostly at `[CLS]`, with 53.5 %](#AttentionStep?stage=4&token=he
# "“[CLS]” gets 53.5 %").

# %% tags=["nbval-check-output"]
from bertedu.widgets import AttentionStep

step = AttentionStep("my dog is cute and he likes playing", bert, layer=1, head=11, token=8)
step

# %% tags=["nbval-check-output"]
scaled = step.scores / math.sqrt(32)
stands = {"as in the model": scaled, "temperature 2": scaled / 2, "not divided": step.scores}
tops = [float(scores.softmax(dim=0).max()) for scores in stands.values()]
for name, top in zip(stands, tops, strict=True):
    print(f"{name:15} largest share {top:.0%}")

# %% [markdown]
# ## 2. Why divide by √D?
#
# In the picture above, [at temperature 2](#AttentionStep?stage=4&temperature=2
# "the largest share (“dog”) falls from 62.1 % to 32.0 %") the largest share falls from 62.1 % to
# 32.0 %, and [without the division](#AttentionStep?stage=4&scaled=off
# "the largest share (“dog”) rises from 62.1 % to 100.0 %") it rises to
# 100.0 %.
#
# A dot product of D numbers is a sum of D terms, so it grows with D: for random vectors its
# standard deviation is √D.

# %% tags=["nbval-check-output"]
terms = torch.randn(2, 5_000, 64, generator=torch.Generator().manual_seed(0)).prod(dim=0)
spread = float(terms.sum(dim=-1).std())  # of 5,000 dot products of random vectors with D = 64
print(f"standard deviation {spread:.1f}, and √64 = 8")
assert abs(spread - 8) < 0.3
assert tops[1] < tops[0] < tops[2]  # of section 1: temperature 2, the model, not divided

# %% [markdown]
# With large scores, the softmax gives nearly everything to the largest one.
#
# **Predict:** there are 20 keys, random vectors of 4, 64 or 1024 numbers. How large is the largest
# share on average, with and without the division? (Equal shares would be 5 %{=definition}.) Guess
# it for 1024
# numbers, in percent: `{"with": …, "without": …}`.


# %%
def largest_share(D, scaled, rows=400, keys=20):
    generator = torch.Generator().manual_seed(0)
    q = torch.randn(rows, 1, D, generator=generator)
    k = torch.randn(rows, keys, D, generator=generator)
    scores = q @ k.transpose(-1, -2) / (math.sqrt(D) if scaled else 1)
    return float(scores.softmax(dim=-1).max(dim=-1).values.mean())


# %% tags=["nbval-check-output"]
largest = {D: (largest_share(D, True), largest_share(D, False)) for D in (4, 64, 1024)}
# BEGIN SOLUTION
largest_guessed = {"with": 10, "without": 50}
# END SOLUTION
of_1024 = dict(zip(("with", "without"), largest[1024], strict=True))
checks.guess(largest_guessed, {name: 100 * share for name, share in of_1024.items()}, "%", within=5)

# %% tags=["nbval-check-output"]
for n, (with_it, without) in largest.items():
    print(f"D = {n:4}: largest of 20 shares {with_it:.0%} with the division, {without:.0%} without")

# %% [markdown]
# With the division, the largest share is about the same for any of these D. Without it, at D =
# 1024, nearly everything goes to one key. There the softmax is *flat*: the gradient becomes small.
# Measure it:

# %% tags=["nbval-check-output"]
size = 1024
for name, factor in {"divided": 1 / math.sqrt(size), "not divided": 1.0}.items():
    generator = torch.Generator().manual_seed(1)
    asking = torch.randn(200, 1, size, generator=generator).requires_grad_()
    keys, values = (torch.randn(200, 20, n, generator=generator) for n in (size, 1))
    ((asking @ keys.transpose(-1, -2) * factor).softmax(dim=-1) @ values).sum().backward()
    typical = float(asking.grad.norm(dim=-1).median()) / factor / math.sqrt(size)
    size_of_it = "above 0.1" if typical > 0.1 else "less than 0.1"
    print(f"{name:12} typical gradient, relative to the scale of the scores: {size_of_it}")
    assert (typical > 0.1) == (name == "divided")
assert max(with_it for with_it, _ in largest.values()) < 0.3
assert largest[1024][1] > 0.9

# %% [markdown]
# ## 3. In the model
#
# Now with trained weights: the first layer of our BERT, its first head, and the sentence "my dog
# is cute". Each layer has 12 [**heads**](../docs/glossary.md#the-model): the 384 numbers of
# queries, keys and values are cut into 12 parts of D = 32{=by_hand}, one part for each head.

# %%
encoding = tokenizer.encode("my dog is cute")
layer = bert.model.bert.encoder.layer[0]
with torch.inference_mode():
    x = bert.hidden_states("my dog is cute")[0]  # [S, H], what lesson 04 computed
    q, k, v = (part(x) for part in (layer.attention.self.query, layer.attention.self.key,
                                    layer.attention.self.value))  # fmt: skip
    D = bert.config.head_size
    head = slice(0, D)  # the first head's numbers
    by_hand = attention_probs(attention_scores(q[:, head], k[:, head]))  # [S, S]
print(f"H = {x.shape[1]}, {bert.config.num_attention_heads} heads of D = {D}")
print("          " + " ".join(f"{token:>6}" for token in encoding.tokens))
for token, row in zip(encoding.tokens, by_hand, strict=True):
    print(f"{token:>9}", " ".join(f"{p:6.1%}" for p in row))

# %%
theirs = bert.attention("my dog is cute")  # [L, A, S, S]
assert torch.allclose(by_hand, theirs[0, 0], atol=1e-5)
S, H, A = len(x), x.shape[1], bert.config.num_attention_heads
by_head = [part.view(S, A, D).transpose(0, 1) for part in (q, k, v)]  # each [A, S, D]
contexts, all_probs = attend(*by_head)
assert torch.allclose(all_probs, theirs[0], atol=1e-5)
joined = contexts.transpose(0, 1).reshape(S, H)  # the heads' contexts, side by side

# %% [markdown]
# **Why several heads?** A head gives one set of shares for each token, so it can look for one thing
# at a time; twelve can look for twelve. They need no more weights: the matrices are as large as
# those of one head with D = 384. Two of the 6 · 12 = 72 heads in the picture of section 6, on a
# longer text:
# [one of the first layer](#AttentionExplorer?layer=1&head=1&token=dog
# "“dog” (position 2) asks: [CLS] 27.7 %, likes 7.6 %") in which *dog* (position 2) gives 27.7 % to
# `[CLS]` and 7.6 % to *likes*, and
# [head 7 of layer 3](#AttentionExplorer?layer=3&head=7&token=dog
# "cute 12.3 %, my 5.9 %") in which it gives 12.3 % to *cute* and 5.9 % to *my*.
#
# ## 4. The rest of the layer
#
# The heads' contexts, side by side, go through one more matrix. Then the result is **added to the
# layer's input**, and normalised. This is the [**residual
# connection**](../docs/glossary.md#the-model), or *residual*. The second half of the layer, the
# feed-forward network, treats each token by itself, and ends in the same way.

# %% tags=["nbval-check-output"]
with torch.inference_mode():
    first, second = layer.attention.output, layer.output
    after_attention = first.LayerNorm(x + first.dense(joined))  # residual
    wide = torch.nn.functional.gelu(layer.intermediate.dense(after_attention))  # [S, 4 H]
    after_layer = second.LayerNorm(after_attention + second.dense(wide))  # residual
    by_model = bert.hidden_states("my dog is cute")[1]
assert torch.allclose(after_layer, by_model, atol=1e-5)
print(f"layer 1, by hand: {tuple(after_layer.shape)}, equal to the model's within 0.00001")

# %% [markdown]
# So **a token's own vector goes past the attention**, whatever the shares are. Switch the
# attention of this layer off (all contexts zero): in this sentence the sum stays much the same.

# %%
with torch.inference_mode():
    alone = first.LayerNorm(x + first.dense(torch.zeros_like(joined)))
same = torch.cosine_similarity(alone, after_attention, dim=-1)
print("cosine of each token's vector, with and without attention:", *(f"{c:.2f}" for c in same))
assert same.mean() > 0.5

# %% [markdown]
# ## 5. Padding and masks
#
# A batch is a rectangle, so short sentences are filled up with
# [**`[PAD]`**](../docs/glossary.md#text-and-tokens). This is the
# [**padding**](../docs/glossary.md#text-and-tokens), and no token should attend to it. The
# [**attention mask**](../docs/glossary.md#the-model) excludes these keys: their score becomes -∞,
# their share exactly 0.
#
# **Predict:** the same sentence, alone and with 8 `[PAD]` after it: what changes with the mask,
# and what without it?

# %% tags=["nbval-check-output"]
ids = encoding.input_ids
padded = torch.cat([ids, torch.full((8,), tokenizer.pad_token_id)])[None]
mask = (padded != tokenizer.pad_token_id).long()
with torch.inference_mode():
    plain = bert.model.bert(ids[None]).last_hidden_state[0]
    masked = bert.model.bert(padded, attention_mask=mask).last_hidden_state[0, : len(ids)]
    unmasked = bert.model.bert(padded).last_hidden_state[0, : len(ids)]
with_mask, no_mask = ((states - plain).abs().max() for states in (masked, unmasked))
how = {True: "less than 0.00001", False: "more than 0.1"}
print(f"with the mask, padding changes the words' vectors by {how[bool(with_mask < 1e-5)]}")
print(f"without the mask, it changes them by {how[bool(no_mask < 1e-5)]}")

# %%
assert with_mask < 1e-5
assert no_mask > 0.1

# %% [markdown]
# Without the mask, the answers depend on the padding, and there is no error.
#
# ## 6. Look at it
#
# The picture shows all layers and heads; a click makes one large. Hover over a token to see what
# it attends to; click to hold it.
#
# Find a head that attends to the **previous** token, one for the **next**, and one in which all
# tokens attend to `[CLS]`. Then switch the special tokens off. Hover over a pair of tokens: the
# bars show the products of query and key, number by number, and their sum, the score.

# %% tags=["nbval-check-output"]
from bertedu.widgets import AttentionExplorer

AttentionExplorer("My dog is cute.", "He likes playing with the neighbour's cat.", bert=bert,
                  complete=True)  # fmt: skip

# %% [markdown]
# **Five heads to look at** (each link sets the picture above):
#
# - [layer 1, head 3](#AttentionExplorer?layer=1&head=3&token=cute
#   "“cute” (position 4) asks: is 100.0 %"): the **previous** token; *cute* (position 4) gives *is*
#   100.0 %;
# - [layer 2, head 9](#AttentionExplorer?layer=2&head=9&token=my
#   "“my” (position 1) asks: dog 98.3 %"): the **next** token; *my* (position 1) gives *dog* 98.3 %;
# - [layer 5, head 12](#AttentionExplorer?layer=5&head=12
#   "on average?most: [CLS] 79.4 %"): all look at `[CLS]`, with 79.4 % on average;
# - [layer 2, head 8](#AttentionExplorer?layer=2&head=8&token=playing
#   "asks: cat 51.5 %"): a word far away; *playing* gives *cat* 51.5 %;
# - [layer 6, head 1](#AttentionExplorer?layer=6&head=1&token=playing
#   "neighbour 21.1 %, cat 12.9 %, he 9.3 %; entropy 2.57 nats"): broad; *playing* gives *neighbour*
#   21.1 %, *cat* 12.9 % and *he* 9.3 % (entropy 2.57 nats).
#
# **Why that much?**
# [*playing* asks *cat*](#AttentionExplorer?layer=2&head=8&token=playing&target=cat
# "asks “cat” (position 15): 51.5 %, score 5.98"): query times key, component by component, adds up
# to the score 5.98, and the softmax makes 51.5 % of it (*cat* stands at position 15).
#
# **Without the special tokens**,
# [what *dog* gives to words](#AttentionExplorer?layer=5&head=12&token=dog&special=off
# "dog 4.0 %, cute 3.8 %") in layer 5, head 12 is little: 4.0 % to itself and 3.8 % to *cute*.
# [Made to sum to 100 %](#AttentionExplorer?layer=5&head=12&token=dog&special=off&renormalise=on
# "dog 26.0 %, cute 24.6 %"), the same looks like much: 26.0 % and 24.6 %.

# %% [markdown]
# ## 7. A claim, put to the test
#
# The lecture notes say: *in self-attention a word attends most to itself; `[CLS]` has no meaning
# of its own, so no single word dominates it, and that is why one classifies from it.*
#
# In toy examples with q = k this is often so: the dot product of a vector with itself is large.
# But queries and keys come from *different* matrices.
#
# Our model's encoder began as that of `all-MiniLM-L6-v2`, which was trained to represent a
# sentence by the *mean* of all outputs. So its `[CLS]` may differ from that of
# the original BERT.
#
# **Predict:** over all words and all heads, how often does the word itself get the largest share,
# in percent?
#
# We measure it on 300 held-out sentences of the course, each by itself.

# %%
from bertedu.data import HELD_OUT
from bertedu.pretraining.corpus import split_sentences

sentences = [
    sentence
    for path in sorted(HELD_OUT.glob("*.txt"))
    for document in path.read_text("utf-8").split("\n\n")
    for sentence in split_sentences(document.strip())
][:300]


# %%
def where_it_goes(probs):
    """Shares [L, A], means over the words: [CLS] and [SEP] ask nothing here."""
    word = torch.arange(1, probs.shape[-1] - 1)
    rows = probs[:, :, 1:-1]  # [L, A, words, S]
    return torch.stack([
        probs[:, :, word, word].mean(-1), (rows.argmax(-1) == word).float().mean(-1),
        rows[..., 0].mean(-1), rows[..., -1].mean(-1),
        probs[:, :, word, word - 1].mean(-1), probs[:, :, word, word + 1].mean(-1),
    ])  # fmt: skip


# %%
attention = [bert.attention(sentence) for sentence in sentences]  # each [L, A, S, S]
measured = torch.stack([where_it_goes(probs) for probs in attention])  # [300, 6, L, A]
lengths = torch.tensor([probs.shape[-1] for probs in attention])
names = ("itself", "own largest", "[CLS]", "[SEP]", "previous", "next")
chance = float((1 / lengths).mean())


def interval(values, draws=1000):
    generator = torch.Generator().manual_seed(0)
    picks = torch.randint(len(values), (draws, len(values)), generator=generator)
    return values[picks].mean(dim=1).quantile(torch.tensor([0.025, 0.975])).tolist()


# %%
# BEGIN SOLUTION
own_guessed = 60
# END SOLUTION
checks.guess(own_guessed, 100 * measured[:, 1].mean(), "%", within=3)

# %%
print(f"shares of a word's attention, mean of each layer (an equal share would be {chance:.1%})")
print("(own largest: the share of the cases in which the word's own share is the largest)")
print(f"{'':12}", *(f"{f'layer {layer + 1}':>8}" for layer in range(measured.shape[2])))
for i, name in enumerate(names):
    print(f"{name:12}", *(f"{share:8.1%}" for share in measured[:, i].mean(dim=(0, 2))))
most = measured[:, 1].mean(dim=(1, 2))  # of each sentence
low, high = interval(most)
print(f"\nall heads: the word's own share is the largest in {most.mean():.1%} of the cases"
      f" (95 %: {low:.1%} to {high:.1%})")  # fmt: skip

# %%
own, own_most = measured[:, 0], measured[:, 1]
assert high < 0.15  # the word itself is hardly ever first
assert own.mean() < chance  # and gets no more than an even share
by_layer = measured.mean(dim=(0, 3))  # [6, L]
special = by_layer[2] + by_layer[3]  # [CLS] and [SEP]
assert (by_layer[2, 1:-1] > by_layer[3, 1:-1]).all()  # from the second layer to the last but one
assert (special > by_layer[0]).all()
assert special[2:-1].min() > 0.55
assert 0.45 < special[1] < 0.55
assert special[[0, -1]].max() < 0.4

# %% [markdown]
# A word itself seldom gets the largest share, and on average no more than an equal one. About half
# of the attention goes to the special tokens in layer 2, and most of it in layers 3 to
# 5{=measured}: in our model nearly all to `[CLS]`, in BERT-base to `[SEP]` (Clark et al. 2019:
# over half of the attention in layers 6 to 10). Their interpretation: a head with nothing to do
# attends to a token where it does no harm.
#
# Perhaps the claim is about the **words** only. So leave `[CLS]` and `[SEP]` out, and divide the
# shares of the words by their sum.
#
# **Predict:** of a word's attention to words, is its own share now larger than an equal one?


# %%
def among_words(probs):
    """[2, L, A], means over the words: its own share of what the words get; is it the largest?"""
    to_words = probs[:, :, 1:-1, 1:-1]  # [L, A, words, words]
    shares = to_words / to_words.sum(dim=-1, keepdim=True)
    itself = shares.diagonal(dim1=-2, dim2=-1)  # [L, A, words]
    return torch.stack([itself.mean(-1), (itself == shares.amax(-1)).float().mean(-1)])


of_words = torch.stack([among_words(probs) for probs in attention]).mean(dim=(2, 3))  # [300, 2]
even = 1 / (lengths - 2)  # [300]

# %%
for name, values in {"its own share": of_words[:, 0], "own is largest": of_words[:, 1]}.items():
    least, greatest = interval(values)
    times = float(values.mean() / even.mean())
    print(f"among words, {name:14} {values.mean():5.1%} (95 %: {least:.1%} to {greatest:.1%});"
          f" {times:.1f} times the {even.mean():.1%} of chance")  # fmt: skip

# %%
assert all(interval(values)[0] > 1.3 * even.mean() for values in of_words.T)
assert of_words[:, 1].mean() < 0.3

# %% [markdown]
# **So for this model the first half of the claim is wrong, but partly right about words.** Among
# all tokens the word itself is seldom first, and even among words another one is first in most
# cases. But there its own share is clearly larger than an equal one. And the **residual** carries
# the word's own vector past the attention (section 4): no share shows this.
#
# Are there heads with one clear task?

# %%
figure, grid = plt.subplots(2, 3, figsize=(7.5, 5.2), sharex=True, sharey=True)
heads = measured.mean(dim=0)  # [6, L, A]
for axes, name, of_heads in zip(grid.flat, names, heads, strict=True):
    image = axes.imshow(of_heads, vmin=0, vmax=1, aspect="auto")
    axes.set_title(name, fontsize=10)
    axes.set(xticks=[0, 5, 11], xticklabels=[1, 6, 12], yticks=[0, 2, 5], yticklabels=[1, 3, 6])
    axes.grid(visible=False)
for axes in grid[:, 0]:
    axes.set_ylabel("layer")
for axes in grid[-1]:
    axes.set_xlabel("head")
figure.colorbar(image, ax=grid, label="share, mean over the words", shrink=0.8)
assert heads[4].max() > 0.8  # there is a head for the previous token
assert heads[5].max() > 0.5  # and one for the next

# %%
for i, name in ((4, "previous"), (5, "next"), (2, "[CLS]"), (0, "itself")):
    layer_of, head_of = divmod(int(heads[i].argmax()), heads.shape[2])
    values = measured[:, i, layer_of, head_of]
    least, greatest = interval(values)
    print(f"{name:9} most in layer {layer_of + 1}, head {head_of + 1:2}: {values.mean():.1%}"
          f" (95 %: {least:.1%} to {greatest:.1%})")  # fmt: skip

# %% [markdown]
# There are: one head attends almost only to
# [the previous token](#AttentionExplorer?layer=1&head=3&token=playing
# "asks: likes 100.0 %") (*playing* gives *likes* 100.0 %), another to
# [the next](#AttentionExplorer?layer=2&head=9&token=he
# "“he” (position 7) asks: likes") (*he*, position 7, looks at *likes*). Clark et al.
# found such heads in BERT-base: four give more than half of their attention to the previous token,
# and five to the next.
#
# **The second half of the claim: `[CLS]`.** What does it attend to itself?

# %%
from_cls = torch.stack([
    torch.stack([probs[:, :, 0, 0], probs[:, :, 0, -1], probs[:, :, 0, 1:-1].max(-1).values,
                 -(probs[:, :, 0] * probs[:, :, 0].clamp(min=1e-9).log()).sum(-1)
                 / math.log(probs.shape[-1])])
    for probs in attention
]).mean(dim=(0, 3))  # [4, L]  # fmt: skip
print("shares of the attention of [CLS], mean of each layer")
print(f"{'':22}", *(f"{f'layer {layer + 1}':>8}" for layer in range(from_cls.shape[1])))
rows = ("to itself", "to [SEP]", "to its largest word", "evenness (0 to 1)")
for name, row in zip(rows, from_cls, strict=True):
    print(f"{name:22}", *(f"{share:8.2f}" for share in row))
assert from_cls[0, 1:5].min() > 0.5
assert from_cls[0, -1] < from_cls[0, 1:5].min() - 0.2
assert from_cls[3, -1] > from_cls[3, 1:5].max()
assert 0.15 < from_cls[2, -1] < 0.5  # its largest word, in an average head

# %% [markdown]
# **Partly right.** In the middle layers `[CLS]` attends mostly to *itself*
# ([95.7 % in layer 4, head 7](#AttentionExplorer?layer=4&head=7&token=[CLS]
# "“[CLS]” (position 0) asks: [CLS] 95.7 %"), its position is 0), and takes in little else. (Some
# heads of the last layer
# [read one word: 81.3 % for *he*](#AttentionExplorer?layer=6&head=2&token=[CLS]
# "asks: he 81.3 %").)
# Only in the last layer, whose `[CLS]` is used for next sentence prediction, does it attend
# broadly to the words; Clark et al. found the same in BERT-base. There its attention is spread over
# all heads, though a single head may prefer one word. That `[CLS]` "has no meaning of its own"
# does not explain this: *training* decides what its vector holds. Lesson 08 compares it with the
# mean of all outputs.
#
# ## 8. Attention is not explanation
#
# The model guesses that my aunt drinks *tea*. Is it *because* a head attends to *cup*? Find the
# head with the largest share from `[MASK]` to *cup*, remove it, and see whether the guess changes.


# %%
def without_head(layer, head):
    model = copy.deepcopy(bert.model)
    rows = slice(head * D, (head + 1) * D)
    values = model.bert.encoder.layer[layer].attention.self.value
    values.weight.data[rows] = 0  # the head hands over nothing
    values.bias.data[rows] = 0
    return bertedu.Bert(model, tokenizer)


text = "My aunt drinks a cup of [MASK] every morning."
tokens = tokenizer.encode(text).tokens
asks, cup = tokens.index("[MASK]"), tokens.index("cup")
shares = bert.attention(text)[:, :, asks, cup]  # [L, A]
best_layer, best_head = divmod(int(shares.argmax()), shares.shape[1])
print(f"layer {best_layer + 1}, head {best_head + 1}: [MASK] gives {shares.max():.0%} to 'cup'")
assert shares.max() > 0.85

# %%
before = bert.fill_mask(text, top_k=10)[0]
after = without_head(best_layer, best_head).fill_mask(text, top_k=10)[0]
for name, guesses in {"whole model": before, "without the head": after}.items():
    print(f"{name:17}", *(f"{guess.token} {guess.probability:.1%}" for guess in guesses[:5]))
assert [guesses[0].token for guesses in (before, after)] == ["tea", "tea"]
assert after[0].probability > before[0].probability
assert len({guess.token for guess in before} & {guess.token for guess in after}) >= 5

# %% [markdown]
# The model still says *tea*, with a higher probability. So for this guess the head with the
# largest share was not decisive. Remove each of the 72 heads, one at a time:

# %%
place = torch.tensor(asks)
word = tokenizer.vocab[before[0].token]


def probability(model):
    with torch.inference_mode():
        states = model.model.bert(tokenizer.encode(text).input_ids[None]).last_hidden_state[
            0, place
        ]
        return float(model.model.cls.predictions(states[None]).softmax(dim=-1)[0, word])


# %%
whole = probability(bert)
cut = torch.tensor([
    [probability(without_head(i, j)) for j in range(shares.shape[1])]
    for i in range(shares.shape[0])
])  # [L, A]  # fmt: skip
change = (cut / whole).log()

# %%
figure, axes = plt.subplots(figsize=(7.5, 3))
axes.scatter(100 * shares.flatten(), change.flatten(), s=24)
axes.axhline(0, color=COLORS["ink"], linewidth=1)
axes.set(xlabel="share of [MASK]'s attention to 'cup', %", ylabel="change of log p, in nats")
axes.set_title(f"Removing each of 72 heads: the change of log p({before[0].token})")
rank = torch.stack(
    [values.flatten().argsort().argsort().float() for values in (shares, change.abs())]
)
correlation = float(torch.corrcoef(rank)[0, 1])
print(f"rank correlation of a head's share and the effect of its removal: {correlation:.2f}")
assert 0.1 < correlation < 0.6

# %%
i, j = divmod(int(change.abs().argmax()), change.shape[1])
drink = without_head(i, j).fill_mask(text)[0][0].token
print(f"largest effect: layer {i + 1}, head {j + 1} (share {shares[i, j]:.0%}), now first: {drink}")
assert change.abs().median() < 0.1
assert shares[i, j] < shares.max() / 2
assert drink == "coffee"

# %% [markdown]
# In this sentence there is a weak connection between share and effect. Most heads can be removed,
# one at a time, with little effect; one with less than half of the largest share changes the
# guess. This is one sentence. Lesson 08, *7. Take a word away*, tests many sentences.
#
# A map of attention shows where information *may* flow. Whether the model uses it must be tested
# by a change.

# %% [markdown]
# ## 9. Deeper: gradients as an explanation
#
# Attention says which words matter for a guess (here from the guessed place, the mean of all
# heads). Two other ways use the **gradient**: how much the log p of the guess changes when a
# word's input vector changes a little.
#
# - **Gradient times input**: for each word, the dot product of its gradient and its input vector.
# - **Integrated gradients** (Sundararajan et al. 2017, arXiv:1703.01365): begin with a text in
#   which all words are `[MASK]`, and go to the real text in small steps. Take the mean gradient on
#   this way, times the difference of the two input vectors. The results of all words nearly sum to
#   the difference of the two log p.
#
# To test them, we **remove** each word by itself (put `[MASK]` in its place), and measure how many
# nats of log p the guess loses. An explanation is *faithful* when its order of the words is the
# order of these losses.


# %%
def log_p_of(states, place, guess):
    """log p(guess) at a place, [N], from input vectors [N, S, H]."""
    for layer in bert.model.bert.encoder.layer:
        states, _ = layer(states, None, False)
    return bert.model.cls.predictions(states[:, place]).log_softmax(dim=-1)[:, guess]


def gradient(states, place, guess):
    states = states.detach().requires_grad_()
    return torch.autograd.grad(log_p_of(states, place, guess).sum(), states)[0]  # [N, S, H]


# %%
def explain(ids, place, guess, steps=8):
    """[4, words]: attention, gradient times input, integrated gradients, loss by removal."""
    words = torch.tensor([i for i in range(1, len(ids) - 1) if i != place])
    rows = ids.repeat(len(words) + 2, 1)  # the text, without each word, without all of them
    rows[torch.arange(len(words)) + 1, words] = tokenizer.mask_token_id
    rows[-1, words] = tokenizer.mask_token_id
    with torch.no_grad():
        vectors = bert.model.bert.embeddings(rows, torch.zeros_like(rows))  # [words + 2, S, H]
        log_p = log_p_of(vectors, place, guess)
        looks = bert.model.bert(ids[None], output_attentions=True).attention_probs
    text, blank = vectors[0], vectors[-1]
    way = (torch.arange(steps)[:, None, None] + 0.5) / steps  # the middle of each step
    slope = gradient(blank + way * (text - blank), place, guess).mean(dim=0)  # [S, H]
    times_input = (gradient(text[None], place, guess)[0] * text).sum(dim=-1)
    integrated = (slope * (text - blank)).sum(dim=-1)
    gap = abs(integrated.sum() - (log_p[0] - log_p[-1])) / (log_p[0] - log_p[-1]).abs()
    attention = torch.cat(looks).mean(dim=(0, 1))[place]  # the mean of all heads
    ways = torch.stack([attention[words], times_input[words], integrated[words]])
    return torch.cat([ways, (log_p[0] - log_p[1:-1])[None]]), float(gap)


# %%
ways = ("attention", "gradient x input", "integrated gradients")
example, _ = explain(tokenizer.encode(text).input_ids, asks, word)
print(f"{text}  What matters for the guess '{before[0].token}'?")
widths = (10, 17, 21, 14)
print(f"{'word':9}", *map(str.rjust, (*ways, "removal, nats"), widths))
others = [token for i, token in enumerate(tokens[1:-1], 1) if i != asks]
for token, row in zip(others, example.T.tolist(), strict=True):
    print(f"{token:9}", *map(str.rjust, (f"{row[0]:.1%}", *(f"{x:.2f}" for x in row[1:])), widths))

# %% [markdown]
# Attention and integrated gradients say that *cup* matters most, and removal agrees. Gradient
# times input puts *cup* last. This is one sentence. We take 20{=faithful} held-out sentences, hide
# the word in the middle, and compare, for the model's first guess, the order of the words by each
# method with their order by removal (rank correlation: 1 = the same order, 0 = no connection).
#
# **Predict:** which of the three is the most faithful?


# %%
def ranks(values):
    return values.argsort().argsort().float()


found, gaps = [], []
for sentence in sentences[::15]:  # 20 of the 300
    ids = tokenizer.encode(sentence).input_ids.clone()
    middle = len(ids) // 2
    ids[middle] = tokenizer.mask_token_id
    with torch.inference_mode():
        guess = int(bert.model(ids[None]).prediction_logits[0, middle].argmax())
    by_word, gap = explain(ids, middle, guess)
    *by_way, lost = (ranks(row) for row in by_word)
    found.append([float(torch.corrcoef(torch.stack([row, lost]))[0, 1]) for row in by_way])
    gaps.append(gap)

# %%
faithful = dict(zip(ways, torch.tensor(found).T, strict=True))  # [20] each
for way, values in faithful.items():
    least, greatest = interval(values)
    print(f"{way:20} mean rank correlation {values.mean():5.2f}"
          f" (95 %: {least:.2f} to {greatest:.2f})")  # fmt: skip
typical_gap = float(torch.tensor(gaps).median())
print(f"integrated gradients: sum and change of log p differ by {typical_gap:.0%} (median)")

# %%
for other in ways[:2]:  # how far behind, sentence by sentence
    assert interval(faithful["integrated gradients"] - faithful[other])[0] > 0.05
most = [others[row.argmax()] for row in example]
assert [most[0], *most[2:]] == ["cup"] * 3
assert others[example[1].argmin()] == "cup"
assert typical_gap < 0.1

# %% [markdown]
# Integrated gradients are clearly the most faithful here. Attention and gradient times input have
# only a weak connection with the effect of removal; which of these two is better, 20 sentences do
# not show. A likely reason, not tested: a gradient describes a very small change, but to remove a
# word is a large one. Jain & Wallace 2019 (arXiv:1902.10186) found for other models that attention
# often does not agree with gradients.
#
# Two limits: "removed" means here that `[MASK]` stands in the place, and integrated gradients
# begin at the text of `[MASK]`s, so the comparison may be in their favour. And of two words that
# say the same, removing only one may change little.
#
# ## 10. Deeper: another viewer, bertviz
#
# bertviz (Vig 2019) has three views; here they run without a network:
#
# - **head view**: one layer, all heads, as coloured lines. Parallel slanted lines are previous or
#   next; look for lines that meet in `[CLS]`.
# - **model view**: all layers and heads. Look for heads of a layer that are alike.
# - **neuron view**: queries and keys, number by number. Look for the numbers that make the score.

# %%
from bertedu.widgets.bertviz import head_view, model_view, neuron_view

head_view(bert, "My dog is cute.", "He likes playing.")

# %%
model_view(bert, "My dog is cute.", "He likes playing.")

# %%
neuron_view(bert, "My dog is cute.")

# %% [markdown]
# ## Recap
#
# - Attention: softmax(Q Kᵀ / √D) V. Rows are queries, columns are keys, every row sums to 1.
# - Without √D one share takes nearly everything, and the gradient becomes small; without the mask,
#   padding changes the answers.
# - A layer adds to its input: the residual carries a word's own vector past the attention.
# - In our model's middle layers, words attend mostly to `[CLS]`. Among words, a word gives itself
#   more than an equal share, but seldom most.
# - A large share is not a reason: remove the head, or the word, and see what changes.
#
# **The answer:** Each token compares its query with the keys of all tokens, turns the scores into
# shares by a softmax, and adds the values, weighted by these shares, to its own vector.

# %% [markdown]
# ## Test yourself
#
# Choose an answer: a click opens its explanation.
#
# **1. Why are the scores divided by √D?**
#
# <details class="option"><summary>A. So that each row of shares sums to 1</summary>
#
# **No.** The softmax does that, with or without the division.
#
# </details>
#
# <details class="option"><summary>
# B. So that a softmax of large scores does not give everything to one key
# </summary>
#
# **Yes.** Scores of random vectors grow with √D. Without the division the largest share nears 1.
#
# </details>
#
# <details class="option"><summary>C. To save memory</summary>
#
# **No.** The table of scores keeps its size.
#
# </details>

# %% [markdown]
# **2. To which token does a word of our model attend most in layers 3 to 5?**
#
# <details class="option"><summary>A. To itself</summary>
#
# **No.** It seldom gets the largest share.
#
# </details>
#
# <details class="option"><summary>B. To the most important word of the sentence</summary>
#
# **No.** Most of the attention does not go to words at all.
#
# </details>
#
# <details class="option"><summary>C. To <code>[CLS]</code></summary>
#
# **Yes.** It takes more than half there. In the middle layers of BERT-base, `[SEP]` does.
#
# </details>
#
# <details class="option"><summary>D. To all tokens equally</summary>
#
# **No.** The special tokens get most of it.
#
# </details>

# %% [markdown]
# **3. A head gives 99 % of the attention of `[MASK]` to one word. What follows?**
#
# <details class="option"><summary>A. This head makes the prediction</summary>
#
# **No.** Without the head of section 8, the first guess was the same.
#
# </details>
#
# <details class="option"><summary>B. The prediction depends on this word</summary>
#
# **No.** The share does not show it. Remove the word to see.
#
# </details>
#
# <details class="option"><summary>C. Nothing certain about the prediction</summary>
#
# **Yes.** The share says where values come from. What they do must be tested by a change.
#
# </details>

# %% [markdown]
# ## Exercises
#
# Replace each `...`, then run the cell and the next one. `checks.softmax.hint()` gives a hint.

# %% [markdown]
# ### Predict
#
# **1.** In section 1, let *is* have the query (0, 2). To which token does it attend most, or to
# which two equally? Write their names in a set.

# %%
# BEGIN SOLUTION
is_attends_to = {"is", "cute"}
# END SOLUTION

# %% tags=["nbval-check-output"]
checks.is_attends_to(is_attends_to)

# %% tags=["solution"]
row = attention_scores(torch.tensor([[0.0, 2]]), key)[0]
words = ("dog", "is", "cute")
assert is_attends_to == {words[i] for i in range(3) if row[i] == row.max()}

# %% [markdown] tags=["solution"]
# *Why:* only the second number of a key counts; it is 0 for *dog* and 1 for the other two.

# %% [markdown]
# **2.** All scores of a row grow by 100. What happens to its shares: "nothing", "more even" or
# "less even"? And if all scores are multiplied by 100 (they differ)?

# %%
# BEGIN SOLUTION
added, multiplied = "nothing", "less even"
# END SOLUTION

# %% tags=["nbval-check-output"]
checks.shares_after([added, multiplied])

# %% tags=["solution"]
assert torch.allclose(attention_probs(scores + 100), attention_probs(scores), atol=1e-5)
assert attention_probs(100 * scores).max() > attention_probs(scores).max()

# %% [markdown] tags=["solution"]
# *Why:* e^(s + 100) = e^s · e^100, and the factor cancels. Multiplying makes the differences
# larger, as a missing √D does.

# %% [markdown]
# **3.** How many attention probabilities does BERT-base compute for a text of 128 tokens (12
# layers, 12 heads)? And for 512?

# %%
# BEGIN SOLUTION
for_128, for_512 = 2_359_296, 37_748_736
# END SOLUTION

# %% tags=["nbval-check-output"]
checks.how_many_shares([for_128, for_512])

# %% [markdown] tags=["solution"]
# *Why:* four times the length gives sixteen times as many pairs.

# %% [markdown]
# ### Complete
#
# **4.** The softmax over the last dimension, for scores of any shape, and safe for large ones
# (remember exercise 2).


# %%
def softmax(scores):
    # BEGIN SOLUTION
    powers = (scores - scores.max(dim=-1, keepdim=True).values).exp()
    return powers / powers.sum(dim=-1, keepdim=True)
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.softmax(softmax)

# %% tags=["solution"]
assert softmax(torch.tensor([[1000.0, 1000.0, 0.0]])).tolist() == [[0.5, 0.5, 0.0]]

# %% [markdown] tags=["solution"]
# *Why:* e^1000 is infinite in a computer, and ∞ / ∞ is not a number. Subtracting the maximum
# changes no share.

# %% [markdown]
# **5.** The entropy of each row of shares, in nats: the mean of -log p, weighted by p. 0 where
# one token takes all, log S where all get the same. (0 · log 0 counts as 0.) `probs` is `[..., S]`,
# the result `[...]`.


# %%
def entropy(probs):
    # BEGIN SOLUTION
    return -(probs * probs.clamp(min=1e-30).log()).sum(dim=-1)
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.entropy(entropy)

# %% tags=["solution", "nbval-check-output"]
print(*(f"{x:.4f}" for x in entropy(torch.tensor([[0.5, 0.5, 0, 0], [0.25, 0.25, 0.25, 0.25]]))))

# %% [markdown] tags=["solution"]
# *Why the clamp:* log 0 is -∞, and 0 · ∞ is not a number. Two equal shares give log 2, four give
# log 4{=definition}.

# %% [markdown]
# **6.** Cut `[S, H]` into heads `[A, S, D]`.


# %%
def heads_of(states, A):
    # BEGIN SOLUTION
    return states.view(len(states), A, -1).transpose(0, 1)
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.heads_of(heads_of)

# %% tags=["solution"]
assert torch.equal(heads_of(q, A), by_head[0])

# %% [markdown] tags=["solution"]
# *A frequent mistake:* `view(A, S, D)` has the same shape, but mixes tokens and heads. There is no
# error.

# %% [markdown]
# ### Build
#
# **7.** A whole attention with a mask, from `q`, `k`, `v` `[A, S, D]` and a `mask` `[S]` of True
# and False (at least one is True), without the library's functions and without PyTorch's
# `scaled_dot_product_attention`. Returns contexts `[A, S, D]`.


# %%
def masked_attention(q, k, v, mask):
    # BEGIN SOLUTION
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    scores = scores.masked_fill(~mask, -math.inf)
    return scores.softmax(dim=-1) @ v
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.masked_attention(masked_attention)

# %% tags=["solution"]
some = torch.tensor([True] * 4 + [False] * 2)
assert torch.allclose(masked_attention(*by_head, some), attend(*by_head, some)[0], atol=1e-5)

# %% [markdown] tags=["solution"]
# *Why before the softmax:* shares set to 0 *after* it would leave rows that do not sum to 1.

# %% [markdown]
# **8.** Given are the attentions `[L, A, S, S]` of two sentences that differ in their *last word*.
# Find the head whose attention changes least, by the largest change of any of its shares. Return
# (layer, head), both from 0.


# %%
def steadiest_head(one, other):
    # BEGIN SOLUTION
    change = (one - other).abs().amax(dim=(2, 3))  # [L, A]
    return divmod(int(change.argmin()), change.shape[1])
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.steadiest_head(steadiest_head)

# %% tags=["solution"]
one, other = (bert.attention(f"the small cat sat on the {word}") for word in ("mat", "roof"))
layer_of, head_of = steadiest_head(one, other)
print(f"layer {layer_of + 1}, head {head_of + 1}; the largest share of each token:")
of_cat = tokenizer.encode("the small cat sat on the mat").tokens
for token, row in zip(of_cat, one[layer_of, head_of], strict=True):
    print(f"{token:6} → {of_cat[row.argmax()]:6} {row.max():.0%}")

# %% [markdown] tags=["solution"]
# *What you see:* here the head that changes least attends to the previous token, whatever it is.

# %% [markdown]
# **9.** (Without a check.) Choose a sentence in which a pronoun refers to a noun. Find the head
# with the largest share from one to the other, and remove it. Which experiment would
# convince you that a head finds the noun of a pronoun? What would speak against it?

# %% [markdown] tags=["solution"]
# *A model answer.* You need many sentences with known answers, a head chosen on one half and
# tested on the other, and a baseline such as "the nearest noun": among 6 · 12 = 72 heads some
# attend anywhere by chance. If you swap the nouns and the attention stays where it was, that
# speaks against it.
