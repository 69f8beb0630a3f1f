"""A corpus on its way to disk: arrays that grow, and a note of how far they have come."""

import io
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bertedu.errors import InputError
from bertedu.pretraining.corpus_sources import Source

INFO = "corpus.json"
PROGRESS = "progress.json"
_HEADER_BYTES = 128  # what numpy writes before a one-dimensional array


class CorpusWriter:
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

    def __enter__(self) -> "CorpusWriter":
        return self

    def __exit__(self, *_: object) -> None:
        for column in self.columns.values():
            column.file.close()

    def resume(self, sources: list[Source]) -> tuple[int, int]:
        """Returns how many sources are done already, and the position in the next one."""
        path = self.folder / PROGRESS
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

    def append(self, paragraphs: list[list[list[int]]], source: Source, position: int) -> None:
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

    def finish_source(self, source: Source) -> None:
        """Ends a source, and with it its last document.

        Raises:
            InputError: there was no document in it.
        """
        self._begin(source)
        entry = self.sources[-1]
        entry["finished"] = True
        if self.counts["documents"] == entry["starts"]["documents"]:
            raise InputError(f"{source.name} has no document in it; fill it, or leave it out.")
        self._note()

    def finish(self) -> None:
        """Writes the arrays' ends and headers, and the corpus's description."""
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
        write_json(self.folder / INFO, info)
        (self.folder / PROGRESS).unlink()

    @property
    def counts(self) -> dict[str, int]:
        """How many tokens, sentences and documents there are so far."""
        return {name: column.length for name, column in self.columns.items()}

    def _begin(self, source: Source) -> None:
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
        write_json(self.folder / PROGRESS, state)


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


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Replaces the file in one step, so that it is whole at any moment."""
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
