"""Shards of a capture, one after the other, at the same time in several processes, and killed."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import bpy
import pytest

import srn_blender
from blender_tests.scenes import add_ball, emission, small_settings, start_capture
from srn_blender.capture.shards import WHOLE, Shard, parse_shard
from srn_blender.errors import UserError
from srn_blender.ui.capture_command import capture_shard, run
from srn_blender.ui.properties import settings_of

ROOT = Path(__file__).resolve().parents[1]
# Opens a file in a Blender of its own and runs the command there. Blender 4.2 as a module does not always end by
# itself.
CHILD = """
import os, sys
sys.path.insert(0, sys.argv[1])
import bpy, srn_blender
bpy.ops.wm.open_mainfile(filepath=sys.argv[2])
srn_blender.register()
from srn_blender.ui.capture_command import run
status = run(sys.argv[3:])
sys.stdout.flush()
os._exit(status)
"""


@pytest.fixture
def ball():
    return add_ball(bpy.context.scene, materials=[emission("M", (0.5, 0.2, 0.1))], segments=16)


@pytest.fixture
def saved(tmp_path: Path):
    """A file with two objects to capture, and the folder that it is captured into."""
    srn_blender.register()
    scene = bpy.context.scene
    for name, at in (("Left", -2.0), ("Right", 2.0)):
        add_ball(scene, 1.0, (at, 0, 0), name, [emission(name, (0.5, 0.2, 0.1))], 16).select_set(True)
    settings = settings_of(scene)
    settings.instances, settings.dataset_path = "objects", "//dataset"
    settings.train_views, settings.val_views, settings.test_views = 5, 1, 2
    settings.size, settings.samples = 16, 1
    file = tmp_path / "scene.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(file))
    yield file
    srn_blender.unregister()


def start(file: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, str(ROOT), str(file), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def poses_in(root: Path) -> list[Path]:
    return sorted(root.glob("capture_*/*/pose/*.txt"))


def require_whole(root: Path) -> None:
    manifest = json.loads((root / "dataset.json").read_text("utf-8"))
    assert all(split["planned"] == split["captured"] > 0 for split in manifest["splits"].values())
    assert not (root / ".partial").exists()
    for name in ("Left", "Right"):
        for split, count in (("train", 5), ("val", 1), ("test", 2)):
            frames = json.loads((root / name / f"transforms_{split}.json").read_text("utf-8"))["frames"]
            assert len(frames) == count
            for what in ("pose", *manifest["passes"]):
                assert len(list((root / f"capture_{split}" / name / what).iterdir())) == count


def test_shards_share_all_views_and_none_twice():
    for count in (1, 2, 3, 7, 30):
        parts = [Shard(number, count).part(range(20)) for number in range(1, count + 1)]
        assert [item for part in parts for item in part] == list(range(20))
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert parse_shard("") == WHOLE and parse_shard(" 2/4 ") == Shard(2, 4)
    for wrong in ("0/4", "5/4", "1", "a/b", "-1/2", "1/0"):
        with pytest.raises(UserError, match="such as 1/4"):
            parse_shard(wrong)


def test_shards_one_after_the_other_make_the_same_dataset(ball, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    list(start_capture([ball], small_settings(whole)))
    counts = []
    for number in (3, 1, 2, 4):
        items = list(start_capture([ball], small_settings(parts), shard=Shard(number, 4)))
        counts.append(items[-1].done)
        assert (items[-1].check is not None) == (number == 4), "checked once all are there"
    assert sorted(counts) == [1, 1, 2, 2]
    files = sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(parts) for path in parts.rglob("*") if path.is_file())
    assert all((whole / file).read_bytes() == (parts / file).read_bytes() for file in files)
    with pytest.raises(UserError, match="without shards"):
        list(start_capture([ball], small_settings(parts), shard=Shard(1, 2), anew=True))


def test_shards_in_several_processes_at_once(saved):
    running = [start(saved, "--shard", f"{number}/3") for number in (1, 2, 3)]
    for process in running:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    require_whole(saved.parent / "dataset")


def test_the_command_says_what_is_wrong(saved, capsys):
    assert run(["--shard", "7/3"]) == 1
    assert "such as 1/4" in capsys.readouterr().err
    assert run(["--scene", "Nowhere"]) == 1
    assert "none named 'Nowhere'" in capsys.readouterr().err
    assert run(["--shard", "1/8", "--dataset", str(saved.parent / "other")]) == 0
    assert "2 views are captured" in capsys.readouterr().out
    assert len(poses_in(saved.parent / "other")) == 2


def test_a_shard_from_a_script_and_from_the_operator(saved):
    assert "8 views are captured" in capture_shard(bpy.context.scene, 1, 2)
    root = saved.parent / "dataset"
    assert {path.parts[-3] for path in poses_in(root)} == {"Left"}
    assert bpy.ops.srn.capture_views(shard="2/2") == {"FINISHED"}
    require_whole(root)


def test_a_killed_capture_loses_nothing_and_leaves_nothing_half_written(saved):
    root, content = saved.parent / "dataset", saved.read_bytes()
    luck, kept = random.Random(5), {}
    for _ in range(3):
        process = start(saved)
        seen, deadline = len(poses_in(root)), time.monotonic() + 60
        while len(poses_in(root)) == seen and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(luck.uniform(0, 0.15))
        process.kill()
        process.communicate()
        now = {path: path.stat().st_mtime_ns for path in poses_in(root)}
        assert len(now) > seen or len(now) == 16
        assert all(now[path] == written for path, written in kept.items()), "no view is rendered twice"
        kept = now
    assert saved.read_bytes() == content
    process = start(saved)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    require_whole(root)
    assert all(path.stat().st_mtime_ns == written for path, written in kept.items())
