"""The first guess of a latent code: from posed pictures of an instance to the code that shows them."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srn_engine.model.fast.codes import BRICK, PER_BRICK, centres
from srn_engine.model.fast.generator import COLOURS, BrickGenerator
from srn_engine.model.interfaces import PosedPictures
from srn_engine.model.precision import bfloat16_is_fast

_SEEN_AT_ALL = 0.02  # less alpha says nothing about a colour
_PIXEL_WIDTHS = (32, 48, 64, 96)  # channels of the network in the pictures' plane, from fine to coarse
_PIXEL_FEATURES = 24
_SEEN = 9  # what a view says about a place: colour (3), alpha, direction (3) and depth of the ray, least alpha


class ViewEncoder(nn.Module):
    """A convolutional network on a coarse grid of [-1, 1]³, on which the pictures are thrown back along their rays.

    A network in the pictures' plane first says what each pixel belongs to (features at pixels, as in pixelNeRF). Each
    place then hears what every view sees behind it, on average, and the same of the place across the plane x = 0, for
    many things are alike on both sides. Down to a few places and up again (as the U-Net of Ronneberger et al. 2015) it
    learns how instances of the class go on where no picture shows them. Convolutions run on a grid half as fine as the
    codes, whose 2³ neighbours share a place there as channels: that is where their time goes.
    """

    where: Tensor

    def __init__(self, channels: int, side: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.side = side
        self.register_buffer("where", centres(side, torch.device("cpu")), persistent=False)
        self.pixels = _UNet(2, 4 + 6, _PIXEL_WIDTHS, _PIXEL_FEATURES)
        inputs = 2 * (_SEEN + _PIXEL_FEATURES) + 3
        self.places = _UNet(3, PER_BRICK * inputs, widths, PER_BRICK * channels, first_kernel=1)
        with torch.no_grad():  # a guess begins as a fog in the pictures' colours, of which everything can be learned
            self.places.last.weight.mul_(0.1)

    def forward(self, seen: PosedPictures) -> Tensor:
        """The code, (side³, C)."""
        thrown = self._thrown(seen)
        where = self.where.T.reshape(1, 3, *(self.side,) * 3)
        volume = _gathered(torch.cat([thrown, thrown.flip(2), where], dim=1))
        code = _spread(self.places(volume))
        return code.reshape(code.shape[1], -1).T + self._colour_code(thrown, code.shape[1])

    def inner_weights(self) -> list[nn.Parameter]:
        """The weights of the convolutions from features to features."""
        return [*self.pixels.inner_weights(), *self.places.inner_weights()]

    def _colour_code(self, thrown: Tensor, channels: int) -> Tensor:
        """The code (side³, C) of the colours that the views see behind each place; the rest is learned on top of it."""
        found = thrown.reshape(thrown.shape[1], -1).T
        seen = found[:, 3:4] > _SEEN_AT_ALL
        colour = BrickGenerator.of_colour(found[:, :3] / found[:, 3:4].clamp(min=_SEEN_AT_ALL))
        return F.pad(torch.where(seen, colour, 0.0), (0, channels - COLOURS))

    def _thrown(self, seen: PosedPictures) -> Tensor:
        """(1, 9 + features, side, side, side): what the views see behind each place, averaged, and the least alpha."""
        by_view = []
        for camera, colour, alpha in zip(seen.cameras, seen.colours, seen.alphas, strict=True):
            pixels, _ = camera.project(self.where)
            height, width = alpha.shape
            place = pixels / pixels.new_tensor([width, height]) * 2 - 1
            # Colour over white less the white, so that what lies outside the picture is empty as well.
            picture = torch.cat([colour - (1 - alpha[..., None]), alpha[..., None]], dim=-1).permute(2, 0, 1)
            rays = camera.rays(self.where.device)
            towards = torch.cat([rays.directions, torch.linalg.cross(rays.origins, rays.directions)], dim=1)
            features = self.pixels(torch.cat([picture, towards.T.reshape(6, height, width)])[None])[0]
            found = F.grid_sample(torch.cat([picture, features])[None], place[None, None], align_corners=False)[0, :, 0]
            found, features = found[:4], found[4:]
            eye = torch.as_tensor(camera.pose[:3, 3], dtype=torch.float32, device=self.where.device)
            way = self.where - eye
            ray = torch.cat([F.normalize(way, dim=1), (way.norm(dim=1) - eye.norm())[:, None]], dim=1).T
            by_view.append(torch.cat([found, ray * found[3:], features]))
        views = torch.stack(by_view)
        thrown = torch.cat([views.mean(dim=0), views[:, 3].amin(dim=0)[None]])
        return thrown.view(1, len(thrown), *(self.side,) * 3)


class _UNet(nn.Module):
    """Convolutions in 2 or 3 dimensions down to a coarse grid and up again, in half precision where that pays.

    widths: channels from fine to coarse; each step halves the grid, whose side may be odd.
    """

    def __init__(
        self, dimensions: int, inputs: int, widths: Sequence[int], outputs: int, first_kernel: int = 3
    ) -> None:
        super().__init__()
        self.mode = "trilinear" if dimensions == 3 else "bilinear"
        steps = list(pairwise(widths))
        first = _block(dimensions, inputs, widths[0], kernel=first_kernel)
        self.first = nn.Sequential(first, _Residual(dimensions, widths[0]))
        self.down = nn.ModuleList(
            nn.Sequential(_block(dimensions, fine, coarse, stride=2), _Residual(dimensions, coarse))
            for fine, coarse in steps
        )
        self.deep = _Residual(dimensions, widths[-1])
        self.narrow = nn.ModuleList(_conv(dimensions, coarse, fine, kernel=1) for fine, coarse in steps)
        self.up = nn.ModuleList(_Residual(dimensions, fine) for fine, _ in steps)
        self.last = _conv(dimensions, widths[0], outputs, kernel=1)

    def inner_weights(self) -> list[nn.Parameter]:
        """The convolutions' weights without those of the first layer and of the last."""
        inner = (self.first[1], self.down, self.deep, self.narrow, self.up)
        return [weight for part in inner for weight in part.parameters() if weight.dim() > 1]

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, ...) to (B, outputs, ...), float32."""
        with torch.autocast(x.device.type, torch.bfloat16, enabled=bfloat16_is_fast(x.device)):
            levels = [self.first(x)]
            for down in self.down:
                levels.append(down(levels[-1]))
            found = self.deep(levels.pop())
            for narrow, up in zip(reversed(self.narrow), reversed(self.up), strict=True):
                finer = levels.pop()
                found = up(F.interpolate(narrow(found), size=finer.shape[2:], mode=self.mode) + finer)
            last: Tensor = self.last(found)
        return last.float()


class _Residual(nn.Module):
    """Adds to its input what two convolutions make of it."""

    def __init__(self, dimensions: int, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(_block(dimensions, width, width), _conv(dimensions, width, width))

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = self.net(x)
        return x + added


class _Sliced(nn.Conv3d):
    """A convolution with 3³ places as one in two dimensions: each slice is a picture that has the slices beside it as
    channels. The numbers are the same; on a processor it takes a third of the time that Conv3d takes for one volume."""

    def forward(self, input: Tensor) -> Tensor:
        slices = F.pad(input[0].transpose(0, 1), (0, 0, 0, 0, 0, 0, 1, 1))
        step, end = self.stride[0], len(slices) - 2
        beside = torch.cat([slices[first : first + end : step] for first in range(3)], dim=1)
        weight = self.weight.transpose(1, 2).flatten(1, 2)
        return F.conv2d(beside, weight, self.bias, self.stride[1:], padding=1).transpose(0, 1)[None]


def _conv(dimensions: int, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Conv2d | nn.Conv3d:
    if dimensions == 2:
        return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)
    return (nn.Conv3d if kernel == 1 else _Sliced)(inputs, outputs, kernel, stride, kernel // 2)


def _block(dimensions: int, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(_conv(dimensions, inputs, outputs, kernel, stride), nn.GroupNorm(4, outputs), nn.ReLU())


def _gathered(fine: Tensor) -> Tensor:
    """(1, C, S, S, S) as (1, 8C, S/2, S/2, S/2): the 2³ neighbours become channels."""
    half = fine.shape[-1] // BRICK
    split = fine.view(1, -1, half, BRICK, half, BRICK, half, BRICK)
    return split.permute(0, 1, 3, 5, 7, 2, 4, 6).reshape(1, -1, half, half, half)


def _spread(coarse: Tensor) -> Tensor:
    """What `_gathered` gathered."""
    half = coarse.shape[-1]
    split = coarse.view(1, -1, BRICK, BRICK, BRICK, half, half, half)
    return split.permute(0, 1, 5, 2, 6, 3, 7, 4).reshape(1, -1, BRICK * half, BRICK * half, BRICK * half)
