"""The borders between the two halves, held by reading the code itself: what may import what, and where."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ADDON = ROOT / "srn_blender"
ENGINE = ROOT / "srn_engine"

BLENDER_MODULES = {
    "addon_utils", "bl_ext", "bl_operators", "bl_ui", "blf", "bmesh", "bpy", "bpy_extras", "gpu", "gpu_extras",
    "mathutils", "srn_blender",
}  # fmt: skip
ADDON_MAY_IMPORT = set(sys.stdlib_module_names) | (BLENDER_MODULES - {"srn_blender"}) | {"numpy", "websockets"}
NEVER_IMPORTED = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve"}
NEVER_CALLED = {"eval", "exec", "compile", "__import__"}
VERSION_NAMES = {"version", "version_file"}  # version_string is what a dataset writes down, not what code asks for


def sources(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.rglob("*.py") if "tests" not in path.relative_to(folder).parts)
    assert found, f"no code under {folder}"
    return found


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(tree: ast.AST) -> Iterator[str]:
    """The top-level names of all absolute imports, wherever they stand."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield (node.module or "").split(".")[0]


def forbidden_in_engine(tree: ast.AST) -> list[str]:
    return [name for name in imports(tree) if name in BLENDER_MODULES]


def forbidden_in_addon(tree: ast.AST) -> list[str]:
    """Torch, the engine, compiled packages, and the add-on by its own name: it has another one when installed."""
    return [name for name in imports(tree) if name not in ADDON_MAY_IMPORT]


def unsafe(tree: ast.AST) -> list[str]:
    found = [name for name in imports(tree) if name in NEVER_IMPORTED]
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in NEVER_CALLED:
            found.append(node.func.id)
        found += [
            f"{keyword.arg}=True"
            for keyword in node.keywords
            if keyword.arg in ("allow_pickle", "shell")
            and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False)
        ]
    return found


def version_checks(tree: ast.AST) -> list[str]:
    """Uses of bpy.app.version."""
    return [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in VERSION_NAMES and ast.unparse(node.value).endswith("app")
    ]


@pytest.mark.parametrize("path", sources(ENGINE), ids=lambda path: str(path.relative_to(ROOT)))
def test_engine_knows_no_blender(path: Path) -> None:
    assert forbidden_in_engine(parsed(path)) == []


@pytest.mark.parametrize("path", sources(ADDON), ids=lambda path: str(path.relative_to(ROOT)))
def test_addon_knows_no_engine(path: Path) -> None:
    assert forbidden_in_addon(parsed(path)) == []


@pytest.mark.parametrize("path", sources(ADDON), ids=lambda path: str(path.relative_to(ROOT)))
def test_blender_versions_differ_in_one_file(path: Path) -> None:
    if path != ADDON / "compat.py":
        assert version_checks(parsed(path)) == []


@pytest.mark.parametrize("path", sources(ADDON) + sources(ENGINE), ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_runs_what_it_reads(path: Path) -> None:
    assert unsafe(parsed(path)) == []


def test_the_engine_imports_without_blender() -> None:
    """In an interpreter of its own, so that no other test's imports count."""
    code = (
        "import importlib, pkgutil, sys, srn_engine\n"
        "for found in pkgutil.walk_packages(srn_engine.__path__, 'srn_engine.'):\n"
        "    if '.tests' not in found.name and not found.name.endswith('__main__'):\n"
        "        importlib.import_module(found.name)\n"
        "assert not {'bpy', 'mathutils', 'srn_blender'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


OFFENCES = {
    forbidden_in_engine: ["import bpy", "def f():\n    from mathutils import Matrix", "import srn_blender.capture"],
    forbidden_in_addon: ["import torch.nn", "from srn_engine import x", "import srn_blender", "if 1:\n    import PIL"],
    unsafe: ["import pickle", "eval('1')", "np.load(p, allow_pickle=True)", "run('x', shell=flag)"],
    version_checks: ["if bpy.app.version >= (5, 0): pass", "from bpy import app\nnew = app.version[0] > 4"],
}


@pytest.mark.parametrize(("rule", "code"), [(rule, code) for rule, codes in OFFENCES.items() for code in codes])
def test_the_rules_catch_offences(rule, code) -> None:
    assert rule(ast.parse(code)), code


def test_the_rules_let_honest_code_pass() -> None:
    code = "import json\nimport bpy\nfrom . import compat\nfrom ..errors import UserError\nre.compile('x')\n"
    tree = ast.parse(code)
    assert forbidden_in_addon(tree) == unsafe(tree) == version_checks(tree) == []
    assert forbidden_in_engine(ast.parse("import torch\nfrom .data import reader\nmodel.eval()\n")) == []
