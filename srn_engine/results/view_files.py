"""The passes of a rendered view as files: PNG for colour and labels, EXR for depth and normals."""

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
from numpy.typing import NDArray
from PIL import Image

from srn_engine.data.dataset import LabelClass
from srn_engine.errors import UserError
from srn_engine.pictures import colour_picture, label_picture

Arrays = Mapping[str, NDArray[Any]]


def write_view(folder: Path, name: str, arrays: Arrays, classes: Sequence[LabelClass]) -> None:
    """Writes the passes of a view, as `Run.render` gives them, to `folder`/PASS/`name`.png or .exr.

    colour: 8 bit RGBA, sRGB, straight alpha. depth: along z, dataset units. normal: world axes. semantic: class ids in
    grey, and in the classes' colours in semantic_colour/. A file is there whole or not at all; UserError where it
    cannot be written.
    """
    for kind, values in arrays.items():
        if kind == "semantic":
            write_png(folder / kind / f"{name}.png", values)
            write_png(folder / "semantic_colour" / f"{name}.png", label_picture(values, classes))
        elif kind == "colour":
            write_png(folder / kind / f"{name}.png", colour_picture(values))
        else:
            _write_exr(folder / kind / f"{name}.exr", {"V" if values.ndim == 2 else "RGB": values})


def write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Writes (H, W), (H, W, 3) or (H, W, 4) bytes; UserError where that cannot be."""
    write_whole(path, lambda part: Image.fromarray(pixels).save(part, format="PNG"))


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Lets `write` write a file beside `path` and moves it there; UserError where that cannot be."""
    part = path.with_name(f"{path.stem}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(part)
        os.replace(part, path)
    except (OSError, RuntimeError) as error:  # OpenEXR raises RuntimeError
        with contextlib.suppress(OSError):
            part.unlink()
        raise UserError(f"{path} cannot be written ({error}); free some space or choose another folder.") from error


def _write_exr(path: Path, channels: dict[str, NDArray[Any]]) -> None:
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    whole = {name: np.ascontiguousarray(values, dtype=np.float32) for name, values in channels.items()}
    write_whole(path, lambda part: OpenEXR.File(header, whole).write(str(part)))
