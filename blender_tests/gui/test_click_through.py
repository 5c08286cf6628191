"""The extension, built, installed and clicked through in a real Blender window; skipped where there is none to use."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import bpy
import pytest

ROOT = Path(__file__).resolve().parents[2]
GUI = ROOT.parent / "shared" / "blender-gui"
SANDBOX = GUI / "blender-sandbox"
INTERPRETER = ROOT / ".venv" / "engine" / "bin" / "python"
OUT = ROOT / "out" / "gui"
VERSION = "5.2"


def is_installed() -> bool:
    # The window's Blender is always the same one: once is enough, in the tests of its own version.
    if ".".join(map(str, bpy.app.version[:2])) != VERSION:
        return False
    if not SANDBOX.exists() or not INTERPRETER.exists():
        return False
    root = subprocess.run([SANDBOX, "path", VERSION], capture_output=True, text=True, check=True).stdout.strip()
    return Path(root, "usr/bin/blender").exists()


@pytest.mark.skipif(not is_installed(), reason=f"needs bpy {VERSION}, and a Blender {VERSION} with a window")
def test_click_through(tmp_path: Path) -> None:
    shutil.rmtree(OUT, ignore_errors=True)
    subprocess.run([sys.executable, ROOT / "scripts" / "build_extension"], check=True)
    built = next((ROOT / "dist").glob("srn-*.zip"))
    real_python = INTERPRETER.resolve().parents[1]
    environment = {
        **os.environ,
        "BLENDER_USER": str(tmp_path),
        "BLENDER_BIND": f"{GUI}:/gui {real_python}:{real_python}",
        "BLENDER_SCREEN": "1600x1800x24",  # the whole tab fits
        "BLENDER_TIMEOUT": "400",
    }

    def blender(kind: str, *arguments: str | Path) -> None:
        subprocess.run([SANDBOX, kind, VERSION, "--", *arguments], cwd=ROOT, env=environment, check=True)

    blender("bg", "--command", "extension", "install-file", "--enable", "-r", "user_default", built)
    script = Path(__file__).with_name("click_through.py")
    blender("gui", "--enable-event-simulate", "-P", script, "--", "/gui", INTERPRETER, OUT)
    assert len(list(OUT.glob("*.png"))) == 16
