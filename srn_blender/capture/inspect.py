"""Looks through a dataset on disk: what it holds, whether its views agree, and what is wrong with it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from .camera import Camera
from .check import ENOUGH, Observed, check_poses, neighbours
from .manifest import FILE, SUFFIXES, read_manifest
from .passes import load_pixels
from .plan import SPLITS, ViewKey, passes_of

Array = NDArray[np.float64]
Pixels = NDArray[np.float32]

TILES = 48  # views on the contact sheet
TILE = 128  # pixels of a view there, at most
PAIRS = 24  # pairs of neighbouring views that are compared for each instance
INSTANCES = 8  # instances whose views are compared
MAX_SHEAR = 1e-3
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Step(NamedTuple):
    """How far an inspection is, from 0 to 1, and what it looks at."""

    fraction: float
    message: str


class Pair(NamedTuple):
    """Two neighbouring views, and the share of the points seen by both at which their depths agree."""

    first: ViewKey
    second: ViewKey
    agreeing: float


@dataclass(eq=False)
class Inspection:
    """What was found.

    camera: the lens of all views. counts: how many views of each split are there and how many were planned. poses:
    those that can be used, (4, 4), OpenCV axes, dataset units. tiles: small pictures, (h, w, 4) float32 sRGB with
    straight alpha, of views spread over all. pairs: the reprojection check, the worst first. problems: sentences;
    troubled: the views that they name.
    """

    root: Path
    camera: Camera
    counts: dict[str, tuple[int, int]] = field(default_factory=dict)
    poses: dict[ViewKey, Array] = field(default_factory=dict)
    tiles: dict[ViewKey, Pixels] = field(default_factory=dict)
    pairs: list[Pair] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    troubled: set[ViewKey] = field(default_factory=set)

    def complain(self, view: ViewKey, what: str) -> None:
        """Notes what is wrong with a view."""
        self.problems.append(f"{named(view)} {what}")
        self.troubled.add(view)

    @property
    def agreeing(self) -> float | None:
        """The mean share of points at which neighbouring views agree, None where nothing could be compared."""
        return float(np.mean([pair.agreeing for pair in self.pairs])) if self.pairs else None


def named(view: ViewKey) -> str:
    """What a sentence calls a view."""
    return f"View {view.index:06d} ({view.split}) of {view.instance}"


def inspect_dataset(root: Path) -> Generator[Step, None, Inspection]:
    """Reads every view of the capture in `root`, a few files at each step; needs no engine.

    Raises UserError only where there is no dataset, or where dataset.json cannot be used.
    """
    manifest = read_manifest(root)
    if manifest is None:
        raise UserError(f"Capture views first, or choose the folder of a dataset: there is no {FILE} in {root}.")
    dataset = _Files(root, manifest)
    found = Inspection(root, dataset.camera)
    views: list[ViewKey] = []
    for split in SPLITS:
        for instance in dataset.instances:
            yield Step(0.0, f"Looking for the {split} views of {instance}")
            of_one = dataset.views(instance, split)
            _look_for_gap(of_one, found)
            views += of_one
        _count(split, sum(view.split == split for view in views), dataset.planned[split], found)
    sampled = set(views[:: -(-len(views) // TILES)] if views else [])
    compared = dataset.instances[:: max(-(-len(dataset.instances) // INSTANCES), 1)]
    steps = len(views) + PAIRS * len(compared)
    for number, view in enumerate(views):
        yield Step(number / steps, f"View {number + 1} of {len(views)}")
        _look_at(dataset, view, found, view in sampled)
    for number, instance in enumerate(compared):
        for done, pair in enumerate(_compare(dataset, instance, found)):
            yield Step((len(views) + PAIRS * number + done) / steps, f"Comparing {named(pair.first)}")
            found.pairs.append(pair)
    found.pairs.sort(key=lambda pair: pair.agreeing)
    _blame(found)
    _compare_splits(found)
    return found


class _Files:
    """Where the files of a dataset stand. Raises UserError where dataset.json does not say it."""

    def __init__(self, root: Path, manifest: Mapping[str, Any]) -> None:
        try:
            self.root, self.name = root, str(manifest["name"])
            self.camera = Camera(np.eye(4), **manifest["camera"])
            self.passes = [what for what in SUFFIXES if what in manifest["passes"]]
            self.planned = {split: int(manifest["splits"][split]["planned"]) for split in SPLITS}
            self.labelled = {one["id"]: one.get("labelled") for one in manifest["instances"]}
        except (LookupError, TypeError, ValueError) as error:
            raise UserError(f"Capture again: {root / FILE} lacks or garbles {error}.") from error
        self.instances = list(self.labelled)
        for name in (self.name, *self.instances):
            if not _ID.fullmatch(name):
                raise UserError(f"Capture again: {root / FILE} names '{name}', which is no name of a folder.")

    def path(self, view: ViewKey, what: str) -> Path:
        folder = self.root / f"{self.name}_{view.split}" / view.instance / what
        return folder / f"{view.index:06d}.{SUFFIXES.get(what, 'txt')}"

    def views(self, instance: str, split: str) -> list[ViewKey]:
        """The views with a pose: those are there."""
        folder = self.path(ViewKey(instance, split, 0), "pose").parent
        numbers = sorted(int(path.stem) for path in folder.glob("[0-9]*.txt") if path.stem.isdigit())
        return [ViewKey(instance, split, number) for number in numbers]

    def passes_of(self, view: ViewKey) -> list[str]:
        return passes_of(view, self.passes, self.labelled[view.instance])


def _count(split: str, there: int, planned: int, found: Inspection) -> None:
    found.counts[split] = there, planned
    if there < planned:
        found.problems.append(
            f"{planned - there} of {planned} {split} views are missing: press Capture Views to go on."
        )


def _look_for_gap(views: Sequence[ViewKey], found: Inspection) -> None:
    """`views`: those of one instance and split that are there, by their numbers."""
    for number, view in enumerate(views):
        if view.index != number:
            first = replace(view, index=number)
            found.problems.append(f"{named(first)} is missing between others: press Capture Views to fill the gap.")
            return


def _look_at(dataset: _Files, view: ViewKey, found: Inspection, is_sampled: bool) -> None:
    missing = [what for what in dataset.passes_of(view) if not dataset.path(view, what).is_file()]
    if missing:
        found.complain(view, f"lacks {', '.join(missing)}: delete its pose and capture again.")
    pose = _read_pose(dataset.path(view, "pose"))
    if pose is None:
        found.complain(view, "has a pose that is no rotation and place: delete it and capture again.")
    else:
        found.poses[view] = pose
        if pose[:3, 2] @ pose[:3, 3] > 1:
            found.complain(view, "looks away from the object: check its pose.")
    colour = "rgba" if "rgba" in dataset.passes else "rgb"
    if colour not in missing:
        try:
            _look_at_picture(load_pixels(dataset.path(view, colour)), view, found, is_sampled)
        except UserError as error:
            found.problems.append(str(error))
            found.troubled.add(view)


def _look_at_picture(pixels: Pixels, view: ViewKey, found: Inspection, is_sampled: bool) -> None:
    height, width = pixels.shape[:2]
    if (width, height) != (found.camera.width, found.camera.height):
        found.complain(view, f"has {width} x {height} pixels, not {found.camera.width} x {found.camera.height}.")
    if not pixels[..., 3].any():
        found.complain(view, "is empty: check that the object is in the picture.")
    if is_sampled:
        skip = -(-max(width, height) // TILE)
        found.tiles[view] = pixels[::skip, ::skip].copy()


def _read_pose(path: Path) -> Array | None:
    """The pose (4, 4) in a file, None where it is no rigid motion."""
    try:
        with path.open(encoding="utf-8") as opened:
            pose = np.array(opened.read(4096).split(), np.float64).reshape(4, 4)
    except (OSError, ValueError):
        return None
    axes = pose[:3, :3]
    if not np.isfinite(pose).all() or np.abs(axes.T @ axes - np.eye(3)).max() > MAX_SHEAR or np.linalg.det(axes) < 0:
        return None
    return pose


def _compare(dataset: _Files, instance: str, found: Inspection) -> Iterator[Pair]:
    """Throws the depth of some training views into their neighbours, and the other way round."""
    if "depth" not in dataset.passes:
        return
    views = [view for view in found.poses if (view.instance, view.split) == (instance, "train")]
    views = [view for view in views if dataset.path(view, "depth").is_file()]
    positions = np.array([found.poses[view][:3, 3] for view in views]).reshape(-1, 3)
    if not len(positions) or not np.linalg.norm(positions, axis=1).all():
        return
    pairs = {(min(pair), max(pair)) for pair in neighbours(positions, PAIRS)}
    for a, b in sorted(pairs):
        try:
            result = check_poses([(_observe(dataset, views[a], found), _observe(dataset, views[b], found))])
        except UserError as error:
            found.problems.append(str(error))
            continue
        if result.points:
            yield Pair(views[a], views[b], result.agreeing)


def _observe(dataset: _Files, view: ViewKey, found: Inspection) -> Observed:
    depth = load_pixels(dataset.path(view, "depth"))[..., 0]
    return Observed(replace(found.camera, pose=found.poses[view]), depth)


def _blame(found: Inspection) -> None:
    """Finds the views that the pairs disagree because of: of each the one that most of the rest do not agree with."""
    left = [pair for pair in found.pairs if pair.agreeing < ENOUGH]
    while left:
        counts = Counter(view for pair in left for view in (pair.first, pair.second))
        culprit = counts.most_common(1)[0][0]
        worst = next(pair for pair in left if culprit in (pair.first, pair.second))
        share = f"{worst.agreeing:.0%} of what both see"
        found.complain(culprit, f"agrees with a view beside it about only {share}: check its pose and its depth.")
        left = [pair for pair in left if culprit not in (pair.first, pair.second)]


def _compare_splits(found: Inspection) -> None:
    """Finds views to measure with that are trained on."""
    trained = {(view.instance, pose.round(6).tobytes()) for view, pose in found.poses.items() if view.split == "train"}
    for view, pose in found.poses.items():
        if view.split != "train" and (view.instance, pose.round(6).tobytes()) in trained:
            found.complain(view, "has the pose of a train view: what is measured there was learned.")


def describe(found: Inspection) -> str:
    """The findings in a sentence or two."""
    there = sum(count for count, _ in found.counts.values())
    parts = [f"{there} views"]
    if found.agreeing is not None:
        worst = found.pairs[0]
        parts.append(
            f"depth agrees between neighbours at {found.agreeing:.0%} of the points, "
            f"least in {worst.first.split} {worst.first.index:06d} ({worst.agreeing:.0%})"
        )
    if not found.problems:
        return f"{'; '.join(parts)}. Nothing is wrong with them."
    more = f" There are {len(found.problems) - 1} more problems." if len(found.problems) > 1 else ""
    return f"{'; '.join(parts)}. {found.problems[0]}{more}"


def report(found: Inspection) -> str:
    """All findings, line by line."""
    lines = [f"Dataset {found.root}", ""]
    lines += [f"{split:6} {there} of {planned} views" for split, (there, planned) in found.counts.items()]
    lines += ["", *(found.problems or ["Nothing is wrong with it."])]
    if found.pairs:
        lines += ["", "Share of points at which the depths of neighbouring views agree, the worst first:"]
        lines += [f"{pair.agreeing:6.1%}  {named(pair.first)}, {pair.second.index:06d}" for pair in found.pairs]
    return "\n".join(lines) + "\n"


def troubled_of(found: Inspection, views: Sequence[ViewKey]) -> set[int]:
    """The places in `views` of those that something is wrong with."""
    return {place for place, view in enumerate(views) if view in found.troubled}
