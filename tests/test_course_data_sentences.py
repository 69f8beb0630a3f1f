"""The course's sentiment sentences are as their README says: balanced, without leaks, not easy."""

import re
from collections import Counter
from itertools import combinations

import pytest
import torch
import torch.nn.functional as F

from bertedu import load_tokenizer
from bertedu.data import SENTIMENT

COUNTS = {"train": 420, "dev": 60, "test": 120}
HELD_OUT = ("dev", "test")
COMMON = 10_000  # BERT's vocabulary begins with the commonest words: the rest are rare here


def words(text: str) -> list[str]:
    return re.findall(r"[a-z]+(?:'[a-z]+)?", text.lower())


def read(split: str) -> list[tuple[str, int]]:
    header, *lines = (SENTIMENT / f"{split}.tsv").read_text("ascii").splitlines()
    assert header == "sentence\tlabel"
    rows = [line.split("\t") for line in lines]
    assert all(len(row) == 2 and row[1] in {"0", "1"} for row in rows)
    return [(sentence, int(label)) for sentence, label in rows]


DATA = {split: read(split) for split in COUNTS}


@pytest.mark.parametrize("split", COUNTS)
def test_a_split_is_complete_and_balanced(split: str) -> None:
    labels = Counter(label for _, label in DATA[split])
    assert labels == {0: COUNTS[split] // 2, 1: COUNTS[split] // 2}


@pytest.mark.parametrize("split", COUNTS)
def test_sentences_are_plain_and_of_4_to_25_words(split: str) -> None:
    for sentence, _ in DATA[split]:
        assert re.fullmatch(r"[A-Z][A-Za-z ,.?!:;'-]+[.?!]", sentence), sentence
        assert "  " not in sentence
        assert 4 <= len(words(sentence)) <= 25, sentence


def test_no_two_sentences_of_different_splits_are_much_alike() -> None:
    rows = [
        (split, sentence, set(words(sentence))) for split in DATA for sentence, _ in DATA[split]
    ]
    assert len({" ".join(words(sentence)) for _, sentence, _ in rows}) == len(rows)
    for (split, sentence, one), (other_split, other_sentence, other) in combinations(rows, 2):
        if split != other_split:
            assert len(one & other) < 0.4 * len(one | other), (sentence, other_sentence)


def test_no_five_words_in_a_row_are_shared_between_splits() -> None:
    runs = {split: {run for s, _ in DATA[split] for run in five_words(s)} for split in DATA}
    for one, other in combinations(runs.values(), 2):
        assert not one & other


def five_words(sentence: str) -> list[tuple[str, ...]]:
    found = words(sentence)
    return [tuple(found[i : i + 5]) for i in range(len(found) - 4)]


@pytest.mark.parametrize("split", HELD_OUT)
def test_held_out_sentences_share_few_rare_words_with_training(split: str) -> None:
    rare, known = rare_words(split), rare_words("train")
    assert len(rare & known) <= 0.05 * len(rare), sorted(rare & known)


@pytest.mark.parametrize("split", HELD_OUT)
def test_held_out_sentences_share_no_names_with_training(split: str) -> None:
    known = {word for sentence, _ in DATA["train"] for word in words(sentence)}
    names = {n for s, _ in DATA[split] for n in re.findall(r"(?<=[a-z,] )[A-Z][a-z]+", s)}
    assert names  # there are some to look at
    assert {name for name in names if name.lower() in known} <= {"Monday"}


def rare_words(split: str) -> set[str]:
    return {word for sentence, _ in DATA[split] for word in words(sentence)} - COMMON_WORDS


COMMON_WORDS = set(load_tokenizer().tokens[:COMMON])


def test_a_bag_of_words_learns_something_and_far_from_everything() -> None:
    accuracy = bag_of_words_accuracy()
    print(f"bag of words on the test split: {accuracy:.1%}")
    assert 0.5 < accuracy < 0.85


def bag_of_words_accuracy() -> float:
    """Returns the test accuracy of logistic regression, its L2 weight chosen on dev."""
    known = sorted({word for sentence, _ in DATA["train"] for word in words(sentence)})
    column = {word: i for i, word in enumerate(known)}

    def features(split: str) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.zeros(len(DATA[split]), len(column) + 1)
        x[:, -1] = 1.0  # the bias
        for row, (sentence, _) in enumerate(DATA[split]):
            x[row, [column[word] for word in words(sentence) if word in column]] = 1.0
        return x, torch.tensor([float(label) for _, label in DATA[split]])

    def correct(weight: torch.Tensor, split: str) -> float:
        x, y = features(split)
        return ((x @ weight > 0) == y.bool()).float().mean().item()

    x, y = features("train")
    fitted = [fit(x, y, penalty) for penalty in (1e-3, 1e-2, 3e-2, 1e-1)]
    return correct(max(fitted, key=lambda weight: correct(weight, "dev")), "test")


def fit(x: torch.Tensor, y: torch.Tensor, penalty: float) -> torch.Tensor:
    weight = torch.zeros(x.shape[1], requires_grad=True)
    optimizer = torch.optim.LBFGS([weight], max_iter=100)

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = F.binary_cross_entropy_with_logits(x @ weight, y)
        value = value + penalty * weight[:-1].square().sum() / 2
        value.backward()
        return value

    optimizer.step(loss)
    return weight.detach()


def test_the_readme_names_the_splits() -> None:
    readme = (SENTIMENT.parent / "README.md").read_text("utf-8")
    for split, count in COUNTS.items():
        tokens = sum(len(words(sentence)) for sentence, _ in DATA[split])
        assert f"| `sentiment/{split}.tsv` | {count} | {tokens} |" in readme
