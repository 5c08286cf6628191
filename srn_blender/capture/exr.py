"""Writes OpenEXR files: one part, scan lines, float32, ZIP compressed."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

CHANNELS = {1: "Y", 3: "RGB"}
ROWS_PER_BLOCK = 16
FLOAT, ZIP = 2, 3


def encode_exr(pixels: NDArray[np.float32]) -> bytes:
    """An EXR file of `pixels`, float32 (H, W, C) with C = 1 (channel Y) or 3 (R, G, B); the top row first."""
    if pixels.dtype != np.float32 or pixels.ndim != 3 or pixels.shape[2] not in CHANNELS:
        raise ValueError(f"an EXR takes float32 (H, W, 1 or 3), not {pixels.dtype} {pixels.shape}")
    height, width, channels = pixels.shape
    names = sorted(CHANNELS[channels])  # the format wants channels in alphabetical order, in the header and in rows
    order = [CHANNELS[channels].index(name) for name in names]
    header = _header(names, width, height)
    blocks = []
    for row in range(0, height, ROWS_PER_BLOCK):
        rows = pixels[row : row + ROWS_PER_BLOCK, :, order].transpose(0, 2, 1)
        data = _compress(rows.astype("<f4").tobytes())
        blocks.append(struct.pack("<ii", row, len(data)) + data)
    sizes = np.array([0] + [len(block) for block in blocks[:-1]], np.uint64)
    offsets = len(header) + 8 * len(blocks) + np.cumsum(sizes)
    return header + offsets.astype("<u8").tobytes() + b"".join(blocks)


def _header(names: list[str], width: int, height: int) -> bytes:
    channels = b"".join(name.encode() + b"\0" + struct.pack("<iB3xii", FLOAT, 0, 1, 1) for name in names) + b"\0"
    window = struct.pack("<iiii", 0, 0, width - 1, height - 1)
    attributes = (
        ("channels", "chlist", channels),
        ("compression", "compression", bytes([ZIP])),
        ("dataWindow", "box2i", window),
        ("displayWindow", "box2i", window),
        ("lineOrder", "lineOrder", b"\0"),
        ("pixelAspectRatio", "float", struct.pack("<f", 1)),
        ("screenWindowCenter", "v2f", struct.pack("<ff", 0, 0)),
        ("screenWindowWidth", "float", struct.pack("<f", 1)),
    )
    packed = (f"{name}\0{kind}\0".encode() + struct.pack("<i", len(value)) + value for name, kind, value in attributes)
    return struct.pack("<ii", 20000630, 2) + b"".join(packed) + b"\0"


def _compress(data: bytes) -> bytes:
    """ZIP as OpenEXR has it: even and odd bytes apart, each byte as its difference to the one before."""
    raw = np.frombuffer(data, np.uint8)
    split = np.concatenate([raw[0::2], raw[1::2]])
    split[1:] = split[1:] - split[:-1] + np.uint8(128)
    packed = zlib.compress(split.tobytes(), 6)
    return packed if len(packed) < len(data) else data
