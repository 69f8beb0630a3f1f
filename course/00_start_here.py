# %% [markdown]
# # 00 · Start here
#
# **What is BERT, and does this course run on your computer?**
#
# **BERT** (*Bidirectional Encoder Representations from Transformers*) is the language model that
# Google published in 2018. It learned its language by guessing hidden words. Run the next cell with
# Shift+Enter. Then choose an example, or write a sentence and click a word: BERT guesses that word
# from all the others.

# %% tags=["nbval-check-output"]
import bertedu
from bertedu.classroom import checks
from bertedu.widgets import TryIt

bert = bertedu.load()  # a small BERT; it is a part of this repository
TryIt(bert=bert)

# %%
from bertedu.widgets.try_it import PRESETS

for preset in PRESETS:
    guesses = bert.fill_mask(preset.text, preset.pair)[0]
    assert guesses[0].token in preset.good, preset

# %% [markdown]
# The buttons hold examples with a good first guess; the assertions check it. Other sentences may
# get bad guesses. Turn on *guess first* to compare yourself with BERT.
#
# A link with ▸ sets the picture above, and one more click on it sets that back. BERT is
# [rather sure of *france*, 67.6 %](#TryIt?text=paris+is+the+capital+of+[MASK].
# "“france” 67.6 %"), and
# [less sure of *hungry*, 6.8 %](#TryIt?text=my+dog+is+[MASK].
# "“hungry” 6.8 %"). Of a second sentence it says
# [it follows, 99.7 %](#TryIt?text=she+is+hungry.&pair=she+wants+to+[MASK]+something.
# "second sentence follows: 99.7 %"), or
# [it is random, 99.7 %](#TryIt?text=my+dog+is+cute.&pair=calculus+was+developed+by+[MASK].
# "is a random one: 99.7 %").
#
# This course follows a student's lecture notes. Every number is computed here or has its source.
#
# **After this page you can**
# - find your way through the course, and check that your computer is ready for it;
# - use the interactive pictures;
# - say what BERT is given for a sentence, and name the shapes at each stage.
#
# **You need** some Python. No internet connection, no graphics card.
#
# **Time** about 20 minutes to work through; a few seconds of CPU time.
#
# **In the paper** Devlin et al. 2019, *BERT: Pre-training of Deep Bidirectional Transformers for
# Language Understanding* (arXiv:1810.04805), §3.
#
# **How to work** *Predict* first: say your answer, or write it down. Then *run* the cell, and read
# the explanation. `assert`s in the cells check the most important statements of the text.
#
# ## 1. The map
#
# The map shows BERT from its input to its answers, and where each lesson belongs. Amber: what goes
# in. Blue: what happens inside. Pink: what comes out. A dashed frame holds several parts together.
# Each place is a link. Its circle fills as you solve the lesson's exercises.

# %%
from bertedu.classroom.lessons import CourseMap, lesson_links

CourseMap(lesson_links(), checks.board().done)

# %% [markdown]
# Here are the lessons in their order. [Another page](../docs/notes.md) says which claims of the
# lecture notes are true.

# %%
from IPython.display import Markdown

from bertedu.classroom.lessons import LESSONS, lesson_table

assert len(LESSONS) == 15
Markdown(lesson_table())

# %% [markdown]
# Is your time short? Take 01, 04, 05 and 06 to understand the model, or 01, 02, 03 and 07 to
# understand how it learns. You can skip a section whose title begins with **Deeper**.
#
# Most lessons end with three questions and with exercises on three levels: *predict*, *complete*,
# *build*. The folder `solutions/` has the answers and the reasons for them.
#
# ## 2. Is this machine ready?
#
# The next cell checks your installation, as `bertedu doctor` does on the command line. Where
# something must be repaired, it says how.

# %%
from bertedu.commands.doctor import examine

marks = {True: "✓ ready", None: "· note", False: "✗ repair"}
findings = examine()
for found in findings:
    print(f"{marks[found.ok]:8} {found.name:21} {found.remedy}".rstrip())
broken = [found.name for found in findings if found.ok is False]
print("\nThis computer is ready for the course." if not broken
      else f"\nFirst repair: {', '.join(broken)}.")  # fmt: skip
assert all(found.remedy for found in findings if found.ok is False)

# %% [markdown]
# ## 3. Pictures that answer
#
# The interactive pictures work in the same way:
#
# | you | it |
# |---|---|
# | **hover** over something | shows its numbers |
# | **click** it | pins it: the numbers stay in the line under the picture |
# | press **Escape** | lets go |
# | press **Tab**, the **arrow keys**, **Enter** | move and pin without a mouse |
# | **type** in a text field | computes everything anew for your text |
# | click a **link with ▸** | sets the picture; once more, sets it back |
#
# In a notebook, typing needs a running Python. Where you see a still picture, run the cell to make
# it interactive.
#
# Which words does BERT know whole? Type your own name. In the sentence below,
# [*dog* is whole, with the id 3899](#WordPieceExplorer?token=dog
# "token dog, id 3899").

# %%
from bertedu.widgets import WordPieceExplorer

WordPieceExplorer("My dog is unaffable", "He likes playing")

# %% [markdown]
# ## 4. A first look at what BERT sees
#
# The BERT that you tried is small. This project pretrained it, starting from the encoder of a
# published one.

# %% tags=["nbval-check-output"]
import torch

print(bert)

# %% [markdown]
# ### Your sentence
#
# Write any text between the quotation marks, in any language. For a single text, make the second
# one `None`. Then run all cells from here on (**Run → Run Selected Cell and All Below**).

# %%
text = "My dog is cute"
pair = "He likes playing"

# %% [markdown]
# **Predict:** how many tokens will BERT see? One special token begins the input, one ends it, and a
# third separates the two texts.
#
# Where you find a `...` below a **Predict**, put your guess in its place and run the cell. Guesses
# are not marked.

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
# A chip is a **token**: a word, the beginning of a word, a later piece of it (it begins with `##`)
# or a punctuation mark. The number beneath is its **id**, its place in the vocabulary. A grey
# outline without a fill is a **special token**. The line beneath shows the **segment**: teal is the
# first text (A), violet the second (B).
#
# The next cell prints *all* that BERT is given. It gets no letters: only three rows of numbers, and
# the order in which they stand.

# %%
print(f"{'place':>5} {'token':12} {'id':>6} {'segment':>8} {'mask':>5}")
numbers = zip(seen.input_ids.tolist(), seen.token_type_ids.tolist(), strict=True)
for i, (token_id, segment) in enumerate(numbers):
    mask = int(seen.attention_mask[i])
    print(f"{i:5} {seen.tokens[i]:12} {token_id:6} {segment:8} {mask:5}")
    assert bert.tokenizer.vocab[seen.tokens[i]] == token_id

# %% [markdown]
# `mask` is 1 for every real token. It is 0 where a short text is filled up to the length of a
# longer one (lesson 01).
#
# ### Shapes, layer by layer
#
# A **shape** is the list of an array's sizes. **Predict:** a layer takes one vector for each token.
# What does it return?


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

# %% [markdown]
# The first number is always the **batch**, the number of inputs that BERT reads at the same time;
# here it is one.
#
# - **ids** `[batch, S]`: one whole number for each of the *S* tokens.
# - **embeddings** `[batch, S, H]`: each token has become a vector of *H* numbers (lesson 04).
# - **attention** `[batch, A, S, S]`: in each of *A* heads, every token spreads 100 %{=definition}
#   of its attention over all *S* tokens (lesson 05).
# - **states** `[batch, S, H]`: *the same shape as before*. So layers can be stacked.
# - **pooled [CLS]** `[batch, H]`: one vector for the whole input.
# - **masked-word scores** `[batch, S, V]`: at every place, one score for each entry of the
#   vocabulary (lesson 02). **Next-sentence scores** `[batch, 2]`: follows, or does not follow
#   (lesson 03).

# %%
assert all(list(t.shape) == [1, S, H] for name, t in table.items() if "states" in name)
assert all(list(t.shape) == [1, A, S, S] for name, t in table.items() if "attention" in name)
assert list(table["masked-word scores"].shape) == [1, S, V]
attention = torch.cat([t for name, t in table.items() if "attention" in name])  # [L, A, S, S]
assert torch.allclose(attention.sum(dim=-1), torch.ones(len(attention), A, S), atol=1e-5)
assert not torch.equal(table["embeddings"], table["layer 1: states"])  # same shape, new numbers

# %% [markdown]
# ### One token on its way
#
# The picture follows the token at place `place`: one row for each stage, one column for each of the
# first 64{=limit} numbers of its vector. Blue is negative, red positive, white zero.
#
# **Predict:** does a row resemble the row above it, or does each layer make a new vector?

# %%
place = 2 if len(seen) > 2 else 0
ways = torch.stack([table["embeddings"], *(t for name, t in table.items() if "states" in name)])
vectors = ways[:, 0, place]  # [L + 1, H]

# %%
import matplotlib.pyplot as plt

from bertedu.classroom.figures import SIGNED, STYLE

plt.style.use(STYLE)
figure, axes = plt.subplots(figsize=(7.5, 2.6))
limit = vectors[:, :64].abs().max()
image = axes.imshow(vectors[:, :64], cmap=SIGNED, vmin=-limit, vmax=limit, aspect="auto")
names = ["embeddings", *(f"layer {n}" for n in range(1, len(vectors)))]
axes.set(title=f"“{seen.tokens[place]}” from stage to stage", xlabel="component of the vector")
axes.set_yticks(range(len(vectors)), names)
bar = figure.colorbar(image, label="value")

# %%
neighbours = torch.cosine_similarity(vectors[1:], vectors[:-1], dim=-1)
ends = torch.cosine_similarity(vectors[0], vectors[-1], dim=-1)
print(f"cosine of a stage and the next, mean: {neighbours.mean():.2f} (1 = the same direction)")
print(f"cosine of the first and the last:     {ends:.2f}")
assert neighbours.mean() > ends

# %% [markdown]
# In this example a row resembles the row above it; only the last layer changes the vector much
# more. A layer *adds* something to each vector and normalises the sum (lesson 06).
#
# ## 5. What BERT answers
#
# A trained BERT guesses hidden words. **Predict** its guesses for each `[MASK]` before you look.

# %%
firsts = []
for sentence in (
    "my dog likes to [MASK].",
    "paris is a [MASK] in france.",
    "a triangle has three [MASK].",
    "calculus is a branch of [MASK].",
):
    [guesses] = bert.fill_mask(sentence)
    print(f"{sentence:31}", *(f"{token} {share:.1%}" for token, share in guesses), sep="  ")
    firsts.append(guesses[0].token)
    assert sum(guess.probability for guess in guesses) <= 1

# %% [markdown]
# Three first guesses are good. The last is not: the model repeats a word of the sentence.
#
# It also gives a probability that one text follows another:

# %%
chances = []
for second in ("he likes playing.", "calculus was developed by newton and leibniz."):
    chances.append(bert.next_sentence("my dog is cute.", second))
    print(f"{chances[-1]:6.1%} that this follows “my dog is cute.”: {second}")
assert firsts == ["eat", "city", "sides", "calculus"]  # the four guesses above
assert chances[0] > 0.9
assert chances[1] < 0.1

# %% [markdown]
# ## 6. The whole way at a glance
#
# The next picture shows one pair of sentences in seven panels, from its pieces to the answers.
#
# **Predict:** in which panel does a token take in information about its neighbours?
#
# Hover over a token: it lights up in every panel. Then type *tired* in place of *hungry*: what
# becomes of the guess in panel 7?

# %% tags=["nbval-check-output"]
from bertedu.widgets import Journey

Journey("my dog is hungry.", "he wants to [MASK].", bert)

# %% [markdown]
# In attention only; the panels after it show the effect. Pieces, places and segments are looked up
# for each token by itself. Change one word: the sum of `[MASK]` stays the same, but its vector
# after layer 1 is another one, and so is the guess. In the picture,
# [in layer 1 it gives *to* 14.8 % of its attention](#Journey?token=[MASK]&open=5&layer=1
# "to 14.8 %"), and
# [its first guess is *eat*, 51.1 %](#Journey?token=[MASK]&open=7
# "eat 51.1 %").

# %% tags=["nbval-check-output"]
pairs = [(f"my dog is {word}.", "he wants to [MASK].") for word in ("hungry", "tired")]
one, other = (bert.hidden_states(*each)[:, -3] for each in pairs)  # of [MASK], [L + 1, H]
assert torch.equal(one[0], other[0])
assert not torch.allclose(one[1], other[1], atol=1e-3)
guesses = [bert.fill_mask(*each)[0][0].token for each in pairs]
print("the same vector of [MASK] before layer 1, another after it; the guesses:", *guesses)
assert guesses == ["eat", "sleep"]

# %% [markdown]
# ## 7. Recap
#
# - BERT is given **ids**, **segments** and a **mask**, in an order, and nothing else.
# - Every token becomes a vector, and **every layer returns as many vectors as it took**, of the
#   same size.
# - The heads on top turn vectors into answers: one for each token, or one for the whole input.
#
# **The answer:** BERT is a model that turns a text's ids into one vector for each token, layer by
# layer, and vectors into answers; your computer runs this course if the cell of section 2 says that
# it is ready.
#
# **Next:** lesson 01, where a text becomes pieces and ids.
#
# ## Exercises
#
# Replace each `...` by your answer, then run the cell and the next one. The check says whether the
# answer is correct, or what your mistake may be. `checks.how_many_numbers.hint()` gives a hint, and
# then a second one.

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
# returns the one with the most tokens (of several, the first).


# %%
def longest_for_bert(texts):
    # BEGIN SOLUTION
    return max(texts, key=lambda text: len(bert.encode(text)))
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.longest_for_bert(longest_for_bert)

# %% [markdown] tags=["solution"]
# *Why:* BERT counts tokens, not letters. A long word such as *international* can be one piece. A
# rare word becomes several pieces, and every punctuation mark is a token.

# %% tags=["solution", "nbval-check-output"]
texts = ["Understanding international telecommunications", "Uhtceare & nebbich!", "1 2 3 4"]
for each in texts:
    print(f"{len(bert.encode(each)):3} tokens, {len(each):2} letters and signs: {each}")
assert longest_for_bert(texts) == "Uhtceare & nebbich!"

# %% [markdown]
# ## What is done
#
# One line for each lesson with checks, one circle for each check. What you have solved is kept in a
# small file on this computer and is sent nowhere.

# %%
board = checks.board()
assert sum(len(lesson.checks) for lesson in board.lessons) == len(checks.every_check())
board
