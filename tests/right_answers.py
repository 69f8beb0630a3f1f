"""Right answers as readers write them: loops, numpy or lists, beside the course's solutions."""

import argparse
import itertools
import math
import re
import string
from collections import Counter, defaultdict
from fractions import Fraction

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import bertedu

IGNORED = -100
BERT = bertedu.load_tokenizer()


def longest_for_bert(texts):
    best, most = texts[0], 0
    for text in texts:
        tokens = len(BERT.encode(text).tokens)
        if tokens > most:
            best, most = text, tokens
    return best


def with_piece(words, piece):
    words = list(words)
    if piece[:2] == "##":
        words[-1] += piece[2:]
    else:
        words.append(piece)
    return words


def word_numbers(pieces):
    return np.cumsum([not piece.startswith("##") for piece in pieces]) - 1


def frequency_scores(splits, counts):
    scores = defaultdict(int)
    for word in splits:
        pieces = splits[word]
        for i in range(len(pieces) - 1):
            scores[pieces[i], pieces[i + 1]] += counts[word]
    return scores


def fewest_pieces(word):
    best = {0: 0}
    for end in range(1, len(word) + 1):
        for start in range(end):
            piece = word[start:end] if start == 0 else "##" + word[start:end]
            if start in best and piece in BERT.vocab:
                best[end] = min(best.get(end, math.inf), best[start] + 1)
    return best[len(word)]


def touched(encoding, start, end):
    found = []
    for i in range(len(encoding.offsets)):
        left, right = encoding.offsets[i]
        if max(left, start) < min(right, end):
            found.append(i)
    return found


def labels_of(ids, fates):
    labels = ids.clone()
    labels[fates == 0] = IGNORED
    return labels


def masked_lm_loss(log_p, labels):
    total = number = 0
    for i in range(len(labels)):
        if labels[i] != -100:
            total -= log_p[i, labels[i]].item()
            number += 1
    return total / number


def is_80_10_10(fates):
    fates = fates.numpy()
    chosen = fates[fates > 0]
    shares = np.bincount(chosen, minlength=4)[1:] / len(chosen)
    p = np.array([0.8, 0.1, 0.1])
    return bool((np.abs(shares - p) <= 4 * np.sqrt(p * (1 - p) / len(chosen))).all())


def choose(candidates, count, generator):
    return torch.tensor(candidates)[torch.randperm(len(candidates), generator=generator)[:count]]


def segments_of(ids, sep):
    segment, row = 0, []
    for token in ids:
        row.append(segment)
        if token == sep:
            segment = 1
    return row


def balanced(labels):
    left = {0: 0, 1: 0}
    most = min(list(labels).count(0), list(labels).count(1))
    kept = []
    for i, label in enumerate(labels):
        left[int(label)] += 1
        if left[int(label)] <= most:
            kept.append(i)
    return kept


def swap(pair):
    a, b, c, d, _ = pair.item()
    other = pair.copy()
    other["a_start"], other["a_end"], other["b_start"], other["b_end"] = c, d, a, b
    other["next_sentence_label"] = 1
    return other


def false_negatives(pairs):
    a, b, label = np.array(pairs).T
    return (b[label == 1] == a[label == 1] + 1).mean()


def layer_norm(x, eps=1e-12):
    return (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, unbiased=False) + eps) ** 0.5


def cosine(one, other):
    one, other = one.numpy(), other.numpy()
    return np.dot(one, other) / np.linalg.norm(one) / np.linalg.norm(other)


def position_of(tables, vector, segment_id):
    best = None
    for position in range(64):  # the text says below 64
        rest = vector - tables["segment"][segment_id] - tables["position"][position]
        distance = (tables["token"] - rest).norm(dim=1).min().item()
        if best is None or distance < best[0]:
            best = distance, position
    return best[1]


def shift_difference(model, ids, shift):
    front = torch.tensor([0] * shift + ids.tolist())
    mask = (torch.arange(len(front)) >= shift).long()
    with torch.no_grad():
        before = model(ids.unsqueeze(0)).last_hidden_state[0].numpy()
        after = model(front.unsqueeze(0), attention_mask=mask.unsqueeze(0)).last_hidden_state[0]
    return np.abs(before - after[shift:].numpy()).max()


def softmax(scores):
    scores = scores.numpy()
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def entropy(probs):
    return torch.special.entr(probs).sum(-1)


def heads_of(states, A):
    return torch.stack(states.chunk(A, dim=1))


def masked_attention(q, k, v, mask):
    contexts = []
    for head in range(q.shape[0]):
        keys, values = k[head][mask], v[head][mask]
        scores = (q[head] @ keys.T) / q.shape[2] ** 0.5
        contexts.append(torch.softmax(scores, -1) @ values)
    return torch.stack(contexts)


def steadiest_head(one, other):
    change = np.abs(one.numpy() - other.numpy()).max(axis=(2, 3))
    return np.unravel_index(change.argmin(), change.shape)


def mask_for_keys(real):
    return real.unsqueeze(1).unsqueeze(1)


def joint_loss(word_logits, word_labels, pair_logits, pair_labels):
    V = word_logits.shape[-1]
    words = F.cross_entropy(word_logits.reshape(-1, V), word_labels.reshape(-1), ignore_index=-100)
    return words + F.cross_entropy(pair_logits, pair_labels)


def share_of_peak(step, warmup, steps):
    return min((step + 1) / warmup, (steps - step) / (steps - warmup))


def unigram_loss(training_ids, test_ids, V):
    counts = Counter(training_ids.tolist())
    total = len(training_ids) + V
    return float(np.mean([-math.log((counts[t] + 1) / total) for t in test_ids.tolist()]))


def class_probabilities(pooled, weight, bias):
    logits = pooled.numpy() @ weight.numpy().T + bias.numpy()
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def concatenated(states, attention_mask, positions):
    B, S, H = states.shape
    row = np.zeros((B, positions, H))
    for b in range(B):
        for s in range(min(S, positions)):
            if attention_mask[b, s]:
                row[b, s] = states[b, s]
    return row.reshape(B, -1)


def word_effects(probability, text):
    words, whole = text.split(), probability(text)
    effects = []
    for i in range(len(words)):
        rest = words.copy()
        rest.pop(i)
        effects.append(whole - probability(" ".join(rest)))
    return np.array(effects)


def paired_interval(right_a, right_b, draws):
    gains = (right_a.astype(float) - right_b.astype(float))[draws].mean(1)
    return tuple(np.quantile(gains, [0.025, 0.975]))


def tags_to_slots(tags):
    slots = []
    for i, tag in enumerate(tags):
        if tag == "O":
            continue
        kind, label = tag.split("-")
        goes_on = kind == "I" and slots and slots[-1][0] == label and slots[-1][2] == i - 1
        if goes_on:
            slots[-1][2] = i
        else:
            slots.append([label, i, i])
    return slots


def slot_f1(gold, found):
    right = ours = true = 0
    for a, b in zip(gold, found, strict=True):
        right += sum(slot in a for slot in b)
        ours, true = ours + len(b), true + len(a)
    precision, recall = right / ours if ours else 0, right / true if true else 0
    return precision, recall, 2 * precision * recall / (precision + recall) if right else 0


def best_legal(log_p, tags):
    best, score = None, -math.inf
    for path in itertools.product(range(len(tags)), repeat=len(log_p)):
        names = ["O", *(tags[k] for k in path)]
        legal = all(b[0] != "I" or a[2:] == b[2:] for a, b in itertools.pairwise(names))
        total = sum(log_p[i, k].item() for i, k in enumerate(path))
        if legal and total > score:
            best, score = names[1:], total
    return best


def says_true(probabilities):
    return (probabilities[:, 1] > 0.5).numpy()


def overlap(premise, hypothesis):
    return np.mean([word in premise for word in set(hypothesis)])


def best_alone(pairs):
    groups = defaultdict(Counter)
    for _, hypothesis, label in pairs:
        groups[hypothesis][label] += 1
    return sum(counts.most_common(1)[0][1] for counts in groups.values()) / len(pairs)


def in_both(train, test):
    ours = {p for p, _, _ in train}.union(h for _, h, _ in train)
    theirs = {p for p, _, _ in test}.union(h for _, h, _ in test)
    return sorted(ours.intersection(theirs))


def span_loss(start_logits, end_logits, start, end):
    both = torch.stack([start_logits, end_logits])
    return F.cross_entropy(both, torch.tensor([start, end]))


def answer_text(document, offsets, first, last):
    text = ""
    for i in range(len(document)):
        if offsets[first][0] <= i < offsets[last][1]:
            text += document[i]
    return text


def n_best(start, end, n):
    start, end = start.double().numpy(), end.double().numpy()
    spans = [(i, j) for i in range(len(start)) for j in range(i, len(end))]
    weights = np.array([np.exp(start[i] + end[j]) for i, j in spans])
    order = np.argsort(-weights)[:n]
    return [(*spans[k], weights[k] / weights.sum()) for k in order]


def word_f1(prediction, gold):
    def words(text):
        text = "".join(c for c in text.lower() if c not in string.punctuation)
        return Counter(re.sub(r"\b(a|an|the)\b", " ", text).split())

    found, right = words(prediction), words(gold)
    common = (found & right).total()
    return 2 * common / (found.total() + right.total()) if common else 0


def best_pairs(splits, counts):
    pieces, pairs = Counter(), Counter()
    for word, split in splits.items():
        for i, piece in enumerate(split):
            pieces[piece] += counts[word]
            if i:
                pairs[split[i - 1], piece] += counts[word]
    scores = {pair: Fraction(n, pieces[pair[0]] * pieces[pair[1]]) for pair, n in pairs.items()}
    top = max(scores.values())
    return [pair for pair in sorted(scores) if scores[pair] == top]


def wants_lower_case(arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument("--lower_case", choices=["true", "false"], type=str.lower, default="true")
    return parser.parse_args(arguments).lower_case == "true"


def where_in_original(text, word):
    for start in range(len(text)):
        for end in range(start, len(text) + 1):
            if text[start:end].lower() == word:
                return [start, end]
    raise ValueError(word)


def fate_of_token(draw):
    if draw < 0.15 * 0.8:
        return "masked"
    if draw < 0.15 * 0.9:
        return "random"
    return "kept" if draw < 0.15 else "not chosen"


def fate_of_two_draws(first, second):
    return ("masked", "random", "kept")[(first >= 0.8) * (1 + (second >= 0.5))]


def may_be_chosen(ids, special_ids):
    allowed = torch.ones_like(ids, dtype=torch.bool)
    for special in special_ids:
        allowed &= ids != special
    return allowed


def random_ids(count, vocab_size, special_ids, generator):
    ids = []
    while len(ids) < count:
        token = torch.randint(vocab_size, (1,), generator=generator).item()
        if token not in special_ids:
            ids.append(token)
    return ids


def other_sentence(follows, count, rng):
    while True:
        number = rng.randrange(count)
        if number != follows:
            return number


def probability_of_next(logits):
    return torch.sigmoid(logits[:, 0] - logits[:, 1]).tolist()


def corpus_text(documents):
    text = ""
    for document in documents:
        for sentence in document:
            text += sentence + "\n"
        text += "\n"
    return text[:-1]


def bert_layer_norm(x, weight, bias, eps):
    x = x.double().numpy()
    scale = np.sqrt(x.var(axis=-1, keepdims=True) + eps)
    return weight.numpy() * (x - x.mean(axis=-1, keepdims=True)) / scale + bias.numpy()


def token_types(a, b):
    ids = [0 for _ in ["[CLS]", *a, "[SEP]"]]
    if b:
        ids += [1 for _ in [*b, "[SEP]"]]
    return torch.tensor(ids)


def shortened(ids, limit):
    if len(ids) > limit:
        ids = ids[: limit - 1] + ids[-1:]
    return ids


def additive_mask(attention_mask):
    return np.where(attention_mask.numpy() == 1, 0.0, -1e9)[:, None, None, :]


def attention_shares(scores, mask):
    shares = scores.softmax(-1) * mask
    return shares / shares.sum(-1, keepdim=True)


class AttentionOutput(nn.Module):
    def __init__(self, H):
        super().__init__()
        self.parts = nn.ModuleList([nn.Linear(H, H), nn.LayerNorm(H)])

    def forward(self, context, states):
        dense, norm = self.parts
        return norm(dense(context) + states)


def real_slot_loss(logits, labels, weights):
    real = weights.bool()
    return F.cross_entropy(logits[real], labels[real]).item()


def next_sentence_loss(logits, labels):
    return F.nll_loss(logits.log_softmax(-1), labels)


def classifier_logits(states, weight, bias):
    return states.numpy() @ weight.numpy().T + bias.numpy()


def without_decay(names, parts):
    return {name for part in parts for name in names if part in name}


def sentence_states(model, ids):
    was = model.training
    model.eval()
    with torch.inference_mode():
        states = model(ids).last_hidden_state
    model.train(was)
    return states


def piece_labels(labels, words):
    row, last = [], None
    for word in words:
        row.append(labels[word] if word is not None and word != last else -100)
        last = word
    return np.array(row)


def mean_vector(states, attention_mask):
    vectors = []
    for row, mask in zip(states, attention_mask, strict=True):
        vectors.append(row[: int(mask.sum())].mean(0).tolist())
    return vectors


def span_probability(start_logits, end_logits, start, end):
    p = [np.exp(x.numpy()) / np.exp(x.numpy()).sum() for x in (start_logits, end_logits)]
    return p[0][start] * p[1][end]


def best_span(start_logits, end_logits, context):
    best, top = None, -math.inf
    for start in range(context, len(start_logits)):
        for end in range(start, len(end_logits)):
            if start_logits[start] + end_logits[end] > top:
                best, top = (start, end), start_logits[start] + end_logits[end]
    return best


def has_answer(null_scores, best_span_score):
    return any(best_span_score > null for null in null_scores)


def windows(length, size, overlap):
    starts = range(0, max(length - overlap, 1), size - overlap)
    return [[start, min(start + size, length)] for start in starts]


def _one_by_one(model, n, ids, segments, mask):
    states, done = model.embeddings(ids, segments), 0
    while done < n:
        states = model.encoder.layer[done](states, (mask == 1)[:, None, None])
        done += 1
    return states


def _counted(c):
    H, wide = c.hidden_size, c.intermediate_size
    rows = c.vocab_size + c.max_position_embeddings + c.type_vocab_size + 2
    layer = 4 * H * (H + 1) + 5 * H + wide * (2 * H + 1)
    return rows * H + layer + H * (H + 1)


def _shares(logits):
    return [math.exp(a) / (math.exp(a) + math.exp(b)) for a, b in logits.tolist()]


def _by_name(model, ids):
    was = model.training
    with torch.no_grad():
        states = model.eval()(input_ids=ids)
    model.train(was)
    return states


def _chosen(follows, count, rng):
    return rng.choice([*range(follows), *range(follows + 1, count)])


RIGHT = {
    "how_many_numbers": {"apart": lambda S, L, H: L * S * H + S * H},
    "fate_of_draw": {"a list": lambda d: ["masked", "random", "kept"][(d >= 0.8) + (d >= 0.9)]},
    "follows": {
        "softmax": lambda logits: logits.softmax(-1)[:, 0] > 0.5,
        "lists": lambda logits: [a > b for a, b in logits.tolist()],
    },
    "look_up": {
        "one-hot": lambda table, ids: F.one_hot(ids, len(table)).float() @ table,
        "stacked": lambda table, ids: torch.stack([table[i] for i in ids]),
    },
    "cosine": {"torch's": lambda one, other: F.cosine_similarity(one, other, dim=0)},
    "one_layer": {"joined": lambda H, wide: 4 * H * (H + 1) + 2 * H * wide + wide + H + 4 * H},
    "with_shared_layers": {"from the sizes": _counted},
    "states_after": {"while": _one_by_one},
    "attention_output": {"a list of modules": AttentionOutput},
    "other_sentence": {
        "choice": _chosen,
        "a tensor": lambda *given: torch.tensor(_chosen(*given)),
    },
    "mask_for_keys": {
        "for each query": lambda real: real[:, None, None, :].expand(-1, -1, real.shape[1], -1)
    },
    "sentence_states": {"by name": _by_name},
    "probability_of_next": {"lists": _shares},
}
for _name, _function in [*globals().items()]:
    ours = getattr(_function, "__module__", "") == __name__ and not isinstance(_function, type)
    if ours and not _name.startswith("_"):
        RIGHT.setdefault(_name, {})["as a reader"] = _function
