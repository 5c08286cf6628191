"""Makes the virtual environments that the scripts run in, under .venv/, with nothing but the standard library.

An environment is complete when its stamp says what it was made of and that is still what is asked for; a second
run then costs nothing. One without a stamp was interrupted, and is made again from nothing.
"""

import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = "srn-requirements.txt"
WINDOWS = os.name == "nt"

# What pip is asked for to get PyTorch. On Linux the registry's own build brings CUDA with it, several GB.
TORCH = os.environ.get("SRN_TORCH", "torch==2.13.0")


class SetupError(Exception):
    """An environment cannot be made; the message is one sentence that says what to do."""


class NoInterpreterError(SetupError):
    """No Python of the version that an environment needs was found."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment: its folder's name, the Python it needs, what pip installs, and what to tell who waits."""

    name: str
    python: tuple[int, int]
    requirements: tuple[str, ...]
    about: str

    @property
    def folder(self) -> Path:
        return VENV / self.name

    @property
    def interpreter(self) -> Path:
        return self.folder / ("Scripts/python.exe" if WINDOWS else "bin/python")

    @property
    def wanted(self) -> str:
        """What its stamp says when it is complete. The folder is part of it: environments cannot be moved."""
        return "\n".join([str(self.folder), "Python {}.{}".format(*self.python), *self.requirements, ""])

    @property
    def stamped(self) -> str | None:
        stamp = self.folder / STAMP
        return stamp.read_text(encoding="utf-8") if stamp.is_file() else None


def _project() -> tuple[dict[str, str], list[str]]:
    """From pyproject.toml: the requirement of each package by its name, and all of the engine's, with those to
    develop it."""
    with open(ROOT / "pyproject.toml", "rb") as file:
        project = tomllib.load(file)["project"]
    requirements = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    return {requirement.split(">")[0].strip(): requirement for requirement in requirements}, requirements


def _blender(version: str, python: tuple[int, int], *extra: str) -> Environment:
    named, _ = _project()
    tools = (named["pytest"], named["websockets"], named["jsonschema"])
    series = ".".join(version.split(".")[:2])
    return Environment(f"bpy-{series}", python, (f"bpy=={version}", *extra, *tools), f"Blender {version}, 2 minutes")


def engine() -> Environment:
    """What the engine and its tests run in. PyTorch comes first and on its own, so that SRN_TORCH decides on it."""
    return Environment("engine", (3, 11), (TORCH, *_project()[1]), "PyTorch and the engine, 5 minutes")


def blenders() -> list[Environment]:
    """Real Blender as a Python module, in every version that the extension supports, oldest first."""
    return [
        # Blender 4 and 5.0 ship numpy 1.26; the modules would take any.
        _blender("4.2.23", (3, 11), "numpy==1.26.4"),
        _blender("4.5.15", (3, 11), "numpy==1.26.4"),
        _blender("5.0.1", (3, 11), "numpy==1.26.4"),
        _blender("5.2.3", (3, 13)),
    ]


def ensure(environment: Environment) -> Path:
    """Make the environment or bring it up to date where it is not complete; return its interpreter.

    Raises SetupError with one sentence that says what to do.
    """
    stamped = environment.stamped
    if stamped == environment.wanted and environment.interpreter.exists():
        return environment.interpreter
    began = time.monotonic()
    where = f"{VENV.name}/{environment.name}"
    print(f"Making {where} ({environment.about} or so, once) ...", flush=True)
    if stamped is None or stamped.split("\n")[:2] != environment.wanted.split("\n")[:2]:
        _make_empty(environment)
    (environment.folder / STAMP).unlink(missing_ok=True)
    _install(environment)
    (environment.folder / STAMP).write_text(environment.wanted, encoding="utf-8")
    print(f"  {where} is ready after {time.monotonic() - began:.0f} s", flush=True)
    return environment.interpreter


def _make_empty(environment: Environment) -> None:
    python = find_python(environment.python)
    if environment.folder.exists():
        shutil.rmtree(environment.folder)
    _run([python, "-m", "venv", str(environment.folder)], f"make {environment.folder}")


def _install(environment: Environment) -> None:
    pip = [str(environment.interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if environment.name == "engine":
        # word by word, so that SRN_TORCH may carry pip's options too
        _run([*pip, *TORCH.split()], "install PyTorch")
        _run([*pip, "--editable", f"{ROOT}[dev]"], "install the engine")
    else:
        _run([*pip, *environment.requirements], f"install {environment.requirements[0]}")


def _run(command: list[str], what: str) -> None:
    status = subprocess.run(command, check=False).returncode
    if status != 0:
        raise SetupError(f"Could not {what} (exit status {status}, see above); put that right and run this again.")


def find_python(version: tuple[int, int]) -> str:
    """A Python of exactly this version that can make environments.

    Raises NoInterpreterError where there is none on PATH, nor under the usual version managers.
    """
    for command in _candidates(version):
        check = "import sys, venv, ensurepip; print(*sys.version_info[:2]); print(sys.executable)"
        try:
            answer = subprocess.run([*command, "-c", check], capture_output=True, text=True, timeout=60, check=False)
        except OSError:
            continue  # not there
        if answer.returncode == 0 and answer.stdout.split("\n")[0] == "{} {}".format(*version):
            return answer.stdout.split("\n")[1]
    raise NoInterpreterError(
        "Python {0}.{1} was not found; install it (python{0}.{1} on PATH is enough).".format(*version)
    )


def _candidates(version: tuple[int, int]) -> Iterator[list[str]]:
    name = "{}.{}".format(*version)
    if sys.version_info[:2] == version:
        yield [sys.executable]
    if WINDOWS:
        yield ["py", f"-{name}"]
    yield [f"python{name}"]
    home = Path.home()
    for folder, pattern in (
        (Path(os.environ.get("PYENV_ROOT", home / ".pyenv")) / "versions", f"{name}.*/bin/python"),
        (home / ".pyenv/pyenv-win/versions", f"{name}.*/python.exe"),
        (home / ".local/share/uv/python", f"cpython-{name}.*/bin/python{name}"),
        (Path(os.environ.get("APPDATA", home)) / "uv/python", f"cpython-{name}.*/python.exe"),
    ):
        yield from ([str(path)] for path in sorted(folder.glob(pattern), reverse=True))
