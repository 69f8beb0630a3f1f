"""A reader's process: prints what `hub.download` gives for each repository named on stdin.

Run by tests/test_hub.py, because huggingface_hub reads its settings once, when it is imported.
"""

import json
import sys
import time

from huggingface_hub import HfApi, hf_hub_download  # noqa: F401 (imported before the clock runs)

import bertedu.checkpoint  # noqa: F401 (the same: it brings torch)
from bertedu.errors import CheckpointError
from bertedu.utils.hub import download


def main() -> None:
    """Answers a line with a line, until stdin ends."""
    for line in sys.stdin:
        start = time.perf_counter()
        try:
            answer = {"folder": str(download(line.strip()))}
        except CheckpointError as error:
            answer = {"error": str(error)}
        print(json.dumps(answer | {"seconds": time.perf_counter() - start}), flush=True)


if __name__ == "__main__":
    main()
