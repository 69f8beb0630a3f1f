"""A BERT in a page: typing to answer, waking, bytes, the page's longest stop.

The folder that `bertedu export web bertedu` writes, opened from a disk in Chromium. "typed" is from
the change of the text to the answer's bars, one thread, without the 100 ms for which the page waits
whether more is typed. Plain JavaScript computes the same numbers in the same run, in turns.
"""

import shutil
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

from bench import arguments, report
from playwright.sync_api import Page, sync_playwright

import bertedu
from bertedu.widgets.web_page import write_page

TEXTS = {
    "16 tokens": ["my dog is [MASK] and he likes to play in the green park.", None],
    "128 tokens, a question": [
        "who likes to play in the green park near the river?",
        "my dog is brown and he likes to play in the green park near the river. " * 6
        + "it is quiet there, and he can run.",
    ],
}
ASK = """async ([simd, text, pair]) => {
  window.engines ??= {};
  window.engines[simd] ??= (await bertedu.wake(["bert"], () => {}, { simd })).engine;
  const began = performance.now();
  const { tokens, guesses } = await window.engines[simd].ask("answer", text, pair);
  const bars = document.getElementById("answer");
  bars.replaceChildren(...(guesses?.[0] ?? []).map(({ token, probability }) => {
    const bar = document.createElement("p");
    bar.textContent = `${token} ${probability}`;
    return bar;
  }));
  await new Promise((done) => requestAnimationFrame(done));
  return [performance.now() - began, tokens.length];
}"""
STOPS = """() => {
  window.stops = [];
  new PerformanceObserver((list) => {
    window.stops.push(...list.getEntries().map((entry) => entry.duration));
  }).observe({ type: "longtask", buffered: true });
}"""


def woken(page: Page, address: str) -> tuple[float, float]:
    """Returns the seconds of waking, and the longest stop of the page in it, ms."""
    page.goto(address)
    page.evaluate(STOPS)
    began = time.perf_counter()
    page.locator("#wake").click()
    page.locator("#wake", has_text="BERT is awake").wait_for()
    seconds = time.perf_counter() - began
    return seconds, page.evaluate("Math.max(0, ...window.stops)")


def main() -> None:
    """Measures, and prints the table."""
    args = arguments(__doc__)
    rounds = 3 if args.quick else args.rounds or 30
    rows, stops = [], []
    with sync_playwright() as driver, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_page(bertedu.load(), folder)
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page()
        address = (folder / "index.html").as_uri()
        wakings = [woken(page, address) for _ in range(max(3, rounds // 5))]
        for case, (text, pair) in TEXTS.items():
            times: dict[bool, list[float]] = {True: [], False: []}
            for turn in range(rounds + 2):  # the first two wake it, and warm it up
                if turn == 2:
                    page.evaluate("window.stops.length = 0")
                for simd in (True, False):
                    took, count = page.evaluate(ASK, [simd, text, pair])
                    if turn > 1:
                        times[simd].append(took)
            fast, plain = times[True], times[False]
            ratios = [b / a for a, b in zip(fast, plain, strict=True)]
            rows.append(
                {
                    "case": f"{case} ({count})",
                    "median": f"{median(fast):.0f} ms",
                    "95 %": f"{quantiles(fast, n=20)[18]:.0f} ms",
                    "fastest": f"{min(fast):.0f} ms",
                    "plain JavaScript, median": f"{median(plain):.0f} ms",
                    "times as fast": f"{median(ratios):.1f}",
                }
            )
            stops.append(page.evaluate("Math.max(0, ...window.stops)"))
        browser.close()
        sizes = {file.name: file.stat().st_size for file in folder.iterdir()}
    seconds = [each for each, _ in wakings]
    report(
        __file__,
        rows,
        f"Waking from a disk: median {median(seconds):.2f} s, fastest {min(seconds):.2f} s; the "
        f"page's longest stop in it: median {median([s for _, s in wakings]):.0f} ms, least "
        f"{min(s for _, s in wakings):.0f} ms (stops below 50 ms are not seen, and count as 0); "
        f"while texts were answered {max(stops):.0f} ms.",
        f"Bytes: pack {sizes['bert.pack']:,}, as a script {sizes['bert.pack.js']:,}, engine "
        f"{sizes['bert.js']:,}.",
        "Aims: 120 ms for 16 tokens, 600 ms for 128 (95 %), waking in 2 s, no stop over 50 ms; 24 "
        "MB, and 32 MB as a script.",
        save=args.save,
    )


if __name__ == "__main__":
    main()
