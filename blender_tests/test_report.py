"""A report of the run in mind: made by the engine, kept in the run, shown in the panel, opened in the browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import bpy
import pytest

from blender_tests import results_harness
from blender_tests.engine_harness import TOKEN
from blender_tests.results_harness import Trained
from blender_tests.test_other_computer import Host
from srn_blender.engine.engine import engine
from srn_blender.ui import report_operators, runs_list, tasks, train_watch
from srn_blender.ui.properties import settings_of


@pytest.fixture
def ball(monkeypatch: pytest.MonkeyPatch) -> Iterator[Trained]:
    yield from results_harness.registered(monkeypatch)


def test_a_report_measures_the_test_views(ball: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = bpy.context.scene
    shutil.rmtree(ball.run / "report", ignore_errors=True)  # another module's
    train_watch.look(scene)
    assert bpy.ops.srn.report() == {"FINISHED"}
    assert runs_list.seen().report.page == report_operators.page_of(scene), "the panel knows at once"
    assert "over the test views" in tasks.Task.latest["report"].message
    means = report_operators.means_of(scene)
    assert (
        means["psnr"] > 12 and 0.5 < means["ssim"] <= 1 and means["miou"] > 0.7
    )  # twelve seconds, maybe of a busy computer
    assert 0 < means["depth_abs_rel"] < 0.2
    assert "lpips" in means, "None where its weights are not at hand"
    page = report_operators.page_of(scene)
    assert page == ball.run / "report" / "report.html"
    assert "test 000002" in page.read_text(encoding="utf-8")
    assert not report_operators.is_outdated(scene)
    checkpoint = ball.run / "checkpoint.safetensors"
    before = checkpoint.stat()
    os.utime(checkpoint, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000))
    assert report_operators.is_outdated(scene), "trained on since"
    train_watch.look(scene)
    assert runs_list.seen().report == report_operators._known(scene), "what panels show in a window"
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    assert bpy.ops.srn.report_open() == {"FINISHED"}
    (address,) = opened
    assert urlparse(address).scheme == "file" and Path(url2pathname(urlparse(address).path)) == page


def test_without_a_report_there_is_nothing_to_open(ball: Trained, tmp_path: Path) -> None:
    settings = settings_of(bpy.context.scene)
    settings.run_path = str(tmp_path)
    assert not bpy.ops.srn.report_open.poll()
    assert report_operators.means_of(bpy.context.scene) == {}
    with pytest.raises(RuntimeError, match="Train first"):
        bpy.ops.srn.report()
    settings.run_path = ""
    assert not bpy.ops.srn.report_open.poll()


def test_a_cancelled_report_says_so(ball: Trained) -> None:
    from srn_blender.ui.report_operators import SRN_OT_report

    task = SRN_OT_report.begin(None, bpy.context)
    tasks.Task.latest["report"] = task
    while not task.fraction:
        task.step()
        assert task.state == tasks.RUNNING
    bpy.ops.srn.cancel(kind="report")
    while task.state == tasks.RUNNING:
        task.step()
    assert (task.state, task.message) == (tasks.CANCELLED, "The report was cancelled.")


def test_a_report_made_on_another_computer_comes_back(ball: Trained, tmp_path: Path) -> None:
    scene, run = bpy.context.scene, tmp_path / "run"
    shutil.copytree(ball.run, run, ignore=shutil.ignore_patterns("report"))
    settings_of(scene).run_path = str(run)
    engine().close()  # the one here, which may still run
    host = Host(tmp_path / "storage")
    try:
        engine().connect("127.0.0.1", host.port, TOKEN)
        engine().wait_ready(60)
        assert engine().has_storage
        assert bpy.ops.srn.report() == {"FINISHED"}
        assert report_operators.page_of(scene) == run / "report" / "report.html"
        assert "test 000002" in (run / "report" / "report.html").read_text(encoding="utf-8")
        assert report_operators.means_of(scene)["psnr"] > 12
    finally:
        engine().stop()
        host.kill()
