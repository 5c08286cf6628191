"""How long a window stands still during a capture, but for Blender's own rendering.

Run it with a Python that has the bpy module: `.venv/bpy-5.2/bin/python scripts/bench/steps.py`. A large object is
captured in the steps that the button takes; each is timed without what bpy.ops.render took of it, by the time that the
main thread had a processor, so that other programs do not count.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import bpy  # noqa: E402
import numpy as np  # noqa: E402

from srn_blender.capture import studio  # noqa: E402
from srn_blender.capture.instance import Instance  # noqa: E402
from srn_blender.capture.session import CaptureProgress, capture_steps  # noqa: E402
from srn_blender.capture.settings import CaptureSettings  # noqa: E402

LIMIT = 0.05


def make_terrain(side: int) -> bpy.types.Object:
    """A hilly grid of side x side points with UVs."""
    y, x = np.mgrid[:side, :side] / side
    points = np.stack([x, y, 0.1 * np.sin(9 * x) * np.cos(7 * y)], -1).reshape(-1, 3)
    corner = (np.arange(side - 1)[:, None] * side + np.arange(side - 1)).reshape(-1)
    faces = np.stack([corner, corner + 1, corner + side + 1, corner + side], -1)
    mesh = bpy.data.meshes.new("Terrain")
    mesh.vertices.add(len(points))
    mesh.vertices.foreach_set("co", points.astype(np.float32).reshape(-1))
    mesh.loops.add(faces.size)
    mesh.loops.foreach_set("vertex_index", faces.astype(np.int32).reshape(-1))
    mesh.polygons.add(len(faces))
    mesh.polygons.foreach_set("loop_start", np.arange(0, faces.size, 4, dtype=np.int32))
    mesh.update(calc_edges=True)
    layer = mesh.uv_layers.new(name="UVMap")
    layer.uv.foreach_set("vector", points[faces.reshape(-1), :2].astype(np.float32).reshape(-1))
    terrain = bpy.data.objects.new("Terrain", mesh)
    bpy.context.scene.collection.objects.link(terrain)
    return terrain


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--views", type=int, default=3)
    options = parser.parse_args()
    bpy.ops.wm.read_factory_settings(use_empty=True)
    instance = Instance("terrain", "Terrain", [make_terrain(round(options.points**0.5))])
    rendering = 0.0
    render = studio.render_shot

    def timed_render(*what: object) -> None:
        nonlocal rendering
        start = time.thread_time()
        render(*what)
        rendering += time.thread_time() - start

    studio.render_shot = timed_render
    longest: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        settings = CaptureSettings(
            Path(folder) / "set", size=options.size, samples=1, train_views=options.views, val_views=0, test_views=0
        )
        steps, said = capture_steps(bpy.context.scene, [instance], settings), "Opening the studio."
        while True:
            before, start = rendering, time.thread_time()
            step = next(steps, None)
            longest[said].append(time.thread_time() - start - (rendering - before))
            if step is None:
                break
            said = f"after view {step.done}" if isinstance(step, CaptureProgress) else step
    for said, times in longest.items():
        over = sum(one > LIMIT for one in times)
        print(f"{max(times) * 1000:7.1f} ms at most, {over} of {len(times)} steps over 50 ms: {said}")


if __name__ == "__main__":
    main()
