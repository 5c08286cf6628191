"""What lies behind the instances, and the colours that Blender reckons in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from mathutils import Color
from numpy.typing import NDArray

from .. import compat
from .layers import Picture

BLACK = (0.0, 0.0, 0.0)


@dataclass(frozen=True, eq=False)
class Backdrop:
    """What a scene puts behind the instances. colour: scene-linear, None for a transparent film.

    primaries: (3, 3), from linear sRGB to the file's scene-linear colours.
    """

    colour: tuple[float, float, float] | None
    primaries: NDArray[np.float64]

    @classmethod
    def of(cls, scene: Any) -> Backdrop:
        return cls(None if scene.render.film_transparent else background(scene.world), working_primaries())

    @property
    def key(self) -> tuple[object, ...]:
        """What tells one from another."""
        return self.colour, *self.primaries.ravel().tolist()

    def finish(self, picture: Picture) -> None:
        """Brings a picture to the colours of the file, and lays it over the backdrop."""
        self.adapt(picture)
        if self.colour is not None:
            picture.fill_behind(self.colour)

    def adapt(self, picture: Picture) -> None:
        """Brings a picture to the colours of the file."""
        if not np.allclose(self.primaries, np.eye(3), atol=1e-4):
            picture.change_primaries(self.primaries)


def working_primaries() -> NDArray[np.float64]:
    """Where the axes of sRGB, which have no curve, lie in the colours of this file."""
    axes = [Color(axis).from_srgb_to_scene_linear() for axis in ((1, 0, 0), (0, 1, 0), (0, 0, 1))]
    return np.array([(axis.r, axis.g, axis.b) for axis in axes], np.float64).T


def background(world: Any) -> tuple[float, float, float]:
    """The one colour that stands for a world: that of its Background node, or of the world in the viewport.

    Scene-linear. What shines on that node, such as a sky or a picture, is not followed: instances bring their light.
    """
    if world is None:
        return BLACK
    tree = compat.world_tree(world)
    node = _background_node(tree) if tree is not None else None
    if node is None or node.inputs["Color"].is_linked:
        return tuple(world.color)
    strength = node.inputs["Strength"].default_value
    red, green, blue, _ = node.inputs["Color"].default_value
    return red * strength, green * strength, blue * strength


def _background_node(tree: Any) -> Any:
    """The Background node that the tree's output shows, None where it shows something else."""
    output = tree.get_output_node("ALL")
    links = output.inputs["Surface"].links if output is not None else ()
    node = links[0].from_node if links else None
    return node if node is not None and node.bl_idname == "ShaderNodeBackground" else None
