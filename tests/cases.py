"""Four little worlds that a tiny model learns in a second, one for each case."""

import random

from bertedu import BertConfig, BertTokenizer
from bertedu.finetuning import (
    Classification,
    Inference,
    QuestionAnswering,
    SlotFilling,
    classification,
    inference,
    question_answering,
    slot_filling,
)
from bertedu.tokenizer import SPECIAL_TOKENS

WORDS = [f"w{i}" for i in range(20)]
TOKENIZER = BertTokenizer([*SPECIAL_TOKENS, *WORDS, "good", "bad", "in", "rome", "##s", "who", "."])
CONFIG = BertConfig(
    vocab_size=len(TOKENIZER),
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=32,
    max_position_embeddings=40,
    hidden_dropout_prob=0.1,
    attention_probs_dropout_prob=0.1,
    initializer_range=0.1,
)


def words(rng: random.Random, least: int = 2, most: int = 9) -> list[str]:
    return rng.choices(WORDS, k=rng.randint(least, most))


def sentences(count: int, seed: int = 0) -> list[classification.Example]:
    """The label is the one telling word."""
    rng, examples = random.Random(seed), []
    for i in range(count):
        label, text = ("good", "bad")[i % 2], words(rng)
        text.insert(rng.randint(0, len(text)), label)
        examples.append(classification.Example(" ".join(text), label))
    return examples


def requests(count: int, seed: int = 0) -> list[slot_filling.Example]:
    """What stands after `in` is a city; the first word tells the intent."""
    rng, examples = random.Random(seed), []
    for i in range(count):
        text = [("good", "bad")[i % 2], *words(rng)]
        tags = ["O"] * len(text)
        if i % 3:
            text += ["in", "romes", *rng.choices(WORDS, k=1)]
            tags += ["O", "B-city", "I-city"]
        examples.append(slot_filling.Example.from_words(text, tags, text[0]))
    return examples


def pairs(count: int, seed: int = 0) -> list[inference.Example]:
    """The telling words of both texts must be the same."""
    rng, examples = random.Random(seed), []
    for _ in range(count):
        one, other = rng.choice(["good", "bad"]), rng.choice(["good", "bad"])
        label = "true" if one == other else "false"
        examples.append(
            inference.Example(
                " ".join([one, *words(rng, 1, 3)]), " ".join([other, *words(rng, 1, 3)]), label
            )
        )
    return examples


def questions(count: int, seed: int = 0, longest: int = 9) -> list[question_answering.Example]:
    """The answer is `rome` and the word after it; every fourth document has none."""
    rng, examples = random.Random(seed), []
    for i in range(count):
        before, after = " ".join(words(rng, 1, longest)), " ".join(words(rng, 1, 4))
        if i % 4 == 0:
            document, answers = f"{before} {after}", ()
        else:
            answer = f"rome {after.split()[0]}"
            document = f"{before} rome {after}"
            answers = (question_answering.Answer(answer, len(before) + 1),)
        examples.append(
            question_answering.Example("who", document, answers, str(i), impossible=not answers)
        )
    return examples


CASES = {
    "classification": (Classification(), sentences),
    "slot_filling": (SlotFilling(), requests),
    "inference": (Inference(), pairs),
    "question_answering": (QuestionAnswering(overlap=8, max_answer_tokens=6), questions),
}
