"""The page's certificate in Firefox: `make firefox`, where Debian's firefox-esr is installed.

    python tests/firefox.py

The folder of `bertedu export web bertedu` is opened from a disk, with the network refused, and the
page compares its numbers with PyTorch's and answers as Python does. Firefox is driven by WebDriver
BiDi. It is no part of `make test`: to install it takes CI more than a minute.
"""

import itertools
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import websocket  # JupyterLab brings it

import bertedu
from bertedu.widgets.web_certificate import page_model
from bertedu.widgets.web_page import write_page

TEXT = "my dog is [MASK]."
# Every address of the web leads to a port where nobody is; a page of a disk needs none.
REFUSED = """user_pref("network.proxy.type", 1);
user_pref("network.proxy.http", "127.0.0.1");
user_pref("network.proxy.http_port", 9);
user_pref("network.proxy.ssl", "127.0.0.1");
user_pref("network.proxy.ssl_port", 9);
"""
ASKED = """async () => {
  const began = performance.now();
  const { engine } = await bertedu.wake(["bert"]);
  const awake = performance.now();
  const { guesses } = await engine.ask("answer", %s, null);
  const answered = performance.now();
  const compared = await engine.ask("compare");
  return JSON.stringify({ awake: awake - began, answered: answered - awake, guesses, compared });
}"""


class Firefox:
    """One page of a Firefox without a window."""

    def __init__(self, profile: Path) -> None:
        program = shutil.which("firefox-esr") or shutil.which("firefox")
        if program is None:
            sys.exit("Firefox is not installed: `apt-get install firefox-esr`, then again.")
        (profile / "user.js").write_text(REFUSED)
        command = [program, "--headless", "--remote-debugging-port", "0", "--profile", str(profile)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        for line in self.process.stderr or ():
            if found := re.search(r"BiDi listening on (ws://\S+)", line):
                break
        else:
            sys.exit("Firefox ended before it could be driven.")
        self.socket = websocket.create_connection(
            f"{found[1]}/session", timeout=180, suppress_origin=True
        )
        self.numbers = itertools.count()
        self.version = self.tell("session.new", capabilities={})["capabilities"]["browserVersion"]
        self.page = self.tell("browsingContext.getTree")["contexts"][0]["context"]

    def tell(self, method: str, **params: Any) -> Any:
        """Sends a command, and returns its result."""
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while (answer := json.loads(self.socket.recv())).get("id") != number:
            pass
        if answer["type"] != "success":
            sys.exit(f"{method}: {answer['message']}")
        return answer["result"]

    def run(self, function: str) -> Any:
        """Returns what a function of the page promises, as JSON."""
        target = {"context": self.page}
        told = self.tell(
            "script.callFunction", functionDeclaration=function, target=target, awaitPromise=True
        )
        if told["type"] != "success":
            sys.exit(f"the page failed: {told['exceptionDetails']['text']}")
        return json.loads(told["result"]["value"])


def main() -> int:
    """Returns 0 when Firefox computes what PyTorch does."""
    bert = bertedu.load()
    with tempfile.TemporaryDirectory() as name:
        folder, profile = Path(name) / "page", Path(name) / "profile"
        profile.mkdir()
        write_page(bert, folder)
        began = time.perf_counter()
        firefox = Firefox(profile)
        try:
            url = (folder / "index.html").as_uri()
            firefox.tell("browsingContext.navigate", context=firefox.page, url=url, wait="complete")
            told = firefox.run(ASKED % json.dumps(TEXT))
        finally:
            firefox.process.terminate()
            firefox.process.wait()
    print(f"Firefox {firefox.version}: {time.perf_counter() - began:.0f} s in all; awake after")
    print(f"{told['awake'] / 1000:.2f} s, answered in {told['answered']:.0f} ms")
    for row in told["compared"]:
        print(f"{row['name']:26} {row['numbers']:>8,} numbers, difference {row['difference']:.1e}")
    shown = [guess["token"] for guess in told["guesses"][0]]
    [theirs] = page_model(bert).fill_mask(TEXT)
    print(f"{TEXT} {shown}")
    same = shown == [guess.token for guess in theirs]
    near = all(row["difference"] <= 1e-4 for row in told["compared"])
    print("Equal within 1e-4, and the same guesses." if same and near else "FAILED")
    return 0 if same and near else 1


if __name__ == "__main__":
    sys.exit(main())
