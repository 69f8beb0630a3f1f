# %% [markdown]
# # 05 · Self-attention
#
# After lesson 04 each token is a vector that knows its word, its place and its side, and nothing
# about its neighbours. Self-attention is where tokens look at each other, the only place in BERT
# where they do. This lesson computes it by hand, once, in small numbers; then it looks at what a
# trained model does with it, and tests a claim that many lecture notes make.
#
# **Afterwards you can**
# - compute query, key, value, score, probability and context for one token with pencil and paper;
# - show why scores are divided by √D, and what padding would do without a mask;
# - follow one layer from its input to its output, residuals and LayerNorm included;
# - say, with numbers and intervals, what a word attends to, and what that does *not* explain.
#
# **You need** lesson 04 and matrix products. No internet connection.
#
# **Time** about 75 minutes to work through; less than one minute of CPU time.
#
# **In the paper** Vaswani et al. 2017 (arXiv:1706.03762), §3.2; Devlin et al. 2019 takes it over
# unchanged (§3 "Model Architecture"). What trained heads do: Clark et al. 2019
# (arXiv:1906.04341).
#
# How to work: *predict* first (say your answer aloud, or write it down), then *run* the cell,
# then read the explanation. What the text says of the results is checked by `assert`s in the cells.

# %% tags=["nbval-check-output"]
import copy
import math

import matplotlib.pyplot as plt
import torch

import bertedu
from bertedu.attention import attend, attention_probs, attention_scores
from bertedu.classroom import checks
from bertedu.classroom.figures import STYLE

plt.style.use(STYLE)
bert = bertedu.load()
tokenizer = bert.tokenizer
print(bert)

# %% [markdown]
# ## 1. One token asks
#
# From each token's vector three others are made, by three learned matrices:
#
# - a **query**: what am I looking for?
# - a **key**: what do I have to offer to those who look?
# - a **value**: what do I hand over when I am chosen?
#
# A token compares its query with *every* key, its own as well. The comparison is a dot product;
# the softmax turns the scores into shares that sum to 1; and the answer, the **context**, is the
# mixture of all values in these shares.
#
# Three tokens, vectors of two numbers. The queries, keys and values are given. Take pencil and
# paper:
#
# | token | query | key | value |
# |:--|:--|:--|:--|
# | dog | (2, 0) | (1, 0) | (10, 0) |
# | is | (0, 0) | (0, 1) | (0, 10) |
# | cute | (1, 1) | (1, 1) | (5, 5) |
#
# **Predict:** which token does *dog* attend to most? What does *is*, whose query is zero, do?

# %% tags=["nbval-check-output"]
query = torch.tensor([[2.0, 0], [0, 0], [1, 1]])  # [S, D]: 3 tokens, 2 numbers
key = torch.tensor([[1.0, 0], [0, 1], [1, 1]])
value = torch.tensor([[10.0, 0], [0, 10], [5, 5]])

scores = query @ key.T / math.sqrt(2)  # [S, S]: rows ask, columns answer
probs = scores.exp() / scores.exp().sum(dim=-1, keepdim=True)  # softmax
context = probs @ value  # [S, D]
for token, row, mixed in zip(("dog", "is", "cute"), probs, context, strict=True):
    print(
        f"{token:5} attends", *(f"{p:.2f}" for p in row), "  context", *(f"{x:.1f}" for x in mixed)
    )
assert torch.allclose(probs.sum(dim=-1), torch.ones(3))

# %% [markdown]
# *dog* attends equally to *dog* and *cute*: both keys have the same first number, and its query
# asks for nothing else. *is* asks nothing, and gets the plain mean of all values. No token may
# abstain: the shares sum to 1, whatever the scores are. (Keep this in mind for section 7.)
#
# The library does the same in three short functions:

# %% tags=["nbval-check-output"]
assert torch.allclose(attention_scores(query, key), scores)
assert torch.allclose(attention_probs(scores), probs)
assert torch.allclose(attend(query, key, value)[0], context)
print("bertedu.attention gives the same scores, shares and contexts")

# %% [markdown]
# ## 2. Why divide by √D?
#
# A dot product of D numbers is a sum of D terms. The more terms, the larger it gets, by chance
# alone: for random vectors its standard deviation is √D.

# %% tags=["nbval-check-output"]
terms = torch.randn(2, 5_000, 64, generator=torch.Generator().manual_seed(0)).prod(dim=0)
spread = float(terms.sum(dim=-1).std())  # of 5,000 dot products of random vectors with D = 64
print(f"standard deviation {spread:.1f}, and √64 = 8")
assert abs(spread - 8) < 0.3

# %% [markdown]
# And a softmax of large numbers is no mixture any more: the largest takes all.
#
# **Predict:** 20 keys, random vectors of 4, 64 or 1024 numbers. How large is the largest share,
# on average, with and without the division? An even share would be 5 %. Guess it for 1024 numbers,
# in percent: `{"with": …, "without": …}`.


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
assert max(with_it for with_it, _ in largest.values()) < 0.3
assert largest[1024][1] > 0.9

# %% [markdown]
# With it, the shares stay the same at any size. Without it, at D = 1024 nearly all goes to one
# key, and then something worse happens: the softmax is *flat* there, so that no gradient comes
# through, and the layer cannot learn.

# %% tags=["nbval-check-output"]
size = 1024
for name, factor in {"divided": 1 / math.sqrt(size), "not divided": 1.0}.items():
    generator = torch.Generator().manual_seed(1)
    asking = torch.randn(200, 1, size, generator=generator).requires_grad_()
    keys, values = (torch.randn(200, 20, n, generator=generator) for n in (size, 1))
    ((asking @ keys.transpose(-1, -2) * factor).softmax(dim=-1) @ values).sum().backward()
    typical = float(asking.grad.norm(dim=-1).median()) / factor / math.sqrt(size)
    size_of_it = "above 0.1" if typical > 0.1 else "less than 0.1"
    print(f"{name:12} gradient, for scores of one size: {size_of_it}")
    assert (typical > 0.1) == (name == "divided")

# %% [markdown]
# ## 3. In the model
#
# Now with real weights. The first layer of our BERT, first head, the sentence "my dog is cute".
# In each layer there are 12 **heads**: the 384 numbers are cut into 12 pieces of D = 32, and each
# head does with its own queries, keys and values what we have just done.

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
# **Why several heads?** One head gives one set of shares for each token: it can look at one kind
# of thing. Twelve can look at twelve. It costs nothing: the matrices are as large as those of one
# head with D = 384 would be.
#
# ## 4. The rest of the layer
#
# The heads' contexts, side by side, go through one more matrix. Then comes the step that is
# easily forgotten: the result is **added to the layer's input** (the *residual
# connection*, or *residual*), and normalised.
# A second half, the feed-forward network, treats each token by itself, and ends in the same way.

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
# The residual means: **a token keeps itself.** Its own vector goes past the attention, whatever the
# shares are. Switch the attention of this layer off (contexts all zero), and what comes out is
# still much the same:

# %%
with torch.inference_mode():
    alone = first.LayerNorm(x + first.dense(torch.zeros_like(joined)))
same = torch.cosine_similarity(alone, after_attention, dim=-1)
print("cosine of each token with and without what it attended to:", *(f"{c:.2f}" for c in same))
assert same.mean() > 0.5

# %% [markdown]
# ## 5. Padding and masks
#
# A batch is a rectangle, so short sentences are filled up with `[PAD]`. Nobody should attend to
# that. The **attention mask** shuts those keys out: their score becomes -∞, their share exactly
# 0.
#
# **Predict:** the same sentence, alone and with 8 `[PAD]` behind it. What changes with the mask?
# And without it?

# %% tags=["nbval-check-output"]
ids = encoding.input_ids
padded = torch.cat([ids, torch.full((8,), tokenizer.pad_token_id)])[None]
mask = (padded != tokenizer.pad_token_id).long()
with torch.inference_mode():
    plain = bert.model.bert(ids[None]).last_hidden_state[0]
    masked = bert.model.bert(padded, attention_mask=mask).last_hidden_state[0, : len(ids)]
    unmasked = bert.model.bert(padded).last_hidden_state[0, : len(ids)]
with_mask, without = ((states - plain).abs().max() for states in (masked, unmasked))
print(f"with the mask the words change by less than 0.00001: {bool(with_mask < 1e-5)}")
print(f"without it, by more than 0.1: {bool(without > 0.1)}")
assert with_mask < 1e-5
assert without > 0.1

# %% [markdown]
# Without the mask the answers depend on what else happened to be in the batch. No error is
# raised. The mistake is common, and hard to see in a loss.
#
# ## 6. Look at it
#
# All layers and heads at a glance; a click makes one large. Hover over a token to see where it
# looks, and click to hold it. Below stand the chosen head's numbers.
#
# Things to try: find a head that looks at the **previous** token, one that looks at the **next**,
# and one for which everybody looks at `[CLS]`. Then switch the special tokens off. Hover over a
# pair of tokens: the bars show the products of query and key, number by number, and their sum,
# the score.

# %% tags=["nbval-check-output"]
from bertedu.widgets import AttentionExplorer

AttentionExplorer("My dog is cute.", "He likes playing with the neighbour's cat.", bert=bert)

# %% [markdown]
# ## 7. A claim, put to the test
#
# Lecture notes like to say: *in self-attention a word attends most to itself; `[CLS]` has no
# meaning of its own, so no single word dominates it, and that is why one classifies from it.*
#
# It sounds right. With q = k = v, as in many toy examples, the dot product of a vector with
# itself is large indeed. But queries and keys come from *different* matrices.
#
# One thing to know about the model that we ask: its encoder began as that of `all-MiniLM-L6-v2`,
# which makes a sentence's vector by the *mean* of all outputs and was trained for that. So what
# `[CLS]` does in it may differ from the original BERT. Where the two can be compared, the
# measurements of Clark et al. stand beside ours.
#
# **Predict:** of all words, in all heads: how often is the largest share the word's own? (In
# percent.)
#
# We ask on 300 sentences of the course's held-out text, each by itself.

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
names = ("itself", "itself most", "[CLS]", "[SEP]", "previous", "next")
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
print(f"shares of a word's attention, by layer (an even share would be {chance:.1%})")
print(f"{'':12}", *(f"layer {layer + 1:2}" for layer in range(measured.shape[2])))
for i, name in enumerate(names):
    print(f"{name:12}", *(f"{share:8.1%}" for share in measured[:, i].mean(dim=(0, 2))))
most = measured[:, 1].mean(dim=(1, 2))  # of each sentence
low, high = interval(most)
print(f"\nall heads: the word's own share is the largest for {most.mean():.1%} of the words"
      f" (95 %: {low:.1%} to {high:.1%})")  # fmt: skip

# %%
own, own_most = measured[:, 0], measured[:, 1]
assert high < 0.15  # the word itself is hardly ever first
assert own.mean() < 1.2 * chance  # and gets no more than an even share
by_layer = measured.mean(dim=(0, 3))  # [6, L]
special = by_layer[2] + by_layer[3]  # [CLS] and [SEP]
assert (by_layer[2, 1:-1] > by_layer[3, 1:-1]).all()  # from the second layer to the last but one
assert (special > by_layer[0]).all()
assert special[1:-1].min() > 0.5 > special[[0, -1]].max()

# %% [markdown]
# Of all tokens, then, a word itself is hardly ever first; on average it gets no more than an even
# share. Between the first layer and the last, most attention goes to the special tokens. In our
# model that is `[CLS]`; Clark et al. 2019 found `[SEP]` in the middle layers of BERT-base, with
# over half of the attention in layers 6 to 10. Which of the two it is, is a matter of the training;
# both models have such a place. Their reading: a head whose own job does not apply to a word looks
# where it does no harm. (It must look *somewhere*: its shares sum to 1.)
#
# But is that fair to the claim? What `[CLS]` takes, no word can have. Perhaps the claim is about
# the **words** only. So leave `[CLS]` and `[SEP]` out, and divide what the words get by its sum.
#
# **Predict:** of a word's attention to words, is its own share now larger than an even one?


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
for name, values in {"its own share": of_words[:, 0], "largest": of_words[:, 1]}.items():
    least, greatest = interval(values)
    times = float(values.mean() / even.mean())
    print(f"among words, {name:13} {values.mean():5.1%} (95 %: {least:.1%} to {greatest:.1%}); "
          f"even, or by chance, {even.mean():.1%}: {times:.1f} times that")  # fmt: skip
    assert least > 1.3 * even.mean()
assert of_words[:, 1].mean() < 0.3

# %% [markdown]
# **So the first half of the claim is wrong as it stands, and has a true core.** "Most to itself" is
# wrong: among all tokens the word itself is hardly ever first, and even among words another word is
# first in most cases. But among words its own share is clearly larger than an even one. And there
# is a second way in which a word keeps itself, which no share shows: the **residual** passes its
# own vector on, whatever the attention does. In section 4 the result was much the same with and
# without what a word attended to. So with the residual the intuition behind the claim is partly
# right.
#
# Are there heads with a clear job?

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
    print(f"{name:9} layer {layer_of + 1}, head {head_of + 1:2}: {values.mean():.1%}"
          f" (95 %: {least:.1%} to {greatest:.1%})")  # fmt: skip

# %% [markdown]
# There are: one head does little else than look at the previous token, another at the next. Clark
# et al. found the same in BERT-base, four heads for the previous and five for the next token.
# (They also found heads for grammar, such as from an object to its verb; our model is small, and
# we do not claim that.)
#
# **The second half: `[CLS]`.** Where does it look itself?

# %%
from_cls = torch.stack([
    torch.stack([probs[:, :, 0, 0], probs[:, :, 0, -1], probs[:, :, 0, 1:-1].max(-1).values,
                 -(probs[:, :, 0] * probs[:, :, 0].clamp(min=1e-9).log()).sum(-1)
                 / math.log(probs.shape[-1])])
    for probs in attention
]).mean(dim=(0, 3))  # [4, L]  # fmt: skip
print(f"{'':22}", *(f"layer {layer + 1:2}" for layer in range(from_cls.shape[1])))
rows = ("to itself", "to [SEP]", "to its largest word", "evenness (0 to 1)")
for name, row in zip(rows, from_cls, strict=True):
    print(f"{name:22}", *(f"{share:8.2f}" for share in row))
assert from_cls[0, 1:5].min() > 0.5
assert from_cls[0, -1] < from_cls[0, 1:5].min() - 0.2
assert from_cls[3, -1] > from_cls[3, 1:5].max()
assert 0.15 < from_cls[2, -1] < 0.5  # its largest word, in an average head

# %% [markdown]
# **Half right.** `[CLS]` attends to *itself* most, in all middle layers: it takes in hardly
# anything there, while the words look at it. Only in the last layer it opens up and looks broadly
# over the words. That is the layer whose `[CLS]` goes to next sentence prediction, and Clark et al.
# found the same in BERT-base: in the last layer `[CLS]` has a high entropy. So over all heads its
# attention is spread there, though a single head may well prefer one word; but not since it "has no
# meaning of its own": it is a seat, and *training* decides what sits there. Lesson 08 compares it
# with pooling all outputs, and says how much depends on this model's descent from a mean-pooled
# one.
#
# ## 8. Attention is not explanation
#
# It is tempting to say: the model predicts this word *because* this head looks there. Test it.
# Find the head that looks most from `[MASK]` to a certain word, cut it, and see what happens to
# the prediction.


# %%
def without_head(layer, head):
    model = copy.deepcopy(bert.model)
    rows = slice(head * D, (head + 1) * D)
    values = model.bert.encoder.layer[layer].attention.self.value
    values.weight.data[rows] = 0  # the head hands over nothing
    values.bias.data[rows] = 0
    return bertedu.Bert(model, tokenizer)


text = "the [MASK] barked at the mailman."
tokens = tokenizer.encode(text).tokens
asks, answers = tokens.index("[MASK]"), tokens.index("barked")
shares = bert.attention(text)[:, :, asks, answers]  # [L, A]
best_layer, best_head = divmod(int(shares.argmax()), shares.shape[1])
assert (best_layer, best_head) == divmod(int(heads[5].argmax()), heads.shape[2])
print(f"layer {best_layer + 1}, head {best_head + 1}: {shares.max():.0%} of [MASK]'s shares")

# %%
before = bert.fill_mask(text, top_k=10)[0]
after = without_head(best_layer, best_head).fill_mask(text, top_k=10)[0]
for name, guesses in {"whole": before, "cut": after}.items():
    print(f"{name:6}", *(f"{guess.token} {guess.probability:.1%}" for guess in guesses[:5]))
assert shares.max() > 0.3
assert len({guess.token for guess in before} & {guess.token for guess in after}) >= 5
assert before[0].token == after[0].token

# %% [markdown]
# The first guess stays, and others move a little: the head that *looked* there most was not
# decisive. (It is the head of section 7 that looks at the next token, whatever stands there.) Is
# there any head that is? Cut each of the 72, one at a time:

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
axes.axhline(0, color="#333333", linewidth=1)
axes.set(xlabel="share of [MASK]'s attention to 'barked', %", ylabel="change of log p, in nats")
axes.set_title(f"Cutting each of 72 heads: what happens to p({before[0].token})")
rank = torch.stack(
    [values.flatten().argsort().argsort().float() for values in (shares, change.abs())]
)
correlation = float(torch.corrcoef(rank)[0, 1])
print(f"rank correlation of attention and effect: {correlation:.2f}")
assert 0 < correlation < 0.6
assert change.abs().median() < 0.2

# %% [markdown]
# There is a connection, but a loose one: whoever ranks the heads by how much they look is wrong
# about many of them. Most heads can be cut, one at a time, without much effect.
#
# This was a single sentence, so it shows only *how* to test. The evidence is in lesson 08, *7. Take
# a word away*: there it is asked of many sentences, with an interval, whether the word that is
# looked at most is also the one whose removal changes the answer most. For many it is not.
#
# A map of attention shows where information *may* flow. What the model does with it must be tested
# by changing something.
#
# ## 9. Another tool: bertviz
#
# bertviz (Vig 2019) is the best-known viewer of attention. Here it runs without a network. Three
# views:
#
# - **head view**: one layer, all heads, as coloured lines. Look for: parallel slanted lines
#   (previous, next), and fans that meet in `[CLS]`.
# - **model view**: all layers and heads. Look for: how much alike the heads of a layer are.
# - **neuron view**: queries and keys, number by number. Look for: which of the numbers make the
#   score.

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
# - Attention: softmax(Q Kᵀ / √D) V. Rows ask, columns answer, every row sums to 1.
# - Without √D the softmax saturates and nothing is learned; without the mask, padding has a say.
# - A layer adds to its input. The residual, not attention, is what keeps a word's own meaning.
# - In the middle layers words attend mostly to a special token, some heads to a neighbour. To
#   itself a word attends more than to the average word, but hardly ever most.
# - Looking is not using: cut the head before you call it the reason.
#
# ## Exercises
#
# Replace each `...` by your answer and run the cell and the one after it. A check says "✓ right",
# or what your mistake suggests, or "not done yet"; all else goes on working. If you are
# stuck, `checks.softmax.hint()` gives a hint for that exercise, and then a second one.

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
# *Why:* only the second number of a key counts now; it is 0 for *dog* and 1 for the other two.

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
# *Why:* e^(s + 100) = e^s · e^100, and the factor cancels. Multiplying stretches the differences,
# which is what forgetting √D does.

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
# *Why:* four times the length, sixteen times the pairs. This square makes *very* long texts costly;
# at BERT's lengths it is a small part of the work (lesson 06).

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
# *Why:* e^1000 is infinite in a computer, and ∞ / ∞ is not a number. Taking the maximum away
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
# log 4.

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
# *A classic slip:* `view(A, S, D)` has the same shape and mixes up tokens and heads. No error
# tells you.

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
# *Why before the softmax:* setting shares to 0 *after* it would leave rows that no longer sum to
# 1.

# %% [markdown]
# **8.** The attentions `[L, A, S, S]` to two sentences that differ in their *last word*: find the
# head whose attention moves least, measured by the largest change of any of its shares. Return
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
print(f"layer {layer_of + 1}, head {head_of + 1}; where each token looks most:")
tokens = tokenizer.encode("the small cat sat on the mat").tokens
for token, row in zip(tokens, one[layer_of, head_of], strict=True):
    print(f"{token:6} → {tokens[row.argmax()]:6} {row.max():.0%}")

# %% [markdown] tags=["solution"]
# *What one sees:* the steadiest heads look at places, not at words: at a neighbour, or at
# `[CLS]`.

# %% [markdown]
# **9.** (Without a check.) Choose a sentence in which a pronoun refers to a noun. Find the head
# with the largest share from the one to the other. Cut it. Then write down which experiment would
# convince you that a head *resolves* pronouns, and which result would speak against it.

# %% [markdown] tags=["solution"]
# *A model answer.* One sentence proves nothing: among 72 heads some will look anywhere by chance.
# One needs many sentences with known answers, a head chosen on one half and judged on the other,
# and a baseline such as "the nearest noun". It would speak against it if swapping the nouns left
# the attention where it was.
