"""The built zip, installed into a Blender that knows nothing of this checkout, and enabled."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
INSTALL = """
import sys
import bpy, addon_utils
addon_utils.enable("bl_pkg", default_set=True)
print(bpy.ops.extensions.package_install_files(filepath=sys.argv[1], repo="user_default", enable_on_install=True))
module = "bl_ext.user_default.srn"
assert module in bpy.context.preferences.addons, "it is not enabled"
for name in ("capture_views", "train", "render_view", "compare", "engine_start", "engine_stop", "cancel"):
    getattr(bpy.ops.srn, name).get_rna_type()
panels = sorted(name for name in dir(bpy.types) if name.startswith("SRN_PT_"))
print("PANELS", *panels)
assert bpy.context.scene.srn.train_views == 50
preferences = bpy.context.preferences.addons[module].preferences
preferences.source, preferences.interpreter = "INTERPRETER", "/no/such/python"
try:
    bpy.ops.srn.engine_start()
except RuntimeError as error:
    print("SAID", error)
assert "srn_blender" not in sys.modules
wheel = next(path for path in sys.path if "extensions" in path and path.endswith("site-packages"))
sys.path.insert(0, wheel)
for name in [name for name in sys.modules if name.split(".")[0] == "websockets"]:
    del sys.modules[name]
import websockets.asyncio.client
assert websockets.__file__.startswith(wheel), websockets.__file__
print("WHEEL", websockets.__version__)
addon_utils.disable(module, default_set=True)
assert not hasattr(bpy.types.Scene, "srn")
assert not [name for name in dir(bpy.types) if name.startswith("SRN_")]
addon_utils.enable(module, default_set=True)  # and is left so: the end of the program must be a clean one
"""


@pytest.fixture(scope="module")
def built() -> Path:
    subprocess.run([sys.executable, str(ROOT / "scripts" / "build_extension")], check=True)
    manifest = tomllib.loads((ROOT / "blender_manifest.toml").read_text(encoding="utf-8"))
    return ROOT / "dist" / f"{manifest['id']}-{manifest['version']}.zip"


def test_the_zip_holds_what_it_needs_and_nothing_else(built: Path) -> None:
    with zipfile.ZipFile(built) as content:
        names = content.namelist()
    assert {"blender_manifest.toml", "LICENSE", "__init__.py", "engine/pump.py", "ui/panels.py"} <= set(names)
    wheels = sorted(name for name in names if name.endswith("-py3-none-any.whl"))
    assert [name.split("-")[0] for name in wheels] == ["engine_wheel/srn_engine", "wheels/websockets"]
    assert built.stat().st_size < 2_000_000
    others = [name for name in names if not name.endswith(".py") and name not in wheels]
    assert sorted(others) == ["LICENSE", "blender_manifest.toml"]


def test_it_installs_and_enables(built: Path, tmp_path: Path) -> None:
    # From another folder, so that the checkout is not importable.
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "OCIO")}
    environment |= {"BLENDER_USER_RESOURCES": str(tmp_path / "user")}
    command = [sys.executable, "-c", INSTALL, str(built)]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    panels = next(line.split()[1:] for line in result.stdout.splitlines() if line.startswith("PANELS"))
    assert {"SRN_PT_capture", "SRN_PT_compare", "SRN_PT_engine", "SRN_PT_render", "SRN_PT_train"} <= set(panels)
    assert "SAID Error: /no/such/python is not there" in result.stdout
    assert "WHEEL " in result.stdout
