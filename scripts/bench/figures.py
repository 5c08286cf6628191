"""What the table is made of: figures, and the machine, versions and commit that they were measured with."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("torch", "numpy", "numba", "scikit-image")


@dataclass(frozen=True)
class Figure:
    """One measured number.

    what: the line of the table; value: None where the measurement failed, `note` says why. bar: what it must reach.
    reference: what the 2019 system, or the floor that the line names, reaches in the same run. lower: less is better.
    """

    what: str
    value: float | None
    unit: str
    bar: float | None = None
    reference: float | None = None
    lower: bool = False
    note: str = ""

    @property
    def reached(self) -> bool | None:
        if self.value is None or self.bar is None:
            return None
        return self.value <= self.bar if self.lower else self.value >= self.bar

    @property
    def against(self) -> str:
        """How it compares with the reference: a difference in decibels, or how many times better it is."""
        if self.value is None or self.reference is None:
            return ""
        if self.unit == "dB":
            return f"{self.value - self.reference:+.1f} dB"
        ratio = self.reference / self.value if self.lower else self.value / self.reference
        return f"{ratio:.3g} ×"


@dataclass(frozen=True)
class Measured:
    """The figures of one row on one device, and how long they took to measure."""

    row: str
    device: str
    seconds: float
    figures: tuple[Figure, ...]


def surroundings(arguments: Sequence[str]) -> dict[str, Any]:
    """Machine, versions and commit, so that a figure can be understood later."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "HEAD"),
        "changed": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "arguments": list(arguments),
        "machine": {
            "processor": _processor(),
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "threads": torch.get_num_threads(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
            "system": platform.platform(),
        },
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
    }


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _processor() -> str:
    about = Path("/proc/cpuinfo")
    names = (
        [line.split(":")[1].strip() for line in about.read_text().splitlines() if line.startswith("model name")]
        if (about.is_file())
        else []
    )
    return names[0] if names else platform.processor() or platform.machine()


def keep(folder: Path, around: dict[str, Any], measured: Sequence[Measured]) -> Path:
    """Writes FOLDER/<date>-<commit>.json and .md; returns the latter. The same run overwrites its own files."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name_of(around)}.md"
    data = around | {"measured": [asdict(one) for one in measured]}
    path.with_suffix(".json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    path.write_text(f"{about(around)}\n\n{table(measured)}\n", encoding="utf-8")
    return path


def name_of(around: dict[str, Any]) -> str:
    """What the files of a table are called: when it was begun, and at which commit."""
    stamp = around["date"][:16].replace("-", "").replace(":", "").replace("T", "-")
    return f"{stamp}-{around['commit'][:7]}"


def kept_before(path: Path) -> tuple[dict[str, Any], list[Measured]]:
    """The surroundings of a kept table and its rows, without those that failed; it notes where it is gone on with."""
    around: dict[str, Any] = json.loads(path.read_text("utf-8"))
    kept = [Measured(**row | {"figures": tuple(Figure(**one) for one in row["figures"])})
            for row in around.pop("measured")]  # fmt: skip
    now = _git("rev-parse", "HEAD")
    if now != around["commit"]:
        around["resumed_at"] = [*around.get("resumed_at", []), now]
    return around, [row for row in kept if all(figure.value is not None for figure in row.figures)]


def about(around: dict[str, Any]) -> str:
    """One paragraph on what a table was measured with."""
    machine, versions = around["machine"], around["versions"]
    gpu = f", {machine['gpu']}" if machine["gpu"] else ""
    changed = " with changes" if around["changed"] else ""
    resumed = "".join(f", gone on with at {commit[:12]}" for commit in around.get("resumed_at", []))
    return (
        f"{around['date']}, commit {around['commit'][:12]}{changed}{resumed}. {machine['processor']}, "
        f"{machine['cores']} cores, {machine['threads']} threads{gpu}, {machine['system']}. "
        f"{', '.join(f'{name} {number}' for name, number in versions.items())}."
    )


def table(measured: Sequence[Measured]) -> str:
    """All figures as Markdown: a line for each, two columns for each device."""
    devices = list(dict.fromkeys(one.device for one in measured))
    lines: dict[str, dict[str, Figure]] = {}
    for one in measured:
        for figure in one.figures:
            lines.setdefault(figure.what, {})[one.device] = figure
    head = ["measure", "bar", *(column for device in devices for column in (device, "against the reference"))]
    rows = [head, ["---"] * len(head)]
    for what, cells in lines.items():
        some = next(iter(cells.values()))
        row = [what, "" if some.bar is None else f"{some.bar:.3g} {some.unit}".strip()]
        for device in devices:
            row += [_cell(cells[device]), cells[device].against] if device in cells else ["", ""]
        rows.append(row)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(figure: Figure) -> str:
    if figure.value is None:
        return f"failed: {figure.note}"
    mark = {None: "", True: " ✓", False: " ✗"}[figure.reached]
    note = f" ({figure.note})" if figure.note else ""
    return f"{f'{figure.value:.4g} {figure.unit}'.strip()}{mark}{note}"
