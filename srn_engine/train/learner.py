"""How a scene is learned, step by step; each preset says what a step minimises."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from srn_engine.errors import UserError
from srn_engine.model.interfaces import NeuralScene

_BATCHES = "batches"


class Learner(ABC):
    """A scene in training: its optimisers, where its random numbers come from, and how far it has come.

    The parameter groups of the optimisers carry an `initial_lr`, which by default falls exponentially to `rate_decay`
    times that over the training.
    """

    def __init__(self, scene: NeuralScene, rate_decay: float, seed: int) -> None:
        self.scene = scene
        self.rate_decay = rate_decay
        self.batches = torch.Generator().manual_seed(seed)
        self.steps, self.loss = 0, math.nan
        self.optimisers: Sequence[torch.optim.Optimizer] = ()

    @abstractmethod
    def objective(self, fraction: float) -> Tensor:
        """Draws a batch and returns its loss; `fraction` of the training is over."""

    def limit_gradients(self) -> None:  # noqa: B027
        """Shortens gradients that would carry a step too far."""

    def set_rates(self, fraction: float) -> None:
        """Sets the rates of all optimisers for when `fraction` of the training is over."""
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = group["initial_lr"] * self.rate_decay**fraction

    def between(self, fraction: float) -> None:  # noqa: B027  (most do nothing)
        """What is done after each step; `fraction` of the training is over."""

    def learning(self, fraction: float) -> str:
        """What is learned when `fraction` of the training is over, where that changes; else empty."""
        return ""

    def warm_up(self) -> None:  # noqa: B027
        """Compiles what is compiled on first use, and changes nothing."""

    def close(self) -> None:  # noqa: B027
        """Ends what runs beside the training."""

    def step(self, fraction: float) -> None:
        """One step of every optimiser; UserError where the training diverges."""
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)
        loss = self.objective(fraction)
        loss.backward()  # type: ignore[no-untyped-call]
        self.limit_gradients()
        self.set_rates(fraction)
        for optimiser in self.optimisers:
            optimiser.step()
        self.steps += 1
        self.loss = loss.detach().item()
        if not math.isfinite(self.loss):
            raise UserError("The training diverged (its loss is no number); check the dataset's poses.")
        self.between(fraction)

    def state(self) -> Mapping[str, Tensor]:
        """Everything beside the scene's own tensors that a training needs in order to go on as if never stopped."""
        tensors = {_BATCHES: self.batches.get_state()}
        for number, optimiser in enumerate(self.optimisers):
            for place, moments in optimiser.state_dict()["state"].items():
                tensors |= {f"optimiser.{number}.{place}.{name}": value for name, value in moments.items()}
        return tensors

    def restore(self, state: Mapping[str, Tensor], steps: int) -> None:
        """Goes on from `state`; KeyError or ValueError where it is another training's."""
        self.steps = steps
        self.batches.set_state(state[_BATCHES].cpu())
        for number, optimiser in enumerate(self.optimisers):
            moments: dict[int, dict[str, Tensor]] = {}
            for name, value in state.items():
                kind, *rest = name.split(".")
                if kind == "optimiser" and int(rest[0]) == number:
                    moments.setdefault(int(rest[1]), {})[rest[2]] = value
            optimiser.load_state_dict({"state": moments, "param_groups": optimiser.state_dict()["param_groups"]})
