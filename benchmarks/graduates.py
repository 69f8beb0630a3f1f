"""Puts the training sets of the graduates together, from the data sets that their cards name.

    python benchmarks/graduates.py DATA OUT

writes OUT/NAME/train and OUT/NAME/dev for sentiment, inference and questions (slots learns SNIPS as
it is), and OUT/questions/again, a second part; the cards in bertedu/graduates say with which
command each learned, and how good it is.
Left out, letters and digits compared: sentiment's test sentences, the premises of inference's test
sets, the lecture notes' passage. DATA is one folder with a folder for each set: sst2_glue,
sst_sentence, uci_sentences_3k, emobank, goemotions; cad_nli, snli, mnli_matched, nli_train,
nli_more; squad11_train, afriqa_en, nq_gold, nq_qed, hotpot_gold, squadshifts, squad_dev, xquad.
"""

import argparse
import csv
import json
import lzma
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import bertedu.data

SEED = 30
PHRASES, FEELINGS = 24_000, 6_000
CLEAR = {
    "positive": {"admiration", "joy", "love", "gratitude", "excitement", "amusement"},
    "negative": {"anger", "disgust", "sadness", "disappointment", "annoyance", "fear"},
}
PAIRS = {  # at most so many of each source
    "snli_train_sub40k": 33_000, "snli_train_cat18k": 17_000, "snli_cartography25k": 23_000,
    "snli_esnli_prompted": 13_000, "snli_promptft": 8_000, "snli_small_bits": 3_000,
    "snli_disco_orig": 12_000, "mnli_train10k": 10_000, "taxinli_mnli": 2_200,
    "mnli_nyu_hw2": 20_000, "mnli_inferbert_10k": 19_000, "mnli_promptft": 8_000,
    "lingnli_train": 45_000, "wanli_part": 15_000, "inferbert": 4_000,
    "newprotocols_base": 10_000, "newprotocols_edit_premise": 6_000,
    "newprotocols_edit_other": 4_000, "newprotocols_contrast": 5_000,
}  # fmt: skip
LONGEST, OTHERS = 150, 4_000  # words of a passage; passages of a set beside SQuAD
LONGER = 200  # words of a passage of the second part


def opened(path: Path) -> Any:
    """Returns a text file, compressed or not, to be read."""
    if path.suffix == ".xz":
        return lzma.open(path, "rt", encoding="utf-8")
    return path.open(encoding="utf-8")


def rows(path: Path) -> Iterator[list[str]]:
    """Yields the rows of a file with tabs between."""
    with opened(path) as file:
        for line in file:
            yield line.rstrip("\n").split("\t")


def key(text: str) -> str:
    """Returns a text's letters and digits, to tell whether two are the same."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


def natural(text: str) -> str:
    """Returns a text without the blanks that a tokenizer of a treebank puts before marks."""
    text = text.replace("-lrb-", "(").replace("-rrb-", ")").replace("`` ", '"').replace(" ''", '"')
    text = re.sub(r" n't\b", "n't", text)
    return re.sub(r" ('s|'re|'ve|'ll|'d|'m|[.,;:!?)%])", r"\1", text).replace("( ", "(").strip()


def write(path: Path, header: list[str], lines: Iterable[tuple[str, ...]]) -> None:
    """Writes a table with tabs between, and says how much of what is in it."""
    lines = list(lines)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        file.writelines("\t".join(line) + "\n" for line in [tuple(header), *lines])
    print(f"{path}: {len(lines):,}", dict(Counter(line[0] for line in lines)))


def sentiment(data: Path, out: Path) -> None:
    """Sentences and phrases of film reviews; of products, food and films; of daily talk."""
    rng = random.Random(SEED)
    names = {"0": "negative", "1": "positive"}
    sst = data / "sst_sentence"
    sentences = {
        part: [
            (names[line[:1]], natural(line[2:].strip()))
            for line in (sst / f"stsa.binary.{part}").read_text("utf-8").splitlines()
        ]
        for part in ("train", "dev", "test")
    }
    learned = list(sentences["train"])
    phrases = [
        (names[label], natural(text))
        for text, label in list(rows(data / "sst2_glue/train.tsv"))[1:]
        if len(text.split()) >= 3
    ]
    learned += rng.sample(phrases, PHRASES)
    uci = [(label, text) for label, _, text in rows(data / "uci_sentences_3k/uci_sentences_3k.tsv")]
    rng.shuffle(uci)
    held, learned = uci[:500], learned + uci[500:]
    learned += [
        (row[0], row[5])
        for row in rows(data / "emobank/emobank.tsv")
        if row[0] in CLEAR and abs(float(row[1]) - 3) >= 0.6 and len(row[5].split()) > 3
    ]
    talk: dict[str, list[tuple[str, str]]] = {label: [] for label in CLEAR}
    for label, feelings, text in rows(data / "goemotions/goemotions.train.tsv.xz"):
        if label in CLEAR and set(feelings.split(",")) <= CLEAR[label]:
            talk[label].append((label, text.replace("[NAME]", "he")))
    for texts in talk.values():
        learned += rng.sample(texts, min(FEELINGS, len(texts)))
    tests = {key(text) for part in ("dev", "test") for _, text in sentences[part]}
    tests |= {key(text) for _, text in held}
    learned = sorted({pair for pair in learned if key(pair[1]) and key(pair[1]) not in tests})
    rng.shuffle(learned)
    write(out / "sentiment/train.tsv", ["label", "text"], learned)
    write(out / "sentiment/dev.tsv", ["label", "text"], sentences["dev"] + held[:250])
    write(out / "sentiment/products.tsv", ["label", "text"], held[250:])
    write(out / "sentiment/test.tsv", ["label", "text"], sentences["test"])


def inference(data: Path, out: Path) -> None:
    """Pairs of SNLI, MultiNLI, WANLI and new protocols; all counterfactual pairs."""
    rng = random.Random(SEED)
    sources: dict[str, list[tuple[str, str, str]]] = {name: [] for name in PAIRS}
    for path in ("nli_train/nli_combined.tsv.xz", "nli_more/nli_more.tsv.xz"):
        for source, label, premise, hypothesis in rows(data / path):
            if source in sources:
                sources[source].append((label, premise, hypothesis))
    tables = {
        "test": [(label, a, b) for label, a, b in snli(data / "snli/snli_test.tsv")],
        "mnli": [
            (row["label"], row["premise"], row["hypothesis"])
            for row in csv.DictReader(opened(data / "mnli_matched/dev_matched.csv"))
        ],
    }
    for part in ("train", "dev", "test"):
        with opened(data / f"cad_nli/all_combined/{part}.tsv") as file:
            found = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
        tables[f"cad_{part}"] = [
            (row["gold_label"], row["sentence1"], row["sentence2"]) for row in found
        ]
    learned = tables["cad_train"] + [
        pair for name, pairs in sources.items()
        for pair in rng.sample(pairs, min(PAIRS[name], len(pairs)))
    ]  # fmt: skip
    tests = {key(a) for name in ("test", "mnli", "cad_dev", "cad_test") for _, a, _ in tables[name]}
    learned = sorted({pair for pair in learned if key(pair[1]) not in tests})
    rng.shuffle(learned)
    header = ["label", "premise", "hypothesis"]
    write(out / "inference/train.tsv", header, learned)
    dev = [(label, a, b) for label, a, b in snli(data / "snli/snli_dev.tsv")]
    write(out / "inference/dev.tsv", header, rng.sample(dev, 800) + tables["cad_dev"][:400])
    write(out / "inference/snli_test.tsv", header, tables["test"])
    write(out / "inference/cad_test.tsv", header, tables["cad_test"])
    write(out / "inference/mnli_matched.tsv", header, tables["mnli"])


def snli(path: Path) -> Iterator[tuple[str, str, str]]:
    """Yields label, premise and hypothesis."""
    table = rows(path)
    names = next(table)
    for row in table:
        found = dict(zip(names, row, strict=True))
        yield found["label"], natural(found["premise"]), natural(found["hypothesis"])


def questions(data: Path, out: Path) -> None:
    """Questions with short passages: SQuAD's, Google's, of Africa, of two paragraphs, our cards."""
    rng = random.Random(SEED)
    squad = list(articles(data / "squad11_train/squad11_train.json.xz"))
    short = [p for p in squad if len(p["context"].split()) <= LONGEST]
    rng.shuffle(short)
    dev, learned = short[-60:], short[:-60]
    for name in (
        "nq_gold/nq_gold.json.xz",
        "nq_qed/nq_qed.json",
        "afriqa_en/afriqa_en.json.xz",
        "hotpot_gold/hotpot_gold.json.xz",
        "squadshifts/new_wiki_v1.0.json",
    ):
        found = [p for p in articles(data / name) if len(p["context"].split()) <= LONGEST]
        learned += found[:OTHERS]
    learned += articles(Path(bertedu.data.__path__[0]) / "questions/cards.json")
    for paragraph in learned:
        paragraph["qas"] = [
            q for q in paragraph["qas"] if not q.get("is_impossible") and q["answers"]
        ]
    notes = key("In meteorology, precipitation is any product of the condensation")
    learned = [p for p in learned if p["qas"] and notes not in key(p["context"])]
    rng.shuffle(learned)
    once_more = random.Random(SEED + 1)
    again = once_more.sample(learned, len(learned) // 2)
    again += [p for p in squad if LONGEST < len(p["context"].split()) <= LONGER]
    once_more.shuffle(again)
    for name, paragraphs in (("train", learned), ("again", again), ("dev", dev)):
        (out / "questions").mkdir(parents=True, exist_ok=True)
        (out / f"questions/{name}.json").write_text(
            json.dumps({"version": "1.1", "data": [{"title": name, "paragraphs": paragraphs}]}),
            encoding="utf-8",
        )
        print(f"questions/{name}: {sum(len(p['qas']) for p in paragraphs):,} questions")


def articles(path: Path) -> Iterator[dict[str, Any]]:
    """Yields the passages of a file in SQuAD's format."""
    with opened(path) as file:
        for article in json.load(file)["data"]:
            yield from article["paragraphs"]


def main() -> None:
    """Writes all three."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    for make in (sentiment, inference, questions):
        make(given.data, given.out)


if __name__ == "__main__":
    main()
