"""The add-on's half of docs/protocol.md: requests out, events in, arrays from `.npy` frames."""

import io
import json
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

PROTOCOL = 2
CLIENT = "SRN for Blender"
MAX_TEXT = 2**20  # bytes of one text frame
MAX_BINARY = 2**30 + 4096  # bytes of one binary frame: an array and its header
MAX_PIECE_FRAME = 2**20  # bytes of a binary frame with a piece of a file
MAX_PIECE = MAX_PIECE_FRAME - 4096  # bytes of the piece

# By name: the type, how many lengths are free, and those that are not. A picture has pixels, but a cloud no triangles.
_ARRAYS = {
    "colour": ("<f4", 2, (4,)),
    "depth": ("<f4", 2, ()),
    "normal": ("<f4", 2, (3,)),
    "semantic": ("|u1", 2, ()),
    "vertices": ("<f4", 1, (3,)),
    "normals": ("<f4", 1, (3,)),
    "triangles": ("<i4", 1, (3,)),
    "colours": ("|u1", 1, (3,)),
    "labels": ("|u1", 1, ()),
}

Json = dict[str, object]
Frame = str | bytes | memoryview


class BadMessage(Exception):
    """A frame that the protocol does not allow; the message is half a sentence."""


@dataclass(frozen=True)
class Answer:
    """The answer to the request `id`: its result and the piece of a file that came with it, or its error's sentence."""

    id: int | None
    result: object = None
    error: str | None = None
    piece: bytes = b""


@dataclass(frozen=True)
class JobChange:
    """A `job` notification and, with `done`, its arrays by name: rows from the top, read-only."""

    state: Json
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def array_names(self) -> list[str]:
        """The arrays whose binary frames follow."""
        result = self.state.get("result")
        return _names(result.get("arrays", []) if isinstance(result, dict) else [])


@dataclass(frozen=True)
class Previewed:
    """A `preview` notification: what the training `job` showed after `step` steps; arrays as in JobChange."""

    job: int
    step: int
    array_names: list[str]
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)


def encode_request(number: int, method: str, params: Mapping[str, object]) -> str:
    """The text frame of a request; ValueError where `params` hold what JSON cannot."""
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}, allow_nan=False)


def encode_piece(number: int, method: str, params: Mapping[str, object], piece: bytes) -> bytes:
    """The binary frame of a request that carries a piece of a file."""
    return encode_request(number, method, params).encode() + b"\n" + piece


def hello(number: int) -> str:
    return encode_request(number, "hello", {"protocol": PROTOCOL, "client": CLIENT})


def check_version(info: Mapping[str, object]) -> str | None:
    """What is wrong with the engine's protocol version, in a sentence; None where it fits."""
    version = info.get("protocol")
    if version == PROTOCOL:
        return None
    older = "engine" if not isinstance(version, int) or version < PROTOCOL else "add-on"
    return f"The add-on speaks protocol {PROTOCOL} and the engine protocol {version}: update the {older}."


def decode(frame: Frame) -> Answer | JobChange | Previewed:
    """What a frame says; BadMessage where it says nothing the protocol knows, or is an array."""
    if not isinstance(frame, str):
        return _with_piece(frame)
    message = _parse(frame)
    params = message.get("params")
    if message.get("method") == "job" and isinstance(params, dict):
        if type(params.get("job")) is not int or not isinstance(params.get("state"), str):
            raise BadMessage("a job has no number or no state")
        return JobChange(params)
    if message.get("method") == "preview" and isinstance(params, dict):
        job, step = params.get("job"), params.get("step")
        if type(job) is not int or type(step) is not int:
            raise BadMessage("a preview has no job or no step")
        return Previewed(job, step, _names(params.get("arrays")))
    return _answer(message)


def _names(value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise BadMessage("a list of arrays is none")
    return value


def _with_piece(frame: bytes | memoryview) -> Answer:
    line, newline, piece = bytes(frame[:MAX_PIECE_FRAME]).partition(b"\n")
    if not line.startswith(b"{") or not newline or len(piece) > MAX_PIECE or len(frame) > MAX_PIECE_FRAME:
        raise BadMessage("an array came that was not announced")
    try:
        return replace(_answer(_parse(line.decode())), piece=piece)
    except UnicodeDecodeError:
        raise BadMessage("the line before a piece is not UTF-8") from None


def _parse(text: str) -> Json:
    if len(text) > MAX_TEXT:
        raise BadMessage("a text frame is over 1 MiB")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise BadMessage("a text frame is not valid JSON") from None
    if not isinstance(message, dict):
        raise BadMessage("a text frame holds no object")
    return message


def _answer(message: Json) -> Answer:
    number, error = message.get("id"), message.get("error")
    if number is not None and type(number) is not int:
        raise BadMessage("an answer has no number")
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        return Answer(number, error=error["message"])
    if "result" in message:
        return Answer(number, result=message["result"])
    raise BadMessage("a message is neither an answer nor a job's state")


def decode_array(name: str, frame: Frame) -> np.ndarray:
    """The array `name` in a `.npy` frame, without a copy; BadMessage where it is not as the protocol says.

    Of a picture: `colour` (H, W, 4), `depth` (H, W) and `normal` (H, W, 3) are float32, `semantic` (H, W) is uint8.
    Of a surface: `vertices` (V, 3) and `normals` (V, 3) are float32, `triangles` (T, 3) is int32, `colours` (V, 3) and
    `labels` (V,) are uint8.
    """
    if isinstance(frame, str) or name not in _ARRAYS:
        raise BadMessage(f"an array {name!r} was announced and something else came")
    dtype, free, rest = _ARRAYS[name]
    shape, fortran, found, start = _header(name, frame)
    least = 1 if free == 2 else 0
    good_shape = len(shape[:free]) == free and min(shape[:free]) >= least and shape[free:] == rest
    # np.frombuffer never unpickles, but an array of objects is refused here all the same: by its dtype.
    if found.str != dtype or fortran or not good_shape:
        raise BadMessage(f"the array {name} is {found} {shape}")
    if len(frame) - start != int(np.prod(shape, dtype=object)) * found.itemsize:
        raise BadMessage(f"the array {name} has {len(frame) - start} bytes, which is not its size")
    return np.frombuffer(frame, dtype=found, offset=start).reshape(shape)


def _header(name: str, frame: bytes | memoryview) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    stream = io.BytesIO(frame[:4096])
    try:
        if np.lib.format.read_magic(stream) != (1, 0):
            raise BadMessage(f"the array {name} is not in version 1.0 of .npy")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    except (ValueError, SyntaxError, TypeError, tokenize.TokenError) as error:
        raise BadMessage(f"the array {name} has no .npy header ({error})") from None
    return shape, fortran, dtype, stream.tell()
