"""Where instances are put one after the other, alone in the user's light, and rendered from all around."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from ..errors import UserError
from . import stage
from .background import in_background
from .camera import Camera, flip_axes, use_lens
from .dataset import View
from .geometry import Part, bounding_sphere, measure_parts
from .instance import Instance, gather_objects
from .labels import Labels, Source, find_sources, index_of
from .passes import (
    FARTHEST_HIT,
    Shot,
    colour_shot,
    geometry_shot,
    otherwise,
    prepare,
    render_shot,
    take_pass,
    use_settings,
)
from .settings import CaptureSettings

Array = NDArray[np.float64]
# How near a camera inside the unit sphere sees, in dataset units.
NEAREST = 1e-3


@dataclass(eq=False)
class Studio:
    """A scene of its own with a camera and the instance that is shown.

    instance: the one that is shown. members: its objects. parts: its geometry. centre, scale: its bounding
    sphere, in Blender units. sources: what its classes can be made of.
    """

    scene: bpy.types.Scene
    camera: bpy.types.Object
    settings: CaptureSettings
    _colour: Shot
    _geometry: Shot | None
    _folder: Path
    _cast: bpy.types.Collection
    _turner: bpy.types.Object
    _own_frame: int
    _frame: int = 0
    instance: Instance | None = None
    members: Sequence[bpy.types.Object] = ()
    parts: Sequence[Part] = ()
    centre: Array = field(default_factory=lambda: np.zeros(3))
    scale: float = 1.0
    sources: Sequence[Source] = ()
    _labels: Labels | None = None
    _indices: ExitStack = field(default_factory=ExitStack)

    @property
    def layer(self) -> Any:
        """The view layer in which the instance is evaluated."""
        return self.scene.view_layers[0]

    def show(self, instance: Instance) -> Generator[None, None, None]:
        """Puts an instance in the place of the one before and measures it, a piece at each step.

        Raises UserError where nothing of it is visible or has a size.
        """
        self._clear()
        self._frame = self._own_frame if instance.frame is None else instance.frame
        self.members = gather_objects(instance.objects)
        for member in self.members:
            self._cast.objects.link(member)
        if instance.align:
            self.scene.collection.objects.link(self._turner)
            self._turn()
        else:
            self.scene.collection.children.link(self._cast)
        yield
        yield from self.measure()
        self.instance = instance

    def measure(self) -> Generator[None, None, None]:
        """Measures the instance as it is now. Raises UserError where nothing of it is visible or has a size."""
        self._evaluate()
        yield
        self.parts = parts = measure_parts(self.layer.depsgraph)
        self.centre, self.scale = yield from in_background(lambda: bounding_sphere(parts))
        self.sources = find_sources(parts, self.settings.labels, self.settings.label_property)

    def label(self, labels: Labels) -> None:
        """Gives the materials or objects of the instance the pass indices of `labels`, until another one is shown."""
        self._labels = labels
        numbers = {carrier: index for index, source in enumerate(labels.sources, 1) for carrier in source.carriers}
        if labels.index == "material":  # a material that no face has, as that of hair, is of no class
            numbers |= {one: 0 for one in bpy.data.materials if one.pass_index and one not in numbers}
        stage.remember_indices(self.scene, list(numbers))
        for carrier, index in numbers.items():
            self._indices.callback(_set_pass_index, carrier, carrier.pass_index)
            _set_pass_index(carrier, index)

    def use_lens(self, camera: Camera) -> None:
        """Takes the views to come with the lens and size of `camera`. Raises UserError where Blender cannot."""
        use_lens(camera, self.scene.render, self.camera.data)

    def render(self, pose: Array) -> Generator[None, None, View]:
        """Renders the view from `pose`, (4, 4), OpenCV axes, dataset units, a piece at each step.

        Raises UserError where Blender cannot.
        """
        self.place_camera(pose)
        render_shot(self.scene, self._colour, self._folder, self._frame)
        rgba = np.rint(take_pass(self._folder, "rgba", self._frame) * 255).astype(np.uint8)
        if self._geometry is None:
            return View(rgba)
        yield
        render_shot(self.scene, self._geometry, self._folder, self._frame)
        use_settings(self._colour)  # those that the fingerprint is taken of
        depth = take_pass(self._folder, "depth", self._frame)[..., :1]
        hit = (depth > 0) & (depth < FARTHEST_HIT)
        normal = semantic = None
        if "normal" in self.settings.passes:
            yield
            normal = np.where(hit, take_pass(self._folder, "normal", self._frame)[..., :3], np.float32(0))
            length = np.linalg.norm(normal, axis=-1, keepdims=True)
            normal = normal / np.where(length > 0, length, np.float32(1))
        if self._labels is not None and self._labels.index:
            yield
            semantic = self._labels.ids(take_pass(self._folder, "index", self._frame)[..., :1], hit)
        depth = np.where(hit, depth / np.float32(self.scale), np.float32(0))
        return View(rgba, depth if "depth" in self.settings.passes else None, normal, semantic)

    def place_camera(self, pose: Array) -> None:
        """Moves the camera to `pose`, (4, 4), OpenCV axes, dataset units of the instance that is shown."""
        matrix = flip_axes(pose)
        matrix[:3, 3] = matrix[:3, 3] * self.scale + self.centre
        self.camera.matrix_world = Matrix(matrix.tolist())
        distance = float(np.linalg.norm(pose[:3, 3]))
        data: Any = self.camera.data
        data.clip_start = max(0.5 * (distance - 1), NEAREST) * self.scale
        data.clip_end = 2 * (distance + 1) * self.scale

    def go_to_own_frame(self) -> None:
        """Evaluates everything as it is at the user's frame, until something is measured or shown."""
        self.scene.frame_set(self._own_frame)

    def close(self) -> None:
        """Gives the materials and objects of the instance their own pass indices back."""
        self._indices.close()

    def _evaluate(self) -> None:
        """As a render does it: an update alone would show what is animated as it is at the user's frame."""
        self.scene.frame_set(self._frame)

    def _turn(self) -> None:
        """Undoes the rotation of the one object that all others of the instance hang on, about its own origin."""
        roots = [member for member in self.members if member.parent not in self.members]
        if len(roots) > 1:
            names = ", ".join(root.name for root in roots[:3])
            raise UserError(f"Parent the parts to one object, or turn off Align: {names} have a rotation each.")
        self._evaluate()
        root: Any = roots[0].evaluated_get(self.layer.depsgraph)
        location, rotation, _ = root.matrix_world.decompose()
        there = Matrix.Translation(location)
        self._turner.matrix_world = there @ rotation.inverted().to_matrix().to_4x4() @ there.inverted()

    def _clear(self) -> None:
        self.close()
        self.instance, self._labels, self.parts = None, None, ()
        for member in list(self._cast.objects):
            self._cast.objects.unlink(member)
        root = self.scene.collection
        if self._cast.name in root.children:
            root.children.unlink(self._cast)
        if self._turner.name in root.objects:
            root.objects.unlink(self._turner)
        self._turner.matrix_world = Matrix()


def _set_pass_index(datablock: Any, index: int) -> None:
    with suppress(ReferenceError):  # the user has deleted it meanwhile
        datablock.pass_index = index


@contextmanager
def open_studio(scene: bpy.types.Scene, settings: CaptureSettings) -> Iterator[Studio]:
    """A studio in the light of `scene`; on the way out, whatever happened, all is as it was before.

    Raises UserError where Cycles is missing or the temporary folder is full.
    """
    if not hasattr(scene, "cycles"):
        raise UserError("Turn on the add-on Cycles Render Engine in the preferences: views are rendered with Cycles.")
    with ExitStack() as undo:
        stage.keep_images(undo)
        folder = _make_scratch(undo)
        own, index = stage.add_stage(scene, undo), index_of(settings.labels)
        prepare(own, folder)
        colour, geometry = colour_shot(own, settings.engine, settings.samples), None
        if index or {"depth", "normal"} & set(settings.passes):
            geometry = geometry_shot(own, settings.engine, settings.passes, index)
            colour = otherwise(colour, geometry)
        use_settings(colour)
        camera, cast = stage.add_camera(undo), stage.add_cast(undo)
        turner = stage.add_turner(cast, undo)
        studio = Studio(own, camera, settings, colour, geometry, folder, cast, turner, scene.frame_current)
        undo.callback(studio.close)
        own.collection.objects.link(camera)
        own.camera = camera
        yield studio


def _make_scratch(undo: ExitStack) -> Path:
    try:
        # On Windows a file stays while another program reads it; Blender deletes its own folder when it quits.
        folder = tempfile.TemporaryDirectory(prefix="srn-", dir=bpy.app.tempdir, ignore_cleanup_errors=True)
        return Path(undo.enter_context(folder))
    except OSError as error:
        raise UserError(
            f"Free some space in Blender's temporary folder {bpy.app.tempdir}: {error.strerror}."
        ) from error
