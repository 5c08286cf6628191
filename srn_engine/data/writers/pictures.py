"""Pictures as writers of layouts put them on disk."""

import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from srn_engine.data.dataset import View, over_white

_ANY = (".png", ".jpg", ".jpeg")


def save_picture(view: View, stem: Path, only_png: bool = False) -> Path:
    """Writes a view's picture with its alpha as `stem` and a suffix, and returns the path.

    A file that needs nothing done to it is copied; another becomes an 8 bit PNG.
    """
    source, suffixes = view.colour.path, (".png",) if only_png else _ANY
    if view.colour.as_it_is and source.suffix.lower() in suffixes:
        return Path(shutil.copyfile(source, stem.with_name(stem.name + source.suffix.lower())))
    rgba = view.colour.read()
    eight = rgba if rgba.dtype == np.uint8 else (rgba / 257).round().astype(np.uint8)
    path = stem.with_name(stem.name + ".png")
    Image.fromarray(eight).save(path)
    return path


def save_over_white(view: View, path: Path) -> None:
    """Writes a view's picture as an 8 bit RGB PNG over pure white."""
    Image.fromarray((over_white(view.colour.read()) * 255).round().astype(np.uint8)).save(path)
