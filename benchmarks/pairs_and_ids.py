"""Text to ids, and ids to sentence pairs: bertedu against plain Python, sentences a second.

The plain Python below does what the paper's data script does, loop by loop: tokenize a sentence
(clean, lower-case, split at punctuation, longest match first), and pack sentences to pairs with
a coin for the label. Source: Devlin et al. 2019, section 3.1 and appendix A.2; google-research/
bert tokenization.py and create_pretraining_data.py, written afresh from their description.
"""

import random
import tempfile
import unicodedata
from functools import partial
from pathlib import Path

from bench import COURSE_TEXT, arguments, interleaved, read_text, report

import bertedu
from bertedu.pretraining.corpus import Corpus, split_sentences
from bertedu.pretraining.pairs import PairSampler
from bertedu.tokenizer import LONGEST_WORD

MAX_LENGTH, ROWS = 128, 64
CJK = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F),
       (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F))  # fmt: skip

Document = list[list[int]]


def is_punctuation(character: str) -> bool:
    """Returns whether a character is a word of its own."""
    ascii_symbol = "!" <= character <= "~" and not character.isalnum()
    return ascii_symbol or unicodedata.category(character).startswith("P")


def plain_words(text: str) -> list[str]:
    """Returns lower-cased words without accents; a punctuation mark is a word of its own."""
    cleaned = []
    for character in text:
        if character in "\t\n\r" or unicodedata.category(character) == "Zs":
            cleaned.append(" ")
        elif character == "\ufffd" or unicodedata.category(character).startswith("C"):
            continue
        elif any(low <= ord(character) <= high for low, high in CJK):
            cleaned.append(f" {character} ")
        else:
            cleaned.append(character)
    words = []
    for chunk in "".join(cleaned).split():
        word = ""
        for character in unicodedata.normalize("NFD", chunk.lower()):
            if unicodedata.category(character) == "Mn":
                continue
            if is_punctuation(character):
                words += [word, character] if word else [character]
                word = ""
            else:
                word += character
        if word:
            words.append(word)
    return words


def plain_pieces(word: str, vocab: dict[str, int]) -> list[int]:
    """Returns the ids of the longest pieces from the left; [UNK] if one cannot be found."""
    if len(word) > LONGEST_WORD:
        return [vocab["[UNK]"]]
    pieces, start = [], 0
    while start < len(word):
        for end in range(len(word), start, -1):
            piece = word[start:end] if start == 0 else "##" + word[start:end]
            if piece in vocab:
                pieces.append(vocab[piece])
                start = end
                break
        else:
            return [vocab["[UNK]"]]
    return pieces


def plain_ids(sentences: list[str], vocab: dict[str, int]) -> list[list[int]]:
    """Returns the ids of every sentence."""
    return [[i for w in plain_words(s) for i in plain_pieces(w, vocab)] for s in sentences]


def plain_pairs(documents: list[Document], cls: int, sep: int, pad: int) -> list[dict[str, object]]:
    """Returns the examples of one pass, each padded to length."""
    rng = random.Random(0)
    examples: list[dict[str, object]] = []
    for own, document in enumerate(documents):
        room = MAX_LENGTH - 3
        target = rng.randint(2, room) if rng.random() < 0.1 else room
        chunk: Document = []
        position = 0
        while position < len(document):
            chunk.append(document[position])
            if position + 1 == len(document) or sum(map(len, chunk)) >= target:
                split = rng.randint(1, len(chunk) - 1) if len(chunk) > 1 else 1
                a = [i for sentence in chunk[:split] for i in sentence]
                b: list[int] = []
                is_random = len(chunk) == 1 or rng.random() < 0.5
                if is_random:
                    for _ in range(10):
                        other = rng.randrange(len(documents))
                        if other != own:
                            break
                    for sentence in documents[other][rng.randrange(len(documents[other])) :]:
                        b += sentence
                        if len(a) + len(b) >= target:
                            break
                    position -= len(chunk) - split  # what was not used goes back
                else:
                    b = [i for sentence in chunk[split:] for i in sentence]
                while len(a) + len(b) > room:
                    longer = a if len(a) > len(b) else b
                    longer.pop(0 if rng.random() < 0.5 else -1)
                ids = [cls, *a, sep, *b, sep]
                padding = [0] * (MAX_LENGTH - len(ids))
                examples.append(
                    {
                        "input_ids": ids + [pad] * len(padding),
                        "token_type_ids": [0] * (len(a) + 2) + [1] * (len(b) + 1) + padding,
                        "attention_mask": [1] * len(ids) + padding,
                        "next_sentence_label": int(is_random),
                    }
                )
                chunk = []
            position += 1
    return examples


def our_pairs(sampler: PairSampler) -> None:
    """Goes through one epoch, batch by batch."""
    examples = sampler.epoch(0).examples
    for first in range(0, len(examples), ROWS):
        sampler.materialize(examples[first : first + ROWS], pad_to=MAX_LENGTH)


def main() -> None:
    """Measures, and prints the table."""
    args = arguments(__doc__, text={"type": Path, "default": COURSE_TEXT})
    tokenizer = bertedu.load_tokenizer()
    text = read_text(args.text)
    sentences = [
        s for d in text for paragraph in d.splitlines() for s in split_sentences(paragraph)
    ]
    sentences = sentences[: 500 if args.quick else 5000]
    plain = plain_ids(sentences, tokenizer.vocab)
    equal = sum(map(list.__eq__, plain, tokenizer.ids_batch(sentences))) / len(sentences)
    assert equal > 0.999, f"only {equal:.2%} of the sentences have the same ids"

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "text.txt"
        source.write_text("\n\n".join(text), encoding="utf-8")
        corpus = Corpus.build(source, tokenizer, Path(folder) / "ids", progress=False)
    documents = [[s.tolist() for s in document] for document in corpus if len(document) > 1]
    sampler = PairSampler(corpus, tokenizer, max_length=MAX_LENGTH)
    in_pairs = sum(map(len, documents))

    rounds = 2 if args.quick else args.rounds or 15
    marks = tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.pad_token_id
    rows = []
    for job, count, theirs, ours in (
        ("text to ids", len(sentences), partial(plain_ids, sentences, tokenizer.vocab),
         partial(tokenizer.ids_batch, sentences)),
        ("ids to padded pairs", in_pairs, partial(plain_pairs, documents, *marks),
         partial(our_pairs, sampler)),
        ("ids to pairs, ours unpadded", in_pairs, partial(plain_pairs, documents, *marks),
         partial(sampler.epoch, 0)),
    ):  # fmt: skip
        times = interleaved({"plain": theirs, "bertedu": ours}, rounds)
        rows.append(
            {
                "job": job,
                "sentences": f"{count:,}",
                "plain Python, sentences/s": f"{count / times.median('plain'):,.0f}",
                "bertedu, sentences/s": f"{count / times.median('bertedu'):,.0f}",
                "times faster": str(times.ratio("plain", "bertedu")),
                "fastest rounds": times.best_ratio("plain", "bertedu"),
            }
        )
    report(
        __file__,
        rows,
        f"Text: {corpus}, {corpus.num_tokens / corpus.num_sentences:.0f} tokens a sentence. Both "
        f"give the same ids for {equal:.2%} of the sentences. Ours uses all cores for the ids, one "
        "for the pairs.",
        save=args.save,
    )


if __name__ == "__main__":
    main()
