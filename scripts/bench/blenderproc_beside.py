"""BlenderProc in a process of its own, beside the one that measures. Needs the bpy module."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from srn_blender.capture.settings import CaptureSettings

THEIRS = Path(__file__).with_name("blenderproc_views.py")
SETUP = "make an environment as scripts/bench/capture.py says and name its Python with --blenderproc"


class BlenderProc:
    """BlenderProc in a process of its own, with the scene that `folder` has.

    poses: (N, 4, 4), in Blender's axes and units.
    """

    def __init__(self, python: Path, folder: Path, poses: np.ndarray, settings: CaptureSettings) -> None:
        (folder / "hdf5").mkdir()
        task = {
            "scene": str(folder / "scene.blend"),
            "folder": str(folder / "hdf5"),
            "poses": poses.tolist(),
            **{"lens": settings.focal_length, "size": settings.size, "samples": settings.samples},
        }
        self._log = folder / "blenderproc.log"
        with self._log.open("w") as log:
            command = [str(python), str(THEIRS), json.dumps(task)]
            self._process: Any = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        self.about = self._answer()
        if self.about["blender"] != bpy.app.version_string:
            sys.exit(f"Run this with the Blender that BlenderProc has, {self.about['blender']}: {SETUP}.")

    def render(self, first: int, last: int) -> None:
        """Renders and writes the views from `first` up to but not including `last`."""
        print(json.dumps([first, last]), file=self._process.stdin, flush=True)
        if self._answer()["written"] != last:
            sys.exit(f"BlenderProc left out views: {self._log.read_text()}")

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> Any:
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"BlenderProc ended, {SETUP}: {' '.join(self._log.read_text().splitlines()[-1:])}")
        return json.loads(line)
