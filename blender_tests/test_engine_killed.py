"""Engines that are killed in the middle of a training: the first few of scripts/bench/kill_engines.py."""

from __future__ import annotations

import os
import subprocess
import sys

from blender_tests.engine_harness import ROOT, engine_interpreter


def test_nothing_is_lost_beyond_the_last_checkpoint_and_blender_goes_on() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "bench" / "kill_engines.py"), "--kills", "3", "--seed", "1"]
    environment = os.environ | {"SRN_ENGINE_PYTHON": engine_interpreter()}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "kills: 3, no sentence: 0, lost: 0, went back: 0, broken: 0" in done.stdout
