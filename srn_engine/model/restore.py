"""A scene from a checkpoint's tensors."""

from collections.abc import Mapping

from torch import Tensor

from srn_engine.model.fast.many import FastManyScene
from srn_engine.model.fast.scene import FastScene
from srn_engine.model.interfaces import NeuralScene
from srn_engine.model.paper.scene import PaperScene
from srn_engine.model.presets import FastManyPreset, FastPreset, Preset


def restored(preset: Preset, state: Mapping[str, Tensor], classes: int) -> NeuralScene:
    """The scene that `state` was saved from; KeyError, ValueError or RuntimeError where it is none of the preset's."""
    if isinstance(preset, FastPreset):
        return FastScene.restored(preset, state, classes)
    if isinstance(preset, FastManyPreset):
        return FastManyScene.restored(preset, state, classes)
    return PaperScene.restored(preset, state, classes)
