"""Baselines: what they can learn, and what they cannot."""

import pytest
import torch
from torch.nn import functional as F

from bertedu import InputError
from bertedu.finetuning import slot_filling
from bertedu.finetuning.baselines import BagOfWords, UsualTags, majority, overlapping_words
from tests.cases import TOKENIZER, pairs, requests, sentences


def test_a_bag_of_words_learns_telling_words() -> None:
    train, test = sentences(60), sentences(40, 1)
    bag = BagOfWords.fit([e.text for e in train], [str(e.label) for e in train], TOKENIZER)
    found = bag.predict([e.text for e in test])
    assert [p.label for p in found] == [e.label for e in test]
    assert all(sum(p.probabilities.values()) == pytest.approx(1) for p in found)
    assert bag.predict([]) == []


def test_a_bag_of_words_cannot_compare_two_texts() -> None:
    train, test = pairs(400), pairs(200, 1)
    texts = [(e.premise, e.hypothesis) for e in train]
    bag = BagOfWords.fit(texts, [str(e.label) for e in train], TOKENIZER)
    found = bag.predict([(e.premise, e.hypothesis) for e in test])
    right = sum(p.label == e.label for p, e in zip(found, test, strict=True)) / 200
    assert 0.35 < right < 0.65


def test_the_regression_is_at_its_minimum() -> None:
    train = sentences(40)
    bag = BagOfWords.fit([e.text for e in train], [str(e.label) for e in train], TOKENIZER)
    weight = bag.weight.clone().requires_grad_()
    gold = torch.tensor([bag.labels.index(str(e.label)) for e in train])
    logits = torch.stack([weight[[*TOKENIZER.ids(e.text), -1]].sum(0) for e in train])
    loss = F.cross_entropy(logits, gold, reduction="sum") + weight.square().sum() / 2
    loss.backward()
    assert float(weight.grad.abs().max()) < 1e-2


def test_usual_tags_by_hand() -> None:
    train = requests(60)
    usual = UsualTags.fit(train)
    assert usual.tags["romes"] == "B-city"
    assert usual.tags["in"] == "O"
    unknown = slot_filling.Example.from_words(["In", "Paris"])
    assert usual.predict([unknown]) == [["O", "O"]]


def test_overlap_never_fails_and_answers_from_the_document() -> None:
    document = "It rained. Anna Bell drew the old map."
    assert overlapping_words("Who drew the map?", document) == "Anna Bell"
    assert overlapping_words("Anna Bell drew the old map?", document) in document
    assert overlapping_words("", "?!") == "?!"


def test_the_majority_is_counted() -> None:
    assert majority(["b", "a", "a"]) == "a"
    with pytest.raises(InputError, match="no label"):
        majority([])
    with pytest.raises(InputError, match="1 texts and 2 labels"):
        BagOfWords.fit(["a"], ["x", "y"], TOKENIZER)
