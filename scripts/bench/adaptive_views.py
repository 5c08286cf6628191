"""Captures what scripts/bench/adaptive.py chooses from: OUT/<name>, for each of three objects, one dataset.

Run it with a Python that has the bpy module: `.venv/bpy-4.5/bin/python scripts/bench/adaptive_views.py OUT`. Its train
views are CANDIDATES places on the sphere, then, for each seed and each of BUDGETS, the even rig of so many views; which
is which stands in OUT/<name>/views.json. Its test views are nobody's to choose from. The light is that of objects.py.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts"), str(ROOT / "scripts" / "bench")]

import bpy  # noqa: E402
import numpy as np  # noqa: E402
from _demo.model import import_model  # noqa: E402
from objects import _light  # noqa: E402

from srn_blender.capture.instance import Instance  # noqa: E402
from srn_blender.capture.rigs import plan_rig  # noqa: E402
from srn_blender.capture.session import capture_steps  # noqa: E402
from srn_blender.capture.settings import CaptureSettings  # noqa: E402

MODELS = {
    "spot": "spot/cow.obj",
    "truck": "cars/garbage-truck.glb",
    "chair": "chairs/Scopia__rattanArmchair/rattanArmchair.obj",
}
CANDIDATES, TEST_VIEWS, SIZE, SAMPLES = 100, 24, 72, 12
BUDGETS, SEEDS = (8, 12, 16, 24, 32), (0, 1)
SEED = 7  # of the candidates and the test views


def capture_object(name: str, models: Path, out: Path) -> None:
    """Captures one object into `out`/<name>; what is already there is not captured again."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.data.scenes[0]
    _light(scene)
    scene.cycles.use_denoising = True
    collection = import_model(scene, models / MODELS[name])
    settings = CaptureSettings(
        out / name,
        name=name,
        train_views=CANDIDATES,
        val_views=0,
        test_views=TEST_VIEWS,
        size=SIZE,
        samples=SAMPLES,
        seed=SEED,
        passes=("rgba",),
        labels="none",
    )
    groups, poses = {}, [np.empty((0, 4, 4))]
    for seed in SEEDS:
        for count in BUDGETS:
            even = replace(settings, train_views=count, val_views=0, test_views=0, seed=seed)
            begin = CANDIDATES + sum(map(len, poses))
            groups[f"{seed}-{count}"] = list(range(begin, begin + count))
            poses.append(plan_rig(scene, even, np.zeros(3), 1.0).poses["train"])
    there = settings.root / f"{name}_train" / name / "pose"
    added = np.concatenate(poses)[max(len(list(there.glob("*.txt"))) - CANDIDATES, 0) :]
    for _ in capture_steps(scene, [Instance(name, name, list(collection.objects))], settings, added={name: added}):
        pass
    told = {"candidates": list(range(CANDIDATES)), "even": groups}
    (settings.root / "views.json").write_text(json.dumps(told) + "\n", "utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="where the datasets come to stand")
    parser.add_argument("--models", type=Path, default=ROOT.parent / "shared" / "data")
    options = parser.parse_args()
    for name in MODELS:
        if not (options.out / name / "views.json").is_file():
            capture_object(name, options.models, options.out)
            print(name, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
