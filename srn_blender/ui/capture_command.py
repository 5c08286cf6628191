"""A capture from the command line: `blender --background FILE.blend --command srn_capture --shard 1/4`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import bpy

from ..capture.shards import Shard, parse_shard
from ..errors import UserError
from .capture_operator import begin_capture
from .long_work import take_step
from .properties import settings_of
from .tasks import DONE, RUNNING

NAME = "srn_capture"
TELL_SECONDS = 5.0


def capture_shard(scene: bpy.types.Scene, number: int = 1, count: int = 1, anew: bool = False) -> str:
    """Captures what is chosen in `scene.srn`, of all views those of shard `number` of `count`; says how it went.

    Raises UserError where it fails.
    """
    manager: Any = bpy.context.window_manager
    # A command has no window, though the file has; without one Blender 4 crashes where a scene is removed.
    window = {"window": manager.windows[0]} if manager.windows else {}
    with bpy.context.temp_override(**window, scene=scene, view_layer=scene.view_layers[0]):
        task = begin_capture(bpy.context, Shard(number, count), anew)
        told = time.monotonic()
        while task.state == RUNNING:
            take_step(task)
            if time.monotonic() - told > TELL_SECONDS:
                told = time.monotonic()
                print(f"{task.message} ({task.fraction:.0%})", flush=True)
        if task.state != DONE:
            raise UserError(task.message)
        return task.message


def run(arguments: list[str]) -> int:
    """The command; its exit status."""
    parser = argparse.ArgumentParser(f"blender --background FILE.blend --command {NAME}", description=__doc__)
    parser.add_argument("--shard", default="", metavar="I/N", help="part I of N; without it, all views")
    parser.add_argument("--scene", help="the scene's name; without it, the one that the file was saved with")
    parser.add_argument("--dataset", type=Path, help="the folder to write into; without it, the one chosen in the file")
    parser.add_argument("--anew", action="store_true", help="delete what an earlier capture has left there")
    options = parser.parse_args(arguments)
    try:
        scene: Any = bpy.data.scenes.get(options.scene) if options.scene else bpy.context.scene
        if scene is None:
            raise UserError(f"Choose another scene: the file has none named '{options.scene}'.")
        if options.dataset:
            settings_of(scene).dataset_path = str(options.dataset.absolute())
        shard = parse_shard(options.shard)
        print(capture_shard(scene, shard.number, shard.count, options.anew), flush=True)
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


_registered: Any = None


def register() -> None:
    global _registered
    _registered = bpy.utils.register_cli_command(NAME, run)


def unregister() -> None:
    bpy.utils.unregister_cli_command(_registered)
