"""Tells two captures apart: views that would not look alike must not end up in one dataset."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from .instance import Part
from .passes import Studio
from .plain import plain_properties, plain_value
from .rigs import Rig
from .settings import CaptureSettings

# What of a node is about the node editor alone.
NODE_EDITOR = {"select", "location", "location_absolute", "width", "height", "hide", "label", "color", "dimensions"}
NODE_EDITOR |= {"use_custom_color", "warning_propagation", "show_options", "show_preview", "show_texture"}


def fingerprint(studio: Studio, rig: Rig, source: str, settings: CaptureSettings) -> str:
    """A hash of everything that the views depend on: Blender, settings, geometry, materials, lights and world."""
    scene: Any = studio.scene
    chosen = {key: value for key, value in asdict(settings).items() if key not in ("root", "poses_path")}
    shapes = sorted(_shape(part) for part in studio.parts)
    materials = {m.name_full: m for part in studio.parts for m in part.materials if m}
    lights = sorted((o for o in scene.objects if o.type == "LIGHT"), key=lambda o: o.name_full)
    seen = [
        bpy.app.version_string,
        chosen,
        source,
        _placing(rig),
        shapes,
        [_shading(materials[name]) for name in sorted(materials)],
        [[_shading(light.data), np.array(light.matrix_world).round(5).tolist()] for light in lights],
        _shading(scene.world),
        _describe(scene.cycles),
    ]
    return hashlib.sha256(json.dumps(seen, sort_keys=True, default=str).encode()).hexdigest()[:32]


def _placing(rig: Rig) -> Any:
    """The poses that do not follow from the settings alone."""
    if rig.radius is not None:
        return None
    poses = {split: these.round(6).tolist() for split, these in rig.poses.items()}
    return [{**rig.camera.to_json(), "pose": None}, poses]


def _shape(part: Part) -> list[str]:
    names = [material.name_full if material else "" for material in part.materials]
    return [hashlib.sha256(part.points.astype(np.float32).tobytes()).hexdigest(), *names]


def _shading(datablock: Any) -> Any:
    """What a material, light or world looks like, as plain values."""
    if datablock is None:
        return None
    tree = getattr(datablock, "node_tree", None)
    return [datablock.name_full, _describe(datablock), _describe_tree(tree) if tree else None]


def _describe_tree(tree: Any) -> Any:
    nodes = [
        [
            {name: value for name, value in _describe(node).items() if name not in NODE_EDITOR},
            [[socket.identifier, plain_value(getattr(socket, "default_value", None))] for socket in node.inputs],
            _image(getattr(node, "image", None)),
            _ramp(getattr(node, "color_ramp", None)),
            _describe_tree(node.node_tree) if getattr(node, "node_tree", None) else None,
        ]
        for node in tree.nodes
    ]
    links = [[k.from_node.name, k.from_socket.identifier, k.to_node.name, k.to_socket.identifier] for k in tree.links]
    return [nodes, sorted(links)]


def _image(image: Any) -> Any:
    if image is None:
        return None
    path = Path(bpy.path.abspath(image.filepath, library=image.library))
    changed = int(path.stat().st_mtime) if path.is_file() else None
    return [image.name_full, image.filepath, changed, list(image.size), image.colorspace_settings.name]


def _ramp(ramp: Any) -> Any:
    return ramp and [ramp.interpolation, [[point.position, list(point.color)] for point in ramp.elements]]


def _describe(struct: Any) -> dict[str, Any]:
    return {name: plain_value(value) for name, value in plain_properties(struct)}
