"""The engine as it is started by the add-on, with its real work, on datasets of one and of several instances."""

from pathlib import Path

import numpy as np
import pytest

from srn_engine.tests.scenes import write_ball
from srn_engine.tests.server_harness import CAMERA, engine_process, raw_client

RADII = {"small": 0.5, "large": 0.8}
SEEN = CAMERA | {"pose": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, -3], [0, 0, 0, 1]]}


@pytest.fixture(scope="module")
def engine():
    with engine_process("--device", "cpu", program=("-m", "srn_engine", "serve")) as engine:
        yield engine


@pytest.fixture
def client(engine):
    with raw_client(engine.port) as client:
        yield client


def test_several_instances_are_trained_resumed_measured_and_rendered(client, tmp_path: Path):
    data = str(write_ball(tmp_path / "balls", train=3, test=1, size=16, balls=RADII))
    run = str(tmp_path / "run")
    trained = client.until(client.job("train", dataset=data, run=run, steps=1), "done", "failed")
    assert trained["result"]["steps"] == 1, trained
    more = client.job("train", dataset=data, run=run, steps=2, resume=True)
    assert client.until(more, "done", "failed")["result"]["steps"] == 2
    job = client.job("evaluate", run=run, dataset=data, split="test")
    metrics = client.until(job, "done", "failed")["result"]["metrics"]
    assert set(metrics["instances"]) == set(RADII)
    assert [row["instance"] for row in metrics["views"]] == list(RADII)
    assert metrics["mean"]["psnr"] is not None
    seen = []
    for instance in RADII:
        job = client.job("render", run=run, instance=instance, camera=SEEN, passes=["colour"])
        done = client.until(job, "done", "failed")
        seen.append(client.arrays(done)["colour"])
    assert seen[0][..., 3].sum() < seen[1][..., 3].sum(), "the small ball covers less"
    nowhere = client.job("train", dataset=data, run=str(tmp_path / "none"), resume=True)
    assert "holds no run" in client.until(nowhere, "done", "failed")["error"]


def test_a_training_of_several_shows_itself_and_its_instances_are_mixed_fitted_and_meshed(client, tmp_path: Path):
    data = str(write_ball(tmp_path / "balls", train=4, test=1, size=16, balls=RADII))
    run = str(tmp_path / "run")
    job = client.job("train", dataset=data, run=run, seconds=600, preview={"camera": SEEN, "instance": "large"})
    picture = client.until_previewed(job)[1]["colour"]
    assert picture.shape == (16, 32, 4) and picture.any()
    client.ask("cancel", job=job)
    assert client.until(job, "cancelled", "failed")["result"]["run"] == run
    seen = []
    for weights in ({"small": 2.0}, {"small": 1.0, "large": 1.0}, {"large": 1.0}):
        done = client.until(
            client.job("render", run=run, mix=weights, camera=SEEN, passes=["colour"]), "done", "failed"
        )
        seen.append(client.arrays(done)["colour"])
    assert not np.array_equal(seen[0], seen[1]) and not np.array_equal(seen[1], seen[2])
    done = client.until(client.job("mesh", run=run, instance="large", resolution=24), "done", "failed")
    arrays = client.arrays(done)
    assert isinstance(done["result"]["watertight"], bool) and len(arrays["vertices"]) == len(arrays["normals"]) > 0
    assert arrays["triangles"].max() < len(arrays["vertices"]) and arrays["triangles"].dtype == np.int32
    job = client.job("fit", run=run, dataset=data, fitted=str(tmp_path / "fitted"), views=2)
    fitted = client.until(job, "done", "failed")["result"]
    assert [found["id"] for found in fitted["instances"]] == list(RADII) and fitted["run"] == str(tmp_path / "fitted")
    assert all(0 <= found["sure"] <= 1 and found["seen_psnr"] > 0 for found in fitted["instances"])
    done = client.until(
        client.job("render", run=fitted["run"], instance="small", camera=SEEN, passes=["depth"]), "done", "failed"
    )
    assert client.arrays(done)["depth"].shape == (16, 32)


def test_views_are_proposed(client, tmp_path: Path):
    data = str(write_ball(tmp_path / "ball", train=5, test=0, size=16))
    cameras = [SEEN, SEEN | {"pose": [[-1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, 3], [0, 0, 0, 1]]}]
    job = client.job("propose_views", dataset=data, instance="ball", cameras=cameras, count=2, seconds=2)
    proposed = client.until(job, "done", "failed")["result"]
    assert sorted(proposed["views"]) == [0, 1] and len(proposed["scores"]) == 2 and proposed["psnr"] > 0
