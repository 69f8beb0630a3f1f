"""The harness itself: what leaves this machine is seen, and so is what a page complains about."""

import os
import subprocess
import sys

import pytest

FETCH = "url => fetch(url).then(() => 'reached', () => 'refused')"


@pytest.mark.parametrize(
    "url", ["https://cdn.example/x.js", "http://192.0.2.1/", "ws://192.0.2.1/"]
)
def test_a_page_that_reaches_out_is_seen(new_page, outside, url: str) -> None:
    page = new_page()
    page.goto("data:text/html,<p>here</p>")
    if url.startswith("ws"):
        page.evaluate("url => new Promise(done => { new WebSocket(url).onclose = done; })", url)
    else:
        assert page.evaluate(FETCH, url) == "refused"
    assert len(outside.tried) == 1
    outside.tried.clear()
    assert new_page.complaints
    new_page.complaints.clear()


def test_python_that_reaches_out_is_seen(outside) -> None:
    code = "import urllib.request as u; u.urlopen('http://192.0.2.1/', timeout=5)"
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, env=os.environ | outside.proxies
    )
    assert done.returncode == 1
    assert len(outside.tried) == 1
    outside.tried.clear()
