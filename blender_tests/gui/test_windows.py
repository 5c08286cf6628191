"""The extension, built, installed and used in real Blender windows; skipped where there are none to use."""

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
PARTS = {"train_walk": [["quit"], ["again"]]}  # of the walks that start Blender more than once, the last argument
OLDER, NEWEST = "4.3", "5.2"  # the Blenders with a window; the tests run in the newest bpy alone
EVERY = bool(os.environ.get("SRN_TEST_EVERY"))  # each walk in both, else in one of them


def is_installed(version: str) -> bool:
    if ".".join(map(str, bpy.app.version[:2])) != NEWEST or not SANDBOX.exists() or not INTERPRETER.exists():
        return False
    root = subprocess.run([SANDBOX, "path", version], capture_output=True, text=True, check=False).stdout.strip()
    return bool(root) and Path(root, "usr/bin/blender").exists()


@pytest.fixture(scope="session")
def built() -> Path:
    subprocess.run([sys.executable, ROOT / "scripts" / "build_extension"], check=True)
    return next((ROOT / "dist").glob("srn-*.zip"))


@pytest.mark.parametrize("version", [OLDER, NEWEST])
@pytest.mark.parametrize(
    ("script", "pictures", "enough"),
    [
        ("click_through", 16, OLDER),
        ("interrupted_captures", 3, OLDER),
        ("adaptive_walk", 3, NEWEST),
        ("train_walk", 11, NEWEST),
        ("results_walk", 11, OLDER),
        ("render_walk", 11, NEWEST),
    ],
)
def test_in_a_window(script: str, pictures: int, enough: str, version: str, built: Path, tmp_path: Path) -> None:
    if version != enough and not EVERY:
        pytest.skip(f"runs in {enough} unless every test is to run in every Blender")
    if not is_installed(version):
        pytest.skip(f"needs bpy {NEWEST}, and a Blender {version} with a window")
    out = OUT / f"{script}-{version}"
    shutil.rmtree(out, ignore_errors=True)
    real_python = INTERPRETER.resolve().parents[1]
    environment = {
        **os.environ,
        "BLENDER_USER": str(tmp_path),
        "BLENDER_BIND": f"{GUI}:/gui {real_python}:{real_python}",
        "BLENDER_SCREEN": "1600x1800x24",  # the whole tab fits
        "BLENDER_TIMEOUT": "400",
    }

    def blender(kind: str, *arguments: str | Path) -> None:
        subprocess.run([SANDBOX, kind, version, "--", *arguments], cwd=ROOT, env=environment, check=True)

    blender("bg", "--command", "extension", "install-file", "--enable", "-r", "user_default", built)
    walk = Path(__file__).with_name(f"{script}.py")
    for part in PARTS.get(script, [[]]):
        blender("gui", "--enable-event-simulate", "-P", walk, "--", "/gui", INTERPRETER, out, *part)
    assert len(list(out.glob("*.png"))) == pictures
