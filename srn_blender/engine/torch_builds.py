"""Which build of PyTorch suits this computer, how large it is, and where it is downloaded from."""

from __future__ import annotations

import functools
import platform
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass

from .process import NO_WINDOW, windows_program

AUTO = "AUTO"
ANSWER_SECONDS = 20.0
PYTORCH_INDEX = "https://download.pytorch.org/whl/"

# CUDA 13 needs this driver, and a card of at least this compute capability; CUDA 12.6 is for the others.
CUDA_13_DRIVER, CUDA_13_CARD = 580, 7.5
CUDA_12_DRIVER, CUDA_12_CARDS = 525, (5.0, 9.0)


@dataclass(frozen=True)
class TorchBuild:
    """A build of PyTorch. `index` is its folder in PyTorch's index, empty for what PyPI has.

    download, installed: megabytes of all that the engine needs, PyTorch included, roughly.
    """

    name: str
    title: str
    tip: str
    index: str
    download: int
    installed: int


CPU = TorchBuild("CPU", "CPU", "Works on every computer; a training takes longer", "cpu", 380, 1500)
CUDA_12 = TorchBuild("CUDA_12", "CUDA 12.6", "For older NVIDIA cards or drivers", "cu126", 3000, 7500)
CUDA_13 = TorchBuild("CUDA_13", "CUDA 13.0", "For NVIDIA cards since 2018, driver 580 or newer", "cu130", 2800, 6000)
MPS = TorchBuild("MPS", "Apple GPU", "For Macs with Apple's own processors", "", 250, 1200)
BUILDS = (CPU, CUDA_12, CUDA_13, MPS)


def build_named(name: str) -> TorchBuild:
    """The build with that name; for AUTO what is proposed, or will do while nothing is known yet."""
    return next((build for build in BUILDS if build.name == name), None) or proposed() or CPU


def proposed() -> TorchBuild | None:
    """What fits this computer; None while its graphics card is still being asked about. Never blocks."""
    if sys.platform == "darwin":
        return MPS if platform.machine() == "arm64" else CPU
    question = _ask_for_card()
    if question is None:
        return CPU
    if question.tool.poll() is None:  # with a broken driver it may never answer
        return None if time.monotonic() < question.deadline else CPU
    return _answered(question)


def build_for(answer: str) -> TorchBuild:
    """The build for the best of the cards that nvidia-smi lists, one a line, as "8.6, 580.65.06"."""
    builds = []
    for line in answer.splitlines():
        words = line.split(",")
        try:
            card, driver = float(words[0]), int(words[1].split(".")[0])
        except (IndexError, ValueError):
            continue  # a sentence, such as that there is no driver
        if card >= CUDA_13_CARD and driver >= CUDA_13_DRIVER:
            builds.append(CUDA_13)
        elif CUDA_12_CARDS[0] <= card <= CUDA_12_CARDS[1] and driver >= CUDA_12_DRIVER:
            builds.append(CUDA_12)
    return CUDA_13 if CUDA_13 in builds else CUDA_12 if builds else CPU


@dataclass(frozen=True, eq=False)
class _Question:
    tool: subprocess.Popen[str]
    deadline: float


@functools.cache
def _ask_for_card() -> _Question | None:
    """Starts NVIDIA's own tool, once; it may take seconds. None where there is no such tool."""
    tool = windows_program("nvidia-smi") if sys.platform == "win32" else shutil.which("nvidia-smi")
    if tool is None:
        return None
    try:
        asked = subprocess.Popen(
            [tool, "--query-gpu=compute_cap,driver_version", "--format=csv,noheader"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            creationflags=NO_WINDOW,
        )
    except OSError:
        return None  # it cannot be run: there is no driver either
    return _Question(asked, time.monotonic() + ANSWER_SECONDS)


@functools.cache
def _answered(question: _Question) -> TorchBuild:
    said = question.tool.communicate()[0]
    return build_for(said) if question.tool.returncode == 0 else CPU
