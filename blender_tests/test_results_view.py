"""What the add-on reads from a run's run.json, held against the schema that the engine's writer is held against."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from srn_blender.capture.camera import Camera
from srn_blender.errors import UserError
from srn_blender.results import view

SCHEMA = json.loads((Path(__file__).resolve().parents[1] / "docs/run.schema.json").read_text(encoding="utf-8"))
CLASSES = [{"name": "background", "colour": [0.0, 0.0, 0.0]}, {"name": "wood", "colour": [0.8, 0.5, 0.2]}]


def described(**changes: Any) -> dict[str, Any]:
    """A run.json of two instances, trained in a folder that is no longer there."""
    return {
        "format": "srn-run",
        "version": 2,
        "dataset": "/gone",
        "options": {"preset": "fast", "seconds": 60.0, "steps": None, "seed": 0, "changes": {}},
        "preset": {"kind": "fast-many", "channels": 16},
        "instances": [
            {"id": "chair", "source": "Chair", "centre": [1.0, 2.0, 3.0], "scale": 2.0},
            {"id": "table-1", "source": "Table.001", "centre": [0.0, 0.0, 0.5], "scale": 0.5},
        ],
        "classes": CLASSES,
    } | changes


def written(run: Path, description: Any) -> Path:
    run.mkdir(exist_ok=True)
    (run / "run.json").write_text(json.dumps(description), encoding="utf-8")
    return run


def test_a_run_is_read_without_its_dataset(tmp_path: Path) -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(described())
    run = written(tmp_path / "run", described())
    table = view.read_run(run, "Table.001")
    assert (table.run, table.instance, table.scale, table.has_labels) == (run, "table-1", 0.5, True)
    np.testing.assert_array_equal(table.centre, [0.0, 0.0, 0.5])
    np.testing.assert_array_equal(table.palette, [entry["colour"] for entry in CLASSES])
    assert view.read_run(run, "Lamp").instance == "chair", "the first, where none is meant"


def test_without_learned_labels_none_are_asked_for(tmp_path: Path) -> None:
    trained = view.read_run(written(tmp_path / "run", described(classes=CLASSES[:1])), "Chair")
    pose = np.eye(4)
    pose[:3, 3] = [1.0, 2.0, 9.0]
    asked = view.request(Camera(pose, 40.0, 40.0, 16.0, 8.0, 32, 16), trained)
    assert asked["passes"] == ["colour", "depth", "normal"]
    assert np.array(asked["camera"]["pose"])[:3, 3] == pytest.approx([0.0, 0.0, 3.0]), "in dataset units"


@pytest.mark.parametrize(
    ("description", "sentence"),
    [
        (described(version=1, instances=["chair"]), "Train again: .* version 1"),
        (described(version=3), "Update the extension: .* version 3"),
        (described(format="srn-dataset"), "choose the folder of a run"),
        (described(instances=[]), "Train again"),
        (described(instances=["chair"]), "Train again"),
        (described(classes=None), "Train again"),
        ([], "holds something else"),
    ],
)
def test_another_run_gets_a_sentence(tmp_path: Path, description: Any, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        view.read_run(written(tmp_path / "run", description), "Chair")


def test_no_run_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Train first"):
        view.read_run(tmp_path, "Chair")
