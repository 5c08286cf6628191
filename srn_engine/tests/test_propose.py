"""Which views are asked for next: the side that nobody has seen, and no two of one place."""

from pathlib import Path

import numpy as np
import pytest
import torch

from srn_engine.cameras import Camera, Intrinsics
from srn_engine.errors import UserError
from srn_engine.progress import Cancelled, Progress, silent
from srn_engine.results.rigs import Stand, around
from srn_engine.tests.scenes import write_ball
from srn_engine.train.propose import choose, propose_views

CPU = torch.device("cpu")
CAMERAS = around(Stand(distance=3.0), 40, 32)


@pytest.fixture(scope="module")
def ball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ball(tmp_path_factory.mktemp("data") / "ball", train=8)


def test_proposals_are_numbers_of_candidates_each_once(ball: Path):
    found = propose_views(ball, None, CAMERAS, 5, 3.0, CPU, silent)
    assert set(found) == {"views", "scores", "psnr"}
    assert len(found["views"]) == len(set(found["views"])) == 5 and set(found["views"]) <= set(range(40))
    assert len(found["scores"]) == 40 and min(found["scores"]) >= 0
    assert 10 < found["psnr"] < 45


def test_the_best_are_far_from_one_another_and_from_what_is_there():
    ring = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    places = 3 * np.stack([np.cos(ring), np.sin(ring), 0 * ring], axis=1)
    scores = np.array([1, 1, 1, 1, 1, 5, 5, 5, 1, 1, 1, 1.0])
    assert choose(scores, places, places[:1], 1)[0] in (5, 6, 7)
    chosen = choose(scores, places, places[:1], 3)
    assert 0 not in chosen and len({5, 6, 7} & set(chosen)) < 3, "not all of one corner"
    assert choose(np.ones(12), places, places[:6], 1)[0] in (7, 8, 9, 10), "far from the six that are there"


@pytest.mark.parametrize(
    ("count", "cameras", "words"),
    [(1, [], "candidates"), (0, CAMERAS, "candidates"), (41, CAMERAS, "candidates"), (1, CAMERAS * 13, "at most 500")],
)
def test_impossible_choices_get_a_sentence(ball: Path, count: int, cameras: list[Camera], words: str):
    with pytest.raises(UserError, match=words):
        propose_views(ball, None, cameras, count, 1.0, CPU, silent)


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
        propose_views(ball, None, CAMERAS, 1, 30.0, CPU, stop)


def test_candidates_of_any_size_and_shape(ball: Path):
    wide = [Camera(camera.pose, Intrinsics(900.0, 900.0, 600.0, 200.0, 1200, 400)) for camera in CAMERAS[:4]]
    assert len(propose_views(ball, "ball", wide, 4, 1.0, CPU, silent)["views"]) == 4
