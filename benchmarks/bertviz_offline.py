"""bertviz's views: bertedu's, which need no network, against the stock package's.

The stock pages get their libraries from this machine: d3 as it is, and the few calls of require.js
and jQuery that they make. Both sides show the same model, one pair of 30 tokens.
"""

import importlib.util
import shutil
import statistics
import time
import warnings
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import bertviz
import torch
from bench import arguments, interleaved, report

from bertedu import Bert, BertConfig, BertForPreTraining, load_tokenizer
from bertedu.widgets import bertviz as ours
from bertedu.widgets.palette import STATIC

TEXT = "the hairy dog likes playing in the park with all the other dogs"
PAIR = "he is very cute and runs after every ball that he sees in there"
VIEWS = ("head_view", "model_view", "neuron_view")


def stock_views(bert: Bert) -> dict[str, Any]:
    """Returns what makes each page of the stock package."""
    from bertviz import neuron_view, transformers_neuron_view

    with TemporaryDirectory() as folder:
        bert.tokenizer.save(folder)
        tokenizer = transformers_neuron_view.BertTokenizer(str(Path(folder) / "vocab.txt"))
    config = transformers_neuron_view.BertConfig.from_dict(bert.config.to_dict())
    model = transformers_neuron_view.BertModel(config).eval()
    model.load_state_dict(bert.model.bert.state_dict())

    def page(view: str) -> str:
        encoding = bert.encode(TEXT, PAIR)
        second = encoding.token_type_ids.tolist().index(1)
        attention = [layer[None] for layer in bert.attention(TEXT, PAIR)]
        made = getattr(bertviz, view)(attention, encoding.tokens, second, html_action="return")
        return str(made.data)

    def neurons() -> str:
        made = neuron_view.show(model, "bert", tokenizer, TEXT, PAIR, html_action="return")
        return str(made.data)

    return {**{view: partial(page, view) for view in VIEWS[:2]}, "neuron_view": neurons}


def libraries() -> str:
    """Returns what the stock page asks of require.js, jQuery and d3."""
    d3 = Path(importlib.util.find_spec("mpld3").origin).parent / "js/d3.v5.min.js"
    module = (STATIC / "bertviz.js").read_text(encoding="utf-8")
    start = module.index("export function jquery")
    jquery = module[start : module.index("/**", start)].removeprefix("export ")
    return (
        f"{d3.read_text(encoding='utf-8')}\n{jquery}\nwindow.require = {{ config() {{}} }};"
        "window.requirejs = (names, start) => start(jquery, d3);"
    )


def drawn(page: Any, html: str) -> float:
    """Returns the milliseconds from the page's arrival to the first frame with a picture."""
    start = time.perf_counter()
    page.set_content(f"<!doctype html><body>{html}</body>", wait_until="commit")
    frame = page
    if "<iframe" in html[:100]:
        frame = page.locator("iframe").element_handle().content_frame()
    frame.locator("#vis svg").wait_for()
    frame.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
    return 1000 * (time.perf_counter() - start)


def main() -> None:
    """Measures, and prints the table."""
    args = arguments(__doc__)
    warnings.simplefilter("ignore")  # bertviz leaves its files open
    torch.manual_seed(0)
    sizes = {"hidden_size": 384, "num_hidden_layers": 6, "intermediate_size": 1536}
    config = BertConfig(**sizes, initializer_range=0.1)  # heads that differ, as trained ones do
    bert = Bert(BertForPreTraining(config), load_tokenizer())
    rounds = args.rounds or (1 if args.quick else 5)
    from playwright.sync_api import sync_playwright

    rows = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page()
        page.set_default_timeout(180_000)  # a busy machine
        page.route("**/*", lambda route: route.fulfill(body=libraries()))
        for view, stock in stock_views(bert).items():
            own = partial(getattr(ours, view), bert, TEXT, PAIR)
            pages = {"bertviz": stock(), "bertedu": own().html}
            made = interleaved({"bertviz": stock, "bertedu": own}, max(rounds, 2))
            seen: dict[str, list[float]] = {name: [] for name in pages}
            for _ in range(rounds):
                for name, html in pages.items():
                    seen[name].append(drawn(page, html))
            rows.append(
                {
                    "view": view,
                    **{f"{name}, MB": f"{len(html) / 1e6:.2f}" for name, html in pages.items()},
                    **{f"{name}, s to make": f"{made.median(name):.2f}" for name in pages},
                    **{
                        f"{name}, s to draw": f"{statistics.median(times) / 1000:.2f}"
                        for name, times in seen.items()
                    },
                }
            )
        browser.close()
    report(
        __file__,
        rows,
        f"{len(bert.encode(TEXT, PAIR))} tokens in two sentences, 6 layers x 12 heads.",
        "To make: the model's forward pass and the page. To draw: from the page to its picture.",
        save=args.save,
    )


if __name__ == "__main__":
    main()
