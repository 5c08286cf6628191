"""Captures a folder of chairs as two datasets of many instances: OUT/chairs to train on, OUT/chairs_new held out.

Run it with a Python that has the bpy module: `.venv/bpy-4.5/bin/python scripts/bench/chairs.py OUT`. The folder holds
a `chairs.json` with, for each chair, its id, its OBJ (y up), the turn that lets it face the way the others face, which
material is which part, and what is odd about it. Every chair stands alone in the demo's light, in the unit sphere,
seen from the same cameras. Classes: background, seat, frame, where the parts are known; a chair whose parts are not
known has no semantic/ folder. The held-out chairs are drawn by a seed from those with known parts and nothing odd.

A texture that `chairs.json` says was never shipped is unlinked, and the material keeps its plain colour; anything else
that is wrong with a chair ends the command with an error. What an interrupted command captured is not captured again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

import bpy  # noqa: E402
import numpy as np  # noqa: E402
from _demo.model import import_model  # noqa: E402
from mathutils import Matrix  # noqa: E402

from srn_blender.capture.instance import Instance  # noqa: E402
from srn_blender.capture.passes import load_pixels  # noqa: E402
from srn_blender.capture.png import encode_png  # noqa: E402
from srn_blender.capture.session import capture  # noqa: E402
from srn_blender.capture.settings import CaptureSettings  # noqa: E402

HELD_OUT, HELD_OUT_SEED = 12, 2019
TRAIN_VIEWS, TEST_VIEWS, SIZE, SAMPLES, RIG_SEED = 24, 8, 64, 32, 0
SPLITS = {"train": TRAIN_VIEWS, "val": 0, "test": TEST_VIEWS}
CLASSES = [
    {"id": 0, "name": "background", "colour": [0.0, 0.0, 0.0]},
    {"id": 1, "name": "seat", "colour": [0.95, 0.55, 0.15]},
    {"id": 2, "name": "frame", "colour": [0.2, 0.45, 0.85]},
]
PART_IDS = {"seat": 1, "frame": 2}
Y_UP_TO_Z_UP = Matrix(((1, 0, 0, 0), (0, 0, -1, 0), (0, 1, 0, 0), (0, 0, 0, 1)))  # what the OBJ importer does


class BenchError(Exception):
    """The chairs cannot be captured; the message is one sentence that says why."""


@dataclass(frozen=True)
class Chair:
    """One entry of chairs.json. `turn`: 3x3 in y-up axes, rows first, or None; `parts`: material -> part, or None."""

    id: str
    obj: Path
    turn: list[float] | None
    parts: dict[str, str] | None
    missing_textures: tuple[str, ...]
    note: str

    @property
    def may_be_held_out(self) -> bool:
        return self.parts is not None and not self.missing_textures and not self.note


def read_chairs(folder: Path) -> list[Chair]:
    """The chairs of a folder, by id. Raises BenchError where there are none."""
    if not (folder / "chairs.json").is_file():
        raise BenchError(f"{folder} holds no chairs.json: name the folder of the chairs with --folder.")
    entries = json.loads((folder / "chairs.json").read_text("utf-8"))
    chairs = [
        Chair(
            id=entry["id"],
            obj=folder / entry["obj"],
            turn=entry["model_rotation_yup"],
            parts=entry["parts"],
            missing_textures=tuple(entry["missing_textures"]),
            note=entry["note"],
        )
        for entry in entries
    ]
    return sorted(chairs, key=lambda chair: chair.id)


def divide(chairs: list[Chair]) -> dict[str, list[Chair]]:
    """Dataset's name -> its chairs."""
    held_out = random.Random(HELD_OUT_SEED).sample([chair for chair in chairs if chair.may_be_held_out], HELD_OUT)
    return {"chairs": [chair for chair in chairs if chair not in held_out], "chairs_new": held_out}


def capture_chair(chair: Chair, name: str, root: Path) -> None:
    """Captures one chair into a dataset of its own, `root`."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.data.scenes[0]
    scene.render.threads_mode, scene.render.threads = "FIXED", 1  # the processes share the cores
    scene.cycles.use_denoising = True
    collection = import_model(scene, chair.obj)
    _turn(collection, chair)
    _unlink_missing(chair)
    settings = CaptureSettings(
        root,
        name=name,
        rig="sphere",
        train_views=TRAIN_VIEWS,
        val_views=0,
        test_views=TEST_VIEWS,
        size=SIZE,
        samples=SAMPLES,
        seed=RIG_SEED,
        labels="material" if chair.parts else "none",
    )
    for _ in capture(scene, [Instance(chair.id, chair.id, list(collection.objects))], settings):
        pass


def _turn(collection: bpy.types.Collection, chair: Chair) -> None:
    """Turns the chair as it would have been turned before the importer made its y axis the z axis."""
    if chair.turn is None:
        return
    turn = Matrix(np.reshape(chair.turn, (3, 3)).tolist()).to_4x4()
    for member in collection.objects:
        if member.parent is None:
            member.matrix_world = Y_UP_TO_Z_UP @ turn @ Y_UP_TO_Z_UP.inverted() @ member.matrix_world
    bpy.context.view_layer.update()


def _unlink_missing(chair: Chair) -> None:
    for material in bpy.data.materials:
        if material.node_tree is None:
            continue
        for node in list(material.node_tree.nodes):
            if node.type == "TEX_IMAGE" and node.image and Path(node.image.filepath).name in chair.missing_textures:
                print(f"{chair.id}: {material.name} goes without {Path(node.image.filepath).name}", flush=True)
                material.node_tree.nodes.remove(node)


def is_whole(root: Path, name: str, chair: Chair) -> bool:
    """Whether a chair's own dataset holds every view."""
    folders = {split: root / f"{name}_{split}" / chair.id / "pose" for split in SPLITS}
    return all(len(list(folders[split].glob("*.txt"))) == count for split, count in SPLITS.items())


def merge(root: Path, name: str, chairs: list[Chair], singles: Path) -> None:
    """Makes one dataset of those of the single chairs; dataset.json comes last and says that it is whole."""
    manifests = [json.loads((singles / chair.id / "dataset.json").read_text("utf-8")) for chair in chairs]
    for chair, manifest in zip(chairs, manifests, strict=True):
        for split in SPLITS:
            source = singles / chair.id / f"{name}_{split}" / chair.id
            target = root / f"{name}_{split}" / chair.id
            if source.is_dir():
                shutil.copytree(source, target, dirs_exist_ok=True)
                _number_parts(source / "semantic", target / "semantic", manifest["classes"], chair)
                _copy_transforms(singles / chair.id, root / chair.id, split)
    _require_same_poses(root, name, chairs)
    fingerprints = [manifest["fingerprint"] for manifest in manifests]
    merged: dict[str, Any] = {
        **manifests[0],
        "splits": {split: dict.fromkeys(("planned", "captured"), n * len(chairs)) for split, n in SPLITS.items()},
        "passes": ["rgb", "rgba", "depth", "normal", "semantic"],
        "classes": CLASSES,
        "instances": [manifest["instances"][0] for manifest in manifests],
        "fingerprint": {"chairs": hashlib.sha256(json.dumps(fingerprints).encode()).hexdigest()[:32]},
    }
    (root / "dataset.json").write_text(json.dumps(merged, indent=1), "utf-8")


def _number_parts(source: Path, target: Path, classes: list[dict[str, Any]], chair: Chair) -> None:
    """Writes label pictures with a class for each part where there was one for each material."""
    if chair.parts is None:
        return
    names = [entry["name"] for entry in classes[1:]]
    if set(names) - set(chair.parts):
        raise BenchError(f"{chair.id}: no part is known for {', '.join(sorted(set(names) - set(chair.parts)))}.")
    part = np.array([0, *(PART_IDS[chair.parts[name]] for name in names)], np.uint8)
    for path in sorted(source.glob("*.png")):
        materials = np.rint(load_pixels(path)[..., :1] * 255).astype(np.uint8)
        (target / path.name).write_bytes(encode_png(part[materials]))


def _copy_transforms(source: Path, target: Path, split: str) -> None:
    """A transforms file for one of several instances stands a folder deeper than for a single one."""
    target.mkdir(exist_ok=True)
    data = json.loads((source / f"transforms_{split}.json").read_text("utf-8"))
    for frame in data["frames"]:
        frame["file_path"] = f"../{frame['file_path']}"
    (target / f"transforms_{split}.json").write_text(json.dumps(data, indent=1), "utf-8")


def _require_same_poses(root: Path, name: str, chairs: list[Chair]) -> None:
    for split, count in SPLITS.items():
        for index in range(count):
            paths = [root / f"{name}_{split}" / chair.id / "pose" / f"{index:06d}.txt" for chair in chairs]
            poses = np.array([np.loadtxt(path) for path in paths])
            if np.abs(poses - poses[0]).max() > 1e-9:
                raise BenchError(f"View {index} of {name}_{split} has another pose in one chair than in the others.")


def capture_all(options: argparse.Namespace, sets: dict[str, list[Chair]], singles: Path) -> list[str]:
    """Captures what is missing, each chair in a Blender of its own; returns the ids of those that failed."""
    chairs = [chair for name, group in sets.items() for chair in group if not is_whole(singles / chair.id, name, chair)]

    def start(chair: Chair) -> int:
        command = [sys.executable, __file__, str(options.out), "--folder", str(options.folder), "--chair", chair.id]
        with open(singles / f"{chair.id}.log", "w", encoding="utf-8") as log:
            return subprocess.run(command, stdout=log, stderr=log, check=False).returncode

    failed = []
    with ThreadPoolExecutor(options.jobs) as pool:
        for done, (chair, status) in enumerate(zip(chairs, pool.map(start, chairs), strict=True), 1):
            print(f"[{done}/{len(chairs)}] {chair.id}{' failed' if status else ''}", flush=True)
            if status:
                failed.append(chair.id)
    return failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="where the two datasets come to stand")
    parser.add_argument("--folder", type=Path, default=ROOT.parent / "shared" / "data" / "chairs")
    parser.add_argument("--jobs", type=int, default=2, help="chairs that render at the same time (default 2)")
    parser.add_argument("--chair", help="capture this one and merge nothing")
    options = parser.parse_args()
    try:
        return run(options)
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1


def run(options: argparse.Namespace) -> int:
    sets = divide(read_chairs(options.folder))
    if all((options.out / name / "dataset.json").is_file() for name in sets):
        return 0
    singles = options.out / ".single"
    singles.mkdir(parents=True, exist_ok=True)
    if options.chair:
        name, chair = next((name, it) for name, group in sets.items() for it in group if it.id == options.chair)
        capture_chair(chair, name, singles / chair.id)
        return 0
    failed = capture_all(options, sets, singles)
    if failed:
        print(f"Could not capture {', '.join(failed)}; {singles} holds a log of each.", file=sys.stderr)
        return 1
    for name, chairs in sets.items():
        merge(options.out / name, name, chairs, singles)
        print(f"{options.out / name}: {len(chairs)} chairs", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
