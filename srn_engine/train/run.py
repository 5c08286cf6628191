"""A run: the folder that a training leaves, and rendering from it.

RUN/run.json                 the dataset, the options, instances and classes
RUN/checkpoint.safetensors   the scene's tensors and nothing that could execute
RUN/metrics.jsonl            one line for each validation
RUN/previous/                the same files of the training before, where there was one
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file

from srn_engine.cameras import Camera
from srn_engine.data.dataset import LabelClass
from srn_engine.errors import UserError
from srn_engine.model.grid import FeatureGrid
from srn_engine.model.interfaces import Rays
from srn_engine.model.scene import NeuralScene, Rendered
from srn_engine.progress import Progress, Report, silent
from srn_engine.train.options import TrainOptions

FORMAT, VERSION = "srn-run", 1
CHUNK = 1 << 16  # rays rendered at once
FILES = ("run.json", "checkpoint.safetensors", "metrics.jsonl")
PASSES = ("colour", "depth", "normal", "semantic")


@dataclass(frozen=True)
class RunInfo:
    """What a run was trained on and how."""

    dataset: Path
    options: TrainOptions
    instances: tuple[str, ...]
    classes: tuple[LabelClass, ...]


@dataclass
class Run:
    """A trained scene and the folder it lives in."""

    folder: Path
    info: RunInfo
    scene: NeuralScene
    new: bool = False  # whether what the folder holds is still an earlier run's

    @classmethod
    def create(cls, folder: Path, info: RunInfo, scene: NeuralScene) -> "Run":
        """Begins a run in `folder`; UserError where it cannot be written.

        An earlier run there can be opened until the first `save`, which moves it into `folder`/previous.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _write(folder / "metrics.part", b"")
        except OSError as error:
            raise _unwritable(folder, error) from error
        return cls(folder, info, scene, new=True)

    @classmethod
    def load(cls, folder: Path, device: torch.device) -> "Run":
        """Opens a run; UserError where there is none or it is broken."""
        info = _read_info(folder)
        checkpoint = folder / "checkpoint.safetensors"
        if not checkpoint.is_file():
            raise UserError(f"{folder} holds no checkpoint yet; train it first.")
        try:
            # Read, not mapped: Windows would refuse to replace a mapped file when the next training saves.
            state = {name: value.to(device) for name, value in load(checkpoint.read_bytes()).items()}
            _check_grid(state)
            grid = FeatureGrid(state["phi.cells"].bool(), state["phi.features"].shape[1])
            # Cells may have been pruned after the corners were laid out.
            grid.links = state["phi.links"]
            grid.density = torch.nn.Parameter(state["phi.density"])
            grid.features = torch.nn.Parameter(state["phi.features"])
            scene = NeuralScene(info.options.resolve(), grid, len(info.classes)).to(device)
            scene.load_state_dict(state)
        except (SafetensorError, OSError, KeyError, IndexError, ValueError, RuntimeError) as error:
            raise UserError(f"{checkpoint} cannot be read ({error}); train the run again.") from error
        return cls(folder, info, scene.eval())

    def save(self, scene: NeuralScene) -> None:
        """Replaces the checkpoint; UserError where it cannot be written, the earlier one is then kept."""
        self.scene = scene
        part = self.folder / "checkpoint.part"
        info = asdict(self.info) | {"format": FORMAT, "version": VERSION, "dataset": str(self.info.dataset)}
        try:
            save_file({name: value.contiguous() for name, value in scene.state_dict().items()}, part)
            if self.new:
                self._put_earlier_away()
            _write(self.folder / "run.json", json.dumps(info, indent=1).encode())
            os.replace(part, self.folder / "checkpoint.safetensors")
        except (OSError, SafetensorError) as error:
            part.unlink(missing_ok=True)
            raise _unwritable(self.folder, error) from error

    def _put_earlier_away(self) -> None:
        """Moves what an earlier training left in the folder aside, so that pressing Train twice loses nothing."""
        earlier = [self.folder / name for name in FILES if (self.folder / name).exists()]
        if earlier:
            (self.folder / "previous").mkdir(exist_ok=True)
        for path in earlier:
            os.replace(path, path.parent / "previous" / path.name)
        os.replace(self.folder / "metrics.part", self.folder / "metrics.jsonl")
        self.new = False

    def log(self, metrics: Mapping[str, float]) -> None:
        """Adds a line to metrics.jsonl."""
        try:
            with (self.folder / ("metrics.part" if self.new else "metrics.jsonl")).open("a", encoding="utf-8") as file:
                file.write(json.dumps(dict(metrics)) + "\n")
        except OSError as error:
            raise _unwritable(self.folder, error) from error

    def colour(self, camera: Camera) -> npt.NDArray[np.float32]:
        """The view over white, (H, W, 3), 0 to 1."""
        image = self.render(self.info.instances[0], camera, ("colour",))["colour"]
        over: npt.NDArray[np.float32] = image[..., :3] * image[..., 3:] + (1 - image[..., 3:])
        return over

    @torch.no_grad()
    def render(
        self, instance: str, camera: Camera, passes: Sequence[str], report: Report = silent
    ) -> dict[str, npt.NDArray[Any]]:
        """Renders `passes` of one instance, named and shaped as docs/protocol.md says, row 0 on top."""
        if instance not in self.info.instances:
            raise UserError(f"The run knows no instance {instance!r}, but {', '.join(self.info.instances)}.")
        if unknown := set(passes) - set(PASSES):
            raise UserError(f"There is no pass {', '.join(sorted(unknown))}; choose out of {', '.join(PASSES)}.")
        device = next(self.scene.parameters()).device
        rays = camera.rays(device)
        parts: dict[str, list[torch.Tensor]] = {name: [] for name in passes}
        for start in range(0, len(rays), CHUNK):
            report(Progress(start / len(rays), "Rendering"))
            chunk = rays[slice(start, start + CHUNK)]
            rendered = self.scene(chunk)
            for name in passes:
                parts[name].append(self._pass(name, chunk, rendered))
        size = (camera.intrinsics.height, camera.intrinsics.width)
        return {name: torch.cat(part).reshape(*size, *part[0].shape[1:]).cpu().numpy() for name, part in parts.items()}

    def _pass(self, name: str, rays: Rays, rendered: Rendered) -> torch.Tensor:
        marched = rendered.marched
        if name == "colour":
            straight = rendered.colour / rendered.opacity[:, None].clamp(min=1e-4)
            return torch.cat([straight, rendered.opacity[:, None]], dim=1).clamp(0, 1)
        if name == "depth":
            return marched.t * rays.z_per_t
        if name == "normal":
            hit = marched.t > 0
            normals = torch.zeros_like(rays.directions)
            normals[hit] = self.scene.phi.normals(rays.origins[hit] + marched.t[hit, None] * rays.directions[hit])
            return normals
        return self.scene.labels(marched)


def _check_grid(state: Mapping[str, torch.Tensor]) -> None:
    """Raises ValueError where the grid's tensors do not fit one another: the compiled marcher would not notice."""
    links, cells, rows = state["phi.links"], state["phi.cells"], len(state["phi.density"])
    cube = (len(links),) * 3
    if links.shape != cube or cells.shape != cube or links.dtype != torch.int32 or cells.dtype != torch.uint8:
        raise ValueError("its grid is no cube")
    if state["phi.density"].dim() != 1 or len(state["phi.features"]) != rows:
        raise ValueError("its grid's rows do not match")
    if cells[-1].any() or cells[:, -1].any() or cells[:, :, -1].any():
        raise ValueError("its grid has cells outside")
    held = FeatureGrid(cells.bool(), 1).links >= 0
    if links.min() < -1 or links.max() >= rows or (links[held] < 0).any():
        raise ValueError("its grid's links lead nowhere")


def _read_info(folder: Path) -> RunInfo:
    path = folder / "run.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["format"] != FORMAT or data["version"] != VERSION:
            raise UserError(f"{path} is of version {data['version']} and this engine reads {VERSION}; train it again.")
        return RunInfo(
            Path(data["dataset"]),
            TrainOptions(**data["options"]),
            tuple(data["instances"]),
            tuple(LabelClass(c["name"], tuple(c["colour"])) for c in data["classes"]),
        )
    except FileNotFoundError as error:
        raise UserError(f"{folder} holds no run; train one first.") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read ({error}); train the run again.") from error


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    os.replace(part, path)


def _unwritable(folder: Path, error: Exception) -> UserError:
    return UserError(f"{folder} cannot be written ({error}); free some space or choose another folder.")
