"""A BERT in a page: this engine beside onnxruntime-web, on the same weights.

    npm install onnxruntime-web            # in a folder of your own
    pip install onnx onnxruntime           # to export and to quantize
    python benchmarks/beside_onnxruntime.py --dist FOLDER/node_modules/onnxruntime-web/dist

Both run in one page of Chromium, from a server on this machine (a page of a disk cannot load
onnxruntime-web), one thread each, in turns. onnxruntime-web has the weights that the page's int8
stands for, once as float32 and once quantized to int8 by its own tools. "processor time" is that of
the page's process, all threads together: it hardly minds what else the machine does.
"""

import functools
import http.server
import os
import shutil
import tempfile
import threading
from pathlib import Path
from statistics import median, quantiles

import torch
from bench import arguments, report
from in_the_page import TEXTS
from playwright.sync_api import CDPSession, sync_playwright
from torch import Tensor, nn

import bertedu
from bertedu import Bert
from bertedu.widgets.web_certificate import page_model
from bertedu.widgets.web_pack import web_pack
from bertedu.widgets.web_page import engine_script, write_pack

NAMES = {"ours": "this engine", "float32": "onnxruntime-web, float32", "int8": "its int8"}
PAGE = """<!DOCTYPE html><meta charset="utf-8"><title>beside</title><script src="bert.js"></script>
<script type="module">
import * as ort from "./ort.wasm.min.mjs";
ort.env.wasm.numThreads = 1;
const asked = {};
window.wake = async (name) => {
  const began = performance.now();
  if (name === "ours") {
    const { engine } = await bertedu.wake(["bert"]);
    asked.ours = async ({ text, pair }) =>
      (await engine.ask("answer", text, pair)).guesses?.[0][0].token ?? null;
  } else {
    const session = await ort.InferenceSession.create(
      `${name}.onnx`, { executionProviders: ["wasm"] });
    const int64 = (list, shape) => new ort.Tensor("int64", BigInt64Array.from(list, BigInt), shape);
    asked[name] = async ({ input_ids, token_type_ids, place }) => {
      const shape = [1, input_ids.length];
      const { logits } = await session.run({
        input_ids: int64(input_ids, shape), token_type_ids: int64(token_type_ids, shape),
        place: int64([place], [1]),
      });
      return logits.data.indexOf(Math.max(...logits.data));
    };
  }
  return performance.now() - began;
};
window.ask = async (name, question) => {
  const began = performance.now();
  const answer = await asked[name](question);
  return [performance.now() - began, answer];
};
window.ready = true;
</script>"""


class Heads(nn.Module):
    """What both sides compute: the masked-LM logits at one place, and the verdict on the pair."""

    def __init__(self, bert: Bert) -> None:
        super().__init__()
        self.model = bert.model

    def forward(
        self, input_ids: Tensor, token_type_ids: Tensor, place: Tensor
    ) -> tuple[Tensor, ...]:
        """Returns logits [1, V] and [1, 2] of one input, int64 [1, S] each, and its place [1]."""
        output = self.model.bert(input_ids, token_type_ids)
        states = output.last_hidden_state[0, place]
        verdict = self.model.cls.seq_relationship(output.pooler_output)
        return self.model.cls.predictions(states), verdict


def export(bert: Bert, folder: Path) -> None:
    """Writes float32.onnx and int8.onnx."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    names = ["input_ids", "token_type_ids", "place"]
    example = (*torch.ones(2, 1, 9, dtype=torch.int64), torch.tensor([2]))
    torch.onnx.export(
        Heads(bert).eval(),
        example,
        folder / "float32.onnx",
        input_names=names,
        output_names=["logits", "verdict"],
        dynamic_axes={name: {1: "S"} for name in names[:2]},
        dynamo=False,
    )
    quantize_dynamic(
        folder / "float32.onnx", folder / "int8.onnx", per_channel=True, weight_type=QuantType.QInt8
    )


def processor_ms(pid: int) -> float:
    """Returns the processor time that a process has had, in ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return 1000 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> float:
    """Returns the memory of a process, what it shares counted by its share, in MB."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(text.partition("Pss:")[2].split()[0]) / 1000


def renderer(cdp: CDPSession) -> int:
    """Returns the process of the page that was opened last."""
    found = cdp.send("SystemInfo.getProcessInfo")["processInfo"]
    return max(each["id"] for each in found if each["type"] == "renderer")


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A server of a folder that says nothing of it."""

    def log_message(self, *_: object) -> None:
        """Says nothing."""


Quiet.extensions_map |= {".mjs": "text/javascript", ".wasm": "application/wasm"}


def main() -> None:
    """Measures, and prints the table."""
    args = arguments(__doc__, dist={"type": Path, "required": True, "metavar": "FOLDER"})
    rounds = 2 if args.quick else args.rounds or 20
    bert = bertedu.load()
    questions = {}
    for case, (text, pair) in TEXTS.items():
        encoding = bert.encode(text, pair)
        place = encoding.tokens.index("[MASK]") if "[MASK]" in encoding.tokens else 1
        questions[case] = {
            "text": text,
            "pair": pair,
            "input_ids": encoding.input_ids.tolist(),
            "token_type_ids": encoding.token_type_ids.tolist(),
            "place": place,
        }
    rows, notes = [], []
    with sync_playwright() as driver, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        export(page_model(bert), folder)
        write_pack("bert", web_pack(bert), folder)
        (folder / "bert.js").write_text(engine_script())
        (folder / "index.html").write_text(PAGE)
        runtime = ["ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"]
        for file in runtime:
            shutil.copyfile(args.dist / file, folder / file)

        handler = functools.partial(Quiet, directory=name)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        cdp = browser.new_browser_cdp_session()
        cost: dict[tuple[str, str], list[list[float]]] = {}
        said: dict[str, set[object]] = {}
        for side, title in NAMES.items():  # a page each, so that memory is its own
            page = browser.new_page()
            page.goto(f"http://127.0.0.1:{server.server_port}/index.html")
            page.wait_for_function("window.ready")
            pid = renderer(cdp)
            before = memory_mb(pid)
            woken = page.evaluate("wake", side)
            for case, question in questions.items():
                for turn in range(rounds + 2):  # the first two warm it up
                    busy = processor_ms(pid)
                    took, answer = page.evaluate("([s, q]) => ask(s, q)", [side, question])
                    if turn > 1:
                        cost.setdefault((side, case), []).append([took, processor_ms(pid) - busy])
                if "[MASK]" in question["text"]:
                    token = answer if side == "ours" else bert.tokenizer.tokens[answer]
                    said.setdefault(case, set()).add(token)
            more = memory_mb(pid) - before
            notes.append(f"{title}: awake after {woken / 1000:.2f} s, {more:.0f} MB more memory.")
            page.close()
        browser.close()
        server.shutdown()
        size = {file.name: file.stat().st_size for file in folder.iterdir()}
        bytes_of = {
            "ours": size["bert.pack"] + size["bert.js"],
            "float32": size["float32.onnx"] + sum(size[file] for file in runtime),
            "int8": size["int8.onnx"] + sum(size[file] for file in runtime),
        }
        assert len(said[next(iter(said))]) == 1, said
    for (side, case), found in cost.items():
        times, busy = zip(*found, strict=True)
        rows.append(
            {
                "case": case,
                "side": NAMES[side],
                "median": f"{median(times):.0f} ms",
                "95 %": f"{quantiles(times, n=20)[18]:.0f} ms",
                "fastest": f"{min(times):.0f} ms",
                "processor time": f"{sum(busy) / len(busy):.0f} ms",
                "bytes, runtime and weights": f"{bytes_of[side]:,}",
            }
        )
    report(__file__, rows, *notes, f"First guess on both sides: {said}.", save=args.save)


if __name__ == "__main__":
    main()
