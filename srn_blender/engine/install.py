"""Installs the engine into a folder of the add-on's own, and removes it.

Both are generators: every step looks how far the program is that does the work, and never blocks. Closing one ends
that program. It returns a sentence that says how all ended.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError
from .child import ChildFailedError, Progress, run_child
from .installation import OUTDATED, Installation
from .pip_output import MEGABYTE, PipOutput, reason
from .process import child_environment
from .torch_builds import PYTORCH_INDEX, TorchBuild
from .trial import describe_trial, try_engine

Steps = Generator[Progress, None, str]

OTHERS_DOWNLOAD = 180  # megabytes that the engine needs beside PyTorch
TELLS_PROGRESS = (24, 1)  # the pip that began to, on request
_REMOVE = "import os, shutil, sys; [shutil.rmtree(path) for path in sys.argv[1:] if os.path.lexists(path)]"
# Settings of a person's pip that would put the packages elsewhere.
_MISLEADING = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PYTHONPATH")


@dataclass(frozen=True)
class InstallPlan:
    """What is installed where. `index` is the address of a mirror for everything, empty for the usual places."""

    installation: Installation
    wheel: Path
    build: TorchBuild
    index: str = ""

    @property
    def only_updates(self) -> bool:
        """Whether all that is there can stay, but the engine itself."""
        there = self.installation
        return there.state(self.wheel) == OUTDATED and there.stamped().get("torch_build") == self.build.name

    @property
    def download(self) -> int:
        """Megabytes that are downloaded, roughly."""
        return OTHERS_DOWNLOAD if self.only_updates else self.build.download

    @property
    def installed(self) -> int:
        """Megabytes that are there more than before, roughly."""
        return 3 * OTHERS_DOWNLOAD if self.only_updates else self.build.installed

    @property
    def summary(self) -> str:
        """What is going to be downloaded, for the person to read beforehand."""
        what = "the new engine" if self.only_updates else f"PyTorch for {self.build.title} and the engine"
        return (
            f"Downloads {what} (up to {_size(self.download)}) into {self.installation.folder}, "
            f"where it takes {_size(self.installed)}."
        )


def install(plan: InstallPlan) -> Steps:
    """Makes the environment, and installs PyTorch and the engine into it.

    UserError with what to do. Whatever is there then, or after a cancel, is replaced by installing again; where only
    the engine is exchanged, the one that was there stays until pip has the new one.
    """
    there, began, only_updates = plan.installation, time.monotonic(), plan.only_updates
    _check_python()
    _check_space(there.folder, plan.download + plan.installed)
    there.begin(keep=only_updates)
    pip = _Pip(plan)
    try:
        if not only_updates:
            making = Progress(0.0, "Making the environment")
            command = [sys.executable, "-I", "-m", "venv", "--clear", "--without-pip", str(there.environment)]
            yield from _run(there, command, lambda lines: making)
            # On its own, or else what goes wrong in it would not be told.
            command = [str(there.interpreter), "-I", "-m", "ensurepip", "--default-pip"]
            yield from _run(there, command, lambda lines: making)
            yield from pip.renew()
            yield from pip.install_torch((0.08, 0.7))
        yield from pip.install_engine((0.7, 0.95))
        there.stamp.unlink(missing_ok=True)  # of an engine that is no longer there; should the new one not work, repair
        found = yield from try_engine(there.interpreter, there.log, (0.95, 1.0))
        there.write_stamp(plan.wheel, plan.build.name)
    except ChildFailedError as error:
        raise UserError(reason(error.lines, "The installation failed")) from None
    except OSError as error:
        raise UserError(f"{there.folder} cannot be written ({error.strerror}): choose another folder.") from None
    finally:
        shutil.rmtree(there.temporary, ignore_errors=True)
    return f"Installed in {time.monotonic() - began:.0f} s. {describe_trial(found)}"


def uninstall(there: Installation) -> Steps:
    """Removes what `install` has made, and nothing else. UserError where there is nothing, or not all can go."""
    there.check_ours()
    try:
        there.stamp.unlink(missing_ok=True)
        command = [sys.executable, "-I", "-c", _REMOVE, str(there.environment)]
        yield from _run(there, command, lambda lines: Progress(0.5, "Removing the engine"))
        there.clear()
    except ChildFailedError as error:
        raise UserError(reason(error.lines, "Not all could be removed")) from None
    except OSError as error:
        raise UserError(f"{there.folder} cannot be removed ({error.strerror}): end what uses it.") from None
    return f"The engine is removed from {there.folder}."


class _Pip:
    """The environment's pip, and where it downloads from."""

    def __init__(self, plan: InstallPlan) -> None:
        self._plan = plan

    def renew(self) -> Generator[Progress, None, None]:
        """A newer pip where Python has brought an old one."""
        if self._tells_progress():
            return
        what = ["pip>={}.{}".format(*TELLS_PROGRESS), "--retries=1", *_index(self._plan.index)]
        with contextlib.suppress(ChildFailedError):  # the old one does as well, it only cannot tell how far it is
            yield from self._run(what, (0.05, 0.08), "Updating pip", 2)

    def _tells_progress(self) -> bool:
        libraries = "Lib" if os.name == "nt" else "lib/python3*"
        found = self._plan.installation.environment.glob(f"{libraries}/site-packages/pip-*.dist-info")
        versions = [re.findall(r"\d+", path.name)[:2] for path in found]
        return any((int(major), int(minor)) >= TELLS_PROGRESS for major, minor in versions)

    def install_torch(self, share: tuple[float, float]) -> Generator[Progress, None, None]:
        size = self._plan.build.download - OTHERS_DOWNLOAD
        index = yield from self._torch_index()
        yield from self._run(["torch", *_index(index)], share, "Looking for PyTorch", size)

    def install_engine(self, share: tuple[float, float]) -> Generator[Progress, None, None]:
        what = [str(self._plan.wheel), *_index(self._plan.index)]
        yield from self._run(what, share, "Looking for the engine's packages", OTHERS_DOWNLOAD)

    def _torch_index(self) -> Generator[Progress, None, str]:
        """PyTorch's own index; not where the person or their network has chosen another one for everything."""
        build, there = self._plan.build, self._plan.installation
        if self._plan.index or not build.index:
            return self._plan.index
        # Not into the log: addresses may hold passwords.
        output = there.temporary / "pip.txt"
        command = [str(there.interpreter), "-I", "-m", "pip", "config", "list"]
        told = yield from _run(there, command, lambda lines: Progress(0.08, "Looking at pip's settings"), output)
        configured = any(re.search(r"\.index-url=", line) for line in told)
        return "" if configured else PYTORCH_INDEX + build.index

    def _run(
        self, what: Sequence[str], share: tuple[float, float], title: str, size: int
    ) -> Generator[Progress, None, None]:
        """`pip install`; share: from which fraction of the work to which this is; size: megabytes to download."""
        said = PipOutput()

        def tell(lines: Sequence[str]) -> Progress:
            for line in lines:
                said.feed(line)
            part = 0.9 * min(said.bytes / (size * MEGABYTE), 1.0)
            return Progress(share[0] + part * (share[1] - share[0]), said.message or title)

        there = self._plan.installation
        # Not compiled: of the many files few are ever used, and those are compiled then.
        options = [
            "--only-binary=:all:",
            "--no-compile",
            f"--progress-bar={'raw' if self._tells_progress() else 'off'}",
        ]
        yield from _run(there, [str(there.interpreter), "-I", "-m", "pip", "install", *options, *what], tell)


def _run(
    there: Installation,
    command: Sequence[str],
    tell: Callable[[Sequence[str]], Progress],
    output: Path | None = None,
) -> Generator[Progress, None, list[str]]:
    temporary = str(there.temporary)  # the usual place may be small, or on another disk
    environment = {name: value for name, value in child_environment().items() if name not in _MISLEADING}
    environment |= {"TMPDIR": temporary, "TEMP": temporary, "TMP": temporary}
    environment |= {"PIP_USER": "0", "PIP_NO_INPUT": "1", "PIP_NO_COLOR": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    environment |= {"PYTHONUNBUFFERED": "1"}
    return (yield from run_child(command, output or there.log, environment, tell))


def _index(address: str) -> list[str]:
    return [f"--index-url={address}"] if address else []


def _check_python() -> None:
    """UserError where Blender's own Python cannot make environments."""
    instead = "choose 'Own Python' in the preferences"
    if not Path(sys.executable).name.lower().startswith("python"):
        raise UserError(f"This Blender has no Python of its own to install the engine with: {instead}.")
    for module in ("venv", "ensurepip"):
        if importlib.util.find_spec(module) is None:
            raise UserError(
                f"This Blender's Python has no {module}: install the system's package python3-venv, or {instead}."
            )


def _size(megabytes: int) -> str:
    return f"{megabytes / 1000:.1f} GB" if megabytes >= 1000 else f"{megabytes} MB"


def _check_space(folder: Path, megabytes: int) -> None:
    """UserError where the disk has not that much left."""
    try:
        there = next((path for path in (folder, *folder.parents) if path.exists()), folder)
        free = shutil.disk_usage(there).free
    except OSError as error:  # such as a drive that is not there
        sentence = f"{folder} cannot be used ({error.strerror}): choose another folder in the preferences."
        raise UserError(sentence) from None
    if free < megabytes * MEGABYTE:
        raise UserError(
            f"The engine needs {_size(megabytes)} and the disk of {folder} has {_size(free // MEGABYTE)} left: "
            "free some space, or choose another Folder in the preferences."
        )
