"""Marching rays through a sparse grid on the processor, compiled by numba.

Each kernel has a plain PyTorch twin in `march_torch.py` that computes the same numbers and that the tests hold it
against. What a ray meets is found once, by `_collect`; the forward and the backward pass then only add it up.
Positions are in grid units: corner (i, j, k) lies at (i, j, k). Everything is float32, literals included: numba
would widen a float32 that meets a Python number to float64 and halve the speed.
"""

import math
from typing import Any

import numpy as np
from numba import njit

BLOCK_BITS = 2  # a block is 4 cells wide
SPENT = np.float32(4e-3)  # a ray ends when less than this much of its light is left
FAINT = np.float32(2e-3)  # a sample more transparent than this does not count
# Of a ray that loses half of its light, the surface is where so much of it is left: what is learned from pictures
# stays soft inside, and half of the light is gone well behind the true surface.
SURFACE = np.float32(0.8)
NOTED = np.float32(1e-3)  # a corner that adds more than this to a ray is marked as reached

_ZERO, _HALF, _ONE = np.float32(0), np.float32(0.5), np.float32(1)
_FAR = np.float32(1e9)
_FLAT = np.float32(1e-9)
_REASSOCIATE = {"contract", "reassoc", "nsz", "arcp", "afn"}  # fast-math, but NaN and infinity keep their meaning

Array = np.ndarray[Any, Any]


@njit(fastmath=_REASSOCIATE, inline="always")
def _to_exit(cell, width, origin, inverse):  # type: ignore[no-untyped-def]
    """How far along one axis a ray runs until it leaves the cells [cell, cell + width)."""
    edge = cell + width if inverse > _ZERO else cell
    return (np.float32(edge) - origin) * inverse


@njit(fastmath=_REASSOCIATE, cache=True)
def _collect(grid, ray_o, ray_d, step, jitter, rows, weights, alphas, slopes, places):  # type: ignore[no-untyped-def]
    """Walks one ray and writes down its samples, front to back; returns how many, and the light that is left.

    `grid` is (blocks, cells, links, density, optical), `optical` the optical depth of one step through density one.
    Of sample s: `rows[s]` and `weights[s]` are its eight corners, `alphas[s]` its opacity, `places[s]` its t,
    `slopes[s]` = d(optical depth)/d(density value).
    """
    blocks, cells, links, density, optical = grid
    last = np.float32(cells.shape[0] - 1) - np.float32(1e-3)
    ox, oy, oz = ray_o[0], ray_o[1], ray_o[2]
    ix = _ONE / ray_d[0] if abs(ray_d[0]) > _FLAT else _FAR
    iy = _ONE / ray_d[1] if abs(ray_d[1]) > _FLAT else _FAR
    iz = _ONE / ray_d[2] if abs(ray_d[2]) > _FLAT else _FAR
    ax, bx = -ox * ix, (last - ox) * ix
    ay, by = -oy * iy, (last - oy) * iy
    az, bz = -oz * iz, (last - oz) * iz
    enter = max(max(min(ax, bx), min(ay, by)), max(min(az, bz), _ZERO))
    leave = min(min(max(ax, bx), max(ay, by)), max(az, bz))

    light = _ONE
    count = 0
    n = math.ceil(enter / step - jitter)
    while True:
        t = (np.float32(n) + jitter) * step
        if t >= leave:
            break
        x, y, z = ox + t * ray_d[0], oy + t * ray_d[1], oz + t * ray_d[2]
        # A lattice point may fall a rounding error outside the box.
        i, j, k = np.int32(max(x, _ZERO)), np.int32(max(y, _ZERO)), np.int32(max(z, _ZERO))
        width = np.int32(0)
        bi, bj, bk = i >> BLOCK_BITS, j >> BLOCK_BITS, k >> BLOCK_BITS
        if blocks[bi, bj, bk] == 0:
            width = np.int32(1 << BLOCK_BITS)
            i, j, k = bi << BLOCK_BITS, bj << BLOCK_BITS, bk << BLOCK_BITS
        elif cells[i, j, k] == 0:
            width = np.int32(1)
        if width > 0:
            out = min(min(_to_exit(i, width, ox, ix), _to_exit(j, width, oy, iy)), _to_exit(k, width, oz, iz))
            n = max(n + 1, math.ceil(out / step - jitter))
            continue
        n += 1
        fx, fy, fz = x - np.float32(i), y - np.float32(j), z - np.float32(k)
        gx, gy, gz = _ONE - fx, _ONE - fy, _ONE - fz
        row, weight = rows[count], weights[count]
        row[0], row[1] = links[i, j, k], links[i, j, k + 1]
        row[2], row[3] = links[i, j + 1, k], links[i, j + 1, k + 1]
        row[4], row[5] = links[i + 1, j, k], links[i + 1, j, k + 1]
        row[6], row[7] = links[i + 1, j + 1, k], links[i + 1, j + 1, k + 1]
        weight[0], weight[1], weight[2], weight[3] = gx * gy * gz, gx * gy * fz, gx * fy * gz, gx * fy * fz
        weight[4], weight[5], weight[6], weight[7] = fx * gy * gz, fx * gy * fz, fx * fy * gz, fx * fy * fz
        value = _ZERO
        for c in range(8):
            value += weight[c] * density[row[c]]
        grown = math.exp(min(value, np.float32(15)))
        thickness = math.log(_ONE + grown) * optical
        alpha = _ONE - math.exp(-thickness)
        if alpha < FAINT:
            continue
        alphas[count] = alpha
        slopes[count] = optical * grown / (_ONE + grown)
        places[count] = t
        count += 1
        light *= _ONE - alpha
        if light < SPENT:
            break
    return count, light


@njit(fastmath=_REASSOCIATE, cache=True, nogil=True)
def march_forward(grid, features, ray_o, ray_d, step, jitter, longest, feature, opacity, surface):  # type: ignore[no-untyped-def]
    """Adds up the features along each ray into `feature` (R, F) and `opacity` (R,).

    `surface` (R,) becomes the t at which a ray that loses half of its light has SURFACE left, -1 for other rays.
    """
    rows, weights = np.empty((longest, 8), np.uint32), np.empty((longest, 8), np.float32)
    samples = np.empty((3, longest), np.float32)
    alphas, slopes, places = samples[0], samples[1], samples[2]
    for n in range(ray_o.shape[0]):
        count, light = _collect(grid, ray_o[n], ray_d[n], step, jitter[n], rows, weights, alphas, slopes, places)
        opacity[n] = _ONE - light
        surface[n] = -_ONE
        total = feature[n]
        total[:] = _ZERO
        left = _ONE
        for s in range(count):
            share = left * alphas[s]
            for c in range(8):
                w, r = share * weights[s, c], rows[s, c]
                for f in range(total.shape[0]):
                    total[f] += w * features[r, f]
            left *= _ONE - alphas[s]
            if left < SURFACE and surface[n] < _ZERO:
                surface[n] = places[s]
        if light >= _HALF:
            surface[n] = -_ONE


@njit(fastmath=_REASSOCIATE, cache=True, nogil=True)
def march_backward(  # type: ignore[no-untyped-def]
    grid, features, ray_o, ray_d, step, jitter, longest,
    feature, opacity, to_both, to_features, to_opacity, reached, touched, density_grad, features_grad,
):  # fmt: skip
    """The gradients of `march_forward`, added into `density_grad` (rows,) and `features_grad` (rows, F).

    `to_both` (R, F) is the gradient of what may move density and features, `to_features` (R, F) the gradient of
    everything that reaches the features. d loss/d(optical depth of sample s) is the light behind s times the value of
    s, less what all samples behind s add (Max 1995, as in NeRF). `reached` (rows,) is set to 1 where a corner took a
    noticeable part (threads may do so at once, since all write the same), `touched` (rows,) where it took any.
    """
    channels = features.shape[1]
    rows, weights = np.empty((longest, 8), np.uint32), np.empty((longest, 8), np.float32)
    samples = np.empty((3, longest), np.float32)
    alphas, slopes, places = samples[0], samples[1], samples[2]
    for n in range(ray_o.shape[0]):
        count, _ = _collect(grid, ray_o[n], ray_d[n], step, jitter[n], rows, weights, alphas, slopes, places)
        behind = to_opacity[n] * opacity[n]
        for f in range(channels):
            behind += to_both[n, f] * feature[n, f]
        left = _ONE
        for s in range(count):
            value = to_opacity[n]
            share = left * alphas[s]
            for c in range(8):
                w, r = weights[s, c], rows[s, c]
                dot = _ZERO
                for f in range(channels):
                    dot += to_both[n, f] * features[r, f]
                value += w * dot
                w *= share
                touched[r] = 1
                if w > NOTED:
                    reached[r] = 1
                for f in range(channels):
                    features_grad[r, f] += w * to_features[n, f]
            left *= _ONE - alphas[s]
            behind -= share * value
            slope = (left * value - behind) * slopes[s]
            for c in range(8):
                density_grad[rows[s, c]] += weights[s, c] * slope
