"""Adaptive against even capture: the PSNR of the same test views against the number of views to train on.

Run it in the engine's environment, `python scripts/bench/adaptive.py OUT`, on what adaptive_views.py has captured.
Both ways begin with the same few even views. The adaptive one goes on with what `propose_views` asks for, a batch at a
time, out of candidates on the same sphere; the even one is, for each number, a rig of its own. Every training has
equally many steps. Leaves <time>-<commit>-adaptive.json, .md and .png in benchmarks/.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from bench.figures import about, name_of, surroundings  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

from srn_engine.data.dataset import Views, over_white  # noqa: E402
from srn_engine.data.readers import open_dataset  # noqa: E402
from srn_engine.model.presets import FastPreset  # noqa: E402
from srn_engine.progress import silent  # noqa: E402
from srn_engine.train.metrics import psnr  # noqa: E402
from srn_engine.train.propose import Budget, learned, proposed  # noqa: E402
from srn_engine.train.run import picture_over_white, render  # noqa: E402

CPU = torch.device("cpu")
PRESET = FastPreset(stages=((0.0, 40), (0.15, 80)), rays=1024)
STEPS, QUICK_STEPS, BATCH = 300, 120, 4
COLOURS = {"adaptive": "#d1495b", "even": "#3b8eea"}


def measured(train: Views, test: Views, seed: int) -> float:
    """The mean PSNR, dB, of test views after a training on others."""
    scene = learned(train, PRESET, Budget(steps=STEPS), seed, CPU, silent)
    scores = []
    for number, camera in enumerate(test.cameras):
        seen = render(scene.scene(0), camera, ("colour",), scene)["colour"]
        scores.append(psnr(picture_over_white(seen), over_white(test.rgba(number))))
    return float(np.mean(scores))


def asked(views: Views, numbers: list[int], free: list[int], count: int) -> tuple[list[int], float]:
    """So many further views out of those that are free, and the PSNR that is foreseen of those there are."""
    cameras = [views.cameras[number] for number in free]
    answer = proposed(views.only(numbers), cameras, count, Budget(steps=QUICK_STEPS), CPU, silent)
    return [free[number] for number in answer["views"]], answer["psnr"]


def compared(folder: Path, seeds: Sequence[int], keep: Path, rows: list[dict[str, Any]]) -> None:
    """Adds a row for each number of views and each way; those in `rows` already are not measured again."""
    data = open_dataset(folder)
    name = data.instances[0].id
    views, test = data.views("train", name), data.views("test", name)
    groups = json.loads((folder / "views.json").read_text("utf-8"))
    done = {(row["object"], row["seed"], row["way"], row["views"]) for row in rows}
    budgets = sorted({int(group.split("-")[1]) for group in groups["even"]})

    def note(seed: int, way: str, numbers: list[int], **more: Any) -> None:
        if (name, seed, way, len(numbers)) in done:
            return
        score = measured(views.only(numbers), test, seed)
        rows.append({"object": name, "seed": seed, "way": way, "views": len(numbers), "psnr": score, **more})
        print(json.dumps(rows[-1]), flush=True)
        keep.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")

    for seed in seeds:
        for count in budgets:
            note(seed, "even", groups["even"][f"{seed}-{count}"])
        if (name, seed, "adaptive", budgets[-1]) in done:
            continue
        numbers, free = list(groups["even"][f"{seed}-{budgets[0]}"]), list(groups["candidates"])
        while len(numbers) < budgets[-1]:
            more, foreseen = asked(views, numbers, free, BATCH)
            if len(numbers) == budgets[0]:  # both ways begin with the same
                even = next(
                    row for row in rows if (row["object"], row["seed"], row["views"]) == (name, seed, budgets[0])
                )
                if (name, seed, "adaptive", budgets[0]) not in done:
                    rows.append({**even, "way": "adaptive", "foreseen": foreseen})
            elif len(numbers) in budgets:
                note(seed, "adaptive", list(numbers), foreseen=foreseen)
            numbers += more
            free = [number for number in free if number not in more]
        note(seed, "adaptive", list(numbers))


def mean(rows: Sequence[dict[str, Any]], name: str, way: str, count: int) -> float:
    """Over the seeds."""
    return float(np.mean([r["psnr"] for r in rows if (r["object"], r["way"], r["views"]) == (name, way, count)]))


def curve(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """A panel for each object: the seeds thin, their mean thick."""
    names = list(dict.fromkeys(row["object"] for row in rows))
    figure = Figure(figsize=(4 * len(names), 3.6), dpi=110, layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        for way, colour in COLOURS.items():
            own = [row for row in rows if (row["object"], row["way"]) == (name, way)]
            for seed in sorted({row["seed"] for row in own}):
                line = sorted((row["views"], row["psnr"]) for row in own if row["seed"] == seed)
                axes.plot(*zip(*line, strict=True), color=colour, alpha=0.3, linewidth=1)
            counts = sorted({row["views"] for row in own})
            means = [mean(rows, name, way, count) for count in counts]
            axes.plot(counts, means, color=colour, linewidth=2.2, marker="o", markersize=4, label=way)
        axes.set(title=name, xlabel="views to train on")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.axes[0].set_ylabel("PSNR of unseen views, dB")
    figure.savefig(path, format="png")


def needed(rows: Sequence[dict[str, Any]], name: str, wanted: float, way: str) -> float | None:
    """How many views a way needs for a PSNR, on the line between two that were measured; None for more than any."""
    counts = sorted({row["views"] for row in rows if (row["object"], row["way"]) == (name, way)})
    means = [mean(rows, name, way, count) for count in counts]
    for at in range(len(counts)):
        if means[at] >= wanted:
            if at == 0:
                return float(counts[0])
            share = (wanted - means[at - 1]) / (means[at] - means[at - 1])
            return counts[at - 1] + share * (counts[at] - counts[at - 1])
    return None


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Markdown: both ways' PSNR at each number of views, and how many views the adaptive one needs for the even's."""
    lines = ["| object | views | even, dB | adaptive, dB | difference | views that adaptive needs for the even PSNR |"]
    lines.append("| --- | --- | --- | --- | --- | --- |")
    for name in dict.fromkeys(row["object"] for row in rows):
        for count in sorted({row["views"] for row in rows if row["object"] == name}):
            even, adaptive = (mean(rows, name, way, count) for way in ("even", "adaptive"))
            enough = needed(rows, name, even, "adaptive")
            said = "more" if enough is None else f"{enough:.1f}"
            lines.append(f"| {name} | {count} | {even:.2f} | {adaptive:.2f} | {adaptive - even:+.2f} | {said} |")
    foreseen = [(row["foreseen"], row["psnr"]) for row in rows if "foreseen" in row]
    if len(foreseen) > 2:
        guesses, truths = np.array(foreseen).T
        together, off = np.corrcoef(guesses, truths)[0, 1], np.mean(guesses - truths)
        said = f"The PSNR that `propose_views` foresees against the true one, {len(foreseen)} times"
        lines += ["", f"{said}: correlation {together:.2f}, on average {off:+.1f} dB."]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("captured", type=Path, help="where adaptive_views.py has left its datasets")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks")
    parser.add_argument("--only", nargs="+", help="these objects alone")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--rows", type=Path, help="keeps what was measured, and goes on from it")
    options = parser.parse_args()
    around, start = surroundings(sys.argv[1:]), time.monotonic()
    keep = options.rows or options.captured / "rows.json"
    rows: list[dict[str, Any]] = json.loads(keep.read_text("utf-8")) if keep.is_file() else []
    for folder in sorted(path.parent for path in options.captured.glob("*/views.json")):
        if options.only is None or folder.name in options.only:
            compared(folder, options.seeds, keep, rows)
    path = options.out / f"{name_of(around)}-adaptive"
    curve(rows, path.with_suffix(".png"))
    text = f"{about(around)}\n\n{__doc__.splitlines()[0]} {STEPS} steps each; {BATCH} views a batch.\n\n{table(rows)}"
    path.with_suffix(".md").write_text(f"{text}\n\n![The curves]({path.name}.png)\n", "utf-8")
    path.with_suffix(".json").write_text(json.dumps({"around": around, "rows": rows}, indent=1) + "\n", "utf-8")
    print(f"{text}\n\n{path}.md, after {time.monotonic() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
