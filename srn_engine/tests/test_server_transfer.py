"""Folders sent to an engine that has a storage, and fetched from it: real processes, real connections, a real disk."""

import hashlib
import json
import os
import random
from pathlib import Path

import jsonschema
import pytest
from websockets.exceptions import ConnectionClosed

from srn_engine.server import disk
from srn_engine.server.names import is_folder_name, is_inner_path
from srn_engine.server.protocol import MAX_PIECE
from srn_engine.tests.server_harness import (
    EVALUATE,
    HERE,
    RENDER,
    SCHEMA,
    EngineProcess,
    RawClient,
    engine_process,
    raw_client,
)

MANIFEST = jsonschema.Draft202012Validator(SCHEMA.schema | {"$ref": "#/$defs/manifest", "oneOf": [{}]})
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


def known(data: bytes) -> dict:
    return {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}


def manifest_of(files: dict[str, bytes]) -> bytes:
    entries = [{"path": path} | known(data) for path, data in files.items()]
    return json.dumps({"format": "srn-folder", "version": 1, "files": entries}).encode()


def send(client: RawClient, data: bytes, start: int = 0, end: int | None = None) -> None:
    """Sends a file's bytes from `start` to `end` in pieces, which the engine has to take."""
    end = len(data) if end is None else end
    for at in range(start, end, MAX_PIECE) or [0]:
        piece = data[at : min(end, at + MAX_PIECE)]
        assert client.send_piece(piece, **known(data), offset=at)["result"] == {"offset": at + len(piece)}


def missing(client: RawClient, *datas: bytes) -> dict[str, int]:
    answer = client.ask("files.offer", files=[known(data) for data in datas])
    return {file["sha256"]: file["offset"] for file in answer["missing"]}


def store(client: RawClient, name: str, files: dict[str, bytes]) -> str:
    manifest = manifest_of(files)
    MANIFEST.validate(json.loads(manifest))
    datas = {known(data)["sha256"]: data for data in (*files.values(), manifest)}
    for sha256, offset in missing(client, *datas.values()).items():
        send(client, datas[sha256], offset)
    return client.ask("folder.store", name=name, manifest=known(manifest)["sha256"])["folder"]


def test_a_folder_arrives_whole_and_costs_one_offer_the_next_time(client, storage):
    assert client.ask("hello", protocol=1, client="test")["storage"] is True
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


NAMES = [
    "",
    ".",
    "..",
    "../runs/chair",
    "a/b",
    "a\\b",
    ".hidden",
    "-x",
    "chair.",
    "con",
    "NUL.txt",
    "lpt¹",
    "é",
    "x" * 101,
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_leads_elsewhere_is_refused(client, name):
    for kind in ("sent", "runs", "files", ".."):
        assert client.refused("folder.list", folder=f"{kind}/{name}")["code"] == -32602
    digest = known(b"")["sha256"]
    assert client.refused("folder.store", name=name, manifest=digest)["code"] == -32602
    assert not is_folder_name(name)


PATHS = [
    "",
    "/etc/passwd",
    "../x",
    "a/../../x",
    "a//b",
    "a/./b",
    "a/",
    "C:/x",
    "C:x",
    "a\\b",
    "x:stream",
    "a\nb",
    "a\0b",
]
PATHS += ["aux", "a/COM1.png", "con .txt", "conin$", "a.", "a ", "a*", "\udc80", "é" * 200, "a/" * 16 + "b", "a/" * 600]


@pytest.mark.parametrize("path", PATHS)
def test_a_path_that_escapes_or_breaks_another_system_is_refused(client, storage, path):
    assert not is_inner_path(path)
    before = sorted(storage.parent.rglob("*"))
    manifest = manifest_of({"good.txt": b"", path: b""})
    for data in (b"", manifest):
        send(client, data)
    error = client.refused("folder.store", name="escape", manifest=known(manifest)["sha256"])
    assert error["code"] == -32011 and "no path inside a folder" in error["message"]
    assert not list(storage.glob("sent/escape*")) and len(sorted(storage.parent.rglob("*"))) <= len(before) + 2


@pytest.mark.parametrize("path", ["a", "a b/ü.png", "r.1/.hidden", "console", "com10", "aux_/x"])
def test_plain_paths_are_taken(path):
    assert is_inner_path(path)


@pytest.mark.parametrize("pair", [("a.png", "A.png"), ("a", "a/b"), ("a/b", "A"), ("same", "same")])
def test_paths_that_fall_on_one_another_are_refused(client, pair):
    entries = [{"path": path} | known(b"") for path in pair]
    manifest = json.dumps({"format": "srn-folder", "version": 1, "files": entries}).encode()
    for data in (b"", manifest):
        send(client, data)
    assert "rename one" in client.refused("folder.store", name="pair", manifest=known(manifest)["sha256"])["message"]


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        b"\xff",
        b'{"format": "srn-folder", "version": 1}',
        b'{"format": "srn-folder", "version": 1, "files": [{}]}',
        b'{"format": "srn-folder", "version": 1, "files": [{"path": "a", "size": -1, "sha256": ""}]}',
        b'{"format": "srn-folder", "version": 1, "files": [{"path": 1, "size": 1, "sha256": 1}]}',
        b'{"format": "srn-folder", "version": 2, "files": []}',
    ],
)
def test_a_manifest_that_is_none_is_a_sentence(client, manifest):
    send(client, manifest)
    error = client.refused("folder.store", name="none", manifest=known(manifest)["sha256"])
    assert error["code"] == -32011 and "manifest" in error["message"] + "a path of a manifest" * (
        "path" in error["message"]
    )


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
    with engine_process("--storage", str(tmp_path)) as second, raw_client(second.port) as client:
        offset = missing(client, data)[known(data)["sha256"]]
        assert offset == MAX_PIECE + 100
        send(client, data, offset)
        assert missing(client, data) == {}


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


@pytest.mark.skipif(os.name != "posix", reason="links that anybody may make")
def test_a_link_leads_nowhere(client, storage, tmp_path):
    (tmp_path / "secret").write_bytes(b"secret")
    (storage / "runs" / "link").symlink_to(tmp_path)
    assert client.refused("folder.list", folder="runs/link")["code"] == -32602
    (storage / "runs" / "real").mkdir()
    (storage / "runs" / "real" / "inner").symlink_to(tmp_path / "secret")
    assert client.ask("folder.list", folder="runs/real") == {"files": []}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_a_sentence(client, storage):
    data = b"too much"
    (storage / "parts" / known(data)["sha256"]).symlink_to("/dev/full")
    error = client.send_piece(data, **known(data), offset=0)["error"]
    assert error["code"] == -32011 and error["message"].startswith("The engine's disk is full")
    (storage / "parts" / known(data)["sha256"]).unlink()
    send(client, data)


def test_the_storage_has_a_limit_and_lets_go_what_nobody_holds(tmp_path):
    old, large = random.Random(7).randbytes(6 * 2**20), random.Random(8).randbytes(6 * 2**20)
    options = ("--storage", str(tmp_path), "--storage-limit", "0.01")  # GiB
    with engine_process(*options) as engine, raw_client(engine.port) as client:
        send(client, old)
        error = client.refused("files.offer", files=[known(large)])
        assert error["code"] == -32011 and "0.01 of 0.01 GiB" in error["message"] and "delete" in error["message"]

        path = tmp_path / "files" / known(old)["sha256"]
        long_ago = path.stat().st_mtime - disk.UNUSED_FILE - 1
        os.utime(path, (long_ago, long_ago))
        send(client, large)
        assert not path.exists() and missing(client, large) == {}


def test_a_folder_holds_its_files_until_it_was_not_used_for_long(tmp_path):
    files, sent = tmp_path / "files", tmp_path / "sent"
    (sent / "chair").mkdir(parents=True)
    files.mkdir()
    (files / "held").write_bytes(b"held")
    disk.link_or_copy(files / "held", sent / "chair" / "a.png")
    assert disk.measure(tmp_path) == 4, "linked, not copied"
    os.utime(files / "held", (0, 0))
    disk.clean([files], sent)
    assert (sent / "chair" / "a.png").read_bytes() == b"held" and (files / "held").exists()
    os.utime(sent / "chair", (0, 0))
    disk.clean([files], sent)
    assert not list(tmp_path.rglob("*.*")) and not (files / "held").exists()


def test_without_a_storage_nothing_can_be_sent():
    with engine_process() as engine, raw_client(engine.port) as client:
        error = client.refused("files.offer", files=[known(b"")])
        assert error["code"] == -32011 and "--storage" in error["message"]
        assert client.ask("hello", protocol=1, client="test")["storage"] is False


def test_other_machines_need_a_storage(tmp_path):
    engine = EngineProcess("--host", "0.0.0.0")
    status, log = engine.end()
    assert engine.ready is None and status == 1
    assert log.strip() == "Other machines reach 0.0.0.0: add --storage DIR, a folder for what they send."
    with engine_process("--host", "0.0.0.0", "--storage", str(tmp_path)) as engine:
        assert engine.ready["host"] == "0.0.0.0"
    without_room = EngineProcess("--storage", str(tmp_path), "--storage-limit=0")
    assert without_room.ready is None and without_room.end()[0] == 2
