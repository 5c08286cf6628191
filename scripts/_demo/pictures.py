"""Takes the manual's pictures in a real Blender window, with the extension installed there.

    blender --command extension install-file --enable -r user_default dist/srn-*.zip
    blender -P scripts/_demo/pictures.py -- OUT [CHAPTER ...]

OUT: a folder for the pictures; what is captured and trained on the way stays in a folder beside it. SRN_ENGINE_PYTHON
in the environment is the Python that the engine is installed in. With SRN_GRAB there too, such as `import -window
root`, that command takes the pictures: with some drivers Blender's own come out black.
Ends with exit status 0 when every step did what it should.
"""

from __future__ import annotations

import os
import shlex
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import bpy

SCRIPTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCRIPTS))  # Blender starts scripts without their folder

from _demo.chapters import CHAPTERS  # noqa: E402
from _demo.window import Window  # noqa: E402


def main() -> None:
    out, *names = sys.argv[sys.argv.index("--") + 1 :]
    window = Window(Path(out).resolve(), shlex.split(os.environ.get("SRN_GRAB", "")))
    run(walk(window, names or list(CHAPTERS)))


def walk(window: Window, names: list[str]) -> Iterator[float]:
    """The chapters in their order, each from an empty file; yields the seconds that Blender may draw."""
    for name in names:
        yield from CHAPTERS[name](window)


def run(steps: Iterator[float]) -> None:
    """Goes through the steps while Blender's window lives on, then leaves Blender."""

    def step() -> float:
        try:
            return next(steps)
        except StopIteration:
            os._exit(0)  # Blender would ask about what is not saved
        except Exception:  # noqa: BLE001  # whatever it is, the person who waits for the pictures sees it
            traceback.print_exc()
            os._exit(1)

    bpy.app.timers.register(step, first_interval=1.0, persistent=True)


main()
