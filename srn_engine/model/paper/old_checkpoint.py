"""Checkpoints of the authors' own code (vsitzmann/scene-representation-networks), read into a PaperScene."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from srn_engine.errors import UserError
from srn_engine.model.paper.conditioning import HIDDEN_LAYERS
from srn_engine.model.paper.preset import PaperPreset
from srn_engine.model.paper.scene import PaperScene

_ARRAYS = "weights/"  # what a tensor's name begins with in an .npz
_CODES, _LSTM = "latent_codes.weight", "ray_marcher.lstm.weight"
_PHI = {"weights": "0.weight", "biases": "0.bias", "scales": "1.weight", "shifts": "1.bias"}
_NAMED = 3  # names that an error message shows


def load_old(path: Path, march_steps: int = 10) -> PaperScene:
    """The scene in a checkpoint of the authors' code: a .pth, or an .npz with its tensors as weights/NAME.

    Sizes are those of the tensors; `march_steps` (their --tracing_steps) no tensor tells. Rays go through the pixels'
    corners, as they did there: `pixel_centre` is 0. The scene has no semantic head. UserError where the file cannot be
    read without running what it holds, or holds another model.
    """
    state = _read(path)
    preset = _preset(state, march_steps, path)
    scene = PaperScene(preset, len(state[_CODES]) if _CODES in state else 1, classes=1)
    expected = scene.state_dict()
    if _CODES not in state:
        del expected["codes"]  # one scene has an empty one
    theirs = {name: their_name(name, preset) for name in expected}
    if missing := set(theirs.values()) - state.keys():
        raise _another(path, f"there is no {_some(missing)}")
    if unknown := state.keys() - set(theirs.values()):
        raise _another(path, f"there is {_some(unknown)}")
    if unlike := [theirs[name] for name, value in expected.items() if state[theirs[name]].shape != value.shape]:
        raise _another(path, f"the size of {_some(unlike)} does not fit the others")
    scene.load_state_dict({name: state[theirs[name]] for name in expected}, strict=False)
    return scene.eval()


def their_name(name: str, preset: PaperPreset) -> str:
    """What the authors' code calls the tensor `name` of a PaperScene."""
    part, _, rest = name.partition(".")
    if part == "codes":
        return _CODES
    if part == "marcher":
        return "ray_marcher." + rest.replace("cell.", "lstm.").replace("stride.", "out_layer.")
    if part == "pixel_generator":
        return f"pixel_generator.{_in_blocks(rest.removeprefix('net.'), preset.pixel_layers)}"
    kind, number, *within = rest.split(".", 2)
    if kind == "readers":
        block = _in_blocks(within[0], HIDDEN_LAYERS)
        return f"hyper_phi.layers.{number}.hyper_linear.hypo_params.{block}"
    return f"phi.net.{number}.net.{_PHI[kind]}"


def _in_blocks(name: str, layers: int) -> str:
    """Linear, LayerNorm and ReLU, three parts of an `mlp`, are one there; the last Linear is by itself."""
    number, _, kind = name.partition(".")
    block, part = divmod(int(number), 3)
    return f"net.{block}.{kind}" if block == layers else f"net.{block}.net.{part}.{kind}"


def _read(path: Path) -> dict[str, Tensor]:
    """The tensors in the file under the authors' names."""
    try:
        found = _arrays(path) if path.suffix == ".npz" else torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error}); give the authors' checkpoint.") from error
    except Exception as error:  # a file that is broken, or a pickle that is refused, may raise anything
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"{path} holds more than tensors, which could run code, or is broken ({reason}); "
            "save the model's state_dict() alone and give that."
        ) from error
    if isinstance(found, Mapping) and isinstance(found.get("model"), Mapping):
        found = found["model"]  # beside it the authors save the optimiser's state
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        raise _another(path, "it is no list of named tensors")
    return {str(name): value.float() for name, value in found.items()}


def _arrays(path: Path) -> dict[str, Tensor]:
    with np.load(path, allow_pickle=False) as file:
        names = [name for name in file.files if name.startswith(_ARRAYS)]
        return {name.removeprefix(_ARRAYS): torch.from_numpy(file[name]) for name in names}


def _preset(state: Mapping[str, Tensor], march_steps: int, path: Path) -> PaperPreset:
    """The sizes that the tensors show."""
    hyper = _CODES in state
    try:
        state_size, hidden = state[f"{_LSTM}_hh"].shape[1], state[f"{_LSTM}_ih"].shape[1]
        code = state[_CODES].shape[1] if hyper else PaperPreset.code
    except (KeyError, IndexError) as error:
        raise _another(path, "there is no ray marcher with an LSTM, or no table of codes") from error
    return PaperPreset(
        conditioning="hypernetwork" if hyper else "none",
        code=code,
        hidden=hidden,
        phi_layers=_count(
            state, r"hyper_phi\.layers\.\d+\..*\.net\.2\.bias" if hyper else r"phi\.net\.\d+\.net\.0\.bias"
        ),
        pixel_layers=_count(state, r"pixel_generator\.net\.\d+\.net\.0\.bias"),
        state=state_size,
        march_steps=march_steps,
        pixel_centre=0.0,
    )


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    return sum(re.fullmatch(pattern, name) is not None for name in state)


def _some(names: Iterable[str]) -> str:
    shown = sorted(names)
    return ", ".join(shown[:_NAMED]) + (f" and {len(shown) - _NAMED} more" if len(shown) > _NAMED else "")


def _another(path: Path, reason: str) -> UserError:
    return UserError(f"{path} holds another model than the authors' SRN ({reason}); give a checkpoint of theirs.")
