"""Plain text -> documents -> sentences -> token ids, in memory-mapped arrays on disk."""

import hashlib
import io
import json
import lzma
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import nupunkt
from numpy.typing import NDArray
from tqdm.auto import tqdm

from bertedu.errors import InputError
from bertedu.tokenizer import BertTokenizer

SUFFIXES = (".txt", ".txt.xz", ".jsonl", ".jsonl.xz")
_FORMAT = 1
_INFO = "corpus.json"
_PROGRESS = "progress.json"
_HUB = "hub:"
_HEADER_BYTES = 128  # what numpy writes before a one-dimensional array


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
        if not (folder / _INFO).is_file():
            unfinished = (folder / _PROGRESS).is_file()
            raise InputError(
                f"{folder} holds no {'finished ' if unfinished else ''}corpus; "
                f"{'run the same Corpus.build again to continue' if unfinished else 'build one'}."
            )
        return cls(
            ids=np.load(folder / "ids.npy", mmap_mode="r"),
            sentence_starts=np.load(folder / "sentence_starts.npy", mmap_mode="r"),
            document_starts=np.load(folder / "document_starts.npy", mmap_mode="r"),
            info=json.loads((folder / _INFO).read_text("utf-8")),
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
        found = list(_find_sources(listed, exclude))
        settings = {
            "format": _FORMAT,
            "vocabulary_sha256": _vocabulary_sha256(tokenizer),
            "lowercase": tokenizer.lowercase,
        }
        if (out / _INFO).is_file():
            corpus = cls.open(out)
            built = corpus.info["sources"]
            same = len(built) == len(found) and all(map(_Source.is_that_of, found, built))
            if not same or corpus.info["settings"] != settings:
                raise InputError(
                    f"{out} holds a corpus of other sources or another vocabulary; "
                    "choose another folder, or delete it first."
                )
            return corpus
        out.mkdir(parents=True, exist_ok=True)
        with _Writer(out, settings, _id_dtype(tokenizer)) as writer:
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
    writer: "_Writer",
    sources: "list[_Source]",
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
            for block in _blocks(source, position, block_characters):
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


@dataclass(frozen=True)
class _Source:
    """A file, or a data set of the hub, and what tells that it has changed."""

    name: str
    size: int = 0  # bytes on disk; 0 = not known
    modified: int = 0  # nanoseconds

    def is_that_of(self, entry: dict[str, Any]) -> bool:
        return asdict(self).items() <= entry.items()

    def lines(self, position: int) -> "Iterator[_Line]":
        if self.name.startswith(_HUB):
            return _hub_rows(self.name, position)
        read = _json_lines if ".jsonl" in Path(self.name).name else _text_lines
        return read(self.name, position)


class _Line(NamedTuple):
    paragraphs: list[str]  # "" ends a document
    position: int  # where the next line begins
    bytes_read: int  # of the file as it lies on disk


def _blocks(source: _Source, position: int, characters: int) -> Iterator[_Line]:
    """Yields the lines from a position on, put together to about so many characters."""
    paragraphs: list[str] = []
    size = bytes_read = 0
    for line in source.lines(position):
        paragraphs += line.paragraphs
        size += sum(map(len, line.paragraphs))
        position, bytes_read = line.position, line.bytes_read
        if size >= characters:
            yield _Line(paragraphs, position, bytes_read)
            paragraphs, size = [], 0
    if paragraphs:
        yield _Line(paragraphs, position, bytes_read)


def _raw_lines(name: str, position: int) -> Iterator[tuple[str, int, int]]:
    """Yields each line, the position after it in the (unpacked) text, and the bytes read."""
    with ExitStack() as stack:
        file: IO[bytes] = stack.enter_context(Path(name).open("rb"))
        text = file
        if name.endswith(".xz"):
            text = io.BufferedReader(stack.enter_context(lzma.open(file)), 1 << 16)
        try:
            text.seek(position)
            for line in text:
                decoded = line.decode("utf-8").removeprefix("" if position else "\ufeff").strip()
                position += len(line)
                yield decoded, position, file.tell()
        except UnicodeDecodeError as error:
            raise InputError(
                f"{name} is not UTF-8 at byte {position + error.start:,}; convert it to UTF-8, "
                "or leave it out."
            ) from None
        except (lzma.LZMAError, EOFError) as error:
            raise InputError(f"{name} is not a whole .xz file ({error}); get it again.") from None


def _text_lines(name: str, position: int) -> Iterator[_Line]:
    for line, after, bytes_read in _raw_lines(name, position):
        yield _Line([line], after, bytes_read)


def _json_lines(name: str, position: int) -> Iterator[_Line]:
    for line, after, bytes_read in _raw_lines(name, position):
        if line:
            try:
                text = json.loads(line)["text"]
                text.encode("utf-8")
            except (ValueError, KeyError, TypeError, AttributeError):
                raise InputError(
                    f'{name} has no {{"text": "..."}} in the line that ends at byte {after:,}; '
                    "mend that line, or leave it out."
                ) from None
            yield _Line(_document(text), after, bytes_read)


def _document(text: str) -> list[str]:
    return ["", *filter(None, map(str.strip, text.splitlines()))]


def _hub_rows(name: str, position: int) -> Iterator[_Line]:
    try:
        import datasets
    except ImportError:
        raise InputError(
            f"{name} needs the package `datasets`; pip install bertedu[data], "
            "or give a file of text."
        ) from None
    data_set, _, split = name.removeprefix(_HUB).partition(":")
    try:
        rows = datasets.load_dataset(data_set, split=split or "train", streaming=True)
        bytes_read = 0
        for row in rows.skip(position):
            if not isinstance(row.get("text"), str):
                raise InputError(f'{name} has no column of texts named "text"; give another.')
            position += 1
            bytes_read += len(row["text"].encode("utf-8", "replace"))
            yield _Line(_document(row["text"]), position, bytes_read)
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{name} cannot be read ({str(error).splitlines()[0]}); check the name, the split and "
            "the network, or give a file of text."
        ) from error


def _find_sources(listed: Iterable[str | Path], exclude: Sequence[str]) -> Iterator[_Source]:
    for item in listed:
        if str(item).startswith(_HUB):
            yield _Source(str(item))
            continue
        path = Path(item)
        if not path.exists():
            raise InputError(f"{path} does not exist; give a file or folder of text.")
        files = [path]
        if path.is_dir():
            files = sorted(
                file
                for file in path.rglob("*")
                if file.is_file()
                and file.name.endswith(SUFFIXES)
                and not any(fnmatch(file.name, pattern) for pattern in exclude)
            )
            if not files:
                raise InputError(f"{path} holds no file that ends in {', '.join(SUFFIXES)}.")
        elif not path.name.endswith(SUFFIXES):
            raise InputError(f"{path} does not end in {', '.join(SUFFIXES)}; rename or convert it.")
        for file in files:
            status = file.stat()
            if not status.st_size:
                raise InputError(f"{file} is empty; fill it, or leave it out.")
            yield _Source(str(file), status.st_size, status.st_mtime_ns)


class _Writer:
    """Appends to the three arrays, and notes after every block how far it has come."""

    def __init__(self, folder: Path, settings: dict[str, Any], dtype: type) -> None:
        self.folder = folder
        self.settings = settings
        self.columns = {
            "tokens": _Column(folder / "ids.npy", dtype),
            "sentences": _Column(folder / "sentence_starts.npy", np.int64),
            "documents": _Column(folder / "document_starts.npy", np.int64),
        }
        self.dropped = {"empty_sentences": 0, "empty_documents": 0}
        self.sources: list[dict[str, Any]] = []  # the last one may be unfinished
        self.between_documents = True

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, *_: object) -> None:
        for column in self.columns.values():
            column.file.close()

    def resume(self, sources: list[_Source]) -> tuple[int, int]:
        """Returns how many sources are done already, and the position in the next one."""
        path = self.folder / _PROGRESS
        state = json.loads(path.read_text("utf-8")) if path.is_file() else {}
        if state.get("settings") != self.settings:
            state = {"sources": []}
        same = 0
        for source, entry in zip(sources, state["sources"], strict=False):
            if not source.is_that_of(entry):
                break
            same += 1
        if 0 < same == len(state["sources"]):  # everything noted is still valid
            last = state["sources"][-1]
            self.sources = state["sources"]
            self._truncate(state["counts"])
            self.dropped = state["dropped"]
            self.between_documents = state["between_documents"]
            return (same, 0) if last["finished"] else (same - 1, last["position"])
        if same:  # a source has changed: go on from the start of the first that did
            changed = state["sources"][same]
            self.sources = state["sources"][:same]
            self._truncate(changed["starts"])
            self.dropped = changed["dropped_before"]
        else:
            self._truncate(dict.fromkeys(self.columns, 0))
        return same, 0

    def append(self, paragraphs: list[list[list[int]]], source: _Source, position: int) -> None:
        """Writes a block of paragraphs; one without sentences ends a document."""
        self._begin(source)
        tokens, sentences = self.counts["tokens"], self.counts["sentences"]
        ids: list[int] = []
        sentence_starts: list[int] = []
        document_starts: list[int] = []
        for paragraph in paragraphs:
            if not paragraph:
                self.dropped["empty_documents"] += self.between_documents
                self.between_documents = True
            for sentence in paragraph:
                if not sentence:
                    self.dropped["empty_sentences"] += 1
                    continue
                if self.between_documents:
                    document_starts.append(sentences + len(sentence_starts))
                    self.between_documents = False
                sentence_starts.append(tokens + len(ids))
                ids += sentence
        self.columns["tokens"].append(ids)
        self.columns["sentences"].append(sentence_starts)
        self.columns["documents"].append(document_starts)
        self.sources[-1]["position"] = position
        self._note()

    def finish_source(self, source: _Source) -> None:
        self._begin(source)
        entry = self.sources[-1]
        entry["finished"] = True
        if self.counts["documents"] == entry["starts"]["documents"]:
            raise InputError(f"{source.name} has no document in it; fill it, or leave it out.")
        self._note()

    def finish(self) -> None:
        counts = self.counts
        self.columns["sentences"].append([counts["tokens"]])
        self.columns["documents"].append([counts["sentences"]])
        for column in self.columns.values():
            column.finish()
        ends = [entry["starts"] for entry in self.sources[1:]] + [counts]
        sources = [
            {
                **{key: entry[key] for key in ("name", "size", "modified")},
                "first_document": entry["starts"]["documents"],
                **{name: end[name] - entry["starts"][name] for name in counts},
            }
            for entry, end in zip(self.sources, ends, strict=True)
        ]
        info = {"settings": self.settings, **counts, **self.dropped, "sources": sources}
        _write_json(self.folder / _INFO, info)
        (self.folder / _PROGRESS).unlink()

    @property
    def counts(self) -> dict[str, int]:
        return {name: column.length for name, column in self.columns.items()}

    def _begin(self, source: _Source) -> None:
        if self.sources and not self.sources[-1]["finished"]:
            return
        self.sources.append(
            {
                **asdict(source),
                "starts": self.counts,
                "dropped_before": dict(self.dropped),
                "position": 0,
                "finished": False,
            }
        )
        self.between_documents = True

    def _truncate(self, counts: dict[str, int]) -> None:
        for name, column in self.columns.items():
            column.truncate(counts[name])

    def _note(self) -> None:
        for column in self.columns.values():
            column.flush()
        state = {
            "settings": self.settings,
            "counts": self.counts,
            "dropped": self.dropped,
            "between_documents": self.between_documents,
            "sources": self.sources,
        }
        _write_json(self.folder / _PROGRESS, state)


class _Column:
    """A one-dimensional .npy file that grows; its header is written when it is finished."""

    def __init__(self, path: Path, dtype: type) -> None:
        path.touch()
        self.file = path.open("r+b")
        self.dtype = np.dtype(dtype).newbyteorder("<")
        self.length = 0

    def truncate(self, length: int) -> None:
        self.length = length
        self.file.truncate(_HEADER_BYTES + length * self.dtype.itemsize)
        self.file.seek(0, os.SEEK_END)

    def append(self, values: list[int]) -> None:
        self.length += len(values)
        self.file.write(np.array(values, dtype=self.dtype).tobytes())

    def flush(self) -> None:
        self.file.flush()
        os.fsync(self.file.fileno())

    def finish(self) -> None:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header,
            {"descr": self.dtype.str, "fortran_order": False, "shape": (self.length,)},
        )
        self.file.seek(0)
        self.file.write(header.getvalue())
        self.flush()


def _write_json(path: Path, content: dict[str, Any]) -> None:
    """Replaces the file in one step, so that it is whole at any moment."""
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _vocabulary_sha256(tokenizer: BertTokenizer) -> str:
    return hashlib.sha256("\n".join(tokenizer.tokens).encode()).hexdigest()


def _id_dtype(tokenizer: BertTokenizer) -> type:
    return np.uint16 if len(tokenizer) <= 1 << 16 else np.uint32


def _plural(count: int, name: str) -> str:
    return f"{count:,} {name}" if count == 1 else f"{count:,} {name}s"
