"""A Chinese BERT from scratch: the files that the commands take, and what is had without BERT.

    python benchmarks/chinese.py --data FOLDER --out chinese

The data are those of the original papers, in one folder: text of d2l-zh, CrossWOZ, Tatoeba and
StoryBooks, and CMRC 2018, EPRSTMT and the development part of CSNLI; of the last and of CMRC's
development questions a part is for the test, by premises and documents. From them it writes text/,
vocab.txt and each case's files. The commands that learn from these are in README.md.
"""

import argparse
import json
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tokenizers import BertWordPieceTokenizer

from bertedu import BertTokenizer
from bertedu.finetuning import classification, inference, question_answering
from bertedu.finetuning.baselines import BagOfWords, majority, overlapping_words
from bertedu.finetuning.classification import accuracy
from bertedu.finetuning.question_answering import squad_scores

TEST = 3  # every third of CMRC's development documents
PARAGRAPHS = 20  # of a document, where nothing says where one ends


def lines(path: Path) -> list[str]:
    """Returns the lines of a text file."""
    return path.read_text("utf-8").splitlines()


def documents(paragraphs: Sequence[str], size: int) -> str:
    """Returns text with a blank line after so many paragraphs."""
    parts = [paragraphs[i : i + size] for i in range(0, len(paragraphs), size)]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def write_text(data: Path, out: Path, contexts: Sequence[str]) -> None:
    """Writes the text to pretrain on, and the vocabulary of its characters and words."""
    folder = out / "text"
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        name: lines(data / f"{name}_text" / f"{name}_text.txt") for name in ("d2l_zh", "crosswoz")
    }
    texts["storybooks"] = lines(data / "storybooks_zh" / "storybooks_zh.txt")
    written = {
        "d2l": documents(texts["d2l_zh"], PARAGRAPHS),
        "crosswoz": "\n".join(texts["crosswoz"]) + "\n",
        "storybooks": "\n".join(texts["storybooks"]) + "\n",
        "tatoeba": documents(lines(data / "tatoeba_zh" / "tatoeba_zh.txt"), 1),
        "cmrc": documents(contexts, 1),
    }
    for name, text in written.items():
        (folder / f"{name}.txt").write_text(text, "utf-8")
    trainer = BertWordPieceTokenizer()
    trainer.train(
        [str(folder / f"{name}.txt") for name in written],
        vocab_size=8000, limit_alphabet=6000, show_progress=False,
    )  # fmt: skip
    trainer.save_model(str(out))


def write_questions(data: Path, out: Path) -> list[str]:
    """Writes CMRC's questions for training and test; returns the documents of the former."""
    trial, dev = (
        json.loads((data / "cmrc2018" / f"cmrc2018_{part}.json").read_text("utf-8"))["data"]
        for part in ("trial", "dev")
    )
    train = [*trial, *(article for i, article in enumerate(dev) if i % TEST)]
    for name, articles in (("train", train), ("test", dev[::TEST])):
        content = {"version": "v1.0", "data": articles}
        (out / f"cmrc.{name}.json").write_text(json.dumps(content, ensure_ascii=False), "utf-8")
    return [p["context"].replace("\n", " ") for article in train for p in article["paragraphs"]]


def write_tables(data: Path, out: Path) -> None:
    """Writes reviews and pairs, as tables with a header."""
    reviews = [line.split("\t") for line in lines(data / "eprstmt_labelled/eprstmt_labelled.tsv")]
    pairs = [line.split("\t") for line in lines(data / "csnli_dev" / "csnli_dev.tsv")]
    premises = list(dict.fromkeys(premise for _, premise, _ in pairs))
    tested = set(premises[::10])
    for name in ("train", "test"):
        is_test = name == "test"
        table(
            out / f"reviews.{name}.tsv", ("label", "text"),
            ([label, text] for part, label, text in reviews if part.startswith("test") == is_test),
        )  # fmt: skip
        table(
            out / f"pairs.{name}.tsv", ("label", "premise", "hypothesis"),
            (pair for pair in pairs if (pair[1] in tested) == is_test),
        )  # fmt: skip


def table(path: Path, header: Sequence[str], rows: Iterator[Any]) -> None:
    """Writes tab-separated rows under a header."""
    path.write_text("".join("\t".join(row) + "\n" for row in (header, *rows)), "utf-8")


def print_baselines(out: Path) -> None:
    """Prints what majority, tokens alone, and characters in common give on the test files."""
    tokenizer = BertTokenizer(lines(out / "vocab.txt"))
    for case, name in ((classification, "reviews"), (inference, "pairs")):
        train, test = (case.read(out / f"{name}.{part}.tsv") for part in ("train", "test"))
        labels, gold = ([str(example.label) for example in part] for part in (train, test))
        texts, asked = (
            [e.text if name == "reviews" else (e.premise, e.hypothesis) for e in part]
            for part in (train, test)
        )
        found = BagOfWords.fit(texts, labels, tokenizer).predict(asked)
        right = {
            "majority": [majority(labels)] * len(gold),
            "bag of tokens": [prediction.label for prediction in found],
        }
        for baseline, answers in right.items():
            print(f"{name}: {baseline}: accuracy {accuracy(gold, answers):.1%}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of answers that are not where CMRC's file says
        questions = question_answering.read(out / "cmrc.test.json")
    answers = [overlapping_words(e.question, e.document) for e in questions]
    print(f"cmrc: characters in common: {squad_scores(questions, answers)}")


def main() -> None:
    """Writes the files, and prints the baselines."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of the data sets")
    parser.add_argument("--out", type=Path, default=Path("chinese"), help="folder to write to")
    args = parser.parse_args()
    if args.data is None:
        print("Nothing measured: name the folder of the data sets with --data.")
        return
    args.out.mkdir(parents=True, exist_ok=True)
    write_text(args.data, args.out, write_questions(args.data, args.out))
    write_tables(args.data, args.out)
    print_baselines(args.out)


if __name__ == "__main__":
    main()
