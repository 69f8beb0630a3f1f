"""Fine-tuning on real data: how good, how long, how much memory; and what pretraining buys.

One data set after the other, each learned three times: from the embedded checkpoint, from random
weights with the same recipe, and by a bag of words (for slots each word's usual tag; for questions
the words that a sentence shares with the question). Each in a process of its own, whose peak
memory is reported. Training examples whose text is also in a test set are left out, and counted.

The data are those of the original papers, in one folder (--data): atis/ and snips/ (seq.in,
seq.out and label in train, valid and test), sst_sentence/, cad_nli/, snli/, squadshifts/,
squad2_train10/, xquad/ and squad_dev/.
"""

import json
import multiprocessing
import resource
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from bench import RESULTS, arguments, report

import bertedu
from bertedu.checkpoint import read_config, resolve
from bertedu.commands.finetune import held_out
from bertedu.finetuning import (
    Classification,
    FinetuningRecipe,
    FinetuningRun,
    Inference,
    QuestionAnswering,
    SlotFilling,
    Task,
    question_answering,
)
from bertedu.finetuning.baselines import BagOfWords, UsualTags, overlapping_words
from bertedu.finetuning.inference import hypothesis_only
from bertedu.finetuning.slot_filling import slot_scores

STARTS = ("bertedu", "random weights", "bag of words")
RECIPE = FinetuningRecipe(epochs=3, learning_rate=1e-4, dropout=0.1)


@dataclass(frozen=True)
class DataSet:
    """What is learned, from which files, and what is measured on which.

    Attributes:
        task: one of the four cases.
        train: files.
        dev: a file; None = a twentieth of the training examples, by documents.
        tests: files by the names in the table.
        recipe: the numbers.
        measures: metric and aim by test.
    """

    task: Task[Any, Any]
    train: tuple[str, ...]
    dev: str | None
    tests: dict[str, str]
    recipe: FinetuningRecipe
    measures: dict[str, tuple[tuple[str, float], ...]]


DATA = {
    "snips": DataSet(
        SlotFilling(), ("snips/train",), "snips/valid", {"SNIPS test": "snips/test"},
        replace(RECIPE, epochs=6, learning_rate=2e-4),
        {"SNIPS test": (("f1", 0.93), ("intent_accuracy", 0.975))},
    ),
    "atis": DataSet(
        SlotFilling(), ("atis/train",), "atis/valid", {"ATIS test": "atis/test"},
        replace(RECIPE, epochs=10, learning_rate=2e-4),
        {"ATIS test": (("f1", 0.94), ("intent_accuracy", 0.0))},
    ),
    "sst2": DataSet(
        Classification(), ("sst_sentence/stsa.binary.train",), "sst_sentence/stsa.binary.dev",
        {"SST-2 sentences, test": "sst_sentence/stsa.binary.test"}, RECIPE,
        {"SST-2 sentences, test": (("accuracy", 0.89),)},
    ),
    "nli": DataSet(
        Inference(), ("cad_nli/all_combined/train.tsv",), "cad_nli/all_combined/dev.tsv",
        {"cad_nli test": "cad_nli/all_combined/test.tsv", "SNLI test": "snli/snli_test.tsv"},
        replace(RECIPE, epochs=4),
        {"cad_nli test": (("accuracy", 0.68),), "SNLI test": (("accuracy", 0.68),)},
    ),
    "qa": DataSet(
        QuestionAnswering(),
        ("squadshifts/new_wiki_v1.0.json", "squad2_train10/train-v2.0.first10.json"), None,
        {"XQuAD, English": "xquad/xquad.en.json",
         "SQuAD v1.1 dev": "squad_dev/dev-v1.1.rebuilt.json"},
        replace(RECIPE, epochs=2, batch_size=16, learning_rate=2e-4, dropout=0.0),
        {"XQuAD, English": (("f1", 0.62), ("exact_match", 0.0)),
         "SQuAD v1.1 dev": (("f1", 0.62), ("exact_match", 0.0))},
    ),
}  # fmt: skip
Examples = list[Any]


def key(example: Any) -> Any:
    """Returns what must not be both in training and in a test: the document, or the whole text."""
    if isinstance(example, question_answering.Example):
        return example.document
    return getattr(example, "text", None) or (example.premise, example.hypothesis)


def load_examples(
    name: str, folder: Path, quick: bool
) -> tuple[Examples, Examples, dict[str, Examples], int]:
    """Returns training, development and test examples, and how many were left out of the first."""
    data = DATA[name]
    read = data.task.read
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # answers whose place is unknown, in the tests
        train = [example for file in data.train for example in read(folder / file)]
        tests = {test: read(folder / file) for test, file in data.tests.items()}
        dev = read(folder / data.dev) if data.dev else None
    known = {key(example) for test in tests.values() for example in test}
    clean = [example for example in train if key(example) not in known]
    left_out = len(train) - len(clean)
    if quick:
        clean, tests = clean[:: len(clean) // 48], {t: e[:24] for t, e in tests.items()}
    if dev is None:
        clean, dev = held_out(data.task, clean, 0.05, seed=0)
    return clean, dev[:24] if quick else dev, tests, left_out


def learn(
    name: str, start: str, folder: Path, checkpoint: str, precision: str, quick: bool
) -> dict[str, Any]:
    """Returns the metrics on each test, seconds, and the process's peak memory."""
    data = DATA[name]
    train, dev, tests, left_out = load_examples(name, folder, quick)
    began = time.perf_counter()
    evaluate: Callable[[Examples], dict[str, float]]
    if start == "bag of words":
        evaluate = baseline(name, train)
        trained = time.perf_counter() - began
    else:
        bert: Any = checkpoint
        if start == "random weights":
            bert = read_config(resolve(checkpoint))
        recipe = replace(data.recipe, epochs=1) if quick else data.recipe
        accelerator = Accelerator(cpu=True, mixed_precision=precision)
        run = FinetuningRun(data.task, bert, train, dev, recipe=recipe, accelerator=accelerator)
        for step in run:
            if step.metrics:
                print(name, start, step.step + 1, "of", run.steps, step.metrics, file=sys.stderr)
        trained = time.perf_counter() - began
        evaluate = run.finetuned.evaluate
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # labels that only the test has
        metrics = {test: evaluate(examples) for test, examples in tests.items()}
    return {
        "metrics": metrics,
        "examples": len(train),
        "left out": left_out,
        "train": trained,
        "test": time.perf_counter() - began - trained,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def baseline(name: str, train: Examples) -> Callable[[Examples], dict[str, float]]:
    """Returns what judges the baseline on test examples."""
    task = DATA[name].task
    tokenizer = bertedu.load_tokenizer()

    def labels(examples: Examples, kind: str = "label") -> list[str]:
        return [str(getattr(example, kind)) for example in examples]

    if isinstance(task, Classification):
        bag = BagOfWords.fit([e.text for e in train], labels(train), tokenizer)
        return lambda test: task.learned_from(train).metrics(
            test, bag.predict([e.text for e in test])
        )
    if isinstance(task, Inference):
        learned = task.learned_from(train)

        def texts(examples: Examples) -> list[tuple[str, str]]:
            return [(e.premise, e.hypothesis) for e in examples]

        both = BagOfWords.fit(texts(train), labels(train), tokenizer)
        alone = BagOfWords.fit(texts(hypothesis_only(train)), labels(train), tokenizer)

        def judge(test: Examples) -> dict[str, float]:
            scores = learned.metrics(test, both.predict(texts(test)))
            without = learned.metrics(test, alone.predict(texts(hypothesis_only(test))))
            return scores | {"hypothesis_only": without["accuracy"]}

        return judge
    if isinstance(task, SlotFilling):
        usual = UsualTags.fit(train)
        intents = BagOfWords.fit([e.text for e in train], labels(train, "intent"), tokenizer)

        def judge_slots(test: Examples) -> dict[str, float]:
            scores = slot_scores([e.tags for e in test], usual.predict(test))
            found = [p.label for p in intents.predict([e.text for e in test])]
            right = sum(f == e.intent for f, e in zip(found, test, strict=True))
            return scores | {"intent_accuracy": right / len(test)}

        return judge_slots
    return lambda test: question_answering.squad_scores(
        test, [overlapping_words(e.question, e.document) for e in test]
    )


def rows_of(name: str, start: str, result: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the table's rows for one way to learn one data set."""
    rows = []
    for test, measures in DATA[name].measures.items():
        for metric, aim in measures:
            rows.append(
                {
                    "data": name,
                    "test": test,
                    "measure": metric.replace("_", " "),
                    "learned": start,
                    "result": f"{100 * result['metrics'][test][metric]:.1f}",
                    "aim": f"{100 * aim:g}" if aim and start == "bertedu" else "",
                    "examples": result["examples"],
                    "left out": result["left out"],
                    "training": f"{result['train'] / 60:.1f} min",
                    "all tests": f"{result['test']:.0f} s",
                    "peak MiB": f"{result['peak']:.0f}",
                }
            )
        if start == "bag of words" and "hypothesis_only" in result["metrics"][test]:
            alone = f"{100 * result['metrics'][test]['hypothesis_only']:.1f}"
            rows.append(rows[-1] | {"learned": "hypothesis alone, bag of words", "result": alone})
    return rows


def earlier_rows(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns what earlier runs saved of other data sets, or of other ways to learn these."""
    file = RESULTS / f"{Path(__file__).stem}.json"
    if not file.is_file():
        return []
    measured = {(row["data"], row["learned"]) for row in rows}
    saved: list[dict[str, Any]] = json.loads(file.read_text())["rows"]
    return [row for row in saved if (row["data"], row["learned"]) not in measured]


def main() -> None:
    """Measures, and prints the table."""
    args = arguments(
        __doc__,
        data={"type": Path, "help": "folder of the data sets; without it, nothing is measured"},
        only={"choices": list(DATA), "action": "append", "help": "this data set; repeatable"},
        start={"choices": STARTS, "action": "append", "help": "this way to learn; repeatable"},
        checkpoint={"default": "bertedu", "help": "what is fine-tuned"},
        precision={"choices": ("no", "bf16"), "default": "no", "help": "of products in training"},
    )
    if args.data is None:
        print("Nothing measured: name the folder of the data sets with --data.")
        return
    names = args.only or list(DATA)
    processes = multiprocessing.get_context("spawn")
    rows = []
    for name in names:
        for start in args.start or STARTS:
            with processes.Pool(1) as one:  # a process of its own, for its peak memory
                given = (name, start, args.data, args.checkpoint, args.precision, args.quick)
                found = rows_of(name, start, one.apply(learn, given))
            print(*found, sep="\n", file=sys.stderr, flush=True)
            rows += found
    order = list(DATA)
    if args.save:
        rows = sorted(earlier_rows(rows) + rows, key=lambda row: order.index(row["data"]))
    report(
        __file__,
        rows,
        "left out: training examples whose text (or document) is also in one of the tests. "
        "Results in percent; SQuAD by the official rules; slots by conlleval's.",
        save=args.save,
    )


if __name__ == "__main__":
    main()
