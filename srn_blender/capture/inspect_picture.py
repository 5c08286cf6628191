"""Draws what an inspection found: where the cameras stand, and the views, framed in the colours of their splits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .inspect import TILE, Inspection, troubled_of
from .plan import SPLITS
from .rigs.drawing import SPLIT_COLOURS, TROUBLE_COLOUR, rig_lines

Picture = NDArray[np.float32]

COLUMNS = 8
FRAME = 4  # pixels around a view, in its split's colour
CELL = TILE + 2 * FRAME
LAYOUT = COLUMNS * CELL // 2  # pixels a side of each of the two drawings of the cameras
MOST_CAMERAS = 500
BACKGROUND = (0.12, 0.12, 0.12, 1.0)
PAPER = 0.3  # the grey behind the views


def draw(found: Inspection) -> Picture:
    """(H, W, 4) float32 sRGB, the top row first: the cameras from above and from the side, then the contact sheet."""
    return np.concatenate([cameras(found), contact_sheet(found)])


def contact_sheet(found: Inspection) -> Picture:
    """The sampled views in rows of COLUMNS, those with problems framed in red."""
    rows = -(-len(found.tiles) // COLUMNS)
    sheet = _blank(rows * CELL, COLUMNS * CELL)
    for place, (view, small) in enumerate(found.tiles.items()):
        top, left = place // COLUMNS * CELL, place % COLUMNS * CELL
        colour = TROUBLE_COLOUR if view in found.troubled else SPLIT_COLOURS[view.split]
        larger = max(TILE // max(small.shape[:2]), 1)
        tile = small.repeat(larger, 0).repeat(larger, 1)
        height, width = tile.shape[:2]
        sheet[top : top + height + 2 * FRAME, left : left + width + 2 * FRAME] = colour
        alpha = tile[..., 3:]
        over = tile[..., :3] * alpha + PAPER * (1 - alpha)
        sheet[top + FRAME : top + FRAME + height, left + FRAME : left + FRAME + width, :3] = over
    return sheet


def cameras(found: Inspection) -> Picture:
    """The unit sphere and the cameras, from above and from the side: x to the right, y or z upwards."""
    picture = _blank(LAYOUT, 2 * LAYOUT)
    if not found.poses:
        return picture
    shown = list(found.poses)[:: -(-len(found.poses) // MOST_CAMERAS)]
    views = {split: [view for view in shown if view.split == split] for split in SPLITS}
    poses = {split: np.array([found.poses[view] for view in these]).reshape(-1, 4, 4) for split, these in views.items()}
    trouble = {split: troubled_of(found, these) for split, these in views.items()}
    reach = 1.1 * max(float(np.abs(found.poses[view][:3, 3]).max()) for view in shown)
    for lines in rig_lines(found.camera, poses, trouble, (0.0, 0.0, 0.0), 1.0):
        for panel, upwards in enumerate((1, 2)):
            across = lines.points[:, [0, upwards]].reshape(-1, 2, 2) / reach
            _draw_segments(picture[:, panel * LAYOUT : (panel + 1) * LAYOUT], across, lines.colour)
    return picture


def _draw_segments(picture: Picture, ends: NDArray[np.float32], colour: tuple[float, float, float, float]) -> None:
    """Draws segments, (N, 2, 2) from -1 to 1 with y upwards, a pixel wide."""
    size = picture.shape[0]
    pixels = (ends * (1, -1) + 1) / 2 * (size - 1)
    steps = int(np.abs(pixels[:, 1] - pixels[:, 0]).max()) + 2
    along = np.linspace(0, 1, steps)[:, None, None]
    points = np.rint(pixels[:, 0] + along * (pixels[:, 1] - pixels[:, 0])).astype(int).reshape(-1, 2)
    points = points[((points >= 0) & (points < size)).all(1)]
    picture[points[:, 1], points[:, 0]] = (*colour[:3], 1.0)


def _blank(height: int, width: int) -> Picture:
    return np.full((height, width, 4), BACKGROUND, np.float32)
