"""Text to ids on disk: structure, sources, interruption, memory, held-out documents."""

import json
import lzma
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bertedu.errors import InputError
from bertedu.pretraining.corpus import Corpus, split_sentences
from bertedu.pretraining.sources import Source, blocks
from bertedu.tokenizer import SPECIAL_TOKENS, BertTokenizer

WORDS = ["my", "dog", "is", "hairy", "cute", "it", "likes", "play", "##ing", ".", "!", "?", ","]
TOKENIZER = BertTokenizer([*SPECIAL_TOKENS, *WORDS])

TEXT = """\
My dog is cute. It likes playing.
It is hairy!

Is it?
"""
DOCUMENTS = [["my dog is cute .", "it likes play ##ing .", "it is hairy !"], ["is it ?"]]


def build(source: Any, out: Path, **options: Any) -> Corpus:
    return Corpus.build(source, TOKENIZER, out, progress=False, **options)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode("utf-8")
    path.write_bytes(lzma.compress(data) if path.suffix == ".xz" else data)
    return path


def tokens_of(corpus: Corpus) -> list[list[str]]:
    return [
        [" ".join(TOKENIZER.tokens[i] for i in sentence) for sentence in document]
        for document in corpus
    ]


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


JSON_LINES = "".join(
    json.dumps({"id": 7, "text": document}) + "\n" for document in TEXT.split("\n\n")
)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", TEXT),
        ("a.txt.xz", TEXT),
        ("a.jsonl", JSON_LINES),
        ("a.jsonl.xz", JSON_LINES),
        ("windows.txt", TEXT.replace("\n", "\r\n")),
        ("marked.txt", "\ufeff" + TEXT),
        ("old_mac.txt", TEXT.replace("\n", "\r")),
        ("empty_lines.txt", "\n \n" + TEXT.replace("\n\n", "\n\t\n\n\n") + "\n\n"),
        ("no_last_newline.txt", TEXT.rstrip()),
    ],
)
def test_every_source_gives_the_same_documents(tmp_path: Path, name: str, text: str) -> None:
    corpus = build(write(tmp_path / name, text), tmp_path / "ids")
    assert tokens_of(corpus) == DOCUMENTS
    assert repr(corpus) == "Corpus(2 documents, 4 sentences, 17 tokens)"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_a_text_in_another_encoding_gives_the_same(tmp_path: Path, encoding: str) -> None:
    for name, text in (("a.txt", TEXT), ("a.jsonl", JSON_LINES)):
        (tmp_path / name).write_bytes(text.encode(encoding))
        corpus = build(tmp_path / name, tmp_path / f"{name} ids")
        assert tokens_of(corpus) == DOCUMENTS


def test_a_long_line_is_cut_at_a_blank(tmp_path: Path) -> None:
    text = "dog " * 600_000  # 2.4 MB without a line's end
    found = list(blocks(Source(str(write(tmp_path / "a.txt", text))), 0, 1 << 20))
    assert [len(block.paragraphs) for block in found] == [2, 1]
    words = [word for block in found for line in block.paragraphs for word in line.split()]
    assert words == ["dog"] * 600_000
    (last,) = blocks(Source(str(tmp_path / "a.txt")), 2, 1 << 20)
    assert last.paragraphs == found[1].paragraphs
    (block,) = blocks(
        Source(str(write(tmp_path / "a.jsonl", json.dumps({"text": text})))), 0, 1 << 20
    )
    assert [len(paragraph) for paragraph in block.paragraphs] == [0, 999_999, 999_999, 399_999]
    assert " ".join(block.paragraphs).split() == words
    (tmp_path / "a.jsonl").write_text('{"text": "' + text * 8)
    with pytest.raises(InputError, match=r"a\.jsonl:1: this line is longer than 16,777,216"):
        list(blocks(Source(str(tmp_path / "a.jsonl")), 0, 1 << 20))


def test_arrays_are_plain_numpy_files_read_from_disk(tmp_path: Path) -> None:
    corpus = build(write(tmp_path / "a.txt", TEXT), tmp_path / "ids")
    assert isinstance(corpus.ids, np.memmap)
    assert np.load(tmp_path / "ids/ids.npy").dtype == np.uint16
    assert np.load(tmp_path / "ids/sentence_starts.npy").tolist() == [0, 5, 10, 14, 17]
    assert np.load(tmp_path / "ids/document_starts.npy").tolist() == [0, 3, 4]
    assert sorted(files_of(tmp_path / "ids")) == [
        "corpus.json",
        "document_starts.npy",
        "ids.npy",
        "sentence_starts.npy",
    ]


def test_large_vocabularies_get_wider_ids(tmp_path: Path) -> None:
    filler = [f"[unused{n}]" for n in range(1 << 16)]
    tokenizer = BertTokenizer([*SPECIAL_TOKENS, *filler, *WORDS])
    source = write(tmp_path / "a.txt", "My dog.")
    corpus = Corpus.build(source, tokenizer, tmp_path / "ids", progress=False)
    assert corpus.ids.dtype == np.uint32
    assert [tokenizer.tokens[i] for i in corpus.ids] == ["my", "dog", "."]


def test_documents_and_sentences_are_found_by_index(tmp_path: Path) -> None:
    corpus = build(write(tmp_path / "a.txt", TEXT), tmp_path / "ids")
    assert len(corpus) == corpus.num_documents == 2
    assert corpus.sentence(3).tolist() == corpus[1][0].tolist() == corpus[-1][0].tolist()
    assert np.shares_memory(corpus.sentence(0), corpus.ids)
    for index in (2, -3):
        with pytest.raises(IndexError, match=f"document {index} of 2"):
            corpus[index]


def test_special_tokens_spelled_out_in_the_text_are_left_out(tmp_path: Path) -> None:
    text = "My [SEP] dog [MASK] is [PAD] a [CLS] dog.\n"
    corpus = build(write(tmp_path / "a.txt", text), tmp_path / "ids")
    assert tokens_of(corpus) == [["my dog is [UNK] dog ."]]


def test_sentences_and_documents_without_tokens_are_counted(tmp_path: Path) -> None:
    text = "\n\u200b\n\nMy dog.\n\u200b\n\n\nIt is.\n"
    corpus = build(write(tmp_path / "a.txt", text), tmp_path / "ids")
    assert tokens_of(corpus) == [["my dog ."], ["it is ."]]
    assert corpus.info["empty_sentences"] == 2
    assert corpus.info["empty_documents"] == 3  # before, with no letter, between two empty lines


def test_a_sentence_ends_with_its_paragraph() -> None:
    assert split_sentences("Dr. Smith has a dog. It likes playing!") == [
        "Dr. Smith has a dog.",
        "It likes playing!",
    ]
    assert split_sentences("") == []


def test_folders_are_read_in_order_and_files_can_be_left_out(tmp_path: Path) -> None:
    write(tmp_path / "in/b.txt", "It is.")
    write(tmp_path / "in/a/z.jsonl.xz", '{"text": "My dog."}')
    write(tmp_path / "in/README.txt", "Cute!")
    write(tmp_path / "in/table.tsv", "no\ttext")
    for hidden in ("._a.txt", ".b.txt", ".ipynb_checkpoints/b-checkpoint.txt", "__MACOSX/a.txt"):
        write(tmp_path / "in" / hidden, "Cute!")
    corpus = build(tmp_path / "in", tmp_path / "ids", exclude=["README*"])
    assert tokens_of(corpus) == [["my dog ."], ["it is ."]]
    first, second = corpus.info["sources"]
    assert Path(first["name"]).name == "z.jsonl.xz"
    assert (first["documents"], first["sentences"], first["tokens"]) == (1, 1, 3)
    assert second["first_document"] == 1


WORD = st.sampled_from(["my", "Dog", "is", "cute.", "It", "plays!", "?", "\u200b", "[SEP]", "Mr."])
PARAGRAPH = st.lists(WORD, min_size=1, max_size=12).map(" ".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.lists(PARAGRAPH, max_size=4), min_size=1, max_size=6),
    st.integers(1, 120),
    st.sampled_from([".txt", ".txt.xz", ".jsonl"]),
)
def test_any_text_gives_what_the_plain_loop_gives(
    tmp_path_factory: pytest.TempPathFactory,
    documents: list[list[str]],
    block_characters: int,
    suffix: str,
) -> None:
    marks = TOKENIZER.special_ids - {TOKENIZER.unk_token_id}
    expected = []
    for document in documents:
        sentences = [s for paragraph in document for s in split_sentences(paragraph)]
        ids = [[i for i in TOKENIZER.ids(s) if i not in marks] for s in sentences]
        expected.append([sentence for sentence in ids if sentence])
    expected = [document for document in expected if document]

    folder = tmp_path_factory.mktemp("corpus")
    lines = ["\n".join(document) for document in documents]
    text = (
        "\n".join(json.dumps({"text": line}) for line in lines)
        if suffix == ".jsonl"
        else "\n\n".join(lines) + "\n"
    )
    source = write(folder / f"a{suffix}", text)
    if not expected:
        with pytest.raises(InputError, match="no document"):
            build(source, folder / "ids", block_characters=block_characters)
        return
    corpus = build(source, folder / "ids", block_characters=block_characters)
    assert [[s.tolist() for s in document] for document in corpus] == expected


class StoppedError(Exception):
    """Stands for the moment at which a build is interrupted."""


class StoppingTokenizer(BertTokenizer):
    """Stops the build at its n-th block, and counts the texts it saw."""

    blocks_left = 1_000_000
    texts_seen = 0

    def ids_batch(self, texts: Any) -> list[list[int]]:
        if not self.blocks_left:
            raise StoppedError
        self.blocks_left -= 1
        texts = list(texts)
        self.texts_seen += len(texts)
        return super().ids_batch(texts)


def three_files(folder: Path) -> Path:
    for name, start in (("a.txt", 0), ("b.txt.xz", 7), ("c.jsonl", 20)):
        documents = [
            "\n".join(f"My dog {'likes ' * (start + n + p)}it. Is it?" for p in range(3))
            for n in range(6)
        ]
        as_json = "\n".join(json.dumps({"text": text}) for text in documents)
        write(folder / name, as_json if name == "c.jsonl" else "\n\n".join(documents))
    return folder


def test_an_interrupted_build_continues_and_ends_the_same(tmp_path: Path) -> None:
    source = three_files(tmp_path / "in")
    whole = StoppingTokenizer(TOKENIZER.tokens)
    options: dict[str, Any] = {"progress": False, "block_characters": 150}
    Corpus.build(source, whole, tmp_path / "whole", **options)
    blocks = 1_000_000 - whole.blocks_left
    assert blocks > 15
    for stop in range(1, blocks):
        out = tmp_path / str(stop)
        first, second = (StoppingTokenizer(TOKENIZER.tokens) for _ in range(2))
        first.blocks_left = stop
        with pytest.raises(StoppedError):
            Corpus.build(source, first, out, **options)
        with pytest.raises(InputError, match="no finished corpus"):
            Corpus.open(out)
        Corpus.build(source, second, out, **options)
        assert files_of(out) == files_of(tmp_path / "whole")
        assert first.texts_seen + second.texts_seen == whole.texts_seen  # nothing done twice


def test_a_killed_build_continues(tmp_path: Path) -> None:
    source = three_files(tmp_path / "in")
    script = """
        import os, signal, sys
        import numpy as np
        from bertedu.pretraining.corpus import Corpus
        from bertedu.tokenizer import BertTokenizer
        source, out, *tokens = sys.argv[1:]
        savez, shards = np.savez, []
        def save_and_die(file, **arrays):
            shards.append(1)
            if len(shards) == 8:
                file.write(b"half a shard")
                file.flush()
                os.kill(os.getpid(), signal.SIGKILL)
            savez(file, **arrays)
        np.savez = save_and_die
        Corpus.build(source, BertTokenizer(tokens), out, progress=False, block_characters=150)
    """
    arguments = [str(source), str(tmp_path / "ids"), *TOKENIZER.tokens]
    killed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *arguments],
        cwd=Path(__file__).resolve().parents[1],
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    build(source, tmp_path / "whole", block_characters=150)
    build(source, tmp_path / "ids", block_characters=150)
    assert files_of(tmp_path / "ids") == files_of(tmp_path / "whole")


def test_a_file_mended_after_an_error_is_read_again_from_its_start(tmp_path: Path) -> None:
    source = three_files(tmp_path / "in")
    good = (source / "c.jsonl").read_text("utf-8")
    write(source / "c.jsonl", good + "\nnonsense\n")
    with pytest.raises(InputError, match=r"c\.jsonl:7 has no"):
        build(source, tmp_path / "ids", block_characters=150)
    write(source / "c.jsonl", good)
    build(source, tmp_path / "ids", block_characters=150)
    build(source, tmp_path / "whole", block_characters=150)
    assert files_of(tmp_path / "ids") == files_of(tmp_path / "whole")


def test_a_finished_corpus_is_opened_not_built_again(tmp_path: Path) -> None:
    source = three_files(tmp_path / "in")
    corpus = build(source, tmp_path / "ids")
    idle = StoppingTokenizer(TOKENIZER.tokens)
    idle.blocks_left = 0
    again = Corpus.build(source, idle, tmp_path / "ids", progress=False)
    assert tokens_of(again) == tokens_of(corpus)


def test_a_finished_corpus_is_never_overwritten(tmp_path: Path) -> None:
    source = three_files(tmp_path / "in")
    build(source, tmp_path / "ids")
    before = files_of(tmp_path / "ids")
    with pytest.raises(InputError, match="other sources"):
        build(source / "a.txt", tmp_path / "ids")
    other = BertTokenizer([*SPECIAL_TOKENS, "dog"])
    with pytest.raises(InputError, match="another vocabulary"):
        Corpus.build(source, other, tmp_path / "ids", progress=False)
    assert files_of(tmp_path / "ids") == before


def bad_files() -> Iterator[Any]:
    long_text = "My dog is cute.\n\n" * 50
    yield pytest.param("a.txt", b"", "is empty", id="empty")
    yield pytest.param("a.txt", b" \n\n\t\n", "no document", id="blank")
    yield pytest.param("a.txt", "\u200b\n".encode(), "no document", id="without a token")
    bad_byte = long_text.encode() + b"caf\xe9\n"
    yield pytest.param("a.txt", bad_byte, r"a\.txt:101: this line is not utf-8", id="latin-1")
    yield pytest.param("a.txt", bytes(99), "full of zero bytes", id="zeros")
    yield pytest.param("a.txt", lzma.compress(b"My dog."), "is an .xz file, not", id="misnamed")
    packed = lzma.compress(bad_byte)
    yield pytest.param("a.txt.xz", packed, r"xz:101: this line is not utf-8", id="packed latin-1")
    yield pytest.param("a.txt.xz", packed[:-20], r"not a whole \.xz", id="cut .xz")
    yield pytest.param("a.txt.xz", b"My dog.", r"not a whole \.xz", id="no .xz")
    for line in ("{", '{"body": "My dog."}', '{"text": 3}', '["text"]', "3", '{"text": "\\ud800"}'):
        content = f'{{"text": "My dog."}}\n{line}\n'.encode()
        yield pytest.param("a.jsonl", content, r"a\.jsonl:2 has no", id=line)
    yield pytest.param("a.csv", b"My dog.", r"does not end in \.txt", id="suffix")


@pytest.mark.parametrize(("name", "content", "message"), list(bad_files()))
def test_bad_files_are_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    good = write(tmp_path / "good.txt", TEXT)
    bad = tmp_path / name
    bad.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        build([good, bad], tmp_path / "ids")
    assert str(bad) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_sources_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.txt does not exist"):
        build(tmp_path / "nowhere.txt", tmp_path / "ids")
    (tmp_path / "in").mkdir()
    with pytest.raises(InputError, match=r"in holds no file that ends in \.txt"):
        build(tmp_path / "in", tmp_path / "ids")
    with pytest.raises(InputError, match="holds no corpus; build one"):
        Corpus.open(tmp_path / "in")


class Rows(list[dict[str, Any]]):
    """What `datasets` streams, as far as it is used here."""

    def skip(self, count: int) -> "Rows":
        return Rows(self[count:])


def with_hub(monkeypatch: pytest.MonkeyPatch, answer: Any) -> list[Any]:
    calls: list[Any] = []

    def load_dataset(*name: str, split: str, streaming: bool) -> Any:
        calls.append((*name, split, streaming))
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    return calls


def test_a_hub_data_set_is_streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = with_hub(monkeypatch, Rows({"text": text} for text in TEXT.split("\n\n")))
    corpus = build("hub:someone/dogs:validation", tmp_path / "ids")
    assert tokens_of(corpus) == DOCUMENTS
    assert calls == [("someone/dogs", "validation", True)]
    build("hub:someone/dogs", tmp_path / "train")
    build("hub:someone/dogs:puppies:test", tmp_path / "test")
    assert calls[1:] == [
        ("someone/dogs", "train", True),
        ("someone/dogs", "puppies", "test", True),
    ]


def test_an_interrupted_hub_build_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_hub(monkeypatch, Rows({"text": f"My dog {'likes ' * n}it."} for n in range(9)))
    stopping = StoppingTokenizer(TOKENIZER.tokens)
    stopping.blocks_left = 4
    options: dict[str, Any] = {"progress": False, "block_characters": 1}
    with pytest.raises(StoppedError):
        Corpus.build("hub:dogs", stopping, tmp_path / "ids", **options)
    stopping.blocks_left = 5
    assert len(Corpus.build("hub:dogs", stopping, tmp_path / "ids", **options)) == 9


def test_hub_trouble_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_hub(monkeypatch, Rows([{"body": "My dog."}]))
    with pytest.raises(InputError, match="hub:dogs has no column of texts"):
        build("hub:dogs", tmp_path / "ids")
    with_hub(monkeypatch, ConnectionError("no route\nto host"))
    with pytest.raises(InputError, match=r"hub:dogs cannot be read \(no route\)"):
        build("hub:dogs", tmp_path / "ids")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=r"pip install bertedu\[data\]"):
        build("hub:dogs", tmp_path / "ids")


def test_progress_ends_at_all_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = three_files(tmp_path / "in")
    Corpus.build(source, TOKENIZER, tmp_path / "ids", block_characters=150)
    assert "100%" in capsys.readouterr().err
    Corpus.build(source, TOKENIZER, tmp_path / "quiet", block_characters=150, progress=False)
    assert not capsys.readouterr().err


def many_documents(folder: Path, names: str = "abc") -> Corpus:
    documents = [f"My dog {'likes ' * n}it.\n" for n in range(60)] + ["My dog.\n"] * 3
    for name, start in zip(names, (0, 1, 2), strict=True):
        write(folder / f"in/{name}.txt", "\n".join(documents[start::3]))
    return build(folder / "in", folder / "ids")


@pytest.mark.parametrize("fraction", [0.001, 0.05, 0.3, 0.9])
def test_split_is_a_partition_of_about_the_right_size(tmp_path: Path, fraction: float) -> None:
    corpus = many_documents(tmp_path)
    train, held_out = corpus.split(fraction)
    assert sorted([*train, *held_out]) == list(range(63))
    assert max(1, round(63 * fraction)) <= len(held_out) <= max(1, round(63 * fraction)) + 2


def test_split_depends_on_the_text_alone(tmp_path: Path) -> None:
    one, other = many_documents(tmp_path / "1"), many_documents(tmp_path / "2", "cba")
    assert tokens_of(one) != tokens_of(other)
    held = [{tokens_of(c)[d][0] for d in c.split(0.3)[1]} for c in (one, other)]
    assert held[0] == held[1]


@pytest.mark.parametrize("fraction", [0.1, 0.3, 0.5, 0.7])
def test_copies_of_a_document_stay_on_one_side(tmp_path: Path, fraction: float) -> None:
    corpus = many_documents(tmp_path)
    texts = [document[0] for document in tokens_of(corpus)]
    train, held_out = corpus.split(fraction)
    assert not {texts[d] for d in train} & {texts[d] for d in held_out}


def test_split_refuses_what_it_cannot_do(tmp_path: Path) -> None:
    corpus = build(write(tmp_path / "a.txt", "My dog."), tmp_path / "ids")
    assert [part.tolist() for part in corpus.split(0)] == [[0], []]
    with pytest.raises(InputError, match="leaves none to train on"):
        corpus.split(0.1)
    for fraction in (-0.1, 1.0):
        with pytest.raises(InputError, match="held_out_fraction"):
            corpus.split(fraction)


def peak_mib(source: Path, out: Path) -> float:
    """Peak memory, in MiB, of an interpreter that builds (getrusage would count its parent's)."""
    script = """
        import sys
        from bertedu.pretraining.corpus import Corpus
        from bertedu.tokenizer import BertTokenizer
        source, out, *tokens = sys.argv[1:]
        Corpus.build(source, BertTokenizer(tokens), out, progress=False, block_characters=1 << 17)
        with open("/proc/self/status") as status:
            print(*(line.split()[1] for line in status if line.startswith("VmHWM")))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(source), str(out), *TOKENIZER.tokens],
        cwd=Path(__file__).resolve().parents[1],
        env={**os.environ, "TOKENIZERS_PARALLELISM": "false"},
        capture_output=True,
        check=True,
    )
    return int(done.stdout) / 1024


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from Linux's /proc")
def test_ten_times_the_text_needs_no_more_memory(tmp_path: Path) -> None:
    lines = [
        f"My dog {'likes ' * (n % 20)}it. It is cute!\n" + "\n" * (n % 3) for n in range(8_000)
    ]
    text = "".join(lines)
    small = peak_mib(write(tmp_path / "small.txt", text), tmp_path / "small")
    large = peak_mib(write(tmp_path / "large.txt", text * 10), tmp_path / "large")
    assert large < 1.2 * small
    # The libraries alone take most of that, so the text's own share is held down as well: 5 MB
    # more of it are less than 5 MB more memory, ids, strings and all.
    assert large - small < 9 * len(text) / 2**20
