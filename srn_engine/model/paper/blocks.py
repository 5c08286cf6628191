"""Fully connected networks as the 2019 system builds all of them."""

from torch import nn


def kaiming(linear: nn.Linear) -> nn.Linear:
    """`linear` with weights as ReLU wants them; its bias keeps PyTorch's default, as in the authors' code."""
    nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
    return linear


def mlp(inputs: int, hidden: int, layers: int, outputs: int) -> nn.Sequential:
    """`layers` times Linear, LayerNorm, ReLU of width `hidden`, and a last Linear."""
    parts: list[nn.Module] = []
    for layer in range(layers):
        parts += [kaiming(nn.Linear(hidden if layer else inputs, hidden)), nn.LayerNorm(hidden), nn.ReLU(inplace=True)]
    return nn.Sequential(*parts, kaiming(nn.Linear(hidden, outputs)))


def last_linear(net: nn.Sequential) -> nn.Linear:
    """The last part of an `mlp`."""
    last = net[-1]
    assert isinstance(last, nn.Linear)
    return last
