"""Sending folders to an engine with a storage of its own, as on another computer: real sockets."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import jsonschema
import pytest

from blender_tests.engine_harness import (
    SCHEMA,
    connected,
    cutting_proxy,
    job_engine,
    poll_until,
)
from blender_tests.transfer_harness import Told, counted, dataset, files_of, sent, write
from srn_blender.engine import sending
from srn_blender.engine.contents import FRESH, Hashes, entries, manifest
from srn_blender.engine.engine import Engine
from srn_blender.engine.fetching import HostRun, fetch_run
from srn_blender.engine.messages import MAX_PIECE
from srn_blender.engine.sending import send_folder
from srn_blender.errors import UserError


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("storage")


@pytest.fixture(scope="module")
def other(storage: Path):
    with job_engine("--storage", str(storage)) as other:
        yield other


@pytest.fixture
def engine(other) -> Iterator[Engine]:
    with connected(other.port) as engine:
        yield engine


def test_a_folder_arrives_whole_and_only_what_is_missing_goes(other, storage: Path, tmp_path: Path) -> None:
    folder = dataset(tmp_path / "Stuhl (neu)", 1)
    write(folder, {".partial/000000.png": b"half", ".DS_Store": b""})
    with counted(other.port) as (port, pieces), connected(port) as engine:
        end, name = sent(engine, folder)
        hidden = {".partial/000000.png", ".DS_Store"}
        expected = {path: data for path, data in files_of(folder).items() if path not in hidden}
        assert end == "done" and files_of(storage / str(name)) == expected
        assert pieces() == 50 + 1 + 1 + 4 + 1, "small files, dataset.json, the empty one, the large one, the manifest"
        assert sent(engine, folder) == ("done", name)
        assert pieces() == 57, "nothing goes twice"
        write(folder, {"chair_train/chair/rgb/000050.png": b"one more"})
        end, again = sent(engine, folder)
        assert end == "done" and again != name and pieces() == 57 + 2, "the new file and the manifest"


def test_a_cut_connection_is_a_sentence_and_the_next_try_goes_on(other, storage: Path, tmp_path: Path) -> None:
    folder = dataset(tmp_path / "cut", 2, size=8 * MAX_PIECE)
    with cutting_proxy(other.port, after_sent=5 * MAX_PIECE, pause=0.002) as port, connected(port) as engine:
        end, sentence = sent(engine, folder)
    assert end == "failed" and str(sentence).startswith(f"The connection to 127.0.0.1:{port} broke off: try again")
    with counted(other.port) as (port, pieces), connected(port) as engine:
        end, name = sent(engine, folder)
        assert end == "done" and files_of(storage / str(name)) == files_of(folder)
        assert pieces() < 58, "what had come did not go again"


def test_cancelling_keeps_what_has_come(other, storage: Path, tmp_path: Path) -> None:
    folder = dataset(tmp_path / "cancelled", 3, size=10 * MAX_PIECE)
    with cutting_proxy(other.port, pause=0.01) as port, connected(port) as engine:
        told = Told()
        work = partial(send_folder, folder=folder, only=(), hashes=Hashes())
        transfer = engine.start_transfer(work, told.of_transfer())
        poll_until(engine, lambda: any("Sending" in news.message and news.fraction > 0.2 for news in told.progress))
        transfer.cancel()
        assert told.end(engine) == ("cancelled", None)
        transfer.join(10)
    assert "srn transfer" not in {thread.name for thread in threading.enumerate()}
    with counted(other.port) as (port, pieces), connected(port) as engine:
        end, name = sent(engine, folder)
        assert end == "done" and files_of(storage / str(name)) == files_of(folder)
        assert pieces() < 12, "the small files and the beginning of the large one did not go again"


def test_stopping_the_engine_ends_a_transfer(other, tmp_path: Path) -> None:
    folder = dataset(tmp_path / "stopped", 4, size=60 * MAX_PIECE)
    told = Told()
    with connected(other.port) as engine:
        engine.start_transfer(partial(send_folder, folder=folder, only=(), hashes=Hashes()), told.of_transfer())
        engine.close(20)
    assert told.ends == [("cancelled", None)]
    assert "srn transfer" not in {thread.name for thread in threading.enumerate()}


def test_two_send_the_same_at_the_same_time(other, storage: Path, tmp_path: Path) -> None:
    folder = dataset(tmp_path / "twice", 5, size=40 * MAX_PIECE)
    with connected(other.port) as one, connected(other.port) as two:
        told = [Told(), Told()]
        for engine, heard in zip((one, two), told, strict=True):
            work = partial(send_folder, folder=folder, only=(), hashes=Hashes())
            engine.start_transfer(work, heard.of_transfer())
        ends = [heard.end(engine) for engine, heard in zip((one, two), told, strict=True)]
    assert ends[0] == ends[1] and ends[0][0] == "done"
    assert files_of(storage / str(ends[0][1])) == files_of(folder)


def test_the_manifest_is_as_the_schema_says(tmp_path: Path) -> None:
    found = entries(dataset(tmp_path / "chair", 13))
    written = json.loads(manifest({entry: Hashes().of(entry, lambda count: None) for entry in found}))
    jsonschema.Draft202012Validator(SCHEMA.schema | {"$ref": "#/$defs/manifest", "oneOf": [{}]}).validate(written)
    assert written["files"][0]["path"] == "chair_train/chair/rgb/000000.png" and len(written["files"]) == 53


def test_a_file_that_changes_meanwhile_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path, {"a.png": b"as it was"})
    (entry,) = entries(folder)
    content = sending._Content(entry.size, entry)
    assert list(content.pieces(0)) == [(0, b"as it was")]
    (folder / "a.png").write_bytes(b"as it is now")
    with pytest.raises(UserError, match=r"a\.png changed while it was sent: wait"):
        list(content.pieces(0))


def test_hashes_are_remembered_while_a_file_stays_as_it_is(tmp_path: Path) -> None:
    folder = write(tmp_path, {"a.png": b"one"})
    old = time.time() - FRESH - 1
    os.utime(folder / "a.png", (old, old))
    hashes, looked = Hashes(), []
    first = hashes.of(entries(folder)[0], looked.append)
    (folder / "a.png").write_bytes(b"two")
    os.utime(folder / "a.png", (old, old))
    assert hashes.of(entries(folder)[0], looked.append) == first, "as far as anybody can see it is the same"
    (folder / "a.png").write_bytes(b"two")
    assert hashes.of(entries(folder)[0], looked.append) != first
    (folder / "a.png").write_bytes(b"six")
    assert looked == [3, 3, 3]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_there_is_a_sentence(engine: Engine, storage: Path, tmp_path: Path) -> None:
    folder = write(tmp_path / "full", {"a.png": b"no room"})
    (digest,) = [Hashes().of(entry, lambda count: None) for entry in entries(folder)]
    (storage / "parts" / digest).symlink_to("/dev/full")
    end, sentence = sent(engine, folder)
    assert end == "failed" and str(sentence).startswith("The engine's disk is full: free some space there")
    (storage / "parts" / digest).unlink()
    assert sent(engine, folder)[0] == "done"


def test_a_name_that_another_system_cannot_have_is_a_sentence(engine: Engine, tmp_path: Path) -> None:
    if os.name == "nt":
        pytest.skip("needs a disk that takes such names")
    end, sentence = sent(engine, write(tmp_path / "named", {"a:b.png": b""}))
    assert end == "failed" and "'a:b.png' is no path inside a folder that works on every system" in str(sentence)
    with pytest.raises(UserError, match="holds no files"):
        entries(tmp_path / "nothing")


def test_the_main_thread_has_next_to_nothing_to_do(engine: Engine, tmp_path: Path) -> None:
    source = random.Random(11)
    folder = write(tmp_path / "many", {f"rgb/{number:06d}.png": source.randbytes(2000) for number in range(2000)})
    told = Told()
    slowest = began = time.thread_time()
    engine.start_transfer(partial(send_folder, folder=folder, only=(), hashes=Hashes()), told.of_transfer())
    slowest = time.thread_time() - began
    while not told.ends:
        began = time.thread_time()
        engine.poll()
        slowest = max(slowest, time.thread_time() - began)
        time.sleep(0.001)
    assert told.ends[0][0] == "done" and slowest < 0.05


def test_an_answer_that_breaks_the_protocol_is_a_sentence(tmp_path: Path) -> None:
    code = (
        "from srn_engine.server import storage\n"
        "storage.Storage.offer = lambda self, files: {storage.SentFile('f' * 64, 1): 0}\n"
        "storage.Storage.list_files = lambda self, folder: []"
    )
    with job_engine("--storage", str(tmp_path / "storage"), code=code) as odd, connected(odd.port) as engine:
        end, sentence = sent(engine, write(tmp_path / "folder", {"a": b"a"}))
        assert end == "failed" and "broke the protocol" in str(sentence)
        HostRun.begin(tmp_path / "run")
        told = Told()
        engine.start_transfer(partial(fetch_run, folder=tmp_path / "run"), told.of_transfer())
        assert told.end(engine)[0] == "failed" and "has learned nothing yet" in str(told.ends[0][1])
