"""The engine as it is started by the add-on, with its real work: a dataset of several instances over the socket."""

from pathlib import Path

from srn_engine.tests.scenes import write_ball
from srn_engine.tests.server_harness import CAMERA, engine_process, raw_client

RADII = {"small": 0.5, "large": 0.8}


def test_several_instances_are_trained_resumed_measured_and_rendered(tmp_path: Path):
    data = str(write_ball(tmp_path / "balls", train=3, test=1, size=16, balls=RADII))
    run = str(tmp_path / "run")
    with (
        engine_process("--device", "cpu", program=("-m", "srn_engine", "serve")) as engine,
        raw_client(engine.port) as client,
    ):
        trained = client.until(client.job("train", dataset=data, run=run, steps=2), "done", "failed")
        assert trained["result"]["steps"] == 2, trained
        more = client.job("train", dataset=data, run=run, steps=4, resume=True)
        assert client.until(more, "done", "failed")["result"]["steps"] == 4
        job = client.job("evaluate", run=run, dataset=data, split="test")
        metrics = client.until(job, "done", "failed")["result"]["metrics"]
        assert set(metrics["instances"]) == set(RADII)
        assert [row["instance"] for row in metrics["views"]] == list(RADII)
        assert metrics["mean"]["psnr"] is not None
        seen = []
        for instance in RADII:
            pose = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, -3], [0, 0, 0, 1]]
            camera = CAMERA | {"pose": pose}
            job = client.job("render", run=run, instance=instance, camera=camera, passes=["colour"])
            done = client.until(job, "done", "failed")
            seen.append(client.arrays(done)["colour"])
        assert seen[0][..., 3].sum() < seen[1][..., 3].sum(), "the small ball covers less"
        nowhere = client.job("train", dataset=data, run=str(tmp_path / "none"), resume=True)
        assert "holds no run" in client.until(nowhere, "done", "failed")["error"]
