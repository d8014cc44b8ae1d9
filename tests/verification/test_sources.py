"""Where the verifier reads from: a web server, a live node, a terminal."""

import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from rich.console import Console

from novate.settlement.chain_rpc import ChainRpc
from novate.settlement.embedded_chain import EmbeddedChain
from novate.verification.console import run_verification
from novate.verification.verdict import verify_directory, verify_files
from tests.verification.small_genesis import CHAIN_ID
from tests.verification.small_venue import publish, write_script


class QuietFiles(SimpleHTTPRequestHandler):
    """Serves a directory and logs nothing."""

    def log_message(self, *_: Any) -> None:
        """Keep the test's output clean."""


class NodeHandler(BaseHTTPRequestHandler):
    """Serves an embedded chain's JSON-RPC."""

    def __init__(self, rpc: ChainRpc, *arguments: Any) -> None:
        self.rpc = rpc
        super().__init__(*arguments)

    def do_POST(self) -> None:
        """Answer one request."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = {"jsonrpc": "2.0", "id": request["id"]}
        answer["result"] = self.rpc.request(request["method"], request.get("params", []))
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Keep the test's output clean."""


@contextmanager
def serve(handler: Any) -> Iterator[str]:
    """A web server on a free port of this machine; its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def write(folder: Path, files: dict[str, bytes]) -> None:
    (folder / "published").mkdir()
    for name, data in files.items():
        (folder / "published" / name).write_bytes(data)


def test_a_venue_is_verified_over_the_web(tmp_path: Path) -> None:
    """An address serves the same verdict as the folder; a file that is not there is a finding."""
    write(tmp_path, publish(write_script()))
    with serve(partial(QuietFiles, directory=str(tmp_path))) as address:
        assert "ok" == verify_directory(address).describe()
        assert "ok" == verify_directory(address + "/published/").describe()
        (tmp_path / "published" / "chain.log").unlink()
        assert "files: chain.log: " in verify_directory(address).describe()
    assert "files: HEAD: " in verify_directory("http://127.0.0.1:9").describe()


def test_a_live_node_takes_the_place_of_the_published_chain(tmp_path: Path) -> None:
    """The same checks run on a node; one that serves another chain, or nothing, is a finding."""
    files = publish(write_script())
    log = tmp_path / "chain.log"
    log.write_bytes(files["chain.log"])
    chain = EmbeddedChain(log, CHAIN_ID)
    with serve(partial(NodeHandler, ChainRpc(chain))) as address:
        verdict = verify_files(files, rpc=address)
        assert "ok" == verdict.describe()
        assert f"on {address}" in [check.note for check in verdict.checks]
    chain.close()
    with serve(partial(NodeHandler, ChainRpc(EmbeddedChain(None, CHAIN_ID)))) as address:
        assert "contracts: " in verify_files(files, rpc=address).describe()
    with serve(partial(NodeHandler, ChainRpc(EmbeddedChain(None, CHAIN_ID + 1)))) as address:
        assert f"it serves chain {CHAIN_ID + 1}" in verify_files(files, rpc=address).describe()
    assert "it does not answer" in verify_files(files, rpc="http://127.0.0.1:9").describe()


def test_the_terminal_shows_the_verdict_and_the_exit_status(tmp_path: Path) -> None:
    """Status 0 and `ok`, or status 1 and the place; the JSON form says the same."""
    files = publish(write_script())
    write(tmp_path, files)
    screen = Console(file=io.StringIO(), width=160)
    assert 0 == run_verification(tmp_path, console=screen)
    (tmp_path / "published" / "batches.log").write_bytes(files["batches.log"][:-1])
    assert 1 == run_verification(tmp_path, console=screen)
    text = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "not ok batch frames: batches.log byte" in text
    answer = Console(file=io.StringIO(), width=160)
    assert 1 == run_verification(tmp_path, as_json=True, console=answer)
    document = json.loads(answer.file.getvalue())  # type: ignore[attr-defined]
    assert (False, "failed") == (document["ok"], document["checks"][4]["state"])
