"""Renders and writes views with BlenderProc, a turn at a time: what capture.py runs in BlenderProc's environment.

Makes its camera in the scene of a .blend file, takes one JSON line from stdin for each turn and answers with one on
stdout. BlenderProc's own outputs go where it puts them, its datasets into one .hdf5 file a view.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

# Says to BlenderProc that this is a script, and to leave the choice of Blender and of packages to whoever started it.
os.environ["OUTSIDE_OF_THE_INTERNAL_BLENDER_PYTHON_ENVIRONMENT_BUT_IN_RUN_SCRIPT"] = "1"

import bpy
from blenderproc import __version__ as version
from blenderproc.api import camera, renderer, writer
from blenderproc.python.renderer.RendererUtility import render_init
from blenderproc.python.utility.SetupUtility import SetupUtility
from blenderproc.python.utility.Utility import Utility


def set_up(task: dict[str, Any]) -> None:
    """Loads the scene and asks for all views with colour, depth, normals and labels.

    The scene's own settings stay, so that both render the same; `render_init` sets what BlenderProc is fast by.
    """
    SetupUtility.setup_utility_paths(SetupUtility.determine_temp_dir(None))
    bpy.ops.wm.open_mainfile(filepath=task["scene"])
    scene = bpy.context.scene
    scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(scene.camera)
    render_init()
    renderer.set_output_format("PNG", 8, enable_transparency=True, view_transform="Standard")
    camera.set_intrinsics_from_blender_params(task["lens"], task["size"], task["size"], lens_unit="MILLIMETERS")
    renderer.set_max_amount_of_samples(task["samples"])
    scene.frame_start = scene.frame_end = 0
    for pose in task["poses"]:
        camera.add_camera_pose(pose)
    renderer.enable_depth_output(activate_antialiasing=False)
    renderer.enable_normals_output()
    renderer.enable_segmentation_output(map_by="category_id", default_values={"category_id": 0})


def render(first: int, last: int, folder: str) -> None:
    """Renders the views from `first` up to but not including `last`, in one go, and writes them."""
    bpy.context.scene.frame_start, bpy.context.scene.frame_end = first, last
    writer.write_hdf5(folder, renderer.render())


def main() -> None:
    task = json.loads(sys.argv[1])
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what BlenderProc and Blender say goes to stderr
    set_up(task)
    print(json.dumps({"blenderproc": version, "blender": bpy.app.version_string}), file=answers)
    for line in sys.stdin:
        render(*json.loads(line), task["folder"])
        print(json.dumps({"written": len(os.listdir(task["folder"]))}), file=answers)
    for left in os.scandir(Utility.temp_dir):
        os.remove(left)
    os.rmdir(Utility.temp_dir)


if __name__ == "__main__":
    main()
