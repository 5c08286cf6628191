"""What an engine can send, and what is made of it."""

from __future__ import annotations

import io
import json
import random

import numpy as np
import pytest

from srn_blender.engine import messages
from srn_blender.engine.messages import Answer, BadMessage, JobChange, Previewed


def npy(array: np.ndarray, version: tuple[int, int] = (1, 0), pickled: bool = False) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version=version, allow_pickle=pickled)
    return buffer.getvalue()


COLOUR = np.random.default_rng(1).random((5, 7, 4), dtype=np.float32)


def test_an_array_is_read_exactly_and_without_a_copy():
    frame = npy(COLOUR)
    array = messages.decode_array("colour", frame)
    assert np.array_equal(array, COLOUR) and array.dtype == np.float32 and not array.flags.owndata


@pytest.mark.parametrize(
    ("name", "frame"),
    [
        ("colour", npy(np.array([object(), {}]), pickled=True)),
        ("colour", npy(np.full((2, 2, 4), None), pickled=True)),
        ("colour", npy(COLOUR.astype(np.float64))),
        ("colour", npy(COLOUR.astype(">f4"))),
        ("colour", npy(np.asfortranarray(COLOUR))),
        ("colour", npy(COLOUR, version=(2, 0))),
        ("colour", npy(COLOUR[..., :3])),
        ("colour", npy(COLOUR)[:-1]),
        ("colour", npy(COLOUR) + b"\0"),
        ("colour", npy(COLOUR).replace(b"(5, 7, 4)", b"(9**9,4) ")),
        ("colour", npy(COLOUR).replace(b"(5, 7, 4)", b"(-5,-7,4)")),
        ("depth", npy(COLOUR)),
        ("semantic", npy(COLOUR[..., 0])),
        ("alpha", npy(COLOUR)),
        ("vertices", npy(COLOUR)),
        ("vertices", npy(COLOUR[0])),
        ("labels", npy(COLOUR[0, :, 0])),
        ("triangles", npy(COLOUR[0, :, :3])),
        ("colour", "text"),
        ("colour", b""),
    ],
)
def test_an_array_that_is_not_as_announced_is_refused(name, frame):
    with pytest.raises(BadMessage):
        messages.decode_array(name, frame)


@pytest.mark.filterwarnings("ignore")  # the parser of headers warns of odd escapes
def test_broken_arrays_raise_nothing_else():
    source, good = random.Random(2026), npy(COLOUR)
    for _ in range(5000):
        frame = bytearray(good)
        for _ in range(source.randrange(1, 8)):
            frame[source.randrange(160)] = source.choice(b"\0\xff()[]{}'\",:0123456789 \n\\#eLTfF")
        try:
            array = messages.decode_array("colour", bytes(frame))
        except BadMessage:
            continue
        assert array.dtype == np.float32 and array.shape == COLOUR.shape


@pytest.mark.parametrize(
    "frame",
    [
        b"binary",
        "",
        "{",
        "[" * 100_000,
        "9" * 10_000,
        "[]",
        "{}",
        json.dumps({"id": "1", "result": {}}),
        json.dumps({"id": 1, "error": "text"}),
        json.dumps({"method": "job", "params": []}),
        json.dumps({"method": "job", "params": {"job": "1", "state": "done"}}),
        json.dumps({"method": "job", "params": {"job": 1}}),
        json.dumps({"method": "preview", "params": {"job": 1, "arrays": ["colour"]}}),
        json.dumps({"method": "preview", "params": {"job": 1, "step": 2}}),
        json.dumps({"method": "preview", "params": {"job": 1, "step": 2, "arrays": "colour"}}),
        json.dumps({"id": 1, "result": "x" * 2**20}),
    ],
)
def test_what_is_no_message_is_refused(frame):
    with pytest.raises(BadMessage):
        messages.decode(frame)


def test_messages_are_told_apart():
    assert messages.decode('{"jsonrpc": "2.0", "id": 3, "result": null}') == Answer(3)
    error = '{"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "No."}}'
    assert messages.decode(error) == Answer(None, error="No.")
    state = {"job": 1, "state": "done", "result": {"arrays": ["depth", "colour"]}}
    change = messages.decode(json.dumps({"jsonrpc": "2.0", "method": "job", "params": state}))
    assert isinstance(change, JobChange) and change.array_names == ["depth", "colour"]
    with pytest.raises(BadMessage):
        _ = JobChange({"result": {"arrays": [1]}}).array_names
    shown = {"job": 3, "step": 812, "seconds": 10.2, "arrays": ["colour"]}
    assert messages.decode(json.dumps({"method": "preview", "params": shown})) == Previewed(3, 812, ["colour"])


def test_a_piece_of_a_file_comes_with_its_answer():
    line = b'{"jsonrpc": "2.0", "id": 3, "result": {"size": 5}}\n'
    assert messages.decode(line + b"\n\0\xff") == Answer(3, {"size": 5}, piece=b"\n\0\xff")
    for broken in (line[:-1], b"{\n", b"{\xff}\n", b"[]\n", b'{"id": 1}\n', line + bytes(messages.MAX_PIECE + 1)):
        with pytest.raises(BadMessage):
            messages.decode(broken)


@pytest.mark.parametrize(("version", "side"), [(1, "engine"), (3, "add-on"), (None, "engine"), ("3", "engine")])
def test_the_side_to_update_is_the_older_one(version, side):
    assert messages.check_version({"protocol": messages.PROTOCOL}) is None
    assert f"update the {side}." in messages.check_version({"protocol": version})
