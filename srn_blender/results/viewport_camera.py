"""The pinhole camera of a 3D view, or of the scene's camera as a 3D view frames it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from ..capture.camera import Camera, check_supported, flip_axes
from ..errors import UserError


def view_camera(context: Any, depsgraph: Any) -> Camera:
    """The camera of the whole region, in Blender units and the region's pixels. UserError where it is no perspective.

    Blender's own projection holds all there is to it: lens, shift, zoom, offset and the frame's place in the region.
    """
    region, view, space = context.region, context.region_data, context.space_data
    if view.view_perspective == "CAMERA" and space.camera is not None and space.camera.type == "CAMERA":
        evaluated = space.camera.evaluated_get(depsgraph)
        check_supported(depsgraph.scene.render, space.camera.name, evaluated.data)
    projection = np.array(view.window_matrix, np.float64)
    if projection[3, 3] != 0.0:
        raise UserError("Switch to a perspective view (Numpad 5): orthographic ones cannot be rendered.")
    width, height = region.width, region.height
    return Camera(
        pose=flip_axes(np.linalg.inv(np.array(view.view_matrix, np.float64))),
        fl_x=projection[0, 0] * width / 2,
        fl_y=projection[1, 1] * height / 2,
        cx=(1.0 - projection[0, 2]) * width / 2,
        cy=(1.0 + projection[1, 2]) * height / 2,
        width=width,
        height=height,
    )


def shrunk(camera: Camera, factor: float) -> Camera:
    """The same camera with pixels as large as 1 / factor; the last column and row may reach beyond the picture."""
    lens = {name: factor * getattr(camera, name) for name in ("fl_x", "fl_y", "cx", "cy")}
    return replace(camera, **lens, width=math.ceil(camera.width * factor), height=math.ceil(camera.height * factor))
