"""Plain text -> documents -> sentences -> token ids, in memory-mapped arrays on disk."""

import hashlib
import json
import zlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import nupunkt
from numpy.typing import NDArray
from tqdm.auto import tqdm

from bertedu.errors import InputError
from bertedu.pretraining.corpus_sources import Source, blocks, find_sources
from bertedu.pretraining.corpus_writer import INFO, PROGRESS, CorpusWriter
from bertedu.tokenizer import BertTokenizer

_FORMAT = 1


class Corpus:
    """Token ids of many documents, read from disk only where they are touched.

    Attributes:
        ids: all token ids, one sentence after the other, uint16 or uint32 [tokens].
        sentence_starts: where each sentence starts in `ids`, int64 [sentences + 1].
        document_starts: where each document starts among the sentences, int64 [documents + 1].
        info: counts, sources and settings, as in the folder's corpus.json.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "dogs.txt").write_text("My dog is cute. It likes playing.", "utf-8")
        >>> tokenizer = BertTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "dog", "it"])
        >>> corpus = Corpus.build(folder / "dogs.txt", tokenizer, folder / "ids", progress=False)
        >>> corpus
        Corpus(1 document, 2 sentences, 9 tokens)
        >>> corpus.sentence(1).tolist()  # it, and three tokens that are not in this vocabulary
        [6, 1, 1, 1]
    """

    def __init__(
        self,
        ids: NDArray[np.unsignedinteger[Any]],
        sentence_starts: NDArray[np.int64],
        document_starts: NDArray[np.int64],
        info: dict[str, Any] | None = None,
    ) -> None:
        self.ids = ids
        self.sentence_starts = sentence_starts
        self.document_starts = document_starts
        self.info = info or {}

    @classmethod
    def open(cls, folder: str | Path) -> "Corpus":
        """Return the corpus that `Corpus.build` wrote to a folder.

        Raises:
            InputError: if there is no finished corpus in the folder.
        """
        folder = Path(folder)
        if not (folder / INFO).is_file():
            unfinished = (folder / PROGRESS).is_file()
            raise InputError(
                f"{folder} holds no {'finished ' if unfinished else ''}corpus; "
                f"{'run the same Corpus.build again to continue' if unfinished else 'build one'}."
            )
        return cls(
            ids=np.load(folder / "ids.npy", mmap_mode="r"),
            sentence_starts=np.load(folder / "sentence_starts.npy", mmap_mode="r"),
            document_starts=np.load(folder / "document_starts.npy", mmap_mode="r"),
            info=json.loads((folder / INFO).read_text("utf-8")),
        )

    @classmethod
    def build(
        cls,
        sources: str | Path | Sequence[str | Path],
        tokenizer: BertTokenizer,
        out: str | Path,
        *,
        exclude: Sequence[str] = (),
        progress: bool = True,
        block_characters: int = 1 << 20,
    ) -> "Corpus":
        """Return the corpus built from text; one that is already finished is only opened.

        Sentences that have no token and documents that have no sentence are left out and counted.
        An interrupted build continues, block by block, when it is started again; memory stays
        flat, whatever the size of the text.

        Args:
            sources: files or folders of .txt (a paragraph a line, a blank line between documents)
                or .jsonl (an object with "text" a line), each also as .xz; or
                "hub:NAME[:SPLIT]", a data set of the Hugging Face hub with a "text" column.
            tokenizer: turns sentences into ids.
            out: the folder to write to.
            exclude: file name patterns to leave out of folders, such as "README*".
            progress: show a bar over the bytes of the sources, with the time left.
            block_characters: characters of text held in memory at a time.

        Raises:
            InputError: if a source is missing, empty, not UTF-8, broken or without documents, or
                `out` holds a corpus of other sources. The message names the file.
        """
        out = Path(out)
        listed = [sources] if isinstance(sources, str | Path) else sources
        found = list(find_sources(listed, exclude))
        settings = {
            "format": _FORMAT,
            "vocabulary_sha256": _vocabulary_sha256(tokenizer),
            "lowercase": tokenizer.lowercase,
        }
        if (out / INFO).is_file():
            corpus = cls.open(out)
            built = corpus.info["sources"]
            same = len(built) == len(found) and all(map(Source.is_that_of, found, built))
            if not same or corpus.info["settings"] != settings:
                raise InputError(
                    f"{out} holds a corpus of other sources or another vocabulary; "
                    "choose another folder, or delete it first."
                )
            return corpus
        out.mkdir(parents=True, exist_ok=True)
        with CorpusWriter(out, settings, _id_dtype(tokenizer)) as writer:
            _write_sources(writer, found, tokenizer, progress, block_characters)
        return cls.open(out)

    @property
    def num_documents(self) -> int:
        """The number of documents."""
        return len(self.document_starts) - 1

    @property
    def num_sentences(self) -> int:
        """The number of sentences."""
        return len(self.sentence_starts) - 1

    @property
    def num_tokens(self) -> int:
        """The number of tokens."""
        return len(self.ids)

    def __len__(self) -> int:
        return self.num_documents

    def __repr__(self) -> str:
        counts = {
            "document": self.num_documents,
            "sentence": self.num_sentences,
            "token": self.num_tokens,
        }
        return f"Corpus({', '.join(_plural(count, name) for name, count in counts.items())})"

    def sentence(self, index: int) -> NDArray[np.unsignedinteger[Any]]:
        """Return the token ids of one sentence, a view [tokens]."""
        return self.ids[self.sentence_starts[index] : self.sentence_starts[index + 1]]

    def document(self, index: int) -> list[NDArray[np.unsignedinteger[Any]]]:
        """Return the sentences of one document, each a view of its token ids [tokens]."""
        first, end = self.document_starts[index : index + 2]
        return [self.sentence(sentence) for sentence in range(first, end)]

    def __getitem__(self, index: int) -> list[NDArray[np.unsignedinteger[Any]]]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"document {index} of {len(self)}")
        return self.document(index % len(self))

    def __iter__(self) -> Iterator[list[NDArray[np.unsignedinteger[Any]]]]:
        return (self.document(index) for index in range(len(self)))

    def split(self, held_out_fraction: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the indices of the documents to train on and of those held out.

        A document is held out by a hash of its text. So the split is the same on every machine and
        in every order of the sources, and all copies of a document fall on the same side.

        Args:
            held_out_fraction: share of the documents to hold out, at least 0 and less than 1;
                above 0 at least one document is held out.

        Returns:
            Two ascending int64 arrays, [training documents] and [held-out documents].

        Raises:
            InputError: if the fraction is out of range, or leaves nothing to train on.
        """
        if not 0 <= held_out_fraction < 1:
            raise InputError(
                f"held_out_fraction is {held_out_fraction}; choose at least 0 and less than 1."
            )
        count = round(held_out_fraction * len(self)) or int(held_out_fraction > 0)
        held_out = np.zeros(len(self), dtype=bool)
        if count:
            starts = self.sentence_starts[self.document_starts]
            hashes = np.array(
                [
                    zlib.crc32(self.ids[start:end].astype("<u4").tobytes())
                    for start, end in pairwise(starts)
                ],
                dtype=np.int64,
            )
            held_out = hashes <= np.partition(hashes, count - 1)[count - 1]
            if held_out.all():
                raise InputError(
                    f"Holding out {held_out_fraction:g} of {len(self)} documents leaves none to "
                    "train on; give more documents."
                )
        return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def split_sentences(paragraph: str) -> list[str]:
    """Return the sentences of one paragraph, without the white space between them.

    Example:
        >>> split_sentences("Dr. Smith has a dog. It likes playing!")
        ['Dr. Smith has a dog.', 'It likes playing!']
    """
    return nupunkt.load("default").texts(paragraph) or ([paragraph] if paragraph else [])


def _write_sources(
    writer: "CorpusWriter",
    sources: "list[Source]",
    tokenizer: BertTokenizer,
    progress: bool,
    block_characters: int,
) -> None:
    done, position = writer.resume(sources)
    known = all(source.size for source in sources)
    with tqdm(
        total=sum(source.size for source in sources) if known else None,
        initial=sum(source.size for source in sources[:done]),
        unit="B",
        unit_scale=True,
        desc="text to ids",
        disable=not progress,
    ) as bar:
        for source in sources[done:]:
            before = bar.n
            for block in blocks(source, position, block_characters):
                writer.append(_encode(block.paragraphs, tokenizer), source, block.position)
                bar.update(before + block.bytes_read - bar.n)
            writer.finish_source(source)
            bar.update(max(0, before + source.size - bar.n))
            position = 0
    writer.finish()


def _encode(paragraphs: list[str], tokenizer: BertTokenizer) -> list[list[list[int]]]:
    """Returns the ids of every sentence of every paragraph.

    Special tokens that the text itself spells out are left out: they would end a segment early.
    """
    sentences = [split_sentences(paragraph) for paragraph in paragraphs]
    encoded = iter(tokenizer.ids_batch(s for paragraph in sentences for s in paragraph))
    marks = tokenizer.special_ids - {tokenizer.unk_token_id}
    return [
        [
            ids if marks.isdisjoint(ids) else [token for token in ids if token not in marks]
            for ids in (next(encoded) for _ in paragraph)
        ]
        for paragraph in sentences
    ]


def _vocabulary_sha256(tokenizer: BertTokenizer) -> str:
    return hashlib.sha256("\n".join(tokenizer.tokens).encode()).hexdigest()


def _id_dtype(tokenizer: BertTokenizer) -> type:
    return np.uint16 if len(tokenizer) <= 1 << 16 else np.uint32


def _plural(count: int, name: str) -> str:
    return f"{count:,} {name}" if count == 1 else f"{count:,} {name}s"
