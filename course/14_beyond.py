# %% [markdown]
# # 14 · Beyond
#
# **What does a large BERT cost, and what came after BERT?**
#
# You have taken BERT apart on a laptop. Now comes the real `bert-base-uncased`: what it costs,
# and what followed it.
#
# **Afterwards you can**
# - load a published BERT, with a network and without one;
# - say what a pretraining run will cost before you start it, and test your estimate on published
#   runs;
# - run the same training on one process or on many, and say what stays the same;
# - judge a claim like "next sentence prediction is useless" by an experiment with error bars;
# - explain the parts in which ModernBERT differs from BERT, each with a number;
# - say what sentence vectors and distillation are, and try both.
#
# **You need** lessons 02, 03, 06 and 07. No internet connection: where one would help, the cell
# says so and goes on.
#
# **Time** about 60 minutes without sections 4 and 5, 90 with them; about one minute of CPU
# time. (A class may skip these two, but run their cells: later ones use what they make.)
#
# **In the papers** Devlin et al. 2019 (arXiv:1810.04805), appendix A.2 and §5.1; Liu et al. 2019
# (RoBERTa, arXiv:1907.11692), §4; Warner et al. 2024 (ModernBERT, arXiv:2412.13663), §2.

# %%
import itertools
import math
import re
import string
import tempfile
import time
from dataclasses import replace

# %% tags=["nbval-check-output"]
import matplotlib.pyplot as plt
import numpy as np
import torch

import bertedu
from bertedu.classroom.figures import STYLE
from bertedu.pretraining.masking import MaskingRule, mask_tokens

plt.style.use(STYLE)
bert = bertedu.load()
print(bert)

# %% [markdown]
# ## 1. The real BERT, in the same cells
#
# The library also loads published models, by their names on the Hugging Face hub. The best known
# is `bert-base-uncased` (a download of some 440{=source its page on huggingface.co} MB, once).
#
# **Predict:** what should a program do when there is no network?

# %%
ask_the_hub = False  # True: look for bert-base-uncased, and fetch it where there is a network
base = None
try:
    base = bertedu.load("bert-base-uncased") if ask_the_hub else None
except bertedu.CheckpointError as error:
    print("bert-base-uncased cannot be had from here:", error)
print("BERT-base answers, too." if base else "The course's own model answers alone.")
models = {"this course": bert} | ({"BERT-base": base} if base else {})

# %%
gaps = {"Paris is the [MASK] of France.": "capital",
        "Calculus is a [MASK] of mathematics.": "branch"}  # fmt: skip
for text, hidden in gaps.items():
    print(text)
    for name, reader in models.items():
        guesses = reader.fill_mask(text)[0]
        print(f"  {name:12}", *(f"{guess.token} {guess.probability:.1%}" for guess in guesses[:4]))
    assert hidden in [guess.token for guess in bert.fill_mask(text)[0][:3]]
if base:
    assert "capital" in base.fill_mask("Paris is the [MASK] of France.")[0][0]

# %%
of_math = [guess.token for guess in bert.fill_mask("Calculus is a [MASK] of math.", top_k=20)[0]]
print(f"Calculus is a [MASK] of math.  {of_math[0]} first, branch {of_math.index('branch') + 1}th")
assert 3 <= of_math.index("branch") < 10

# %% [markdown]
# The notes have *branch* in the last gap. Our small model knows the word, but has it close behind
# *part*. And if *math* stands in the place of *mathematics*, as in the notes, *branch* falls behind
# several others.
#
# Without a network, a program should say so at once, and go on with what it has. Set
# `ask_the_hub` to True and see. Then you can do one of these:
#
# - **A folder instead of a name.** On a machine that has a network, download `config.json`,
#   `vocab.txt` and `model.safetensors` of the model into one folder. Carry it over, then
#   `bertedu.load("that/folder")`. Nothing else is needed.
# - **Once is enough.** What was downloaded once is found again without a network.
# - **No downloads at all** (a class of thirty with one slow connection): set the variable
#   `HF_HUB_OFFLINE=1`, and the hub is not even asked.
#
# The first of them, tried out with a very small model:

# %% tags=["nbval-check-output"]
torch.manual_seed(0)
sizes = bertedu.BertConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
                           intermediate_size=128)  # fmt: skip
original = bertedu.BertForPreTraining(sizes).eval()
with tempfile.TemporaryDirectory() as folder:
    bertedu.save_pretrained(original, folder, bert.tokenizer)
    carried_over = bertedu.load(folder)
assert carried_over.encode("my dog is cute").tokens == bert.encode("my dog is cute").tokens
for name, weight in original.state_dict().items():
    assert torch.equal(carried_over.model.state_dict()[name], weight)
print(carried_over)

# %% [markdown]
# The same numbers come back, bit for bit.
#
# ## 2. What does a BERT cost? Operations
#
# The paper trained for 1,000,000 steps with 256 rows each: 90 % of the steps with rows of 128
# tokens, the last 10 % with rows of 512 (appendix A.2).
#
# **Predict:** how much of the work do the short rows save?

# %% tags=["nbval-check-output"]
steps, rows = 1_000_000, 256
schedule = {128: 0.9 * steps * rows, 512: 0.1 * steps * rows}  # length: rows of that length
tokens = {
    "as in the paper": sum(length * number for length, number in schedule.items()),
    "512 throughout": 512 * steps * rows,
}
for name, number in tokens.items():
    print(f"{name:16} {number / 1e9:6.1f} billion tokens")
assert round(tokens["as in the paper"] / 1e9, 1) == 42.6
assert round(tokens["512 throughout"] / 1e9) == 131
assert tokens["as in the paper"] < tokens["512 throughout"] / 3

# %% [markdown]
# **A rule of thumb** for operations: on the way forward each token meets each weight of a matrix
# once, with a multiplication and an addition. The backward pass costs twice as much. So a training
# run with T tokens and N weights takes
#
# **6 · N · T** floating-point operations ([**FLOPs**](../docs/glossary.md#beyond)).
#
# N are the weights in the layers' matrices. The token table is looked up, not multiplied.
#
# **A better count** also has the attention (which grows with S²), the masked-word head at the
# chosen places, and the pooler:


# %%
def training_flops(c, S, asked):
    """One row of S tokens, of which `asked` are chosen: forward, and twice that backward."""
    H, wide, L, V = c.hidden_size, c.intermediate_size, c.num_hidden_layers, c.vocab_size
    layers = L * (2 * S * (4 * H * H + 2 * H * wide) + 4 * S * S * H)
    heads = asked * 2 * (H * H + H * V) + 2 * H * H + 2 * H * 2
    return 3 * (layers + heads)


def weights_in_layers(c):
    return c.num_hidden_layers * (4 * c.hidden_size**2 + 2 * c.hidden_size * c.intermediate_size)


# %% [markdown]
# Is it correct? torch can count the products while it computes:

# %%
from torch.utils.flop_counter import FlopCounterMode

counted_model = bertedu.BertForPreTraining(sizes)
labels = torch.full((1, 128), -100)
labels[0, 1:20] = 7  # 19 places are asked
with FlopCounterMode(display=False) as counter:
    output = counted_model(torch.full((1, 128), 7), labels=labels, output_attentions=True,
                           next_sentence_label=torch.tensor([0]))  # fmt: skip
    output.loss.backward()
assert counter.get_total_flops() == training_flops(sizes, 128, 19)

# %% [markdown]
# The two counts are equal. Now BERT-base, beside a count by others: the authors of ELECTRA
# published a counter (google-research/electra, `flops_computation.py`; it takes the backward pass
# to cost as much as the forward one, and look-ups to be products).

# %% tags=["nbval-check-output"]
size = bertedu.BertConfig()
thumb = {name: 6 * weights_in_layers(size) * number for name, number in tokens.items()}
better = {
    "as in the paper": sum(
        number * training_flops(size, S, round(0.15 * S)) for S, number in schedule.items()
    ),
    "512 throughout": steps * rows * training_flops(size, 512, round(0.15 * 512)),
}
electra = {"as in the paper": 2.0e19, "512 throughout": 6.43e19}
for name in tokens:
    print(f"{name:16} 6·N·T {thumb[name]:.2e}   better {better[name]:.2e}   "
          f"ELECTRA's counter {electra[name]:.2e}")  # fmt: skip
    assert 1 < better[name] / thumb[name] < 1.2
    assert 0.7 < electra[name] / better[name] < 1.3

# %% [markdown]
# The three counts differ by at most a fifth: good enough for planning. (ELECTRA's own
# table gives 6.4 · 10¹⁹{=source google-research/electra, flops_computation.py} for BERT-base, as
# if all rows had 512 tokens. Always ask *which* schedule was counted: the factor is three.)
#
# ## 3. Hours and money
#
# Hours = operations / (devices × operations a second that each *really* does). In practice that
# is less than the data sheet says. So we take it from a published run, and test it on another.
#
# **The paper:** BERT-base on 4 Cloud TPUs, that is 16 chips, in 4 days.

# %% tags=["nbval-check-output"]
day = 24 * 3600
cost = better["as in the paper"]
tpu_chip = cost / (16 * 4 * day)
print(f"a TPU chip really did {tpu_chip / 1e12:.1f} trillion operations a second")

large = bertedu.BertConfig(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16,
                           intermediate_size=4096)  # fmt: skip
large_cost = sum(n * training_flops(large, S, round(0.15 * S)) for S, n in schedule.items())
days = large_cost / (64 * tpu_chip) / day
print(f"BERT-large is {large_cost / cost:.1f} times the work: on 64 chips {days:.1f} days")
assert 3 < days < 5

# %% [markdown]
# The paper says 4 days for BERT-large, on 64 chips: our estimate is within a fifth of that. Another
# source is Google's README of 2018. It says that BERT-base takes **about two weeks on a single
# (preemptible) Cloud TPU**, which has 4{=source google-research/bert, README} chips, and costs
# **about 500 dollars**.

# %% tags=["nbval-check-output"]
days_on_one = cost / (4 * tpu_chip) / day
dollars_an_hour = 500 / (14 * 24)
print(f"on one Cloud TPU: {days_on_one:.0f} days; at {dollars_an_hour:.2f} dollars an hour, "
      f"{days_on_one * 24 * dollars_an_hour:.0f} dollars")  # fmt: skip
assert 14 * 0.8 < days_on_one < 14 * 1.2

# %% [markdown]
# **Some years later.** MosaicML trained a plain Hugging Face BERT-base on 286,720,000 rows of 128
# tokens, without next sentence prediction, in about 11.5 hours on 8 A100 GPUs
# (mosaicml/examples, `benchmarks/bert`: README and `hf-bert-base-uncased.yaml`). Its price for
# these GPUs can be read off another figure: 1.13 hours on 8 of them for about
# 20{=source Portes et al. 2023, abstract} dollars
# (MosaicBERT's abstract).
#
# **Predict:** the paper's whole run on those 8{=given} GPUs: how many hours, how many dollars?

# %% tags=["nbval-check-output"]
mosaic = 286_720_000 * training_flops(size, 128, asked=128)  # their head runs at every place
a100 = mosaic / (8 * 11.5 * 3600)
hours = cost / (8 * a100) / 3600
dollars = hours * 20 / 1.13
print(f"an A100 really did {a100 / 1e12:.0f} trillion operations a second: "
      f"as many as {a100 / tpu_chip:.0f} TPU chips of 2018")  # fmt: skip
print(f"the paper's run on 8 A100: {hours:.0f} hours, {dollars:.0f} dollars")
assert 8 < hours < 16
assert 100 < dollars < 400

# %% [markdown]
# Half a day, and about 200{=dollars} dollars. And on this machine? Measure what it really does,
# with two
# layers of the course's own size:

# %%
two_layers = replace(bert.config, num_hidden_layers=2, vocab_size=2000)
here = bertedu.BertForPreTraining(two_layers)
ids = torch.randint(1000, 2000, (8, 128), generator=torch.Generator().manual_seed(0))
labels = torch.where(torch.arange(128) % 7 == 1, ids, -100)
seconds = []
for _ in range(3):
    began = time.perf_counter()
    here(ids, labels=labels).loss.backward()
    seconds.append(time.perf_counter() - began)
rate = 8 * training_flops(two_layers, 128, int((labels[0] != -100).sum())) / min(seconds)
print(f"this machine: {rate / 1e9:,.0f} billion operations a second; "
      f"BERT-base would take it {cost / rate / day / 365:,.1f} years")  # fmt: skip
assert cost / rate / day > 30

# %% [markdown]
# So one downloads a published model.
#
# ## 4. Deeper: several GPUs, several machines
#
# `bertedu pretrain` is an ordinary loop, and `accelerate` starts it once for each device. One
# process, and then eight on one machine:
#
#     BASE="--layers 12 --hidden-size 768 --batch-tokens 131072 --steps 1000000"
#
#     bertedu pretrain TEXT --out RUN $BASE
#
#     accelerate launch --multi_gpu --num_processes 8 --mixed_precision bf16 \
#         -m bertedu.commands.cli pretrain TEXT --out RUN $BASE
#
# On two machines with eight GPUs each, the same on both, but `--machine_rank 1` on the second; TEXT
# and RUN are on a disk that both see:
#
#     accelerate launch --multi_gpu --num_machines 2 --machine_rank 0 --num_processes 16 \
#         --main_process_ip ADDRESS_OF_THE_FIRST --main_process_port 29500 \
#         --mixed_precision bf16 -m bertedu.commands.cli pretrain TEXT --out RUN $BASE
#
# | changes | does not change |
# |---|---|
# | the rows that *one* process sees: every eighth | `--batch-tokens`: tokens of *all* together |
# | the time of a step | the batches, the masks, the learning rate, the steps |
# | numbers in their last digits | the losses |
#
# In many other programs the batch size is meant *for each process*. With eight processes a step
# then has eight times as many tokens, with a learning rate that was chosen for one. Ask for the
# [**global batch**](../docs/glossary.md#beyond).
#
# **What happens in a step?** Each process computes the gradient for its own rows; then the
# gradients are added. Here are three "processes" in turn, beside one that sees all rows.
#
# **Predict:** is the mean of the three losses the loss of the whole batch?

# %%
tokenizer = bert.tokenizer
texts = ["my dog is cute", "he likes playing", "calculus is a branch of math",
         "it was developed by newton and leibniz", "drops collide and fall as rain",
         "the hairball under the sofa is not the dog"]  # fmt: skip
batch = bertedu.collate([tokenizer.encode(text) for text in texts])
masked = mask_tokens(batch["input_ids"], tokenizer, torch.Generator().manual_seed(1),
                     attention_mask=batch["attention_mask"])  # fmt: skip
batch |= {"input_ids": masked.input_ids, "labels": masked.labels}


# %%
def gradient(part, share):
    model.zero_grad()
    loss = model(**part).mlm_loss * share
    loss.backward()
    return loss.item(), torch.cat([p.grad.flatten() for p in model.parameters()
                                   if p.grad is not None])  # fmt: skip


# %% tags=["nbval-check-output"]
model = original.eval()
parts = [{name: values[rank::3] for name, values in batch.items()} for rank in range(3)]
counted = [int((part["labels"] != -100).sum()) for part in parts]
whole_loss, whole = gradient(batch, 1)
shares = [number / sum(counted) for number in counted]
right = [gradient(part, share) for part, share in zip(parts, shares, strict=True)]
wrong = [gradient(part, 1 / 3) for part in parts]
print("chosen tokens of each process:", *counted)
for name, sums in {"by chosen tokens": right, "each a third": wrong}.items():
    gap = (sum(each for _, each in sums) - whole).norm() / whole.norm()
    same = gap < 1e-5
    kind = "the same" if same else "another"
    print(f"weighted {name + ':':17} {kind} gradient as of one process")
    assert same == (name == "by chosen tokens")

# %% [markdown]
# Not here, where the processes have different numbers of chosen tokens: in a mean of means, a
# token of a process with few of them counts more. `bertedu` weights each process's loss by the
# number of its chosen tokens. A test of the library holds two processes to the losses of one.
#
# **Does it fit?** Each process holds the weights, their gradients and Adam's two running means, in
# float32, and its share of the batch.

# %% tags=["nbval-check-output"]
with torch.device("meta"):
    parameters = sum(p.numel() for p in bertedu.BertForPreTraining(size).parameters())
print(f"BERT-base needs {parameters * 16 / 2**30:.1f} GiB in each process before the first token")
for processes in (1, 8, 16):
    print(f"processes: {processes:2}; tokens of each in a step: {131_072 // processes:7,}")
assert round(parameters * 16 / 2**30, 1) == 1.6
assert 256 * 512 == 131_072

# %% [markdown]
# (`bertedu pretrain` does not split a step any further. With one GPU the 131,072 tokens have to
# fit, or one takes a smaller global batch, and a smaller learning rate with it.)

# %% [markdown]
# ## 5. Deeper: RoBERTa, and is next sentence prediction worth it?
#
# Lesson 03 showed the tables: the paper lost 3.5 points on QNLI without next sentence prediction
# (NSP), RoBERTa's authors found no loss. We ask the question at a small size: two models,
# **with** and **without** the NSP loss, and *nothing else* different: the same rows, the same
# hidden tokens, the same first weights. A single pair of runs proves nothing, so we take three
# seeds.
#
# In a few seconds a model cannot learn English. So both begin with the course's token table,
# reduced from 384 numbers a token to 64{=kept} (its principal components).

# %%
from bertedu.data import HELD_OUT, TRAIN
from bertedu.pretraining.corpus import Corpus
from bertedu.tokenizer import SPECIAL_TOKENS

texts = [path.read_text("utf-8") for path in sorted(TRAIN.glob("*.txt"))]
known = {tokenizer.tokens[i] for ids in tokenizer.ids_batch(texts) for i in ids}
known |= set(string.ascii_lowercase + string.punctuation)
known |= {"##" + c for c in string.ascii_lowercase}

# %% tags=["nbval-check-output"]
small = bertedu.BertTokenizer([*SPECIAL_TOKENS, *sorted(known - set(SPECIAL_TOKENS))])
folder = tempfile.TemporaryDirectory()
train, held_out = (
    Corpus.build([str(text)], small, f"{folder.name}/{text.name}", progress=False)
    for text in (TRAIN, HELD_OUT)
)
print(f"{len(small):,} tokens in the vocabulary; {train}")

# %%
ids = [tokenizer.vocab[token] for token in small.tokens]
table = bert.model.bert.embeddings.word_embeddings.weight.detach()[ids]
table = table - table.mean(dim=0)
directions = torch.linalg.eigh(table.T @ table).eigenvectors[:, -64:]
squeezed = table @ directions
kept = float(squeezed.square().sum() / table.square().sum())
squeezed *= 0.1 / squeezed.std()
print(f"{kept:.0%} of the table's variance is kept in 64 of its 384 directions")
assert 0.2 < kept < 1

# %% [markdown]
# "Without NSP" is one line: every pair gets the label -100, so the loss leaves it out.

# %%
from bertedu import pretraining
from bertedu.pretraining import PretrainingData, Recipe


class WithoutNSP(PretrainingData):
    def batches(self, start=0):
        for batch in super().batches(start):
            yield batch | {
                "next_sentence_label": torch.full_like(batch["next_sentence_label"], -100)
            }


# %%
def fresh(seed):
    torch.manual_seed(seed)
    model = bertedu.BertForPreTraining(tiny)
    with torch.no_grad():
        model.bert.embeddings.word_embeddings.weight.copy_(squeezed)
    pretraining.set_token_frequencies(model, unigrams)
    return bertedu.Bert(model, small)


# %%
unigrams = pretraining.unigram_log_probs(train, len(small))
tiny = bertedu.BertConfig(
    vocab_size=len(small), hidden_size=64, num_hidden_layers=1, num_attention_heads=2,
    intermediate_size=256, max_position_embeddings=64, initializer_range=0.05,
    hidden_dropout_prob=0, attention_probs_dropout_prob=0)  # fmt: skip


def recipe(seed):
    return Recipe(steps=200, max_length=64, tokens_per_batch=512, learning_rate=3e-3,
                  warmup_steps=20, weight_decay=0.1, masking=MaskingRule(rate=0.3), seed=seed,
                  mlm_only=False)  # fmt: skip


unread = PretrainingData(held_out, small, Recipe(steps=1, max_length=64, seed=99, mlm_only=False))
test_batches = list(itertools.islice(unread.batches(), 40))

# %% [markdown]
# We measure two things for each model, both on held-out documents. The **masked words' loss**, and
# a **probe** (lesson 07): how often can a simple classifier tell from a frozen sentence vector
# which of 12 topics the sentence is about?


# %%
def sentences_of(folder, most):
    for topic, path in enumerate(sorted(folder.glob("*.txt"))):
        found = re.split(r"(?<=[.?])\s+", path.read_text("utf-8").strip())
        order = torch.randperm(len(found), generator=torch.Generator().manual_seed(topic))
        yield from ((found[i], topic) for i in order[:most].tolist())


@torch.no_grad()
def vectors(model, data):
    if len(data) > 100:  # in parts, for little memory
        return torch.cat([vectors(model, data[i : i + 100]) for i in range(0, len(data), 100)])
    batch = bertedu.collate([model.encode(text) for text, _ in data])
    real = batch["attention_mask"][:, :, None]  # [N, S, 1]
    states = model.model.bert(**batch).last_hidden_state * real  # [N, S, H], zeros at the padding
    return states.sum(dim=1) / real.sum(dim=1)


# %%
probe_train, probe_test = (list(sentences_of(*part)) for part in ((TRAIN, 50), (HELD_OUT, 1000)))
y, test_y = (torch.tensor([topic for _, topic in data]) for data in (probe_train, probe_test))


def probe(model):
    x, test_x = vectors(model, probe_train), vectors(model, probe_test)
    mean, std = x.mean(dim=0), x.std(dim=0) + 1e-6
    x, test_x = (x - mean) / std, (test_x - mean) / std
    targets = torch.nn.functional.one_hot(y, 12) - 1 / 12
    ridge = 0.3 * len(x) * torch.eye(x.shape[1])
    weights = torch.linalg.solve(x.T @ x + ridge, x.T @ targets)
    return float(((test_x @ weights).argmax(dim=-1) == test_y).float().mean())


# %% [markdown]
# **Predict:** which of the two will guess hidden words better? Which will know the topics better?
# By how much? (It takes about half a minute.)

# %%
threads = torch.get_num_threads()
torch.set_num_threads(1)
arms = {"with NSP": PretrainingData, "without": WithoutNSP}
marks = {name: [] for name in arms}  # [loss, probe, NSP accuracy] of each seed
read = dict.fromkeys(arms, 0)
for seed, name in itertools.product(range(3), arms):
    subject, r = fresh(seed), recipe(seed)
    run = pretraining.pretrain(subject.model, arms[name](train, small, r), r)
    read[name] += sum(report.tokens for report in run)
    result = pretraining.evaluate(subject.model.eval(), test_batches, unigrams)
    marks[name].append([result.mlm_loss, probe(subject), result.nsp_accuracy])
torch.set_num_threads(threads)
assert read["with NSP"] == read["without"]

# %%
start = pretraining.evaluate(fresh(0).model, test_batches, unigrams)
start_topics = probe(fresh(0))
print(f"{read['without'] // 3:,} tokens each; the unigram baseline: {start.unigram_loss:.2f} nats")
print("seed             loss, words  accuracy: topics, next sentence")
print(f"the start     {start.mlm_loss:8.2f} nats {start_topics:8.1%} {start.nsp_accuracy:13.1%}")
for name, results in marks.items():
    for seed, (loss, topics, pairs) in enumerate(results):
        print(f"{seed}  {name:10}{loss:8.2f} nats {topics:8.1%} {pairs:13.1%}")
        assert loss < start.unigram_loss - 0.1
        assert min(topics, start_topics) > 3 / 12
with_nsp, without = (np.array(marks[name]) for name in arms)
assert abs(with_nsp[:, 2].mean() - 0.5) < 0.05  # a coin

# %% [markdown]
# **The verdict.** Take the difference *seed by seed* (the two runs of a seed share everything but
# the loss). With three differences, their mean is uncertain by 4.30 · s / √3, in 95 of 100 cases
# (Student's t with 2{=definition} degrees of freedom; s is their standard deviation).


# %%
def verdict_on(differences, unit):
    mean, half = differences.mean(), 4.30 * differences.std(ddof=1) / len(differences) ** 0.5
    clear = "a difference" if abs(mean) > half else "no difference that three seeds could show"
    return mean, half, f"{mean:+.3f} {unit} ± {half:.3f}: {clear}"


difference = without - with_nsp
loss_change, loss_band, loss_words = verdict_on(difference[:, 0], "nats")
topic_change, topic_band, topic_words = verdict_on(100 * difference[:, 1], "points")
print("leaving NSP out changes\n  the masked words' loss by ", loss_words)
print("  the accuracy on topics by", topic_words)
gained = start.unigram_loss - with_nsp[:, 0].mean()
assert abs(loss_change) < gained / 3
assert abs(topic_change) < 10  # points
assert np.concatenate([with_nsp, without])[:, 1].mean() < start_topics + 0.05

# %% [markdown]
# Both are better than the unigram baseline, and the NSP loss changes the masked words' loss by
# little beside what was learned. The topics were in the token table from the start, and the
# training added none. So no harm was *shown*. That agrees with RoBERTa, but it is **weak**
# evidence:
#
# - In so few steps NSP itself is not learned: its accuracy is that of a coin.
#   Lesson 07 needed minutes for that. So we did not test what NSP is worth *once it is learned*.
# - The models are tiny, the text is short, and we measured two things. An effect like QNLI's, where
#   *pairs* of sentences matter, could not have shown here.
#
# RoBERTa took away the loss **and** filled its rows with running text instead of pairs. Its
# authors suspect that BERT's own comparison took away the loss only (§4.2). So "without NSP" can
# name different experiments.
#
# ## 6. ModernBERT, part by part
#
# ModernBERT (Warner et al. 2024) put together what had been found since. Its sizes, as in the
# published configuration of ModernBERT-base:

# %% tags=["nbval-check-output"]
H, layers, wide, vocabulary, longest, window, every = 768, 22, 1152, 50_368, 8192, 128, 3
layer = 4 * H * H + 3 * H * wide + 2 * H  # attention, feed-forward, two LayerNorms; no biases
all_layers = layers * layer - H  # the first LayerNorm would repeat that of the embeddings
modern = vocabulary * H + H + all_layers + H
print(f"ModernBERT-base: {modern:,} parameters, {vocabulary * H / modern:.0%} in the token table")
assert round(modern / 1e6) == 149
assert layers > size.num_hidden_layers
assert wide < size.intermediate_size

# %% [markdown]
# It has more layers than BERT-base (22{=longest} instead of 12{=paper}), and their feed-forward
# networks are narrower.
#
# ### Rotary positions instead of a table
#
# BERT *adds* a learned vector for each position, once. [**Rotary position
# embeddings**](../docs/glossary.md#beyond) *turn* queries and keys, in every layer. The numbers of
# a vector are taken in pairs, and each pair is turned by an angle that grows with the position,
# fast for some pairs and slowly for others.
#
# **Predict:** a query stands two places after a key. Both move on by 4,000 places. How does their
# dot product change?


# %%
def rotate(x, position, theta=160_000.0):  # theta as in ModernBERT's global layers
    D = x.shape[-1]
    angle = position / theta ** (torch.arange(0, D, 2, dtype=x.dtype) / D)  # [D / 2]
    one, other = x[..., ::2], x[..., 1::2]
    turned = (one * angle.cos() - other * angle.sin(), one * angle.sin() + other * angle.cos())
    return torch.stack(turned, dim=-1).flatten(-2)


# %% tags=["nbval-check-output"]
query, key = torch.randn(2, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
for m, n in ((3, 1), (4003, 4001), (3, 2)):
    print(f"query at {m:4}, key at {n:4}: {float(rotate(query, m) @ rotate(key, n)):8.4f}")
near, far, other = (rotate(query, m) @ rotate(key, n) for m, n in ((3, 1), (4003, 4001), (3, 2)))
assert torch.isclose(near, far)
assert not torch.isclose(near, other)
assert torch.isclose(rotate(query, 4003).norm(), query.norm())

# %% [markdown]
# It does not change: turning both by the same angle changes no dot product, so only the
# **distance** counts. There are no parameters, and no last row, while BERT's table has no vector
# for a 513th{=definition} token. (This does not mean that a model *works* at lengths it was never
# trained on.)
#
# ### Local layers between global ones
#
# At 8,192{=longest} tokens, lesson 06's small S² part becomes the large one. So only every third
# layer looks
# at everything. In the others, the [**local layers**](../docs/glossary.md#beyond), each token sees
# 64{=source Warner et al. 2024, arXiv:2412.13663} neighbours on either side.
#
# **Predict:** how much of the S² work remains?

# %% tags=["nbval-check-output"]
place = torch.arange(longest)
first, last = (place - window // 2).clamp(min=0), (place + window // 2).clamp(max=longest - 1)
seen = int((last - first + 1).sum())  # pairs in a local layer
kinds = ["global" if i % every == 0 else "local" for i in range(layers)]
pairs = {"global": longest**2, "local": seen}
remains = sum(pairs[kind] for kind in kinds) / (layers * longest**2)
squared, dense = 4 * longest * H, 2 * (4 * H * H + 3 * H * wide)  # a token, a layer
print(kinds.count("global"), "global layers,", kinds.count("local"), "local ones")
print(f"with global layers only, the S x S part is {squared / (squared + dense):.0%} of all work")
print(f"with local layers between them, {remains:.0%} of that part remains")
assert squared > dense
assert 0.3 < remains < 0.4

# %%
figure, both = plt.subplots(1, 2, figsize=(6.4, 3.4))
small_place = torch.arange(48)
for axes, kind, reach in zip(both, ("global", "local"), (48, 6), strict=True):
    looks = (small_place[:, None] - small_place).abs() <= reach
    axes.imshow(looks, cmap="Blues", vmin=0, vmax=1.4)
    axes.set(title=f"a {kind} layer", xlabel="key", ylabel="query", xticks=[], yticks=[])
figure.suptitle("Which token looks at which (48 tokens; local: 6 on either side)", fontsize=10)
assert seen < 0.016 * longest**2

# %% [markdown]
# Little more than a third. Distant words still meet: a global layer joins any two in one step. With
# local layers alone, information from the first token would reach the last after 128 layers.

# %% tags=["nbval-check-output"]
print(math.ceil((longest - 1) / (window // 2)), "local layers from the first token to the last")
scores = size.num_attention_heads * longest**2 * 2 / 2**30
print(f"the scores of one global layer, 16 bits each, take {scores:.1f} GiB")
assert math.ceil((longest - 1) / (window // 2)) == 128 > layers
assert scores == 1.5

# %% [markdown]
# ### Unpadding
#
# Rows of different lengths are padded to the longest, and all dense layers work on padding, too.
# [**Unpadding**](../docs/glossary.md#beyond) puts the real tokens of a batch one after the other;
# only the attention has to keep the inputs apart. Here are 14{=uneven} held-out sentences, and two
# whole
# documents.

# %% tags=["nbval-check-output"]
text = "\n\n".join(path.read_text("utf-8").strip() for path in sorted(HELD_OUT.glob("*.txt")))
document, sentences = text.split("\n\n"), re.split(r"(?<=[.?])\s+", text)
uneven = bertedu.collate([tokenizer.encode(text) for text in sentences[:14] + document[:2]])
real, encoder = uneven["attention_mask"].bool(), bert.model.bert
with torch.inference_mode():
    padded = encoder(**uneven).last_hidden_state
    packed = encoder.embeddings(uneven["input_ids"], uneven["token_type_ids"])[real]  # [N, H]
    for layer in encoder.encoder.layer:
        texts = packed.split(real.sum(dim=1).tolist())
        mixed = torch.cat([layer.attention.self(one[None], None, False)[0][0] for one in texts])
        packed = layer.attention.output(mixed, packed)
        packed = layer.output(layer.intermediate(packed), packed)
print(f"{real.numel():,} positions, {int(real.sum()):,} real tokens: "
      f"{1 - real.float().mean():.0%} of the dense work saved")  # fmt: skip
assert torch.allclose(padded[real], packed, atol=1e-4)
assert real.float().mean() < 0.4

# %% [markdown]
# The same vectors at every real token, with a fifth of the dense work. In training, the library
# saves work another way: it puts inputs of similar length into one batch.
#
# ### GeGLU: a gate in the feed-forward network
#
# BERT's feed-forward network is a dense layer, GELU, and a dense layer back. GeGLU has two first
# layers: GELU is applied to the one, and the result is multiplied with the other, the
# [**gate**](../docs/glossary.md#beyond).


# %%
class GeGLU(torch.nn.Module):
    def __init__(self, H, wide):
        super().__init__()
        self.out = torch.nn.Linear(H, 2 * wide, bias=False)
        self.back = torch.nn.Linear(wide, H, bias=False)

    def forward(self, x):
        value, gate = self.out(x).chunk(2, dim=-1)
        return self.back(torch.nn.functional.gelu(value) * gate)


# %% tags=["nbval-check-output"]
with torch.device("meta"):
    gated = sum(p.numel() for p in GeGLU(H, wide).parameters())
print(f"BERT-base {2 * H * 3072:,} weights a layer, GeGLU {gated:,}")
assert gated == 3 * H * wide < 2 * H * 3072

# %% [markdown]
# A gate **multiplies** two things that the layer has found, as long as the first is clearly
# positive (GELU makes clearly negative numbers nearly 0). A single gated unit can compute
# 5 × 3{=given}:

# %% tags=["nbval-check-output"]
multiply = GeGLU(2, 1)
with torch.no_grad():
    multiply.out.weight.copy_(torch.eye(2))  # the value is the first number, the gate the second
    multiply.back.weight.copy_(torch.tensor([[1.0], [0.0]]))
    for a, b in ((5.0, 3.0), (4.0, -2.0)):
        product = float(multiply(torch.tensor([a, b]))[0])
        print(f"{a:.0f} times {b:.0f} is {product:.2f}")
        assert abs(product - a * b) < 0.01

# %% [markdown]
# ### 30 % instead of 15 %
#
# With more hidden tokens there are more questions a row, and fewer words left to answer them
# from:

# %%
shown = bertedu.collate([tokenizer.encode(text) for text in sentences[:150]])
asked, right = {}, {}
for rate in (0.15, 0.3, 0.6):
    masked = mask_tokens(shown["input_ids"], tokenizer, torch.Generator().manual_seed(0),
                         MaskingRule(rate), shown["attention_mask"])  # fmt: skip
    with torch.inference_mode():
        states = bert.model.bert(masked.input_ids, attention_mask=shown["attention_mask"])
        asking = states.last_hidden_state[masked.labels != -100].split(256)  # for little memory
        guesses = torch.cat([bert.model.cls.predictions(part).argmax(dim=-1) for part in asking])
    truth = masked.labels[masked.labels != -100]
    asked[rate], right[rate] = len(truth), float((guesses == truth).float().mean())
    print(f"{rate:.0%} hidden: {asked[rate]:5,} questions, accuracy {right[rate]:.0%}")
assert 1.7 < asked[0.3] / asked[0.15] < 2.2
assert right[0.15] > right[0.3] > right[0.6]
assert right[0.15] - right[0.3] < right[0.3] - right[0.6]

# %% [markdown]
# Twice the questions cost some accuracy; four times cost more. ModernBERT took 30 %, the course's
# own training mostly 20 % (its card says so); Wettig et al. 2022 found 40 % better than 15 % for
# *large* models. ModernBERT also leaves out next sentence prediction: its authors call it overhead
# without a gain.
#
# ## 7. Vectors for search
#
# To find similar sentences, one compares vectors. BERT could judge each pair together, as in lesson
# 10, but for the most similar pair among 10,000 sentences that is about 50 million runs (Reimers
# and Gurevych 2019, abstract). With one vector a sentence, it is
# 10,000{=source Reimers and Gurevych 2019, abstract} runs and then only dot
# products.
#
# The vector is the mean of the token vectors, padding left out (`vectors` of section 5 computes
# it). Here are ten answers of a library's FAQ, and for each a question in other words. The search
# is correct where the answer has the largest cosine of all ten.
#
# **Predict:** for how many of the ten questions does the right answer stand first? By chance it is
# one.

# %%
FAQ = """When can I come in the morning? / The library opens at nine and closes at six.
How long may I borrow a novel? / You may keep a book for four weeks.
I cannot find my card any more. What must I pay? / A lost card costs five euros.
Can my daughter join by herself? / Children under twelve need a parent's signature.
Is there wifi? / The reading room has free internet.
May I eat my sandwich inside? / Please leave food and drinks outside.
You do not have the title that I want. / You can order books from other towns.
Where do I put what I have finished reading? / Returned books go into the box at the entrance.
What is the price of printing? / Copies cost ten cents a page.
I use a wheelchair. Can I get in? / The building has a lift and no stairs at the door."""
faq_questions, faq_answers = zip(*(line.split(" / ") for line in FAQ.splitlines()), strict=True)


# %%
unit = [torch.nn.functional.normalize(vectors(bert, [(text, 0) for text in texts]), dim=1)
        for texts in (faq_questions, faq_answers)]  # fmt: skip
bags = [
    [set(re.findall(r"\w+", text.lower())) for text in texts]
    for texts in (faq_questions, faq_answers)
]
shared_words = torch.tensor([[len(a & b) / len(a | b) for b in bags[1]] for a in bags[0]])
similar_by = {"mean vectors": unit[0] @ unit[1].T, "shared words": shared_words}  # [10, 10] each

# %%
first_by = {}
for name, similar in similar_by.items():
    places = (similar >= similar.diagonal()[:, None]).sum(dim=1)  # of the correct answers
    first_by[name] = int((places == 1).sum())
    print(f"{name}: the correct answer is first for {first_by[name]} of 10 questions;",
          "its places in the ten lists:", *places.tolist())  # fmt: skip
assert 1 < first_by["mean vectors"] < len(faq_questions) == 10
assert first_by["mean vectors"] > first_by["shared words"]

# %% [markdown]
# This is not good enough for a library. It found more than counting shared words did, but ten
# questions cannot show so small a difference. The encoder of our model once was made for such
# vectors (all-MiniLM-L6-v2), but it was then pretrained further for other tasks. So for search
# take a model that was *trained* for it: on seven sets, the mean of BERT's own vectors reaches a
# rank correlation of 0.55 with human judgements, less than the mean of plain word vectors (GloVe,
# 0.61), and 0.75 after training on pairs (Reimers and Gurevych 2019, Table 1).
#
# ## 8. Distillation: a small model learns from a large one
#
# **Distillation** trains a small **student** on what a large **teacher** answers. The teacher's
# probabilities say more than a label: they also say which wrong answers are nearly correct. A
# **temperature** T divides the logits before the softmax, so that these small probabilities get
# larger. The loss is the cross-entropy to the softened probabilities; the factor T² keeps its
# gradients about as large as without T (Hinton et al. 2015, arXiv:1503.02531).


# %%
def distillation_loss(student, teacher, T=2.0):
    """From logits [N, K] of both: the student is to give the teacher's probabilities."""
    soft = (teacher / T).softmax(dim=-1)
    log_p = (student / T).log_softmax(dim=-1)
    return -(soft * log_p).sum(dim=-1).mean() * T**2


# %%
def fit_linear(x, loss_of):
    torch.manual_seed(0)
    linear = torch.nn.Linear(x.shape[1], 12)
    optimizer = torch.optim.Adam(linear.parameters(), lr=0.02)
    for _ in range(150):
        optimizer.zero_grad()
        loss_of(linear(x)).backward()
        optimizer.step()
    return linear


# %% [markdown]
# A toy example, with the 12 topics of section 5. The teacher is a linear classifier on BERT's
# sentence vectors. Only 5 sentences a topic have a label, and the teacher learns from these. A
# student is a bag of words, without BERT. One student learns from the same labels. The other
# reads 50 sentences a topic (the 5{=few} are among them) *without* labels, and learns what the
# teacher answers.
#
# **Predict** three accuracies on held-out sentences: of the teacher, of the student that learns
# from the 60 labels, and of the student that learns from the teacher's answers.

# %%
few, many, unseen = (
    list(sentences_of(*part)) for part in ((TRAIN, 5), (TRAIN, 50), (HELD_OUT, 20))
)
bert_few, bert_many, bert_unseen = (vectors(bert, data) for data in (few, many, unseen))


def bag_of_words(data):
    rows = torch.zeros(len(data), len(small))
    for row, (text, _) in zip(rows, data, strict=True):
        row[small.ids(text)] = 1
    return rows


# %%
few_topics, unseen_topics = (torch.tensor([topic for _, topic in d]) for d in (few, unseen))


def label_loss(logits):
    return torch.nn.functional.cross_entropy(logits, few_topics)


teacher = fit_linear(bert_few, label_loss)
with torch.no_grad():
    teacher_logits = teacher(bert_many)  # no labels are needed here
from_labels = fit_linear(bag_of_words(few), label_loss)
distilled = fit_linear(bag_of_words(many), lambda x: distillation_loss(x, teacher_logits))

# %%
topic_names = [path.stem.replace("_", " ") for path in sorted(TRAIN.glob("*.txt"))]
print(many[7][0])
for T in (1, 2, 4):
    best = (teacher_logits[7] / T).softmax(dim=-1).topk(3)
    print(f"  T = {T}:", "; ".join(f"{topic_names[i]} {p:.1%}" for p, i in zip(*best, strict=True)))

# %%
words_of_unseen = bag_of_words(unseen)
judged = {"teacher, on BERT's vectors": teacher(bert_unseen),
          "student, 60 labels": from_labels(words_of_unseen),
          "student, distilled": distilled(words_of_unseen)}  # fmt: skip
reached = {}
for name, logits in judged.items():
    reached[name] = float((logits.argmax(dim=-1) == unseen_topics).float().mean())
    print(f"{name:27} accuracy {reached[name]:.1%} on {len(unseen)} held-out sentences")
assert reached["student, 60 labels"] + 0.04 < reached["student, distilled"]
assert reached["student, distilled"] < reached["teacher, on BERT's vectors"]

# %% [markdown]
# The distilled student saw no label itself, but ten times as many sentences. It is better than
# the one that learned from the 60 labels, and not as good as its teacher.
#
# **DistilBERT** (Sanh et al. 2019, arXiv:1910.01108) does this in pretraining. The teacher is
# BERT-base, the student has half its layers and starts from some of the teacher's weights. To the
# distillation loss it adds the masked-LM loss and a loss that makes the hidden states of both
# similar. Its authors report that it is 40 % smaller and 60 % faster, and keeps 97
# %{=source Sanh et al. 2019, arXiv:1910.01108} of BERT's
# language understanding. (Our own model descends from a distilled one: MiniLM, Wang et al. 2020,
# arXiv:2002.10957.)
#
# ## 9. What to read next
#
# - Devlin et al. 2019, arXiv:1810.04805. BERT itself.
# - Vaswani et al. 2017, arXiv:1706.03762. The Transformer, of which BERT is the encoder.
# - Liu et al. 2019, arXiv:1907.11692. RoBERTa: the same model, trained with more care.
# - Lan et al. 2020, arXiv:1909.11942. ALBERT: why next sentence prediction is easy, and what to ask
#   instead.
# - Wettig et al. 2022, arXiv:2202.08005. What the masking rate does, and why 15 % is no law.
# - Warner et al. 2024, arXiv:2412.13663. ModernBERT: the parts of section 6, put together.
# - Izsak et al. 2021, arXiv:2104.07705. How to train a BERT with one server in
#   24{=source Izsak et al. 2021, arXiv:2104.07705} hours.
# - Geiping and Goldstein 2022, arXiv:2212.14034. The same with one GPU in one day: what helps, and
#   what does not.
# - Clark et al. 2019, arXiv:1906.04341. What the heads look at; lesson 05's experiments on the real
#   model.
# - Jain and Wallace 2019, arXiv:1902.10186. Why attention need not be an explanation.
# - Wiegreffe and Pinter 2019, arXiv:1908.04626. The answer: it depends on what one calls an
#   explanation.
# - Tenney et al. 2019, arXiv:1905.05950. Which layer knows what: grammar below, meaning above.
# - Reimers and Gurevych 2019, arXiv:1908.10084. How to get sentence vectors that can be compared.
# - Mosbach et al. 2021, arXiv:2006.04884. Why fine-tuning fails at times, and how to avoid that.
# - Dodge et al. 2020, arXiv:2002.06305. How much depends on the seed.
# - Rajpurkar et al. 2016, arXiv:1606.05250. SQuAD, with the precipitation passage of the lecture
#   notes.
#
# ## Recap
#
# - A published BERT loads by name, or from a folder where there is no network.
# - A run costs about **6 · N · T** operations. Take real rates from published runs, and test the
#   estimate on another run before you believe it.
# - Many processes share one **global batch**; losses are weighted by what they counted, and the
#   result is that of a single process.
# - Judge a part of a method by an experiment with several seeds. It may be too small to show a
#   difference.
# - ModernBERT: rotary positions, local and global layers, unpadding, GeGLU, 30
#   %{=source Warner et al.
#   2024, arXiv:2412.13663} hidden, no next sentence prediction, 8,192{=longest} tokens.
# - Mean vectors make search quick; a model must be trained for it. Distillation trains a small
#   model on a large one's probabilities.
#
# **The answer:** The paper's BERT-base costs some hours on eight GPUs today, about 200{=dollars}
# dollars. ModernBERT keeps the encoder and changes positions, attention, padding, gates, masking
# and size.

# %% [markdown]
# ## Test yourself
#
# Choose an answer: a click opens its explanation.
#
# **1. By which rule do you estimate the operations of a training run with N weights and T tokens?**
#
# <details class="option"><summary>A. N · T.</summary>
#
# **No.** Each weight multiplies and adds, and the backward pass costs twice as much as the forward
# pass.
#
# </details>
#
# <details class="option"><summary>B. 2 · N · T.</summary>
#
# **No.** That is the forward pass only: one multiplication and one addition.
#
# </details>
#
# <details class="option"><summary>C. 6 · N · T.</summary>
#
# **Yes.** 2 for the forward pass and 4{=definition} for the backward pass.
#
# </details>

# %% [markdown]
# **2. Eight processes share a global batch of 131,072 tokens. How many tokens does one process have
# at a step?**
#
# <details class="option"><summary>A. 131,072.</summary>
#
# **No.** That is the global batch, of all processes together.
#
# </details>
#
# <details class="option"><summary>B. 16,384.</summary>
#
# **Yes.** An eighth. The learning rate and the number of steps stay the same.
#
# </details>
#
# <details class="option"><summary>C. 1,048,576.</summary>
#
# **No.** That would be so if the batch were meant for each process, as in many other programs.
#
# </details>

# %% [markdown]
# **3. In distillation, what does the student learn from?**
#
# <details class="option"><summary>
# A. The teacher's probabilities, softened by a temperature.
# </summary>
#
# **Yes.** They also say which wrong answers are nearly correct.
#
# </details>
#
# <details class="option"><summary>B. The teacher's weights.</summary>
#
# **No.** DistilBERT starts from some of them, but what it learns from are outputs.
#
# </details>
#
# <details class="option"><summary>C. Only the true labels.</summary>
#
# **No.** That would be ordinary training. Distillation adds what the teacher says.
#
# </details>
#
# <details class="option"><summary>D. The teacher's gradients.</summary>
#
# **No.** The teacher is frozen. It has no gradients.
#
# </details>

# %% [markdown]
# ## Exercises
#
# Replace each `...` by your answer, and run the cell and the next one.


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
# **1.** You take twice as many rows a step and half as many steps. By which factor does the number
# of operations change?

# %%
# BEGIN SOLUTION
factor = 1
# END SOLUTION

# %% tags=["nbval-check-output"]
verdict(factor, (steps // 2) * (2 * 256) / (steps * 256))

# %% [markdown] tags=["solution"]
# *Why:* 6 · N · T knows only the tokens. (What is *learned* from them is another question: there
# are half as many updates.)

# %% [markdown]
# **2.** With rotary positions, a query at 100 and a key at 90 have some score. Where must the key
# stand so that a query at 5,000 has the same score with it?

# %%
# BEGIN SOLUTION
where = 4_990
# END SOLUTION

# %% tags=["nbval-check-output"]
verdict(where, 5_000 - (100 - 90))

# %% [markdown] tags=["solution"]
# *Why:* only the distance counts, here 100 - 90 = 10, and its direction.

# %% [markdown]
# **3.** `accelerate launch` with 16 processes, `--batch-tokens 131072`, 1,000 steps. How many
# tokens at most has the model read in all?

# %%
# BEGIN SOLUTION
read_in_all = 131_072_000
# END SOLUTION

# %% tags=["nbval-check-output"]
verdict(read_in_all, 131_072 * 1_000)

# %% [markdown] tags=["solution"]
# *Why:* the batch is the global one; the processes share it. (16 times as many would be correct for
# programs whose batch is meant for each process.)

# %% [markdown]
# ### Complete
#
# **4.** What does a run cost? `flops` operations, on devices that do `rate` operations a second and
# cost `price` dollars an hour. *Hint:* why does the number of devices not matter?


# %%
def dollars_for(flops, rate, price):
    # BEGIN SOLUTION
    return flops / rate / 3600 * price
    # END SOLUTION


# %% tags=["nbval-check-output"]
answer = dollars_for(6e19, 1e14, 2.0)
verdict(answer if answer is ... else round(answer), 333)

# %% [markdown] tags=["solution"]
# *Why:* twice as many devices need half the time and cost twice as much an hour. (In practice they
# also wait for each other, so it costs a little more.)

# %% [markdown]
# **5.** Reverse the rule of thumb: how many tokens can be read with `flops` operations?


# %%
def tokens_for(flops, weights):
    # BEGIN SOLUTION
    return flops / (6 * weights)
    # END SOLUTION


# %% tags=["nbval-check-output"]
answer = tokens_for(1e19, 85_000_000)
verdict(answer if answer is ... else round(answer / 1e9, 1), 19.6)

# %% [markdown] tags=["solution"]
# *Why:* T = FLOPs / (6 · N): about 19.6 billion{=verdict} tokens, somewhat less than half of the
# paper's 42.6.

# %% [markdown]
# **6.** The mask of a local layer, `[S, S]`, True where a query may look at a key: itself and
# `reach` neighbours on either side.


# %%
def local_mask(S, reach):
    place = torch.arange(S)
    # BEGIN SOLUTION
    return (place[:, None] - place[None, :]).abs() <= reach
    # END SOLUTION


# %% tags=["nbval-check-output"]
answer = local_mask(6, 1)
verdict(answer if answer is ... else answer.int().sum(dim=1).tolist(), [2, 3, 3, 3, 3, 2])

# %% [markdown] tags=["solution"]
# *Why:* a token at the edge has neighbours on one side only. `attend` of lesson 05 takes such a
# mask as it is.

# %% [markdown]
# ### Build
#
# **7.** How many layers does it take until information from the first token can have reached the
# last one? `kinds` is a list of "global" and "local". Return the number of layers, or None if all
# of them are not enough. *Hint:* how far has it come after each layer?


# %%
def layers_needed(kinds, S, reach):
    # BEGIN SOLUTION
    furthest = 0
    for number, kind in enumerate(kinds, 1):
        furthest = S - 1 if kind == "global" else furthest + reach
        if furthest >= S - 1:
            return number
    return None
    # END SOLUTION


# %% tags=["nbval-check-output"]
cases = [["local"] * 200, ["local"] * 22, kinds, ["local", "local", "global"]]
answers = [layers_needed(case, 8192, 64) for case in cases]
verdict(... if ... in answers else answers, [128, None, 1, 3])

# %% [markdown] tags=["solution"]
# *Why:* each local layer carries it 64{=layers_needed} places on; a global one carries it to any
# place at once.

# %% [markdown]
# **8.** Sentence order prediction (ALBERT): from neighbouring sentences make pairs
# `(A, B, label)`, label 0 in order and 1 swapped, so that every second pair is swapped, beginning
# with one in order.


# %%
def order_pairs(sentences):
    # BEGIN SOLUTION
    neighbours = itertools.pairwise(sentences)
    return [(b, a, 1) if i % 2 else (a, b, 0) for i, (a, b) in enumerate(neighbours)]
    # END SOLUTION


# %% tags=["nbval-check-output"]
verdict(order_pairs(["a", "b", "c", "d"]), [("a", "b", 0), ("c", "b", 1), ("c", "d", 0)])

# %% [markdown] tags=["solution"]
# *Why it is harder than next sentence prediction:* both kinds of pairs have the same words, so the
# topic gives nothing away. Lesson 03 showed that the model has not learned the order.

# %% [markdown]
# **9.** (Without a check.) You have 100 dollars. From section 3, what could you train, and how
# would you know afterwards whether it was worth it?

# %% [markdown] tags=["solution"]
# *A model answer.* At 20 dollars for 1.13 hours on 8 A100, 100 dollars buy some 100/20 · 1.13 =
# 5.7 hours: half of the paper's run for BERT-base, or a smaller model for longer. First one would
# write down the purpose, and compare with what costs nothing: a published model, fine-tuned on
# the same examples, with several seeds. Training anew may be worth it where no published model
# has read such text (another language, another field); this comparison shows it.
