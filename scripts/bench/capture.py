"""How much slower a capture is than Cycles' own renders of the same views, and than BlenderProc.

Run it with a Python that has the bpy module: `.venv/bpy-4.2/bin/python scripts/bench/capture.py MODEL`. A capture with
all its passes and files and plain renders to a PNG file take turns in one process: the same cameras, samples, size and
denoising, the data kept between views. With `--blenderproc` a second process waits beside it that renders the views of
each turn in one go, as BlenderProc does, and writes colour, depth, normals and labels to its .hdf5 files. All may use
all threads. The first turn builds the scenes and does not count, nor does the first view of a turn in the process of
two: Blender evaluates a scene anew after it has rendered another one.

BlenderProc needs an environment of its own, with the same Blender: `python3.11 -m venv FOLDER`, then
`FOLDER/bin/pip install blenderproc==2.8.0 bpy==4.2.23 numpy==1.26.4 opencv-contrib-python==4.10.0.82 gitpython imageio
pypng rich scikit-image scipy trimesh`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

import bpy  # noqa: E402
import numpy as np  # noqa: E402
from bench.blenderproc_beside import SETUP, BlenderProc  # noqa: E402

from srn_blender.capture.camera import flip_axes  # noqa: E402
from srn_blender.capture.instance import Instance  # noqa: E402
from srn_blender.capture.rigs import plan_rig  # noqa: E402
from srn_blender.capture.session import capture  # noqa: E402
from srn_blender.capture.settings import CaptureSettings  # noqa: E402
from srn_blender.capture.studio import Studio, open_studio  # noqa: E402


def load(model: Path) -> list[bpy.types.Object]:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    if model.suffix == ".obj":
        bpy.ops.wm.obj_import(filepath=str(model))
    else:
        bpy.ops.import_scene.gltf(filepath=str(model))
    scene, objects = bpy.context.scene, list(bpy.context.scene.objects)
    sun = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN"))
    sun.data.energy = 3
    scene.collection.objects.link(sun)
    scene.world = bpy.data.worlds.new("World")
    scene.render.engine = "CYCLES"
    return objects


def plain_render(studio: Studio, pose: np.ndarray, folder: Path) -> None:
    """What a user would do: move the camera, render, save the picture."""
    studio.place_camera(pose)
    studio.scene.render.image_settings.compression = 15  # Blender's own default
    studio.scene.render.filepath = str(folder / "plain.png")
    bpy.ops.render.render(scene=studio.scene.name, write_still=True)


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="an .obj or .glb file")
    parser.add_argument("--views", type=int, default=20, help="of each turn")
    parser.add_argument("--turns", type=int, default=4, help="the first does not count")
    parser.add_argument("--size", type=int, default=CaptureSettings.size)
    parser.add_argument("--samples", type=int, default=CaptureSettings.samples)
    parser.add_argument("--blenderproc", type=Path, metavar="PYTHON", help="a Python that has blenderproc")
    return parser.parse_args()


def measure(options: argparse.Namespace, folder: Path, stack: ExitStack) -> dict[str, list[float]]:
    """Seconds a view of each turn that counts, by what rendered it."""
    views, total = options.views, options.views * options.turns
    objects, scene = load(options.model), bpy.context.scene
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "scene.blend"), copy=True)
    settings = CaptureSettings(folder / "set", size=options.size, samples=options.samples, train_views=total)
    instance = Instance("it", "it", objects)
    plain = stack.enter_context(open_studio(scene, replace(settings, labels="none", passes=())))
    for _ in plain.show(instance):
        pass
    rig = plan_rig(scene, settings, plain.centre, plain.scale)
    plain.use_lens(rig.camera)
    plain.scene.render.use_compositing = False
    poses = rig.poses["train"]
    theirs = None
    if options.blenderproc:
        placed = np.array([flip_axes(pose) for pose in poses])
        placed[:, :3, 3] = placed[:, :3, 3] * plain.scale + plain.centre
        theirs = BlenderProc(options.blenderproc, folder, placed, settings)
        stack.callback(theirs.close)
        print(f"BlenderProc {theirs.about['blenderproc']}", end=", ")
    spent: dict[str, list[float]] = {"capture": [], "BlenderProc": [], "Cycles alone": []}
    steps = capture(scene, [instance], settings)
    stack.callback(steps.close)
    for first in range(0, total, views):
        ours = [timed(lambda: next(steps)) for _ in range(views)]
        cycles = [timed(partial(plain_render, plain, pose, folder)) for pose in poses[first : first + views]]
        spent["capture"].append(statistics.mean(ours[1:]))
        spent["Cycles alone"].append(statistics.mean(cycles[1:]))
        if theirs:
            spent["BlenderProc"].append(timed(partial(theirs.render, first, first + views)) / views)
    return {kind: turns[1:] for kind, turns in spent.items() if turns}


def main() -> None:
    options = arguments()
    if min(options.turns, options.views) < 2:
        sys.exit("Give 2 or more turns and views: the first of each does not count.")
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        spent = measure(options, Path(name), stack)
    print(
        f"Blender {bpy.app.version_string}, {os.cpu_count()} threads, {options.size} px, {options.samples} samples,",
        end=" ",
    )
    print(f"{options.turns - 1} turns of {options.views} views")
    medians = {kind: statistics.median(turns) for kind, turns in spent.items()}
    for kind, turns in spent.items():
        each = ", ".join(f"{1000 * seconds:.0f}" for seconds in turns)
        share = medians[kind] / medians["Cycles alone"]
        print(f"{kind}: {1000 * medians[kind]:.1f} ms a view, {share:.3f} of Cycles alone; {each}")
    if "BlenderProc" in medians:
        print(f"a capture takes {medians['capture'] / medians['BlenderProc']:.3f} of BlenderProc's time")
    else:
        print(f"To time BlenderProc too, {SETUP}.")


if __name__ == "__main__":
    main()
