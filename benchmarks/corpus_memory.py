"""Peak memory of building a corpus, and of drawing pairs from it, for N and ten times N text."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import COURSE_TEXT, arguments, read_text, report

CHILD = """
import json, resource, sys
import bertedu
from bertedu.pretraining.corpus import Corpus
from bertedu.pretraining.pairs import PairSampler

def peak():
    unit = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit

text, out = sys.argv[1:]
tokenizer = bertedu.load_tokenizer()
peaks = [peak()]
corpus = Corpus.build(text, tokenizer, out, progress=False)
peaks.append(peak())
sampler = PairSampler(corpus, tokenizer)
sampler.materialize(sampler.epoch(0).examples[:64])
peaks.append(peak())
print(json.dumps([corpus.num_sentences, *peaks]))
"""


def measure(text: str, copies: int, folder: Path) -> list[float]:
    """Returns sentences, and peak MiB after the imports, after building, after an epoch."""
    source = folder / f"{copies}.txt"
    with source.open("w", encoding="utf-8") as file:
        for _ in range(copies):
            file.write(text + "\n\n")
    out = subprocess.run(
        [sys.executable, "-c", CHILD, source, folder / f"{copies}"],
        capture_output=True,
        text=True,
        check=True,
    )
    measured: list[float] = json.loads(out.stdout)
    return measured


def main() -> None:
    """Measures, and prints the table."""
    args = arguments(__doc__, text={"type": Path, "default": COURSE_TEXT})
    text = "\n\n".join(read_text(args.text))
    copies = max(1, round((200_000 if args.quick else 3_000_000) / len(text)))
    with tempfile.TemporaryDirectory() as folder:
        seen = {n: measure(text, n, Path(folder)) for n in (copies, 10 * copies)}
    rows = [
        {
            "text, million characters": f"{n * len(text) / 1e6:.1f}",
            "sentences": f"{measured[0]:,.0f}",
            "imports, MiB": f"{measured[1]:.0f}",
            "building, MiB": f"{measured[2]:.0f}",
            "one epoch of pairs, MiB": f"{measured[3]:.0f}",
        }
        for n, measured in seen.items()
    ]
    small, large = seen.values()
    report(
        __file__,
        rows,
        f"Ten times the text: {large[2] / small[2]:.2f} times the peak memory while building, "
        f"{large[3] / small[3]:.2f} times with an epoch's pairs, "
        f"{(large[3] - large[2]) * 2**20 / large[0]:.0f} bytes a sentence.",
        save=args.save,
    )


if __name__ == "__main__":
    main()
