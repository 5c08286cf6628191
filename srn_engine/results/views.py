"""Rendered views of a run as files: of one instance from many cameras, or on the way from one instance to the next."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from srn_engine.cameras import Camera
from srn_engine.data.dataset import Instance
from srn_engine.errors import UserError
from srn_engine.model.interfaces import Scene
from srn_engine.pictures import colour_picture
from srn_engine.progress import Cancelled, Progress, Report
from srn_engine.results.mixing import mixed_scene
from srn_engine.results.view_files import Arrays, write_view, write_whole
from srn_engine.train.run import Run, picture_over_white, render

FRAME_MILLISECONDS = 50


def instance_of(run: Run, name: str | None) -> Instance:
    """The run's instance of that name, or its only one where none is named; UserError where there is none."""
    if name is None and len(run.info.instances) > 1:
        raise UserError(f"{run.folder} holds {len(run.info.instances)} instances; name one of them.")
    return run.info.instances[0 if name is None else run.info.index(name)]


def render_views(
    run: Run, instance: str, cameras: Sequence[Camera], passes: Sequence[str], out: Path, report: Report
) -> dict[str, Any]:
    """Writes the passes of one instance, seen by each of the cameras, to `out`; returns where and how many.

    Where `report` raises Cancelled, the views that are done are kept and Cancelled carries the result on.
    """
    scene = run.scene_of(instance)
    for _ in _written(run, ((scene, camera) for camera in cameras), len(cameras), passes, out, report):
        pass
    return {"out": str(out), "views": len(cameras)}


def interpolate(
    run: Run, instances: Sequence[str], cameras: Sequence[Camera], out: Path, report: Report
) -> dict[str, Any]:
    """Renders the way from each of `instances` to the next, a frame for each camera, and a moving picture of it.

    Codes are mixed in even steps. UserError where the run or the way has but one instance.
    """
    if len(run.info.instances) < 2:
        raise UserError(f"{run.folder} holds one instance; there is nothing to interpolate between.")
    if len(instances) < 2:
        raise UserError("Name at least two instances to interpolate between.")
    if len(cameras) < len(instances):
        raise UserError(f"The way through {len(instances)} instances needs {len(instances)} frames or more.")
    # One at a time: a scene under its code can be large.
    ways = (mixed_scene(run, weights) for weights in steps_between(instances, len(cameras)))
    views = zip(ways, cameras, strict=True)
    with torch.no_grad():
        seen = _written(run, views, len(cameras), ("colour",), out, report)
        frames = [Image.fromarray(colour_picture(picture_over_white(arrays["colour"]))) for arrays in seen]
    animation = out / "interpolation.gif"
    write_whole(animation, lambda part: _save_animation(part, frames))
    return {"out": str(out), "views": len(frames), "animation": str(animation)}


def steps_between(instances: Sequence[str], count: int) -> list[dict[str, float]]:
    """The weights of `count` even steps on the way through `instances`, both ends among them."""
    weights = []
    for place in np.linspace(0, len(instances) - 1, count).tolist():
        start = min(int(place), len(instances) - 2)
        one, other = instances[start], instances[start + 1]
        share = place - start
        weights.append({one: 1.0} if one == other else {one: 1 - share, other: share})
    return weights


def _save_animation(path: Path, frames: Sequence[Image.Image]) -> None:
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=FRAME_MILLISECONDS, loop=0)


def _written(
    run: Run, views: Iterable[tuple[Scene, Camera]], count: int, passes: Sequence[str], out: Path, report: Report
) -> Iterator[Arrays]:
    """Renders and writes one view after the other, and hands each on."""
    for number, (scene, camera) in enumerate(views):
        try:
            report(Progress(number / count, f"View {number + 1} of {count}"))
        except Cancelled:
            raise Cancelled({"out": str(out), "views": number}) from None
        arrays = render(scene, camera, passes, run.scene)
        write_view(out, f"{number:06d}", arrays, run.info.classes)
        yield arrays
