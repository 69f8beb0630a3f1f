"""A real JupyterLab in a real browser, both cut off from every network but loopback.

JupyterLab, its kernels and every page are told to reach anything else through a proxy that answers
nothing and counts, so whatever they try is seen. The browser's own traffic (it asks its maker for
updates, whatever the switches) goes to a proxy that is not there.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import nbformat
import pytest
from nbformat import NotebookNode

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Locator, Page, Route

REPO_ROOT = Path(__file__).resolve().parents[2]
ARTEFACTS = REPO_ROOT / "test-artefacts" / "browser"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-features=AutofillServerCommunication",
)  # fmt: skip
LOOPBACK = {"127.0.0.1", "localhost"}
SETTINGS = {
    "@jupyterlab/apputils-extension/themes": '{"adaptive-theme": true}',
    "@jupyterlab/notebook-extension/tracker": '{"windowingMode": "none", "maxNumberOutputs": 500}',
}
# What the browser itself, not the page, asks its maker when it sees a text field.
BROWSERS_OWN = "CONNECT content-autofill.googleapis.com:443"
# Console errors that are not ours, each with its reason.
HARMLESS = {
    r"\[anywidget\] Failed to initialize model": "anywidget's own 2 s timer, on a busy machine; "
    "the widget appears all the same, which the tests see",
    r"^Cannot read properties of undefined \(reading 'schema'\)$": "Notebook 7's own: it asks for "
    "a setting that its front end does not have",
    r"^Command 'filebrowser:open-path' not registered\.$": "Notebook 7's own: it has no file "
    "browser beside a notebook to show the file in",
}

DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
LENGTH = pytest.StashKey[int]()


def missing(what: str) -> None:
    """Skips the test, or fails it on CI, where nothing may be missing."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="session")
def artefacts() -> Path:
    """Returns the folder in which pictures are kept to be looked at."""
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    return ARTEFACTS


@pytest.fixture(scope="session")
def axe() -> str:
    """Returns axe-core, which finds what readers with a disability could not use."""
    file = REPO_ROOT / "tests/js/node_modules/axe-core/axe.min.js"
    if not file.is_file():
        missing("axe-core is not installed: npm ci --prefix=tests/js")
    return file.read_text()


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Lets two workers share the tests: a module keeps its page, a notebook is by itself.

    Notebooks come first and the longest of them foremost, so that no worker ends alone with one.
    """
    here = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in here:
        notebook = getattr(item, "callspec", None) and item.callspec.params.get("notebook")
        item.add_marker(pytest.mark.xdist_group(notebook or item.path.stem))
        item.stash[LENGTH] = (REPO_ROOT / "notebooks" / notebook).stat().st_size if notebook else 0
    here.sort(key=lambda item: -item.stash[LENGTH])
    items[:] = [item for item in items if item not in here] + here


@dataclass
class Outside:
    """What was tried to be reached beyond this machine: one line a request."""

    port: int = 0
    tried: list[str] = field(default_factory=list)

    @property
    def proxies(self) -> dict[str, str]:
        """The environment that sends a program's requests here."""
        here = f"http://127.0.0.1:{self.port}"
        names = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
        return {
            **dict.fromkeys(names, here),
            **dict.fromkeys(("NO_PROXY", "no_proxy"), ",".join(LOOPBACK)),
        }


@pytest.fixture(scope="session")
def outside() -> Iterator[Outside]:
    """Returns the record of the proxy that leads nowhere; at the end it must be empty."""
    record = Outside()
    server = socket.create_server(("127.0.0.1", 0))
    record.port = server.getsockname()[1]

    def count() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(2)
                line = connection.recv(400).split(b"\r\n")[0]
                request = line.decode(errors="replace") or "an empty request"
                if not request.startswith(BROWSERS_OWN):
                    record.tried.append(request)

    threading.Thread(target=count, daemon=True).start()
    yield record
    server.close()
    assert record.tried == []


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab and the folder it shows."""

    url: str
    root: Path

    def write(self, name: str, *cells: str | NotebookNode) -> str:
        """Writes a notebook of code cells, or of their source, and returns its name."""
        cells = [nbformat.v4.new_code_cell(c) if isinstance(c, str) else c for c in cells]
        notebook = nbformat.v4.new_notebook(cells=cells)
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3 (ipykernel)"}
        nbformat.write(notebook, self.root / name)
        return name

    def end_kernels(self) -> None:
        """Ends all kernels: each holds some 500 MiB."""
        for session in json.loads(self._request("GET", "sessions")):
            self._request("DELETE", f"sessions/{session['id']}")

    def _request(self, method: str, what: str) -> bytes:
        request = urllib.request.Request(f"{self.url}/api/{what}", method=method)
        with DIRECTLY.open(request, timeout=60) as response:
            return response.read()


@pytest.fixture(scope="session")
def lab(
    tmp_path_factory: pytest.TempPathFactory, outside: Outside, artefacts: Path
) -> Iterator[Lab]:
    """Returns a JupyterLab of its own, on a copy of the notebooks."""
    home = tmp_path_factory.mktemp("jupyter")
    root = home / "root"
    if (REPO_ROOT / "notebooks").is_dir():
        shutil.copytree(REPO_ROOT / "notebooks", root)
    root.mkdir(exist_ok=True)
    for name, text in SETTINGS.items():
        file = home / "settings" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(REPO_ROOT), os.environ.get("PYTHONPATH", "")]),
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTER_CONFIG_PATH": str(REPO_ROOT / ".jupyter"),  # the reader's own settings
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        **outside.proxies,
    }
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--ip=127.0.0.1",
        f"--port={port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={root}",
        "--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True",
    ]  # fmt: skip
    worker = os.environ.get("PYTEST_XDIST_WORKER", "alone")
    with (artefacts / f"jupyterlab-{worker}.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=home)
        try:
            _wait_for(f"{url}/api/status", server)
            yield Lab(url, root)
        finally:
            server.terminate()  # JupyterLab ends its kernels
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


@pytest.fixture(scope="session")
def chromium() -> Iterator["Browser"]:
    """Returns the browser."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        missing(f"no browser: none of {', '.join(BROWSERS)} is on the PATH")
    with playwright.sync_playwright() as driver:
        nowhere = {"server": "http://127.0.0.1:9"}
        browser = driver.chromium.launch(executable_path=path, args=list(QUIET), proxy=nowhere)
        yield browser
        browser.close()


@dataclass
class Pages:
    """Opens pages, and keeps what they complain about."""

    browser: "Browser"
    outside: Outside
    complaints: list[str] = field(default_factory=list)
    contexts: list["BrowserContext"] = field(default_factory=list)

    def __call__(self, *, width: int = 1280, height: int = 900, theme: str = "light") -> "Page":
        """Opens an empty page in a context of its own."""
        context = self.browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=theme,
            reduced_motion="reduce",
            proxy={
                "server": f"http://127.0.0.1:{self.outside.port}",
                "bypass": ",".join(LOOPBACK),
            },
        )
        self.contexts.append(context)
        context.route(lambda url: urlsplit(url).hostname not in {*LOOPBACK, None}, self._refuse)
        page = context.new_page()
        page.on("console", lambda message: self._listen(message.type, message.text))
        page.on("pageerror", lambda error: self._listen("error", str(error)))
        return page

    def close(self) -> None:
        """Closes all pages."""
        while self.contexts:
            self.contexts.pop().close()

    def _refuse(self, route: "Route") -> None:
        self.outside.tried.append(route.request.url)
        route.abort()

    def _listen(self, kind: str, text: str) -> None:
        if kind == "error" and not any(re.search(pattern, text) for pattern in HARMLESS):
            self.complaints.append(text)


@pytest.fixture(scope="module")
def new_page(chromium: "Browser", outside: Outside) -> Iterator[Pages]:
    """Returns a function that opens an empty page; at the end no page may have complained."""
    pages = Pages(chromium, outside)
    yield pages
    pages.close()
    assert pages.complaints == []
    assert outside.tried == []


@pytest.fixture(scope="module")
def open_notebook(new_page: Pages, lab: Lab) -> Iterator[Callable[..., "Page"]]:
    """Returns a function that opens a notebook and, unless told not to, runs all its cells.

    What is called `meanwhile` acts on the page while the cells run.
    """

    def opened(
        name: str,
        *,
        run: bool = True,
        meanwhile: Callable[["Page"], None] = lambda page: None,
        **look: object,
    ) -> "Page":
        page = new_page(**look)
        page.goto(f"{lab.url}/lab/tree/{name}?reset")
        page.locator(".jp-NotebookPanel .jp-Cell").first.wait_for(timeout=60_000)
        wait_for_idle(page)
        page.keyboard.press("Control+b")  # closes the file browser
        if run:
            page.get_by_role("menuitem", name="Run", exact=True).click()
            page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
            meanwhile(page)
            wait_for_the_end(page)
        return page

    yield opened
    new_page.close()
    lab.end_kernels()


@pytest.fixture(scope="session")
def look_at(artefacts: Path, axe: str) -> Callable[..., None]:
    """Returns a function that looks at a widget in a theme, at a wide and at a narrow window.

    Nothing may stick out sideways, and axe must find nothing; the pictures are kept.
    """

    def look(
        widget: "Locator", name: str, theme: str, *, height: int = 1000, widths=(1280, 800)
    ) -> None:
        page = widget.page
        before = page.viewport_size
        page.mouse.move(0, 0)
        page.evaluate(axe)
        page.emulate_media(color_scheme=theme)
        page.locator(f'.bertedu[data-theme="{theme}"]').first.wait_for()
        for width in widths:
            page.set_viewport_size({"width": width, "height": height})
            widget.evaluate("node => node.scrollIntoView()")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert widget.evaluate("node => node.scrollWidth <= node.clientWidth")
            page.screenshot(path=artefacts / f"{name}-{width}-{theme}.png")
            found = page.evaluate(
                "node => axe.run(node).then(r => r.violations.map(v => [v.id, v.nodes[0].html]))",
                widget.element_handle(),
            )
            assert found == []
        assert widget.get_attribute("data-theme") == theme
        page.set_viewport_size(before)

    return look


def wait_for_the_end(page: "Page") -> None:
    """Waits until all cells have run, or one has failed."""
    page.wait_for_function(
        """() => {
          const failed = document.querySelector('[data-mime-type="application/vnd.jupyter.error"]');
          const cells = [...document.querySelectorAll(".jp-NotebookPanel .jp-CodeCell")];
          const done = (cell) => /\\d/.test(cell.querySelector(".jp-InputPrompt").textContent);
          const empty = (cell) => !cell.querySelector(".cm-content").textContent.trim();
          return failed || (cells.length > 0 && cells.every((cell) => done(cell) || empty(cell)));
        }""",
        timeout=900_000,
        polling=500,  # ms; in each frame, as is usual, it would cost as much as the drawing
    )
    wait_for_idle(page)


def wait_for_idle(page: "Page") -> None:
    """Waits until the status bar says so: the toolbar's circle is idle before a kernel is there."""
    page.locator("#jp-main-statusbar").get_by_text("| Idle").wait_for(timeout=90_000)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and server.poll() is None:
        try:
            DIRECTLY.open(url, timeout=5).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise RuntimeError(f"JupyterLab did not start: see its log in {ARTEFACTS}")
