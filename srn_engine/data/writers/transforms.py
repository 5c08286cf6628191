"""Writes transforms.json, as NeRF-synthetic has it and as nerfstudio and instant-ngp have it.

Poses are camera to world in OpenGL axes and dataset units, the object in the unit sphere: instant-ngp looks there only.
nerfstudio's `applied_transform` and `applied_scale` say the way from the world into the file.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from srn_engine.cameras import Intrinsics
from srn_engine.data.dataset import SPLITS, Dataset, View, Views
from srn_engine.data.writers.pictures import save_picture
from srn_engine.errors import UserError

_OPENCV_TO_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])


def write_nerf(dataset: Dataset, instance: str, folder: Path) -> None:
    """One file and one folder of PNGs a split, with a field of view and nothing else, for the original's readers.

    UserError where that cannot say how a view was taken.
    """
    for split in SPLITS:
        views = dataset.views(split, instance)
        angles = {_angle(views, view) for view in views.views}
        if len(angles) > 1:
            raise UserError(
                f"The views of {instance} have several focal lengths, which NeRF's layout cannot say; "
                "choose nerfstudio."
            )
        (folder / split).mkdir(parents=True)
        frames = []
        for number, view in enumerate(views.views):
            name = f"{split}/{number:06d}"
            save_picture(view, folder / name, only_png=True)
            frames.append({"file_path": f"./{name}", "transform_matrix": _pose(view)})
        # Readers expect all three files, and one without frames has no angle of its own.
        angle = {"camera_angle_x": angles.pop() if angles else 1.0}
        _write(folder / f"transforms_{split}.json", angle | {"frames": frames})


def write_nerfstudio(dataset: Dataset, instance: str, folder: Path) -> None:
    """One transforms.json with intrinsics in pixels and the splits by name.

    Where there are test views and no val views, the test views stand for both: nerfstudio wants both or neither.
    """
    (folder / "images").mkdir(parents=True)
    frames: list[dict[str, Any]] = []
    names: dict[str, list[str]] = {split: [] for split in SPLITS}
    for split in SPLITS:
        for number, view in enumerate(dataset.views(split, instance).views):
            name = save_picture(view, folder / "images" / f"{split}_{number:06d}").relative_to(folder).as_posix()
            names[split].append(name)
            frames.append(_said(view.camera.intrinsics) | {"file_path": name, "transform_matrix": _pose(view)})
    names["val"], names["test"] = names["val"] or names["test"], names["test"] or names["val"]
    splits = {f"{split}_filenames": listed for split, listed in names.items()} if names["test"] else {}
    shared = _said(dataset.views("train", instance).cameras[0].intrinsics) if frames else {}
    if all(frame.items() >= shared.items() for frame in frames):
        frames = [{name: value for name, value in frame.items() if name not in shared} for frame in frames]
    else:
        shared = {}
    source = dataset.instance(instance)
    way = np.concatenate([np.eye(3), -np.array(source.centre)[:, None]], axis=1).tolist()
    placed = {"applied_transform": way, "applied_scale": 1 / source.scale}
    _write(folder / "transforms.json", {"camera_model": "PINHOLE"} | shared | placed | splits | {"frames": frames})


def _pose(view: View) -> list[list[float]]:
    pose: list[list[float]] = (view.camera.pose @ _OPENCV_TO_OPENGL).tolist()
    return pose


def _said(size: Intrinsics) -> dict[str, float]:
    return {
        "fl_x": size.fl_x,
        "fl_y": size.fl_y,
        "cx": size.cx,
        "cy": size.cy,
        "w": size.width,
        "h": size.height,
    }


def _angle(views: Views, view: View) -> float:
    """The horizontal field of view, where that is the whole truth about the camera."""
    size = view.camera.intrinsics
    plain = (size.fl_x, size.width / 2, size.height / 2)
    if not np.allclose((size.fl_y, size.cx, size.cy), plain, rtol=0, atol=1e-3):
        raise UserError(
            f"View {view.name} of {views.instance.id} has a shifted lens or pixels that are not square, which NeRF's "
            "layout cannot say; choose nerfstudio."
        )
    return 2 * math.atan(size.width / 2 / size.fl_x)


def _write(path: Path, data: dict[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=1), encoding="utf-8")
