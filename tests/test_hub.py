"""The hub's path with the real client, against a small server here that speaks its protocol."""

import hashlib
import http.server
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

COMMIT = "5f" * 20
WEIGHTS = bytes(range(256)) * 4096  # 1 MiB
FILES = {
    "config.json": b'{"model_type": "bert"}',
    "vocab.txt": b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n",
    "README.md": b"not wanted",
    "tf_model.h5": b"not wanted either",
    "model.safetensors": WEIGHTS,
}


class Hub(http.server.ThreadingHTTPServer):
    """Repositories, how each misbehaves, and the requests that came."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.trouble: dict[str, str] = {}
        self.requests: list[tuple[str, str, str | None]] = []  # method, path, Range
        self.stalled = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def files_sent(self) -> list[str]:
        gets = [path for verb, path, _ in self.requests if verb == "GET"]
        return [path.rsplit("/", 1)[1] for path in gets if "/resolve/" in path]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def answer(self) -> None:
        hub: Hub = self.server
        hub.requests.append((self.command, self.path, self.headers.get("Range")))
        api, _, rest = self.path.partition("/api/models/")
        repo = rest if not api else self.path.partition("/resolve/")[0].strip("/")
        repo = repo.partition("/revision/")[0]
        if repo not in hub.repositories:
            self.refuse(401, "RepoNotFound")
        elif hub.trouble.get(repo) == "gated":
            self.refuse(403, "GatedRepo")
        elif hub.trouble.get(repo) == "server error":
            self.refuse(500, "Internal")
        elif not api:
            self.send_listing(repo, hub.repositories[repo])
        else:
            name = self.path.rsplit("/", 1)[1]
            self.send_file(repo, name, hub.repositories[repo].get(name))

    def send_listing(self, repo: str, files: dict[str, bytes]) -> None:
        siblings = [{"rfilename": name} for name in files]
        body = json.dumps({"id": repo, "sha": COMMIT, "siblings": siblings}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def send_file(self, repo: str, name: str, content: bytes | None) -> None:
        if content is None:
            self.refuse(404, "EntryNotFound")
            return
        hub: Hub = self.server
        trouble = hub.trouble.get(repo) if name == "model.safetensors" else None
        start = int((self.headers.get("Range") or "bytes=0-")[6:].partition("-")[0])
        self.send_response(206 if start else 200)
        self.send_header("X-Repo-Commit", COMMIT)
        if name.endswith(".safetensors"):  # large files: named by their sha256
            self.send_header("X-Linked-Etag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Linked-Size", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        body = content[start:]
        if trouble == "wrong content":
            body = bytes(len(body))
        if trouble == "short":  # whole, by its own account, but less than was announced
            body = body[: len(body) // 2]
        self.send_header(
            "Content-Length", str(len(body) if self.command == "GET" else len(content))
        )
        self.end_headers()
        if self.command == "HEAD":
            return
        if trouble in ("cut once", "stall"):
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            if trouble == "stall":
                hub.stalled.set()
                self.connection.recv(1)  # until the client is gone
            del hub.trouble[repo]
            self.close_connection = True
            return
        self.wfile.write(body)


@pytest.fixture(scope="module")
def hub():
    with Hub() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()


class Client:
    """A process that downloads from `endpoint` into `home`."""

    def __init__(self, endpoint: str, home: Path, **settings: str) -> None:
        clean = {
            name: value
            for name, value in os.environ.items()
            if "proxy" not in name.lower() and not name.startswith(("HF_", "HUGGINGFACE"))
        }
        local = {
            "HF_ENDPOINT": endpoint,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "PYTHONPATH": str(Path(__file__).parents[1]),
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            "HTTP_PROXY": "http://127.0.0.1:9",  # a proxy that would fail, were it asked
        }
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("hub_client.py"))],
            env=clean | local | settings,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, repo: str) -> None:
        self.process.stdin.write(f"{repo}\n")
        self.process.stdin.flush()

    def answer(self) -> dict:
        return json.loads(self.process.stdout.readline())

    def download(self, repo: str) -> dict:
        self.ask(repo)
        return self.answer()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("hub") / "home"


@pytest.fixture(scope="module")
def client(hub, home):
    with Client(hub.url, home) as client:
        yield client


@pytest.fixture
def repo(hub):
    """Return the name of a good repository of this test's own."""
    name = f"course/bert-{len(hub.repositories)}"
    hub.repositories[name] = dict(FILES)
    hub.requests.clear()
    yield name
    hub.trouble.pop(name, None)


def content(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def nothing_partial(home: Path) -> bool:
    return not list(home.rglob("*.incomplete"))


def test_config_tokenizer_and_one_weight_file_are_fetched(hub, client, repo, home) -> None:
    hub.repositories[repo] |= {"added_tokens.json": b"{}", "special_tokens_map.json": b"{ }"}
    answer = client.download(repo)
    names = ("config.json", "vocab.txt", "added_tokens.json", "special_tokens_map.json",
             "model.safetensors")  # fmt: skip
    assert content(answer["folder"]) == {name: hub.repositories[repo][name] for name in names}
    assert Path(answer["folder"]).is_relative_to(home)
    assert sorted(hub.files_sent()) == sorted(names)


def test_the_second_call_transfers_no_file(hub, client, repo) -> None:
    first = client.download(repo)
    hub.requests.clear()
    assert client.download(repo)["folder"] == first["folder"]
    assert hub.files_sent() == []


def test_a_pickle_is_fetched_where_there_is_no_safetensors(hub, client, repo) -> None:
    hub.repositories[repo]["pytorch_model.bin"] = hub.repositories[repo].pop("model.safetensors")
    assert "pytorch_model.bin" in content(client.download(repo)["folder"])


def test_all_files_of_divided_weights_are_fetched(hub, client, repo) -> None:
    weights = hub.repositories[repo].pop("model.safetensors")
    parts = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    index = {"weight_map": {"a": parts[0], "b": parts[1], "c": parts[0]}}
    hub.repositories[repo] |= {
        "model.safetensors.index.json": json.dumps(index).encode(),
        "model-00003-of-00002.safetensors": b"of another",
        "pytorch_model.bin": b"not wanted",
    } | dict.fromkeys(parts, weights)
    folder = client.download(repo)["folder"]
    wanted = {"config.json", "vocab.txt", "model.safetensors.index.json", *parts}
    assert content(folder).keys() == wanted
    hub.trouble[repo] = "server error"
    assert client.download(repo)["folder"] == folder
    (Path(folder) / parts[1]).unlink()
    assert "could not be had" in client.download(repo)["error"], "a part is missing"


def test_a_cut_connection_is_resumed_where_it_broke(hub, client, repo, home) -> None:
    large = hub.repositories[repo]["model.safetensors"] = (
        WEIGHTS * 24
    )  # the client writes 10 at once
    hub.trouble[repo] = "cut once"
    answer = client.download(repo)
    assert content(answer["folder"])["model.safetensors"] == large
    assert f"bytes={10 * len(WEIGHTS)}-" in [asked for *_, asked in hub.requests]
    assert nothing_partial(home)


def test_a_killed_download_leaves_nothing_that_looks_complete(hub, repo, tmp_path) -> None:
    hub.trouble[repo] = "stall"
    hub.stalled.clear()
    with Client(hub.url, tmp_path) as killed:
        killed.ask(repo)
        assert hub.stalled.wait(60)
    with Client(hub.url, tmp_path, HF_HUB_OFFLINE="1") as offline:
        assert "could not be had" in offline.download(repo)["error"]
    with Client(hub.url, tmp_path) as again:
        assert content(again.download(repo)["folder"])["model.safetensors"] == WEIGHTS


def test_a_file_that_arrives_short_is_not_kept(hub, client, repo, home) -> None:
    hub.trouble[repo] = "short"
    error = client.download(repo)["error"]
    assert error.startswith(f"{repo} could not be had from the hub")
    assert nothing_partial(home)
    del hub.trouble[repo]
    assert content(client.download(repo)["folder"])["model.safetensors"] == WEIGHTS


def test_a_wrong_checksum_is_deleted_and_said(hub, client, repo, home) -> None:
    hub.trouble[repo] = "wrong content"
    error = client.download(repo)["error"]
    assert error.startswith("model.safetensors arrived damaged")
    assert error.endswith("was deleted: run the same call again")
    cache = home / "hub" / f"models--{repo.replace('/', '--')}"
    assert list(cache.rglob("config.json"))
    assert not list(cache.rglob("model.safetensors"))
    assert not list(cache.rglob(hashlib.sha256(WEIGHTS).hexdigest()))
    del hub.trouble[repo]
    assert content(client.download(repo)["folder"])["model.safetensors"] == WEIGHTS


def test_a_gated_repository_says_what_to_do(hub, client, repo) -> None:
    hub.trouble[repo] = "gated"
    error = client.download(repo)["error"]
    assert error == (
        f"{repo} asks its readers to accept terms: accept them on its page, then run "
        "`hf auth login`"
    )


def test_a_missing_repository_is_named(client) -> None:
    assert client.download("course/none")["error"] == (
        "the hub has no model 'course/none', or it is private: check the spelling"
    )


def test_a_repository_without_weights_is_named(hub, client, repo) -> None:
    del hub.repositories[repo]["model.safetensors"]
    assert client.download(repo)["error"] == (
        f"{repo} on the hub has no model.safetensors or pytorch_model.bin"
    )


def test_a_broken_hub_falls_back_to_what_is_here(hub, client, repo) -> None:
    folder = client.download(repo)["folder"]
    hub.trouble[repo] = "server error"
    assert client.download(repo)["folder"] == folder


def test_a_name_cannot_leave_the_cache(client) -> None:
    for name in ("..", "../evil", "-x/..", "a--b/..", "C:evil"):
        answer = client.download(name)
        assert "error" in answer


@pytest.fixture(scope="module")
def closed_port() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.parametrize("offline", ["0", "1"])
def test_without_network_what_is_here_works_and_the_rest_is_refused_at_once(
    hub, client, repo, home, closed_port, offline
) -> None:
    folder = client.download(repo)["folder"]
    with Client(closed_port, home, HF_HUB_OFFLINE=offline) as alone:
        first = alone.download("course/never-seen")
        assert "check the network and try again" in first["error"]
        assert 'bertedu.load("bertedu")' in first["error"]
        assert first["seconds"] < 3
        assert alone.download(repo)["folder"] == folder
