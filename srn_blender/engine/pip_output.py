"""What pip says, line by line: how far it is, and in one sentence why it failed."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

MEGABYTE = 1_000_000
SHORT = 160  # letters of what a program said that a sentence repeats
_UNITS = {"kB": 1_000, "MB": MEGABYTE, "GB": 1000 * MEGABYTE}
_FETCHING = re.compile(r"(Downloading|Using cached) (?:\S*/)?([^\s/]+) \(([\d.]+) (kB|MB|GB)\)")
_PROGRESS = re.compile(r"Progress (\d+) of \d+")

# The first that is found in the last lines decides. {what} is what the expression's group has found.
_REASONS = (
    (
        r"No space left on device|not enough space on the disk|Errno 28|WinError 112",
        "The disk is full: free some space or choose another Folder in the preferences, then install again",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED",
        "The package index shows a certificate that is not trusted: let pip know your network's own one (PIP_CERT)",
    ),
    (
        r"401 (?:Client )?Error|403 (?:Client )?Error|User for .* credentials",
        "The package index wants a name and a password: write them into its address in the preferences",
    ),
    (
        r"NewConnectionError|NameResolutionError|ConnectTimeout|Max retries exceeded|ProxyError",
        "The package index cannot be reached: see that this computer is online, or choose another Package Index in the "
        "preferences, then install again",
    ),
    (
        r"[Cc]onnection broken|[Tt]imed out|Connection (?:reset|aborted)|IncompleteRead",
        "The download broke off: see that this computer is online, then install again",
    ),
    (
        r"No matching distribution found for ([\w.\-]+)",
        "There is no {what} for this computer's Python in the package index: choose another build of PyTorch or "
        "another Package Index in the preferences",
    ),
    (
        r"Long Path|WinError 206|Errno 36",
        "The folder's name is too long for this computer: choose a short one under Folder in the preferences, such as "
        "C:\\srn",
    ),
    (
        r"Permission denied|WinError 5\b|WinError 32\b|Access is denied",
        "A file of the engine is in use or may not be written: end other engines, then install again",
    ),
    (
        r"WinError 126|WinError 1114|vcruntime",
        "PyTorch lacks a part of Windows: install Microsoft's Visual C++ Redistributable (vc_redist.x64.exe), and "
        "install again",
    ),
    (
        r"No module named '?(\w+)",
        "This Python has no {what}: install the engine into it, or choose another one in the preferences",
    ),
)


class PipOutput:
    """`message` says what pip is doing, `bytes` how much it has fetched so far."""

    def __init__(self) -> None:
        self.message = ""
        self.bytes = 0
        self._before = 0  # what was fetched before the file that is being fetched
        self._size = 0

    def feed(self, line: str) -> None:
        if progress := _PROGRESS.match(line):
            self._reach(self._before + int(progress[1]))
        elif fetching := _FETCHING.match(line):
            self._before += self._size
            self._size = int(float(fetching[3]) * _UNITS[fetching[4]])
            cached = fetching[1] == "Using cached"
            self.bytes = self._before + (self._size if cached else 0)
            if self._size >= MEGABYTE:
                self.message = (
                    f"{'Found' if cached else 'Downloading'} {_package(fetching[2])} ({fetching[3]} {fetching[4]})"
                )
        elif line.startswith("Collecting "):
            self.message = f"Looking for {line.split()[1]}"
        elif line.startswith("Installing collected packages:"):
            self._reach(self._before + self._size)
            count = line.count(",") + 1
            self.message = f"Installing {count} packages" if count > 1 else f"Installing {line.split()[-1]}"

    def _reach(self, count: int) -> None:
        self.bytes = max(self.bytes, count)  # sizes are told rounded


def reason(lines: Sequence[str], otherwise: str) -> str:
    """Why a program failed and what to do, in a sentence, from the last lines that it said.

    otherwise: how the sentence begins where nothing better is known.
    """
    for pattern, sentence in _REASONS:
        found = next((match for line in reversed(lines) if (match := re.search(pattern, line))), None)
        if found is not None:
            return f"{sentence.format(what=found[1] if found.groups() else '')} ({_short(found.string)})."
    errors = [line for line in lines if re.match(r"ERROR|[\w.]*Error\b|srn-engine:", line)]
    last = (errors or list(lines) or ["it said nothing"])[-1]
    return f"{otherwise}: {_short(last)}; try again, or read the log."


def _short(line: str) -> str:
    plain = line.removeprefix("ERROR: ").removeprefix("WARNING: ").removeprefix("srn-engine: ").rstrip(".")
    return textwrap.shorten(plain, SHORT, placeholder=" ...")


def _package(file: str) -> str:
    """A wheel's name and version out of its file's name."""
    return " ".join(file.replace("%2B", "+").split("-")[:2])
