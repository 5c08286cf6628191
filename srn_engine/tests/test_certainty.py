"""How sure a fit is: that what it says of itself follows what is true."""

from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch

from srn_engine.cameras import Camera, Intrinsics
from srn_engine.data.colour import ColourFile
from srn_engine.data.dataset import Dataset, Instance, View, Views
from srn_engine.progress import silent
from srn_engine.train.certainty import Certainty, _left_out
from srn_engine.train.evaluate import evaluate
from srn_engine.train.fit import FitOptions, fit

CPU = torch.device("cpu")
pytestmark = pytest.mark.usefixtures("tiny_presets")


def some_views(count: int) -> Views:
    """Views without anything in them but their names."""
    camera = Camera(np.eye(4), Intrinsics(1.0, 1.0, 0.5, 0.5, 1, 1))
    picture = ColourFile(Path(), (1, 1))
    views = tuple(View(str(number), camera, picture) for number in range(count))
    return Views(cast(Dataset, None), "train", Instance("it", "it"), views)


def test_views_are_left_out_in_turn():
    views = [some_views(count) for count in (1, 2, 9)]
    rounds = [_left_out(views, turn) for turn in range(3)]
    assert [{number: out for number, (_, out) in one.items()} for one in rounds] == [{1: 0, 2: 0}, {1: 1, 2: 4}, {2: 8}]
    assert rounds[1][2][0].names == tuple("01235678") and rounds[0][1][0].names == ("1",)


def test_several_views_foretell_the_unseen_ones(trained_balls: Path, new_ball: Path, tmp_path: Path):
    one = fit(trained_balls, new_ball, tmp_path / "fit", FitOptions(), CPU, silent)["instances"][0]
    true = evaluate(tmp_path / "fit", new_ball, "test", None, CPU, silent)["metrics"]["mean"]["psnr"]
    seen = evaluate(tmp_path / "fit", new_ball, "train", None, CPU, silent)["metrics"]["mean"]["psnr"]
    assert one["id"] == "new" and one["seen_psnr"] == pytest.approx(seen, abs=0.01)
    assert one["agreement_psnr"] == pytest.approx(true, abs=4)
    assert 0 <= one["sure"] <= 1


@pytest.mark.parametrize("view", [0, 2])
def test_a_single_view_is_foreseen_there_and_back(trained_balls: Path, new_ball: Path, tmp_path: Path, view: int):
    one = fit(trained_balls, new_ball, tmp_path / "fit", FitOptions(views=[view]), CPU, silent)["instances"][0]
    true = evaluate(tmp_path / "fit", new_ball, "test", None, CPU, silent)["metrics"]["mean"]["psnr"]
    assert one["agreement_psnr"] == pytest.approx(true, abs=6)
    assert one["agreement_psnr"] < one["seen_psnr"] + 3


def test_label_maps_alone_tell_nothing_of_a_single_view(trained_balls: Path, new_ball: Path, tmp_path: Path):
    options = FitOptions(views=[0], steps=5, labels=True)
    assert (
        fit(trained_balls, new_ball, tmp_path / "fit", options, CPU, silent)["instances"][0]["agreement_psnr"] is None
    )


def test_it_is_surer_the_better_it_foretells():
    sure = [Certainty(30.0, psnr).sure for psnr in (5.0, 15.0, 20.0, 25.0, 60.0)]
    assert sure[0] == 0 and sure[-1] == 1 and sure == sorted(sure) and 0 < sure[1] < sure[2] < sure[3]
    assert Certainty(17.0, 25.0).sure < Certainty(30.0, 25.0).sure, "what it was given must be right too"
