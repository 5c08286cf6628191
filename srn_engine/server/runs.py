"""The runs that an engine keeps loaded, and scenes of them, for all its workers."""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch

# They pull in compilers and image libraries: imported when the first job needs them.
if TYPE_CHECKING:
    from srn_engine.model.interfaces import Scene
    from srn_engine.train.run import Run

RUNS_KEPT = 4
SCENES_KEPT = 8  # of each run: instances, and mixes of them

_Weights = tuple[tuple[str, float], ...]


@dataclass
class _Loaded:
    changed: int  # when its checkpoint was, in nanoseconds
    run: "Run"
    scenes: "OrderedDict[_Weights, Scene]" = field(default_factory=OrderedDict)


class LoadedRuns:
    """Loads runs and keeps the last few, each until its checkpoint changes; any thread may ask."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._lock = threading.Lock()
        self._runs: OrderedDict[Path, _Loaded] = OrderedDict()

    def scene(self, folder: Path, weights: Mapping[str, float]) -> "tuple[Run, Scene]":
        """The run in a folder, and the scene of its instances mixed; UserError where there is none or it is broken."""
        from srn_engine.results.mixing import mixed_scene

        key = tuple(sorted(weights.items()))
        with self._lock:
            loaded = self._load(folder)
            if key not in loaded.scenes:
                loaded.scenes[key] = mixed_scene(loaded.run, weights)
            loaded.scenes.move_to_end(key)
            if len(loaded.scenes) > SCENES_KEPT:
                loaded.scenes.popitem(last=False)
            return loaded.run, loaded.scenes[key]

    def _load(self, folder: Path) -> _Loaded:
        from srn_engine.train.run import Run

        checkpoint = folder / "checkpoint.safetensors"
        changed = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        loaded = self._runs.get(folder)
        if loaded is None or loaded.changed != changed:
            self._runs.pop(folder, None)
            while len(self._runs) >= RUNS_KEPT:  # before loading: all and one more may not fit into memory
                self._runs.popitem(last=False)
            loaded = self._runs[folder] = _Loaded(changed, Run.load(folder, self._device))
        self._runs.move_to_end(folder)
        return loaded
