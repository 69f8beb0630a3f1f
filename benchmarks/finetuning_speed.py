"""Fine-tuning and prediction, in examples a second, against transformers' Trainer and pipeline.

Both sides start from the same weights and the same texts, in float32, with the same batch size,
optimizer and length limit, and go from texts to trained weights, or from texts to answers: to
make tokens is part of it. transformers pads each batch to its longest input, as it recommends.
Without --data the course's own examples are used.
"""

import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import transformers
from bench import Times, arguments, interleaved, report

import bertedu
from bertedu.finetuning import (
    Classification,
    FineTuned,
    FinetuningRecipe,
    FinetuningRun,
    QuestionAnswering,
    SlotFilling,
    classification,
    load,
    question_answering,
    slot_filling,
)

DATA = Path(bertedu.__file__).parent / "data"
RECIPE = FinetuningRecipe(epochs=1, batch_size=32, batch_tokens=100_000, learning_rate=5e-5)
TINY = bertedu.BertConfig(
    hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=128
)
LENGTH, OVERLAP, ANSWER = 384, 128, 30


def our_training(task: Any, checkpoint: str, examples: list[Any]) -> Callable[[], float]:
    """Returns what fine-tunes with this library; its result is the mean loss."""

    def train() -> float:
        run = FinetuningRun(task, checkpoint, examples, recipe=RECIPE)
        losses = [step.loss for step in run]
        return sum(losses) / len(losses)

    return train


def their_training(
    model_class: Any,
    collator: Callable[[Any], Any],
    prepare: Callable[[Any, list[Any], tuple[str, ...]], list[dict[str, Any]]],
    labels: tuple[str, ...],
    folder: Path,
    examples: list[Any],
) -> Callable[[], float]:
    """Returns what fine-tunes with transformers' Trainer; its result is the mean loss."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    settings = transformers.TrainingArguments(
        output_dir=str(folder / "trainer"),
        num_train_epochs=1,
        per_device_train_batch_size=RECIPE.batch_size,
        learning_rate=RECIPE.learning_rate,
        warmup_steps=RECIPE.warmup,
        weight_decay=RECIPE.weight_decay,
        optim="adamw_torch_fused",
        report_to="none",
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        use_cpu=True,
        dataloader_pin_memory=False,
    )

    def train() -> float:
        model = model_class.from_pretrained(folder, num_labels=len(labels))
        trainer = transformers.Trainer(
            model,
            settings,
            train_dataset=prepare(tokenizer, examples, labels),  # type: ignore[arg-type]
            data_collator=collator(tokenizer),
        )
        trainer.remove_callback(transformers.PrinterCallback)
        return float(trainer.train().training_loss)

    return train


def sentence_features(
    tokenizer: Any, examples: list[Any], labels: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Returns sentences as transformers' guide on text classification prepares them."""
    encoded = tokenizer([e.text for e in examples], truncation=True, max_length=128)
    return [
        {name: values[i] for name, values in encoded.items()} | {"label": labels.index(e.label)}
        for i, e in enumerate(examples)
    ]


def word_features(
    tokenizer: Any, examples: list[Any], labels: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Returns words as transformers' guide on token classification prepares them."""
    encoded = tokenizer(
        [e.words for e in examples], is_split_into_words=True, truncation=True, max_length=128
    )
    features = []
    for i, example in enumerate(examples):
        words, tags = encoded.word_ids(i), []
        for before, word in zip([None, *words], words, strict=False):
            first = word is not None and word != before
            tags.append(labels.index(example.tags[word]) if first else -100)
        features.append({name: v[i] for name, v in encoded.items()} | {"labels": tags})
    return features


def training_rows(
    folder: Path, args: Any, sentences: list[Any], requests: list[Any]
) -> Iterator[dict[str, Any]]:
    """Yields a row for each of the two data sets."""
    cases = (
        ("sentences", Classification(), sentences, transformers.BertForSequenceClassification,
         transformers.DataCollatorWithPadding, sentence_features),
        ("slots", SlotFilling(intent=False), requests, transformers.BertForTokenClassification,
         transformers.DataCollatorForTokenClassification, word_features),
    )  # fmt: skip
    for name, task, examples, model_class, collator, prepare in cases:
        labels = task.learned_from(examples).labels
        losses: dict[str, float] = {}

        def noted(who: str, train: Callable[[], float]) -> Callable[[], None]:
            def call() -> None:
                losses[who] = train()  # noqa: B023 (used within this turn)

            return call

        times = interleaved(
            {
                "bertedu": noted("bertedu", our_training(task, str(folder), examples)),
                "transformers": noted(
                    "transformers",
                    their_training(model_class, collator, prepare, labels, folder, examples),
                ),
            },
            rounds=2 if args.quick else args.rounds or 5,
        )
        yield row(f"train on {name}", len(examples), times, f"loss {losses['bertedu']:.2f} and "
                  f"{losses['transformers']:.2f}")  # fmt: skip


def our_model(task: Any, folder: Path, examples: list[Any], length: int) -> FineTuned[Any, Any]:
    """Returns a model that has learned a little, saved where transformers can read it."""
    recipe = FinetuningRecipe(epochs=1, batch_size=16, max_length=length)
    run = FinetuningRun(task, str(folder), examples, recipe=recipe)
    for _ in run:
        pass
    run.finetuned.save(folder / task.name)
    return load(folder / task.name)


def sentences_row(folder: Path, args: Any, sentences: list[Any]) -> dict[str, Any]:
    """Returns the row of prediction on sentences, against transformers' pipeline."""
    ours = our_model(Classification(), folder, sentences[:200], 128)
    pipeline = transformers.pipeline(
        "text-classification", model=str(folder / "classification"), device="cpu"
    )
    texts = [example.text for example in sentences]
    labels: dict[str, list[str]] = {}

    def we() -> None:
        labels["bertedu"] = [prediction.label for prediction in ours.predict(texts)]

    def they() -> None:
        labels["transformers"] = [found["label"] for found in pipeline(texts, batch_size=32)]

    return compared("classify sentences", len(texts), args, we, they, labels)


class TheirAnswers:
    """Question answering as transformers' course does it; its pipeline is gone from version 5.

    Windows by the fast tokenizer, batches padded to their longest window, and the best of the 20
    likeliest starts and ends that make a span in the document.
    """

    def __init__(self, folder: Path) -> None:
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.model = transformers.AutoModelForQuestionAnswering.from_pretrained(folder).eval()

    @torch.inference_mode()
    def __call__(self, pairs: list[tuple[str, str]]) -> list[str]:
        """Returns an answer for each question and document."""
        encoded = self.tokenizer(
            [q for q, _ in pairs], [d for _, d in pairs], truncation="only_second",
            max_length=LENGTH, stride=OVERLAP, return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )  # fmt: skip
        best = [(-torch.inf, "")] * len(pairs)
        for first in range(0, len(encoded["input_ids"]), 16):
            rows = range(first, min(first + 16, len(encoded["input_ids"])))
            names = ("input_ids", "token_type_ids", "attention_mask")
            batch = self.tokenizer.pad(
                {name: [encoded[name][i] for i in rows] for name in names}, return_tensors="pt"
            )
            output = self.model(**batch)
            starts, ends = output.start_logits.numpy(), output.end_logits.numpy()
            for place, i in enumerate(rows):
                question = encoded["overflow_to_sample_mapping"][i]
                found = self.best_span(encoded, i, starts[place], ends[place])
                if found[0] > best[question][0]:
                    a, b = found[1]
                    best[question] = (found[0], pairs[question][1][a:b])
        return [text for _, text in best]

    @staticmethod
    def best_span(encoded: Any, i: int, start: Any, end: Any) -> tuple[float, tuple[int, int]]:
        """Returns score and characters of a window's best span."""
        segments, offsets = encoded.sequence_ids(i), encoded["offset_mapping"][i]
        found = (-torch.inf, (0, 0))
        for s in start.argsort()[:-21:-1].tolist():
            for e in end.argsort()[:-21:-1].tolist():
                inside = max(s, e) < len(segments) and segments[s] == segments[e] == 1
                if inside and s <= e < s + ANSWER and start[s] + end[e] > found[0]:
                    found = (float(start[s] + end[e]), (offsets[s][0], offsets[e][1]))
        return found


def answering_row(folder: Path, args: Any, questions: list[Any]) -> dict[str, Any]:
    """Returns the row of prediction on questions."""
    task = QuestionAnswering(no_answer=False, overlap=OVERLAP, max_answer_tokens=ANSWER)
    ours = our_model(task, folder, questions[:200], LENGTH)
    theirs = TheirAnswers(folder / "question_answering")
    pairs = [(e.question, e.document) for e in questions]
    answers: dict[str, list[str]] = {}

    def we() -> None:
        answers["bertedu"] = [prediction.text for prediction in ours.predict(pairs)]

    def they() -> None:
        answers["transformers"] = theirs(pairs)

    return compared("answer questions", len(pairs), args, we, they, answers)


def compared(
    job: str,
    count: int,
    args: Any,
    we: Callable[[], None],
    they: Callable[[], None],
    found: dict[str, list[str]],
) -> dict[str, Any]:
    """Returns the row of a job, timed on both sides in turn."""
    rounds = 2 if args.quick else args.rounds or 5
    times = interleaved({"bertedu": we, "transformers": they}, rounds=rounds)
    same = sum(a == b for a, b in zip(*found.values(), strict=True)) / count
    assert same > 0.9, f"only {same:.0%} of the results are equal: the two do not do the same"
    return row(job, count, times, f"{same:.1%} of the results are equal")


def row(job: str, count: int, times: Times, check: str) -> dict[str, Any]:
    """Returns a row of the table."""
    return {
        "job": job,
        "examples": count,
        "bertedu, examples/s": f"{count / times.median('bertedu'):.1f}",
        "transformers, examples/s": f"{count / times.median('transformers'):.1f}",
        "bertedu, times as fast": str(times.ratio("transformers", "bertedu")),
        "CPU": times.cpu_ratio("transformers", "bertedu"),
        "check": check,
    }


def main() -> None:
    """Measures, and prints the table."""
    args = arguments(
        __doc__,
        data={"type": Path, "help": "folder with snips/, sst_sentence/ and squad_dev/"},
        checkpoint={"default": "bertedu", "help": "what is fine-tuned"},
        only={"choices": ["train", "answer"], "help": "one of the two"},
    )
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.manual_seed(0)
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as scratch:
        warnings.simplefilter("ignore")  # answers whose place is unknown
        if args.data:
            sentences = classification.read(args.data / "sst_sentence" / "stsa.binary.train")
            requests = slot_filling.read(args.data / "snips" / "train")
            questions = question_answering.read(args.data / "squad_dev" / "dev-v1.1.rebuilt.json")
        else:
            sentences = classification.read(DATA / "sentiment" / "train.tsv")
            requests = slot_filling.read(DATA / "slots" / "train")
            questions = question_answering.read(DATA / "questions" / "train.json")
        size = 64 if args.quick else 960
        folder = Path(scratch)
        bert = bertedu.load(args.checkpoint)
        model = bertedu.BertForPreTraining(TINY) if args.quick else bert.model
        bertedu.save_pretrained(model, folder, bert.tokenizer)
        rows = []
        if args.only != "answer":
            rows += training_rows(folder, args, sentences[:size], requests[:size])
        if args.only != "train":
            rows.append(sentences_row(folder, args, sentences[:size]))
            rows.append(answering_row(folder, args, questions[: size // 2]))
    report(
        __file__,
        rows,
        f"float32, batches of {RECIPE.batch_size} (16 questions), dropout of the checkpoint: "
        f"{bert.config.hidden_dropout_prob}.",
        save=args.save,
    )


if __name__ == "__main__":
    main()
