"""What to do where memory runs out."""

import errno

import torch

from srn_engine.data.dataset import Dataset

_PIXEL = 13  # bytes that a pixel takes up in the course of reading: RGBA, colour over white, alpha, class and place
_WORDS = ("can't allocate memory", "not enough memory", "out of memory")


def is_shortage(error: BaseException) -> bool:
    """Whether an error says that there is too little memory, on whichever device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _WORDS)


def advice(data: Dataset, device: torch.device) -> str:
    """The sentence for who has started a training on `data` that ran out of memory.

    It names the largest instance, for the views of one are all held at once, and those of several need not be.
    """
    views = [data.views("train", instance.id).cameras for instance in data.having("train")]
    pixels = [sum(camera.intrinsics.width * camera.intrinsics.height for camera in cameras) for cameras in views]
    largest = views[pixels.index(max(pixels))]
    size = max((camera.intrinsics for camera in largest), key=lambda size: size.width * size.height)
    other = ", or train with --device cpu" if device.type != "cpu" else ""
    return (
        f"There is too little memory to train on {device}: the {len(largest)} views of an instance, of up to "
        f"{size.width} x {size.height} pixels, take about {_PIXEL * max(pixels) / 1e9:.2f} GB; close other programs, "
        f"capture fewer views or smaller pictures{other}."
    )
