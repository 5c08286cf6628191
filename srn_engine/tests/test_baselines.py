"""The baselines: the network of 2016 learns what its input shows, and the floors are the numbers that they say."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from srn_engine.baselines import floors, tatarchenko
from srn_engine.baselines.gallery import Gallery, joined, read_gallery
from srn_engine.data.readers import open_dataset
from srn_engine.errors import UserError
from srn_engine.progress import Cancelled, Progress
from srn_engine.tests.scenes import write_ball
from srn_engine.train.metrics import psnr

CPU = torch.device("cpu")
SMALL, LARGE = 0.4, 0.9


@pytest.fixture(scope="module")
def balls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sizes = {"small": SMALL, "large": LARGE}
    return write_ball(tmp_path_factory.mktemp("data") / "balls", train=10, test=4, size=16, balls=sizes)


@pytest.fixture(scope="module")
def train_views(balls: Path) -> list[Gallery]:
    return galleries(balls, "train")


@pytest.fixture(scope="module")
def unseen_views(balls: Path) -> list[Gallery]:
    return galleries(balls, "test")


def galleries(root: Path, split: str) -> list[Gallery]:
    data = open_dataset(root)
    return [read_gallery(data.views(split, instance.id)) for instance in data.instances]


def made(colour: float, label: int | None = None, views: int = 2, size: int = 4) -> Gallery:
    labels = None if label is None else np.full((views, size, size), label, np.uint8)
    return Gallery(np.full((views, size, size, 3), colour, np.float32), np.tile(np.eye(4), (views, 1, 1)), labels)


def test_a_gallery_holds_what_was_captured(train_views: list[Gallery]) -> None:
    small, large = train_views
    assert len(small) == 10 and small.colour.shape == (10, 16, 16, 3) and small.poses.shape == (10, 4, 4)
    assert small.colour[:, 0, 0].min() == 1.0, "the corner is over white"
    assert large.labels is not None and set(np.unique(large.labels)) == {0, 1, 2}
    some, rest = large.only([0, 9]), large.without([0, 9])
    assert len(some) == 2 and some.labels.shape == (2, 16, 16) and np.all(some.poses[1] == large.poses[9])
    assert len(joined(some, rest)) == 10 and np.all(joined(some, rest).labels[2:] == large.labels[1:9])


def test_a_gallery_needs_views(balls: Path) -> None:
    views = open_dataset(balls).views("train", "small")
    with pytest.raises(UserError, match="no train views"):
        read_gallery(replace(views, views=()))


def test_the_mean_is_that_of_each_view() -> None:
    dark, light = made(0.0), made(1.0)
    light.colour[1] = 0.5
    mean = floors.mean_of_view([dark, light])
    assert np.all(mean[0] == 0.5) and np.all(mean[1] == 0.25)
    assert np.all(floors.white(dark.colour) == 1.0)


def test_the_nearest_instance_is_the_one_that_looks_alike(
    train_views: list[Gallery], unseen_views: list[Gallery]
) -> None:
    assert floors.nearest_instance([made(0.1), made(0.6), made(0.9)], made(0.5)) == 1
    for place, seen in enumerate(train_views):
        assert floors.nearest_instance([one.only([0]) for one in train_views], seen.only([0])) == place
    with pytest.raises(UserError, match="same poses"):
        floors.nearest_instance(train_views, unseen_views[0])


def test_the_most_frequent_label_wins_and_ties_go_to_the_lowest() -> None:
    assert np.all(floors.most_frequent_label([made(0, 2), made(0, 1), made(0, 2), made(0)], 3) == 2)
    assert np.all(floors.most_frequent_label([made(0, 2), made(0, 1)], 3) == 1)
    with pytest.raises(UserError, match="semantic"):
        floors.most_frequent_label([made(0)], 3)


def test_one_class_fills_the_silhouette() -> None:
    silhouette = np.array([[[True, False], [False, True]]])
    assert floors.all_one_class(silhouette, 2).tolist() == [[[2, 0], [0, 2]]]


def test_a_viewpoint_is_distance_elevation_and_azimuth() -> None:
    poses = np.tile(np.eye(4), (3, 1, 1))
    poses[:, :3, 3] = [[2, 0, 0], [0, 0, 3], [0, -3, -4]]
    expected = [[2, 0, 1, 0, 1], [3, 1, 0, 0, 1], [5, -0.8, 0.6, -1, 0]]
    assert np.allclose(tatarchenko.viewpoints(poses), expected, atol=1e-6)


def test_the_network_tells_instances_apart_by_one_picture(
    train_views: list[Gallery], unseen_views: list[Gallery], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("WIDTHS", (32, 32, 64, 64, 128)), ("HIDDEN", 256)):  # two balls are told apart by less
        monkeypatch.setattr(tatarchenko, name, value)
    losses: list[float] = []
    network = tatarchenko.train(train_views, 600.0, CPU, steps=80, report=lambda at: losses.append(at.metrics["loss"]))
    assert np.mean(losses[-10:]) < 0.2 * losses[0]
    mean = floors.mean_of_view(unseen_views)
    for seen, unseen in zip(train_views, unseen_views, strict=True):
        predicted = tatarchenko.predict(network, seen.only([0]), unseen.poses)
        assert predicted.shape == unseen.colour.shape and predicted.min() >= 0 and predicted.max() <= 1
        assert psnr(predicted, unseen.colour) > psnr(mean, unseen.colour) + 2


def test_a_prediction_starts_from_the_nearest_view(train_views: list[Gallery]) -> None:
    torch.manual_seed(0)
    network, views = tatarchenko.EncoderDecoder(16), train_views[1]
    from_all = tatarchenko.predict(network, views, views.poses[3:4])
    alone = Gallery(views.colour[3:4], views.poses[3:4], None)
    assert np.allclose(from_all, tatarchenko.predict(network, alone, views.poses[3:4]), atol=1e-6)
    assert not np.allclose(from_all, tatarchenko.predict(network, views.only([0]), views.poses[3:4]), atol=1e-6)


def test_training_can_be_stopped(train_views: list[Gallery]) -> None:
    def stop(progress: Progress) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        tatarchenko.train(train_views, 60.0, CPU, report=stop)


@pytest.mark.parametrize("size", [4, 24, 256])
def test_pictures_that_cannot_be_halved_are_refused(size: int) -> None:
    with pytest.raises(UserError, match="square pictures"):
        tatarchenko.EncoderDecoder(size)


def test_pictures_of_two_sizes_are_refused() -> None:
    with pytest.raises(UserError, match="one size"):
        tatarchenko.train([made(0, size=8), made(0, size=16)], 1.0, CPU)
