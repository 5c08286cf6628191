"""Which views are asked for next: the side that nobody has seen, and no two of one place."""

from pathlib import Path

import numpy as np
import pytest
import torch

from srn_engine.cameras import Camera, Intrinsics
from srn_engine.data.readers import open_dataset
from srn_engine.errors import UserError
from srn_engine.progress import Cancelled, Progress, silent
from srn_engine.results.rigs import Stand, around
from srn_engine.tests.scenes import write_ball
from srn_engine.train.propose import Budget, choose, propose_views, proposed

CPU = torch.device("cpu")
CAMERAS = around(Stand(distance=3.0), 40, 32)


@pytest.fixture(scope="module")
def ball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ball(tmp_path_factory.mktemp("data") / "ball", train=8)


def test_proposals_are_numbers_of_candidates_each_once(ball: Path):
    views = open_dataset(ball).views("train", "ball")
    found = proposed(views, CAMERAS, 5, Budget(steps=20), CPU, silent)
    assert set(found) == {"views", "scores", "psnr"}
    assert len(found["views"]) == len(set(found["views"])) == 5 and set(found["views"]) <= set(range(40))
    assert len(found["scores"]) == 40 and min(found["scores"]) >= 0
    assert 10 < found["psnr"] < 45


def test_the_best_are_far_from_one_another_and_from_what_is_there():
    angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    apart = np.abs((angle[:, None] - angle + np.pi) % (2 * np.pi) - np.pi)
    even = np.ones(12)
    assert choose(even, apart[:, :1], apart, 1)[0] in (5, 6, 7), "the other side"
    assert set(choose(even, apart[:, [0, 6]], apart, 2)) == {3, 9}
    hard = np.where(np.isin(np.arange(12), [3, 4, 5]), 9.0, 1.0)
    assert choose(hard, apart[:, :1], apart, 1)[0] in (4, 5), "where it is hard"
    chosen = choose(hard, apart[:, :1], apart, 3)
    assert 0 not in chosen and len({3, 4, 5} & set(chosen)) < 3, "not all of one corner"
    assert sorted(choose(np.zeros(12), apart[:, :1], apart, 12)) == list(range(12))


@pytest.mark.parametrize(
    ("count", "cameras", "words"),
    [(1, [], "candidates"), (0, CAMERAS, "candidates"), (41, CAMERAS, "candidates"), (1, CAMERAS * 13, "at most 500")],
)
def test_impossible_choices_get_a_sentence(ball: Path, count: int, cameras: list[Camera], words: str):
    with pytest.raises(UserError, match=words):
        propose_views(ball, None, cameras, count, 1.0, CPU, silent)


def test_candidates_where_views_were_captured_already(ball: Path):
    """None is far from a view, so that none is better than another, and numbers stay numbers."""
    views = open_dataset(ball).views("train", "ball")
    found = proposed(views, views.cameras, 8, Budget(steps=2), CPU, silent)
    assert sorted(found["views"]) == list(range(8))
    assert np.isfinite(found["scores"]).all() and 0 < found["psnr"] <= 120


def test_too_few_views_get_a_sentence(tmp_path: Path):
    few = write_ball(tmp_path / "few", train=3)
    with pytest.raises(UserError, match="3 train views; capture 4"):
        propose_views(few, "ball", CAMERAS, 1, 1.0, CPU, silent)


def test_several_instances_need_a_name(tmp_path: Path):
    two = write_ball(tmp_path / "two", train=4, balls={"a": 0.5, "b": 0.8})
    with pytest.raises(UserError, match="name one"):
        propose_views(two, None, CAMERAS, 1, 1.0, CPU, silent)


def test_looking_can_be_stopped(ball: Path):
    def stop(progress: Progress) -> None:
        if progress.fraction > 0.1:
            raise Cancelled

    with pytest.raises(Cancelled):
        propose_views(ball, None, CAMERAS, 1, 5.0, CPU, stop)


@pytest.mark.parametrize("instance", [None, "ball"])
def test_candidates_of_any_size_and_shape(ball: Path, instance: str | None):
    wide = [Camera(camera.pose, Intrinsics(900.0, 900.0, 600.0, 200.0, 1200, 400)) for camera in CAMERAS[:4]]
    assert len(propose_views(ball, instance, wide, 4, 1.0, CPU, silent)["views"]) == 4
