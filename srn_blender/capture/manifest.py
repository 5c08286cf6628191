"""dataset.json: what it says, and whether a folder holds views that a capture may go on with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import CaptureChanged, UserError
from .plan import SPLITS, Plan

FORMAT = "srn-dataset"
FILE = "dataset.json"
SUFFIXES = {"rgb": "png", "rgba": "png", "depth": "exr", "normal": "exr", "semantic": "png"}
Counts = Mapping[str, Mapping[str, int]]  # how many views are captured: instance -> split -> number


def read_manifest(root: Path) -> dict[str, Any] | None:
    """The dataset.json of a capture, None where there is none. Raises UserError where it is damaged or not readable."""
    path = root / FILE
    try:
        if not path.is_file():
            return None
        data = json.loads(path.read_text("utf-8"))
        if data["format"] == FORMAT and all(map(_is_known, [data, *data["instances"]])):
            return dict(data)
    except (ValueError, LookupError, TypeError) as error:
        raise UserError(f"Choose another folder or delete {root}: its {FILE} is damaged.") from error
    except OSError as error:
        raise UserError(f"Choose another folder: {path} cannot be read ({error.strerror}).") from error
    raise UserError(f"Choose another folder or delete {root}: its {FILE} is that of another program or version.")


def _is_known(described: Mapping[str, Any]) -> bool:
    return isinstance(described.get("id", ""), str) and isinstance(described["fingerprint"], dict)


def class_names(root: Path) -> list[str]:
    """The classes that views in a folder were labelled with, without the background, by their ids."""
    there = read_manifest(root)
    return [str(one["name"]) for one in there["classes"][1:]] if there else []


def make_manifest(plan: Plan, counts: Counts) -> dict[str, Any]:
    """What dataset.json says of `plan` where so many views are captured."""
    spoken = plan.camera.to_json()
    del spoken["pose"]
    return {
        "format": FORMAT,
        "version": 1,
        "name": plan.name,
        "blender": plan.blender,
        "units": "unit sphere",
        "depth": {"kind": "z", "miss": 0.0},
        "camera": spoken,
        "splits": {
            split: {
                "planned": sum(len(instance.poses[split]) for instance in plan.instances),
                "captured": sum(counts[instance.id][split] for instance in plan.instances),
            }
            for split in SPLITS
        },
        "passes": list(plan.passes),
        "classes": [{"id": i, "name": c.name, "colour": list(c.colour)} for i, c in enumerate(plan.classes)],
        "instances": [
            {
                "id": instance.id,
                "source": instance.source,
                "centre": [float(number) for number in instance.centre],
                "scale": instance.scale,
                **({"labelled": list(instance.labelled)} if instance.labelled is not None else {}),
                "fingerprint": dict(instance.fingerprint),
            }
            for instance in plan.instances
        ],
        "rig": dict(plan.rig),
        "fingerprint": dict(plan.fingerprint),
    }


def require_alike(root: Path, there: Mapping[str, Any], plan: Plan) -> None:
    """Raises CaptureChanged, saying what is different, where views of `plan` would not go with those in `root`.

    Instances may have been added since; none may have gone or changed.
    """
    planned = {instance.id: instance for instance in plan.instances}
    differences = _differences(there["fingerprint"], plan.fingerprint)
    if there["name"] != plan.name:
        differences.append("the dataset's name")
    for instance in there["instances"]:
        if instance["id"] not in planned:
            raise CaptureChanged(f"Choose another folder or start anew: {root} holds '{instance['id']}' as well.")
        parts = _differences(instance["fingerprint"], planned[instance["id"]].fingerprint)
        differences += [f"{part} of '{instance['source']}'" for part in parts]
    if differences:
        shown = ", ".join(differences[:3]) + (f" and {len(differences) - 3} more" if len(differences) > 3 else "")
        raise CaptureChanged(f"Choose another folder or start anew: since {root} was captured this changed: {shown}.")


def _differences(there: Mapping[str, Any], here: Mapping[str, str]) -> list[str]:
    return [part for part in sorted({*there, *here}) if there.get(part) != here.get(part)]


def discard(root: Path, there: Mapping[str, Any]) -> None:
    """Deletes the capture in `root`: what dataset.json names, and nothing else. Raises OSError."""
    for split in SPLITS:
        (root / f"transforms_{split}.json").unlink(missing_ok=True)
        for instance in there["instances"]:
            name = Path(instance["id"]).name  # never a way out of the folder
            (root / name / f"transforms_{split}.json").unlink(missing_ok=True)
            folder = root / f"{Path(there['name']).name}_{split}" / name
            for what, suffix in (*SUFFIXES.items(), ("pose", "txt")):
                for file in (folder / what).glob(f"[0-9]*.{suffix}"):
                    file.unlink(missing_ok=True)
                _remove_empty(folder / what)
            (folder / "intrinsics.txt").unlink(missing_ok=True)
            for empty in (folder, folder.parent, root / name):
                _remove_empty(empty)
    (root / FILE).unlink(missing_ok=True)


def _remove_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
