"""A real engine process and a raw client that holds every text frame, either way, against the protocol's schema."""

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import jsonschema
import numpy as np
from websockets.sync.client import ClientConnection, connect

ROOT = Path(__file__).resolve().parents[2]
JOBS = ROOT / "srn_engine" / "tests" / "server_jobs.py"
SCHEMA = jsonschema.Draft202012Validator(json.loads((ROOT / "docs/protocol.schema.json").read_text(encoding="utf-8")))
TOKEN = "correct-horse-battery-staple"
PROTOCOL = 2
SECONDS = 20.0  # until a test gives up waiting

CAMERA = {"pose": np.eye(4).tolist(), "fl_x": 40.0, "fl_y": 40.0, "cx": 16.0, "cy": 8.0, "width": 32, "height": 16}
HERE = str(ROOT.resolve())  # an absolute path on any system
TRAIN = {"dataset": HERE, "run": HERE}
RENDER = {"run": HERE, "instance": "any", "camera": CAMERA, "passes": ["colour"]}
EVALUATE = {"run": HERE, "dataset": HERE, "split": "test"}


class EngineProcess:
    """An engine as a process, `server_jobs.py` unless another `program` is given; `ready` is its ready line."""

    def __init__(self, *args: str, token: str = TOKEN, program: Sequence[str] = (str(JOBS),)) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *program, "--token-stdin", *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        self.process.stdin.write(f"{token}\n".encode())
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        self.ready = json.loads(line) if line else None

    @property
    def port(self) -> int:
        return self.ready["port"]

    def end(self) -> tuple[int, str]:
        """Closes standard input; the exit status and the log."""
        _, log = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, log.decode()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextmanager
def engine_process(*args: str, program: Sequence[str] = (str(JOBS),)) -> Iterator[EngineProcess]:
    engine = EngineProcess(*args, program=program)
    try:
        yield engine
    finally:
        engine.kill()


class RawClient:
    """Speaks frames, not callbacks."""

    def __init__(self, websocket: ClientConnection) -> None:
        self.websocket = websocket
        self.notifications: list[dict] = []  # of jobs
        self.previews: list[tuple[dict, dict[str, np.ndarray]]] = []
        self._count = 0

    def send(self, method: str, **params: object) -> int:
        self._count += 1
        message = {"jsonrpc": "2.0", "id": self._count, "method": method, "params": params}
        SCHEMA.validate(message)
        self.websocket.send(json.dumps(message))
        return self._count

    def receive(self) -> dict:
        frame = self.websocket.recv(timeout=SECONDS)
        assert isinstance(frame, str), "a binary frame that nothing announced"
        message = json.loads(frame, parse_constant=pytest_fail)
        SCHEMA.validate(message)
        return message

    def raw(self, frame: str | bytes) -> dict:
        """Sends any frame; the next frame that is no notification."""
        self.websocket.send(frame)
        return self._answer()

    def ask(self, method: str, **params: object) -> object:
        number = self.send(method, **params)
        answer = self._answer()
        assert answer["id"] == number
        return answer["result"]

    def refused(self, method: str, **params: object) -> dict:
        """The error of a request whose params need not be what the schema wants."""
        self._count += 1
        message = {"jsonrpc": "2.0", "id": self._count, "method": method, "params": params}
        answer = self.raw(json.dumps(message))
        assert answer["id"] == self._count
        return answer["error"]

    def job(self, method: str, **params: object) -> int:
        return self.ask(method, **params)["job"]

    def until(self, job: int, *states: str) -> dict:
        """The first notification of `job` in one of `states`, from those that came and those that come."""
        seen = 0
        while True:
            for state in self.notifications[seen:]:
                if state["job"] == job and state["state"] in states:
                    return state
            seen = len(self.notifications)
            self._notified(self.receive())

    def until_previewed(self, job: int) -> tuple[dict, dict[str, np.ndarray]]:
        """The first preview of `job` from now on, and its arrays."""
        seen = len(self.previews)
        while True:
            for preview in self.previews[seen:]:
                if preview[0]["job"] == job:
                    return preview
            seen = len(self.previews)
            self._notified(self.receive())

    def send_piece(self, data: bytes, **params: object) -> dict:
        """The answer to `files.send`, a result or an error."""
        self._count += 1
        message = {"jsonrpc": "2.0", "id": self._count, "method": "files.send", "params": params}
        SCHEMA.validate(message)
        answer = self.raw(json.dumps(message).encode() + b"\n" + data)
        assert answer["id"] == self._count
        return answer

    def fetch_piece(self, **params: object) -> tuple[dict, bytes]:
        """The result of `files.fetch`, and the piece."""
        number = self.send("files.fetch", **params)
        frame = self.websocket.recv(timeout=SECONDS)
        assert isinstance(frame, bytes), frame
        line, _, data = frame.partition(b"\n")
        answer = json.loads(line)
        SCHEMA.validate(answer)
        assert answer["id"] == number
        return answer["result"], data

    def arrays(self, state: dict) -> dict[str, np.ndarray]:
        """What follows a notification of a render that is done."""
        return self._arrays(state["result"]["arrays"])

    def _arrays(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        frames = {name: self.websocket.recv(timeout=SECONDS) for name in names}
        return {name: np.load(io.BytesIO(frame), allow_pickle=False) for name, frame in frames.items()}

    def _answer(self) -> dict:
        while "method" in (message := self.receive()):
            self._notified(message)
        return message

    def _notified(self, message: dict) -> None:
        params = message["params"]
        if message["method"] == "preview":
            self.previews.append((params, self._arrays(params["arrays"])))
        else:
            self.notifications.append(params)


@contextmanager
def raw_client(port: int, token: str | None = TOKEN, hello: bool = True, max_queue: int = 16) -> Iterator[RawClient]:
    """max_queue: frames that wait in the client until it reads them; more wait on their way."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    with connect(
        f"ws://127.0.0.1:{port}", additional_headers=headers, proxy=None, compression=None, max_size=2**31,
        max_queue=max_queue,
    ) as websocket:  # fmt: skip
        client = RawClient(websocket)
        if hello:
            client.ask("hello", protocol=PROTOCOL, client="test")
        yield client


def pytest_fail(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def wait_until(condition, seconds: float = SECONDS) -> float:
    """Waits for `condition`; the seconds it took."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds, "waited too long"
        time.sleep(0.01)
    return time.monotonic() - start
