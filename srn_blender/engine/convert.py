"""Has the engine write a dataset in another layout."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Generator
from pathlib import Path

from ..errors import UserError
from .child import ChildFailedError, Progress, run_child
from .pip_output import reason
from .process import child_environment

SAYS = "srn-engine: "  # before the sentence with which a command of the engine fails


def convert(interpreter: Path, source: Path, target: Path, layout: str) -> Generator[Progress, None, str]:
    """Runs `srn-engine convert` with the interpreter and returns how it ended, in a sentence.

    Closing it leaves nothing of what was not finished at `target`. UserError where the engine refuses or fails.
    """
    # -P: the current folder, which may be anybody's, is no place to import from.
    command: list[str | Path] = [interpreter, "-P", "-m", "srn_engine", "convert", source, target]
    command += ["--to", layout, "--device", "cpu", "--json"]
    now = Progress(0.0, f"Writing {target}")
    with tempfile.TemporaryDirectory(prefix="srn-convert-") as folder:
        log = Path(folder) / "log.txt"
        try:
            said = yield from run_child(command, log, child_environment(), lambda lines: now)
        except ChildFailedError as error:
            said = [line for line in error.lines if line.startswith(SAYS)]
            raise UserError(
                said[-1].removeprefix(SAYS) if said else reason(error.lines, f"{target} could not be written")
            ) from None
    result = json.loads(said[-1])
    return f"{result['views']} views are written to {result['out']}."
