"""A package index on this computer, with small packages made here: what installs from it is a real environment."""

from __future__ import annotations

import hashlib
import http.server
import os
import random
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# In place of the engine's `check`: what it says is what the add-on reads.
ENGINE = """
import json, sys, torch
assert sys.argv[1:] == ["check", "--json"], sys.argv
print("a warning of somebody's")
print(json.dumps({"engine": "%s", "interpreter": sys.executable, "python": "3", "torch": torch.__version__,
                  "cuda": None, "device": "cpu", "name": "here", "gflops": 12.0}))
"""


def write_wheel(folder: Path, name: str, version: str, files: dict[str, str], requires: tuple[str, ...] = ()) -> Path:
    """A pure-Python wheel of these files."""
    info = f"{name}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {one}\n" for one in requires)
    content = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*content, f"{info}/RECORD"])
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in {**content, f"{info}/RECORD": record}.items():
            archive.writestr(path, text)
    return wheel


def write_engine(folder: Path, version: str, *requires: str) -> Path:
    files = {"srn_engine/__init__.py": "", "srn_engine/__main__.py": ENGINE % version}
    return write_wheel(folder, "srn_engine", version, files, ("torch", *requires))


def write_torch(folder: Path) -> Path:
    """Large enough that pip tells how far its download is."""
    noise = random.Random(0).randbytes(1_500_000).hex()
    return write_wheel(folder, "torch", "9.0", {"torch/__init__.py": "__version__ = '9.0'", "torch/noise.txt": noise})


class PackageIndex:
    """Serves the wheels of a folder. `pause`: seconds before each of a download's 50 pieces. `asked`: the paths."""

    def __init__(self, folder: Path) -> None:
        self.pause = 0.0
        self.asked: list[str] = []
        index = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                index.asked.append(self.path)
                wheels = {path.name: path for path in folder.glob("*.whl")}
                parts = self.path.strip("/").split("/")
                if parts[0] == "simple":
                    of = [wheel for wheel in wheels if wheel.split("-")[0].replace("_", "-") == parts[1]]
                    links = [f'<a href="/files/{one}#sha256={_digest(wheels[one])}">{one}</a>' for one in of]
                    self._send("".join(links).encode(), "text/html", 200 if of else 404)
                else:
                    self._send(wheels[parts[1]].read_bytes(), "application/octet-stream", 200)

            def _send(self, body: bytes, kind: str, status: int) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                step = max(len(body) // 50, 1)
                try:
                    for begin in range(0, len(body), step):
                        time.sleep(index.pause if kind != "text/html" else 0.0)
                        self.wfile.write(body[begin : begin + step])
                except ConnectionError:
                    pass  # the reader has been cancelled

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/simple"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def package_index(folder: Path) -> Iterator[PackageIndex]:
    index = PackageIndex(folder)
    try:
        yield index
    finally:
        index.close()


def pip_environment() -> dict[str, str]:
    """For a pip that knows of no index but those that a test names, and keeps nothing."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    return kept | {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1", "PIP_RETRIES": "1"}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
