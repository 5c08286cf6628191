"""The engine that the add-on has installed for itself: the folder, what is in it, and whether it is whole.

FOLDER/venv/            a virtual environment with PyTorch and the engine
FOLDER/tmp/             pip's own, while it installs
FOLDER/install.log      all that was said meanwhile
FOLDER/installed.json   the stamp, written last: without it, what is there was interrupted
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UserError

ABSENT, INTERRUPTED, BROKEN, OUTDATED, COMPLETE = "absent", "interrupted", "broken", "outdated", "complete"

# The engine's wheel travels in the extension as a file: it is not for Blender's own Python.
WHEEL_FOLDER = Path(__file__).resolve().parents[1] / "engine_wheel"

MARK = "SRN for Blender has made this folder for its engine. Remove Engine in the add-on's preferences clears it.\n"


@dataclass(frozen=True)
class Installation:
    """What is in the folder, or is going to be."""

    folder: Path

    @property
    def environment(self) -> Path:
        return self.folder / "venv"

    @property
    def temporary(self) -> Path:
        return self.folder / "tmp"

    @property
    def log(self) -> Path:
        return self.folder / "install.log"

    @property
    def stamp(self) -> Path:
        return self.folder / "installed.json"

    @property
    def mark(self) -> Path:
        return self.folder / "srn_engine.txt"

    @property
    def interpreter(self) -> Path:
        return self.environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    def state(self, wheel: Path | None) -> str:
        """ABSENT, INTERRUPTED, BROKEN (the Python it was made with is gone), OUTDATED (by `wheel`) or COMPLETE."""
        stamped = self.stamped()
        if not stamped:
            # Not Path.exists, which raises where a folder cannot be looked at.
            return INTERRUPTED if os.path.exists(self.environment) else ABSENT
        if not self.interpreter.is_file() or not Path(str(stamped.get("python"))).is_file():
            return BROKEN
        if wheel is not None and stamped.get("engine") != wheel_version(wheel):
            return OUTDATED
        return COMPLETE

    def stamped(self) -> Mapping[str, Any]:
        """What was installed: `engine` (version), `torch_build`, `python` (made with); {} where nothing is whole."""
        try:
            stamped = json.loads(self.stamp.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return stamped if isinstance(stamped, dict) else {}

    def begin(self, *, keep: bool) -> None:
        """Makes ready for an installation: from here on nothing is whole, unless what is there is to `keep` working.

        UserError where the folder holds something else, or cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if any(self.folder.iterdir()):
                self.check_ours()
            self.mark.write_text(MARK, encoding="utf-8")
            if not keep:
                self.stamp.unlink(missing_ok=True)
            self.log.write_bytes(b"")
            self.temporary.mkdir(exist_ok=True)
        except OSError as error:
            sentence = f"{self.folder} cannot be written ({error.strerror}): choose another folder in the preferences."
            raise UserError(sentence) from None

    def check_ours(self) -> None:
        """UserError where the add-on has not made what is in the folder."""
        if not self.mark.is_file() or self.environment.is_symlink():
            raise UserError(f"{self.folder} holds other files than the engine: choose another folder for it.")

    def clear(self) -> None:
        """Removes our own small files, and the folder where nothing else is in it."""
        shutil.rmtree(self.temporary, ignore_errors=True)
        for file in (self.stamp, self.log, self.mark):
            file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # somebody else's files are in it
            self.folder.rmdir()

    def write_stamp(self, wheel: Path, torch_build: str) -> None:
        """Says that all is there; the last step of installing."""
        what = {"engine": wheel_version(wheel), "torch_build": torch_build, "python": sys.executable}
        part = self.stamp.with_suffix(".part")
        part.write_text(json.dumps(what, indent=1), encoding="utf-8")
        os.replace(part, self.stamp)


def bundled_wheel() -> Path | None:
    """The engine's wheel that came with the add-on; None in a checkout, where none was built into it."""
    return next(iter(sorted(WHEEL_FOLDER.glob("srn_engine-*.whl"))), None)


def wheel_version(wheel: Path) -> str:
    """The version that a wheel's file name tells: srn_engine-0.1.0-py3-none-any.whl."""
    return wheel.name.split("-")[1]
