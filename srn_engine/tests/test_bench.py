"""The table of scripts/bench: what its lines say, what is kept, and the rows that are measured within seconds."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from bench import few_views, instances, one_class, one_object
from bench.context import Bench, Row
from bench.figures import Figure, Measured, about, keep, kept_before, surroundings, table
from bench.judging import Judged, galleries, mean_of
from bench.procedural import SIZE, VIEWS, Shape, write_shapes
from bench.table import ROWS, chosen, measure

from srn_engine.baselines.gallery import read_gallery
from srn_engine.data.readers import open_dataset
from srn_engine.model.paper.preset import PaperPreset
from srn_engine.model.presets import Choice, FastManyPreset, FastPreset
from srn_engine.tests.scenes import write_ball
from srn_engine.train import options

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    root = tmp_path_factory.mktemp("bench")
    write_ball(root / "chairs", train=24, test=2, size=16, balls={"small": 0.4, "middle": 0.6, "large": 0.9})
    write_ball(root / "chairs_new", train=24, test=2, size=16, balls={"new": 0.55, "other": 0.75})
    return Bench(root, root / "work", CPU, hurry=600, class_seconds=60)


@pytest.fixture
def tiny_presets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The presets, but of sizes that train in seconds; and less that is done several times."""
    fast = FastManyPreset(side=16, encoder_widths=(16, 24), rays=512, guess_rays=256, fit_steps=5)
    paper = PaperPreset(conditioning="hypernetwork", code=16, hidden=32, instances=2, rays=128, fit_steps=5)
    choices = {"fast": Choice(FastPreset(), fast), "paper": Choice(paper, paper)}
    monkeypatch.setattr(options, "PRESETS", choices)
    monkeypatch.setattr(few_views, "PRESETS", choices)
    monkeypatch.setattr(few_views, "OTHER_SINGLES", (4, 8))
    monkeypatch.setattr(few_views, "DRAWS", (0, 1))


def test_a_figure_is_held_against_its_bar_and_its_reference() -> None:
    quality = Figure("q", 30.0, "dB", bar=28.0, reference=23.7)
    assert quality.reached and quality.against == "+6.3 dB"
    time = Figure("t", 4.0, "s", bar=3.0, reference=300.0, lower=True)
    assert time.reached is False and time.against == "75 ×"
    rate = Figure("r", 60.0, "1/s", reference=20.0)
    assert rate.reached is None and rate.against == "3 ×"
    assert Figure("f", None, "s", bar=3.0, reference=1.0).against == ""


def test_the_table_has_a_line_for_each_figure_and_columns_for_each_device() -> None:
    measured = [
        Measured("a", "cpu", 1.0, (Figure("quality", 30.0, "dB", 28.0, 20.0), Figure("broken", None, "", note="No."))),
        Measured("a", "cuda", 1.0, (Figure("quality", 27.0, "dB", 28.0),)),
    ]
    lines = table(measured).splitlines()
    assert lines[0] == "| measure | bar | cpu | against the reference | cuda | against the reference |"
    assert lines[2] == "| quality | 28 dB | 30 dB ✓ | +10.0 dB | 27 dB ✗ |  |"
    assert lines[3] == "| broken |  | failed: No. |  |  |  |"


def test_what_is_kept_says_what_it_was_measured_with(tmp_path: Path) -> None:
    around = surroundings(["--only", "floors"])
    assert len(around["commit"]) == 40 and around["versions"]["torch"] == torch.__version__
    assert around["machine"]["cores"] >= 1 and around["commit"][:12] in about(around)
    measured = [Measured("a", "cpu", 1.5, (Figure("quality", 30.0, "dB"),))]
    path = keep(tmp_path / "benchmarks", around, measured)
    kept = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert kept["measured"][0]["figures"][0]["value"] == 30.0 and kept["arguments"] == ["--only", "floors"]
    assert table(measured) in path.read_text(encoding="utf-8")


def test_a_table_is_gone_on_with_but_for_what_failed(tmp_path: Path) -> None:
    good = Measured("a", "cpu", 1.5, (Figure("quality", 30.0, "dB"), Figure("time", 2.0, "s", lower=True)))
    around = surroundings([])
    path = keep(tmp_path, around, [good, Measured("b", "cpu", 1.0, (Figure("b", None, "", note="No."),))])
    assert kept_before(path.with_suffix(".json")) == (around, [good])
    keep(tmp_path, around | {"commit": "0" * 40}, [good])
    later, _ = kept_before(next(tmp_path.glob("*-0000000.json")))
    assert later["resumed_at"] == [around["commit"]] and around["commit"][:12] in about(later)


def test_a_row_may_wait_to_be_asked_for_or_for_a_gpu() -> None:
    names = [row.name for row in chosen(None, "cpu")]
    assert "reference-many" not in names and "large" not in names and "chairs" in names
    assert "large" in [row.name for row in chosen(None, "cuda")]
    assert [row.name for row in chosen(["reference-many"], "cpu")] == ["reference-many"]


def test_the_floors_are_what_the_pictures_make_them(bench: Bench) -> None:
    figures = {figure.what: figure.value for figure in measure(Row("f", one_class.picture_floors), bench).figures}
    white = figures["new chairs: white"]
    nearest = figures["new chairs: the known chair that looks most alike in one view"]
    assert len(figures) == 5 and white < figures["new chairs: mean picture of the view"] < nearest


def test_one_class_in_the_true_silhouette_gets_its_share(bench: Bench) -> None:
    frequent, seat = measure(Row("l", one_class.label_floors), bench).figures
    train, test = (galleries(bench, "chairs_new", split) for split in ("train", "test"))
    judged = [labels for one in (*(g.without([0]) for g in train), *test) for labels in one.labels]
    classes = [set(np.unique(labels)) - {0} | {one_class.SEAT} for labels in judged]
    shares = [
        (labels == one_class.SEAT).sum() / (labels > 0).sum() / len(among)
        for labels, among in zip(judged, classes, strict=True)
    ]
    assert seat.value == pytest.approx(np.mean(shares)), "and the other class gets nothing"
    assert frequent.value > seat.value + 0.2, "another ball's labels nearly fit"


def test_the_network_of_2016_is_held_against_white(bench: Bench) -> None:
    known, one, two = measure(Row("t", one_class.network_of_2016), bench).figures
    assert "against white" in known.note and all(figure.reference < figure.value + 10 for figure in (known, one, two))


def test_a_row_that_cannot_be_measured_says_why(bench: Bench, tmp_path: Path) -> None:
    measured = measure(Row("floors", one_class.picture_floors), Bench(tmp_path, tmp_path, CPU))
    assert measured.figures[0].value is None and "holds no dataset" in measured.figures[0].note
    assert "failed: " in table([measured])


def test_learning_a_class_sees_no_labels(bench: Bench) -> None:
    data = open_dataset(bench.unlabelled("chairs"))
    views = data.views("train", "small")
    assert len(data.classes) == 1 and not views.has("semantic") and len(views) == 24
    assert np.all(read_gallery(views).colour == galleries(bench, "chairs", "train")[0].colour)


@pytest.mark.usefixtures("tiny_presets")
def test_new_instances_are_judged_by_the_views_that_were_not_given(bench: Bench) -> None:
    # A moment of training: how good the pictures are by then is the machine's doing, and not asked here.
    (known,) = measure(Row("c", few_views.unseen_views), bench).figures
    assert 5 < known.value < 60 and 5 < known.reference < known.value + 10
    figures = {figure.what: figure for figure in measure(Row("f", few_views.few_views), bench).figures}
    one, worse = (
        figures["new chairs from one view: fast"],
        figures["new chairs from one view: fast, views worse than white"],
    )
    assert one.bar == 22.5 and 5 < one.value < 60 and worse.note == "of 50"
    assert figures["new chairs from 2 views: fast, views worse than white"].note == "of 48"
    assert figures["fitting one new chair to one view, alone: fast"].value > 0
    miou, _, silhouette = measure(Row("l", few_views.labels), bench).figures
    assert 0 <= miou.value < 1 and miou.reference > 0.3 and 0 < silhouette.value <= 1


@pytest.mark.usefixtures("tiny_presets")
def test_the_reference_gets_the_same_lines(bench: Bench) -> None:
    figures = measure(Row("r", few_views.reference), bench).figures
    assert all(figure.value is not None and figure.bar is None and "paper" in figure.what for figure in figures)
    assert len(figures) == 9


@pytest.mark.usefixtures("tiny_presets")
def test_a_run_is_made_once(bench: Bench) -> None:
    dataset = bench.unlabelled("chairs")
    run = bench.trained(dataset, "paper", 300.0)
    again = Bench(bench.data, bench.work, CPU, hurry=600).trained(dataset, "paper", 300.0)
    assert run == again and (run.folder / "checkpoint.safetensors").is_file() and run.steps > 0


def test_views_worse_than_white_are_counted() -> None:
    judged = [Judged(20.0, 15.0, 0.5), Judged(12.0, 15.0), Judged(14.0, 13.0, 0.7)]
    assert few_views.worse(judged) == 1 and mean_of(judged, "miou") == pytest.approx(0.6)


def test_made_shapes_are_balls_and_boxes_that_every_view_shows(tmp_path: Path) -> None:
    data = open_dataset(write_shapes(tmp_path / "shapes", 3))
    assert len(data.instances) == 3 and len(data.views("train", "shape0002")) == VIEWS
    kinds = set()
    for seed in range(12):
        shape = Shape(np.random.default_rng(seed))
        kinds.add(shape.is_ball)
        for camera in data.views("train", "shape0000").cameras:
            alpha = shape.seen_from(camera)[..., 3]
            assert alpha[SIZE // 2, SIZE // 2] == 255 and alpha[0].max() == alpha[:, 0].max() == 0
            if shape.is_ball:
                radius = shape.half[0]
                silhouette = radius / np.sqrt(9 - radius**2) * camera.intrinsics.fl_x
                assert (alpha / 255).sum() == pytest.approx(np.pi * silhouette**2, rel=0.03)
    assert kinds == {True, False}
    assert (tmp_path / "shapes" / "shapes_train" / "shape0000" / "rgba" / "000000.png").is_file()


def test_more_instances_are_held_against_few() -> None:
    few, many = ({"peak": peak, "step": step, "rest": rest} for peak, step, rest in ((5e8, 0.1, 5.0), (7e8, 0.1, 50.0)))
    memory, step, rest = instances.figures((50, 500), few, many, "it grows")
    assert memory.value == 700 and memory.reached is False and step.reached and rest.value == rest.reference == 100
    assert memory.note == "against 50 instances; it grows"


def test_each_row_has_a_name_of_its_own() -> None:
    parts = (one_object, one_class, few_views, instances)
    assert len(ROWS) == sum(len(part.ROWS) for part in parts)
