"""The images that materials and the world show: whether their files are there, and what they hold."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ..errors import UserError
from .geometry import Part

CHUNK = 1 << 22  # bytes read from a file at a time


@dataclass(frozen=True, eq=False)
class ImageContent:
    """What an image shows: data in memory that no file has, or files."""

    data: Any
    files: Sequence[Path]

    @cached_property
    def digest(self) -> str:
        """A hash of all of it; reads the files, and needs no Blender."""
        digest = hashlib.blake2b(self.data, digest_size=16)
        for path in self.files:
            if path.is_file():
                with path.open("rb") as file:
                    while piece := file.read(CHUNK):
                        digest.update(piece)
        return digest.hexdigest()


def content_of(image: Any) -> ImageContent:
    """What an image holds: pixels that a person has painted and not saved, else what is packed, else its files."""
    if image.is_dirty:
        pixels = np.empty(len(image.pixels), np.float32)
        image.pixels.foreach_get(pixels)
        return ImageContent(pixels.data, ())
    packed = [one.packed_file for one in image.packed_files]
    return ImageContent(b"".join(one.data for one in packed if one is not None), files_of(image))


def require_textures(parts: Sequence[Part], world: bpy.types.World | None) -> None:
    """Raises UserError, naming the image and its file, where a texture in use cannot be read."""
    users: list[Any] = [world, *(material for part in parts for material in part.materials)]
    trees = [user.node_tree for user in dict.fromkeys(users) if user and user.node_tree]
    for tree in trees:
        for image in _images(tree, set()):
            for path in files_of(image):
                if not path.is_file():
                    raise UserError(f"Find the missing file of image '{image.name}' or unlink it: {path}")


def _images(tree: Any, seen: set[int]) -> Iterator[bpy.types.Image]:
    """The images of a node tree's texture nodes and of the groups in it."""
    seen.add(tree.as_pointer())
    for node in tree.nodes:
        if node.mute:
            continue
        inner = getattr(node, "node_tree", None)
        if inner and inner.as_pointer() not in seen:
            yield from _images(inner, seen)
        if node.type in {"TEX_IMAGE", "TEX_ENVIRONMENT"} and node.image:
            yield node.image


def files_of(image: bpy.types.Image) -> list[Path]:
    """The files that an image is read from."""
    if image.packed_file or image.packed_files or image.source not in {"FILE", "TILED"}:
        return []
    path = bpy.path.abspath(image.filepath_raw, library=image.library)
    if image.source == "TILED":
        return [Path(path.replace("<UDIM>", str(tile.number))) for tile in image.tiles]
    return [Path(path)]
