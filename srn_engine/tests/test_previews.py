"""Real trainings that show themselves: what is seen, how often, and what it costs them."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from srn_engine.cameras import Camera, Intrinsics
from srn_engine.data.dataset import Instance
from srn_engine.data.readers import open_dataset
from srn_engine.errors import UserError
from srn_engine.model.presets import Choice, FastPreset
from srn_engine.previews import View
from srn_engine.progress import Cancelled, Progress, silent
from srn_engine.tests.scenes import ball_view, write_ball
from srn_engine.train import options, previewer, trainer
from srn_engine.train.options import TrainOptions
from srn_engine.train.run import Run, picture_over_white
from srn_engine.train.trainer import train

CPU = torch.device("cpu")
LARGE = 8192  # pixels a side
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
    """Keeps what it is shown, and after which step; `views` are wanted one after the other, each until it was shown."""

    def __init__(self, *views: View | None) -> None:
        self.views = list(views)
        self.shown: list[tuple[int, np.ndarray]] = []

    def wanted(self) -> View | None:
        return self.views[0] if self.views else None

    def show(self, step, seconds, arrays) -> None:
        self.shown.append((step, arrays["colour"]))
        if len(self.views) > 1:
            del self.views[0]


def error_of(picture: np.ndarray, camera: Camera) -> float:
    truth = ball_view(camera)["rgba"] / np.float32(255)
    return float(np.abs(picture_over_white(picture) - picture_over_white(truth)).mean())


def test_the_picture_sharpens_as_the_training_goes(
    ball: Path, camera: Camera, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(previewer, "PAUSE", 0.0)
    monkeypatch.setattr(previewer, "SHARE", 1.0)
    onlooker = Onlooker(View(camera))
    # By steps: so many seconds of a busy computer teach next to nothing.
    train(ball, tmp_path / "run", TrainOptions(steps=18), CPU, silent, previews=onlooker)
    steps, pictures = zip(*onlooker.shown, strict=True)
    assert steps == tuple(range(1, 19))
    assert error_of(pictures[-1], camera) < 0.7 * error_of(pictures[0], camera)


def test_a_preview_shows_what_a_render_of_the_run_would(
    ball: Path, camera: Camera, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(previewer, "PAUSE", 0.0)
    onlooker = Onlooker(View(camera))
    train(ball, tmp_path / "run", TrainOptions(steps=1), CPU, silent, previews=onlooker)
    rendered = Run.load(tmp_path / "run", CPU).render("ball", camera, ("colour",))["colour"]
    np.testing.assert_array_equal(onlooker.shown[0][1], rendered)


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


class Renders:
    """A run of which each render takes `seconds` on a clock of its own, or ends with the next of `errors`."""

    info = SimpleNamespace(instances=[Instance("ball", "arithmetic")])

    def __init__(self, seconds: float = 0.0, errors: Sequence[Exception] = ()) -> None:
        self.seconds, self.errors = seconds, list(errors)
        self.now, self.began = 0.0, []

    def perf_counter(self) -> float:
        return self.now

    def render(self, *asked) -> dict[str, np.ndarray]:
        self.began.append(self.now)
        self.now += self.seconds
        if self.errors:
            raise self.errors.pop(0)
        return {"colour": np.zeros((1, 1, 4), np.float32)}


@pytest.mark.parametrize(("takes", "every"), [(0.01, 0.5), (0.2, 2.0), (3.0, 30.0)])
def test_large_previews_take_a_tenth_of_the_time_and_no_more(
    camera: Camera, monkeypatch: pytest.MonkeyPatch, takes: float, every: float
):
    renders = Renders(takes)
    monkeypatch.setattr(previewer, "time", renders)
    shown = previewer.Previewer(Onlooker(View(camera)), renders, lambda: None)
    while renders.now < 20 * every:
        shown.look(0, renders.now)
        renders.now += 0.02  # a step
    assert renders.began[0] == pytest.approx(previewer.PAUSE, abs=0.03), "before it there is but fog"
    np.testing.assert_allclose(np.diff(renders.began), every, atol=0.03)


def test_large_previews_of_a_real_training_leave_it_its_time(
    ball: Path, camera: Camera, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    began: list[float] = []
    spent, render = 0.0, Run.render

    def timed(self, instance, camera, *rest):
        nonlocal spent
        start = time.perf_counter()
        if camera.intrinsics.width == 192:  # else it is rendered to measure the training
            began.append(start)
        try:
            return render(self, instance, camera, *rest)
        finally:
            spent += time.perf_counter() - start

    monkeypatch.setattr(previewer.Run, "render", timed)
    size = camera.intrinsics
    large = Camera(camera.pose, Intrinsics(6 * size.fl_x, 6 * size.fl_y, 96, 96, 192, 192))
    onlooker = Onlooker(View(large))
    result = train(ball, tmp_path / "run", TrainOptions(seconds=6), CPU, silent, previews=onlooker)
    assert len(onlooker.shown) >= 2 and spent < 0.2 * result["seconds"], "a tenth, and the one that it ends with"
    steps = [step for step, _ in onlooker.shown]
    assert steps == sorted(set(steps)) and min(np.diff(began)) > 0.45, "twice a second is enough"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (UserError("It is too dark."), "It is too dark."),
        (MemoryError(), "too little memory"),
        (torch.OutOfMemoryError("CUDA out of memory."), "too little memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "too little memory"),
    ],
)
def test_trouble_is_met_once_and_forgotten_with_the_next_preview(
    camera: Camera, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
):
    monkeypatch.setattr(previewer, "PAUSE", 0.0)
    renders, onlooker = Renders(errors=[error]), Onlooker(View(camera))
    shown = previewer.Previewer(onlooker, renders, lambda: None)
    for step in range(3):
        shown.look(step, 0.0)
        assert words in shown.trouble
    assert len(renders.began) == 1, "what will not do is not tried again"
    onlooker.views = [View(camera)]
    shown.look(3, 0.0)
    assert shown.trouble == "" and len(onlooker.shown) == 1


def test_nobody_who_looks_has_no_trouble(camera: Camera, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(previewer, "PAUSE", 0.0)
    onlooker = Onlooker(View(camera))
    shown = previewer.Previewer(onlooker, Renders(errors=[MemoryError()]), lambda: None)
    shown.look(0, 0.0)
    onlooker.views = []
    shown.look(1, 0.0)
    assert shown.trouble == ""


def test_a_bug_is_no_trouble_of_a_preview(camera: Camera, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(previewer, "PAUSE", 0.0)
    renders = Renders(errors=[RuntimeError("mat1 and mat2 shapes cannot be multiplied")])
    with pytest.raises(RuntimeError, match="mat1"):
        previewer.Previewer(Onlooker(View(camera)), renders, lambda: None).look(0, 0.0)


@pytest.mark.parametrize(
    ("instance", "side", "words"),
    [
        ("no such instance", 32, "knows no instance 'no such instance', but ball."),
        ("ball", LARGE, "too little memory for it"),
    ],
)
def test_what_cannot_be_shown_is_told_and_the_training_goes_on(
    ball: Path, camera: Camera, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instance: str, side: int, words: str
):
    monkeypatch.setattr(previewer, "PAUSE", 0.0)
    monkeypatch.setattr(trainer, "REPORT_EVERY", 0.0)
    render = Run.render

    def render_small(self, instance, camera, *rest):
        if camera.intrinsics.width == LARGE:
            raise MemoryError
        return render(self, instance, camera, *rest)

    monkeypatch.setattr(Run, "render", render_small)
    size = replace(camera.intrinsics, width=side, height=side)
    told: list[str] = []
    onlooker = Onlooker(View(replace(camera, intrinsics=size), instance))

    def report(progress: Progress) -> None:
        told.append(progress.message)
        if progress.message.endswith(words):
            onlooker.views = [View(camera, "ball")]

    result = train(ball, tmp_path / "run", TrainOptions(steps=10), CPU, report, previews=onlooker)
    assert result["steps"] == 10 and result["psnr"] is not None and onlooker.shown
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
