"""Folders sent to an engine that has a storage, and fetched from it: real processes, real connections, a real disk."""

import json
import os
import random
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from srn_engine.server.protocol import MAX_PIECE
from srn_engine.tests.server_folders import MANIFEST, known, manifest_of, missing, send
from srn_engine.tests.server_harness import (
    EVALUATE,
    HERE,
    RENDER,
    EngineProcess,
    RawClient,
    engine_process,
    raw_client,
)

FILES = {
    "dataset.json": b"{}",
    "chair_train/chair/rgb/000000.png": b"picture" * 1000,
    "chair_train/chair/rgb/000001.png": b"picture" * 1000,
    "chair_train/chair/empty.txt": b"",
    "chair_train/chair/depth/000000.exr": random.Random(1).randbytes(3 * MAX_PIECE + 5),
}


@pytest.fixture(scope="module")
def storage(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("storage")


@pytest.fixture(scope="module")
def engine(storage):
    with engine_process("--storage", str(storage)) as engine:
        yield engine


@pytest.fixture
def client(engine):
    with raw_client(engine.port) as client:
        yield client


def store(client: RawClient, name: str, files: dict[str, bytes]) -> str:
    manifest = manifest_of(files)
    MANIFEST.validate(json.loads(manifest))
    datas = {known(data)["sha256"]: data for data in (*files.values(), manifest)}
    for sha256, offset in missing(client, *datas.values()).items():
        send(client, datas[sha256], offset)
    return client.ask("folder.store", name=name, manifest=known(manifest)["sha256"])["folder"]


def test_a_folder_arrives_whole_and_costs_one_offer_the_next_time(client, storage):
    assert client.ask("hello", protocol=2, client="test")["storage"] is True
    assert len(missing(client, *FILES.values())) == 4, "two files are the same"
    name = store(client, "chair", FILES)
    folder = storage / name
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert found == FILES and name.startswith("sent/chair-")
    assert missing(client, *FILES.values(), manifest_of(FILES)) == {}
    assert store(client, "chair", FILES) == name
    more = FILES | {"chair_train/chair/rgb/000002.png": b"one more"}
    assert list(missing(client, *more.values())) == [known(b"one more")["sha256"]], "only what is missing there"
    assert store(client, "chair", more) != name
    assert not list(storage.glob("sent/.*")) and not list(storage.glob("parts/*"))


def test_the_longest_name_is_cut_so_that_the_folder_can_be_used(client):
    assert len(client.ask("folder.list", folder=store(client, "x" * 100, {"here": b"here"}))["files"]) == 1


def test_jobs_take_names_and_no_paths(client, storage):
    dataset = store(client, "chair", FILES)
    done = client.until(client.job("train", dataset=dataset, run="runs/chair"), "done", "failed")
    assert done["result"]["run"] == str(storage / "runs" / "chair")
    for method, params in (
        ("train", {"dataset": HERE, "run": "runs/chair"}),
        ("train", {"dataset": dataset, "run": HERE}),
        ("train", {"dataset": dataset, "run": dataset}),
        ("render", RENDER),
        ("evaluate", EVALUATE),
        ("evaluate", {"run": "runs/chair", "dataset": dataset, "split": "test", "report": dataset}),
        ("folder.list", {"folder": HERE}),
    ):
        error = client.refused(method, **params)
        assert error["code"] == -32602 and error["message"].endswith((" runs/chair.", " sent/chair or runs/chair."))


def test_a_folder_waits_for_all_its_files(client, storage):
    manifest = manifest_of({"here": b"here", "not yet": b"not yet"})
    for data in (b"here", manifest):
        send(client, data)
    error = client.refused("folder.store", name="partial", manifest=known(manifest)["sha256"])
    assert error["message"].startswith("not yet has not come") and not list(storage.glob("sent/*partial*"))
    assert "has no file" in client.refused("folder.store", name="partial", manifest="0" * 64)["message"]


def test_sending_goes_on_after_the_connection_and_the_engine_were_lost(tmp_path):
    data = random.Random(2).randbytes(2 * MAX_PIECE + 7)
    first = EngineProcess("--storage", str(tmp_path))
    with raw_client(first.port) as client:
        send(client, data, 0, MAX_PIECE)
    with raw_client(first.port) as client:
        assert missing(client, data) == {known(data)["sha256"]: MAX_PIECE}
        send(client, data, MAX_PIECE, MAX_PIECE + 100)
    first.kill()
    (tmp_path / "sent" / ".DS_Store").write_bytes(b"macOS leaves it wherever somebody looks")
    damaged = tmp_path / "files" / known(b"whole")["sha256"]
    damaged.write_bytes(b"\0" * 5)  # as a power cut can leave it
    for name, part in ((b"complete", b"complete"), (b"zeroed", b"\0" * 6)):  # the engine ended before it looked at them
        (tmp_path / "parts" / known(name)["sha256"]).write_bytes(part)
    with engine_process("--storage", str(tmp_path)) as second, raw_client(second.port) as client:
        offset = missing(client, data)[known(data)["sha256"]]
        assert offset == MAX_PIECE + 100
        send(client, data, offset)
        assert missing(client, data) == {} and missing(client, b"whole") == {damaged.name: 0}
        assert missing(client, b"complete", b"zeroed") == {known(b"zeroed")["sha256"]: 0}


def test_a_file_that_is_another_than_announced_begins_anew(client):
    data = b"as it was hashed"
    error = client.send_piece(b"as it is now....", **known(data), offset=0)["error"]
    assert error["code"] == -32011 and "changed" in error["message"]
    assert missing(client, data) == {known(data)["sha256"]: 0}
    send(client, data)
    assert missing(client, data) == {}


def test_two_clients_can_send_the_same_file_at_the_same_time(engine, client):
    data = random.Random(3).randbytes(4 * MAX_PIECE)
    about = known(data)
    with raw_client(engine.port) as other:
        there = {client: 0, other: 0}
        source = random.Random(4)
        while set(there.values()) != {len(data)}:
            sender = source.choice([client, other])
            at = there[sender]
            there[sender] = sender.send_piece(data[at : at + MAX_PIECE], **about, offset=at)["result"]["offset"]
    assert missing(client, data) == {}


def test_pieces_that_do_not_fit_are_refused(client):
    about = known(b"12345678")
    assert client.send_piece(b"123", **about, offset=6)["error"]["code"] == -32602
    assert client.send_piece(b"5678", **about, offset=4)["result"] == {"offset": 0}, "nothing has come before it"
    for change in ({"offset": 9}, {"offset": -1}, {"size": -1}, {"sha256": "A" * 64}, {"sha256": "../../etc"}):
        params = about | {"offset": 0} | change
        frame = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "files.send", "params": params}).encode() + b"\n"
        assert client.raw(frame)["error"]["code"] == -32602
    assert client.refused("files.send", **about, offset=0)["code"] == -32600, "in a text frame"
    assert client.raw(b'{"jsonrpc": "2.0", "id": 1, "method": "jobs"}\n')["error"]["code"] == -32600
    assert client.raw(b"\n\n")["error"]["code"] == -32700
    assert client.refused("files.offer", files=[])["code"] == -32602
    assert client.refused("files.offer", files=[about] * 4097)["code"] == -32602
    assert client.refused("files.fetch", sha256="0" * 64, offset=0)["code"] == -32011
    with pytest.raises(ConnectionClosed):
        client.raw(b"x" * (2**20 + 1))


def test_random_binary_frames_do_not_stop_the_engine(engine):
    source, about = random.Random(5), known(b"12345678")
    good = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "files.send", "params": about | {"offset": 0}}).encode()
    with raw_client(engine.port) as client:
        for _ in range(200):
            frame = bytearray(good + b"\n1234")
            for _ in range(source.randrange(1, 5)):
                frame[source.randrange(len(frame))] = source.randrange(256)
            client.raw(bytes(frame))
        client.ask("jobs")


def test_a_run_is_fetched_as_it_was_when_it_was_listed(client, storage):
    run = storage / "runs" / "fetched"
    run.mkdir()
    weights = random.Random(6).randbytes(2 * MAX_PIECE + 11)
    (run / "checkpoint.safetensors").write_bytes(weights)
    (run / "metrics.jsonl").write_bytes(b'{"step": 1}\n')
    (run / "checkpoint.part").write_bytes(b"half")
    (run / "training-9.safetensors").write_bytes(b"what only the engine needs")
    (run / "previous").mkdir()
    listed = client.ask("folder.list", folder="runs/fetched")["files"]
    assert [file["path"] for file in listed] == ["checkpoint.safetensors", "metrics.jsonl"]
    (run / "new").write_bytes(b"the next checkpoint")  # a training goes on meanwhile
    os.replace(run / "new", run / "checkpoint.safetensors")
    with (run / "metrics.jsonl").open("ab") as metrics:
        metrics.write(b'{"step": 2}\n')
    fetched = {}
    for file in listed:
        data = b""
        while len(data) < file["size"]:
            result, piece = client.fetch_piece(sha256=file["sha256"], offset=len(data))
            assert result == {"size": file["size"]} and 0 < len(piece) <= MAX_PIECE
            data += piece
        fetched[file["path"]] = data
    assert fetched == {"checkpoint.safetensors": weights, "metrics.jsonl": b'{"step": 1}\n'}
    assert missing(client, weights) == {}, "what was trained there need not be sent there"
    assert "train it first" in client.refused("folder.list", folder="runs/none")["message"]
