"""Kills a capture at random moments, many times, and counts what is lost.

Run it with a Python that has the bpy module: `.venv/bpy-4.5/bin/python scripts/bench/kill_captures.py`. Each capture
runs in a Blender of its own on the same file and is killed up to two seconds after its first view; the next one goes
on. When all views are there, the dataset is deleted and begun again. After each kill every view whose pose is there has
all its files, whole; none that was there before has been written again; and the file is as it was.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
VIEWS, SIZE = 60, 32
EXR_HEADER_END = b"screenWindowWidth\0float\0\x04\0\0\0\0\0\x80\x3f\0"  # then come the places of the blocks
BLOCKS = SIZE // 16
PASSES = {"rgb": "png", "rgba": "png", "depth": "exr", "normal": "exr", "semantic": "png"}


def prepare(file: Path) -> None:
    """Saves Blender's own first scene with a small capture chosen in it."""
    import bpy

    import srn_blender
    from srn_blender.ui.properties import settings_of

    bpy.ops.wm.read_factory_settings(use_empty=False)
    srn_blender.register()
    settings = settings_of(bpy.context.scene)
    settings.dataset_path = "//dataset"
    settings.train_views, settings.val_views, settings.test_views = VIEWS, 0, 0
    settings.size, settings.samples = SIZE, 2
    bpy.ops.wm.save_as_mainfile(filepath=str(file))


def run_capture(file: Path) -> None:
    import bpy

    import srn_blender
    from srn_blender.ui.capture_command import run

    bpy.ops.wm.open_mainfile(filepath=str(file))
    srn_blender.register()
    status = run([])
    sys.stdout.flush()
    os._exit(status)  # Blender 4.2 as a module does not always end by itself


def start(*arguments: str | Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, __file__, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def views_in(root: Path) -> dict[Path, int]:
    """The views that are there, by their poses, and when each was written."""
    return {pose: pose.stat().st_mtime_ns for pose in root.glob("capture_train/*/pose/*.txt")}


def wait_for_a_view(process: subprocess.Popen[bytes], root: Path, there: int) -> None:
    """Until there is one more than were there, or the capture has ended."""
    while process.poll() is None and len(views_in(root)) <= there:
        time.sleep(0.01)


def broken_files(root: Path, poses: dict[Path, int]) -> list[Path]:
    """Files of those views that are missing or cut short."""
    files = [pose.parents[1] / what / f"{pose.stem}.{end}" for pose in poses for what, end in PASSES.items()]
    return [file for file in files if not file.is_file() or not is_whole(file.read_bytes())]


def is_whole(data: bytes) -> bool:
    """Whether a PNG ends as one and its checksums hold, or an EXR holds all of its blocks."""
    if data.startswith(b"\x89PNG"):
        place = 8
        while place < len(data):
            length = int.from_bytes(data[place : place + 4], "big")
            chunk, said = data[place + 4 : place + 8 + length], data[place + 8 + length : place + 12 + length]
            if len(said) < 4 or zlib.crc32(chunk) != int.from_bytes(said, "big"):
                return False
            place += 12 + length
        return data.endswith(b"IEND\xaeB`\x82")
    table = data.find(EXR_HEADER_END) + len(EXR_HEADER_END)
    last = int.from_bytes(data[table + 8 * (BLOCKS - 1) : table + 8 * BLOCKS], "little")
    return last + 8 + int.from_bytes(data[last + 4 : last + 8], "little") == len(data)


def kill_often(folder: Path, kills: int, seed: int) -> dict[str, int]:
    """Counts over all kills."""
    luck, file, root = random.Random(seed), folder / "scene.blend", folder / "dataset"
    prepare(file)
    content = hashlib.sha256(file.read_bytes()).hexdigest()
    counts = dict.fromkeys(("kills", "during views", "lost", "half-written", "rendered twice", "file changed"), 0)
    kept: dict[Path, int] = {}
    while counts["kills"] < kills:
        process = start("--capture", file)
        wait_for_a_view(process, root, len(kept))
        time.sleep(luck.uniform(0, 2))
        ended = process.poll() is not None
        if ended and process.returncode != 0:
            raise RuntimeError("a capture failed on its own; run it with --capture to see why")
        process.kill()
        process.wait()
        now = views_in(root)
        counts["kills"] += not ended
        counts["during views"] += not ended and len(now) > len(kept)
        counts["lost"] += len(kept.keys() - now.keys())
        counts["half-written"] += len(broken_files(root, now))
        counts["rendered twice"] += sum(now.get(pose, written) != written for pose, written in kept.items())
        counts["file changed"] += hashlib.sha256(file.read_bytes()).hexdigest() != content
        kept = now
        print(f"{counts['kills']}: {len(now)} of {VIEWS} views", flush=True)
        if len(now) == VIEWS and ended:
            for path in sorted(root.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
            kept = {}
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--capture", type=Path, metavar="FILE", help="capture what is chosen in a file, and no more")
    options = parser.parse_args()
    if options.capture:
        run_capture(options.capture)
    with tempfile.TemporaryDirectory() as folder:
        counts = kill_often(Path(folder), options.kills, options.seed)
    print(", ".join(f"{what}: {count}" for what, count in counts.items()), flush=True)
    os._exit(int(any(counts[what] for what in ("lost", "half-written", "rendered twice", "file changed"))))


if __name__ == "__main__":
    sys.exit(main())
