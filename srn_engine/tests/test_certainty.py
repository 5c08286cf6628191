"""How sure a fit is: that what it says of itself follows what is true."""

from pathlib import Path

import pytest
import torch

from srn_engine.progress import silent
from srn_engine.tests.test_many import balls, new_ball, tiny_presets, trained  # noqa: F401  (fixtures)
from srn_engine.train.certainty import Certainty, _left_out
from srn_engine.train.evaluate import evaluate
from srn_engine.train.fit import FitOptions, fit

CPU = torch.device("cpu")


def test_views_are_left_out_in_turn():
    assert [_left_out(1, turn) for turn in range(3)] == [0, None, None]
    assert [_left_out(2, turn) for turn in range(3)] == [0, 1, None]
    assert [_left_out(9, turn) for turn in range(4)] == [0, 4, 8, None]


def test_several_views_foretell_the_unseen_ones(trained: Path, new_ball: Path, tmp_path: Path):  # noqa: F811
    one = fit(trained, new_ball, tmp_path / "fit", FitOptions(), CPU, silent)["instances"][0]
    true = evaluate(tmp_path / "fit", new_ball, "test", None, CPU, silent)["metrics"]["mean"]["psnr"]
    seen = evaluate(tmp_path / "fit", new_ball, "train", None, CPU, silent)["metrics"]["mean"]["psnr"]
    assert one["id"] == "new" and one["seen_psnr"] == pytest.approx(seen, abs=0.01)
    assert one["agreement_psnr"] == pytest.approx(true, abs=4)
    assert 0 <= one["sure"] <= 1


def test_it_is_surer_the_better_it_foretells():
    sure = [Certainty(30.0, psnr).sure for psnr in (5.0, 15.0, 20.0, 25.0, 60.0)]
    assert sure[0] == 0 and sure[-1] == 1 and sure == sorted(sure) and 0 < sure[1] < sure[2] < sure[3]
    assert Certainty(17.0, 25.0).sure < Certainty(30.0, 25.0).sure, "what it was given must be right too"
