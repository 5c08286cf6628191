"""Sees whether the engine that an interpreter has works, and how fast."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from ..errors import UserError
from .child import ChildFailedError, Progress, run_child
from .pip_output import reason
from .process import child_environment

# -P: the current folder, which may be anybody's, is no place to import from.
_CHECK = ("-P", "-m", "srn_engine", "check", "--json")


def try_engine(
    interpreter: Path, output: Path, share: tuple[float, float] = (0.0, 1.0)
) -> Generator[Progress, None, Mapping[str, Any]]:
    """Runs `srn-engine check` with the interpreter and returns what it found; takes a few seconds.

    output: a file that all it says is appended to. share: from which fraction of the work to which this is.
    UserError where the engine does not work.
    """
    now = Progress(share[0], "Trying the engine")
    try:
        said = yield from run_child([interpreter, *_CHECK], output, child_environment(), lambda lines: now)
    except ChildFailedError as error:
        raise UserError(reason(error.lines, f"{interpreter} has no engine that works")) from None
    for line in said:
        try:
            found = json.loads(line)
        except ValueError:
            continue  # a warning of somebody's
        if isinstance(found, dict) and "gflops" in found:
            return found
    raise UserError(f"{interpreter} has an engine of another version than this add-on: update it.")


def describe_trial(found: Mapping[str, Any]) -> str:
    """What `try_engine` found, in sentences."""
    sentences = [
        f"The engine {found['engine']} works: PyTorch {found['torch']} on {found['device']} ({found['name']}), "
        f"{found['gflops']:.0f} GFLOP/s.",
        f"Python {found['python']}: {found['interpreter']}",
    ]
    if found.get("cuda") and found["device"] == "cpu":
        unused = "This PyTorch is for NVIDIA cards and finds none: update the card's driver, or choose the CPU's build."
        sentences.insert(1, unused)
    return " ".join(sentences)
