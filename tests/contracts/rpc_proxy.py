"""A real HTTP server in front of a node that delays, drops, cuts and changes answers as a test says."""

import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# Takes method, parameters and the node's true answer; returns what the proxy answers.
Lie = Callable[[str, list[Any], Any], Any]


class Proxy:
    """One proxy. Its switches may be turned while it runs."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.lie: Lie | None = None
        self.delay_s = 0.0
        self.is_dropping = False
        self.is_cutting = False
        self.is_garbled = False
        self.swallowed: set[str] = set()
        self.asked: list[str] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                proxy.answer(self)

            def log_message(self, *_: object) -> None:
                """Keep the test's output clean."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def heal(self) -> None:
        """Answer truly from now on."""
        self.lie, self.delay_s = None, 0.0
        self.is_dropping = self.is_cutting = self.is_garbled = False
        self.swallowed.clear()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request, or not."""
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        request = json.loads(body)
        method = request["method"]
        self.asked.append(method)
        if self.is_dropping:
            handler.connection.close()
            return
        time.sleep(self.delay_s)
        if method in self.swallowed:
            # The client believes that it was taken; the node never hears of it.
            data = json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": "0x" + "00" * 32}).encode()
        else:
            forward = urllib.request.Request(self.node, body, {"Content-Type": "application/json"})
            with urllib.request.urlopen(forward, timeout=20) as response:
                answer = json.loads(response.read())
            if self.lie is not None and "result" in answer:
                answer["result"] = self.lie(method, request["params"], answer["result"])
            data = b"<html>502</html>" if self.is_garbled else json.dumps(answer).encode()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[: len(data) // 2] if self.is_cutting else data)

    def close(self) -> None:
        """Stop the server."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@contextmanager
def open_proxies(node: str, count: int) -> Iterator[list[Proxy]]:
    """Yield proxies in front of one node."""
    proxies = [Proxy(node) for _ in range(count)]
    try:
        yield proxies
    finally:
        for proxy in proxies:
            proxy.close()
