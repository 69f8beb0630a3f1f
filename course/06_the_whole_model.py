# %% [markdown]
# # 06 · The whole model
#
# **Which parts is BERT made of, and where are its 110 million parameters?**
#
# You write BERT in small cells, show after each part that it equals the library's, and count every
# [**parameter**](../docs/glossary.md#the-model).
#
# **Afterwards you can**
# - draw BERT from memory, and write it down;
# - give the shape of the data at every stage;
# - count the parameters of any BERT by a formula;
# - correct several wrong beliefs about BERT.
#
# **You need** lessons 04 and 05, and some practice with `torch.nn.Module`. No internet connection.
#
# **Time** about 75 minutes to work through; less than one minute of CPU time.
#
# **In the paper** Devlin et al. 2019 (arXiv:1810.04805), §3, "Model Architecture". The
# Transformer itself: Vaswani et al. 2017 (arXiv:1706.03762), §3.1 to §3.3.
#
# ## 1. The drawing
#
# The left side shows all of BERT, from the bottom to the top; the right side shows one layer.
# `B` inputs are in a batch, `S` tokens in an input, `H` numbers in a vector. There are `L` layers,
# `A` heads of `D = H / A` numbers, and `V` entries in the vocabulary.

# %%
from bertedu.classroom import checks
from bertedu.classroom.figures import proven
from bertedu.classroom.lessons import architecture

architecture()

# %% [markdown]
# The lines on the right of the layer are the **residual connections**: the states go *past* each
# part and are added to its result. All layers together are the
# [**encoder**](../docs/glossary.md#the-model).
#
# ## 2. Something to compare with
#
# Each part that you write is compared with the library's, with the same weights. The model has the
# size of the course's own: 6 layers, 384{=config} wide.
#
# **Predict:** in a new model every bias is 0. Why is such a model bad for a comparison?

# %%
import torch
from torch import nn

import bertedu

config = bertedu.BertConfig(hidden_size=384, num_hidden_layers=6, intermediate_size=1536)
torch.manual_seed(0)
library = bertedu.BertForPreTraining(config).eval()
assert library.bert.pooler.dense.bias.count_nonzero() == 0

with torch.no_grad():
    for weight in library.parameters():
        weight.add_(0.05 * torch.randn_like(weight))
assert all(weight.all() for weight in library.bert.pooler.parameters())  # not a zero is left

# %% [markdown]
# Zeros hide mistakes: a program that forgets a bias of 0 still gets the correct result. So we
# changed every parameter a little.
#
# Two inputs of unequal length, so that one is padded:

# %% tags=["nbval-check-output"]
tokenizer = bertedu.load_tokenizer()
pair = tokenizer.encode("my dog is cute", "he likes playing")
single = tokenizer.encode("my dog is hairy")
batch = bertedu.collate([pair, single])

for name, values in batch.items():
    print(name, list(values.shape), *values.tolist(), sep="\n  ")
real = batch["attention_mask"].bool()  # [B, S], False = padding
assert real.sum(dim=1).tolist() == [10, 6]


# %% [markdown]
# Floating-point numbers are rounded, so two ways to compute the same can differ in the last digits.
# We call results the same when no number differs by more than 0.00001{=gap}. (The limit for the
# word scores of section 7, which are larger, is ten times as large.)


# %%
def gap(ours, theirs):
    assert ours.shape == theirs.shape
    return (ours - theirs).abs().max().item()


def show(name, difference, bar=1e-5):
    print(f"{name:28} {'the same numbers' if difference <= bar else 'NOT the same numbers'}")


# %% [markdown]
# ## 3. Embeddings
#
# *Paper, §3, "Input/Output Representations", and its Figure 2.* Three tables have one row for each
# token, segment and position. They are **added**; then come LayerNorm and
# [**dropout**](../docs/glossary.md#the-model).
#
# **Predict:** are BERT's positions sines and cosines, as in the first Transformer?


# %%
class Embeddings(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.word_embeddings = nn.Embedding(c.vocab_size, c.hidden_size)
        self.token_type_embeddings = nn.Embedding(c.type_vocab_size, c.hidden_size)
        self.position_embeddings = nn.Embedding(c.max_position_embeddings, c.hidden_size)
        self.LayerNorm = nn.LayerNorm(c.hidden_size, eps=c.layer_norm_eps)
        self.dropout = nn.Dropout(c.hidden_dropout_prob)

    def forward(self, input_ids, token_type_ids):
        summed = self.word_embeddings(input_ids) + self.token_type_embeddings(token_type_ids)
        summed = summed + self.position_embeddings.weight[: input_ids.shape[1]]
        return self.dropout(self.LayerNorm(summed))  # [B, S, H]


# %% [markdown]
# No: `position_embeddings` is a table, too, and it is **learned**.
#
# The attributes have Hugging Face's names, so that published weights fit. (`assign=True` shares the
# numbers instead of copying them.)

# %% tags=["nbval-check-output"]
embeddings = Embeddings(config).eval()
embeddings.load_state_dict(library.bert.embeddings.state_dict(), assign=True)

ids, segments = batch["input_ids"], batch["token_type_ids"]
with torch.no_grad():
    states = embeddings(ids, segments)  # [B, S, H], used from here on
    theirs = library.bert.embeddings(ids, segments)
show("embeddings", gap(states, theirs))
assert gap(states, theirs) <= 1e-5
assert 0.5 < states.std() < 2  # numbers about as large as 1
assert isinstance(library.bert.embeddings.position_embeddings.weight, nn.Parameter)

# %%
proven("embeddings")

# %% [markdown]
# A tick marks the parts that equal the library's; a thick frame marks the latest one.
#
# A text with more tokens than the position table has rows cannot be read:

# %% tags=["nbval-check-output"]
try:
    library.bert(torch.full((1, 513), 7))
except bertedu.InputError as error:
    print(error)
else:
    raise AssertionError

# %% [markdown]
# ## 4. Self-attention
#
# *Paper, §3; Vaswani et al., §3.2.* Three dense layers make queries, keys and values. They are cut
# into `A` heads, each head computes its attention (`attend`, lesson 05's formula), and the results
# are put side by side again.
#
# **Predict:** would 24 heads instead of 12 cost more parameters?


# %%
class SelfAttention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(c.hidden_size, c.hidden_size) for _ in "qkv")
        self.head_size, self.left_out = c.head_size, c.attention_probs_dropout_prob

    def forward(self, states, mask):
        q, k, v = (  # each [B, S, H], cut into [B, A, S, D]
            dense(states).unflatten(-1, (-1, self.head_size)).transpose(1, 2)
            for dense in (self.query, self.key, self.value)
        )
        context, _ = bertedu.attend(q, k, v, mask, self.left_out if self.training else 0.0)
        return context.transpose(1, 2).flatten(2)  # [B, A, S, D] -> [B, S, H]


# %% tags=["nbval-check-output"]
first = library.bert.encoder.layer[0]
attention = SelfAttention(config).eval()
attention.load_state_dict(first.attention.self.state_dict(), assign=True)

mask = real[:, None, None, :]  # [B, 1, 1, S]: the same for every head and for every query
with torch.no_grad():
    context = attention(states, mask)
    theirs, probs = first.attention.self(states, mask, True)
show("self-attention", gap(context, theirs))
assert gap(context, theirs) <= 1e-5
assert torch.all(probs[1, :, :, 6:] == 0)  # nobody looks at the padding

# %%
proven("self-attention")

# %% [markdown]
# Heads *divide* the width, so their number changes no parameter:

# %% tags=["nbval-check-output"]
counts = {}
for number in (1, 12, 24):
    cut = bertedu.BertConfig(hidden_size=384, num_attention_heads=number)
    counts[number] = sum(weight.numel() for weight in SelfAttention(cut).parameters())
for number, count in counts.items():
    print(f"heads: {number:2}   parameters: {count:,}")

# %%
assert counts[1] == counts[12] == counts[24] == 3 * (384 * 384 + 384)


# %% [markdown]
# ## 5. Add, then LayerNorm
#
# *Vaswani et al., §3.1: LayerNorm(x + Sublayer(x)).* Both halves of a layer end in the same way: a
# dense layer, then the states that went in are added, and the *sum* is normalised.


# %%
class Residual(nn.Module):
    def __init__(self, c, input_size):
        super().__init__()
        self.dense = nn.Linear(input_size, c.hidden_size)
        self.LayerNorm = nn.LayerNorm(c.hidden_size, eps=c.layer_norm_eps)
        self.dropout = nn.Dropout(c.hidden_dropout_prob)

    def forward(self, update, states):
        return self.LayerNorm(states + self.dropout(self.dense(update)))


# %% [markdown]
# **Predict:** GPT-2 and many later models normalise *before* each part. Does it matter?

# %% tags=["nbval-check-output"]
residual = Residual(config, config.hidden_size).eval()
residual.load_state_dict(first.attention.output.state_dict(), assign=True)
with torch.no_grad():
    after = residual(context, states)
    theirs = first.attention.output(context, states)
    normalised = residual.LayerNorm(states)
    before = states + residual.dense(attention(normalised, mask))
show("LayerNorm after the sum", gap(after, theirs))
pre_norm_gap = gap(before, theirs)
show("LayerNorm before the part", pre_norm_gap)
assert gap(after, theirs) <= 1e-5

# %%
proven("add, then LayerNorm")

# %% [markdown]
# It does: the same weights give other numbers. BERT is a **post-LN** Transformer: without
# LayerNorm's own scale and shift, every vector that leaves a half of a layer has mean 0 and
# variance 1.

# %%
assert pre_norm_gap > 0.1  # the same weights, other numbers
norm = residual.LayerNorm
with torch.no_grad():
    plain = (after - norm.bias) / norm.weight
    plain_before = (before - norm.bias) / norm.weight
assert plain.mean(dim=-1).abs().max() < 1e-4
assert (plain.var(dim=-1, correction=0) - 1).abs().max() < 1e-3
assert (plain_before.var(dim=-1, correction=0) - 1).abs().max() > 0.1

# %% [markdown]
# ## 6. The feed-forward network, and a whole layer
#
# *Vaswani et al., §3.3; the paper's §3 sets the width to 4 H.* Attention moves information
# *between* tokens. The [**feed-forward network**](../docs/glossary.md#the-model) treats each token
# *by itself*: a dense layer to 4 H numbers, an activation, and a dense layer back to H (inside
# `Residual`). The activation is [**GELU**](../docs/glossary.md#the-model), a smooth ReLU: x times
# the probability that a standard normal number is below x.


# %%
def gelu(x):
    return x * (1 + torch.erf(x / 2**0.5)) / 2


class Attention(nn.Module):  # the first half of a layer
    def __init__(self, c):
        super().__init__()
        self.self = SelfAttention(c)
        self.output = Residual(c, c.hidden_size)

    def forward(self, states, mask):
        return self.output(self.self(states, mask), states)


# %%
class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.attention = Attention(c)
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(c.hidden_size, c.intermediate_size)})
        self.output = Residual(c, c.intermediate_size)

    def forward(self, states, mask):
        states = self.attention(states, mask)
        wide = gelu(self.intermediate["dense"](states))  # [B, S, 4 H]
        return self.output(wide, states)


# %% tags=["nbval-check-output"]
layer = Layer(config).eval()
layer.load_state_dict(first.state_dict(), assign=True)
with torch.no_grad():
    new_states = layer(states, mask)
    theirs, _ = first(states, mask, True)
show("one layer", gap(new_states, theirs))
assert gap(new_states, theirs) <= 1e-5
assert new_states.shape == states.shape  # so layers can be stacked
numbers = torch.linspace(-6, 6, 1001)
assert torch.allclose(gelu(numbers), numbers * torch.distributions.Normal(0, 1).cdf(numbers))

# %%
proven("feed-forward")

# %% [markdown]
# **Predict:** in the feed-forward network, does the vector of *dog* depend on that of *cute*?

# %% tags=["nbval-check-output"]
changed = after.clone()
changed[0, 4] = 1.0  # another vector at the place of "cute"


def feed_forward(states):
    return layer.output(gelu(layer.intermediate["dense"](states)), states)


with torch.no_grad():
    difference = (feed_forward(changed) - feed_forward(after)).abs().amax(dim=-1)  # [B, S]
moved = [token for token, by in zip(pair.tokens, difference[0], strict=True) if by > 1e-5]
print("the vectors that changed:", *moved)

# %%
assert difference[0, 4] > 0.1
assert difference[0, [0, 1, 2, 3, 5]].max() < 1e-5

# %% [markdown]
# No: only the vector of *cute* has changed. Tokens exchange information in self-attention alone.
#
# ## 7. All of it
#
# The [**pooler**](../docs/glossary.md#the-model) takes the vector of the first token, `[CLS]`,
# through a dense layer and tanh: one vector for the whole input.


# %%
class Pooler(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.dense = nn.Linear(c.hidden_size, c.hidden_size)

    def forward(self, states):
        return torch.tanh(self.dense(states[:, 0]))  # [B, H]


# %%
class Bert(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embeddings = Embeddings(c)
        layers = nn.ModuleList(Layer(c) for _ in range(c.num_hidden_layers))
        self.encoder = nn.ModuleDict({"layer": layers})
        self.pooler = Pooler(c)

    def forward(self, input_ids, token_type_ids, attention_mask):
        mask = attention_mask.bool()[:, None, None, :]
        states = self.embeddings(input_ids, token_type_ids)
        for layer in self.encoder["layer"]:
            states = layer(states, mask)
        return states, self.pooler(states)


# %% [markdown]
# **Predict:** all layers have the same form. Do they share their weights?

# %% tags=["nbval-check-output"]
mine = Bert(config).eval()
mine.load_state_dict(library.bert.state_dict(), assign=True)
with torch.inference_mode():
    my_states, my_pooled = mine(**batch)
    theirs = library.bert(**batch)
show("last states", gap(my_states, theirs.last_hidden_state))
show("pooled [CLS]", gap(my_pooled, theirs.pooler_output))
assert gap(my_states, theirs.last_hidden_state) <= 1e-5
assert gap(my_pooled, theirs.pooler_output) <= 1e-5

# %%
queries = [layer.attention.self.query.weight for layer in mine.encoder["layer"]]
assert not any(torch.equal(queries[0], other) for other in queries[1:])
proven("pooler")

# %% [markdown]
# **That is BERT, and you wrote it.** Every layer has weights of its own. (ALBERT, a later model,
# shares them: exercise 5.)
#
# ### The two heads of pretraining
#
# *Paper, §3.1.* The **masked-LM head** transforms each vector once more (dense, GELU, LayerNorm).
# A word's score is the dot product of the result with the word's row in the token table, plus a
# bias. The **next-sentence head** is a dense layer on the pooled `[CLS]`: score 0 is for "B follows
# A", score 1 for "B is random".
#
# **Predict:** how large is the matrix that turns H numbers into V scores?

# %% tags=["nbval-check-output"]
head = library.cls.predictions
table = library.bert.embeddings.word_embeddings.weight  # [V, H]
with torch.inference_mode():
    transformed = head.transform.LayerNorm(gelu(head.transform.dense(my_states)))
    word_scores = transformed @ table.T + head.bias  # [B, S, V]
    pair_scores = library.cls.seq_relationship(my_pooled)  # [B, 2]
    theirs = library(**batch)
print("shape of the token table:", list(table.shape))
show("masked-LM scores", gap(word_scores, theirs.prediction_logits), bar=1e-4)
show("next-sentence scores", gap(pair_scores, theirs.seq_relationship_logits))
assert gap(word_scores, theirs.prediction_logits) <= 1e-4  # sums of 384 products: larger numbers
assert gap(pair_scores, theirs.seq_relationship_logits) <= 1e-5

# %%
assert head.decoder.weight is table
proven("heads")

# %% [markdown]
# The matrix costs nothing: it **is** the token table, the same object, so training changes both.
#
# ## 8. Run it: every shape
#
# **Predict** the shape at each stage for our batch of two: ten tokens, 384 numbers a vector, 12
# heads.


# %%
def shapes_of(model, stages, batch):
    shapes = {}

    def listen(stage):  # a hook is called with the module, what it was given, what it returned
        note = lambda *call: shapes.update({stage: list(call[-1].shape)})  # noqa: E731
        return model.get_submodule(stage).register_forward_hook(note)

    ears = [listen(stage) for stage in stages]
    with torch.inference_mode():
        model(**batch)
    for ear in ears:
        ear.remove()
    return shapes


# %% tags=["nbval-check-output"]
parts = ["self.query", "self", "output"]
stages = ["embeddings", *(f"encoder.layer.0.attention.{part}" for part in parts),
          "encoder.layer.0.intermediate.dense", "encoder.layer.0.output",
          *(f"encoder.layer.{n}" for n in range(1, 6)), "pooler"]  # fmt: skip
shapes = shapes_of(mine, stages, batch)
print("ids".ljust(36), list(batch["input_ids"].shape))
for stage, shape in shapes.items():
    print(f"{stage:36} {shape}")
print("attention_probs".ljust(36), list(probs.shape))

# %%
assert shapes["encoder.layer.0.intermediate.dense"] == [2, 10, 4 * 384]
assert shapes["encoder.layer.5"] == shapes["embeddings"] == [2, 10, 384]
assert list(probs.shape) == [2, 12, 10, 10]

# %% [markdown]
# ### Padding changes nothing
#
# **Predict:** does the second input get the same vectors when it is read alone? And without the
# mask?

# %% tags=["nbval-check-output"]
with torch.inference_mode():
    alone, _ = mine(**bertedu.collate([single]))  # [1, 6, H]
    other = batch | {"input_ids": ids.masked_fill(~real, 3899)}  # padding filled up with "dog"
    dogs, _ = mine(**other)
    unmasked, _ = mine(**batch | {"attention_mask": torch.ones_like(ids)})
show("read alone", gap(alone[0], my_states[1, :6]))
show("padded with other tokens", gap(dogs[real], my_states[real]))
show("without the mask", gap(unmasked[1, :6], my_states[1, :6]))

# %%
assert gap(alone[0], my_states[1, :6]) <= 1e-5
assert gap(dogs[real], my_states[real]) <= 1e-5
assert gap(unmasked[1, :6], my_states[1, :6]) > 0.1

# %% [markdown]
# With the mask, padding changes nothing. Without it, the padded input gets wrong numbers, and there
# is no error.
#
# ### Deeper: faster, and still the same
#
# When you ask for the attention, the library uses the readable formula. Otherwise it calls torch's
# fused kernel, which need not return the S × S table.
#
# The padded places get vectors, too:

# %% tags=["nbval-check-output"]
with torch.inference_mode():
    readable = library.bert(**batch, output_attentions=True).last_hidden_state
    fused = library.bert(**batch).last_hidden_state
show("fused kernel and formula", gap(fused, readable))
print("vectors at the padding, which nobody reads:", list(fused[~real].shape))
assert gap(fused, readable) <= 1e-5
assert list(fused[~real].shape) == [4, 384]

# %% [markdown]
# ## 9. Three more things that are easy to believe
#
# **"BERT reads from left to right."** Each token attends to both sides; only the position table
# gives an order. Set it to zero, and *dog bites man* and *man bites dog* are the same to BERT.

# %% tags=["nbval-check-output"]
orderless = Bert(config).eval()
orderless.load_state_dict(library.bert.state_dict(), assign=True)
orderless.embeddings.position_embeddings = nn.Embedding.from_pretrained(torch.zeros(512, 384))
bites = bertedu.collate([tokenizer.encode("dog bites man"), tokenizer.encode("man bites dog")])
swapped = [0, 3, 2, 1, 4]  # where each token of the first text stands in the second
for name, model in {"with positions": mine, "without positions": orderless}.items():
    with torch.inference_mode():
        (one, two), _ = model(**bites)
    show(name, gap(one, two[swapped]))
    assert (gap(one, two[swapped]) <= 1e-5) == (model is orderless)

# %% [markdown]
# **"The same input gives the same output."** In *training*, dropout sets about a tenth of the
# numbers to zero, different ones each time. **Predict:** what happens if a program forgets
# `model.eval()`?

# %% tags=["nbval-check-output"]
mine.train()
with torch.inference_mode():
    training = gap(mine(**batch)[0], mine(**batch)[0])
    mine.eval()
    evaluation = gap(mine(**batch)[0], mine(**batch)[0])
show("two runs in training mode", training)
show("two runs in evaluation mode", evaluation)

# %%
assert training > 0.1
assert evaluation == 0

# %% [markdown]
# `from_pretrained` and `load` return models in evaluation mode. A model that you build yourself
# begins in training mode.
#
# **"After the first layers, a vector is no word any more."** Put another word's vector in its place
# and see. A trained model answers *who was born in rome?*. It gets the vector of *when*, from
# another question, in the place of *who*. **Predict:** after which layer is it too late to change
# the answer?

# %% tags=["nbval-check-output"]
from bertedu.widgets import Patch

patch = Patch()  # its first texts are these
found = {}
for number in range(7):
    patch.copy = [number, 1, 1]  # after which layer, from which position, to which
    found[number], how_sure = patch.after.span
    print(f"after layer {number}: {found[number]} {how_sure:.0%}")

# %% tags=["nbval-check-output"]
assert patch.before.span[0] == "anna"
assert [found[number] for number in range(7)] == ["1950"] * 4 + ["anna"] * 3
patch.copy = [2, 1, 1]
patch

# %% [markdown]
# In this question, the vector still acts as *when* after three of six layers: the answer is a year.
# After four, *anna* is first again, but weaker; after five it is too late. The first answers of the
# three other tasks stay.
#
# ## 10. Count it
#
# The paper says 110M parameters for BERT-base. **Predict:** what has the most: the token table,
# attention, or the feed-forward networks?
#
# A dense layer from *a* to *b* numbers has a × b weights and b biases. LayerNorm has H scales and H
# shifts. A table has rows × H numbers.


# %%
def by_formula(c):
    V, H, wide, L = c.vocab_size, c.hidden_size, c.intermediate_size, c.num_hidden_layers
    rows = V + c.max_position_embeddings + c.type_vocab_size
    square, norm = H * H + H, 2 * H
    return {
        "embeddings": rows * H + norm,
        "attention": L * 4 * square,  # query, key, value, output
        "feed-forward": L * (H * wide + wide + wide * H + H),
        "LayerNorm": L * 2 * norm,
        "pooler": square,
        "masked-LM head": square + norm + V,  # the table is counted already
        "next-sentence head": 2 * H + 2,
    }


# %% [markdown]
# Now count. On torch's `meta` device a tensor has a shape but no memory.


# %%
def part_of(name):
    heads = {"pooler": "pooler", "predictions": "masked-LM head"}
    heads["seq_relationship"] = "next-sentence head"
    for mark, part in heads.items():
        if mark in name:
            return part
    if "bert.embeddings" in name:
        return "embeddings"
    if "LayerNorm" in name:
        return "LayerNorm"
    return "attention" if ".attention." in name else "feed-forward"


# %%
from collections import Counter


def by_count(c):
    with torch.device("meta"):
        model = bertedu.BertForPreTraining(c)
    counted = Counter()
    for name, weight in model.named_parameters():
        assert weight.is_meta  # no memory
        counted[part_of(name)] += weight.numel()
    return dict(counted)


# %% tags=["nbval-check-output"]
base = bertedu.BertConfig()
formula, counted = by_formula(base), by_count(base)
for part, number in formula.items():
    print(f"{part:20} {number:11,} {number / sum(formula.values()):6.1%}")
    assert counted[part] == number

everything = sum(formula.values())
heads = formula["masked-LM head"] + formula["next-sentence head"]
print(f"{'all':20} {everything:11,}\n{'without the heads':20} {everything - heads:11,}")
assert everything == sum(counted.values()) == 110_106_428
assert everything - heads == 109_482_240

# %% [markdown]
# Formula and count agree. Two exact numbers are behind "110M":
#
# - **110,106,428** with the pooler and both pretraining heads, the token table counted once;
# - **109,482,240** for what is usually loaded: the encoder with its embeddings and pooler.

# %%
assert round(everything / 1e6) == 110
assert round((everything - heads) / 1e6) == 109
assert formula["feed-forward"] > formula["attention"] > formula["embeddings"]
assert 0.5 < formula["feed-forward"] / everything < 0.52
assert round(formula["feed-forward"] / formula["attention"], 2) == 2
assert round(base.vocab_size * base.hidden_size / everything, 2) == 0.21  # the token table
copied = everything + base.vocab_size * base.hidden_size  # if the decoder were a copy
assert copied == 133_547_324

# %% [markdown]
# The feed-forward networks have half of all parameters, twice as many as attention. The token table
# has 21 %. If the decoder is counted as a matrix of its own, the total is 133.5 million{=copied}.
#
# ### Three sizes
#
# **Predict:** the course's model is half as wide as BERT-base and has half its layers. How large
# are its layers, compared with BERT-base's: a half, a quarter, an eighth? And its token table?

# %% tags=["nbval-check-output"]
large = bertedu.BertConfig(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16,
                           intermediate_size=4096)  # fmt: skip
sizes = {"this course": config, "BERT-base": base, "BERT-large": large}
print(f"{'':12}{'encoder, pooler':>16}{'in float32':>13}{'with both heads':>18}")
totals = {}
for name, c in sizes.items():
    parts = by_formula(c)
    assert parts == by_count(c)
    total = sum(parts.values())
    totals[name] = total - parts["masked-LM head"] - parts["next-sentence head"]
    print(f"{name:12}{totals[name]:16,}{totals[name] * 4 / 2**20:9,.0f} MiB{total:18,}")
assert list(totals.values()) == [22_713_216, 109_482_240, 335_141_888]
assert sum(by_formula(large).values()) == 336_226_108

# %%
import matplotlib.pyplot as plt

from bertedu.classroom.figures import PARTS, STYLE

rows = {name: [*by_formula(c).values()] for name, c in reversed(sizes.items())}
shares = torch.tensor([[*row[:3], sum(row[3:])] for row in rows.values()], dtype=torch.float)
shares /= shares.sum(dim=1, keepdim=True)  # [3 models, 4 parts]

plt.style.use(STYLE)
figure, axes = plt.subplots(figsize=(7.5, 2.6))
plt.close(figure)  # it is drawn and shown in the next cell

# %%
axes.clear()  # so that running this cell again draws the bars once
left = torch.zeros(len(rows))
for part, share in zip(["embeddings", "attention", "feed-forward", "norm"], shares.T, strict=True):
    bars = axes.barh([*rows], share, left=left, color=PARTS[part], label=part)
    axes.bar_label(bars, [f"{x:.0%}" if x > 0.03 else "" for x in share], label_type="center")
    left += share
handles, labels = axes.get_legend_handles_labels()
labels[-1] = "the rest"
axes.legend(handles, labels, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=4)
axes.set(title="Where the parameters are", xlim=(0, 1), xticks=[])
axes.spines[["left", "bottom"]].set_visible(False)
axes.tick_params(length=0)
assert torch.allclose(left, torch.ones(3))
figure

# %% [markdown]
# Half the width makes every square matrix a *quarter*, and half as many layers make all layers an
# **eighth**. The token table keeps its rows, so it is a half. So half of this small model is its
# token table.

# %%
layers = {name: by_formula(c)["attention"] + by_formula(c)["feed-forward"]
          for name, c in sizes.items()}  # fmt: skip
assert 7.9 < layers["BERT-base"] / layers["this course"] < 8.1
assert by_formula(config)["embeddings"] / sum(by_formula(config).values()) > 0.5
assert by_formula(large)["embeddings"] / sum(by_formula(large).values()) < 0.1

# %% [markdown]
# ### Deeper: how much work is a sentence?
#
# The product of an *a × b* and a *b × c* matrix costs 2abc{=definition} operations. For each token,
# a layer has four square matrices and two of the feed-forward network. The heads need S × S twice
# (scores, then mixing). torch can count while it computes:


# %% tags=["nbval-check-output"]
def operations(c, S):
    H, wide, L = c.hidden_size, c.intermediate_size, c.num_hidden_layers
    return L * (2 * S * (4 * H * H + 2 * H * wide) + 4 * S * S * H) + 2 * H * H  # 2 H H: pooler


for name, c in sizes.items():
    quadratic = [4 * S * S * c.hidden_size * c.num_hidden_layers for S in (128, 512)]
    of_all = [part / operations(c, S) for part, S in zip(quadratic, (128, 512), strict=True)]
    print(f"{name:12} {operations(c, 128) / 1e9:6.1f} billion operations for 128 tokens; "
          f"S × S is {of_all[0]:.0%} of them, for 512 tokens {of_all[1]:.0%}")  # fmt: skip
    assert max(of_all) < 0.2

# %%
from torch.utils.flop_counter import FlopCounterMode

with FlopCounterMode(display=False) as counter, torch.no_grad():
    library.bert(torch.full((1, 128), 7), output_attentions=True)
assert counter.get_total_flops() == operations(config, 128)

# %% [markdown]
# The S² of attention is a small part at BERT's lengths, at most 18 % here.
#
# ## 11. Is the library right?
#
# We compare it with the **reference implementation**, Hugging Face's `transformers`.
#
# First, can our limit of 0.00001 find a small mistake? Hugging Face's BERT, and so ours, has the
# exact GELU. Google's own file `modeling.py` approximates it with tanh.

# %% tags=["nbval-check-output"]
from dataclasses import replace

almost = bertedu.BertModel(replace(config, hidden_act="gelu_new")).eval()
almost.load_state_dict(library.bert.state_dict(), assign=True)
with torch.inference_mode():
    nearly = almost(**batch).last_hidden_state
assert gap(nn.functional.gelu(numbers, approximate="tanh"), gelu(numbers)) < 0.001
show("GELU by tanh and exact GELU", gap(nearly, my_states))
assert 1e-5 < gap(nearly, my_states) < 0.1

# %% [markdown]
# The limit finds the difference. Now the comparison: both sides get the same random weights (of a
# small model), and the same batch. Both tokenizers get hundreds of texts, some with accents,
# Chinese, Arabic, emoji and control characters.
#
# **Predict:** which differences must be *exactly* 0?
#
# (Only this cell needs `transformers`.)

# %% tags=["nbval-check-output"]
from bertedu.commands.certify import certify

try:
    certificates = certify()
except bertedu.InputError as missing:
    certificates = []
    print(missing)
for row in certificates:
    print(f"{row.quantity:35} difference {'within' if row.passed else 'ABOVE'} {row.bar:g}")
assert all(row.passed for row in certificates)

# %% [markdown]
# Every row is within its limit, also the *gradients*, from which a model learns. The last digits
# may differ, because sums are rounded. Ids and offsets are whole numbers: none may differ.
#
# So your BERT equals the library's, and the library's equals the reference. In a terminal, `bertedu
# certify --base` compares at BERT-base's own size.
#
# ## 12. Recap
#
# - BERT = embeddings (token + segment + position, LayerNorm), L layers, pooler; two heads for
#   pretraining. The masked-LM decoder *is* the token table.
# - A layer = self-attention, **add, LayerNorm**; feed-forward network, **add, LayerNorm**. Its
#   input and its output are `[B, S, H]`.
# - Tokens exchange information in attention only. Order comes from the **learned** position table
#   only.
# - With the mask, padding changes nothing.
# - BERT-base: 109,482,240 parameters, 110,106,428 with both heads.
#
# **The answer:** BERT is three embedding tables, a stack of layers of the same form (each with its
# own weights) and a pooler, with two heads for pretraining; half of its 110 million parameters are
# in the feed-forward networks, and a fifth in the token table.

# %% [markdown]
# ## Test yourself
#
# Choose an answer: a click opens its explanation.
#
# **1. Which part of BERT-base has the most parameters?**
#
# <details class="option"><summary>A. The attention of all layers</summary>
#
# **No.** It has half as many as the feed-forward networks.
#
# </details>
#
# <details class="option"><summary>B. The token table</summary>
#
# **No.** It has about a fifth. In the course's small model it has half.
#
# </details>
#
# <details class="option"><summary>C. The feed-forward networks</summary>
#
# **Yes.** They have half of all parameters.
#
# </details>

# %% [markdown]
# **2. What does a model with 24 heads instead of 12 cost, at the same width?**
#
# <details class="option"><summary>A. No parameter more</summary>
#
# **Yes.** The heads divide the same 768{=paper} numbers; the matrices keep their size.
#
# </details>
#
# <details class="option"><summary>B. Twice the parameters of attention</summary>
#
# **No.** Each head would be half as wide, so the sum is the same.
#
# </details>
#
# <details class="option"><summary>C. Twice the parameters of the whole model</summary>
#
# **No.** No part gets larger with the number of heads.
#
# </details>

# %% [markdown]
# **3. Where does the vector of *dog* take in information about *cute*?**
#
# <details class="option"><summary>A. In the feed-forward network</summary>
#
# **No.** It treats each token by itself (section 6).
#
# </details>
#
# <details class="option"><summary>B. In LayerNorm</summary>
#
# **No.** LayerNorm normalises each vector by itself.
#
# </details>
#
# <details class="option"><summary>C. In the position table</summary>
#
# **No.** The table gives a position to each token, and nothing about other tokens.
#
# </details>
#
# <details class="option"><summary>D. In self-attention</summary>
#
# **Yes.** It is the only part in which tokens exchange information.
#
# </details>

# %% [markdown]
# **Next:** lesson 07, where these parameters are learned.
#
# ## Exercises
#
# Replace each `...` by your answer, then run the cell and the next one. `checks.one_layer.hint()`
# gives a hint, and then a second one.

# %%
checks.one_layer

# %% [markdown]
# ### Predict
#
# **1.** BERT-base with 24 heads instead of 12 (each half as wide): how many parameters more?

# %%
# BEGIN SOLUTION
more_for_heads = 0
# END SOLUTION

# %% tags=["nbval-check-output"]
checks.more_for_heads(more_for_heads)

# %% tags=["solution"]
twice = replace(base, num_attention_heads=24)
assert sum(by_count(twice).values()) - everything == more_for_heads

# %% [markdown] tags=["solution"]
# *Why:* queries, keys and values have H numbers in all, however they are cut into heads.

# %% [markdown]
# **2.** BERT-base that reads 1,024 tokens instead of 512: how many parameters more?

# %%
# BEGIN SOLUTION
more_for_length = 512 * 768
# END SOLUTION

# %% tags=["nbval-check-output"]
checks.more_for_length(more_for_length)

# %% tags=["solution"]
longer = replace(base, max_position_embeddings=1024)
assert sum(by_count(longer).values()) - everything == more_for_length

# %% [markdown] tags=["solution"]
# *Why:* the position table has 512 more rows of 768{=more_for_length} numbers, 512 · 768 =
# 393,216; nothing else depends on the length.

# %% [markdown]
# ### Complete
#
# **3.** The parameters of *one* layer, for width H and any feed-forward width.


# %%
def one_layer(H, wide):
    # BEGIN SOLUTION
    attention = 4 * (H * H + H)
    feed_forward = H * wide + wide + wide * H + H
    return attention + feed_forward + 2 * 2 * H
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.one_layer(one_layer)

# %% [markdown] tags=["solution"]
# *Why:* in BERT-base 4 · (768 · 768 + 768) = 2,362,368 for
# attention, 2 · 768 · 3072 + 3072 + 768 = 4,722,432 for the feed-forward network, and 4 · 768 =
# 3,072 for the two LayerNorms.

# %% [markdown]
# **4.** A published mistake (hyunwoongko/transformer, pull request #40): the mask excludes the
# *queries* of the padding, not its keys. Which shape must a mask `[B, S]` get so that it excludes
# *keys*? The scores are `[B, A, queries, keys]`; True means a real token, before and after.


# %%
def mask_for_keys(real):
    # BEGIN SOLUTION
    return real[:, None, None, :]
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.mask_for_keys(mask_for_keys)

# %% [markdown] tags=["solution"]
# *Why:* a size of 1 means "the same for all": the mask is repeated over heads and queries, and the
# last dimension, the keys, keeps its S values.

# %% [markdown]
# ### Build
#
# **5.** ALBERT uses *one* layer L times. How many parameters would a BERT with shared layers have,
# encoder and pooler, without the pretraining heads? Write it for any config.


# %%
def with_shared_layers(c):
    # BEGIN SOLUTION
    parts = by_formula(c)
    layers = parts["attention"] + parts["feed-forward"] + parts["LayerNorm"]
    return parts["embeddings"] + layers // c.num_hidden_layers + parts["pooler"]
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.with_shared_layers(with_shared_layers)

# %% tags=["solution"]
assert with_shared_layers(base) == 31_515_648

# %% [markdown] tags=["solution"]
# *Why:* 23,837,184 for the embeddings, 2,362,368 + 4,722,432 + 3,072 = 7,087,872 for the one
# layer, 590,592 for the pooler. (The real ALBERT-base is smaller still: it splits the token table
# into two thin factors.) The *work* for a sentence stays the same: the layer runs L times.

# %% [markdown]
# **6.** From the parts of a `model` such as `mine`, compute the states after only the first `n`
# layers. (With `n = 0` these are the embeddings.)


# %%
def states_after(model, n, input_ids, token_type_ids, attention_mask):
    # BEGIN SOLUTION
    mask = attention_mask.bool()[:, None, None, :]
    states = model.embeddings(input_ids, token_type_ids)
    for layer in model.encoder["layer"][:n]:
        states = layer(states, mask)
    return states
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.states_after(states_after)

# %% tags=["solution", "nbval-check-output"]
with torch.inference_mode():
    truth = library.bert(**batch, output_hidden_states=True).hidden_states
    for n in (0, 1, 4):
        yours = states_after(mine, n, **batch)
        show(f"after layer {n}", gap(yours, truth[n]))
        assert gap(yours, truth[n]) <= 1e-5

# %% [markdown] tags=["solution"]
# *Why:* that is `Bert.forward` with a shorter list of layers.
