"""Multi-view 3D models from single images: Tatarchenko, Dosovitskiy and Brox, ECCV 2016 (arXiv 1511.06702).

The convolutional encoder and decoder that Sitzmann et al. 2019 compare with: a picture of an instance and the viewpoint
that is asked for go in, the picture from there comes out. It has no notion of space. The form is the original's, with
an encoder, and not one with a latent code for each instance: a new instance needs a single pass and no fitting. Layers,
activations, viewpoint, loss and optimiser are those of the paper, with these differences:

* Pictures of 64 px go through four halvings instead of five, and the fully connected layers have 1024 units instead of
  4096, so that it trains on a processor; the kernels are 3 x 3 throughout.
* Colours only: the depth map that the paper predicts beside them is not part of the comparison.
* The learning rate begins higher and falls to zero over the time there is, for that is minutes, not days.

Several pictures of an instance are used as SRN's comparison uses them: each new view is predicted from the one whose
camera is the nearest.
"""

import math
import time
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srn_engine.baselines.gallery import Gallery, Pictures
from srn_engine.errors import UserError
from srn_engine.model.precision import bfloat16_is_fast
from srn_engine.progress import Progress, Report, silent

WIDTHS = (32, 32, 64, 128, 256)  # channels after each halving of a picture of 128 px; smaller ones begin further on
BOTTLENECK = 4  # pixels a side
HIDDEN, VIEW_HIDDEN, VIEWPOINT = 1024, 64, 5
LEAK = 0.2
RANGE = 0.75  # what tanh gives for black and for white, as in the authors' code: 1 would be out of reach
BATCH, RATE = 32, 5e-4


class EncoderDecoder(nn.Module):
    """Picture and viewpoint to picture: both (B, 3, S, S) from 0 to 1, the viewpoint (B, 5) as `viewpoints` has it."""

    def __init__(self, size: int) -> None:
        """UserError unless pictures of `size` pixels a side can be halved down to 4 pixels, at most five times."""
        super().__init__()
        halvings = int(size // BOTTLENECK).bit_length() - 1
        if not 1 <= halvings <= len(WIDTHS) or BOTTLENECK << halvings != size:
            raise UserError(f"This baseline needs square pictures of 8, 16, 32, 64 or 128 pixels a side, not {size}.")
        widths = WIDTHS[-halvings:]
        flat = widths[-1] * BOTTLENECK**2
        self.encoder = nn.Sequential(
            *(_halved(a, b) for a, b in pairwise((3, *widths))), nn.Flatten(), _linear(flat, HIDDEN)
        )
        self.viewpoint = nn.Sequential(
            _linear(VIEWPOINT, VIEW_HIDDEN), _linear(VIEW_HIDDEN, VIEW_HIDDEN), _linear(VIEW_HIDDEN, VIEW_HIDDEN)
        )
        self.joint = nn.Sequential(
            _linear(HIDDEN + VIEW_HIDDEN, HIDDEN),
            _linear(HIDDEN, HIDDEN),
            _linear(HIDDEN, flat),
            nn.Unflatten(1, (widths[-1], BOTTLENECK, BOTTLENECK)),
        )
        down = widths[::-1]
        self.decoder = nn.Sequential(*(_doubled(a, b) for a, b in pairwise(down)), _transposed(down[-1], 3), nn.Tanh())

    def forward(self, picture: Tensor, viewpoint: Tensor) -> Tensor:
        code = self.encoder((2 * picture - 1) * RANGE)
        joint = self.joint(torch.cat([code, self.viewpoint(viewpoint)], dim=1))
        decoded: Tensor = self.decoder(joint)
        return (decoded / RANGE + 1) / 2


def _linear(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(_kaiming(nn.Linear(inputs, outputs)), nn.LeakyReLU(LEAK))


def _convolution(inputs: int, outputs: int, stride: int) -> nn.Module:
    return nn.Sequential(_kaiming(nn.Conv2d(inputs, outputs, 3, stride, padding=1)), nn.LeakyReLU(LEAK))


def _transposed(inputs: int, outputs: int) -> nn.Module:
    return nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1)


def _halved(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(_convolution(inputs, outputs, 2), _convolution(outputs, outputs, 1))


def _doubled(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(_transposed(inputs, outputs), nn.LeakyReLU(LEAK), _convolution(outputs, outputs, 1))


def _kaiming(layer: nn.Linear | nn.Conv2d) -> nn.Module:
    nn.init.kaiming_normal_(layer.weight, LEAK)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


def viewpoints(poses: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """The paper's description of a viewpoint, (V, 5): the camera's distance from the origin, sine and cosine of its
    elevation, sine and cosine of its azimuth. It says all there is to say about an upright camera that looks at the
    origin, as those of a rig do. poses: (V, 4, 4), camera to world, z is up."""
    x, y, z = np.moveaxis(poses[:, :3, 3], -1, 0)
    across = np.hypot(x, y)
    distance = np.hypot(across, z)
    azimuth = np.arctan2(y, x)
    parts = [distance, z / distance, across / distance, np.sin(azimuth), np.cos(azimuth)]
    return np.stack(parts, axis=-1).astype(np.float32)


def train(
    galleries: Sequence[Gallery],
    seconds: float,
    device: torch.device,
    steps: float = math.inf,
    seed: int = 0,
    report: Report = silent,
) -> EncoderDecoder:
    """Trains on pairs of views of the same instance, drawn at random, until `seconds` have passed or `steps` are done.

    galleries: one for each instance, all pictures square and of one size. UserError where they are not. What `report`
    raises ends the training.
    """
    shapes = {gallery.colour.shape[1:3] for gallery in galleries}
    height, width = next(iter(shapes))
    if len(shapes) > 1 or height != width:
        raise UserError("This baseline needs square pictures of one size.")
    torch.manual_seed(seed)
    network = EncoderDecoder(height).to(device)
    pairs = _Pairs(galleries, device, seed)
    optimiser = torch.optim.Adam(network.parameters(), lr=RATE, fused=True)
    start, done = time.perf_counter(), 0
    while (fraction := max((time.perf_counter() - start) / seconds, done / steps)) < 1.0:
        optimiser.param_groups[0]["lr"] = RATE * (1 - fraction)
        picture, viewpoint, target = pairs.draw(BATCH)
        with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16_is_fast(device)):
            predicted = network(picture, viewpoint)
        loss = F.mse_loss(predicted.float(), target)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        done += 1
        report(Progress(fraction, f"Step {done}", seconds * (1 - fraction), {"loss": loss.detach().item()}))
    return network


class _Pairs:
    """All views of all instances on a device, to draw pairs from."""

    def __init__(self, galleries: Sequence[Gallery], device: torch.device, seed: int) -> None:
        self.pictures = _pictures(np.concatenate([gallery.colour for gallery in galleries]), device)
        self.viewpoints = torch.from_numpy(np.concatenate([viewpoints(gallery.poses) for gallery in galleries])).to(
            device
        )
        counts = torch.tensor([len(gallery) for gallery in galleries])
        self.instance = torch.repeat_interleave(torch.arange(len(galleries)), counts)
        self.counts, self.begins = counts, counts.cumsum(0) - counts
        self.random = torch.Generator().manual_seed(seed)

    def draw(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Pictures, the viewpoints that are asked for, and the pictures from there."""
        target = torch.randint(len(self.instance), (count,), generator=self.random)
        instance = self.instance[target]
        place = torch.rand(count, generator=self.random) * self.counts[instance]
        source = self.begins[instance] + place.long()
        device = self.pictures.device
        source, target = source.to(device), target.to(device)
        return self.pictures[source], self.viewpoints[target], self.pictures[target]


def predict(network: EncoderDecoder, seen: Gallery, poses: npt.NDArray[np.float64]) -> Pictures:
    """The pictures (V, S, S, 3), from 0 to 1, of an instance from `poses` (V, 4, 4), each from the nearest of the views
    that were `seen` of it."""
    device = next(network.parameters()).device
    nearest = _directions(poses) @ _directions(seen.poses).T
    picture = _pictures(seen.colour[nearest.argmax(axis=1)], device)
    with torch.no_grad():
        predicted = network(picture, torch.from_numpy(viewpoints(poses)).to(device))
    pictures: Pictures = predicted.clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy()
    return pictures


def _directions(poses: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    positions = poses[:, :3, 3]
    directions: npt.NDArray[np.float64] = positions / np.linalg.norm(positions, axis=1, keepdims=True)
    return directions


def _pictures(colour: Pictures, device: torch.device) -> Tensor:
    return torch.from_numpy(colour).permute(0, 3, 1, 2).contiguous().to(device)
