# %% [markdown]
# # 01 · WordPiece: from a text to pieces and ids
#
# **How does a text become pieces and ids?**
#
# BERT reads whole numbers; each stands for a *piece* of a word. You build the tokenizer step by
# step, and compare it with the real one.
#
# **Afterwards you can**
# - say what happens to capitals, accents, punctuation, Chinese, emoji and unknown words;
# - split any word into pieces by hand, and give the reason for the split;
# - read `[CLS] … [SEP] … [SEP]`, segment ids and offsets;
# - compute the scores by which a WordPiece vocabulary grows, and train a small one.
#
# **You need** Python's strings, lists and dictionaries. No internet connection.
#
# **Time** about 60 minutes to work through; less than one minute of CPU time.
#
# **In the paper** Devlin et al. 2019 (arXiv:1810.04805), §3 "Input/Output Representations".
# WordPiece itself: Schuster & Nakajima 2012, and Wu et al. 2016 (arXiv:1609.08144), §4.1.

# %%
import bertedu
from bertedu.classroom import checks
from bertedu.classroom.figures import STYLE, token_chips

tokenizer = bertedu.load_tokenizer()
vocabulary = tokenizer.vocab  # piece -> id

print(f"{len(vocabulary):,} pieces")
assert len(vocabulary) == 30_522

# %% [markdown]
# This is the real [**vocabulary**](../docs/glossary.md#text-and-tokens) of `bert-base-uncased`. The
# paper speaks of "a 30,000 token vocabulary"; the published file has 30,522 entries. Cutting words
# into pieces of such a list is called [**WordPiece**](../docs/glossary.md#text-and-tokens).
#
# ## 1. A first look
#
# **Predict:** the sentence below has seven words and a full stop. How many pieces will it become?

# %% tags=["nbval-check-output"]
encoding = tokenizer.encode("My dog dislikes Jupyter's embeddings and hairballs.")
token_chips(encoding.tokens, encoding.input_ids.tolist())

# %% tags=["nbval-check-output"]
pieces = encoding.tokens[1:-1]  # without [CLS] and [SEP]
print(len(pieces), "pieces:", *pieces)
assert vocabulary["dog"] == 3899
assert [vocabulary[token] for token in encoding.tokens] == encoding.input_ids.tolist()

# %% [markdown]
# - A chip is one [**token**](../docs/glossary.md#text-and-tokens). The number beneath is its
#   **id**, its place in the vocabulary. BERT gets these ids, and nothing else of the words.
# - A [**piece**](../docs/glossary.md#text-and-tokens) that begins with `##` **continues** the piece
#   before it: `em ##bed ##ding ##s` is one word.
# - A grey outline is a [**special token**](../docs/glossary.md#text-and-tokens). `[CLS]`, `[SEP]`
#   stand for no word of the text (section 7).
# - All letters are small: this is the *uncased* vocabulary.
#
# From the text to the ids there are four steps: **normalise**, **split into words**, **split words
# into pieces**, **look up the ids**.
#
# ## 2. Normalise
#
# The first step makes texts that look alike *equal*, where it can. It has three parts.
#
# **2a. Clean.** Every kind of white space becomes a simple space. Invisible control characters are
# removed. Python's `unicodedata` gives the class of each character: `C…` means "other", for example
# `Cc` control, `Cf` format.
#
# **Predict:** the next text contains a tab, a zero-width space, a NUL and a newline. What remains?

# %% tags=["nbval-check-output"]
import unicodedata


def clean(text):
    spaced = "".join(" " if char.isspace() else char for char in text)
    return "".join(char for char in spaced if unicodedata.category(char)[0] != "C")


print(repr(clean("my\tdog\u200b is\x00 cute\n")))

# %%
assert clean("my\tdog\u200b is\x00 cute\n") == "my dog is cute "

# %% [markdown]
# **2b. A space around every Chinese character.** Chinese is written without spaces, so BERT makes
# every Chinese character (CJK *ideograph*) a word of its own. Japanese kana and Korean hangul are
# not among them.

# %% tags=["nbval-check-output"]
IDEOGRAPHS = [(0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x2CEAF),
              (0x2F800, 0x2FA1F)]  # fmt: skip


def is_ideograph(char):
    return any(first <= ord(char) <= last for first, last in IDEOGRAPHS)


def space_ideographs(text):
    return "".join(f" {char} " if is_ideograph(char) else char for char in text)


print(repr(space_ideographs("BERT在北京")))
assert space_ideographs("BERT在北京").split() == ["BERT", "在", "北", "京"]

# %% [markdown]
# **2c. Small letters without accents.** Unicode's form NFD writes `é` as `e` and a separate accent,
# a character of class `Mn` ("mark"). The marks are removed.
#
# **Predict:** what becomes of `Naïve CAFÉ`, and of `Straße`?


# %% tags=["nbval-check-output"]
def strip_accents(text):
    apart = unicodedata.normalize("NFD", text)
    return "".join(char for char in apart if unicodedata.category(char) != "Mn")


def normalise(text):
    return strip_accents(space_ideographs(clean(text))).lower()


for text in ("Naïve CAFÉ", "Straße", "Résumé", "ﬁne"):
    print(f"{text:12} {normalise(text)}")
assert normalise("Résumé") == normalise("resume")

# %% [markdown]
# - **Something is lost.** *Résumé* (a CV) and *resume* (go on) look the same to this BERT; so do
#   *Turkey* and *turkey*. Where case carries meaning, Google's README recommends a *cased* model.
# - **Only marks and capitals go.** `ß` is a letter of its own and stays. So does the ligature `ﬁ`,
#   a single character that only looks like two.

# %%
from tokenizers.normalizers import BertNormalizer

samples = ["Naïve CAFÉ", "a\tb\u200bc", "BERT在北京", "Straße", "ﬁne", "안녕", "İzmir", "🤗 ok"]
library = BertNormalizer(lowercase=True)  # of Hugging Face's `tokenizers`
for sample in samples:
    assert normalise(sample) == library.normalize_str(sample)

# %% [markdown]
# On these samples our functions do what the library does.
#
# ## 3. Split into words
#
# Split at spaces; then make every punctuation mark a word of its own. BERT counts Unicode's
# punctuation (class `P…`) and *all* of ASCII's signs, such as `$`, `+` and `^`.
#
# **Predict:** how many words are in `don't`? In `U.S.A.`? In `state-of-the-art`?

# %% tags=["nbval-check-output"]
import string


def is_punctuation(char):
    return char in string.punctuation or unicodedata.category(char)[0] == "P"


def words_of(text):
    spaced = (f" {c} " if is_punctuation(c) else c for c in normalise(text))
    return "".join(spaced).split()


for text in ("don't", "U.S.A.", "state-of-the-art", "3.14", "$5+€5"):
    print(f"{text:18} {words_of(text)}")

# %%
assert words_of("don't") == ["don", "'", "t"]

# %% [markdown]
# `$` and `+` are separate because they are ASCII signs. `€` is not: Unicode calls it a currency
# *symbol* (`Sc`).
#
# ## 4. Split words into pieces
#
# **Take the longest piece of the vocabulary with which the word begins. Then go on with the rest of
# the word; now only pieces with `##` are allowed.** If nothing fits at some place, the whole word
# becomes [**`[UNK]`**](../docs/glossary.md#text-and-tokens), "unknown".
#
# Here is one word, with every attempt:

# %% tags=["nbval-check-output"]
word, start = "embeddings", 0
while start < len(word):
    for end in range(len(word), start, -1):  # the longest first
        piece = ("##" if start else "") + word[start:end]
        found = piece in vocabulary
        print(f"{' ' * start}{piece:14} {'✓ id ' + str(vocabulary[piece]) if found else '✗'}")
        if found:
            start = end
            break

# %% [markdown]
# The same as a function. (A word of more than 100{=start} characters is `[UNK]` at once; Google's
# own code says 200{=source google-research/bert, tokenization.py}.)


# %%
def split_word(word, vocabulary):
    pieces, start = [], 0
    while start < len(word) <= 100:
        for end in range(len(word), start, -1):
            piece = ("##" if start else "") + word[start:end]
            if piece in vocabulary:
                break
        else:  # no piece fits here
            return ["[UNK]"]
        pieces.append(piece)
        start = end
    return pieces or ["[UNK]"]


assert split_word("embeddings", vocabulary) == ["em", "##bed", "##ding", "##s"]

# %% [markdown]
# ### `play ##ing`?
#
# The figure of BERT's input in the paper, and the lecture notes after it, show *he likes play
# ##ing*.
#
# **Predict:** what does our function make of *playing*?

# %% tags=["nbval-check-output"]
print(split_word("playing", vocabulary), "id", vocabulary["playing"])

# %% [markdown]
# **One piece.** `play` and `##ing` are both in the vocabulary, but so is `playing`, and the longest
# match wins. The split in the figure *illustrates* the idea. A vocabulary without `playing` gives
# it:

# %% tags=["nbval-check-output"]
without_playing = vocabulary.keys() - {"playing"}
print(split_word("playing", without_playing))
assert split_word("playing", vocabulary) == ["playing"]
assert {"play", "##ing"} <= vocabulary.keys()
assert split_word("playing", without_playing) == ["play", "##ing"]

# %% [markdown]
# Many frequent words are in the vocabulary whole; other words are put together from pieces.
#
# **Predict** which of these stay whole: *played, replaying, outplaying, hairy, hairiness, cutest,
# calculus, Leibniz, unaffable*.

# %% tags=["nbval-check-output"]
words = ["played", "replaying", "outplaying", "hairy", "hairiness", "cutest", "calculus"]
for word in [*words, "leibniz", "unaffable"]:
    print(f"{word:12}", *split_word(word, vocabulary))

# %% [markdown]
# So `##ing` is used: in *replaying* and *outplaying*. The comment in Google's code explains the
# algorithm with `un ##aff ##able`, but the vocabulary has no `##aff`, and `un` loses to the longer
# `una`. **The tokenizer knows no grammar.** It finds a prefix or a suffix only where that is the
# longest match.

# %%
assert split_word("outplaying", vocabulary) == ["out", "##play", "##ing"]
assert split_word("unaffable", vocabulary) == ["una", "##ffa", "##ble"]
assert "##aff" not in vocabulary
assert {"un", "una", "##able"} <= vocabulary.keys()

# %% [markdown]
# ### The proof
#
# Do our steps give the same as the real tokenizer? We compare them on many strings: the pieces of
# letters, many of these with an ending, two of them joined, and random strings.

# %% tags=["nbval-check-output"]
import random

rng = random.Random(0)
whole = [piece for piece in vocabulary if piece.isalpha()]
endings = ["s", "ed", "ing", "ly", "ness", "ification", "é", "'s", "-like", "2"]
inflected = [word + ending for word in rng.sample(whole, 3_000) for ending in endings]
glued = [rng.choice(whole) + rng.choice(whole) for _ in range(20_000)]
letters = string.ascii_letters + "äéñ狗я🤗 -'"
nonsense = ["".join(rng.choices(letters, k=rng.randint(1, 25))) for _ in range(10_000)]

everything = whole + inflected + glued + nonsense
print(f"{len(whole):,} + {len(inflected):,} + {len(glued):,} + {len(nonsense):,}"
      f" = {len(everything):,} strings")  # fmt: skip


# %% tags=["nbval-check-output"]
def pieces_of(text):
    return [piece for word in words_of(text) for piece in split_word(word, vocabulary)]


by_library = tokenizer.ids_batch(everything)
differing = [
    text
    for text, ids in zip(everything, by_library, strict=True)
    if [vocabulary[piece] for piece in pieces_of(text)] != ids
]
print(f"{len(differing)} of {len(everything):,} differ")
assert not differing

# %% [markdown]
# No string differs.
#
# <details><summary>Deeper: two cases that we left out</summary>
#
# The library takes `[MASK]` *typed in a text* as the special token; ours would split it into `[`,
# `mask`, `]`. And for new characters, Python's Unicode tables and the library's may differ.
#
# </details>
#
# ### Now you
#
# The explorer shows the same steps for any text. (A link with ▸ sets it, and one more click on it
# sets it back.) In its sentence
# [*dog* is found at once, in try 1 of 1](#WordPieceExplorer?word=dog
# "Try 1 of 1: dog is in the vocabulary"),
# [*dislikes* takes 3 tries](#WordPieceExplorer?word=dislikes
# "Try 3 of 3"),
# [*hairballs* takes 7](#WordPieceExplorer?word=hairballs
# "Try 7 of 7"), and
# [*Jupyter* takes 11](#WordPieceExplorer?word=jupyter
# "Try 11 of 11").
# [The piece `##balls` has the id 18510](#WordPieceExplorer?word=hairballs&token=%23%23balls
# "token ##balls, id 18510"),
# and [the apostrophe is a word of its own, id 1005](#WordPieceExplorer?token=%27
# "token ', id 1005").
#
# Try your own name, a word of your language, or an emoji that is joined to a word.

# %% tags=["nbval-check-output"]
from bertedu.widgets import WordPieceExplorer

WordPieceExplorer("My dog dislikes Jupyter's embeddings and hairballs.")

# %% [markdown]
# ## 5. The vocabulary, explored
#
# What are the 30,522 entries? **Predict** the share of pieces that begin with `##`.

# %% tags=["nbval-check-output"]
from collections import Counter


def kind(piece):
    if piece.startswith("[unused"):
        return "[unused…], free places"
    if piece in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"):
        return "special tokens"
    length = "one character" if len(piece.removeprefix("##")) == 1 else "longer"
    return f"## continuations, {length}" if piece.startswith("##") else f"beginnings, {length}"


kinds = Counter(map(kind, vocabulary))
for name, count in kinds.most_common():
    print(f"{name:32} {count:6,}  {count / len(vocabulary):6.1%}")

# %%
import matplotlib.pyplot as plt

plt.style.use(STYLE)
figure, axes = plt.subplots(figsize=(7.5, 2.4))
names, entries = zip(*reversed(kinds.most_common()), strict=True)
bars = axes.barh(names, entries)
axes.bar_label(bars, [f"{count:,}" for count in entries], padding=4)
axes.set(title="The 30,522 entries by kind", xlabel="entries", xlim=(0, 26_000))
assert sum(entries) == 30_522

# %% [markdown]
# About one entry in five is a continuation. (A piece without `##` is not always a whole word: see
# `em` in *embeddings*.) The 994 `[unused…]` entries are free for words of a special field.

# %%
continuations = [piece for piece in vocabulary if piece.startswith("##")]
assert len(continuations) == 5_828
assert round(len(continuations) / len(vocabulary), 2) == 0.19
assert kinds["[unused…], free places"] == 994

# %% [markdown]
# **One-character pieces.** There are 997 beginnings of one character and 997 continuations of one
# character. Are they the same characters?

# %% tags=["nbval-check-output"]
first = {piece for piece in vocabulary if len(piece) == 1}
later = {piece[2:] for piece in continuations if len(piece) == 3}
print(f"{len(first)} and {len(later)} characters; are they the same ones? {first == later}")
assert first == later

# %% [markdown]
# Yes. These 997 characters are the **alphabet**. A word that has only these can be split, in the
# worst case letter by letter. A word with any other character cannot. So `[UNK]` has exactly two
# causes: **a character outside the alphabet, or more than 100{=is_unknown} characters**. The next
# cell checks this.

# %% tags=["nbval-check-output"]
unknown = 0
for text in everything:
    for word in words_of(text):
        is_unknown = split_word(word, vocabulary) == ["[UNK]"]
        assert is_unknown == (not set(word) <= first or len(word) > 100)
        unknown += is_unknown
print(f"{unknown:,} words became [UNK], each for one of the two reasons")

# %% [markdown]
# **Which scripts are in the alphabet?** The first word of a Unicode name tells: "CJK" for `狗`.
#
# **Predict:** which script has the most characters in this vocabulary of *English* BERT?


# %%
def script(char):
    return unicodedata.name(char).split()[0].replace("MODIFIER", "MODIFIER LETTER")


scripts = Counter(script(char) for char in first if char.isalpha())
figure, axes = plt.subplots(figsize=(7.5, 3.6))
names, entries = zip(*reversed(scripts.most_common(14)), strict=True)
bars = axes.barh([name if name == "CJK" else name.capitalize() for name in names], entries)
axes.bar_label(bars, padding=4)
axes.set(title="Letters in the alphabet by script (the 14 largest)", xlabel="characters")
assert scripts.most_common(1) == [("CJK", 244)]

# %% [markdown]
# But 244 Chinese characters are far too few to read Chinese.
#
# **The longest pieces, and the order of the ids.** First come the special tokens, the free places
# and the single characters. After them, the first words are very frequent ones.

# %% tags=["nbval-check-output"]
words = [piece for piece in tokenizer.tokens if piece[0] not in "[#"]
print("longest words :", *sorted(words, key=len)[-4:])
print("longest ##    :", *sorted(continuations, key=len)[-4:])
print("first words   :", *tokenizer.tokens[1996:2008])
print("last words    :", *[word for word in words if len(word) > 1][-6:])
assert tokenizer.tokens[1996:2001] == ["the", "of", "and", "in", "to"]
assert max(map(len, words)) == len("telecommunications") == 18

# %% [markdown]
# ## 6. Unknown words, numbers, Chinese, emoji
#
# **Predict** each line before you run the cell. Where do you expect `[UNK]`?

# %% tags=["nbval-check-output"]
for text in ["dog 🤗", "dog🤗", "dog ❤!", "喜欢狗", "北京", "東京", "안녕", "привет",
             "2019", "2029", "12345", "1234567", "3.14", "½ x²"]:  # fmt: skip
    print(f"{text:9}", *pieces_of(text))

# %% [markdown]
# - **Emoji:** `🤗` is not in the alphabet. It is no punctuation, so `dog🤗` is *one word*,
#   and **the whole word becomes `[UNK]`, the dog with it**. A space keeps the dog.
# - **Chinese:** `北` and `京` are known, `狗` (dog) is not. `bert-base-chinese` has a vocabulary of
#   its own with 21,128{=source its vocab.txt} entries.
# - **Korean:** NFD splits a syllable into its letters (*jamo*): two syllables become six pieces.
# - **Numbers:** `2019` is one piece, `2029` is not. `12345` becomes `123 ##45`; the cut does not
#   follow thousands, hundreds and tens.

# %% tags=["nbval-check-output"]
years = [year for year in range(1000, 2100) if str(year) in vocabulary]
print(len(years), "years from 1000 to 2099 are one piece; the last is", max(years))
several = [number for number in range(1000) if str(number) not in vocabulary]
print("numbers below 1000 that become several pieces:", *several[:6], "…")
assert pieces_of("dog🤗") == ["[UNK]"]
assert pieces_of("dog 🤗") == ["dog", "[UNK]"]
assert pieces_of("北京") == ["北", "京"]
assert set(range(1900, 2022)) <= set(years)
assert pieces_of("12345") == ["123", "##45"]
assert pieces_of("a" * 101) == ["[UNK]"] != pieces_of("a" * 100)

# %% [markdown]
# ## 7. Special tokens, pairs and segment ids
#
# BERT reads one text or two, with special tokens around them.
# [**`[CLS]`**](../docs/glossary.md#text-and-tokens) is always the first, and
# [**`[SEP]`**](../docs/glossary.md#text-and-tokens) ends each text:
#
# | token | id | what for |
# |---|---|---|
# | `[CLS]` | 101{=special} | its output is used to classify the whole input |
# | `[SEP]` | 102{=special} | ends a text |
# | `[MASK]` | 103{=special} | stands for a hidden word (lesson 02) |
# | `[UNK]` | 100{=special} | an unknown word |
# | `[PAD]` | 0 | fills short inputs up to the length of the longest |
#
# The two texts are called segment A and segment B. The **segment id** of a token (`token_type_ids`
# in code) is 0 in A and 1 in B.
#
# **Predict** for *my dog is cute* / *he likes playing*: how many tokens? To which segment does the
# middle `[SEP]` belong? And `[CLS]`?

# %% tags=["nbval-check-output"]
pair = tokenizer.encode("my dog is cute", "he likes playing")
token_chips(pair.tokens, pair.input_ids.tolist(), segments=pair.token_type_ids.tolist())

# %% tags=["nbval-check-output"]
print("tokens        ", *pair.tokens)
print("token_type_ids", *pair.token_type_ids.tolist())
assert " ".join(pair.tokens) == "[CLS] my dog is cute [SEP] he likes playing [SEP]"
assert pair.token_type_ids.tolist() == [0] * 6 + [1] * 4
special = {token: vocabulary[token] for token in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")}
assert list(special.values()) == [0, 100, 101, 102, 103]

# %% [markdown]
# Teal underline: segment A. Violet: segment B. `[CLS]` and the first `[SEP]` belong to A, the last
# `[SEP]` to B. There are ten tokens; the paper's figure has eleven, because it shows `play ##ing`.
#
# **Several inputs at once** must have equal lengths. `[PAD]` fills the short ones up, and the
# **attention mask** tells BERT which tokens are real (1) and which to ignore (0):

# %% tags=["nbval-check-output"]
batch = bertedu.collate([pair, tokenizer.encode("my dog is hairy")])
for name, values in batch.items():
    print(name, values.tolist(), sep="\n")
assert batch["input_ids"].shape == (2, 10)
assert batch["attention_mask"].sum(dim=1).tolist() == [10, 6]

# %% [markdown]
# **An input may be too long.** BERT has 512{=source google-research/bert, modeling.py} places. A
# longer text must be cut; bertedu cuts only when you ask for it. Of a pair, it shortens the longer
# text first.

# %% tags=["nbval-check-output"]
try:
    tokenizer.encode("my dog is cute", "he likes playing", max_length=8)
except bertedu.InputError as error:
    print(error)
short = tokenizer.encode("my dog is cute", "he likes playing", max_length=8, truncate=True)
print(*short.tokens)
assert " ".join(short.tokens) == "[CLS] my dog is [SEP] he likes [SEP]"

# %% [markdown]
# ## 8. Back to the text: offsets
#
# We want to show an answer as *a part of the original text*. So every token keeps
# its [**offsets**](../docs/glossary.md#text-and-tokens): where its characters begin and end in the
# text as it was typed.
#
# **Predict:** what will `typed[start:end]` be for `cafe`? For the emoji? For the three pieces of
# one Korean syllable?

# %% tags=["nbval-check-output"]
typed = "Our naïve Café 🤗 outplays 안"
located = tokenizer.encode(typed)
for token, (start, end) in zip(located.tokens, located.offsets, strict=True):
    print(f"{token:8} {start:3} {end:3}  {typed[start:end]!r}")

# %%
for piece, (start, end) in zip(located.tokens[1:-1], located.offsets[1:-1], strict=True):
    assert piece == "[UNK]" or piece.removeprefix("##") in normalise(typed[start:end])
by_token = dict(zip(located.tokens, located.offsets, strict=True))
assert typed[slice(*by_token["cafe"])] == "Café"
assert typed[slice(*by_token["[UNK]"])] == "🤗"
assert by_token["ᄋ"] == by_token["##ᅡ"] == by_token["##ᆫ"]  # one syllable, three pieces

# %% [markdown]
# Offsets count Python characters (code points). `🤗` is one of them, but four bytes in UTF-8
# and two units in JavaScript.
#
# **A published mistake** (huggingface/tokenizers issue #215): offsets that count in the
# *normalised* text are used on the *original*. Python's `lower()` turns the Turkish capital `İ`
# into two characters:

# %% tags=["nbval-check-output"]
text = "İzmir has big dogs"
start = text.lower().index("big")  # counted in the changed text
print(repr(text[start : start + 3]), "instead of", repr("big"))
assert text[start : start + 3] == "ig "

big = tokenizer.encode(text).tokens.index("big")
assert tokenizer.encode(text).characters(big) == "big"
assert (len("🤗"), len("🤗".encode()), len("🤗".encode("utf-16-le")) // 2) == (1, 4, 2)

# %% [markdown]
# ## 9. Where does a vocabulary come from?
#
# From counting. Start with single characters. Then **merge** one pair of neighbouring pieces into a
# new piece, again and again, until the vocabulary is large enough. But *which* pair?
#
# Google never published the program that made BERT's vocabulary (its README says so). Wu et al.
# 2016 describe the aim: pieces that make the training text most likely. Hugging Face's course
# teaches a score for each pair, and calls it a best guess:
#
# $$\text{score}(a, b) = \frac{\text{count}(ab)}{\text{count}(a) \times \text{count}(b)}$$
#
# A pair has a high score when it occurs often *compared with its parts*. Take five words with their
# counts:

# %% tags=["nbval-check-output"]
from fractions import Fraction  # exact: no rounding
from itertools import pairwise

counts = {"hug": 10, "pug": 5, "pun": 12, "bun": 4, "hugs": 5}


def into_characters(word):
    return [word[0], *("##" + char for char in word[1:])]


splits = {word: into_characters(word) for word in counts}
for word, pieces in splits.items():
    print(f"{counts[word]:2} ×", *pieces)


# %% tags=["nbval-check-output"]
def count_pieces_and_pairs(splits, counts):
    of_piece, of_pair = Counter(), Counter()
    for word, pieces in splits.items():
        for piece in pieces:
            of_piece[piece] += counts[word]
        for two in pairwise(pieces):
            of_pair[two] += counts[word]
    return of_piece, of_pair


of_piece, of_pair = count_pieces_and_pairs(splits, counts)
print("pieces:", *(f"{piece} {count}" for piece, count in of_piece.items()), sep="  ")
print("pairs: ", *(f"{a}+{b} {count}" for (a, b), count in of_pair.items()), sep="  ")
assert of_piece["##g"] == 10 + 5 + 5 == 20
assert of_piece["##u"] == 36

# %% [markdown]
# **Predict:** `##u ##g` is the most frequent pair (20 times). Is it merged first?


# %% tags=["nbval-check-output"]
def pair_scores(splits, counts):
    of_piece, of_pair = count_pieces_and_pairs(splits, counts)
    return {(a, b): Fraction(count, of_piece[a] * of_piece[b]) for (a, b), count in of_pair.items()}


for (a, b), score in pair_scores(splits, counts).items():
    print(f"{a:4}{b:5} {score!s:>5}  = {float(score):.3f}")

# %% [markdown]
# No. `##u` occurs 36{=of_piece} times: 20/(36 × 20) = 1/36. The highest score is that of `##g ##s`,
# 5/(20 × 5) = 1/20: it occurs only five times, but every `##s` stands after a `##g`.
#
# Merge this pair, count again, and merge again:


# %% tags=["nbval-check-output"]
def merge(pieces, pair):
    merged = []
    for piece in pieces:
        if merged and (merged[-1], piece) == pair:
            merged[-1] += piece.removeprefix("##")
        else:
            merged.append(piece)
    return merged


once = {word: merge(pieces, ("##g", "##s")) for word, pieces in splits.items()}
assert max(pair_scores(splits, counts).values()) == Fraction(5, 20 * 5) == Fraction(1, 20)
assert set(pair_scores(once, counts).values()) == {Fraction(1, 36)}  # all pairs are equal
twice = {word: merge(pieces, ("h", "##u")) for word, pieces in once.items()}
for word, pieces in twice.items():
    print(f"{counts[word]:2} ×", *pieces)

# %% [markdown]
# (After the first merge *all* pairs have the same score, 1/36{=once}. Then we take the pair that
# was counted first, `h ##u`.)
#
# Now the **third merge**. Compute the score of (`hu`, `##g`) yourself.

# %% tags=["nbval-check-output"]
scores = pair_scores(twice, counts)
for (a, b), score in sorted(scores.items(), key=lambda item: -item[1]):
    print(f"{a:3} {b:5} {score!s:>5}  = {float(score):.4f}")

# %%
assert scores["hu", "##g"] == Fraction(10, 15 * 15) == Fraction(2, 45)
assert scores["hu", "##gs"] == Fraction(5, 15 * 5) == Fraction(1, 15)
assert scores["##u", "##g"] == Fraction(5, 21 * 15) == Fraction(1, 63)
assert max(scores, key=scores.get) == ("hu", "##gs")

# %% [markdown]
# `hu` occurs 15 times and `##g` 15 times (the other five became `##gs`); together they occur
# 10{=scores} times: 10/(15 × 15) = **2/45**. The pair (`hu`, `##gs`) has 5/(15 × 5) = **1/15**, the
# highest score. So the third new piece is `hugs`.
#
# Hugging Face's course, from which the example comes, gives both pairs 1/15{=source Hugging Face's
# course, chapter 6} by mistake. Readers reported it (huggingface/course, pull request #547); in
# April 2026 the page was still unchanged.
#
# ### Train one on a small text
#
# The whole trainer is one loop:


# %%
def train(counts, merges, scores_of=pair_scores):
    splits = {word: into_characters(word) for word in counts}
    learned = []
    for _ in range(merges):
        scores = scores_of(splits, counts)
        best = max(scores, key=scores.get)  # the first of several
        learned.append(best[0] + best[1].removeprefix("##"))
        splits = {word: merge(pieces, best) for word, pieces in splits.items()}
    return learned, splits


assert train(counts, merges=3)[0] == ["##gs", "hu", "hugs"]

# %% tags=["nbval-check-output"]
story = """My dog is cute, and my dog is hairy. He likes playing, and he likes walking. He played
with the players of our team, he walked with the walkers of our club, and he jumped with the
jumpers of our school. Every day he is playing, walking, jumping, barking and looking at the
birds. He barked when the birds were singing, he looked when the singers were talking, and he
talked back by barking. The cutest dog is the hairiest dog. Dogs like players who like dogs,
walkers who like walking, and singers who like singing. My cat is calm. She liked looking,
waiting and sleeping. She waited, she looked, she slept; the dog waited, the dog looked, the
dog played."""

word_counts = Counter(word for word in words_of(story) if word.isalpha())
alphabet = {piece for word in word_counts for piece in into_characters(word)}
print(f"{word_counts.total()} words, {len(word_counts)} different;"
      f" {len(alphabet)} pieces of one character, as h and ##h")  # fmt: skip
assert pieces_of(story) == tokenizer.encode(story).tokens[1:-1]  # one more proof

# %% tags=["nbval-check-output"]
learned, story_splits = train(word_counts, merges=75)
print("first:", *learned[:14])
print("last: ", *learned[-14:])
for word in ("playing", "walkers", "jumping", "looked"):
    print(f"{word:8}", *story_splits[word])
assert story_splits["playing"] == ["play", "##ing"]
assert learned[0] == "ev"
assert [word for word in word_counts if "v" in word] == ["every"]  # the only v of the story

# %% [markdown]
# **`play ##ing`** was learned by counting. But look at what came *first*: `ev`, from the word
# *every*, the only word with a `v`. Here the score prefers a rare pair.
#
# **Predict:** what happens to `playing` if we go on merging?

# %% tags=["nbval-check-output"]
for merges in (60, 75, 90):
    print(f"{merges} merges: ", *train(word_counts, merges)[1]["playing"])

# %% [markdown]
# With more merges *playing* is one piece, as in the real vocabulary.
#
# Can the small vocabulary split words that were not in the story?

# %% tags=["nbval-check-output"]
assert train(word_counts, merges=90)[1]["playing"] == ["playing"]
small_vocabulary = alphabet | set(learned)
for word in ("playback", "singsong", "jumpy", "sleepwalking", "zebra"):
    print(f"{word:13}", *split_word(word, small_vocabulary))
for word in word_counts:
    assert split_word(word, small_vocabulary) != ["[UNK]"]

# %% [markdown]
# It can, when the word's characters are in the alphabet *in the right form*. There is no `z` at
# all. The story has `w` only at the beginning of words, so there is no `##w` for *sleepwalking*.

# %%
assert "z" not in small_vocabulary
assert "w" in small_vocabulary
assert "##w" not in small_vocabulary

# %% [markdown]
# ### Deeper: what libraries do
#
# Hugging Face's `tokenizers` has a `WordPieceTrainer`. **Predict:** which of the two rules does it
# follow, the score or the plain count? It gets our small text and learns a single merge.

# %% tags=["nbval-check-output"]
from tokenizers import Tokenizer, models, trainers

text = [word for word, count in counts.items() for _ in range(count)]
model = Tokenizer(models.WordPiece())
trainer = trainers.WordPieceTrainer(vocab_size=12, special_tokens=[], show_progress=False)
model.train_from_iterator(text, trainer)
new = [piece for piece in model.get_vocab() if len(piece.removeprefix("##")) > 1]
print("the library's first merge:", *new)

# %%
assert new == ["##ug"]
assert max(of_pair, key=of_pair.get) == ("##u", "##g")  # the most frequent pair

# %% [markdown]
# It took `##u ##g`, the most *frequent* pair. That is the rule of **BPE** (byte-pair encoding); the
# library's authors say so too (huggingface/tokenizers, issue #144). There "WordPiece" names the way
# of *splitting* (longest match first, with `##`).

# %% [markdown]
# ## 10. Recap
#
# - **normalise** (clean, put spaces around Chinese characters, strip accents, small letters) →
#   **split into words** at spaces and punctuation → **longest match first** → **ids**;
# - `##` marks a continuation; many frequent words are one piece, *playing* too;
# - `[UNK]` replaces a whole word, and only for a character outside the alphabet or more than
#   100{=is_unknown} characters;
# - `[CLS] A [SEP] B [SEP]`, segment ids 0 and 1, an attention mask for the padding;
# - offsets lead from each token back to the text as it was typed;
# - a vocabulary grows by merging pairs; the pair score is count(ab) / (count(a) × count(b)).
#
# **The answer:** The text is normalised and split into words, each word is split into the longest
# pieces that the vocabulary contains, and each piece is replaced by its id.

# %% [markdown]
# ## Test yourself
#
# Choose an answer: a click opens its explanation.
#
# **1. How does the published vocabulary split *playing*?**
#
# <details class="option"><summary>A. <code>play ##ing</code>, as in the paper's figure</summary>
#
# **No.** Both pieces exist, but the longest match wins, and `playing` is longer than `play`.
#
# </details>
#
# <details class="option"><summary>B. <code>playing</code>, one piece</summary>
#
# **Yes.** The word is in the vocabulary whole, and the longest match takes it.
#
# </details>
#
# <details class="option"><summary>C. Letter by letter, because it is not a root form</summary>
#
# **No.** The tokenizer knows no grammar. It uses single letters only if no longer piece fits.
#
# </details>

# %% [markdown]
# **2. When does a word become `[UNK]`?**
#
# <details class="option"><summary>A. When it is rare</summary>
#
# **No.** A rare word becomes several pieces.
#
# </details>
#
# <details class="option"><summary>B. When it is not in the vocabulary as a whole</summary>
#
# **No.** Such a word is split into pieces; `outplaying` becomes `out ##play ##ing`.
#
# </details>
#
# <details class="option"><summary>
# C. When one of its characters is not in the alphabet, or it has more than 100 characters
# </summary>
#
# **Yes.** These are the only two causes.
#
# </details>
#
# <details class="option"><summary>D. When it contains a capital letter</summary>
#
# **No.** Capitals become small letters in the first step.
#
# </details>

# %% [markdown]
# **3. What does the attention mask say?**
#
# <details class="option"><summary>A. Which tokens are real and which are padding</summary>
#
# **Yes.** It is 1 for real tokens and 0 for `[PAD]`.
#
# </details>
#
# <details class="option"><summary>B. Which tokens belong to text A and which to text B</summary>
#
# **No.** The segment ids (`token_type_ids`) say that.
#
# </details>
#
# <details class="option"><summary>C. Which words are hidden by <code>[MASK]</code></summary>
#
# **No.** `[MASK]` is an ordinary id in the input. Its attention mask is 1.
#
# </details>

# %% [markdown]
# **Next:** 02, where some of these tokens are hidden and BERT must guess them.
#
# ## Exercises
#
# Replace each `...` by your answer, then run the cell and the next one. `checks.with_piece.hint()`
# gives a hint, and then a second one.

# %%
checks.with_piece

# %% [markdown]
# ### Predict
#
# **1.** Into how many pieces does each word split? Do not run anything. (`##ness` is in the
# vocabulary.) Answer with `{"playing": ..., "outplaying": ..., "dog🤗": ..., "cuteness": ...}`.

# %%
# BEGIN SOLUTION
how_many = {"playing": 1, "outplaying": 3, "dog🤗": 1, "cuteness": 2}
# END SOLUTION

# %% tags=["nbval-check-output"]
checks.how_many_pieces(how_many)

# %% [markdown] tags=["solution"]
# *Why:* `playing` is whole. `out ##play ##ing` has three pieces. `dog🤗` is one word with a
# character outside the alphabet: one `[UNK]`. `cute ##ness` has two.

# %% [markdown]
# **2.** What are the segment ids of the pair *good dog* / *yes*?

# %%
# BEGIN SOLUTION
segment_ids = [0, 0, 0, 0, 1, 1]
# END SOLUTION

# %% tags=["nbval-check-output"]
checks.segment_ids(segment_ids)

# %% [markdown] tags=["solution"]
# *Why:* `[CLS] good dog [SEP]` is A, four tokens; `yes [SEP]` is B, two tokens.

# %% [markdown]
# **3.** In the text of `hug`, `pug`, … (section 9, before any merge), what is the score of the
# pair (`p`, `##u`)? Answer with a `Fraction(top, bottom)`.

# %%
# BEGIN SOLUTION
p_u_score = Fraction(17, 17 * 36)
# END SOLUTION

# %% tags=["nbval-check-output"]
checks.p_u_score(p_u_score)

# %% [markdown] tags=["solution"]
# *Why:* `p` occurs in *pug* (5) and *pun* (12{=counts}), each time before `##u`: 17. `##u` occurs
# 36{=p_u_score} times. 17/(17 × 36) = 1/36.

# %% [markdown]
# ### Complete
#
# **4.** Join pieces to words again. Write what one piece does to the list of words. Return a new
# list; the old one is still needed.


# %%
def with_piece(words, piece):
    """The words so far and one more piece: (["out"], "##play") gives ["outplay"]."""
    # BEGIN SOLUTION
    if piece.startswith("##"):
        return [*words[:-1], words[-1] + piece.removeprefix("##")]
    return [*words, piece]
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.with_piece(with_piece)

# %% tags=["solution", "nbval-check-output"]
joined = []
for piece in ["out", "##play", "##ing", "dogs", "em", "##bed", "##s"]:
    joined = with_piece(joined, piece)
print(*joined)
assert joined == ["outplaying", "dogs", "embeds"]

# %% [markdown] tags=["solution"]
# *Why:* only the last word can still grow, so one piece needs only the words so far.

# %% [markdown]
# **5.** Which word does each token belong to? `out ##play ##ing dogs` → `[0, 0, 0, 1]`. (Lesson 09
# needs this.)


# %%
def word_numbers(pieces):
    begins = [not piece.startswith("##") for piece in pieces]
    # BEGIN SOLUTION
    return [sum(begins[: position + 1]) - 1 for position in range(len(pieces))]
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.word_numbers(word_numbers)

# %% [markdown]
# **6.** Write the other rule for training: the score of a pair is how often it occurs. Return a
# dict from each pair to its score. Then compare `train(word_counts, 20, frequency_scores)[0]` with
# section 9.


# %%
def frequency_scores(splits, counts):
    _, of_pair = count_pieces_and_pairs(splits, counts)
    # BEGIN SOLUTION
    return dict(of_pair)
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.frequency_scores(frequency_scores)

# %% tags=["solution", "nbval-check-output"]
print(*train(word_counts, 20, frequency_scores)[0])
assert train(word_counts, 2, frequency_scores)[0] == ["##in", "##ing"]
assert train(word_counts, 70)[0].index("##ing") == 70 - 1

# %% [markdown] tags=["solution"]
# *What you see:* with the plain count, `##ing` is the second merge. With the score it is the
# seventieth: `##i` is in many other words, and the score divides by its count.

# %% [markdown]
# ### Build
#
# **7.** Does the longest match always find the *fewest* pieces? Write a function that finds the
# smallest possible number. *One way:* `best[end]`, the fewest pieces for the first `end`
# characters, is 1 + the smallest `best[start]` of all places `start` from which one piece leads to
# `end`. (Every word that is tried can be split.)


# %%
def fewest_pieces(word):
    """The smallest number of pieces of `vocabulary` that make up the word."""
    # BEGIN SOLUTION
    best = [0]
    for end in range(1, len(word) + 1):
        parts = ((start, ("##" if start else "") + word[start:end]) for start in range(end))
        possible = [best[start] + 1 for start, piece in parts if piece in vocabulary]
        best.append(min(possible, default=len(word) + 1))
    return best[-1]
    # END SOLUTION


# %% tags=["nbval-check-output"]
print("longest match:", *split_word("sharedreduction", vocabulary))
checks.fewest_pieces(fewest_pieces)

# %% tags=["solution", "nbval-check-output"]
ascii_words = [word for word in glued if word.isascii()]
worse = [w for w in ascii_words if len(split_word(w, vocabulary)) > fewest_pieces(w)]
print(f"the longest match needs more pieces than necessary in {len(worse)} of"
      f" {len(ascii_words):,} joined words")  # fmt: skip
assert 0 < len(worse) < 0.02 * len(ascii_words)

# %% [markdown] tags=["solution"]
# *What you see:* the longest match is not always the best, but nearly always on these joined words.

# %% [markdown]
# **8.** From characters to tokens. A reader marks a part of the text, at least one character. Which
# tokens does it touch? Return a list of positions; `[CLS]` and `[SEP]` have positions, too.


# %%
def touched(encoding, start, end):
    """Positions of the tokens that share a character with text[start:end]."""
    # BEGIN SOLUTION
    return [
        position
        for position, (left, right) in enumerate(encoding.offsets)
        if left < end and right > start and left < right
    ]
    # END SOLUTION


# %% tags=["nbval-check-output"]
checks.touched(touched)

# %% tags=["solution", "nbval-check-output"]
marked = touched(located, typed.index("fé"), typed.index("plays"))  # the text of section 8
print(*(located.tokens[i] for i in marked))

# %% [markdown] tags=["solution"]
# *Why:* two ranges share a character if each begins before the other ends. `[CLS]` and `[SEP]` have
# empty ranges.

# %% [markdown]
# **9.** (Without a check.) Train a vocabulary on a text of your own, by each of the two rules, with
# 50, 100 and 200 merges. Which rule finds endings such as `##ing` and `##ed` sooner? Which would
# you take?

# %% [markdown] tags=["solution"]
# *A model answer.* The plain count looks for what is frequent. On the story of section 9 it has
# `##ing`, `##ed` and `##er` within 50 merges. The score looks for pieces that seldom occur apart;
# there it has none of them. After 50 merges, and after 100, the count gives shorter splits.
