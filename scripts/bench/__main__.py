"""Prints every row of the table that the engine is measured by, and keeps it under benchmarks/: `python scripts/bench`.

Needs Python 3.11 and a folder of models (`--models`). Makes the environments under .venv/, captures the datasets that
are missing with Blender, and measures: that takes three quarters of an hour on two cores, `--only ROW ...` less. What
follows goes to table.py: `python scripts/bench --help` lists it.
"""

import argparse
import subprocess
import sys
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036  (the sentence is for who runs an older one)
    sys.exit("This needs Python 3.11 or newer: run it as `python3.11 scripts/bench`.")

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from _environments import ROOT, SetupError, blenders, engine, ensure  # noqa: E402

BLENDER = "bpy-4.5"  # renderers differ a little between versions, and the figures are compared over time


def capture(data: Path, models: Path, engine_python: Path) -> bool:
    """Captures what is missing; whether all is there."""
    python = ensure(next(environment for environment in blenders() if environment.name == BLENDER))
    asked = "import sys, torch; sys.exit(not torch.cuda.is_available())"
    on_gpu = subprocess.run([str(engine_python), "-c", asked], check=False).returncode == 0
    commands = (
        [str(HERE / "objects.py"), str(data / "objects"), "--models", str(models), *(["--large"] if on_gpu else [])],
        [str(HERE / "chairs.py"), str(data), "--folder", str(models / "chairs")],
    )
    return all(subprocess.run([str(python), *command], check=False).returncode == 0 for command in commands)


def main() -> int:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--models", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--data", type=Path, default=ROOT / "out" / "bench")
    options, further = parser.parse_known_args()
    try:
        python = ensure(engine())
        if not {"-h", "--help"} & set(further) and not capture(options.data, options.models, python):
            return 1
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    command = [str(python), str(HERE / "table.py"), "--data", str(options.data), *further]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
