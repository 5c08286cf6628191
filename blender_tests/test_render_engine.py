"""The render engine SRN without a window: the pixels of every pass, every camera, and what is said where it fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blender_tests.render_harness import camera_of, directly, linear, place, registered, render, trained_run
from srn_blender.results.images import MISS


@pytest.fixture
def run() -> Path:
    return trained_run()


@pytest.fixture
def scene(run: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with registered(monkeypatch) as prepared:
        yield prepared


def test_every_pass_reaches_the_compositor(scene: Any, run: Path, tmp_path: Path) -> None:
    place(scene, run)
    seen = render(scene, tmp_path)
    raw = directly(run, camera_of(scene))
    assert 0.15 < (raw["colour"][..., 3] > 0.5).mean() < 0.8
    np.testing.assert_allclose(seen["Image"], linear(raw["colour"]), atol=1e-4)
    hit = raw["depth"] > 0
    np.testing.assert_allclose(seen["Depth"][hit], raw["depth"][hit] * 1.5, rtol=1e-5)
    assert np.median(seen["Depth"][hit]) == pytest.approx(7.0, abs=0.1), "the top of the box lies 7 below the camera"
    nothing = raw["colour"][..., 3] < 0.04
    assert (seen["Depth"][nothing] == np.float32(MISS)).all()
    np.testing.assert_allclose(seen["Normal"][hit], raw["normal"][hit], atol=1e-5)
    assert np.median(seen["Normal"][hit], 0)[2] > 0.7
    np.testing.assert_array_equal(seen["Semantic"][hit], raw["semantic"][hit])
    assert len(np.unique(seen["Semantic"])) >= 2 and (seen["Semantic"][nothing] == 0).all()
