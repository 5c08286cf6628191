"""The frames of docs/protocol.md: requests in; answers, notifications and arrays out."""

import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from srn_engine.server.fields import InvalidParams, shown
from srn_engine.server.folders import Folders
from srn_engine.server.params import Params
from srn_engine.server.read_params import METHODS, read_params

PROTOCOL = 2
MAX_TEXT = 2**20  # bytes of one text frame, or of one binary frame from a client
MAX_RESULT = MAX_TEXT - 2**16  # bytes of a job's result: two folders and a sentence stand beside it
MAX_PIECE = MAX_TEXT - 4096  # bytes of a piece of a file: its frame has room for a line of JSON before it
MAX_ARRAY = 2**30  # bytes of one array, its header not counted

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
UNKNOWN_METHOD = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
WRONG_PROTOCOL = -32010
CANNOT = -32011

WITH_DATA = frozenset({"files.send"})  # requests that come in a binary frame: a line of JSON, then data


class ProtocolError(Exception):
    """A request that is answered with an error: its JSON-RPC `code`, one sentence, and the request's id if known."""

    def __init__(self, code: int, message: str, request: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.request = request


class TooLarge(Exception):
    """A message or an array over the protocol's limit."""


class ArrayFrame(NamedTuple):
    """A binary frame with an array: its `.npy` header, and its bytes where they lie."""

    header: bytes
    data: memoryview


Frame = str | bytes | ArrayFrame


@dataclass(frozen=True)
class Request:
    """`given`: the params as the client wrote them; `data`: the piece of a file that came with it, if any."""

    id: int
    method: str
    params: Params
    given: Mapping[str, object]
    data: bytes = b""


def decode_request(frame: str | bytes, folders: Folders) -> Request:
    """The request in a frame; ProtocolError where it is none. folders: what the names in it stand for."""
    text, data = (frame, b"") if isinstance(frame, str) else _split(frame)
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
    if not isinstance(method, str) or method not in METHODS:
        raise ProtocolError(UNKNOWN_METHOD, f"There is no method {shown(method)}.", number)
    if isinstance(frame, bytes) != (method in WITH_DATA):
        kind = "a binary" if method in WITH_DATA else "a text"
        raise ProtocolError(INVALID_REQUEST, f"{method} comes in {kind} frame.", number)
    given = message.get("params", {})
    try:
        return Request(number, method, read_params(method, given, folders), given, data)
    except InvalidParams as error:
        raise ProtocolError(INVALID_PARAMS, f"{method}: {error}", number) from None


def encode_result(request: int, result: object) -> str:
    return _encode({"jsonrpc": "2.0", "id": request, "result": plain(result)})


def encode_piece(request: int, result: object, data: bytes) -> bytes:
    """A result and the piece of a file that it speaks of, in one binary frame."""
    return encode_result(request, result).encode() + b"\n" + data


def encode_error(error: ProtocolError) -> str:
    content = {"code": error.code, "message": str(error)}
    return _encode({"jsonrpc": "2.0", "id": error.request, "error": content})


def encode_notification(method: str, params: Mapping[str, object]) -> str:
    return _encode({"jsonrpc": "2.0", "method": method, "params": plain(params)})


def encode_array(array: np.ndarray) -> ArrayFrame:
    """`array` in numpy's `.npy` format, version 1.0, C order; ValueError where only pickling could hold it.

    What lies in C order already is not copied: it must not change until it was sent.
    """
    if array.nbytes > MAX_ARRAY:
        raise TooLarge(f"An array of {array.nbytes} bytes is over the limit of {MAX_ARRAY}.")
    if array.dtype.hasobject:
        raise ValueError(f"An array of {array.dtype} cannot be sent.")
    ordered = np.ascontiguousarray(array)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(ordered))
    return ArrayFrame(header.getvalue(), ordered.reshape(-1).view(np.uint8).data)


def job_result(result: Mapping[str, object]) -> dict[str, object]:
    """`result` as JSON can hold it; TooLarge or TypeError where it, with what else a notification tells, cannot."""
    content = plain(result)
    assert isinstance(content, dict)
    if len(_encode(content)) > MAX_RESULT:
        raise TooLarge(f"A result of more than {MAX_RESULT} bytes is over the limit.")
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


def _split(frame: bytes) -> tuple[str, bytes]:
    line, _, data = frame.partition(b"\n")
    try:
        return line.decode(), data
    except UnicodeDecodeError:
        raise ProtocolError(INVALID_REQUEST, "A binary frame begins with a request, one line of JSON.") from None


def _parse(text: str) -> object:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    try:
        message: object = json.loads(text, parse_constant=refuse)
    # ValueError: no JSON, or an integer of thousands of digits; RecursionError: nested thousands deep.
    except (ValueError, RecursionError):
        raise ProtocolError(PARSE_ERROR, "The text frame is not valid JSON.") from None
    return message
