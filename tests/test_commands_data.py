"""What the commands are told of data files reaches the reader."""

from pathlib import Path

import pytest

from bertedu.commands import cli


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "a.tsv:1: this line is not utf-8: name the file's encoding (--encoding"),
        (["--encoding", "latin-1"], "a.tsv:1: the header names no text (1, b, caf\xe9)"),
        (["--encoding", "latin-1", "--columns", "text"], "--columns is 'text', not OURS=THEIRS"),
        (["--encoding", "latin-1", "--columns", "text=3,label=1"], "need two labels or more"),
    ],
)
def test_finetune_is_told_of_encoding_and_columns(options, message, tmp_path, capsys) -> None:
    data = Path(tmp_path, "a.tsv")
    data.write_bytes("1\tb\tcaf\xe9\n1\tb\tbar\n".encode("latin-1") * 9)
    words = ["finetune", "classification", str(data), "--out", str(tmp_path / "out"), *options]
    assert cli.main(words) == 2
    assert message in capsys.readouterr().err
