"""Real trainings that show themselves: what is seen, how often, and what it costs them."""

import time
from pathlib import Path

import numpy as np
import pytest
import torch

from srn_engine.cameras import Camera, Intrinsics
from srn_engine.data.readers import open_dataset
from srn_engine.model.presets import Choice, FastPreset
from srn_engine.previews import View
from srn_engine.progress import Cancelled, Progress, silent
from srn_engine.tests.scenes import ball_view, write_ball
from srn_engine.train import options, previewer
from srn_engine.train.options import TrainOptions
from srn_engine.train.run import Run, picture_over_white
from srn_engine.train.trainer import train

CPU = torch.device("cpu")
TINY = FastPreset(stages=((0.0, 24), (0.3, 48)), prune_every=20, rays=1024)


@pytest.fixture(scope="module", autouse=True)
def tiny_preset():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(options, "PRESETS", {"fast": Choice(TINY, TINY)})
        yield


@pytest.fixture(scope="module")
def ball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ball(tmp_path_factory.mktemp("data") / "ball", train=20, test=1)


@pytest.fixture(scope="module")
def camera(ball: Path) -> Camera:
    return open_dataset(ball).views("test", "ball").cameras[0]


class Onlooker:
    """Keeps what it is shown, and when; `views` are wanted one after the other, each until it was shown."""

    def __init__(self, *views: View | None) -> None:
        self.views = list(views)
        self.shown: list[tuple[float, int, np.ndarray]] = []

    def wanted(self) -> View | None:
        return self.views[0] if self.views else None

    def show(self, step, seconds, arrays) -> None:
        self.shown.append((time.perf_counter(), step, arrays["colour"]))
        if len(self.views) > 1:
            del self.views[0]


def error_of(picture: np.ndarray, camera: Camera) -> float:
    truth = ball_view(camera)["rgba"] / np.float32(255)
    return float(np.abs(picture_over_white(picture) - picture_over_white(truth)).mean())


def test_the_picture_sharpens_as_the_training_goes(ball: Path, camera: Camera, tmp_path: Path):
    onlooker = Onlooker(View(camera))
    train(ball, tmp_path / "run", TrainOptions(seconds=5.0), CPU, silent, previews=onlooker)
    times, steps, pictures = zip(*onlooker.shown, strict=True)
    assert len(pictures) >= 2 and list(steps) == sorted(set(steps))
    assert min(np.diff(times)) > 0.45, "twice a second is enough"
    assert error_of(pictures[-1], camera) < 0.8 * error_of(pictures[0], camera)


def test_a_preview_shows_what_a_render_of_the_run_would(
    ball: Path, camera: Camera, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(previewer, "PAUSE", 0.0)
    onlooker = Onlooker(View(camera))
    train(ball, tmp_path / "run", TrainOptions(steps=1), CPU, silent, previews=onlooker)
    rendered = Run.load(tmp_path / "run", CPU).render("ball", camera, ("colour",))["colour"]
    np.testing.assert_array_equal(onlooker.shown[0][2], rendered)


def test_previews_change_nothing_about_what_is_learned(
    ball: Path, camera: Camera, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(previewer, "PAUSE", 0.0)
    monkeypatch.setattr(previewer, "SHARE", 1.0)
    onlooker = Onlooker(View(camera))
    for name, previews in (("shown", onlooker), ("alone", None)):
        train(ball, tmp_path / name, TrainOptions(steps=12), CPU, silent, previews=previews)
    assert len(onlooker.shown) == 12
    shown, alone = (Run.load(tmp_path / name, CPU).scene.state_dict() for name in ("shown", "alone"))
    assert all(torch.equal(value, alone[name]) for name, value in shown.items())


def test_large_previews_take_a_tenth_of_the_time_and_no_more(
    ball: Path, camera: Camera, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    spent = 0.0
    render = Run.render

    def timed(self, *args):
        nonlocal spent
        start = time.perf_counter()
        try:
            return render(self, *args)
        finally:
            spent += time.perf_counter() - start

    monkeypatch.setattr(previewer.Run, "render", timed)
    size = camera.intrinsics
    large = Camera(camera.pose, Intrinsics(6 * size.fl_x, 6 * size.fl_y, 96, 96, 192, 192))
    onlooker = Onlooker(View(large))
    result = train(ball, tmp_path / "run", TrainOptions(seconds=6), CPU, silent, previews=onlooker)
    assert len(onlooker.shown) >= 2 and spent < 0.2 * result["seconds"], "a tenth, and the one that it ends with"


def test_what_cannot_be_shown_is_told_and_the_training_goes_on(ball: Path, camera: Camera, tmp_path: Path):
    told: list[str] = []
    onlooker = Onlooker(View(camera, "no such instance"))

    def report(progress: Progress) -> None:
        told.append(progress.message)
        if progress.message.endswith("knows no instance 'no such instance', but ball."):
            onlooker.views = [View(camera, "ball")]

    result = train(ball, tmp_path / "run", TrainOptions(seconds=3), CPU, report, previews=onlooker)
    assert result["psnr"] is not None and onlooker.shown
    assert "no preview" in " ".join(told) and "no preview" not in told[-1]


def test_a_training_can_be_cancelled_while_it_shows_itself(
    ball: Path, camera: Camera, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(previewer, "PAUSE", 0.0)
    size = camera.intrinsics
    large = Camera(camera.pose, Intrinsics(64 * size.fl_x, 64 * size.fl_y, 1024, 1024, 2048, 2048))
    told: list[float] = []

    def report(progress: Progress) -> None:
        told.append(progress.metrics.get("step", 0))
        if told.count(1) > 3:  # once for each part of the picture
            raise Cancelled

    with pytest.raises(Cancelled) as cancelled:
        train(ball, tmp_path / "run", TrainOptions(seconds=60), CPU, report, previews=Onlooker(View(large)))
    assert cancelled.value.result["steps"] == 1 and (tmp_path / "run" / "checkpoint.safetensors").is_file()


def test_checkpoints_come_as_often_as_asked(ball: Path, tmp_path: Path):
    seen: set[int] = set()
    checkpoint = tmp_path / "run" / "checkpoint.safetensors"

    def report(progress: Progress) -> None:
        if checkpoint.is_file():
            seen.add(checkpoint.stat().st_mtime_ns)

    train(ball, tmp_path / "run", TrainOptions(seconds=3), CPU, report, save_every=0.5)
    assert 3 <= len(seen) <= 6
