"""What may be asked for: known to those who read a request before the libraries that do the work are imported."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

PASSES: Mapping[str, tuple[tuple[int, ...], type]] = MappingProxyType(
    {"colour": ((4,), np.float32), "depth": ((), np.float32), "normal": ((3,), np.float32), "semantic": ((), np.uint8)}
)
"""A render's passes, by name: the channels and the type."""

MOST_CANDIDATES = 500  # cameras to choose the next views from: some 250 kB
SMALLEST_MESH, MESH, LARGEST_MESH = 16, 128, 512  # points a side of its grid; MESH where nothing is said
