"""The course's requests are as their README says: legal tags, no leaks, not solved by a table."""

import re
from collections import Counter
from itertools import combinations

import pytest

from bertedu.data import SLOTS
from bertedu.finetuning.baselines import UsualTags
from bertedu.finetuning.slot_filling import OUTSIDE, Example, slot_scores
from bertedu.finetuning.slot_filling import read as read_examples

COUNTS = {"train": 420, "dev": 60, "test": 120}
HELD_OUT = ("dev", "test")
INTENTS = {"AddToList", "BookTable", "GetWeather", "PlayMusic", "SetAlarm"}
NAMES = {"artist", "song", "album", "restaurant"}  # an article may belong to these
SPLIT = {split: read_examples(SLOTS / split) for split in COUNTS}


def lines(split: str, name: str) -> list[list[str]]:
    """Returns the words of each line as they are in the file, before anything is mended."""
    return [line.split(" ") for line in (SLOTS / split / name).read_text("ascii").splitlines()]


def values(split: str) -> list[tuple[str, str]]:
    return [(slot.label, slot.text) for example in SPLIT[split] for slot in example.slots]


SLOT_NAMES = {label for label, _ in values("train")}


@pytest.mark.parametrize("split", COUNTS)
def test_words_tags_and_intents_are_equally_many_and_balanced(split: str) -> None:
    texts, tags, intents = (lines(split, name) for name in ("seq.in", "seq.out", "label"))
    assert len(texts) == len(tags) == len(intents) == len(SPLIT[split]) == COUNTS[split]
    for words, of_words in zip(texts, tags, strict=True):
        assert len(words) == len(of_words), words
    counts = Counter(intent for (intent,) in intents)
    assert counts == dict.fromkeys(INTENTS, COUNTS[split] // len(INTENTS))


@pytest.mark.parametrize("split", COUNTS)
def test_every_tag_is_legal_where_it_stands(split: str) -> None:
    for words, tags in zip(lines(split, "seq.in"), lines(split, "seq.out"), strict=True):
        for before, tag in zip([OUTSIDE, *tags], tags, strict=False):
            assert tag == OUTSIDE or tag[:2] in {"B-", "I-"}, words
            assert not tag.startswith("I-") or before[2:] == tag[2:], words


@pytest.mark.parametrize("split", COUNTS)
def test_requests_are_lower_case_words_without_punctuation(split: str) -> None:
    for words in lines(split, "seq.in"):
        assert all(re.fullmatch(r"[a-z]+(?:'[a-z]*)?|\d+(?::\d\d)?", word) for word in words), words
        assert 2 <= len(words) <= 20, words


def test_slots_begin_after_articles_possessives_and_prepositions() -> None:
    for label, text in (value for split in SPLIT for value in values(split)):
        if label not in NAMES:
            first = text.split()[0]
            assert first not in {"the", "my", "our", "your", "on", "at", "in", "for", "of"}, text
            counts = label in {"time", "quantity", "party_size"}  # an hour, a dozen
            assert counts or first not in {"a", "an"}, text


def test_no_two_requests_of_different_splits_are_much_alike() -> None:
    rows = [
        (split, example.text, set(example.words)) for split in SPLIT for example in SPLIT[split]
    ]
    assert len({text for _, text, _ in rows}) == len(rows)
    for (split, text, one), (other_split, other_text, other) in combinations(rows, 2):
        if split != other_split:
            assert len(one & other) < 0.4 * len(one | other), (text, other_text)


@pytest.mark.parametrize("split", HELD_OUT)
def test_most_values_of_held_out_slots_are_new(split: str) -> None:
    known = set(values("train"))
    new = [value not in known for value in values(split)]
    print(f"slots of {split} with a value that train has not: {sum(new) / len(new):.1%}")
    assert sum(new) >= 0.75 * len(new)
    assert f"{100 * sum(new) / len(new):.0f} % in `{split}`" in readme()


def test_every_slot_is_often_in_train_and_at_all_in_test() -> None:
    counts = {split: Counter(label for label, _ in values(split)) for split in COUNTS}
    assert len(SLOT_NAMES) == 18
    for label in SLOT_NAMES:
        assert counts["train"][label] >= 10, label
        assert counts["test"][label] >= 5, label
        assert counts["dev"][label] >= 2, label
    assert set(counts["test"]) == set(counts["dev"]) == SLOT_NAMES


def test_some_requests_have_no_slot_and_many_words_several_tags() -> None:
    for split, count in COUNTS.items():
        without = sum(not example.slots for example in SPLIT[split])
        assert 0.05 <= without / count <= 0.15
    of_word: dict[str, set[str]] = {}
    for example in SPLIT["train"]:
        for word, tag in zip(example.words, example.tags or (), strict=True):
            of_word.setdefault(word, set()).add(tag.removeprefix("B-").removeprefix("I-"))
    assert sum(len(tags) > 1 for tags in of_word.values()) > 0.15 * len(of_word)
    assert of_word["seven"] >= {"time", "party_size", "quantity", "song", "item"}
    for word in ("nice", "turkey", "reading"):
        assert of_word[word] > {"place"}, word


def test_a_table_of_usual_tags_finds_some_slots_and_far_from_all() -> None:
    found = UsualTags.fit(SPLIT["train"]).predict(SPLIT["test"])
    f1 = slot_scores([tags_of(example) for example in SPLIT["test"]], found)["f1"]
    print(f"usual tags on the test split: F1 {f1:.1%}")
    assert 0.2 < f1 < 0.7
    assert f"F1 of {100 * f1:.0f} %" in readme()


def tags_of(example: Example) -> list[str]:
    assert example.tags is not None
    return list(example.tags)


def test_the_readme_counts_requests_and_slots() -> None:
    for split, count in COUNTS.items():
        tokens = sum(len(example.words) for example in SPLIT[split])
        without = sum(not example.slots for example in SPLIT[split])
        row = f"| `slots/{split}` | {count} | {tokens} | {len(values(split))} | {without} |"
        assert row in readme()
    for label in SLOT_NAMES:
        counts = [sum(name == label for name, _ in values(split)) for split in COUNTS]
        row = rf"\| {label} \| .* \| {counts[0]} \| {counts[1]} \| {counts[2]} \|"
        assert re.search(row, readme()), label


def readme() -> str:
    return (SLOTS.parent / "README.md").read_text("utf-8")
