"""Every test here runs in real Blender (the bpy module) and starts from an empty file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from blender_tests.render_harness import registered, trained_run  # noqa: E402  # they need Blender


@pytest.fixture(autouse=True)
def empty_file():
    bpy.ops.wm.read_factory_settings(use_empty=True)


@pytest.fixture
def run() -> Path:
    """A run with two instances, the box and the ball."""
    return trained_run()


@pytest.fixture
def scene(run: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A scene that the engine SRN renders, empty but for a camera, with the add-on registered."""
    with registered(monkeypatch) as prepared:
        yield prepared
