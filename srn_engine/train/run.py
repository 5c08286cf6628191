"""A run: the folder that a training leaves, and rendering from it.

RUN/run.json                 the dataset, the options, the preset's numbers, instances and classes
RUN/checkpoint.safetensors   the scene's tensors and nothing that could execute
RUN/training-STEPS.safetensors  what the training needs beside them in order to go on
RUN/metrics.jsonl            one line for each validation
RUN/previous/                the same files of the training before, where there was one
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from torch import Tensor

from srn_engine.cameras import Camera
from srn_engine.data.dataset import Instance, LabelClass
from srn_engine.errors import UserError
from srn_engine.limits import PASSES
from srn_engine.model.interfaces import NeuralScene, Rays, Rendered, Scene
from srn_engine.model.presets import Preset, preset_from_json, preset_to_json
from srn_engine.model.restore import restored
from srn_engine.progress import Progress, Report, silent
from srn_engine.train.options import TrainOptions
from srn_engine.train.tensor_files import TensorFile, read_tensors, write_tensors

FORMAT, VERSION = "srn-run", 2
CHUNK = 1 << 16  # rays rendered at once
CPU_CHUNK = 1 << 13  # there: a render that nobody wants any more ends within some 20 ms
TRIES, PAUSE = 20, 0.1  # seconds between two, where a file cannot be replaced at once


@dataclass(frozen=True)
class RunInfo:
    """What a run was trained on and how."""

    dataset: Path
    options: TrainOptions
    preset: Preset
    instances: tuple[Instance, ...]
    classes: tuple[LabelClass, ...]

    def index(self, instance: str) -> int:
        """The place of an instance among the codes; UserError where the run does not know it."""
        names = [known.id for known in self.instances]
        if instance not in names:
            shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
            raise UserError(f"The run knows no instance {instance!r}, but {shown}.")
        return names.index(instance)


@dataclass
class Trained:
    """How far a training has come: its steps, the seconds it took, and what it needs in order to go on."""

    steps: int = 0
    seconds: float = 0.0
    state: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass
class Run:
    """Trained scenes and the folder they live in."""

    folder: Path
    info: RunInfo
    scene: NeuralScene
    trained: Trained = field(default_factory=Trained)
    new: bool = False  # whether what the folder holds is still an earlier run's
    _held: tuple[str, Scene] | None = None

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
    def load(cls, folder: Path, device: torch.device, to_train: bool = False) -> "Run":
        """Opens a run; UserError where there is none or it is broken.

        Where it is `to_train`, with what its training needs in order to go on; one that was fitted has nothing of that.
        """
        info = _read_info(folder)
        checkpoint = folder / "checkpoint.safetensors"
        if not checkpoint.is_file():
            raise UserError(f"{folder} holds no checkpoint yet; train it first.")
        try:
            tensors, about = read_tensors(checkpoint)
            trained = Trained(int(about["steps"]), float(about["seconds"]))
            scene = restored(info.preset, tensors, len(info.classes)).to(device)
            training = folder / _training_name(trained.steps)
            if to_train and training.is_file():
                trained.state = TensorFile(training)
        except (SafetensorError, OSError, KeyError, IndexError, ValueError, RuntimeError) as error:
            why = [*str(error).splitlines(), ""][0].rstrip(":")[:200]  # PyTorch lists every tensor that does not fit
            raise UserError(f"{checkpoint} cannot be read ({why}); train the run again.") from error
        return cls(folder, info, scene.train(to_train), trained)

    def save(self, scene: NeuralScene | None = None, trained: Trained | None = None) -> None:
        """Replaces the checkpoint; UserError where it cannot be written, the earlier one is then kept."""
        self.scene = scene or self.scene
        self.trained = trained or self.trained
        checkpoint, training = self.folder / "checkpoint.part", self.folder / "training.part"
        try:
            about = {"steps": str(self.trained.steps), "seconds": repr(self.trained.seconds)}
            write_tensors(checkpoint, self.scene.tensors(), about)
            if self.trained.state:
                write_tensors(training, self.trained.state, {})
            if self.new:
                self._put_earlier_away()
            _write(self.folder / "run.json", json.dumps(self._description(), indent=1).encode())
            # The checkpoint's steps name its training state: a crash in between leaves a pair that belongs together.
            if self.trained.state:
                _replace(training, self.folder / _training_name(self.trained.steps))
            _replace(checkpoint, self.folder / "checkpoint.safetensors")
            for path in self.folder.glob(_training_name("*")):
                if path.name != _training_name(self.trained.steps):
                    path.unlink()
        except (OSError, SafetensorError) as error:
            checkpoint.unlink(missing_ok=True)
            training.unlink(missing_ok=True)
            raise _unwritable(self.folder, error) from error

    def _put_earlier_away(self) -> None:
        """Moves what an earlier training left in the folder aside, so that pressing Train twice loses nothing."""
        names = ("run.json", "checkpoint.safetensors", "metrics.jsonl", _training_name("*"))
        earlier = [path for name in names for path in self.folder.glob(name)]
        if earlier:
            (self.folder / "previous").mkdir(exist_ok=True)
        for path in earlier:
            _replace(path, path.parent / "previous" / path.name)
        _replace(self.folder / "metrics.part", self.folder / "metrics.jsonl")
        self.new = False

    def _description(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "version": VERSION,
            "dataset": str(self.info.dataset),
            "options": asdict(self.info.options),
            "preset": preset_to_json(self.info.preset),
            "instances": [asdict(instance) for instance in self.info.instances],
            "classes": [asdict(label) for label in self.info.classes],
        }

    def log(self, metrics: Mapping[str, float]) -> None:
        """Adds a line to metrics.jsonl."""
        try:
            with (self.folder / ("metrics.part" if self.new else "metrics.jsonl")).open("a", encoding="utf-8") as file:
                file.write(json.dumps(dict(metrics)) + "\n")
        except OSError as error:
            raise _unwritable(self.folder, error) from error

    def take_classes(self, classes: tuple[LabelClass, ...]) -> None:
        """Takes on the classes of a semantic head that the scene was given."""
        self.info = replace(self.info, classes=classes)
        self._held = None

    def scene_of(self, instance: str) -> Scene:
        """The scene of one instance; the last one asked for is kept while the networks do not learn."""
        if self._held is None or self._held[0] != instance or self.scene.training:
            with torch.no_grad():
                self._held = instance, self.scene.scene(self.info.index(instance))
        return self._held[1]

    def render(
        self, instance: str, camera: Camera, passes: Sequence[str], report: Report = silent
    ) -> dict[str, npt.NDArray[Any]]:
        """Renders `passes` of one instance as `render` does."""
        return render(self.scene_of(instance), camera, passes, self.scene, report)


@torch.no_grad()
def render(
    scene: Scene, camera: Camera, passes: Sequence[str], networks: NeuralScene, report: Report = silent
) -> dict[str, npt.NDArray[Any]]:
    """Renders `passes` of a scene of `networks`, named and shaped as docs/protocol.md says, row 0 on top."""
    if unknown := set(passes) - set(PASSES):
        raise UserError(f"There is no pass {', '.join(sorted(unknown))}; choose out of {', '.join(PASSES)}.")
    size, camera = camera.intrinsics, camera.shifted(0.5 - networks.pixel_centre)
    at_once = max(1, (CPU_CHUNK if networks.device.type == "cpu" else CHUNK) // size.width)
    arrays: dict[str, npt.NDArray[Any]] = {
        name: np.empty((size.height, size.width, *PASSES[name][0]), PASSES[name][1]) for name in passes
    }
    for start in range(0, size.height, at_once):
        report(Progress(start / size.height, "Rendering"))
        rows = slice(start, min(start + at_once, size.height))
        rays = _part(camera, rows).rays(networks.device)
        rendered = scene.render(rays)
        for name, array in arrays.items():
            array[rows] = _pass(name, scene, rays, rendered).reshape(array[rows].shape).cpu().numpy()
    return arrays


def _part(camera: Camera, rows: slice) -> Camera:
    """The camera that sees only some rows of the picture."""
    size = camera.intrinsics
    return replace(camera, intrinsics=replace(size, cy=size.cy - rows.start, height=rows.stop - rows.start))


def _pass(name: str, scene: Scene, rays: Rays, rendered: Rendered) -> Tensor:
    if name == "colour":
        straight = rendered.colour / rendered.opacity[:, None].clamp(min=1e-4)
        return torch.cat([straight, rendered.opacity[:, None]], dim=1).clamp(0, 1)
    if name == "depth":
        return rendered.marched.t * rays.z_per_t
    return scene.normals(rays, rendered.marched) if name == "normal" else scene.labels(rendered.marched)


def picture_over_white(colour: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(..., 4) the pass `colour` as (..., 3) over white."""
    over: npt.NDArray[np.float32] = colour[..., :3] * colour[..., 3:] + (1 - colour[..., 3:])
    return over


def _read_info(folder: Path) -> RunInfo:
    path = folder / "run.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["format"] != FORMAT or data["version"] != VERSION:
            raise UserError(f"{path} is of version {data['version']} and this engine reads {VERSION}; train it again.")
        return RunInfo(
            Path(data["dataset"]),
            TrainOptions(**data["options"]),
            preset_from_json(data["preset"]),
            tuple(Instance(i["id"], i["source"], tuple(i["centre"]), i["scale"]) for i in data["instances"]),
            tuple(LabelClass(c["name"], tuple(c["colour"])) for c in data["classes"]),
        )
    except FileNotFoundError as error:
        raise UserError(f"{folder} holds no run; train one first.") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read ({error}); train the run again.") from error


def _training_name(steps: int | str) -> str:
    return f"training-{steps}.safetensors"


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    _replace(part, path)


def _replace(part: Path, path: Path) -> None:
    """os.replace; on Windows again and again for a while, for there it fails where another job has the file open."""
    for _ in range(TRIES if os.name == "nt" else 0):
        try:
            os.replace(part, path)
            return
        except PermissionError:
            time.sleep(PAUSE)
    os.replace(part, path)


def _unwritable(folder: Path, error: Exception) -> UserError:
    return UserError(f"{folder} cannot be written ({error}); free some space or choose another folder.")
