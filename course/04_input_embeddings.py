# %% [markdown]
# # 04 · Input embeddings
#
# A token id is a number in a list; 3899 is not "more" than 2003. Before BERT can compute with
# tokens, each must become a vector. This lesson follows that one step, from ids to the vectors
# that enter the first layer: three tables, a sum, and a normalisation.
#
# **Afterwards you can**
# - compute BERT's input vectors by hand, equal to the model's to the last bit;
# - say why three vectors may be added up, and what it would cost to keep them apart;
# - compare learned positions with sinusoidal ones, by measurement;
# - show what the segment ids are worth, and what they are not.
#
# **You need** lessons 01 and 03, and to have met vectors and matrices. No internet connection.
#
# **Time** about 50 minutes to work through; less than one minute of CPU time.
#
# **In the paper** Devlin et al. 2019 (arXiv:1810.04805), §3 "Input/Output Representations" and
# Figure 2; sinusoids: Vaswani et al. 2017 (arXiv:1706.03762), §3.5.
#
# How to work: *predict* first (say your answer aloud, or write it down), then *run* the cell,
# then read the explanation. What the text says of the results is checked by `assert`s in the cells.

# %% tags=["nbval-check-output"]
import matplotlib.pyplot as plt
import torch

import bertedu
from bertedu.classroom import checks
from bertedu.classroom.figures import STYLE, token_chips

plt.style.use(STYLE)
bert = bertedu.load()
tokenizer = bert.tokenizer
embeddings = bert.model.bert.embeddings
print(embeddings)

# %% [markdown]
# ## 1. Three tables
#
# `nn.Embedding(V, H)` is a table of V rows with H numbers each, and nothing else: to look up id 7
# is to take row 7. BERT has three of them: the **token embedding** says *what* the token is, the
# **position embedding** *where* it stands, and the **segment embedding** *whose* it is, A's or B's.
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
print(f"half of the whole encoder: {tables['token'].numel() / everything:.0%} are token vectors")
assert 0.4 < tables["token"].numel() / everything < 0.6

# %% [markdown]
# The token table alone is half of this small encoder's numbers. (In BERT-base it is a fifth: its
# layers are larger, its vocabulary is the same.)
#
# That "looking up" is a matrix product in disguise is useful to know: a vector with a single 1 in
# place 3899 (*one-hot*), times the table, gives row 3899. Nobody computes it that way; but it is
# why the table can be *learned* like any other weights.

# %% tags=["nbval-check-output"]
dog = tokenizer.vocab["dog"]
one_hot = torch.nn.functional.one_hot(torch.tensor(dog), len(tokenizer)).float()
assert torch.equal(one_hot @ tables["token"], tables["token"][dog])
print(f"dog, id {dog}: a one-hot vector of {len(one_hot):,} numbers picks one row of {H}")

# %% [markdown]
# What is in a row? No single number means anything by itself. But rows can be compared: the
# **cosine** of two vectors is 1 when they point the same way and 0 when they have nothing in
# common.

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
# Nobody gave the model a list of what goes together. In its training they were used alike. (Its
# table began as that of a model trained on pairs of sentences that belong together, too.)
#
# ## 2. The sum
#
# For each token: its row of the token table, **plus** the row of its position, **plus** the row
# of its segment. Then **LayerNorm**: from each vector its mean is subtracted, and it is divided
# by its standard deviation; each of the H places then has a scale and a shift of its own.
#
# Do it by hand, for the notes' pair:

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
print(f"{S} tokens, {H} numbers each: the sum is the model's to the last bit")
print(f"after LayerNorm, unscaled: mean {normal.mean().abs():.2f}, std {normal.std():.2f}")

# %% [markdown]
# (The library adds in the order token, segment, position. In another order the last bit may
# differ: sums of floating-point numbers depend on it. And torch's own LayerNorm rounds a little
# differently than the formula, by less than 0.00001.)
#
# **Look at it.** Each token is a column of three strips, and their sum. Switch a term off, and
# watch what changes in the first layer's attention. (On a page without a running kernel you see a
# picture.)

# %% tags=["nbval-check-output"]
from bertedu.widgets import EmbeddingSum

EmbeddingSum(bert=bert)

# %% [markdown]
# **Predict:** which of the three vectors is the longest, and so weighs most in the sum?

# %%
for name, part in {"token": token, "position": position, "segment": segment}.items():
    lengths = part.norm(dim=-1)
    print(f"{name:9} length {lengths.mean():.2f} ({lengths.min():.2f} to {lengths.max():.2f})")
assert token.norm(dim=-1).mean() > position.norm(dim=-1).mean()
assert token.norm(dim=-1).mean() > segment.norm(dim=-1).mean()

# %% [markdown]
# ## 3. Why may one add?
#
# It looks like a mistake. 3 + 4 is 7, but so is 5 + 2: from a sum one cannot tell the parts. Do
# token and position not get mixed up?
#
# With *one* number they would. With 384 there is room: the token vectors and the position vectors
# lie in different directions, and a direction can be read off by itself. Let us try. Somebody is
# given only the sums, of random tokens at random places, and has to say the position: by a linear
# classifier, the simplest reader there is.
#
# **Predict:** how often is it right, of 32 positions, in percent? By guessing it would be 3 %.


# %%
def sums(count, seed):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(1000, len(tokenizer), (count,), generator=generator)
    places = torch.randint(32, (count,), generator=generator)
    sides = torch.randint(2, (count,), generator=generator)
    vectors = tables["token"][ids] + tables["segment"][sides] + tables["position"][places]
    return vectors, ids, places, sides


def read(x, y, exam, classes):
    targets = torch.nn.functional.one_hot(y, classes).float()
    ones = torch.ones(len(x), 1)
    solution = torch.linalg.lstsq(torch.cat([x, ones], dim=1), targets).solution
    return (torch.cat([exam, ones[: len(exam)]], dim=1) @ solution).argmax(dim=-1)


# %% tags=["nbval-check-output"]
x, ids, places, sides = sums(8_000, seed=0)
exam, exam_ids, exam_places, exam_sides = sums(2_000, seed=1)
found = {
    "position": (read(x, places, exam, 32) == exam_places).float().mean(),
    "segment": (read(x, sides, exam, 2) == exam_sides).float().mean(),
    "token": ((exam @ tables["token"].T).argmax(dim=-1) == exam_ids).float().mean(),
}
# BEGIN SOLUTION
read_guessed = 40
# END SOLUTION
checks.guess(read_guessed, 100 * found["position"], "%", within=5)

# %%
print(*(f"{name} {'over' if share > 0.8 else 'under'} 80 %" for name, share in found.items()))
assert min(found.values()) > 0.8
for name, chance in {"position": 1 / 32, "segment": 1 / 2, "token": 1 / len(tokenizer)}.items():
    print(f"{name:9} read rightly from the sum: {found[name]:6.1%}   by guessing: {chance:.2%}")

# %% [markdown]
# Position and segment are read from the sum by a linear layer, and linear layers are just what
# comes next in BERT, after LayerNorm: each head's queries, keys and values. Little was lost by
# adding. (The token is found here by the plainest rule, the row of the table with the largest dot
# product; exercise 7 has a better one.)
#
# **And keeping them apart?** One could write the three vectors one behind the other: 3 · 384 =
# 1,152 numbers. A linear layer on that, of matrix [W₁ W₂ W₃], gives W₁t + W₂p + W₃s. A *sum*
# again! To concatenate and multiply is the same as to multiply each and add. Adding at once
# means: the three matrices are already worked into the tables, which are learned anyway.

# %% tags=["nbval-check-output"]
side_by_side = torch.cat([token, position, segment], dim=-1)  # [S, 3 H]
W = torch.randn(H, 3 * H, generator=torch.Generator().manual_seed(0)) / H**0.5
W1, W2, W3 = W.split(H, dim=1)
apart = side_by_side @ W.T
together = token @ W1.T + position @ W2.T + segment @ W3.T
assert torch.allclose(apart, together, atol=1e-4)
print(f"joining {tuple(side_by_side.shape)} costs a matrix of {W.numel():,} numbers; adding, none")
layers = (p.numel() for name, p in bert.model.bert.encoder.named_parameters() if ".0." in name)
first_layer = sum(layers)
print(f"that is {W.numel() / first_layer:.0%} of a whole layer ({first_layer:,})")
assert 0.2 < W.numel() / first_layer < 0.3

# %% [markdown]
# A quarter of a layer, for nothing that the tables could not learn themselves. And if one kept
# all 1,152 through the network instead, each layer would cost nine times as much, since its
# matrices grow with the square:

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
# Without positions BERT would see a bag of words (lesson 06 shows it). The first Transformer took
# fixed waves for that: sines and cosines of many lengths. BERT just has a table of 512 rows,
# which starts out as random numbers, and learns it. (Web pages that say "BERT uses sinusoids" are
# wrong.)
#
# Nobody tells the table that row 7 comes after row 6. **Predict:** will neighbouring rows
# resemble each other?


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
    image = axes.imshow(matrix, cmap="RdBu_r", vmin=-1, vmax=1)
    axes.set(title=title, xlabel="position", ylabel="position")
    axes.grid(visible=False)
bar = figure.colorbar(image, ax=both, label="cosine", shrink=0.8)


# %%
def by_distance(matrix, distance):
    return float(matrix.diagonal(distance)[1:].mean())


print("distance     1     2     4     8    16    32")
for name, matrix in {"learned": learned, "waves": waves}.items():
    print(f"{name:8}", *(f"{by_distance(matrix, d):5.2f}" for d in (1, 2, 4, 8, 16, 32)))
near = [by_distance(learned, distance) for distance in (1, 2, 4, 8)]
assert near == sorted(near, reverse=True)
assert near[0] > 0.5
assert near[2] < by_distance(waves, 4)
assert max(abs(by_distance(learned, distance)) for distance in (8, 16, 32)) < near[2] + 0.1

# %% [markdown]
# They do. Nobody wrote it into the table: training has made neighbours alike, and likeness falls
# over the first places, faster than in the waves; further away it goes up and down around 0. (From
# both tables the mean row was taken away first; it is in all rows alike.) What differs: the waves
# look the same everywhere by construction, while the learned table has peculiarities of its own.
#
# **What are they worth?** Take three copies of the model: as it is, without positions, and with
# sinusoids of the same lengths instead. Then let them fill gaps in the course's held-out text.

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
    print(f"{name:10} {result.mlm_loss:.2f} nats, first guess right {result.mlm_accuracy:.1%}")
assert judged["none"].mlm_loss > judged["learned"].mlm_loss + 0.5
assert judged["sinusoids"].mlm_loss > judged["learned"].mlm_loss + 0.5
assert abs(judged["sinusoids"].mlm_loss - judged["none"].mlm_loss) < 0.3

# %% [markdown]
# Without its positions this model loses much. But *other* positions, though as good in themselves,
# are of no more use to it than none: it has learned to read its own. So this shows how much it
# relies on them, not what a model trained without them would lack. In training from the start it
# hardly matters which kind is taken: Vaswani et al. 2017 (Table 3, row E) found nearly identical
# results.
#
# There is one difference that does matter: the table has 512 rows, and there is no row 512.

# %% tags=["nbval-check-output"]
try:
    bert.encode("dog " * 600)
except bertedu.InputError as error:
    print(error)

# %% [markdown]
# ## 5. Segments
#
# Two rows of 384 numbers: the smallest table of all. What would happen without them? The `[SEP]`
# between A and B is still there. Same held-out pairs, three ways to fill in the segment ids:
#
# **Predict:** what will next sentence prediction be like with all segment ids 0? With A and B
# confused? And will the hidden words notice?


# %%
def with_segments(change):
    changed = [batch | {"token_type_ids": change(batch)} for batch in batches]
    return evaluate(bert.model, changed)


ways = {
    "as they are": lambda batch: batch["token_type_ids"],
    "all 0": lambda batch: torch.zeros_like(batch["token_type_ids"]),
    "0 and 1 confused": lambda batch: batch["attention_mask"] - batch["token_type_ids"],
}
by_segments = {name: with_segments(change) for name, change in ways.items()}

# %%
usual = by_segments["as they are"]
for name, result in by_segments.items():
    print(f"{name:17} words {result.mlm_loss:.2f} nats; pairs {result.nsp_accuracy:.0%} right, "
          f"{result.nsp_loss:.2f} nats")  # fmt: skip
    assert abs(result.mlm_loss - usual.mlm_loss) < 0.15
pairs = sum(len(batch["next_sentence_label"]) for batch in batches)
print(f"with {pairs} pairs a share is uncertain by ±{0.98 / pairs**0.5:.0%}")
assert by_segments["all 0"].nsp_loss > usual.nsp_loss
assert by_segments["all 0"].nsp_accuracy < usual.nsp_accuracy - 0.1

# %% [markdown]
# The hidden words do not care. The judgment of pairs suffers when all ids are the same, far beyond
# what so few pairs could show by chance: from the `[SEP]` in the middle one *could* tell the sides
# as well, but this model has learned to go by the segment ids. (Which side is called 0 matters
# less than that they differ: look at the last line. The uncertainty is that of lesson 02, section
# 4: 1.96 · √(0.5 · 0.5 / N).) That is why a forgotten `token_type_ids` is a mistake that no error
# reports: everything runs, and the answers are worse.
#
# And the other experiment: leave the segments right, and let the two *texts* change places.

# %%
stories = [("The rain fell all night.", "In the morning the streets were wet."),
           ("She opened the letter.", "It came from her brother in Canada."),
           ("He put the cake into the oven.", "After an hour it was golden brown.")]  # fmt: skip
for a, b in stories:
    there, back = bert.next_sentence(a, b), bert.next_sentence(b, a)
    print(f"A B {there:5.1%}   B A {back:5.1%}   {a} | {b}")
    assert there != back

# %% [markdown]
# The number changes, since each word now stands elsewhere and on the other side; but not
# necessarily down. Lesson 03 found why: the model has learned what belongs together, hardly the
# order.
#
# ## Recap
#
# - Input vector = LayerNorm(token + segment + position). An embedding is a table; to look up is
#   to pick a row.
# - Adding is concatenating with the matrix already worked in; it costs nothing, and a linear
#   layer reads the parts from the sum.
# - BERT's positions are learned. Neighbours come out alike, as in the sinusoids; there is no
#   position 512.
# - Segments are two rows. Hidden words do without them, the judgment of pairs does not.
#
# ## Exercises
#
# Replace each `...` by your answer and run the cell and the one after it. A check says "✓ right",
# or what your mistake suggests, or "not done yet"; all else goes on working. If you are
# stuck, `checks.layer_norm.hint()` gives a hint for that exercise, and then a second one.

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
# *Why:* the token and the segment are the same, the position is not. Without positions nothing
# tells the two apart, and no later layer could: equal vectors ask and answer alike.

# %% [markdown]
# **3.** A row of 20 tokens, `[CLS]` and `[SEP]` among them: how many different rows are read, at
# least and at most, from all three tables together, if there is no B?

# %%
# BEGIN SOLUTION
at_least, at_most = 24, 41
# END SOLUTION

# %% tags=["nbval-check-output"]
checks.rows_read([at_least, at_most])

# %% [markdown] tags=["solution"]
# *Why:* 20 positions in any case, 1 segment. Tokens: at most 20 different ones; at least 3,
# `[CLS]`, `[SEP]` and one word, eighteen times.

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
# *Why:* indexing with a tensor picks rows; nothing more is needed.

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
# *Two classic slips:* `x.std()` divides by H - 1 where LayerNorm divides by H; and the eps stands
# *in* the root.

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
# **7.** A detective: given the three tables, one vector that is token + segment + position (no
# LayerNorm), and the segment id, return the position, which is below 64, by trying all. (The
# position table has at least 64 rows.) *One way:*
# if you take away the right position and the right segment, what is left is a row of the token
# table, up to rounding.


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
# *What one sees:* the sum determines its parts. 384 numbers are many more than are needed to tell
# 30,522 times 512 combinations apart.

# %% [markdown]
# **8.** Shift: put `shift` `[PAD]` (id 0) *in front* of a sentence, with attention mask 0, so that
# each word stands that much later. Return the largest difference between the last hidden states
# of its tokens, with and without the shift. Is BERT indifferent to where a sentence begins?
# (`ids` is `[S]`; `model` takes ids `[B, S]` and an `attention_mask`, and gives a
# `last_hidden_state`. The difference is one number, 0 or more.)


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
# *What one sees:* it is not. Positions are absolute; a model with *relative* ones would give the
# same. That is why BERT's inputs are padded behind, never in front.
