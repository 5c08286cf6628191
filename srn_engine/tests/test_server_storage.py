"""What a storage refuses: names and paths that lead elsewhere, and what is too much."""

import argparse
import json
import os
import random
from pathlib import Path

import pytest

from srn_engine.server import disk, serve
from srn_engine.server import storage as storages
from srn_engine.server.names import is_folder_name, is_inner_path
from srn_engine.tests.server_folders import known, manifest_of, missing, send
from srn_engine.tests.server_harness import (
    EngineProcess,
    engine_process,
    raw_client,
)


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
        assert missing(client, old) == {}, "its client counts on it from here on"
        assert client.refused("files.offer", files=[known(large)])["code"] == -32011 and path.exists()
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
    for path in (sent / "chair", sent / "Thumbs"):
        path.touch()
        os.utime(path, (0, 0))
    disk.clean([files], sent)
    assert (sent / "Thumbs").is_file(), "a file of the system's own is left"
    assert not list(tmp_path.rglob("*.*")) and not (files / "held").exists()


def test_what_was_listed_long_ago_goes_where_the_room_is_needed(tmp_path, monkeypatch):
    monkeypatch.setattr(storages, "MEASURE_EVERY", -1.0)
    storage, run = storages.Storage(tmp_path, limit=4), tmp_path / "runs" / "chair"
    run.mkdir()
    checkpoint = run / "checkpoint.safetensors"
    kept = []
    for content in (b"first", b"second"):
        (run / "new").write_bytes(content)
        os.replace(run / "new", checkpoint)
        kept += [tmp_path / "files" / file.sha256 for file in storage.list_files(run)]
    assert [path.read_bytes() for path in kept] == [b"first", b"second"], "they may be fetched for an hour"
    for path in kept:
        os.utime(path, (0, 0))
    storage.list_files(run)
    assert [path.exists() for path in kept] == [False, True]


def test_without_a_storage_nothing_can_be_sent():
    with engine_process() as engine, raw_client(engine.port) as client:
        error = client.refused("files.offer", files=[known(b"")])
        assert error["code"] == -32011 and "--storage" in error["message"]
        assert client.ask("hello", protocol=2, client="test")["storage"] is False


def test_other_machines_need_a_storage(tmp_path):
    engine = EngineProcess("--host", "0.0.0.0")
    status, log = engine.end()
    assert engine.ready is None and status == 1
    assert log.strip() == "Other machines reach 0.0.0.0: add --storage DIR, a folder for what they send."
    with engine_process("--host", "0.0.0.0", "--storage", str(tmp_path)) as engine:
        assert engine.ready["host"] == "0.0.0.0"
    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    for limit in ("0", "-1", "inf", "much"):
        with pytest.raises(SystemExit, match="2"):
            parser.parse_args(["--token-stdin", "--storage", str(tmp_path), f"--storage-limit={limit}"])
