"""The demo inside Blender: what a user does in the panel, done through the same operators, and measured."""

import argparse
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import bpy

import srn_blender
from srn_blender.engine.engine import engine
from srn_blender.errors import UserError
from srn_blender.ui.properties import settings_of
from srn_blender.ui.tasks import DONE, Task, cancel_all

from .model import ModelError, import_model
from .scene import build_scene

Say = Callable[[str], None]
LEAVES = ("metrics.json", "compare.png", "report.html", "scene.blend", "dataset", "run")
METRICS = ("psnr", "ssim", "depth_abs_rel", "miou")
TELL_SECONDS = 5.0
EVALUATE_SECONDS = 600.0


def main() -> int:
    options = _options()
    console = _quiet_blender(options.out / "blender.log")

    def say(line: str) -> None:
        print(line, file=console, flush=True)

    signal.signal(signal.SIGINT, _interrupt)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    srn_blender.register()
    try:
        metrics = _loop(options, say)
    except (UserError, ModelError, RuntimeError) as error:  # an operator's error reaches a script as RuntimeError
        say(f"The demo failed: {str(error).removeprefix('Error: ').strip()}")
        return 1
    except KeyboardInterrupt:
        say("Stopped.")
        return 130
    finally:
        engine().close()
        srn_blender.unregister()  # Blender 4's module crashes at exit while an add-on's classes are registered
    for name, value in metrics.items():
        say(f"  {name:<20} {'–' if value is None else format(value, '.4g')}")
    say(f"Report: {options.out / 'report.html'}")
    return 0


def _interrupt(*_: object) -> None:
    """Ctrl-C ends the operator that runs as Esc does; Cycles would swallow an exception raised during its render."""
    if cancel_all() == 0:
        raise KeyboardInterrupt


def _options() -> argparse.Namespace:
    """What scripts/demo hands on; it has checked all of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--views", type=int)
    parser.add_argument("--size", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--preset")
    return parser.parse_args()


def _quiet_blender(log: Path) -> TextIO:
    """Send what Blender prints, several lines for each view, into a file; return what still writes to the console.

    For good: Blender prints when it ends, too."""
    console = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    with open(log, "wb") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
    return console


def _loop(options: argparse.Namespace, say: Say) -> dict[str, float | None]:
    began = time.monotonic()
    scene = bpy.data.scenes[0]
    collection = import_model(scene, options.model) if options.model else build_scene(scene)
    _set_up(scene, collection, options)
    say(f"Blender {bpy.app.version_string}: {collection.name}, {options.views} training views of {options.size} px")
    with _watched("engine", "Starting the engine", say):
        bpy.ops.srn.engine_start()
    with _watched("capture", "Capturing views", say) as capture:
        bpy.ops.srn.capture_views()
    with _watched("train", f"Training for {options.seconds:g} s", say) as train:
        bpy.ops.srn.train()
    say("Measuring held-out views ...")
    measured = _evaluate(options.out)
    with _watched("render", "Rendering the scene's camera", say):
        bpy.ops.srn.render_view()
        bpy.ops.srn.compare()
    _save(options.out / "scene.blend")
    metrics: dict[str, float | None] = {name: measured["metrics"]["mean"][name] for name in METRICS}
    metrics["capture_seconds"], metrics["train_seconds"] = capture.seconds, train.seconds
    metrics["render_ms_per_view"] = measured["render_ms_per_view"]
    (options.out / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    _check_whole(options.out)
    say(f"Done in {time.monotonic() - began:.0f} s. On views that the training never saw:")
    return metrics


def _set_up(scene: bpy.types.Scene, collection: bpy.types.Collection, options: argparse.Namespace) -> None:
    scene.render.engine = "CYCLES"
    scene.render.resolution_x = scene.render.resolution_y = options.size
    scene.render.resolution_percentage = 100
    scene.view_settings.view_transform = "Standard"  # so that what the compositor shows looks as captured
    settings = settings_of(scene)
    settings.collection = collection
    settings.rig = "sphere" if options.model else "hemisphere"  # nobody looks at a tray from below
    materials = {slot.material for member in collection.all_objects for slot in member.material_slots}
    settings.labels = "object" if len(materials) < 2 else "material"  # one texture for all tells no parts apart
    settings.train_views, settings.size, settings.seconds = options.views, options.size, options.seconds
    settings.dataset_path, settings.run_path = str(options.out / "dataset"), str(options.out / "run")
    try:
        settings.preset = options.preset
    except TypeError:
        names = ", ".join(item.identifier for item in settings.bl_rna.properties["preset"].enum_items)
        raise UserError(f"There is no preset {options.preset}: choose one of {names} with --preset.") from None


@dataclass
class _Watch:
    """How long a stage took, in seconds, once it is over."""

    seconds: float = 0.0


@contextmanager
def _watched(kind: str, title: str, say: Say) -> Iterator[_Watch]:
    """Say how the operators inside are getting on: they come back only when their task has ended."""
    say(f"{title} ...")
    over = threading.Event()

    def tell() -> None:
        last = ""
        while not over.wait(TELL_SECONDS):
            task = Task.latest.get(kind)
            if task is not None and task.message != last:
                last = task.message
                say(f"  {last}")

    watch, began = _Watch(), time.monotonic()
    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield watch
    finally:
        over.set()
        teller.join()
        watch.seconds = time.monotonic() - began
    task = Task.latest.get(kind)
    if task is None or task.state != DONE:
        raise UserError(task.message if task is not None else f"{title} did not begin.")
    say(f"  {task.message} ({watch.seconds:.1f} s)")


def _evaluate(out: Path) -> Mapping[str, Any]:
    """The result of the engine's `evaluate` on the test views, which also writes compare.png and report.html."""
    params = {"run": str(out / "run"), "dataset": str(out / "dataset"), "split": "test", "report": str(out)}
    ends: list[str] = []
    job = engine().run_job(
        "evaluate",
        params,
        done=lambda result, arrays: None,
        failed=ends.append,
        cancelled=lambda result: ends.append("The evaluation was cancelled."),
    )
    engine().wait(job, EVALUATE_SECONDS)
    if ends:
        raise UserError(ends[0])
    return job.result


def _save(path: Path) -> None:
    """Save the scene with all its pictures inside."""
    for image in bpy.data.images:
        if image.source == "FILE" and image.packed_file is None and image.has_data:
            image.pack()
    bpy.ops.wm.save_as_mainfile(filepath=str(path), compress=True)


def _check_whole(out: Path) -> None:
    missing = [name for name in LEAVES if not (out / name).exists()]
    if missing:
        raise UserError(f"The demo did not leave {', '.join(missing)} in {out}.")


if __name__ == "__main__":
    sys.exit(main())
