"""Text to ids: bertedu against plain Python, sentences a second.

The plain Python below does what the paper's data script does, loop by loop: clean, lower-case,
split at punctuation, longest match first. Source: Devlin et al. 2019, section 3.1; google-research/
bert tokenization.py, written afresh from its description.
"""

import unicodedata
from functools import partial
from pathlib import Path

from bench import COURSE_TEXT, arguments, interleaved, read_text, report

import bertedu
from bertedu.pretraining.corpus import split_sentences
from bertedu.tokenizer import LONGEST_WORD

CJK = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F),
       (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F))  # fmt: skip


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

    rounds = 2 if args.quick else args.rounds or 15
    work = {
        "plain": partial(plain_ids, sentences, tokenizer.vocab),
        "bertedu": partial(tokenizer.ids_batch, sentences),
    }
    times = interleaved(work, rounds)
    rows = [
        {
            "job": "text to ids",
            "sentences": f"{len(sentences):,}",
            "plain Python, sentences/s": f"{len(sentences) / times.median('plain'):,.0f}",
            "bertedu, sentences/s": f"{len(sentences) / times.median('bertedu'):,.0f}",
            "times faster": str(times.ratio("plain", "bertedu")),
            "fastest rounds": times.best_ratio("plain", "bertedu"),
        }
    ]
    note = f"Both give the same ids for {equal:.2%} of the sentences. Ours uses all cores."
    report(__file__, rows, note, save=args.save)


if __name__ == "__main__":
    main()
