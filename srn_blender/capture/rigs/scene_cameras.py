"""Rigs of cameras that stand in the scene: those of a collection, or one that moves."""

from __future__ import annotations

from collections.abc import Sequence

import bpy

from ...errors import UserError
from ..camera import Camera, camera_in

MOST_FRAMES = 10_000


def collection_cameras(scene: bpy.types.Scene, collection_name: str) -> tuple[list[Camera], list[str]]:
    """The cameras of a collection, or all of the scene where the name is empty, by their names; in Blender units.

    Raises UserError where there is none, or one is no perspective camera.
    """
    if collection_name and collection_name not in bpy.data.collections:
        raise UserError(f"Choose a collection under Cameras: there is none named '{collection_name}'.")
    among = bpy.data.collections[collection_name].all_objects if collection_name else scene.objects
    cameras = sorted((found for found in among if found.type == "CAMERA"), key=lambda found: found.name_full)
    if not cameras:
        where = f"collection '{collection_name}'" if collection_name else "the scene"
        raise UserError(f"Add cameras or choose another rig: {where} has none.")
    names = [camera.name for camera in cameras]
    return _evaluate(scene, [(camera, scene.frame_current) for camera in cameras]), names


def animated_camera(scene: bpy.types.Scene) -> tuple[list[Camera], list[str]]:
    """The scene's camera at every frame of its range, by its frame step; in Blender units.

    Markers that are bound to cameras change the camera as they do in a render. Raises UserError where there is none.
    """
    frames = range(scene.frame_start, scene.frame_end + 1, scene.frame_step)
    if not 0 < len(frames) <= MOST_FRAMES:
        raise UserError(f"Set the scene's frame range to at least one frame and at most {MOST_FRAMES}.")
    pairs = [(_camera_at(scene, frame), frame) for frame in frames]
    return _evaluate(scene, pairs), [f"{camera.name}, frame {frame}" for camera, frame in pairs]


def _camera_at(scene: bpy.types.Scene, frame: int) -> bpy.types.Object:
    bound = sorted((m for m in scene.timeline_markers if m.camera is not None), key=lambda marker: marker.frame)
    passed = [marker for marker in bound if marker.frame <= frame]
    camera = (passed[-1] if passed else bound[0]).camera if bound else scene.camera
    if camera is None:
        raise UserError("Give the scene a camera or choose another rig: it has none to follow.")
    return camera


def _evaluate(scene: bpy.types.Scene, pairs: Sequence[tuple[bpy.types.Object, int]]) -> list[Camera]:
    """Each camera at its frame, in a scene of their own: neither the user's frame nor the objects are touched."""
    aside = bpy.data.scenes.new("SRN Cameras")
    try:
        for camera in dict.fromkeys(camera for camera, _ in pairs):
            aside.collection.objects.link(camera)
        cameras: list[Camera] = []
        for camera, frame in pairs:
            if frame != aside.frame_current or not cameras:
                aside.frame_set(frame)
            depsgraph = aside.view_layers[0].depsgraph
            assert depsgraph is not None, "frame_set() has just built it"
            cameras.append(camera_in(depsgraph, scene.render, camera))
        return cameras
    finally:
        bpy.data.scenes.remove(aside)
