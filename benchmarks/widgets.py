"""Widgets in a browser: moving a control to repaint, first paint, and the bytes that are sent.

The attention explorer at the embedded model's size (6 layers, 12 heads of 32 numbers; random
weights), in a page of its own without a kernel. "repaint" is from the pointer's event to the end
of the frame that shows it, waiting for the screen included; "work" is the part of it that is ours.
The browser draws in software here, as in a virtual machine; a screen's card is quicker.
"""

import base64
import json
import shutil
import tempfile
from pathlib import Path
from statistics import quantiles

import torch
from bench import arguments, report
from playwright.sync_api import Page, sync_playwright

from bertedu import Bert, BertConfig, BertForPreTraining, load_tokenizer
from bertedu.widgets import AttentionExplorer
from bertedu.widgets.base import javascript_module, style_sheet

CASES = {"30 tokens": 30, "128 tokens, a pair": 128, "512 tokens": 512}
REPAINT = """async (moves) => {
  const map = document.querySelector("canvas.be-map");
  const { x, y, width } = map.getBoundingClientRect();
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  const [waits, works] = [[], []];
  for (let i = 0; i < moves; i++) {
    await new Promise((done) => setTimeout(done, 25));
    await frame();
    const place = (step) => 95 + (((i * step) % 89) / 90) * (width - 100);
    const began = performance.now();
    map.dispatchEvent(new PointerEvent("pointermove", {
      bubbles: true, clientX: x + place(37), clientY: y + place(53),
    }));
    const handled = performance.now();
    const start = await frame(); // our repaint was asked for first, so it is done by now
    const painted = performance.now();
    document.body.offsetHeight; // the layout that it caused
    const ended = performance.now();
    works.push(handled - began + Math.max(0, ended - start));
    waits.push(ended - began);
  }
  return [waits, works];
}"""


def page_of(widget: AttentionExplorer) -> str:
    """Returns a page that shows the widget from its data, and notes when it has been painted."""
    traits = {name: getattr(widget, name) for name in ("text", "pair", "other", "settings")}
    blocks = {name: base64.b64encode(getattr(widget, name)).decode() for name in ("data", "heads")}
    module = javascript_module("attention_explorer").replace(
        "export default defineWidget(", "window.widget = defineWidget("
    )
    style = style_sheet("attention_explorer")
    return f"""<!doctype html><meta charset="utf-8"><style>{style}</style>
<body><div id="here"></div><script type="module">
{module}
const state = {json.dumps(traits)};
for (const [name, text] of Object.entries({json.dumps(blocks)})) {{
  state[name] = new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
}}
const model = {{ get: (name) => state[name], set() {{}}, save_changes() {{}}, on() {{}}, off() {{}},
                widget_manager: {{ kernel: null }} }};
const began = performance.now();
window.widget.render({{ model, el: document.getElementById("here") }});
requestAnimationFrame(() => setTimeout(() => {{ window.first = performance.now() - began; }}, 0));
</script>"""


def ninety_five(times: list[float]) -> str:
    """Returns the time within which 95 % were, and the middle one, in ms."""
    cuts = quantiles(times, n=100)
    return f"{cuts[94]:.1f} ms (median {cuts[49]:.1f})"


def measured(page: Page, widget: AttentionExplorer, file: Path, rounds: int) -> dict[str, str]:
    """Returns the row of one widget."""
    file.write_text(page_of(widget), encoding="utf-8")
    firsts = []
    for _ in range(max(3, rounds // 20)):
        page.goto(file.as_uri())
        page.wait_for_function("window.first")
        firsts.append(page.evaluate("window.first"))
    waits, works = page.evaluate(REPAINT, rounds)
    return {
        "repaint, 95 %": ninety_five(waits),
        "work, 95 %": ninety_five(works),
        "first paint, fastest": f"{min(firsts):.0f} ms",
        "bytes sent": f"{len(widget.data) + len(widget.heads):,}",
        "of it maps": f"{len(widget.data):,}",
    }


def main() -> None:
    """Measures, and prints the table."""
    args = arguments(__doc__)
    torch.manual_seed(0)
    config = BertConfig(
        hidden_size=384, num_hidden_layers=6, num_attention_heads=12, initializer_range=0.1
    )
    bert = Bert(BertForPreTraining(config), load_tokenizer())
    rounds = 10 if args.quick else args.rounds or 100
    rows = []
    with sync_playwright() as driver, tempfile.TemporaryDirectory() as folder:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        for name, tokens in CASES.items():
            widget = AttentionExplorer("dog likes " * ((tokens - 5) // 2), "it is", bert=bert)
            file = Path(folder) / "widget.html"
            rows.append({"case": name} | measured(page, widget, file, rounds))
            widget.close()
        browser.close()
    report(
        __file__,
        rows,
        "Aims: repaint 16 ms at 30 tokens, 50 ms at 512; first paint 300 ms; 150 KB at 30 tokens, "
        "2 MB at 128.",
        save=args.save,
    )


if __name__ == "__main__":
    main()
