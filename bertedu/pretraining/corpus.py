"""Plain text -> documents -> sentences -> token ids, in memory-mapped arrays on disk.

While a corpus is built, each block of a source's text becomes a shard, a file of its own. What
is finished stays when the build is interrupted; at the end all shards are put into three arrays.
"""

import hashlib
import json
import shutil
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import nupunkt
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from tqdm.auto import tqdm

from bertedu.errors import InputError
from bertedu.pretraining.sources import Source, blocks, find_sources
from bertedu.tokenizer import BertTokenizer
from bertedu.utils.chinese import split_chinese
from bertedu.utils.files import replacing, write_json

INFO = "corpus.json"
SHARDS = "shards"
_FORMAT = 1
_BLOCK = 1 << 22  # ids

_Shard = dict[str, Any]  # arrays, and what is to be known of the text before the next shard


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
    def open(cls, folder: str | Path, tokenizer: BertTokenizer | None = None) -> "Corpus":
        """Return the corpus that `Corpus.build` wrote to a folder.

        Args:
            folder: where it is.
            tokenizer: the one that is to read its ids; None = any.

        Raises:
            InputError: if there is no finished corpus in the folder, or another tokenizer's.
        """
        folder = Path(folder)
        if not (folder / INFO).is_file():
            unfinished = (folder / SHARDS).is_dir()
            raise InputError(
                f"{folder} holds no {'finished ' if unfinished else ''}corpus; "
                f"{'run the same Corpus.build again to continue' if unfinished else 'build one'}."
            )
        info = json.loads((folder / INFO).read_text("utf-8"))
        if tokenizer is not None and info["settings"] != _settings(tokenizer):
            raise InputError(
                f"{folder} holds a corpus of another vocabulary; build one with this vocabulary."
            )
        return cls(
            ids=np.load(folder / "ids.npy", mmap_mode="r"),
            sentence_starts=np.load(folder / "sentence_starts.npy", mmap_mode="r"),
            document_starts=np.load(folder / "document_starts.npy", mmap_mode="r"),
            info=info,
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
                "hub:NAME[:CONFIG][:SPLIT]", a data set of the hub with a "text" column.
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
        settings = _settings(tokenizer)
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
        folders = [out / SHARDS / _digest(repr((settings, source)))[:16] for source in found]
        todo = {f: source for f, source in zip(folders, found, strict=True) if not f.is_dir()}
        sizes, sizes_todo = ([source.size for source in of] for of in (found, todo.values()))
        with tqdm(
            total=sum(sizes) if all(sizes) else None,
            initial=sum(sizes) - sum(sizes_todo),
            unit="B",
            unit_scale=True,
            desc="text to ids",
            disable=not progress,
        ) as bar:
            for folder, source in todo.items():
                before = bar.n
                for bytes_read in _write_shards(source, folder, tokenizer, block_characters):
                    bar.update(before + bytes_read - bar.n)
                bar.update(max(0, before + source.size - bar.n))
        _join(out, found, folders, settings)
        shutil.rmtree(out / SHARDS)
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

    def blocks(self) -> Iterator[NDArray[np.unsignedinteger[Any]]]:
        """Yields all ids, some megabytes at a time: the others stay on disk."""
        for first in range(0, len(self.ids), _BLOCK):
            yield self.ids[first : first + _BLOCK]

    @cached_property
    def digest(self) -> str:
        """The sha256 of the text, as ids, and of where its sentences and documents start."""
        digest = hashlib.sha256()
        for block in (*self.blocks(), self.sentence_starts, self.document_starts):
            digest.update(block.tobytes())
        return digest.hexdigest()

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
        >>> split_sentences("我有一只狗。它很可爱。")
        ['我有一只狗。', '它很可爱。']
    """
    parts = [part.strip() for part in split_chinese(paragraph)]
    splitter = nupunkt.load("default")
    return [text for part in parts if part for text in splitter.texts(part) or [part]]


def _write_shards(
    source: Source, folder: Path, tokenizer: BertTokenizer, characters: int
) -> Iterator[int]:
    """Writes the shards of a source that are not there yet; yields how far it has been read.

    The folder gets its name when it is complete.
    """
    part = folder.with_suffix(".part")
    part.mkdir(parents=True, exist_ok=True)
    written, lines, between_documents = 0, 0, True
    for shard in _shards(part):
        written += 1
        lines += int(shard["lines"])
        between_documents = bool(shard["between_documents"])
    for number, block in enumerate(blocks(source, lines, characters), start=written):
        shard = _shard(_encode(block.paragraphs, tokenizer), between_documents, tokenizer)
        between_documents = shard["between_documents"]
        with replacing(part / f"{number:06}.npz") as temporary, temporary.open("wb") as file:
            np.savez(file, lines=block.lines, **shard)
        yield block.bytes_read
    if not any(len(shard["document_starts"]) for shard in _shards(part)):
        raise InputError(f"{source.name} has no document in it; fill it, or leave it out.")
    part.replace(folder)


def _shards(folder: Path) -> Iterator[_Shard]:
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as file:
            yield dict(file)


def _shard(
    paragraphs: list[list[list[int]]], between_documents: bool, tokenizer: BertTokenizer
) -> _Shard:
    """Returns a block's ids, and where in it sentences and documents start.

    Args:
        paragraphs: of sentences of ids; one without sentences ends a document.
        between_documents: whether the text before ended a document, too.
        tokenizer: the one that made the ids.
    """
    ids: list[int] = []
    sentence_starts: list[int] = []
    document_starts: list[int] = []
    empty: Counter[str] = Counter()
    for paragraph in paragraphs:
        if not paragraph:
            empty["documents"] += between_documents
            between_documents = True
        for sentence in paragraph:
            if not sentence:
                empty["sentences"] += 1
                continue
            if between_documents:
                document_starts.append(len(sentence_starts))
                between_documents = False
            sentence_starts.append(len(ids))
            ids += sentence
    return {
        "ids": np.array(ids, dtype="<u2" if len(tokenizer) <= 1 << 16 else "<u4"),
        "sentence_starts": np.array(sentence_starts, dtype=np.int64),
        "document_starts": np.array(document_starts, dtype=np.int64),
        "empty_sentences": empty["sentences"],
        "empty_documents": empty["documents"],
        "between_documents": between_documents,
    }


def _join(out: Path, sources: list[Source], folders: list[Path], settings: dict[str, Any]) -> None:
    """Puts all shards into the corpus's three arrays, and describes them."""
    counts = [sum(map(_counts, _shards(folder)), Counter[str]()) for folder in folders]
    total = sum(counts, Counter[str]())
    dtype = next(_shards(folders[0]))["ids"].dtype
    for name, kind, length in (
        ("ids", dtype, total["tokens"]),
        ("sentence_starts", np.int64, total["sentences"] + 1),
        ("document_starts", np.int64, total["documents"] + 1),
    ):
        open_memmap(out / f"{name}.npy", "w+", kind, (length,))

    def put(name: str, start: int, values: Any) -> None:
        array = np.load(out / f"{name}.npy", mmap_mode="r+")  # anew: what is written leaves memory
        array[start : start + len(values)] = values
        array.flush()

    entries = []
    at = Counter[str]()
    for source, folder, count in zip(sources, folders, counts, strict=True):
        own = {name: count[name] for name in ("tokens", "sentences", "documents")}
        entries.append({**asdict(source), "first_document": at["documents"], **own})
        for shard in _shards(folder):
            put("ids", at["tokens"], shard["ids"])
            put("sentence_starts", at["sentences"], shard["sentence_starts"] + at["tokens"])
            put("document_starts", at["documents"], shard["document_starts"] + at["sentences"])
            at += _counts(shard)
    put("sentence_starts", at["sentences"], [at["tokens"]])
    put("document_starts", at["documents"], [at["sentences"]])
    names = ("tokens", "sentences", "documents", "empty_sentences", "empty_documents")
    described = {name: total[name] for name in names}
    write_json(out / INFO, {"settings": settings, **described, "sources": entries})


def _counts(shard: _Shard) -> Counter[str]:
    return Counter(
        tokens=len(shard["ids"]),
        sentences=len(shard["sentence_starts"]),
        documents=len(shard["document_starts"]),
        empty_sentences=int(shard["empty_sentences"]),
        empty_documents=int(shard["empty_documents"]),
    )


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


def _settings(tokenizer: BertTokenizer) -> dict[str, Any]:
    """Returns what a corpus notes of the tokenizer that made its ids."""
    return {
        "format": _FORMAT,
        "vocabulary_sha256": _digest("\n".join(tokenizer.tokens)),
        "lowercase": tokenizer.lowercase,
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _plural(count: int, name: str) -> str:
    return f"{count:,} {name}" if count == 1 else f"{count:,} {name}s"
