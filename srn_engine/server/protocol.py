"""The messages of docs/protocol.md: text frames in and out, methods' parameters, arrays as `.npy`."""

import io
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PROTOCOL = 1
MAX_TEXT = 2**20  # bytes of one text frame
MAX_ARRAY = 2**30  # bytes of one array, its header not counted
MAX_SIDE = 8192  # pixels
PASSES = ("colour", "depth", "normal", "semantic")
SPLITS = ("train", "val", "test")

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
UNKNOWN_METHOD = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
WRONG_PROTOCOL = -32010
CANNOT = -32011


class ProtocolError(Exception):
    """A request that is answered with an error: its JSON-RPC `code`, one sentence, and the request's id if known."""

    def __init__(self, code: int, message: str, request: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.request = request


class TooLarge(Exception):
    """A message or an array over the protocol's limit."""


@dataclass(frozen=True)
class Hello:
    protocol: int
    client: str


@dataclass(frozen=True)
class Train:
    """`preset`, `seconds`, `steps` and `seed` are None where the client leaves them to the engine."""

    dataset: Path
    run: Path
    preset: str | None = None
    seconds: float | None = None
    steps: int | None = None
    seed: int | None = None


@dataclass(frozen=True)
class Render:
    """`camera` is checked JSON, as `srn_engine.cameras.Camera.from_json` takes it."""

    run: Path
    instance: str
    camera: Mapping[str, object]
    passes: tuple[str, ...]


@dataclass(frozen=True)
class Evaluate:
    run: Path
    dataset: Path
    split: str
    report: Path | None = None


@dataclass(frozen=True)
class Cancel:
    job: int


@dataclass(frozen=True)
class Jobs:
    pass


@dataclass(frozen=True)
class Shutdown:
    pass


JobParams = Train | Render | Evaluate
Params = Hello | JobParams | Cancel | Jobs | Shutdown


@dataclass(frozen=True)
class Request:
    id: int
    method: str
    params: Params


def decode_request(text: str) -> Request:
    """The request in a text frame; ProtocolError where it is none."""
    message = _parse(text)
    if not isinstance(message, dict):
        raise ProtocolError(INVALID_REQUEST, "A request is one JSON object; batches are not supported.")
    number = message.get("id")
    if type(number) is not int:
        raise ProtocolError(INVALID_REQUEST, "A request needs an integer `id`.")
    unknown = sorted(set(message) - {"jsonrpc", "id", "method", "params"})
    if message.get("jsonrpc") != "2.0" or unknown:
        raise ProtocolError(INVALID_REQUEST, 'A request holds "jsonrpc": "2.0", id, method and params.', number)
    method = message.get("method")
    if not isinstance(method, str) or method not in _METHODS:
        raise ProtocolError(UNKNOWN_METHOD, f"There is no method {_shown(method)}.", number)
    try:
        return Request(number, method, _METHODS[method](_Fields(message.get("params", {}))))
    except _Invalid as error:
        raise ProtocolError(INVALID_PARAMS, f"{method}: {error}", number) from None


def encode_result(request: int, result: object) -> str:
    return _encode({"jsonrpc": "2.0", "id": request, "result": plain(result)})


def encode_error(error: ProtocolError) -> str:
    content = {"code": error.code, "message": str(error)}
    return _encode({"jsonrpc": "2.0", "id": error.request, "error": content})


def encode_job(state: Mapping[str, object]) -> str:
    """The notification that carries a job's state, as `Job.state_json` gives it."""
    return _encode({"jsonrpc": "2.0", "method": "job", "params": plain(state)})


def encode_array(array: np.ndarray) -> bytes:
    """`array` in numpy's `.npy` format, version 1.0, C order; ValueError where only pickling could hold it."""
    if array.nbytes > MAX_ARRAY:
        raise TooLarge(f"An array of {array.nbytes} bytes is over the limit of {MAX_ARRAY}.")
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def job_result(result: Mapping[str, object]) -> dict[str, object]:
    """`result` as JSON can hold it; TooLarge or TypeError where it cannot."""
    content = plain(result)
    assert isinstance(content, dict)
    _encode(content)
    return content


def plain(value: object) -> object:
    """`value` as JSON can hold it: numpy's numbers as Python's, paths as text, what is not finite as null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def which_side_to_update(client: int) -> str:
    """The sentence for a client of another protocol version."""
    older = "add-on (or other client)" if client < PROTOCOL else "engine"
    return f"The client speaks protocol {client} and the engine protocol {PROTOCOL}: update the {older}."


def _encode(message: Mapping[str, object]) -> str:
    text = json.dumps(message, allow_nan=False)
    if len(text) > MAX_TEXT:
        raise TooLarge(f"A message of {len(text)} bytes is over the limit of {MAX_TEXT}.")
    return text


def _parse(text: str) -> object:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    try:
        message: object = json.loads(text, parse_constant=refuse)
    # ValueError: no JSON, or an integer of thousands of digits; RecursionError: nested thousands deep.
    except (ValueError, RecursionError):
        raise ProtocolError(PARSE_ERROR, "The text frame is not valid JSON.") from None
    return message


class _Invalid(Exception):
    """A parameter that is missing or wrong, in one sentence."""


class _Fields:
    """Takes a JSON object's fields one by one, checking each; `end` refuses what nobody took."""

    def __init__(self, fields: object, what: str = "params") -> None:
        if not isinstance(fields, dict):
            raise _Invalid(f"`{what}` must be an object.")
        self._fields = dict(fields)

    def has(self, name: str) -> bool:
        return name in self._fields

    def take(self, name: str) -> object:
        if name not in self._fields:
            raise _Invalid(f"`{name}` is missing.")
        return self._fields.pop(name)

    def end(self) -> None:
        for name in self._fields:
            raise _Invalid(f"`{_shown(name)}` is unknown.")

    def text(self, name: str) -> str:
        value = self.take(name)
        if not isinstance(value, str) or not _printable(value):
            raise _Invalid(f"`{name}` must be text.")
        return value

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        value = self.take(name)
        if not isinstance(value, str) or value not in choices:
            raise _Invalid(f"`{name}` must be one of {', '.join(choices)}.")
        return value

    def folder(self, name: str) -> Path:
        path = Path(self.text(name))
        if not path.is_absolute():
            raise _Invalid(f"`{name}` must be an absolute path on the engine's machine.")
        return path

    def number(self, name: str, positive: bool = False) -> float:
        value = _finite(self.take(name))
        if value is None or (positive and value <= 0):
            raise _Invalid(f"`{name}` must be a {'positive ' if positive else ''}number.")
        return value

    def integer(self, name: str, least: int, most: int = 2**53) -> int:
        value = self.take(name)
        if type(value) is not int or not least <= value <= most:
            raise _Invalid(f"`{name}` must be an integer from {least} to {most}.")
        return value


def _hello(fields: _Fields) -> Hello:
    # Only what every version has in common: a client of another version is to learn which side to update.
    return Hello(fields.integer("protocol", 0), fields.text("client"))


def _train(fields: _Fields) -> Train:
    params = Train(
        dataset=fields.folder("dataset"),
        run=fields.folder("run"),
        preset=fields.text("preset") if fields.has("preset") else None,
        seconds=fields.number("seconds", positive=True) if fields.has("seconds") else None,
        steps=fields.integer("steps", 1) if fields.has("steps") else None,
        seed=fields.integer("seed", 0) if fields.has("seed") else None,
    )
    fields.end()
    return params


def _render(fields: _Fields) -> Render:
    run, instance = fields.folder("run"), fields.text("instance")
    camera, passes = _camera(fields.take("camera")), _passes(fields.take("passes"))
    fields.end()
    return Render(run, instance, camera, passes)


def _evaluate(fields: _Fields) -> Evaluate:
    params = Evaluate(
        run=fields.folder("run"),
        dataset=fields.folder("dataset"),
        split=fields.choice("split", SPLITS),
        report=fields.folder("report") if fields.has("report") else None,
    )
    fields.end()
    return params


def _cancel(fields: _Fields) -> Cancel:
    params = Cancel(fields.integer("job", 1))
    fields.end()
    return params


def _jobs(fields: _Fields) -> Jobs:
    fields.end()
    return Jobs()


def _shutdown(fields: _Fields) -> Shutdown:
    fields.end()
    return Shutdown()


_METHODS: dict[str, Callable[[_Fields], Params]] = {
    "hello": _hello,
    "train": _train,
    "render": _render,
    "evaluate": _evaluate,
    "cancel": _cancel,
    "jobs": _jobs,
    "shutdown": _shutdown,
}


def _passes(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or any(name not in PASSES for name in value):
        raise _Invalid(f"`passes` must be a list out of {', '.join(PASSES)}.")
    if len(set(value)) < len(value):
        raise _Invalid("`passes` names a pass twice.")
    return tuple(value)


def _camera(value: object) -> Mapping[str, object]:
    fields = _Fields(value, "camera")
    camera: dict[str, object] = {"pose": _pose(fields.take("pose"))}
    camera |= {name: fields.number(name, positive=True) for name in ("fl_x", "fl_y")}
    camera |= {name: fields.number(name) for name in ("cx", "cy")}
    camera |= {name: fields.integer(name, 1, MAX_SIDE) for name in ("width", "height")}
    fields.end()
    return camera


def _pose(value: object) -> list[list[float]]:
    if not isinstance(value, list) or len(value) != 4:
        raise _Invalid("`pose` must be 4 rows of 4 numbers.")
    return [_pose_row(row) for row in value]


def _pose_row(value: object) -> list[float]:
    if isinstance(value, list) and len(value) == 4:
        numbers = [number for item in value if (number := _finite(item)) is not None]
        if len(numbers) == 4:
            return numbers
    raise _Invalid("`pose` must be 4 rows of 4 numbers.")


def _finite(value: object) -> float | None:
    """`value` as a float; None if it is no number or not finite."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _printable(text: str) -> bool:
    """Whether `text` can be part of a path: no NUL, no lone surrogate."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def _shown(value: object) -> str:
    """A client's own word, short enough for a sentence."""
    text = str(value)
    return text if len(text) <= 40 else text[:40] + "…"
