"""The page's engine, asked by node."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SCRIPT = Path(__file__).parent / "js" / "ask_engine.mjs"
Numbers = dict[str, np.ndarray]


def ask(
    folder: Path, *packs: bytes, more: Sequence[bytes] = (), simd: bool = True, **asked: Any
) -> dict[str, Any]:
    """Returns what the engine says of `texts`, `traces` and `widgets`, as ask_engine.mjs says.

    A trace has its `numbers` by name.
    """
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    files = [folder / f"{place}.pack" for place in range(len(packs) + len(more))]
    for file, pack in zip(files, [*packs, *more], strict=True):
        file.write_bytes(pack)
    own, others = ([*map(str, some)] for some in (files[: len(packs)], files[len(packs) :]))
    questions, numbers = folder / "questions.json", folder / "numbers"
    questions.write_text(json.dumps({"packs": own, "more": others, "simd": simd, **asked}))
    command = ["node", "--no-warnings", str(SCRIPT), str(questions), str(numbers)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    values = np.fromfile(numbers, np.float32)
    for trace in told["traces"]:
        places = trace.pop("places").items()
        trace["numbers"] = {name: values[at : at + count] for name, (at, count) in places}
    return told
