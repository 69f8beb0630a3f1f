"""The course's own data, written for it; README.md says what is in it.

Example:
    >>> sorted(folder.name for folder in (TRAIN, HELD_OUT))
    ['held_out', 'train']
    >>> (TRAIN / "weather.txt").read_text("utf-8")[:40]
    'Every drop of rain begins its way with t'
"""

from pathlib import Path

TRAIN = Path(__file__).parent / "documents" / "train"
"""Documents to learn from, one file a topic: a source for `Corpus.build`."""

HELD_OUT = Path(__file__).parent / "documents" / "held_out"
"""Documents to evaluate on, of the same topics."""

SENTIMENT = Path(__file__).parent / "sentiment"
"""Sentences and their labels, 0 negative or 1 positive, as train.tsv, dev.tsv and test.tsv: case 1
of the notes."""

SLOTS = Path(__file__).parent / "slots"
"""Requests with a BIO tag a word and an intent, as train, dev and test, each a folder with seq.in,
seq.out and label, for `bertedu.finetuning.slot_filling.read`: case 2."""

INFERENCE = Path(__file__).parent / "inference"
"""Premise and hypothesis, as train.tsv, dev.tsv and test.tsv: case 3 of the notes."""

QUESTIONS = Path(__file__).parent / "questions"
"""Questions on paragraphs, as train.json, dev.json and test.json in the format of SQuAD v2.0, and
the notes' own in precipitation.json: case 4."""
