"""Instances mixed: two along their arc, several around a middle, with lengths that are those of the codes."""

import math

import pytest
import torch

from srn_engine.errors import UserError
from srn_engine.model.interfaces import Rays
from srn_engine.results.mixing import mixed_code, mixed_scene
from srn_engine.results.views import steps_between
from srn_engine.tests.shapes import Balls
from srn_engine.tests.test_results import run_of

HALF = 0.5**0.5


@pytest.mark.parametrize(
    ("codes", "weights", "expected"),
    [
        ([[2, 0], [0, 2]], [1, 1], [2 * HALF, 2 * HALF]),
        ([[2, 0], [0, 2]], [2, 1], [2 * math.cos(math.pi / 6), 1]),  # a third of the way, by angle
        ([[0, 2], [0, 4]], [3, 3], [0, 3]),
        ([[3, 0], [0, 5]], [0.25, 0.75], [4.5 * math.sin(math.pi / 8), 4.5 * math.cos(math.pi / 8)]),
        ([[1, 0], [-1, 0]], [1, 1], [0, 0]),  # no arc is the shortest
        ([[2, 0, 0], [0, 2, 0], [0, 0, 2]], [1, 1, 1], [2 / 3**0.5] * 3),
        ([[0, 0], [0, 2]], [1, 1], [0, 1]),
        ([[0, 0], [0, 0]], [1, 3], [0, 0]),
        ([[0, 3], [3, 0]], [0, 2], [3, 0]),
    ],
)
def test_codes_are_mixed_on_the_sphere(codes, weights, expected):
    mixed = mixed_code(torch.tensor(codes, dtype=torch.float32), torch.tensor(weights, dtype=torch.float32))
    torch.testing.assert_close(mixed, torch.tensor(expected, dtype=torch.float32), atol=1e-4, rtol=0)


def test_a_weight_that_vanishes_leaves_no_trace():
    """So that a slider that reaches its end does not jump."""
    codes = torch.randn(3, 50, generator=torch.Generator().manual_seed(0))
    without = mixed_code(codes[:2], torch.tensor([0.3, 0.7]))
    nearly = mixed_code(codes, torch.tensor([0.3, 0.7, 1e-6]))
    torch.testing.assert_close(nearly, without, atol=1e-4, rtol=0)
    torch.testing.assert_close(mixed_code(codes, torch.tensor([1.0, 1e-7, 1e-7])), codes[0], atol=1e-4, rtol=0)


def radius(run, weights) -> float:
    """How wide the mix is, by how many rays meet it."""
    origins = torch.zeros(2001, 3)
    origins[:, 0], origins[:, 1] = torch.linspace(-1, 1, 2001), -3
    rays = Rays(origins, torch.tensor([0.0, 1.0, 0.0]).expand(2001, 3), torch.ones(2001))
    return float(mixed_scene(run, weights).render(rays).opacity.sum()) / 2000


def test_a_scene_is_mixed_by_names_and_weights():
    run = run_of(Balls(0.3, 0.8, 0.4), "small", "large", "middle")
    assert radius(run, {"large": 3.0}) == pytest.approx(0.8, abs=2e-3)
    assert radius(run, {"small": 1.0, "large": 1.0, "middle": 0.0}) == pytest.approx(0.55, abs=2e-3)
    assert radius(run, {"small": 1.0, "large": 1.0, "middle": 2.0}) == pytest.approx(0.475, abs=2e-3)
    assert radius(run, {"small": 1e-60, "large": 1e-60}) == pytest.approx(0.55, abs=2e-3), "their sum does not matter"


@pytest.mark.parametrize(
    ("weights", "words"),
    [({}, "at least one"), ({"a": 0.0}, "at least one"), ({"a": -1.0, "b": 2.0}, "zero or more"),
     ({"a": math.nan}, "zero or more"), ({"a": 1.0, "z": 1.0}, "no instance 'z'")],
)  # fmt: skip
def test_impossible_mixes_get_a_sentence(weights, words: str):
    with pytest.raises(UserError, match=words):
        mixed_scene(run_of(Balls(0.3, 0.8), "a", "b"), weights)


def test_the_way_through_instances_is_even():
    assert steps_between(["a", "b", "c"], 5) == [
        {"a": 1.0, "b": 0.0},
        {"a": 0.5, "b": 0.5},
        {"b": 1.0, "c": 0.0},
        {"b": 0.5, "c": 0.5},
        {"b": 0.0, "c": 1.0},
    ]
    assert steps_between(["a", "a"], 2) == [{"a": 1.0}, {"a": 1.0}]
