"""Widgets in a real JupyterLab: from a cell's key to the first picture, from typing to the repaint.

With the embedded model, and all that a reader waits for: the kernel's work, the way there and back,
and the pause by which a widget knows that nobody types any more. The browser draws in software.
"""

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from bench import arguments, report
from playwright.sync_api import Page, sync_playwright
from widgets import ninety_five

TEXT, PAIR = "My dog is cute and hairy, and likes the park.", "He likes playing with other dogs."
WIDGETS = {
    name: f"widgets.{name}({TEXT!r}, {PAIR!r}{model})"
    for name, model in {
        "WordPieceExplorer": "",
        "EmbeddingSum": ", bert",
        "AttentionExplorer": ", bert",
        "Journey": ", bert",
    }.items()
}
PAINTED = "new Promise(done => requestAnimationFrame(() => setTimeout(done)))"
# The cell is run with its key; its old picture, if there is one, does not count.
FIRST_PAINT = f"""() => new Promise((found) => {{
  for (const old of document.querySelectorAll(".bertedu")) old.dataset.old = "";
  let began;
  addEventListener("keydown", () => {{ began ??= performance.now(); }}, {{ capture: true }});
  const look = async () => {{
    const root = document.querySelector(".bertedu:not([data-old])");
    if (!root?.offsetHeight || !root.querySelector(".be-input")) return requestAnimationFrame(look);
    await {PAINTED};
    found(performance.now() - began);
  }};
  look();
}})"""
TYPED = f"""async (text) => {{
  const root = document.querySelector(".bertedu");
  const box = root.querySelector(".be-input");
  box.value = text;
  const began = performance.now();
  box.dispatchEvent(new InputEvent("input", {{ bubbles: true }}));
  while (root.closest("[aria-busy]") || root.querySelector("[aria-busy]")) await {PAINTED};
  await {PAINTED};
  return performance.now() - began;
}}"""


@contextmanager
def lab(root: Path) -> Iterator[str]:
    """Starts a JupyterLab on a folder; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}",
        "--ServerApp.port_retries=0", f"--ServerApp.root_dir={root}", "--IdentityProvider.token=",
    ]  # fmt: skip
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api", timeout=5).close()
                break
            except OSError:
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


def measured(page: Page, url: str, rounds: int) -> dict[str, str]:
    """Returns the row of a notebook whose second cell is a widget."""
    page.goto(url)
    cells = page.locator(".jp-NotebookPanel .jp-CodeCell")
    ran = cells.nth(0).locator(".jp-OutputArea-output", has_text="ready")
    page.locator("#jp-main-statusbar").get_by_text("| Idle").wait_for(timeout=90_000)
    cells.nth(0).locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    ran.wait_for(timeout=90_000)
    firsts, typed = [], []
    for _ in range(max(4, rounds // 3)):
        cells.nth(1).locator(".cm-content").click()
        page.evaluate(f"() => {{ window.first = ({FIRST_PAINT})(); }}")  # waits for the key
        page.keyboard.press("Control+Enter")
        firsts.append(page.evaluate("window.first"))
    for turn in range(rounds):
        text = " ".join(["my", "hairy", "dog"] * (1 + turn % 3)) + f" is {turn}"
        typed.append(page.evaluate(TYPED, text))
    return {
        "from the key to the first picture, 95 %": ninety_five(firsts[1:]),
        "from typing to the repaint, 95 %": ninety_five(typed),
    }


def main() -> None:
    """Measures, and prints the table."""
    args = arguments(__doc__)
    rounds = 10 if args.quick else args.rounds or 60
    rows = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        first = "import bertedu\nfrom bertedu import widgets\nbert = bertedu.load()\nprint('ready')"
        for name, code in WIDGETS.items():
            cells = [nbformat.v4.new_code_cell(source) for source in (first, code)]
            notebook = nbformat.v4.new_notebook(cells=cells)
            notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
            Path(folder, f"{name}.ipynb").write_text(json.dumps(notebook))
        with lab(Path(folder)) as url:
            browser = driver.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
            )
            for name in WIDGETS:
                page = browser.new_page(viewport={"width": 1280, "height": 900})
                where = f"{url}/lab/tree/{name}.ipynb?reset"
                rows.append({"widget": name} | measured(page, where, rounds))
                page.close()
            browser.close()
    report(
        __file__,
        rows,
        "A pair of 22 tokens. Aims: 300 ms to the first picture, 200 ms from typing to a repaint.",
        save=args.save,
    )


if __name__ == "__main__":
    main()
