# %% [markdown]
# # 04 · Input embeddings
#
# **How does a token become a vector?**
#
# To compute with an id, BERT makes it a vector: with three tables, a sum, and a normalisation.
#
# **Afterwards you can**
# - compute BERT's input vectors by hand;
# - say why three vectors may be added, and what it would cost to keep them apart;
# - compare learned positions with sinusoidal ones, by measurement;
# - measure what the segment ids contribute, and what they do not.
#
# **You need** lessons 01 and 03, vectors and matrices. No internet connection.
#
# **Time** about 50 minutes to work through; less than one minute of CPU time.
#
# **In the paper** Devlin et al. 2019 (arXiv:1810.04805), §3 "Input/Output Representations" and
# Figure 2; sinusoids: Vaswani et al. 2017 (arXiv:1706.03762), §3.5.

# %% tags=["nbval-check-output"]
import matplotlib.pyplot as plt
import torch

import bertedu
from bertedu.classroom import checks
from bertedu.classroom.figures import SIGNED, STYLE, token_chips

plt.style.use(STYLE)
bert = bertedu.load()
tokenizer = bert.tokenizer
embeddings = bert.model.bert.embeddings
print(embeddings)

# %% [markdown]
# ## 1. Three tables
#
# `nn.Embedding(V, H)` is a table of V rows with H numbers each. To look up id 7 is to take row
# 7{=definition}. A
# vector that is looked up in this way is an [**embedding**](../docs/glossary.md#the-model). BERT
# has three tables: the **token embedding** for *what* the token is, the [**position
# embedding**](../docs/glossary.md#the-model) for *where* it stands, and the [**segment
# embedding**](../docs/glossary.md#the-model) for the *text* it belongs to, A or B.
#
# **Predict:** which of the three is the largest, and by how much?

# %% tags=["nbval-check-output"]
tables = {
    "token": embeddings.word_embeddings.weight.detach(),
    "position": embeddings.position_embeddings.weight.detach(),
    "segment": embeddings.token_type_embeddings.weight.detach(),
}
for name, table in tables.items():
    rows, H = table.shape
    print(f"{name:9} {rows:6,} rows x {H} = {table.numel():10,} numbers")
everything = sum(p.numel() for p in bert.model.bert.parameters())
print(f"the token table has {tables['token'].numel() / everything:.0%} of the model's numbers")

# %% [markdown]
# The token table has about half of this small model's numbers. (In BERT-base it has a fifth,
# because the layers are larger.)
#
# Looking up is also a matrix product: a vector with a single 1 at place 3899 (*one-hot*), times
# the table, gives row 3899. This explains why the table can be *learned* like any other weights.

# %% tags=["nbval-check-output"]
dog = tokenizer.vocab["dog"]
one_hot = torch.nn.functional.one_hot(torch.tensor(dog), len(tokenizer)).float()
assert 0.4 < tables["token"].numel() / everything < 0.6
assert torch.equal(one_hot @ tables["token"], tables["token"][dog])
print(f"dog, id {dog}: a one-hot vector of {len(one_hot):,} numbers picks one row of {H}")

# %% [markdown]
# Rows can be compared: the **cosine** of two vectors is 1 when they have the same direction, and 0
# when they stand at a right angle.

# %%
directions = torch.nn.functional.normalize(tables["token"], dim=-1)  # [V, H], each of length 1


def nearest(word, count=6):
    cosines = directions @ directions[tokenizer.vocab[word]]
    best = cosines.topk(count + 1).indices[1:]  # the word itself comes first
    return [(tokenizer.tokens[i], float(cosines[i])) for i in best.tolist()]


for word in ("dog", "seven", "london", "##ing"):
    print(f"{word:7}", *(f"{other} {cosine:.2f}" for other, cosine in nearest(word)))
assert "dogs" in dict(nearest("dog"))

# %% [markdown]
# Most of these neighbours are related words. A likely reason, not tested here: they are used
# alike. (The table began as that of a model that was also trained on pairs of related sentences.)
#
# ## 2. The sum
#
# For each token, BERT adds three rows: that of the token, that of its
# [**position**](../docs/glossary.md#the-model), and that of its segment. Then comes
# [**LayerNorm**](../docs/glossary.md#the-model): from each vector its mean is subtracted, and it
# is divided by its standard deviation. Each of the H places then has a scale and a shift of its
# own.
#
# Here it is by hand, for the notes' pair:

# %%
pair = tokenizer.encode("My dog is cute", "He likes playing")
S = len(pair.tokens)
token, position, segment = (
    tables["token"][pair.input_ids],
    tables["position"][torch.arange(S)],
    tables["segment"][pair.token_type_ids],
)  # each [S, H]
summed = token + segment + position
mean, variance = summed.mean(dim=-1, keepdim=True), summed.var(dim=-1, correction=0, keepdim=True)
normal = (summed - mean) / torch.sqrt(variance + bert.config.layer_norm_eps)
by_hand = normal * embeddings.LayerNorm.weight + embeddings.LayerNorm.bias
token_chips(pair.tokens, pair.input_ids.tolist(), segments=pair.token_type_ids.tolist())

# %% tags=["nbval-check-output"]
with torch.inference_mode():
    by_model = bert.hidden_states("My dog is cute", "He likes playing")[0]  # [S, H]
    normalised = embeddings.LayerNorm(summed)
assert torch.equal(normalised, by_model)  # to the last bit
assert torch.allclose(by_hand, by_model, atol=1e-5)
print(
    f"{S} tokens with {H} numbers each: our sum, with torch's LayerNorm, equals the model's"
    " to the last bit"
)
print(f"after LayerNorm, before scale and shift: mean {normal.mean().abs():.2f},"
      f" standard deviation {normal.std():.2f}")  # fmt: skip

# %% [markdown]
# (Torch's LayerNorm and the formula differ in rounding, by less than
# 0.00001{=by_hand}.)
#
# **Look at it.** Each token is a column of three strips and their sum. Switch a term off, and
# watch the first layer's attention change.
#
# The same with a click (a link with ▸ sets the picture, and one more click sets it back):
# [without positions](#EmbeddingSum?position=off
# "19.2 % of a token's attention goes elsewhere now (layer 1, mean of 12 heads). Without positions")
# 19.2 % of a token's attention goes elsewhere (in layer 1, mean of its 12 heads), but
# [in head 3 it is 77.1 %](#EmbeddingSum?position=off&head=3
# "77.1 % of a token's attention");
# [without segments](#EmbeddingSum?segment=off
# "14.4 %") 14.4 %;
# [without LayerNorm](#EmbeddingSum?layer_norm=off
# "24.4 %") 24.4 %; and
# [without all three terms](#EmbeddingSum?token=off&segment=off&position=off
# "34.6 %") 34.6 %. The lowest squares compare positions:
# [the cosine of 0 and 1 is 0.19 learned, 0.97 sinusoidal](#EmbeddingSum?cell=place.0.1
# "cosine 0.19 learned, 0.97 sinusoidal").

# %% tags=["nbval-check-output"]
from bertedu.widgets import EmbeddingSum

EmbeddingSum(bert=bert)

# %% [markdown]
# **Predict:** which of the three vectors is the longest, on average?

# %%
for name, part in {"token": token, "position": position, "segment": segment}.items():
    lengths = part.norm(dim=-1)
    print(f"{name:9} mean length {lengths.mean():.2f} ({lengths.min():.2f} to {lengths.max():.2f})")

# %%
assert token.norm(dim=-1).mean() > position.norm(dim=-1).mean()
assert token.norm(dim=-1).mean() > segment.norm(dim=-1).mean()

# %% [markdown]
# ## 3. Why may one add?
#
# From the sum of two numbers one cannot tell the parts. But these are vectors of 384 numbers.
#
# We test it: a linear classifier gets only the sums, of random tokens at random positions, and
# must give the position.
#
# **Predict:** what accuracy does it reach on 32 positions, in percent? Guessing would give 3 %.


# %%
def sums(count, seed):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(1000, len(tokenizer), (count,), generator=generator)
    places = torch.randint(32, (count,), generator=generator)
    sides = torch.randint(2, (count,), generator=generator)
    vectors = tables["token"][ids] + tables["segment"][sides] + tables["position"][places]
    return vectors, ids, places, sides


def read(x, y, test, classes):
    targets = torch.nn.functional.one_hot(y, classes).float()
    ones = torch.ones(len(x), 1)
    solution = torch.linalg.lstsq(torch.cat([x, ones], dim=1), targets).solution
    return (torch.cat([test, ones[: len(test)]], dim=1) @ solution).argmax(dim=-1)


# %% tags=["nbval-check-output"]
x, ids, places, sides = sums(8_000, seed=0)
test, test_ids, test_places, test_sides = sums(2_000, seed=1)
found = {
    "position": (read(x, places, test, 32) == test_places).float().mean(),
    "segment": (read(x, sides, test, 2) == test_sides).float().mean(),
    "token": ((test @ tables["token"].T).argmax(dim=-1) == test_ids).float().mean(),
}
# BEGIN SOLUTION
read_guessed = 40
# END SOLUTION
checks.guess(read_guessed, 100 * found["position"], "%", within=5)

# %%
for name, chance in {"position": 1 / 32, "segment": 1 / 2, "token": 1 / len(tokenizer)}.items():
    print(f"{name:9} accuracy from the sum {found[name]:6.1%}   by guessing {chance:.3%}")

# %% [markdown]
# A linear layer reads position and segment from the sum. BERT's queries, keys and values are
# linear layers, too (of the sum after LayerNorm, which this test leaves out). So little is lost by
# adding. (Here the token is the row of the table with the largest dot product.)
#
# **Could one keep them apart?** Put the three vectors one after the other: 3 · 384 = 1,152
# numbers. A linear layer with the matrix [W₁ W₂ W₃] gives W₁t + W₂p + W₃s: a *sum* again. The
# tables are learned anyway, so they can learn W₁t, W₂p and W₃s at once.

# %% tags=["nbval-check-output"]
side_by_side = torch.cat([token, position, segment], dim=-1)  # [S, 3 H]
W = torch.randn(H, 3 * H, generator=torch.Generator().manual_seed(0)) / H**0.5
W1, W2, W3 = W.split(H, dim=1)
apart = side_by_side @ W.T
together = token @ W1.T + position @ W2.T + segment @ W3.T
assert min(found.values()) > 0.8  # read from the sum, above
assert torch.allclose(apart, together, atol=1e-4)
print(f"three vectors side by side need a matrix of {W.numel():,} numbers; the sum needs none")
layers = (p.numel() for name, p in bert.model.bert.encoder.named_parameters() if ".0." in name)
first_layer = sum(layers)
print(f"that is {W.numel() / first_layer:.0%} of the numbers of a whole layer ({first_layer:,})")
assert 0.2 < W.numel() / first_layer < 0.3

# %% [markdown]
# The matrix would cost a quarter of a layer. If all 1,152 numbers were kept through the network,
# each layer would cost nine times as much, because its matrices grow with the square:

# %% tags=["nbval-check-output"]
wide, narrow = (
    sum(p.numel() for p in bertedu.BertModel(bertedu.BertConfig(
        hidden_size=size, num_hidden_layers=1, num_attention_heads=12, intermediate_size=4 * size,
        vocab_size=10)).encoder.parameters())
    for size in (3 * H, H)
)  # fmt: skip
print(f"one layer: {narrow:,} numbers at {H}, {wide:,} at {3 * H}: {wide / narrow:.1f} times")
assert 8.9 < wide / narrow < 9

# %% [markdown]
# ## 4. Positions: learned, not sinusoidal
#
# Without positions, BERT would see words without an order (lesson 06 shows it). The first
# Transformer used fixed waves: sines and cosines of many lengths. BERT has a table of 512 rows,
# which begins with random numbers and is learned.
#
# **Predict:** will neighbouring rows be alike?


# %%
def sinusoids(positions, size):
    rate = 10_000 ** (-torch.arange(0, size, 2) / size)  # [H / 2]
    angle = torch.arange(positions)[:, None] * rate
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)  # [positions, H]


def cosines(table):
    centred = table - table.mean(dim=0)
    unit = torch.nn.functional.normalize(centred, dim=-1)
    return unit @ unit.T


shown = 128
learned = cosines(tables["position"][:shown])
waves = cosines(sinusoids(shown, H))

# %%
figure, both = plt.subplots(1, 2, figsize=(7.5, 3.6))
for axes, matrix, title in zip(both, (learned, waves), ("learned", "sinusoidal"), strict=True):
    image = axes.imshow(matrix, cmap=SIGNED, vmin=-1, vmax=1)
    axes.set(title=title, xlabel="position", ylabel="position")
    axes.grid(visible=False)
bar = figure.colorbar(image, ax=both, label="cosine", shrink=0.8)


# %%
def by_distance(matrix, distance):
    return float(matrix.diagonal(distance)[1:].mean())


print("mean cosine of two positions\ndistance       1     2     4     8    16    32")
for name, matrix in {"learned": learned, "sinusoidal": waves}.items():
    print(f"{name:10}", *(f"{by_distance(matrix, d):5.2f}" for d in (1, 2, 4, 8, 16, 32)))
near = [by_distance(learned, distance) for distance in (1, 2, 4, 8)]
assert near == sorted(near, reverse=True)
assert near[0] > 0.5
assert near[2] < by_distance(waves, 4)
assert max(abs(by_distance(learned, distance)) for distance in (8, 16, 32)) < near[2] + 0.1

# %% [markdown]
# They are: training has made neighbours alike. Over the first places the likeness falls faster
# than in the waves; further away it goes up and down on both sides of 0. (The mean row was
# subtracted from both tables.)
#
# **How much does the model use them?** Three copies fill gaps in held-out text: the model as it
# is, without positions, and with sinusoids of the same lengths.

# %%
import copy
import itertools
import tempfile

from bertedu.data import HELD_OUT
from bertedu.pretraining import PretrainingData, Recipe, evaluate
from bertedu.pretraining.corpus import Corpus

folder = tempfile.TemporaryDirectory()
corpus = Corpus.build([str(HELD_OUT)], tokenizer, f"{folder.name}/held_out", progress=False)
data = PretrainingData(corpus, tokenizer, Recipe(steps=1, max_length=64, mlm_only=False))
batches = list(itertools.islice(data.batches(), 5))

# %%
table = tables["position"]
waves_of_same_length = sinusoids(*table.shape) * table.norm(dim=-1).mean() / (H / 2) ** 0.5
judged = {}
for name, positions in {
    "learned": table, "none": torch.zeros_like(table) + table.mean(dim=0),
    "sinusoids": waves_of_same_length + table.mean(dim=0),
}.items():  # fmt: skip
    changed = copy.deepcopy(bert.model)
    changed.bert.embeddings.position_embeddings.weight.data.copy_(positions)
    judged[name] = evaluate(changed, batches)

# %%
for name, result in judged.items():
    print(f"{name:10} loss {result.mlm_loss:.2f} nats, accuracy of the first guess"
          f" {result.mlm_accuracy:.1%}")  # fmt: skip
assert judged["none"].mlm_loss > judged["learned"].mlm_loss + 0.5
assert judged["sinusoids"].mlm_loss > judged["learned"].mlm_loss + 0.5
assert abs(judged["sinusoids"].mlm_loss - judged["none"].mlm_loss) < 0.3

# %% [markdown]
# Without its positions this model is much worse. *Other* positions help it hardly more than none:
# it has learned to read its own. So this does not show what a model trained without positions
# would lack. When trained from the start, for translation, both kinds are about as good (Vaswani
# et al. 2017, Table 3, row E).
#
# One difference matters: the table has 512 rows, so a text cannot have more tokens.

# %% tags=["nbval-check-output"]
try:
    bert.encode("dog " * 600)
except bertedu.InputError as error:
    print(error)

# %% [markdown]
# ## 5. Segments
#
# What do the two rows of the segment table add to the `[SEP]` between A and B? We fill in the
# segment ids of the held-out pairs in three ways.
#
# **Predict:** what happens to next sentence prediction when all segment ids are 0? When A and B
# are exchanged? And to the hidden words?


# %%
def with_segments(change):
    changed = [batch | {"token_type_ids": change(batch)} for batch in batches]
    return evaluate(bert.model, changed)


ways = {
    "as they are": lambda batch: batch["token_type_ids"],
    "all 0": lambda batch: torch.zeros_like(batch["token_type_ids"]),
    "0 and 1 exchanged": lambda batch: batch["attention_mask"] - batch["token_type_ids"],
}
by_segments = {name: with_segments(change) for name, change in ways.items()}

# %%
usual = by_segments["as they are"]
for name, result in by_segments.items():
    print(f"{name:18} words: loss {result.mlm_loss:.2f} nats; pairs: accuracy"
          f" {result.nsp_accuracy:.0%}, loss {result.nsp_loss:.2f} nats")  # fmt: skip
pairs = sum(len(batch["next_sentence_label"]) for batch in batches)
print(f"95 % band of an accuracy on {pairs} pairs: about ±{98 / pairs**0.5:.0f} points")

# %%
assert all(abs(result.mlm_loss - usual.mlm_loss) < 0.15 for result in by_segments.values())
assert by_segments["all 0"].nsp_loss > usual.nsp_loss
assert by_segments["all 0"].nsp_accuracy < usual.nsp_accuracy - 0.1

# %% [markdown]
# The loss of the hidden words hardly changes. The pairs become much worse when all ids are 0, by
# more than the band (lesson 02, section 4). The `[SEP]` *could* show the two sides, but this model
# has learned to use the segment ids. When 0 and 1 are exchanged, the accuracy falls by less than
# the band. So a forgotten `token_type_ids` gives no error, only worse answers.
#
# Now leave the segment ids correct, and exchange the two *texts*.

# %%
stories = [("The rain fell all night.", "In the morning the streets were wet."),
           ("She opened the letter.", "It came from her brother in Canada."),
           ("He put the cake into the oven.", "After an hour it was ready.")]  # fmt: skip
rise = 0
for a, b in stories:
    there, back = bert.next_sentence(a, b), bert.next_sentence(b, a)
    print(f"p(follows): A, B {there:5.1%}; exchanged {back:5.1%}   A: {a}   B: {b}")
    assert there > 0.8
    rise += back > there
assert rise == 2

# %% [markdown]
# For the cake the probability falls; for the other two pairs it rises a little. Three pairs are
# only examples: lesson 03 swaps many, and finds that this model has hardly learned the order.
#
# ## Recap
#
# - Input vector = LayerNorm(token + segment + position). Each of the three is a row of a table.
# - The sum needs no weights of its own, and a linear layer reads the parts from the sum.
# - BERT's positions are learned, not sinusoidal. Neighbours become alike; there is no position
#   512.
# - In this model, hidden words hardly need the segments; the pairs do.
#
# **The answer:** BERT looks up a learned vector for the token, for its position and for its
# segment, adds the three, and normalises the sum.

# %% [markdown]
# ## Test yourself
#
# Choose an answer: a click opens its explanation.
#
# **1. How does BERT know where a token stands?**
#
# <details class="option"><summary>
# A. It adds sines and cosines of the position, as the first Transformer did
# </summary>
#
# **No.** BERT has a table of 512 learned rows instead.
#
# </details>
#
# <details class="option"><summary>B. It reads the tokens one after the other</summary>
#
# **No.** It computes all tokens at the same time.
#
# </details>
#
# <details class="option"><summary>C. It adds a learned vector for each of 512 positions</summary>
#
# **Yes.** Row 7 of the position table is added to whatever token stands at position 7{=definition}.
#
# </details>

# %% [markdown]
# **2. Token, position and segment vectors are added. Why is the information not lost?**
#
# <details class="option"><summary>
# A. They lie in different directions, so a linear layer can read each part from the sum
# </summary>
#
# **Yes.** In section 3, position and segment are read with an accuracy of more than 99 %.
#
# </details>
#
# <details class="option"><summary>B. BERT keeps the three vectors beside the sum</summary>
#
# **No.** Only the sum enters the first layer.
#
# </details>
#
# <details class="option"><summary>C. LayerNorm separates them again</summary>
#
# **No.** LayerNorm sets mean and variance, then scales and shifts; it knows no parts.
#
# </details>

# %% [markdown]
# **3. A program forgets the segment ids of a pair, so all are 0. What happens?**
#
# <details class="option"><summary>A. The model refuses the input</summary>
#
# **No.** All ids 0 is a legal input.
#
# </details>
#
# <details class="option"><summary>
# B. Nothing, because <code>[SEP]</code> shows where B begins
# </summary>
#
# **No.** This model learned to use the segment ids: its accuracy on pairs falls.
#
# </details>
#
# <details class="option"><summary>C. Hidden words are guessed much worse</summary>
#
# **No.** The loss of the hidden words hardly changed in section 5.
#
# </details>
#
# <details class="option"><summary>
# D. The program runs, and the judgment of pairs becomes worse
# </summary>
#
# **Yes.** There is no error, but the accuracy falls.
#
# </details>

# %% [markdown]
# ## Exercises
#
# Replace each `...`, then run the cell and the next one. `checks.layer_norm.hint()` gives a hint.

# %% [markdown]
# ### Predict
#
# **1.** BERT-base has H = 768. How many numbers are in its position table? In its segment table?

# %%
# BEGIN SOLUTION
position_numbers, segment_numbers = 393_216, 1_536
# END SOLUTION

# %% tags=["nbval-check-output"]
checks.numbers_in_tables([position_numbers, segment_numbers])

# %% [markdown] tags=["solution"]
# *Why:* 512 rows and 2 rows of 768.

# %% [markdown]
# **2.** *dog* stands twice in a sentence. Are the two input vectors equal (`True` or `False`)? And
# if the position table were all zeros?

# %%
# BEGIN SOLUTION
equal_in_bert, equal_without_positions = False, True
# END SOLUTION

# %% tags=["nbval-check-output"]
checks.two_dogs([equal_in_bert, equal_without_positions])

# %% tags=["solution"]
dogs = bert.hidden_states("a dog saw a dog")[0][[2, 5]]
assert torch.equal(dogs[0], dogs[1]) == equal_in_bert

# %% [markdown] tags=["solution"]
# *Why:* the token and the segment are the same, the position is not. Without positions no later
# layer could tell the two apart: equal vectors have equal queries, keys and values.

# %% [markdown]
# **3.** A single text (no B) of 20 tokens, with `[CLS]` and `[SEP]`: how many different rows are
# read, at least and at most, from all three tables together?

# %%
# BEGIN SOLUTION
at_least, at_most = 24, 41
# END SOLUTION

# %% tags=["nbval-check-output"]
checks.rows_read([at_least, at_most])

# %% [markdown] tags=["solution"]
# *Why:* always 20 positions and 1 segment. Tokens: at most 20 different ones; at least 3, `[CLS]`,
# `[SEP]` and one word, eighteen times.

# %% [markdown]
# ### Complete
#
# **4.** An embedding without `nn.Embedding` and `F.embedding`: the rows of `table` `[V, H]` for
# `ids` `[S]`, as `[S, H]`.


# %%
def look_up(table, ids):
    # BEGIN SOLUTION
    return table[ids]
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.look_up(look_up)

# %% tags=["solution"]
assert torch.equal(look_up(tables["token"], pair.input_ids), token)

# %% [markdown] tags=["solution"]
# *Why:* indexing with a tensor picks rows.

# %% [markdown]
# **5.** LayerNorm without scale and shift, for vectors `x` `[S, H]`, with any `eps`.


# %%
def layer_norm(x, eps=1e-12):
    # BEGIN SOLUTION
    centred = x - x.mean(dim=-1, keepdim=True)
    return centred / torch.sqrt(centred.square().mean(dim=-1, keepdim=True) + eps)
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.layer_norm(layer_norm)

# %% tags=["solution"]
assert torch.allclose(layer_norm(summed), normal, atol=1e-5)

# %% [markdown] tags=["solution"]
# *Two frequent mistakes:* `x.std()` divides by H - 1, LayerNorm by H; and the eps stands *in* the
# root.

# %% [markdown]
# **6.** The cosine of two vectors `[H]`, neither of them all zeros.


# %%
def cosine(one, other):
    # BEGIN SOLUTION
    return one @ other / (one.norm() * other.norm())
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.cosine(cosine)

# %% tags=["solution", "nbval-check-output"]
print(f"{cosine(torch.tensor([3.0, 4.0]), torch.tensor([4.0, 3.0])):.2f}")

# %% [markdown] tags=["solution"]
# *Why:* the dot product grows with both lengths; divided by them, only the angle is left. Here
# (12 + 12) / (5 · 5) = 0.96.

# %% [markdown]
# ### Build
#
# **7.** Find the position. Given are the three tables, one vector that is token + segment +
# position (no LayerNorm), and the segment id. Return the position, which is below 64, by trying
# all. (The position table has at least 64 rows.) *One way:* subtract a position and the segment; if
# the position is the true one, the rest is a row of the token table, up to rounding.


# %%
def position_of(tables, vector, segment_id):
    # BEGIN SOLUTION
    left = vector - tables["segment"][segment_id] - tables["position"][:64]  # [64, H]
    distances = torch.cdist(left, tables["token"]).min(dim=1).values
    return int(distances.argmin())
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.position_of(position_of)

# %% tags=["solution", "nbval-check-output"]
found_again = [position_of(tables, summed[i], pair.token_type_ids[i]) for i in range(S)]
print(*found_again)
assert found_again == list(range(S))

# %% [markdown] tags=["solution"]
# *What you see:* for each of these ten tokens, the sum determines the position.

# %% [markdown]
# **8.** Shift: put `shift` `[PAD]` (id 0) *in front* of a sentence, with attention mask 0, so that
# each word has a position that is `shift` larger. Return the largest difference between the last
# hidden states of its tokens, with and without the shift. (`ids` is `[S]`; `model` takes ids `[B,
# S]` and an `attention_mask`, and gives a `last_hidden_state`. The difference is one number, 0 or
# more.)


# %%
def shift_difference(model, ids, shift):
    # BEGIN SOLUTION
    padding = torch.zeros(shift, dtype=torch.long)
    padded = torch.cat([padding, ids])[None]  # [1, shift + S]
    mask = torch.cat([padding, torch.ones_like(ids)])[None]
    with torch.inference_mode():
        plain = model(ids[None]).last_hidden_state[0]
        moved = model(padded, attention_mask=mask).last_hidden_state[0, shift:]
    return float((plain - moved).abs().max())
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.shift_difference(shift_difference)

# %% tags=["solution"]
assert tokenizer.pad_token_id == 0
assert shift_difference(bert.model.bert, tokenizer.encode("my dog is cute").input_ids, 5) > 0.05

# %% [markdown] tags=["solution"]
# *What you see:* the states change, because positions are absolute. So BERT's inputs are usually
# padded at the end.
