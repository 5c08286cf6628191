"""The neural view of a scene's camera: what to ask the engine for, and its answer as images."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Vector
from numpy.typing import NDArray

from ..capture.background import in_background
from ..capture.camera import Camera, camera_from_blender
from ..capture.instance import SURFACES
from ..engine.fetching import CHECKPOINT, DESCRIBED
from ..errors import UserError
from . import images

# What the last neural view shows, kept on its colour image so that it is saved with it.
VIEW_KEY = "srn_view"
FORMAT, VERSION = "srn-run", 2  # docs/run.md
MAX_SIZE = 8192  # pixels a side, docs/protocol.md
# How far the corners of a part's bounding box may lie from the instance's centre, in the radius of the sphere that
# holds all its points: a box around a ball in the middle reaches the square root of 3.
BOX_REACH = 1.75


@dataclass(frozen=True)
class Trained:
    """An instance that a run was trained on.

    centre: (3,) and scale: from dataset units to Blender units. palette: (classes, 3), sRGB, by class id.
    classes: their names, by their ids. source: the name of the object or collection that was captured.
    """

    run: Path
    instance: str
    source: str
    centre: NDArray[np.float64]
    scale: float
    palette: NDArray[np.float64]
    has_labels: bool
    classes: tuple[str, ...]


def read_run(run: Path, source: str) -> Trained:
    """What the run in the folder `run` was trained on, as its run.json says (docs/run.md).

    source: what is meant where there are several: the name of the object or collection, or the instance's id; the first
    counts where none has it.
    Raises UserError where the run cannot be read.
    """
    described = describe_run(run)
    try:
        instances, classes = described["instances"], described["classes"]
        instance = next((one for one in instances if source in (one["source"], one["id"])), instances[0])
        return Trained(
            run=run,
            instance=str(instance["id"]),
            source=str(instance["source"]),
            centre=np.array(instance["centre"], np.float64).reshape(3),
            scale=float(instance["scale"]),
            palette=np.array([entry["colour"] for entry in classes], np.float64).reshape(-1, 3),
            has_labels=len(classes) > 1,
            classes=tuple(str(entry["name"]) for entry in classes),
        )
    except (KeyError, IndexError, TypeError, ValueError):
        raise not_a_run(run) from None


def describe_run(run: Path) -> dict[str, Any]:
    """What the run.json in the folder `run` says (docs/run.md); UserError where it is not one of this version."""
    path = run / DESCRIBED
    described = _read_json(path)
    version = described.get("version")
    if described.get("format") != FORMAT or not isinstance(version, int):
        raise UserError(f"Train again, or choose the folder of a run: {path} describes none.")
    if version != VERSION:
        remedy = "Train again" if version < VERSION else "Update the extension"
        raise UserError(f"{remedy}: {path} is of version {version}, and this extension reads version {VERSION}.")
    return described


def not_a_run(run: Path) -> UserError:
    """What to say of a run.json that lacks what it must hold."""
    return UserError(f"Train again: {run / DESCRIBED} is not a run of this version.")


def seen_by(scene: bpy.types.Scene, camera: bpy.types.Object) -> Camera:
    """What a render of `scene` through `camera` sees, in Blender units.

    Raises UserError where such a camera is not supported or the picture is too large for the engine.
    """
    return fitting(camera_from_blender(scene, camera))


def fitting(camera: Camera) -> Camera:
    """The same camera; UserError where its picture is too large for the engine."""
    if max(camera.width, camera.height) > MAX_SIZE:
        raise UserError(f"Lower the resolution: the engine renders at most {MAX_SIZE} pixels a side.")
    return camera


def request(camera: Camera, trained: Trained) -> dict[str, Any]:
    """The parameters of the `render` job for a camera in Blender units, but for the folder of the run."""
    passes = ["colour", "depth", "normal"] + (["semantic"] if trained.has_labels else [])
    normalised = camera.normalised(trained.centre, trained.scale).to_json()
    return {"instance": trained.instance, "camera": normalised, "passes": passes}


def show(
    arrays: Mapping[str, NDArray[Any]], camera: Camera, trained: Trained, stamp: str
) -> Generator[None, None, dict[str, bpy.types.Image]]:
    """The arrays that answer `request(camera, trained)` as image datablocks, by name, in short steps.

    stamp: as `stamp_of` gave it when they were asked for.
    """
    pictures = yield from in_background(lambda: images.encoded(arrays, trained.scale, trained.palette))
    shown = {name: images.place(name, picture) for name, picture in pictures.items()}
    described = {
        "camera": camera.to_json(),
        "centre": trained.centre.tolist(),
        "scale": trained.scale,
        "run": str(trained.run),
        "instance": trained.instance,
        "source": trained.source,
        "stamp": stamp,
        "classes": list(trained.classes) if trained.has_labels else [],
        "palette": trained.palette.tolist(),
    }
    shown[images.COLOUR][VIEW_KEY] = json.dumps(described)
    images.show_thumbnail(shown[images.COLOUR], pictures[images.COLOUR].thumbnail)
    return shown


def stamp_of(run: Path) -> str:
    """What tells one state of a run's networks from another; empty where there are none."""
    try:
        found = (run / CHECKPOINT).stat()
    except OSError:
        return ""
    return f"{found.st_mtime_ns} {found.st_size}"


def is_current(camera: Camera, trained: Trained) -> bool:
    """Whether the neural view that is shown is of this camera, in Blender units, and of the run as it is now."""
    shown = _shown()
    told = [shown.get(key) for key in ("run", "instance", "stamp")]
    return told == [str(trained.run), trained.instance, stamp_of(trained.run)] and is_of(camera)


def shown_source(run: Path) -> str:
    """The name of the instance that the neural view shows, where it is of this run; else empty."""
    shown = _shown()
    return str(shown.get("source", "")) if shown.get("run") == str(run) else ""


def shown_classes() -> list[tuple[str, tuple[float, float, float]]]:
    """Name and colour (sRGB) of the classes of the neural view that is shown, by their ids; none without labels."""
    shown = _shown()
    names = shown.get("classes", [])
    return [(name, (r, g, b)) for name, (r, g, b) in zip(names, shown.get("palette", []), strict=False)]


def shown_scale() -> float:
    """Blender units per dataset unit of the neural view that is shown; 1 where that is not known."""
    return float(_shown().get("scale", 1.0))


def is_of(camera: Camera) -> bool:
    """Whether the neural view that is shown was taken by this camera, in Blender units."""
    shown = _shown().get("camera", {})
    return bool(shown) and all(np.allclose(shown[key], value, atol=1e-4) for key, value in camera.to_json().items())


def strangers(scene: bpy.types.Scene) -> list[str]:
    """Objects that a render of `scene` shows and that do not lie where the captured instance was."""
    shown = _shown()
    if not shown:
        return []
    names = []
    for thing in scene.view_layers[0].objects:
        if thing.type in SURFACES and not thing.hide_render:
            box = np.array([thing.matrix_world @ Vector(corner) for corner in thing.bound_box])
            if np.linalg.norm(box - shown["centre"], axis=1).max() > BOX_REACH * shown["scale"]:
                names.append(thing.name)
    return names


def _shown() -> dict[str, Any]:
    image: Any = bpy.data.images.get(images.COLOUR)
    return json.loads(image[VIEW_KEY]) if image is not None and VIEW_KEY in image else {}


def _read_json(path: Path) -> dict[str, Any]:
    remedy = "Train first, or choose the folder of a run"
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{remedy}: there is no {path}.") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{remedy}: {path} cannot be read ({error}).") from None
    if not isinstance(read, dict):
        raise UserError(f"{remedy}: {path} holds something else.")
    return read
