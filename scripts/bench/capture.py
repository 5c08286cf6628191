"""How much slower a capture is than Cycles' own renders of the same views.

Run it with a Python that has the bpy module: `.venv/bpy-5.2/bin/python scripts/bench/capture.py`. The two take turns in
one process, view by view: a step of the capture, with all its passes and files, and a plain render to a PNG file from
the same camera with the same samples, the same size and the data kept between views.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import bpy  # noqa: E402
import numpy as np  # noqa: E402

from srn_blender.capture.camera import flip_axes  # noqa: E402
from srn_blender.capture.instance import Instance  # noqa: E402
from srn_blender.capture.rigs import plan_rig  # noqa: E402
from srn_blender.capture.session import capture  # noqa: E402
from srn_blender.capture.settings import CaptureSettings  # noqa: E402
from srn_blender.capture.studio import open_studio  # noqa: E402


def load(model: Path) -> list[bpy.types.Object]:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    if model.suffix == ".obj":
        bpy.ops.wm.obj_import(filepath=str(model))
    else:
        bpy.ops.import_scene.gltf(filepath=str(model))
    objects = list(bpy.context.scene.objects)
    sun = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN"))
    sun.data.energy = 3
    bpy.context.scene.collection.objects.link(sun)
    return objects


def plain_render(studio, pose, folder: Path) -> None:
    """What a user would do: move the camera, render, save the picture."""
    matrix = flip_axes(pose)
    matrix[:3, 3] = matrix[:3, 3] * studio.scale + studio.centre
    studio.camera.matrix_world = matrix.T.tolist()
    studio.scene.render.image_settings.compression = 15  # Blender's own default
    studio.scene.render.filepath = str(folder / "plain.png")
    bpy.ops.render.render(scene=studio.scene.name, write_still=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="an .obj or .glb file")
    parser.add_argument("--views", type=int, default=20)
    parser.add_argument("--size", type=int, default=CaptureSettings.size)
    parser.add_argument("--samples", type=int, default=CaptureSettings.samples)
    options = parser.parse_args()
    objects, scene = load(options.model), bpy.context.scene
    spent: dict[str, list[float]] = {"capture": [], "cycles": []}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        settings = CaptureSettings(
            Path(name) / "set", size=options.size, samples=options.samples, train_views=options.views
        )
        instance = Instance("it", "it", objects)
        plain = stack.enter_context(open_studio(scene, replace(settings, labels="none", passes=())))
        for _ in plain.show(instance):
            pass
        plain.use_lens(plan_rig(scene, settings, plain.centre, plain.scale).camera)
        plain.scene.render.use_compositing = False
        steps = capture(scene, [instance], settings)
        for _ in range(options.views):
            start = time.perf_counter()
            step = next(steps)
            captured = time.perf_counter()
            pose = np.loadtxt(step.path.parents[1] / "pose" / f"{step.path.stem}.txt").reshape(4, 4)
            before = time.perf_counter()
            plain_render(plain, pose, Path(name))
            spent["capture"].append(captured - start)
            spent["cycles"].append(time.perf_counter() - before)
        steps.close()
    # The first view of each builds its scene.
    medians = {kind: statistics.median(times[1:]) for kind, times in spent.items()}
    print(f"capture {medians['capture'] * 1000:.1f} ms/view, Cycles alone {medians['cycles'] * 1000:.1f} ms/view")
    print(f"ratio of the medians {medians['capture'] / medians['cycles']:.3f}, of all views after the first", end=" ")
    print(f"{sum(spent['capture'][1:]) / sum(spent['cycles'][1:]):.3f}, {options.views} views")


if __name__ == "__main__":
    main()
