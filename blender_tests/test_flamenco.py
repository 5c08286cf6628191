"""The job type for Flamenco, compiled by Node with a stand-in for what Flamenco gives to job types."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

import srn_blender
from blender_tests.scenes import add_ball
from srn_blender.ui.capture_command import NAME, run

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "flamenco" / "srn_capture.js"
STAND_IN = """
const author = {
    Task: (name, type) => ({name, type, commands: [], addCommand(command) { this.commands.push(command); }}),
    Command: (name, parameters) => ({name, parameters}),
};
const job = {settings: JSON.parse(process.argv[1]), tasks: [], addTask(task) { this.tasks.push(task); }};
"""


def compiled(settings):
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node is not installed")
    program = STAND_IN + SCRIPT.read_text("utf-8") + "\ncompileJob(job); console.log(JSON.stringify([JOB_TYPE, job]));"
    done = subprocess.run([node, "-e", program, json.dumps(settings)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_job_is_one_task_for_each_shard():
    settings = {"shards": 3, "dataset": "/shared/set", "scene": "Scene", "blendfile": "/shared/a.blend"}
    job_type, job = compiled(settings)
    assert {setting["key"] for setting in job_type["settings"]} == set(settings)
    assert all(setting["description"] for setting in job_type["settings"])
    commands = [command for task in job["tasks"] for command in task["commands"]]
    assert [task["type"] for task in job["tasks"]] == ["blender"] * 3
    assert [command["name"] for command in commands] == ["blender-render"] * 3
    assert all(command["parameters"]["blendfile"] == "/shared/a.blend" for command in commands)
    assert [command["parameters"]["args"][2:4] for command in commands] == [["--shard", f"{n}/3"] for n in (1, 2, 3)]


def test_the_command_takes_what_a_task_hands_it(tmp_path):
    import bpy

    add_ball(bpy.context.scene, segments=16).select_set(True)
    srn_blender.register()
    settings = bpy.context.scene.srn
    settings.train_views, settings.val_views, settings.test_views, settings.size, settings.samples = 4, 0, 0, 16, 1
    _, job = compiled({"shards": 2, "dataset": str(tmp_path / "set"), "scene": "Scene", "blendfile": "a.blend"})
    try:
        for task in job["tasks"]:
            command, name, *arguments = task["commands"][0]["parameters"]["args"]
            assert (command, name) == ("--command", NAME) and run(arguments) == 0
    finally:
        srn_blender.unregister()
    assert len(list((tmp_path / "set").glob("capture_train/*/pose/*.txt"))) == 4
