"""Tells two captures apart: views that would not look alike must not end up in one dataset."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import bpy
import numpy as np

from .geometry import Part
from .plain import plain_properties, plain_value
from .rigs import Rig
from .stage import SHADING
from .studio import Studio
from .textures import ImageContent, content_of

# What of a node is about the node editor alone.
NODE_EDITOR = {"select", "location", "location_absolute", "width", "height", "hide", "label", "color", "dimensions"}
NODE_EDITOR |= {"use_custom_color", "warning_propagation", "show_options", "show_preview", "show_texture"}
# What of a material is about its thumbnail, or set by the capture.
NOT_SHOWN = {"preview_render_type", "use_preview_world", "pass_index"}
# What of a render engine's settings is about the viewport, the machine or what a capture sets itself.
NOT_SEEN = ("preview", "debug", "device", "tile", "texture_limit", "gpu", "bake", "shading_system", "samples", "seed")
# Of the render settings these have a part in a picture; the rest is about files and machines, or set by the capture.
RENDER = ("filter_size", "use_simplify", "simplify_subdivision_render", "simplify_child_particles_render")


Seen = dict[str, Any]  # by the name of what they are about: plain values, and images that are still to be read


def fingerprint(seen: Seen) -> dict[str, str]:
    """A hash of each of the things seen. Needs no Blender, but time where images are large."""
    return {name: _hash(values) for name, values in seen.items()}


@dataclass(eq=False)
class Look:
    """Looks at what the views of a capture depend on; at materials and images that instances share once."""

    _materials: dict[tuple[str, int], Any] = field(default_factory=dict)  # by name and frame
    _images: dict[str, ImageContent] = field(default_factory=dict)

    def at_all(self, studio: Studio) -> Seen:
        """What the views of all instances depend on, whatever frame they are of."""
        settings = studio.settings
        chosen = {key: value for key, value in asdict(settings).items() if key not in ("root", "poses_path", "name")}
        return {
            "Blender's version": bpy.app.version_string,
            "settings": chosen,
            "render settings": _render_settings(studio.scene, settings.engine),
        }

    def at_light(self, studio: Studio) -> Seen:
        """The lights and the world at the frame that the studio is at."""
        scene, depsgraph = studio.scene, studio.layer.depsgraph
        lit = [one.evaluated_get(depsgraph) for one in scene.objects if one.type == "LIGHT"]
        lights: list[Any] = sorted(lit, key=lambda one: one.name_full)
        return {
            "lights": [[self._shading(one.data), _rounded(one.matrix_world)] for one in lights],
            "world": self._shading(scene.world and scene.world.evaluated_get(depsgraph)),
        }

    def at_instance(self, studio: Studio, rig: Rig) -> Seen:
        """What the views of the instance in the studio depend on besides."""
        frame = studio.scene.frame_current
        materials = {(m.name_full, frame): m for part in studio.parts for m in part.materials if m}
        for key, material in materials.items():
            if key not in self._materials:
                self._materials[key] = self._shading(material.evaluated_get(studio.layer.depsgraph))
        return {
            "shape": sorted(map(_shape, studio.parts)),
            "materials": [self._materials[key] for key in sorted(materials)],
            "labels": [[source.name, sorted(one.name_full for one in source.carriers)] for source in studio.sources],
            "cameras": [{**rig.camera.to_json(), "pose": None}, _poses(rig.poses)],
        }

    def _shading(self, datablock: Any) -> Any:
        """What a material, light or world looks like, as plain values."""
        if datablock is None:
            return None
        tree = getattr(datablock, "node_tree", None)
        plain = {name: value for name, value in _describe(datablock).items() if name not in NOT_SHOWN}
        return [datablock.name_full, plain, self._tree(tree) if tree else None]

    def _tree(self, tree: Any) -> Any:
        nodes = [
            [
                {name: value for name, value in _describe(node).items() if name not in NODE_EDITOR},
                [[socket.identifier, plain_value(getattr(socket, "default_value", None))] for socket in node.inputs],
                [plain_value(getattr(socket, "default_value", None)) for socket in node.outputs],
                self._image(getattr(node, "image", None)),
                _ramp(getattr(node, "color_ramp", None)),
                _curves(getattr(node, "mapping", None)),
                self._tree(node.node_tree) if getattr(node, "node_tree", None) else None,
            ]
            for node in tree.nodes
        ]
        return [nodes, sorted(_link(link) for link in tree.links)]

    def _image(self, image: Any) -> Any:
        if image is None:
            return None
        if image.name_full not in self._images:
            self._images[image.name_full] = content_of(image.original)
        about = [image.name_full, list(image.size), image.colorspace_settings.name, image.alpha_mode, image.source]
        return [*about, self._images[image.name_full]]


def _render_settings(scene: Any, engine: str) -> Any:
    own = {"cycles": [scene.cycles, scene.cycles_curves], "eevee": [scene.eevee], "workbench": [scene.display]}[engine]
    render = {name: value for name, value in _describe(scene.render).items() if name in RENDER}
    # Which denoisers there are depends on the machine.
    not_seen = NOT_SEEN if scene.cycles.use_denoising else (*NOT_SEEN, "denoiser")
    seen = [
        {name: value for name, value in _describe(one).items() if not any(word in name for word in not_seen)}
        for one in own
    ]
    shading = [plain_value(getattr(scene.display.shading, name)) for name in SHADING]
    return [render, seen, shading if engine == "workbench" else None]


def _shape(part: Part) -> list[Any]:
    materials = [material.name_full if material else "" for material in part.materials]
    return [part.shape.digest, _rounded(part.matrix), *materials]


def _poses(poses: Mapping[str, Any]) -> dict[str, Any]:
    return {split: np.asarray(these).round(5).tolist() for split, these in poses.items()}


def _link(link: Any) -> list[str]:
    return [link.from_node.name, link.from_socket.identifier, link.to_node.name, link.to_socket.identifier]


def _ramp(ramp: Any) -> Any:
    return ramp and [ramp.interpolation, [[point.position, list(point.color)] for point in ramp.elements]]


def _curves(mapping: Any) -> Any:
    curves = getattr(mapping, "curves", None)
    return curves and [[[*point.location, point.handle_type] for point in curve.points] for curve in curves]


def _describe(struct: Any) -> dict[str, Any]:
    return {name: plain_value(value) for name, value in plain_properties(struct)}


def _rounded(matrix: Any) -> Any:
    return (np.array(matrix, np.float64).round(5) + 0.0).tolist()  # + 0.0: no -0.0


def _hash(seen: Any) -> str:
    return hashlib.sha256(json.dumps(seen, sort_keys=True, default=_spoken).encode()).hexdigest()[:32]


def _spoken(value: Any) -> str:
    return value.digest if isinstance(value, ImageContent) else str(value)
