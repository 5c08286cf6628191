"""The pinhole camera that both halves speak of, and how to read one off a Blender camera."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import UserError

if TYPE_CHECKING:
    import bpy

Array = NDArray[np.float64]

# A shear smaller than this is rounding in Blender's float32 matrices.
MAX_SHEAR = 1e-4
SENSOR = 36.0  # millimetres: the width of Blender's own default
NO_CAMERA = "Add a camera to the scene and make it the active one."


def flip_axes(matrix: ArrayLike) -> Array:
    """Camera to world (4, 4) in OpenCV axes from Blender's (OpenGL) axes, and the other way round."""
    return np.asarray(matrix, np.float64) @ np.diag([1.0, -1.0, -1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera.

    pose: (4, 4) float64, camera to world in OpenCV axes (x right, y down, z forward), in the units of whoever made
    it. fl_x, fl_y, cx, cy: pixels, the first pixel's centre at (0.5, 0.5), y from the top of the picture.
    """

    pose: Array
    fl_x: float
    fl_y: float
    cx: float
    cy: float
    width: int
    height: int

    @property
    def position(self) -> Array:
        """Where the camera stands, (3,) in world axes."""
        return self.pose[:3, 3]

    def project(self, points: ArrayLike) -> Array:
        """World points (..., 3) -> (..., 3): x and y in pixels, and the depth along the camera's z axis."""
        local = (np.asarray(points, np.float64) - self.position) @ self.pose[:3, :3]
        depth = local[..., 2]
        x = self.fl_x * local[..., 0] / depth + self.cx
        y = self.fl_y * local[..., 1] / depth + self.cy
        return np.stack([x, y, depth], -1)

    def unproject(self, pixels: ArrayLike, depth: ArrayLike) -> Array:
        """Pixels (..., 2) and their depths (...) along the camera's z axis -> world points (..., 3)."""
        pixels, depth = np.asarray(pixels, np.float64), np.asarray(depth, np.float64)
        x = (pixels[..., 0] - self.cx) / self.fl_x * depth
        y = (pixels[..., 1] - self.cy) / self.fl_y * depth
        return np.stack([x, y, depth], -1) @ self.pose[:3, :3].T + self.position

    def normalised(self, centre: ArrayLike, scale: float) -> Camera:
        """The same camera in dataset units, where a world point p is (p - centre) / scale."""
        pose = self.pose.copy()
        pose[:3, 3] = (pose[:3, 3] - np.asarray(centre, np.float64)) / scale
        return replace(self, pose=pose)

    def resized(self, longer_side: int) -> Camera:
        """The same view with so many pixels on the longer side; the shorter one is rounded, no pixel is stretched."""
        factor = longer_side / max(self.width, self.height)
        width, height = (max(round(factor * side), 1) for side in (self.width, self.height))
        lens = {name: factor * getattr(self, name) for name in ("fl_x", "fl_y", "cx", "cy")}
        return replace(self, **lens, width=width, height=height)

    def part(self, left: int, top: int, width: int, height: int) -> Camera:
        """The camera of a part of the picture, which begins at the pixel `left`, `top`."""
        return replace(self, cx=self.cx - left, cy=self.cy - top, width=width, height=height)

    def to_json(self) -> dict[str, Any]:
        """The `camera` object of docs/protocol.md."""
        return {
            "pose": self.pose.tolist(),
            "fl_x": self.fl_x,
            "fl_y": self.fl_y,
            "cx": self.cx,
            "cy": self.cy,
            "width": self.width,
            "height": self.height,
        }


def active_camera(scene: bpy.types.Scene) -> bpy.types.Object:
    """The scene's active camera. Raises UserError where there is none."""
    if scene.camera is None or scene.camera.type != "CAMERA":
        raise UserError(NO_CAMERA)
    return scene.camera


def camera_from_blender(scene: bpy.types.Scene, camera_object: bpy.types.Object) -> Camera:
    """The camera that a render of `scene` through `camera_object` has, in Blender units.

    Raises UserError where it is no perspective pinhole camera.
    """
    layer = scene.view_layers[0]
    layer.update()
    depsgraph = layer.depsgraph
    assert depsgraph is not None, "update() has just built it"
    return camera_in(depsgraph, scene.render, camera_object)


def camera_in(
    depsgraph: bpy.types.Depsgraph,
    render: bpy.types.RenderSettings,
    camera_object: bpy.types.Object,
    *,
    in_border: bool = False,
) -> Camera:
    """The camera that a render with these settings has where `depsgraph` puts `camera_object`, in Blender units.

    in_border: it sees the inside of the render border alone even where the picture is not cropped to that, as Blender
    asks it of a render engine.
    Raises UserError where it is no perspective pinhole camera.
    """
    evaluated = camera_object.evaluated_get(depsgraph)
    data: Any = evaluated.data
    check_supported(render, camera_object.name, data)
    full_width, full_height = _full_size(render)
    aspect = render.pixel_aspect_y / render.pixel_aspect_x
    horizontal = data.sensor_fit == "HORIZONTAL" or (data.sensor_fit == "AUTO" and full_width >= aspect * full_height)
    fitted = full_width if horizontal else aspect * full_height
    # A portrait picture with fit AUTO still measures by the sensor's width; only the fit VERTICAL takes its height.
    sensor = data.sensor_height if data.sensor_fit == "VERTICAL" else data.sensor_width
    focal = data.lens / sensor * fitted
    camera = Camera(
        pose=_rigid_pose(camera_object.name, np.array(evaluated.matrix_world, np.float64)),
        fl_x=focal,
        fl_y=focal / aspect,
        cx=full_width / 2 - data.shift_x * fitted,
        cy=full_height / 2 + data.shift_y * fitted / aspect,
        width=full_width,
        height=full_height,
    )
    cropped = render.use_border and (in_border or render.use_crop_to_border)
    return camera.part(*_border(render, full_width, full_height)) if cropped else camera


def use_lens(camera: Camera, render: bpy.types.RenderSettings, data: Any) -> None:
    """Gives a camera's datablock and the render settings the lens and size of `camera`: the way back.

    Raises UserError where Blender has no such lens.
    """
    aspect = camera.fl_x / camera.fl_y
    lens = camera.fl_x / camera.width * SENSOR
    if not 1 <= lens <= 5000:
        raise UserError("Choose cameras with a field of view from 0.5 to 173 degrees: Blender renders no others.")
    data.type, data.sensor_fit, data.sensor_width, data.lens = "PERSP", "HORIZONTAL", SENSOR, lens
    data.shift_x = 0.5 - camera.cx / camera.width
    data.shift_y = (camera.cy - camera.height / 2) * aspect / camera.width
    render.resolution_x, render.resolution_y, render.resolution_percentage = camera.width, camera.height, 100
    render.pixel_aspect_x, render.pixel_aspect_y = max(1, 1 / aspect), max(1, aspect)


def check_supported(render: bpy.types.RenderSettings, name: str, data: Any) -> None:
    """UserError where the camera `name` with this datablock is no perspective pinhole camera."""
    if getattr(data, "type", None) != "PERSP":
        raise UserError(f"Set the lens type of camera '{name}' to Perspective: other projections are not supported.")
    if data.dof.use_dof:
        raise UserError(f"Turn off Depth of Field of camera '{name}': a neural scene has no blur to match it.")
    if render.use_multiview:
        raise UserError("Turn off Stereoscopy in the Output properties: views are taken by one camera at a time.")


def _full_size(render: bpy.types.RenderSettings) -> tuple[int, int]:
    """Width and height before any cropping; Blender drops fractions of a pixel."""
    percentage = render.resolution_percentage
    return render.resolution_x * percentage // 100, render.resolution_y * percentage // 100


def _border(render: bpy.types.RenderSettings, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, width and height in pixels of what the render border holds of the full picture."""
    # In float32 and cut, as Blender does it: otherwise an edge falls on the next pixel now and then.
    left, right = (int(np.float32(edge) * np.float32(width)) for edge in (render.border_min_x, render.border_max_x))
    bottom, top = (int(np.float32(edge) * np.float32(height)) for edge in (render.border_min_y, render.border_max_y))
    return left, height - top, right - left, top - bottom


def _rigid_pose(name: str, matrix: Array) -> Array:
    """The camera's pose without its object's scale, which has no effect on a perspective picture."""
    axes = matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=0)
    if np.abs(axes.T @ axes - np.eye(3)).max() > MAX_SHEAR or np.linalg.det(axes) < 0:
        raise UserError(f"Clear the scale of camera '{name}' and its parents: it is mirrored or sheared.")
    rigid = np.eye(4)
    rigid[:3, :3], rigid[:3, 3] = axes, matrix[:3, 3]
    return flip_axes(rigid)
