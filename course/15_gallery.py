# %% [markdown]
# # 15 · Gallery
#
# **Which picture answers which question?**
#
# Every interactive picture of this course is on this page, each with what to look for and one thing
# to try.
#
# **Afterwards you can**
# - say which picture answers which question about BERT;
# - read a number off each, and get the same number from the library;
# - take a picture along as a file that works without Python.
#
# **You need** no other lesson; each picture names the lesson that explains it. No internet
# connection.
#
# **Time** as long as you like; less than half a minute of CPU time.
#
# **In the paper** Devlin et al. 2019 (arXiv:1810.04805): §3 and figure 2.
#
# *Hover* shows, a *click* pins, *Escape* lets go, *Tab* and the *arrow keys* replace the mouse, and
# typing computes everything anew. A link with ▸ sets the picture, and one more click sets it back.

# %%
import tempfile
from pathlib import Path

import torch

import bertedu
from bertedu import widgets

bert = bertedu.load()

# %% [markdown]
# ## 1. Journey: one sentence through everything
#
# **Look for** the token that you point at: it is lit at all seven stations, from its piece to the
# heads' answers.
#
# **Try** *cosine to: the lit token* in panel 6, and point at `[MASK]`: to which tokens is its
# vector most similar after the last layer? Then type *math*, the lecture notes' word, in place of
# *mathematics*: *branch* is still among the first five guesses, but no longer the first.
# Before, [*branch* is its guess with 23.3 %](#Journey?token=[MASK]&open=7
# "branch 23.3 %").
#
# *(Lessons 01 to 06.)*

# %% tags=["nbval-check-output"]
journey = widgets.Journey(
    "calculus is a [MASK] of mathematics.", "it was developed by newton and leibniz.", bert
)
journey

# %%
mask = journey.stages.encoding.tokens.index("[MASK]")
[guesses] = bert.fill_mask(journey.text, journey.pair)
guessed = [guess.token for guess in guesses]
assert [guess.token for guess in journey.guesses(mask)] == guessed
assert guessed[0] == "branch"
[with_math] = bert.fill_mask(journey.text.replace("mathematics", "math"), journey.pair)
assert "branch" in [guess.token for guess in with_math[1:]]
follows = bert.next_sentence(journey.text, journey.pair)
assert abs(journey.stages.follows - follows) < 1e-4
assert follows > 0.9
assert torch.allclose(journey.attention.sum(dim=-1), torch.ones(len(journey.attention)), atol=1e-5)

# %% [markdown]
# ## 2. WordPieceExplorer: a text becomes pieces
#
# **Look for** the longest match: a word that is not in the vocabulary loses letters from its end
# until the rest is in it.
#
# **Try** your own name, an emoji, a word with an accent. See where
# [`##play`, id 13068](#WordPieceExplorer?token=%23%23play
# "token ##play, id 13068"), stands.
#
# *(Lesson 01.)*

# %% tags=["nbval-check-output"]
widgets.WordPieceExplorer("My dog is cute.", "He likes unplayable games.")

# %%
assert bert.encode("unplayable").tokens == ["[CLS]", "un", "##play", "##able", "[SEP]"]
assert bert.encode("Résumé").tokens == bert.encode("resume").tokens  # cleaned before it is split

# %% [markdown]
# ## 3. MaskExplorer: three fates
#
# **Look for** the difference between one roll and two thousand: one roll of this text has two
# chosen tokens, and two thousand rolls have the three fates in the shares of the rule.
#
# **Try** to switch *whole words* on, with a long word that falls into pieces, or
# [to choose 50 %: 7 tokens](#MaskExplorer?rate=50
# "rounded 7: 7 chosen").
#
# *(Lesson 02.)*

# %% tags=["nbval-check-output"]
masks = widgets.MaskExplorer("my dog is hairy and he likes unplayable games.")
masks

# %%
chosen = masks.fates[masks.fates > 0].long()
shares = torch.bincount(chosen, minlength=4)[1:] / len(chosen)  # [MASK], random, kept
assert torch.allclose(shares, torch.tensor([0.8, 0.1, 0.1]), atol=0.03)
assert len(set((masks.fates > 0).sum(dim=1).tolist())) == 1  # the same number in every roll

# %% [markdown]
# ## 4. SentencePairBuilder: does B follow A?
#
# **Look for** the label. 0 means that B *follows*, 1 that B is random: Google's convention. Of a B
# that follows, "does B follow?" is true and "is B random?" is false.
#
# **Try** *Make 1,000* with B from all sentences, as some published code does: how many “random”
# pairs really follow? [Here is one](#SentencePairBuilder?a=1.2&label=random&b=1.3&from=all
# "Wrong label: this “random” B is what really follows A").
#
# *(Lesson 03.)*

# %% tags=["nbval-check-output"]
deal = widgets.SentencePairBuilder()
deal

# %%
starts = torch.from_numpy(deal.corpus.document_starts.astype("int64"))
assert (starts.diff() >= 2).all()  # or no sentence could follow another
assert starts[-1] == deal.corpus.num_sentences == len(deal.sentences)

# %% [markdown]
# ## 5. EmbeddingSum: three vectors become one
#
# **Look for** the picture of the first layer's attention when a term is switched off.
#
# **Try** to switch *position* off: which two tokens can the model no longer tell apart?
# [18.8 % of the attention then goes elsewhere](#EmbeddingSum?position=off
# "18.8 % of a token's attention goes elsewhere").
#
# *(Lesson 04.)*

# %% tags=["nbval-check-output"]
sums = widgets.EmbeddingSum("my dog is my dog", None, bert)
sums

# %%
assert torch.equal(sums.terms[0] + sums.terms[1] + sums.terms[2], sums.summed)
assert torch.allclose(sums.states, bert.hidden_states("my dog is my dog")[0], atol=1e-5)
sums.settings = sums.settings | {"position": False}
assert torch.equal(sums.states[1], sums.states[4])  # the first “my” and the second
assert sums.moved > 0
sums.settings = sums.settings | {"position": True}

# %% [markdown]
# ## 6. AttentionStep: how do query, keys and values become one output?
#
# **Look for** the token with the longest bar: its value has the largest weight in the output.
#
# **Try** [*temperature* 4: from 62.1 % to 19.1 %](#AttentionStep?stage=4&temperature=4
# "falls from 62.1 % to 19.1 %"), and then switch the division by √D off.
#
# *(Lesson 05.)*

# %% tags=["nbval-check-output"]
step = widgets.AttentionStep("my dog is cute and he likes playing", bert, head=11, token=8)
step

# %%
shares = bert.attention(step.text)[0, 10, 8]  # layer 1, head 11, “playing” asks
assert torch.allclose(step.shares.float(), shares, atol=1e-6)
assert bert.encode(step.text).tokens[int(shares.argmax())] == "dog"

# %% [markdown]
# ## 7. AttentionExplorer: what does this head do with that word?
#
# **Look for** stripes beside the diagonal: such a head looks at the next or the previous token.
#
# **Try** to find the head that looks most at `[SEP]`. The bottom row shows query times key,
# component by component. In the head that is shown first,
# [*cute* looks at the full stop after it with 99.3 %](#AttentionExplorer?layer=2&head=9&token=cute
# "“cute” (position 4) asks: . 99.3 %") (position 4).
#
# *(Lesson 05.)*

# %% tags=["nbval-check-output"]
explorer = widgets.AttentionExplorer("My dog is cute.", "He likes playing.", bert)
to_next = bert.attention(explorer.text, explorer.pair).diagonal(1, -2, -1).mean(dim=-1)  # [L, A]
layer, head = divmod(int(to_next.argmax()), bert.config.num_attention_heads)
explorer.settings = explorer.settings | {"layer": layer + 1, "head": head + 1}
explorer

# %%
tokens = bert.encode(explorer.text, explorer.pair).tokens
print(f"Layer {layer + 1}, head {head + 1}: on average {to_next.max():.0%} of the attention "
      "goes to the next token.")  # fmt: skip
assert to_next.max() > 3 / len(tokens)  # three times as much as looking everywhere alike

# %% [markdown]
# ## 8. TrainingMonitor: a loss falls
#
# **Look for** the dashed line, the baseline, and compare the loss with it. (At
# [the last step, 30](#TrainingMonitor?step=30
# "Step 30:"), for example.)
#
# **Try** *Pause* and *Stop*; then more steps.
#
# *(Lesson 07, with a longer run.)*

# %%
from bertedu.data import HELD_OUT
from bertedu.pretraining import PretrainingData, Recipe, pretrain, unigram_log_probs
from bertedu.pretraining.corpus import Corpus

# %%
steps = 30
tiny = bertedu.BertConfig(
    hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64
)
with tempfile.TemporaryDirectory() as folder:
    corpus = Corpus.build([str(HELD_OUT)], bert.tokenizer, folder, progress=False)
    frequencies = unigram_log_probs(corpus, len(bert.tokenizer))
    recipe = Recipe(steps=steps, max_length=64, tokens_per_batch=512, learning_rate=5e-3)
    torch.manual_seed(0)
    small = bertedu.BertForPreTraining(tiny)
    monitor = widgets.TrainingMonitor(steps, -float((frequencies.exp() * frequencies).sum()))
    await monitor.run(pretrain(small, PretrainingData(corpus, bert.tokenizer, recipe), recipe))  # noqa: F704, PLE1142

# %%
losses = [report.mlm_loss for report in monitor.reports]
assert losses[-1] < losses[0]
assert monitor.state in ("finished", "stopped")

# %% [markdown]
# ## 9. TextClassifier: what each word does
#
# **Look for** the word that changes the answer most when it is left out. Then switch *attention*
# on: is it the word that `[CLS]` looks at most?
#
# **Try** to take *not* out ([0.5 % negative instead of 98.7 %](#TextClassifier?word=not
# "negative 0.5 % instead of 98.7 %")), and to write a sentence of your own. (This picture and the
# next three show the embedded model, fine-tuned on real data: the course's graduates.)
#
# *(Lesson 08.)*

# %% tags=["nbval-check-output"]
words = widgets.TextClassifier("sentiment", "The soup was not good.")
words

# %%
texts = [words.text, "The soup was good."]
whole, without = (each.probabilities for each in words.finetuned.predict(texts))
effect = [whole[label] - without[label] for label in words.labels]
assert abs(words.effects[words.words.index("not")] - effect).max() < 1e-4
assert whole["negative"] > 0.5 > without["negative"]
assert abs(words.effects.sum(axis=1)).max() < 1e-6  # what one class wins, the other loses

# %% [markdown]
# ## 10. TokenTagger: a tag for each word
#
# **Look for** the pieces that carry -100: they have no label. A word answers at its first piece.
#
# **Try** to flip the first word of a slot to O ([here *cape*](#TokenTagger?flips=5.O
# "I-city after O continues nothing, so it is read as B-city")): the I- after it continues nothing,
# and decoding reads it as B-.
#
# *(Lesson 09.)*

# %% tags=["nbval-check-output"]
tagger = widgets.TokenTagger("slots", "will it rain in cape town tomorrow")
tagger

# %%
assert tagger.prediction.intent.label == "GetWeather"
assert ("city", "cape town") in [(slot.label, slot.text) for slot in tagger.slots]
flipped = widgets.TokenTagger("slots", tagger.text)
flipped.settings = {"flips": {"4": "O"}}
assert flipped.mended == [5]  # an I- after an O
assert ("city", "town") in [(slot.label, slot.text) for slot in flipped.slots]

# %% [markdown]
# ## 11. PairExplorer: true, false or unknown?
#
# **Look for** ◆, the hypothesis with no premise: if it stands where ● stands, the premise changes
# nothing. [Here ◆ is unknown with 62.2 %](#PairExplorer?pinned=alone
# "neutral 62.2 %"), and ● is true.
#
# **Try** to put *not* into the hypothesis, or to change one word, and see how far the point moves.
#
# *(Lesson 10.)*

# %% tags=["nbval-check-output"]
premise = "A dog is running through the park."
tries = [(premise, "The dog is asleep on the sofa."), (premise, "The dog is five years old.")]
triangle = widgets.PairExplorer("inference", premise, "An animal is outside.", tries)
triangle

# %%
assert triangle.labels == ["entailment", "contradiction", "neutral"]
assert triangle.probabilities.argmax() == 0
assert triangle.trail.argmax(axis=1).tolist() == [1, 2]
assert abs(triangle.probabilities - triangle.alone).max() > 0.05  # the premise has a say

# %% [markdown]
# ## 12. SpanExplorer: where the answer starts and ends
#
# **Look for** the grey half of the plane: pairs of start and end that are no answer. Compare
# *joint* with *product*: how much probability do two softmaxes give to that half?
# [That there is no answer](#SpanExplorer?start=[CLS]&end=[CLS]
# "no answer: outside the document") would be a pair of `[CLS]`.
#
# **Try** another question about the text, and one that it does not answer.
#
# *(Lesson 11.)*

# %% tags=["nbval-check-output"]
from bertedu.data import QUESTIONS
from bertedu.finetuning import question_answering

asked = question_answering.read(QUESTIONS / "precipitation.json")[0]  # of the lecture notes
spans = widgets.SpanExplorer("questions", asked.question, asked.document)
spans

# %%
found = spans.prediction
assert found.text == asked.target.text == "gravity"
assert all(found.document[span.start : span.end] == span.text for span in found.spans)
assert sum(span.probability for span in found.spans) + found.no_answer_probability < 1 + 1e-6
assert spans.legal_share < 1  # of the product of the two softmaxes

# %% [markdown]
# ## 13. TryIt: what stands behind the mask?
#
# **Look for** the word that you hid: is it among BERT's five first guesses, and if not, which rank
# does it have?
#
# **Try** [*guess first*](#TryIt?guess_first=on&hide=eat
# "[MASK] waits for your guess") with somebody who knows nothing of BERT.
#
# *(Lessons 00, 02 and 03.)*

# %% tags=["nbval-check-output"]
guessing = widgets.TryIt("my dog is hungry.", "he wants to eat.", bert)
guessing.masks = [10]
guessing

# %%
[place] = guessing.places
[guesses] = bert.fill_mask(guessing.text, "he wants to [MASK].")
assert [guess.token for guess in place.first] == [guess.token for guess in guesses]
assert place.hidden.rank == 1

# %% [markdown]
# ## 14. Patch: what is where inside?
#
# **Look for** the answer that changes. A vector of another sentence is put in a token's place: here
# *tokyo* for *paris* turns the guess *france* into *japan*.
#
# **Try** to copy it after a later layer: when is it too late? Then cut the segments: *calculus* now
# follows the dog.
#
# *(Lesson 06.)*

# %% tags=["nbval-check-output"]
from bertedu.widgets.patch import PRESETS

patch = widgets.Patch(bert=bert)
patch.ask(PRESETS[0])  # tokyo's vector in the place of paris
patch

# %%
assert [answers.gap[0].token for answers in (patch.before, patch.after)] == ["france", "japan"]
patched_pair = widgets.Patch(bert=bert)
patched_pair.ask(PRESETS[3])
assert patched_pair.before.follows < 0.1
assert patched_pair.after.follows > 0.5

# %% [markdown]
# ## 15. TimeMachine: how did it come to that?
#
# **Look for** the checkpoint at which the guesses begin to depend on the sentence. Compare its loss
# with the line *counts only*.
#
# **Try** to press *Play*, and to say what comes first in the next checkpoint. Then type a second
# sentence: the line under the bars says for how many held-out pairs the checkpoint is correct.
#
# *(Lesson 07. It shows a small model of its own, not the one above.)*

# %% tags=["nbval-check-output"]
machine = widgets.TimeMachine("i do not [MASK] how to swim.", "he likes swimming.")
machine

# %%
assert len(machine.frames) == 10
assert machine.frames[0].moment.tokens == 0
assert [first.token for first, *_ in machine.frames[-1].places] == ["know"]
assert machine.frames[0].places[0][0].probability < 0.05

# %% [markdown]
# ## 16. Take one along
#
# *Save picture* in each of them gives a still picture. `to_html` gives a page that needs neither
# Python nor a network: its data stands in the file. Typing a new text does not work there.

# %%
from bertedu.widgets.static_page import to_html

page = to_html([journey, explorer], title="Two pictures to take along")
with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "pictures.html"  # choose a place that stays, and open it in a browser
    file.write_text(page, encoding="utf-8")
    assert 50_000 < file.stat().st_size < 2_000_000
assert "https://" not in page

# %% [markdown]
# ## Recap
#
# | the question | the picture |
# |---|---|
# | how do all parts work together? | Journey |
# | how does a text become ids? | WordPieceExplorer |
# | what is hidden in pretraining, and how? | MaskExplorer |
# | what is a pair, and what its label? | SentencePairBuilder |
# | what does the first layer read? | EmbeddingSum |
# | how do query, keys and values become one output? | AttentionStep |
# | which token looks at which, and why? | AttentionExplorer |
# | does the model learn? | TrainingMonitor |
# | what does each word do to the answer? | TextClassifier |
# | which words fill which slot? | TokenTagger |
# | does one sentence follow from the other? | PairExplorer |
# | where does the answer start and end? | SpanExplorer |
# | what does BERT take a hidden word for? | TryIt |
# | which answer does one vector change? | Patch |
# | how did a model come to its answers? | TimeMachine |
#
# **The answer:** The table has one picture for each question, and the Journey shows all parts at
# once.

# %% [markdown]
# ## Test yourself
#
# Choose an answer: a click opens its explanation.
#
# **1. Which picture shows what the first layer loses without positions?**
#
# <details class="option"><summary>A. The Journey.</summary>
#
# **No.** It has no switch for the three terms.
#
# </details>
#
# <details class="option"><summary>B. The AttentionExplorer.</summary>
#
# **No.** It shows any head, with positions always on.
#
# </details>
#
# <details class="option"><summary>C. The EmbeddingSum.</summary>
#
# **Yes.** There you can switch each of the three terms off.
#
# </details>

# %% [markdown]
# **2. In the SpanExplorer, what is the grey half of the plane?**
#
# <details class="option"><summary>A. Pairs of start and end that are no answer.</summary>
#
# **Yes.** The end would stand before the start.
#
# </details>
#
# <details class="option"><summary>B. Answers with a low probability.</summary>
#
# **No.** These have a pale colour. Grey pairs are no answers at all.
#
# </details>
#
# <details class="option"><summary>C. The tokens of the question.</summary>
#
# **No.** The plane shows tokens of the document.
#
# </details>

# %% [markdown]
# **3. A file made with `to_html` is opened on a computer without Python. What does not
# work?**
#
# <details class="option"><summary>A. Pointing at a token.</summary>
#
# **No.** The data stands in the file, so pointing and clicking work.
#
# </details>
#
# <details class="option"><summary>B. The whole picture.</summary>
#
# **No.** The page needs only a browser.
#
# </details>
#
# <details class="option"><summary>C. Typing a new text.</summary>
#
# **Yes.** The model must compute a new text, and the file has no model.
#
# </details>

# %% [markdown]
# ## Exercises
#
# Replace each `...` by your answer; then run the cell and the one after it.


# %%
def verdict(yours, truth):
    if yours is ...:
        print("not done yet")
    elif yours == truth:
        print("✓ right")
    else:
        print("✗ not yet; you have:", yours)


# %% [markdown]
# ### Predict
#
# **1.** In the Journey's panel 6, what is the cosine of every token to its own input in the first
# row, named *input*?

# %%
# BEGIN SOLUTION
first_row = 1
# END SOLUTION

# %%
verdict(first_row, round(float(journey.stages.to_input[0].mean()), 4))

# %% [markdown] tags=["solution"]
# *Why:* it is compared with itself.

# %% [markdown]
# ### Complete
#
# **2.** A row of probabilities says how much one token looks at each. At which does it look most?
# Complete the function; the row is a tensor [S].


# %%
def asks_most(row, tokens):
    # BEGIN SOLUTION
    return tokens[int(row.argmax())]
    # END SOLUTION


# %%
verdict(asks_most(torch.tensor([0.2, 0.7, 0.1]), ["[CLS]", "dog", "[SEP]"]), "dog")

# %% [markdown]
# ### Build
#
# **3.** The Journey has room for answers of your own: any function of text and pair that returns
# lines of text. Write one that counts the tokens of both, such as `["A 3", "B 2"]`, special tokens
# left out.


# %%
def count_tokens(text, pair):
    # BEGIN SOLUTION
    counts = {"A": len(bert.tokenizer.ids(text)), "B": len(bert.tokenizer.ids(pair or ""))}
    return [f"{name} {count}" for name, count in counts.items()]
    # END SOLUTION


# %%
verdict(count_tokens("my cute dog", "he plays"), ["A 3", "B 2"])
if count_tokens("", "") is not ...:
    own = widgets.Journey("my cute dog", "he plays", bert, {"tokens": count_tokens})
    print(own.answers)
