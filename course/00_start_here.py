# %% [markdown]
# # 00 · Start here
#
# This course takes **BERT** apart and puts it together again: *Bidirectional Encoder
# Representations from Transformers*, the language model that Google published in 2018. The
# course grew out of a student's lecture notes. Here the notes are alive: every number is
# computed in front of you, and every example can be replaced by your own.
#
# **After this page you can**
# - find your way through the course, and check that your machine is ready for it;
# - use the interactive pictures;
# - say what BERT is given for a sentence that you typed, and name the shapes on its way through.
#
# **You need** some Python. No internet connection, no graphics card.
#
# **Time** about 20 minutes to work through; a few seconds of CPU time.
#
# **In the paper** Devlin et al. 2019, *BERT: Pre-training of Deep Bidirectional Transformers for
# Language Understanding* (arXiv:1810.04805), §3.
#
# How to work: *predict* first (say your answer aloud, or write it down), then *run* the cell
# with Shift+Enter, then read the explanation. What the text says of the results is checked by
# `assert`s in the cells: when a page runs to its end, it holds on your machine, too.
#
# ## 1. The map
#
# BERT is a line of stations, and each lesson has its place along it. Amber: what goes in. Blue:
# what happens inside. Pink: what comes out. Dashed frames put several parts together. Each place is
# a link. The circle in its corner fills as you solve the lesson's exercises.

# %%
from bertedu.classroom import checks
from bertedu.classroom.lessons import CourseMap, lesson_links

CourseMap(lesson_links(), checks.board().done)

# %% [markdown]
# The lessons, in their order. What the lecture notes say, claim by claim, and what
# became of each claim stands on [a page of its own](../docs/notes.md).

# %%
from IPython.display import Markdown

from bertedu.classroom.lessons import LESSONS, lesson_table

assert len(LESSONS) == 14
Markdown(lesson_table())

# %% [markdown]
# In a hurry? Take 01, 04, 05, 06 to understand the model, or 01, 02, 03, 07 to understand how it
# learns.
#
# Each lesson ends with exercises on three levels: *predict*, *complete*, *build*. The folder
# `solutions/` holds every lesson once more, with the answers and the reasons for them.
#
# ## 2. Is this machine ready?
#
# The next cell asks what `bertedu doctor` asks on the command line. Where something must be
# mended, it says how. A note is worth knowing, but nothing to worry about.

# %%
from bertedu.commands.doctor import examine

marks = {True: "✓ ok", None: "· note", False: "✗ mend"}
findings = examine()
for found in findings:
    print(f"{marks[found.ok]:7} {found.name:21} {found.remedy}".rstrip())
broken = [found.name for found in findings if found.ok is False]
print("\nReady." if not broken else f"\nFirst mend: {', '.join(broken)}.")
assert all(found.remedy for found in findings if found.ok is False)

# %% [markdown]
# ## 3. Pictures that answer
#
# Many lessons have a picture that you can question. They all work in the same way:
#
# | you | it |
# |---|---|
# | **hover** over something | shows its numbers |
# | **click** it | pins it: the numbers stay in the line under the picture |
# | press **Escape** | lets go |
# | press **Tab**, the **arrow keys**, **Enter** | move and pin without a mouse |
# | **type** in a text field | computes everything anew for your text |
#
# Only typing needs Python to be running. On GitHub, in print and in a notebook that was merely
# opened, a still picture stands in the same place: run the cell to bring it to life.
#
# Try it. Which words does BERT know whole? Type your own name.

# %%
from bertedu.widgets import WordPieceExplorer

WordPieceExplorer("My dog is cute", "He likes playing")

# %% [markdown]
# ## 4. A first look at what BERT sees
#
# The next cell fetches a BERT, the model and the tokenizer that belongs to it: a small one that
# lies in the repository. This project pretrained it, from the encoder of a published model on.

# %% tags=["nbval-check-output"]
import torch

import bertedu

bert = bertedu.load()
print(bert)

# %% [markdown]
# ### Your sentence
#
# Write whatever you like between the quotation marks, in any language; for a single text, make
# the second one `None`. Then run the cells from here on again (**Run → Run Selected Cell and All
# Below**).

# %%
text = "My dog is cute"
pair = "He likes playing"

# %% [markdown]
# **Predict:** how many tokens will BERT see? Two special ones begin and end a text, a third
# separates it from a second one.
#
# Here and in the lessons, where you find a `...` below a **Predict**, put your guess in its place
# and run the cell: the result is shown beside the guess, and not before there is one. Guesses are
# not marked. Whoever commits to a number remembers the one that comes out.

# %%
# BEGIN SOLUTION
tokens_guessed = 9
# END SOLUTION
seen = bert.encode(text, pair)
checks.guess(tokens_guessed, len(seen), "tokens")

# %%
from bertedu.classroom.figures import token_chips

token_chips(seen.tokens, seen.input_ids.tolist(), segments=seen.token_type_ids.tolist())

# %% [markdown]
# A chip is a **token**: a word, the beginning of one, a later piece (it begins with `##`) or a
# sign. The number beneath is its **id**, the place of the piece in the vocabulary. Grey outlines
# are **special tokens**. The line beneath tells the **segment**: teal is the first text (A), violet
# the second (B).
#
# Now *the whole* of what BERT is given. There are no letters and no words in it, only three rows
# of numbers and the places, which count themselves:

# %%
print(f"{'place':>5} {'token':12} {'id':>6} {'segment':>8} {'mask':>5}")
numbers = zip(seen.input_ids.tolist(), seen.token_type_ids.tolist(), strict=True)
for i, (token_id, segment) in enumerate(numbers):
    mask = int(seen.attention_mask[i])
    print(f"{i:5} {seen.tokens[i]:12} {token_id:6} {segment:8} {mask:5}")
    assert bert.tokenizer.vocab[seen.tokens[i]] == token_id

# %% [markdown]
# `mask` is 1 for every real token. It becomes 0 where a short text is filled up to the length of
# a longer one (lessons 01 and 06).
#
# ### Shapes, layer by layer
#
# A **shape** is the list of an array's sizes. **Predict:** a layer takes one vector for each
# token. What does it return?


# %%
def stages(text, pair=None):
    given = bertedu.collate([bert.encode(text, pair)])  # a batch of one
    with torch.inference_mode():
        output = bert.model(**given, output_hidden_states=True, output_attentions=True)
    states, looks = output.encoder.hidden_states, output.encoder.attention_probs
    table = {"ids": given["input_ids"], "embeddings": states[0]}
    for layer, probs in enumerate(looks, start=1):
        table |= {f"layer {layer}: attention": probs, f"layer {layer}: states": states[layer]}
    table["pooled [CLS]"] = output.encoder.pooler_output
    table["masked-word scores"] = output.prediction_logits
    table["next-sentence scores"] = output.seq_relationship_logits
    return table


# %%
table = stages(text, pair)
for name, tensor in table.items():
    print(f"{name:22} {list(tensor.shape)}")

S, H = len(seen), bert.config.hidden_size
A, V = bert.config.num_attention_heads, bert.config.vocab_size
assert all(list(t.shape) == [1, S, H] for name, t in table.items() if "states" in name)
assert all(list(t.shape) == [1, A, S, S] for name, t in table.items() if "attention" in name)
assert list(table["masked-word scores"].shape) == [1, S, V]

# %% [markdown]
# How to read it. The first number is always the **batch**: how many inputs BERT reads at the same
# time, here one.
#
# - **ids** `[batch, S]`: one whole number for each of the *S* tokens.
# - **embeddings** `[batch, S, H]`: each token has become a vector of *H* numbers. From here on BERT
#   computes with vectors only (lesson 04).
# - **attention** `[batch, A, S, S]`: in each of *A* heads, every token spreads 100 % of its
#   attention over all *S* tokens (lesson 05).
# - **states** `[batch, S, H]`: *the same shape as before*. A layer takes S vectors and returns S
#   vectors, which is why layers can be stacked.
# - **pooled [CLS]** `[batch, H]`: one vector for the whole input.
# - **masked-word scores** `[batch, S, V]`: for every place, a score for each entry of the
#   vocabulary (lesson 02). **Next-sentence scores** `[batch, 2]`: follows, or does not (lesson
#   03).

# %%
attention = torch.cat([t for name, t in table.items() if "attention" in name])  # [L, A, S, S]
assert torch.allclose(attention.sum(dim=-1), torch.ones(len(attention), A, S), atol=1e-5)
assert not torch.equal(table["embeddings"], table["layer 1: states"])  # same shape, new numbers

# %% [markdown]
# ### One token on its way
#
# The picture follows the token at place `place`: one row for each stage, one column for each of
# the first 64 numbers of its vector. Orange is negative, purple positive, white zero.
#
# **Predict:** does a row resemble the one above it, or does every layer begin afresh?

# %%
place = 2 if len(seen) > 2 else 0
ways = torch.stack([table["embeddings"], *(t for name, t in table.items() if "states" in name)])
vectors = ways[:, 0, place]  # [L + 1, H]

# %%
import matplotlib.pyplot as plt

from bertedu.classroom.figures import STYLE

plt.style.use(STYLE)
figure, axes = plt.subplots(figsize=(7.5, 2.6))
limit = vectors[:, :64].abs().max()
image = axes.imshow(vectors[:, :64], cmap="PuOr", vmin=-limit, vmax=limit, aspect="auto")
names = ["embeddings", *(f"layer {n}" for n in range(1, len(vectors)))]
axes.set(title=f"“{seen.tokens[place]}” from stage to stage", xlabel="component of the vector")
axes.set_yticks(range(len(vectors)), names)
bar = figure.colorbar(image, label="value")

# %%
neighbours = torch.cosine_similarity(vectors[1:], vectors[:-1], dim=-1)
ends = torch.cosine_similarity(vectors[0], vectors[-1], dim=-1)
print(f"alike from one stage to the next: {neighbours.mean():.2f} (1 = the same direction)")
print(f"alike, first and last:            {ends:.2f}")
assert neighbours.mean() > ends

# %% [markdown]
# A layer does not begin afresh. It *adds* something to each vector, so neighbouring rows resemble
# each other, and the change builds up from stage to stage. Lesson 06 shows the line of code that
# makes it so.
#
# ## 5. What BERT answers
#
# A trained BERT fills holes. **Predict** its guesses for each `[MASK]` before you look.

# %%
for sentence in (
    "my dog likes to [MASK].",
    "paris is a [MASK] in france.",
    "calculus is a branch of [MASK].",
):
    [guesses] = bert.fill_mask(sentence)
    print(f"{sentence:31}", *(f"{token} {share:.1%}" for token, share in guesses), sep="  ")
    shares = [guess.probability for guess in guesses]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) <= 1

# %% [markdown]
# It also judges whether one text follows another:

# %%
chances = []
for second in ("he likes playing.", "calculus was developed by newton and leibniz."):
    chances.append(bert.next_sentence("my dog is cute.", second))
    print(f"{chances[-1]:6.1%} that this follows “my dog is cute.”: {second}")
assert chances[0] > chances[1]

# %% [markdown]
# Small models make strange guesses at times. That is part of what you will come to understand:
# the answers are probabilities, learned from text, and nothing else.
#
# ## 6. The whole way at a glance
#
# One pair of sentences, and seven panels: its pieces, what masking would do to them, the pair with
# its segments, the sum that enters the first layer, attention, the vectors after each layer, and
# the heads' answers. Each panel is the subject of a lesson.
#
# **Predict:** in which of the panels does a token learn anything about its neighbours?
#
# Hover over a token, and it lights up in every panel; a click pins it, Escape lets go. Then type a
# sentence of your own. (On a page without a running kernel you see a picture.)

# %% tags=["nbval-check-output"]
from bertedu.widgets import Journey

Journey(bert=bert)

# %% [markdown]
# Only in one of them: attention; the panels behind it show what comes of it. Pieces, places and
# segments are looked up token by token, and so is the sum. Change the last word, and the sum of
# the first stays as it is, to the last bit; after one layer it is another vector:

# %% tags=["nbval-check-output"]
one, other = (bert.hidden_states(f"my dog is {word}") for word in ("cute", "old"))  # [L + 1, S, H]
assert torch.equal(one[0, 1], other[0, 1])
assert not torch.allclose(one[1, 1], other[1, 1], atol=1e-3)
print("“my” before the first layer: the same; after it: changed by its neighbours")

# %% [markdown]
# ## 7. Recap
#
# - BERT is given **ids**, **segments** and a **mask**, and nothing else; the places count
#   themselves.
# - Every token becomes a vector, and **every layer returns as many vectors as it took**, of the
#   same size.
# - The heads on top turn vectors into answers: one for each token, or one for the whole input.
#
# **Next:** lesson 01, where a text becomes pieces and ids.
#
# ## Exercises
#
# Replace each `...` by your answer and run the cell and the one after it. A check says "✓ right",
# or what your mistake suggests, or "not done yet"; all else goes on working. If you are
# stuck, `checks.how_many_numbers.hint()` gives a hint for that exercise, and then a second one.

# %% [markdown]
# ### Predict
#
# **1.** What is the shape of the embeddings of the pair *good dog* / *yes*? Answer with a list of
# three numbers. (All words are in the vocabulary; the vectors have as many numbers as above.)

# %%
# BEGIN SOLUTION
embeddings_shape = [1, 6, H]
# END SOLUTION

# %% tags=["nbval-check-output"]
checks.embeddings_shape(embeddings_shape)

# %% tags=["solution"]
assert embeddings_shape == list(stages("good dog", "yes")["embeddings"].shape)

# %% [markdown] tags=["solution"]
# *Why:* one input; three words and three special tokens, `[CLS] good dog [SEP] yes [SEP]`; H
# numbers for each.

# %% [markdown]
# **2.** A text becomes twice as long, from 10 to 20 tokens. How many times as many numbers does
# one head's attention have?

# %%
# BEGIN SOLUTION
times_as_many = 4
# END SOLUTION

# %% tags=["nbval-check-output"]
checks.times_as_many(times_as_many)

# %% tags=["solution"]
ten, twenty = (stages("dog " * words)["layer 1: attention"] for words in (8, 18))
assert twenty.numel() == times_as_many * ten.numel()

# %% [markdown] tags=["solution"]
# *Why:* every token looks at every token: S × S. Twice the length is four times as many shares.

# %% [markdown]
# ### Complete
#
# **3.** How many numbers are in all the states together, embeddings included? Use the letters S,
# L (layers) and H. *Hint:* the table above has one row of states more than there are layers.


# %%
def how_many_numbers(S, L, H):
    # BEGIN SOLUTION
    return (L + 1) * S * H
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.how_many_numbers(how_many_numbers)

# %% tags=["solution"]
assert how_many_numbers(S, bert.config.num_hidden_layers, H) == ways.numel()

# %% [markdown] tags=["solution"]
# *Why:* the embeddings and L layers give L + 1 arrays of S × H numbers.

# %% [markdown]
# ### Build
#
# **4.** Which text is the longest *for BERT*? Write a function that takes a list of texts and
# returns the one with the most tokens (of several, the first). Letters do not count.


# %%
def longest_for_bert(texts):
    # BEGIN SOLUTION
    return max(texts, key=lambda text: len(bert.encode(text)))
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.longest_for_bert(longest_for_bert)

# %% [markdown] tags=["solution"]
# *Why:* long words that are frequent are one piece each. Rare words fall into many pieces, and
# every sign is a token.

# %% tags=["solution", "nbval-check-output"]
texts = ["Understanding international telecommunications", "Uhtceare & nebbich!", "1 2 3 4"]
for each in texts:
    print(f"{len(bert.encode(each)):3} tokens, {len(each):2} letters and signs: {each}")
assert longest_for_bert(texts) == "Uhtceare & nebbich!"

# %% [markdown]
# ## What is done
#
# One line for each lesson, one circle for each of its checks. What you have solved is kept on this
# machine, in a small file of your own; it stays when you close the notebook, and it goes nowhere.
# Come back to this cell from time to time. Every check also gives hints, for example
# `checks.longest_for_bert.hint()`.

# %%
board = checks.board()
assert sum(len(lesson.checks) for lesson in board.lessons) == len(checks.every_check())
board
