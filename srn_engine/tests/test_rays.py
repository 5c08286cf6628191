"""Rays drawn from views: what they carry, from one instance and from many under a budget of memory."""

import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from srn_engine.cameras import Camera
from srn_engine.data.dataset import View, Views, over_white
from srn_engine.data.pools import Pools
from srn_engine.data.rays import UNLABELLED, RayPool
from srn_engine.data.readers import open_dataset
from srn_engine.errors import UserError
from srn_engine.model.fast.hull import carve
from srn_engine.tests.scenes import RADIUS, ball_view, write_ball

CPU = torch.device("cpu")
SIZES = ((16, 16, 20.0), (24, 12, 15.0), (8, 20, 10.0))  # width, height, focal length


class UnevenViews(Views):
    """Three views of the ball, of three sizes and focal lengths, made when they are read."""

    def rgba(self, n: int) -> np.ndarray:
        return ball_view(self.cameras[n])["rgba"]

    def semantic(self, n: int) -> np.ndarray:
        return ball_view(self.cameras[n])["semantic"]


@pytest.fixture(scope="module")
def balls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    radii = {f"ball_{number}": 0.4 + 0.1 * number for number in range(5)}
    return write_ball(tmp_path_factory.mktemp("data") / "balls", train=3, test=1, size=16, balls=radii)


@pytest.fixture
def uneven(balls: Path) -> UnevenViews:
    views = open_dataset(balls).views("train", "ball_4")
    made = []
    for n, (width, height, focal) in enumerate(SIZES):
        camera = views.cameras[n]
        size = replace(camera.intrinsics, width=width, height=height, cx=width / 2, cy=height / 2)
        camera = Camera(camera.pose, replace(size, fl_x=focal, fl_y=focal * 1.1))
        made.append(View(str(n), camera, views.views[n].colour, {"semantic": Path()} if n else {}))
    return UnevenViews(views.dataset, "train", views.instance, tuple(made))


@pytest.mark.parametrize("everywhere", [False, True])
def test_every_ray_carries_what_its_pixel_shows(uneven: UnevenViews, everywhere: bool):
    """Each ray is found again among all the rays of all cameras, and its colour, alpha and label are that pixel's."""
    batch = RayPool(uneven, CPU, everywhere).draw(3000, torch.Generator().manual_seed(0))
    seen = set()
    for n, camera in enumerate(uneven.cameras):
        rays = camera.rays(CPU)
        own = (batch.rays.origins - rays.origins[0]).norm(dim=1) < 1e-6
        cosine, place = (batch.rays.directions[own] @ rays.directions.T).max(dim=1)
        assert cosine.min() > 1 - 1e-6
        truth = ball_view(camera)
        colour = over_white(truth["rgba"]).reshape(-1, 3)[place.numpy()]
        np.testing.assert_allclose(batch.colour[own], colour, atol=0.5 / 255 + 1e-6)
        np.testing.assert_allclose(batch.alpha[own], truth["rgba"][..., 3].reshape(-1)[place.numpy()] / 255, atol=1e-6)
        label = truth["semantic"].reshape(-1)[place.numpy()]
        np.testing.assert_array_equal(batch.label[own], label if n else UNLABELLED)
        np.testing.assert_allclose(batch.rays.z_per_t[own], rays.z_per_t[place], rtol=1e-5)
        seen |= {(n, int(one)) for one in place}
    assert own.sum() < 3000
    whole = sum(camera.intrinsics.width * camera.intrinsics.height for camera in uneven.cameras)
    assert len(seen) > 0.9 * whole if everywhere else len(seen) < 0.9 * whole


def test_a_pool_gives_back_the_silhouettes(uneven: UnevenViews):
    for everywhere in (False, True):
        for n, alpha in enumerate(RayPool(uneven, CPU, everywhere).alphas()):
            np.testing.assert_array_equal((alpha.numpy() * 255).round(), uneven.rgba(n)[..., 3])


def test_a_hull_is_carved_from_views_of_any_size(uneven: UnevenViews):
    n = 24
    pool = RayPool(uneven, CPU)
    cells = carve(pool.cameras, pool.alphas(), n)
    middle = (torch.stack(torch.meshgrid(*[torch.arange(n)] * 3, indexing="ij"), -1) + 0.5) * 2 / (n - 1) - 1
    ball = middle.norm(dim=-1) < RADIUS - 2 / n
    assert cells[ball].all(), "no cell of the ball is lost"
    assert cells.sum() < 0.85 * (n - 1) ** 3
    assert not cells[-1].any() and not cells[:, -1].any() and not cells[:, :, -1].any()


def test_pictures_of_8_and_16_bit_train_together(uneven: UnevenViews, monkeypatch: pytest.MonkeyPatch):
    plain = RayPool(uneven, CPU).draw(500, torch.Generator().manual_seed(0))
    eight = UnevenViews.rgba
    monkeypatch.setattr(UnevenViews, "rgba", lambda self, n: eight(self, n) * np.uint16(257) if n else eight(self, n))
    mixed = RayPool(uneven, CPU).draw(500, torch.Generator().manual_seed(0))
    torch.testing.assert_close(mixed.colour, plain.colour, atol=0.6 / 255, rtol=0)
    torch.testing.assert_close(mixed.alpha, plain.alpha, atol=1e-6, rtol=0)


def test_an_empty_view_gets_a_sentence(uneven: UnevenViews, monkeypatch: pytest.MonkeyPatch):
    full = UnevenViews.rgba
    monkeypatch.setattr(UnevenViews, "rgba", lambda self, n: full(self, n) * (n != 1))
    RayPool(uneven, CPU, everywhere=True)
    with pytest.raises(UserError, match=r"View 1 \(train\) of ball_4 .* is empty"):
        RayPool(uneven, CPU)


@pytest.mark.parametrize("everywhere", [False, True])
def test_a_camera_that_cannot_see_the_object_gets_a_sentence(uneven: UnevenViews, everywhere: bool):
    view = uneven.views[1]
    turned = Camera(view.camera.pose @ np.diag([-1.0, 1.0, -1.0, 1.0]), view.camera.intrinsics)
    behind = replace(uneven, views=(uneven.views[0], replace(view, camera=turned)))
    with pytest.raises(UserError, match="looks away from the object"):
        RayPool(behind, CPU, everywhere)


def test_pools_keep_to_their_budget(balls: Path):
    data = open_dataset(balls)
    alone = RayPool(data.views("train", "ball_1"), CPU, everywhere=True)
    with Pools(data, "train", CPU, budget=int(2.5 * alone.nbytes), everywhere=True) as pools:
        assert len(pools) == 5
        covers = []
        for index in (*range(5), *range(5)):
            pools.read_ahead([(index + 1) % 5])
            batch = pools.pool(index).draw(2000, torch.Generator().manual_seed(0))
            covers.append(float(batch.alpha.mean()))
            assert alone.nbytes <= pools.nbytes <= 2.5 * alone.nbytes
    assert covers[:5] == covers[5:] == sorted(covers[:5]), "each index has its own ball, the larger the later"


def test_pools_are_read_once_and_ahead(balls: Path, monkeypatch: pytest.MonkeyPatch):
    read = []
    rgba = Views.rgba

    def counted(self: Views, n: int) -> np.ndarray:
        read.append((self.instance.id, n, threading.current_thread() is threading.main_thread()))
        return rgba(self, n)

    monkeypatch.setattr(Views, "rgba", counted)
    with Pools(open_dataset(balls), "train", CPU) as pools:
        pools.read_ahead([3, 1])
        first = pools.pool(3)
        assert pools.pool(1).cameras and pools.pool(3) is first
    assert [(name, n) for name, n, _ in read] == [(f"ball_{i}", n) for i in (3, 1) for n in range(3)]
    assert not any(main for _, _, main in read)


def test_what_breaks_while_reading_ahead_is_said_when_it_is_wanted(balls: Path, tmp_path: Path):
    root = Path(shutil.copytree(balls, tmp_path / "broken"))
    (root / "ball_train/ball_2/rgba/000001.png").write_bytes(b"no picture")
    with Pools(open_dataset(root), "train", CPU) as pools:
        pools.read_ahead([2, 0])
        pools.pool(0)
        for _ in range(2):
            with pytest.raises(UserError, match=r"000001\.png is no readable picture"):
                pools.pool(2)
        pools.pool(1)
    assert not any(thread.name.startswith("reading views") for thread in threading.enumerate())


def test_instances_that_are_held_out_have_no_pool(balls: Path, tmp_path: Path):
    root = Path(shutil.copytree(balls, tmp_path / "held_out"))
    shutil.rmtree(root / "ball_train" / "ball_3")
    data = open_dataset(root)
    with Pools(data, "train", CPU) as pools:
        assert [instance.id for instance in pools.instances] == ["ball_0", "ball_1", "ball_2", "ball_4"]
    assert len(data.having("test")) == 5
