"""One Cycles render per view, with all its passes, in a scene of its own beside the user's."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from .. import compat
from ..errors import UserError
from .camera import Camera, flip_axes, use_lens
from .dataset import View
from .instance import Part, bounding_sphere, measure_parts
from .labels import Labels, make_labels
from .plain import plain_properties, plain_value
from .settings import CaptureSettings

Array = NDArray[np.float64]
NAME = "SRN Capture"
# Cycles puts a miss at 1e10.
FARTHEST_HIT = 1e9
# How near a camera inside the unit sphere sees, in dataset units.
NEAREST = 1e-3


@dataclass(frozen=True, eq=False)
class Studio:
    """The scene that renders the views of one instance: nothing but the instance, the user's lights and the world."""

    scene: bpy.types.Scene
    camera: bpy.types.Object
    folder: Path
    parts: Sequence[Part]
    centre: Array
    scale: float
    labels: Labels

    def use_lens(self, camera: Camera) -> None:
        """Takes the views to come with the lens and size of `camera`. Raises UserError where Blender cannot."""
        use_lens(camera, self.scene.render, self.camera.data)

    def render(self, pose: Array) -> View:
        """Renders the view from `pose`, (4, 4), OpenCV axes, dataset units. Raises UserError where Blender cannot."""
        self._place_camera(pose)
        try:
            bpy.ops.render.render(scene=self.scene.name)
        except RuntimeError as error:
            raise UserError(f"Try again when Blender can render: {str(error).strip()}") from error
        depth = self._take("depth", "exr")[..., :1]
        hit = (depth > 0) & (depth < FARTHEST_HIT)
        rgba = np.rint(self._take("rgba", "png") * 255).astype(np.uint8)
        normal = self._take("normal", "exr")[..., :3]
        length = np.linalg.norm(normal, axis=-1, keepdims=True)
        return View(
            rgba=rgba,
            depth=np.where(hit, depth / np.float32(self.scale), np.float32(0)),
            # Averaged over the samples of a pixel, Cycles' normals are shorter than 1 at edges.
            normal=np.where(hit & (length > 0), normal / np.maximum(length, np.float32(1e-12)), np.float32(0)),
            semantic=self.labels.ids(self._take("index", "exr")[..., :1], hit) if self.labels.index else None,
        )

    def _place_camera(self, pose: Array) -> None:
        matrix = flip_axes(pose)
        matrix[:3, 3] = matrix[:3, 3] * self.scale + self.centre
        self.camera.matrix_world = Matrix(matrix.tolist())
        distance = float(np.linalg.norm(pose[:3, 3]))
        data: Any = self.camera.data
        data.clip_start = max(0.5 * (distance - 1), NEAREST) * self.scale
        data.clip_end = 2 * (distance + 1) * self.scale

    def _take(self, name: str, suffix: str) -> NDArray[np.float32]:
        """The pixels that a file output has just written; the file goes, so that none is ever taken twice."""
        path = compat.file_output_path(self.scene, self.folder, name, suffix)
        if not path.is_file():
            raise UserError(f"Free some space on the disk of {self.folder}: Blender could not write its passes there.")
        pixels = load_pixels(path)
        path.unlink()
        return pixels


def load_pixels(path: Path) -> NDArray[np.float32]:
    """The stored values of an image file, (H, W, 4) float32, the top row first. Raises UserError for a broken one."""
    try:
        image: Any = bpy.data.images.load(str(path))
    except RuntimeError as error:
        raise UserError(f"Delete {path} and capture again: Blender cannot read it.") from error
    try:
        image.colorspace_settings.name = "Non-Color"  # the values as they are stored
        width, height = image.size
        if not width * height:
            raise UserError(f"Delete {path} and capture again: Blender cannot read it.")
        pixels = np.empty(width * height * 4, np.float32)
        image.pixels.foreach_get(pixels)
    finally:
        bpy.data.images.remove(image)
    return np.ascontiguousarray(pixels.reshape(height, width, 4)[::-1])


@contextmanager
def open_studio(
    scene: bpy.types.Scene, objects: Sequence[bpy.types.Object], settings: CaptureSettings
) -> Iterator[Studio]:
    """A studio for `objects` of `scene`; on the way out, whatever happened, all is as it was before.

    Raises UserError where the objects have no size or too many classes, and where Cycles is missing.
    """
    if not hasattr(scene, "cycles"):
        raise UserError("Turn on the add-on Cycles Render Engine in the preferences: views are rendered with Cycles.")
    with ExitStack() as undo:
        undo.callback(_remove_new_images, {image.name for image in bpy.data.images})
        stage: Any = bpy.data.scenes.new(NAME)
        undo.callback(_remove_scene, stage)
        _copy_settings(scene, stage)
        for member in dict.fromkeys([*objects, *_lights(scene)]):
            stage.collection.objects.link(member)
        camera = _add_camera(stage, undo)
        _set_up_render(stage, settings.samples)
        layer = stage.view_layers[0]
        layer.update()
        parts = measure_parts(layer.depsgraph)
        centre, scale = bounding_sphere(parts)
        labels = make_labels(parts, settings.labels, settings.label_property, settings.classes)
        for index, source in enumerate(labels.sources, 1):
            for carrier in source.carriers:
                undo.callback(_set_pass_index, carrier, carrier.pass_index)
                _set_pass_index(carrier, index)
        folder = _make_scratch(undo)
        _route_passes(stage, folder, labels.index)
        yield Studio(stage, camera, folder, parts, centre, scale, labels)


def _make_scratch(undo: ExitStack) -> Path:
    try:
        return Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="srn-", dir=bpy.app.tempdir)))
    except OSError as error:
        raise UserError(
            f"Free some space in Blender's temporary folder {bpy.app.tempdir}: {error.strerror}."
        ) from error


def _set_pass_index(datablock: Any, index: int) -> None:
    with suppress(ReferenceError):  # the user has deleted it meanwhile
        datablock.pass_index = index


def _remove_new_images(there: set[str]) -> None:
    """Takes away the images that Blender has made on its own: others could be the user's."""
    for name in {"Render Result", "Viewer Node"} - there:
        if name in bpy.data.images:
            bpy.data.images.remove(bpy.data.images[name])


def _remove_scene(scene: bpy.types.Scene) -> None:
    with suppress(ReferenceError):  # an undo has taken it already
        scene.render.use_persistent_data = False  # frees what Cycles has kept of it
        compat.remove_compositor_tree(scene)
        bpy.data.scenes.remove(scene)


def _copy_settings(scene: Any, stage: Any) -> None:
    """Gives the stage what of the user's settings has a part in a picture.

    Not by Scene.copy(): that takes along the sequencer's and the simulations' data, and in 4.2 it leaves objects behind
    that Blender believes in use for ever.
    """
    for name in ("render", "cycles", "cycles_curves"):
        _copy_plain(getattr(scene, name), getattr(stage, name))
    _copy_plain(scene, stage)
    stage.world = scene.world
    for key, value in scene.items():  # materials and drivers may read a scene's custom properties
        if isinstance(value, bool | int | float | str):
            stage[key] = value


def _copy_plain(source: Any, target: Any) -> None:
    defaults = dict(plain_properties(target))
    for name, value in plain_properties(source):
        # Setting what is already there would run update callbacks, some of which need a window.
        if name != "name" and plain_value(value) != plain_value(defaults[name]):
            setattr(target, name, value)


def _lights(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """The lights that a render of the scene has."""

    def shown(layer: bpy.types.LayerCollection) -> Iterator[bpy.types.Object]:
        if layer.exclude or layer.collection.hide_render:
            return
        yield from layer.collection.objects
        for child in layer.children:
            yield from shown(child)

    root = scene.view_layers[0].layer_collection
    return [member for member in shown(root) if member.type == "LIGHT" and not member.hide_render]


def _add_camera(scene: bpy.types.Scene, undo: ExitStack) -> bpy.types.Object:
    data = bpy.data.cameras.new(NAME)
    undo.callback(_remove_camera, data)
    camera = bpy.data.objects.new(NAME, data)
    scene.collection.objects.link(camera)
    scene.camera = camera
    return camera


def _remove_camera(data: bpy.types.Camera) -> None:
    with suppress(ReferenceError):
        bpy.data.cameras.remove(data)  # and the object with it


def _set_up_render(scene: Any, samples: int) -> None:
    render, view, cycles = scene.render, scene.view_settings, scene.cycles
    render.engine = "CYCLES"
    render.use_border = render.use_multiview = render.use_motion_blur = render.use_freestyle = False
    render.film_transparent = render.use_compositing = render.use_persistent_data = True
    render.use_sequencer = False
    render.dither_intensity = 0.0  # noise in the last bit of each colour
    compat.use_cpu_compositor(scene)
    cycles.samples, cycles.time_limit, cycles.use_animated_seed = samples, 0.0, False
    try:
        scene.display_settings.display_device = "sRGB"
        view.view_transform, view.look = "Standard", "None"
    except TypeError as error:
        raise UserError("Start Blender with its own OpenColorIO configuration: this one lacks Standard.") from error
    view.exposure, view.gamma, view.use_curve_mapping = 0.0, 1.0, False
    compat.turn_off_white_balance(view)


def _route_passes(scene: bpy.types.Scene, folder: Path, index: str) -> None:
    """A file for each pass: the only way to a render's pixels where there is no window."""
    layer = scene.view_layers[0]
    layer.use_pass_z = layer.use_pass_normal = True
    layer.use_pass_material_index = index == "material"
    layer.use_pass_object_index = index == "object"
    tree = compat.own_compositor_tree(scene)
    with bpy.context.temp_override(scene=scene):  # or else the node would for a moment count as a user of another
        layers: Any = tree.nodes.new("CompositorNodeRLayers")
    colour = layers.outputs["Image"]
    tree.links.new(colour, compat.add_compositor_output(tree).inputs[0])
    compat.add_file_output(tree, colour, folder, "rgba", "PNG", "RGBA")
    compat.add_file_output(tree, layers.outputs["Depth"], folder, "depth", "OPEN_EXR", "RGB")
    compat.add_file_output(tree, layers.outputs["Normal"], folder, "normal", "OPEN_EXR", "RGB")
    if index:
        compat.add_file_output(tree, layers.outputs[compat.index_socket(index)], folder, "index", "OPEN_EXR", "RGB")
