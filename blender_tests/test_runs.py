"""Runs as files: listing, naming, renaming, deleting, and how their training went."""

from __future__ import annotations

import json
import os
import stat
import struct
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from srn_blender.errors import UserError
from srn_blender.results import plot, runs
from srn_blender.results.plot_text import text_mask
from srn_blender.results.runs import BROKEN, PAUSED, THERE, TRAINED, RunReader
from srn_blender.results.runs_history import MOST_POINTS, History
from srn_blender.results.runs_watch import RunWatch


def write_run(folder: Path, *, seconds: float = 60.0, used: float = 60.0, steps: int = 500, resumable: bool = True):
    """A run's files as the engine writes them, but for the tensors."""
    folder.mkdir(parents=True, exist_ok=True)
    options = {"preset": "fast", "seconds": seconds, "steps": None, "seed": 0, "changes": {}}
    described = {
        "format": "srn-run",
        "version": 2,
        "dataset": "/data/chairs",
        "options": options,
        "preset": {"kind": "fast", "seconds": 90.0},
        "instances": [{"id": "chair", "source": "Chair", "centre": [0, 0, 0], "scale": 1.0}],
        "classes": [{"name": "background", "colour": [0, 0, 0]}],
    }
    (folder / "run.json").write_text(json.dumps(described), encoding="utf-8")
    head = json.dumps({"__metadata__": {"steps": str(steps), "seconds": repr(used)}}).encode()
    (folder / "checkpoint.safetensors").write_bytes(struct.pack("<Q", len(head)) + head)
    if resumable:
        (folder / f"training-{steps}.safetensors").write_bytes(b"optimiser")
    lines = [{"step": step, "loss": 0.1 / step, "psnr": 20 + step / 100, "seconds": step / 10} for step in (100, 200)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return folder


def test_what_a_run_says_of_itself(tmp_path: Path) -> None:
    run = runs.read_run(write_run(tmp_path / "run", seconds=60.0, used=24.0, steps=200))
    assert (run.name, run.preset, run.dataset, run.steps) == ("run", "fast", Path("/data/chairs"), 200)
    assert run.state == PAUSED and run.fraction == pytest.approx(0.4) and run.budget == 60.0
    assert run.psnr == 22.0 and run.can_continue
    assert runs.read_run(write_run(tmp_path / "whole")).state == TRAINED
    fitted = runs.read_run(write_run(tmp_path / "fitted", used=1.0, resumable=False))
    assert fitted.state == TRAINED and not fitted.can_continue


@pytest.mark.parametrize(
    ("seconds", "steps", "expected"), [(None, None, 24 / 90), (None, 400, 0.5), (48.0, 400, 0.5), (30.0, 400, 0.8)]
)
def test_progress_is_counted_as_the_engine_counts_it(tmp_path: Path, seconds, steps, expected: float) -> None:
    folder = write_run(tmp_path / "run", used=24.0, steps=200)
    described = json.loads((folder / "run.json").read_text())
    described["options"] |= {"seconds": seconds, "steps": steps}
    (folder / "run.json").write_text(json.dumps(described))
    assert runs.read_run(folder).fraction == pytest.approx(expected)


def test_a_folder_is_listed_with_its_runs_alone(tmp_path: Path) -> None:
    for name in ("run-10", "run-2", "Old"):
        write_run(tmp_path / name)
    (tmp_path / "dataset").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "host.json").write_text(json.dumps({"run": "runs/there", "fetched": False}))
    found = RunReader().list(tmp_path)
    assert [run.name for run in found] == ["Old", "run-2", "run-10", "there"]
    assert found[-1].state == THERE and found[-1].can_continue
    assert RunReader().list(tmp_path / "missing") == ()
    assert runs.read_run(tmp_path / "dataset") is None


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("run.json", "{", "cannot be read"),
        ("run.json", json.dumps({"format": "srn-run", "version": 9}), "Update the extension"),
        ("run.json", json.dumps({"format": "srn-run", "version": 2}), "damaged"),
        ("checkpoint.safetensors", "short", "damaged"),
        ("checkpoint.safetensors", "\xff" * 64, "damaged"),
    ],
)
def test_a_damaged_run_is_told_in_a_sentence(tmp_path: Path, name: str, content: str, sentence: str) -> None:
    folder = write_run(tmp_path / "run")
    (folder / name).write_text(content, encoding="latin-1")
    run = runs.read_run(folder)
    assert run.state == BROKEN and sentence in run.problem


def test_a_run_is_read_again_only_when_it_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_run(tmp_path / "run", used=24.0)
    read, count = runs.describe_run, []
    monkeypatch.setattr(runs, "describe_run", lambda folder: count.append(folder) or read(folder))
    reader = RunReader()
    assert reader.read(folder).fraction == pytest.approx(0.4)
    assert reader.list(tmp_path)[0].fraction == pytest.approx(0.4) and len(count) == 1
    write_run(folder, used=45.0)
    assert reader.read(folder).fraction == pytest.approx(0.75) and len(count) == 2


def test_a_name_that_is_taken_gets_a_number() -> None:
    taken = {"run", "run-2", "b-7", "b-8"}
    assert [runs.free_name(name, taken.__contains__) for name in ("run", "a", "b-7", "run-2")] == [
        "run-3",
        "a",
        "b-9",
        "run-3",
    ]


def test_paths_beside_a_path_are_written_as_the_person_wrote_it() -> None:
    for path, beside in (
        ("//srn/run", "//srn/new"),
        ("//run", "//new"),
        ("/a/b/", "/a/new"),
        ("C:\\runs\\one", "C:\\runs\\new"),
    ):
        assert runs.sibling(path, "new") == beside


@pytest.mark.parametrize("name", ["", "  ", "a/b", "..", ".hidden", "con", "NUL.txt", "a\nb", "x" * 101, "end."])
def test_names_that_no_folder_can_have_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="Choose another name"):
        runs.rename_run(write_run(tmp_path / "run"), name)
    assert (tmp_path / "run" / "run.json").is_file()


def test_renaming_moves_the_folder_and_never_over_another(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    assert runs.rename_run(folder, " chair 2 ") == tmp_path / "chair 2"
    assert not folder.exists() and (tmp_path / "chair 2" / "run.json").is_file()
    other = write_run(tmp_path / "other")
    with pytest.raises(UserError, match="there is a 'chair 2' already"):
        runs.rename_run(other, "chair 2")
    with pytest.raises(UserError, match="cannot be renamed"):
        runs.rename_run(tmp_path / "missing", "new")


def test_deleting_takes_what_a_run_has_written_and_leaves_the_rest(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    write_run(folder / "previous")
    (folder / "checkpoint.part").write_bytes(b"cut short")
    (folder / "report").mkdir()
    (folder / "report" / "report.html").write_text("numbers")
    assert runs.delete_run(folder) == [] and not folder.exists()
    folder = write_run(tmp_path / "run")
    (write_run(folder / "previous") / "mine.txt").write_text("keep")
    (folder / "training-notes.txt").write_text("keep")
    assert runs.delete_run(folder) == ["previous", "training-notes.txt"]
    left = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert left == [os.path.join("previous", "mine.txt"), "training-notes.txt"]
    assert runs.read_run(folder) is None, "it is no run any more"


def test_deleting_never_follows_links(tmp_path: Path) -> None:
    real = write_run(tmp_path / "real")
    (tmp_path / "link").symlink_to(real)
    with pytest.raises(UserError, match="is a link"):
        runs.delete_run(tmp_path / "link")
    folder = write_run(tmp_path / "run")
    (folder / "previous").symlink_to(real)
    (folder / "metrics.jsonl").unlink()
    (folder / "metrics.jsonl").symlink_to(real / "metrics.jsonl")
    assert runs.delete_run(folder) == ["previous"]
    assert sorted(path.name for path in real.iterdir()) == sorted(
        ["run.json", "checkpoint.safetensors", "training-500.safetensors", "metrics.jsonl"]
    )


def test_deleting_never_goes_into_junctions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Windows tells them: folders, but for their tag. On Windows it is a real one."""
    folder = write_run(tmp_path / "run")
    real = write_run(folder / "previous" if os.name != "nt" else tmp_path / "real")
    if os.name == "nt":
        import _winapi

        _winapi.CreateJunction(str(real), str(folder / "previous"))
    else:
        lstat = os.lstat
        told = SimpleNamespace(st_mode=stat.S_IFDIR | 0o777, st_reparse_tag=runs.JUNCTION)
        monkeypatch.setattr(runs.os, "lstat", lambda path: told if Path(path) == real else lstat(path))
    assert runs.delete_run(folder) == ["previous"]
    assert (real / "run.json").is_file() and (real / "checkpoint.safetensors").is_file()
    with pytest.raises(UserError, match="is a link"):
        runs.delete_run(folder / "previous")


def test_history_comes_from_the_file_and_goes_on_with_news(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 300, "loss": 0.0')  # cut short
    history = History.read(folder)
    np.testing.assert_allclose(history.psnr.curve, [[100, 21], [200, 22]])
    history.tell({"step": 150, "loss": 0.5, "psnr": 22.0}, now=0.0)
    np.testing.assert_allclose(history.loss.curve, [[100, 0.001], [150, 0.5]], err_msg="what came after is taken back")
    history.tell({"step": 250, "loss": float("nan")}, now=1.0)
    history.tell({"step": 350, "loss": 0.2, "psnr": 23.0}, now=2.0)
    assert history.step == 350 and history.speed == pytest.approx(100.0)
    assert history.loss.last == 0.2 and history.psnr.last == 23.0
    assert History.read(tmp_path).step == 0 and History().speed is None


def test_a_long_history_keeps_its_ends() -> None:
    history = History()
    for step in range(1, 3 * MOST_POINTS):
        history.tell({"step": step, "loss": 1.0 / step}, now=step / 4)
    curve = history.loss.curve
    assert len(curve) <= MOST_POINTS and curve[0, 0] == 1 and curve[-1, 0] == 3 * MOST_POINTS - 1
    assert (np.diff(curve[:, 0]) > 0).all()


def painted(picture: plot.Array, colour: tuple[float, ...]) -> np.ndarray:
    return np.abs(picture[..., :3] - np.array(colour)).max(-1) < 0.02


def test_the_plot_shows_loss_falling_and_psnr_rising() -> None:
    history = History()
    for step in range(1, 200):
        history.tell({"step": 10 * step, "loss": 0.5 * 0.97**step, "psnr": 15 + step // 20}, now=step / 4)
    picture = plot.draw(history)
    assert picture.shape == (plot.SIZE, plot.SIZE, 4) and picture.min() >= 0 and picture.max() <= 1
    half = plot.SIZE // 2
    for part, colour, rises in ((picture[:half], plot.LOSS, False), (picture[half:], plot.PSNR, True)):
        rows, columns = np.nonzero(painted(part, colour)[plot.TOP : half - plot.BOTTOM, plot.LEFT :])
        first, last = (rows[columns == column].mean() for column in (columns.min() + 40, columns.max() - 4))
        assert bool(last < first) is rises, "row 0 is at the top"
    numbers = painted(picture, plot.TEXT)
    assert numbers[:, : plot.LEFT].sum() > 200 and numbers[half - plot.BOTTOM : half].sum() > 100
    for empty in (History(), History.read(Path("/nowhere"))):
        assert not painted(plot.draw(empty), plot.PSNR)[half + plot.TOP :].any()


def test_numbers_of_any_size_have_letters() -> None:
    for number in (0.0, 1e-9, 2e-5, 0.004, 0.5, 17.2, 999.0, 1500.0, 25000.0, 3.2e6):
        label = plot._short(number)
        assert len(label) <= 5 and text_mask(label, 2).shape == (14, (6 * len(label) - 1) * 2), label
    assert [plot._short(number) for number in (5e-4, 0.02, 1500, 20000, 1.5e6)] == [
        "5e-4",
        "0.02",
        "1500",
        "20k",
        "1.5M",
    ]


def test_the_watch_looks_from_a_thread_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_run(tmp_path / "run", used=24.0)
    slow, threads = RunReader.list, []

    def list_slowly(self, parent):
        threads.append(threading.current_thread())
        time.sleep(0.3)
        return slow(self, parent)

    monkeypatch.setattr(RunReader, "list", list_slowly)
    watch, began = RunWatch(), time.perf_counter()
    assert watch.begin(folder, None) and not watch.begin(folder, None) and watch.take() is None
    assert time.perf_counter() - began < 0.2
    watch.end(timeout=10.0)
    found = watch.take()
    assert [run.name for run in found.runs] == ["run"] and found.summary.state == PAUSED
    assert painted(found.picture, plot.PSNR).any() and threads[0] is not threading.main_thread()
    assert watch.begin(folder, None)
    watch.end(timeout=10.0)
    assert watch.take().picture is found.picture, "not drawn again where nothing has changed"


def test_many_runs_are_looked_through_quickly(tmp_path: Path) -> None:
    for number in range(300):
        write_run(tmp_path / f"run-{number}")
    reader = RunReader()
    reader.list(tmp_path)
    began = time.thread_time()
    assert len(reader.list(tmp_path)) == 300
    assert time.thread_time() - began < 0.5
