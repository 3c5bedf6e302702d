"""As much of the Hugging Face hub's HTTP as a download needs, on loopback. Run: hub_server.py FOLDER COMMIT.

Serves the files of FOLDER as the repository owner/name at COMMIT; prints its address. With a file named `reset`
among them, each download of weights is cut in the middle.
"""

from __future__ import annotations

import hashlib
import json
import socket
import struct
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FOLDER, COMMIT = Path(sys.argv[1]), sys.argv[2]
API = "/api/models/owner/name"


class Hub(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path in (API, f"{API}/revision/main", f"{API}/revision/{COMMIT}"):
            self._answer(json.dumps({"id": "owner/name", "sha": COMMIT, "siblings": []}).encode())
        elif path == f"{API}/tree/{COMMIT}":
            files = [
                {"type": "file", "path": file.name, "oid": _etag(file), "size": file.stat().st_size}
                for file in _files()
            ]
            self._answer(json.dumps(files).encode())
        elif path.startswith(f"/owner/name/resolve/{COMMIT}/") and FOLDER / path.rpartition("/")[2] in _files():
            file = FOLDER / path.rpartition("/")[2]
            reset = file.suffix == ".safetensors" and (FOLDER / "reset").exists()
            self._answer(file.read_bytes(), etag=_etag(file), reset=reset)
        else:
            self._answer(b"", status=404)

    do_HEAD = do_GET

    def _answer(self, body: bytes, status: int = 200, etag: str = "", *, reset: bool = False) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Repo-Commit", COMMIT)
        if etag:
            self.send_header("ETag", f'"{etag}"')
        if status == 404:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.end_headers()
        if self.command == "GET" and reset:
            self.wfile.write(body[: len(body) // 2])
            # With no time to linger, closing resets the connection.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
        elif self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silence: the test reads what packaging says."""


def _files() -> list[Path]:
    return sorted(FOLDER.iterdir())


def _etag(file: Path) -> str:
    """SHA-256 for large files, git's blob SHA-1 for the others, as the hub does."""
    content = file.read_bytes()
    if file.suffix == ".safetensors":
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
print(f"http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
