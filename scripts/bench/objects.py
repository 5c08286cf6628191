"""Captures the single objects of the table: 50 train, 6 val and 20 test views each, to OUT/<name>_<size>.

Run it with a Python that has the bpy module: `.venv/bpy-4.5/bin/python scripts/bench/objects.py OUT`. The light is a
hard sun from straight above, as in scripts/bench/capture.py, and a modest grey sky so that no side is black: the
figures that the table's bars come from were made under a hard sun, which is harder to learn than the demo's soft one.
`glossy` is a chair with thin spindles, its wood lacquered here: none of the models brings gloss of its own, as their
materials have an index of refraction of 1.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

import bpy  # noqa: E402
from _demo.model import import_model  # noqa: E402

from srn_blender.capture.instance import Instance  # noqa: E402
from srn_blender.capture.session import capture  # noqa: E402
from srn_blender.capture.settings import CaptureSettings  # noqa: E402

SUN_ENERGY, SKY_STRENGTH = 3.0, 0.3
SAMPLES, VAL_VIEWS = 64, 6
LARGE = 800


@dataclass(frozen=True)
class Subject:
    """A model, its path inside the folder of models; lacquered: whether it is made glossy; labels: as for a capture."""

    model: str
    sizes: tuple[int, ...] = (128,)
    lacquered: bool = False
    labels: str = "none"


SUBJECTS = {
    "spot": Subject("spot/cow.obj", sizes=(128, 64)),
    "car": Subject("cars/sedan.glb", labels="object"),
    "chair": Subject("chairs/Scopia__rattanArmchair/rattanArmchair.obj", labels="material"),
    "glossy": Subject("chairs/BlendSwap-CC-0__oakChair/oakChair.obj", lacquered=True),
}


def capture_subject(name: str, subject: Subject, size: int, models: Path, out: Path) -> None:
    """Captures one object at one size into `out`/<name>_<size>; what is already there is not captured again."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.data.scenes[0]
    _light(scene)
    scene.cycles.use_denoising = True
    collection = import_model(scene, models / subject.model)  # which adds no light where there is one
    if subject.lacquered:
        _lacquer(collection)
    settings = CaptureSettings(
        out / f"{name}_{size}", name=name, val_views=VAL_VIEWS, size=size, samples=SAMPLES, labels=subject.labels
    )
    for _ in capture(scene, [Instance(name, name, list(collection.objects))], settings):
        pass


def _light(scene: bpy.types.Scene) -> None:
    sun = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN"))
    sun.data.energy = SUN_ENERGY
    scene.collection.objects.link(sun)
    scene.world = bpy.data.worlds.new("Sky")
    scene.world.use_nodes = True
    background = next(node for node in scene.world.node_tree.nodes if node.type == "BACKGROUND")
    background.inputs["Color"].default_value = (1.0, 1.0, 1.0, 1.0)
    background.inputs["Strength"].default_value = SKY_STRENGTH


def _lacquer(collection: bpy.types.Collection) -> None:
    for material in {slot.material for member in collection.all_objects for slot in member.material_slots}:
        surface = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
        surface.inputs["IOR"].default_value = 1.5
        surface.inputs["Specular IOR Level"].default_value = 0.5
        surface.inputs["Roughness"].default_value = 0.15
        surface.inputs["Coat Weight"].default_value = 1.0


def is_whole(dataset: Path) -> bool:
    """Whether a dataset holds every view that it was to hold."""
    manifest = dataset / "dataset.json"
    if not manifest.is_file():
        return False
    splits = json.loads(manifest.read_text("utf-8"))["splits"].values()
    return all(split["captured"] == split["planned"] for split in splits)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="where the datasets come to stand")
    parser.add_argument("--models", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--large", action="store_true", help=f"spot at {LARGE} px too, which only a GPU has a use for")
    parser.add_argument("--only", choices=sorted(SUBJECTS), help="this object, in this process")
    options = parser.parse_args()
    sizes = {name: subject.sizes for name, subject in SUBJECTS.items()}
    if options.large:
        sizes["spot"] += (LARGE,)
    if options.only:
        for size in sizes[options.only]:
            capture_subject(options.only, SUBJECTS[options.only], size, options.models, options.out)
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    for name in SUBJECTS:  # each in a Blender of its own, whose many lines go to a file
        if all(is_whole(options.out / f"{name}_{size}") for size in sizes[name]):
            continue
        command = [sys.executable, __file__, str(options.out), "--models", str(options.models), "--only", name]
        command += ["--large"] if options.large else []
        with open(options.out / f"{name}.log", "w", encoding="utf-8") as log:
            status = subprocess.run(command, stdout=log, stderr=log, check=False).returncode
        if status != 0:
            print(f"Could not capture {name}; {options.out / name}.log says why.", file=sys.stderr)
            return 1
        print(name, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
