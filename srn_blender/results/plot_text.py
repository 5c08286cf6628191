"""Small letters as pixels, for numbers beside a plot: Blender draws text into a window alone, not into an image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 5, 7  # pixels of a letter; there is one more between two
_LETTERS = {
    "0": "01110 10001 10011 10101 11001 10001 01110",
    "1": "00100 01100 00100 00100 00100 00100 01110",
    "2": "01110 10001 00001 00110 01000 10000 11111",
    "3": "11110 00001 00001 01110 00001 00001 11110",
    "4": "00010 00110 01010 10010 11111 00010 00010",
    "5": "11111 10000 11110 00001 00001 10001 01110",
    "6": "00110 01000 10000 11110 10001 10001 01110",
    "7": "11111 00001 00010 00100 01000 01000 01000",
    "8": "01110 10001 10001 01110 10001 10001 01110",
    "9": "01110 10001 10001 01111 00001 00010 01100",
    ".": "00000 00000 00000 00000 00000 01100 01100",
    "-": "00000 00000 00000 01110 00000 00000 00000",
    " ": "00000 00000 00000 00000 00000 00000 00000",
    "B": "11110 10001 10001 11110 10001 10001 11110",
    "L": "10000 10000 10000 10000 10000 10000 11111",
    "M": "10001 11011 10101 10101 10001 10001 10001",
    "N": "10001 11001 10101 10011 10001 10001 10001",
    "P": "11110 10001 10001 11110 10000 10000 10000",
    "R": "11110 10001 10001 11110 10100 10010 10001",
    "S": "01111 10000 10000 01110 00001 00001 11110",
    "d": "00001 00001 01101 10011 10001 10011 01101",
    "e": "00000 00000 01110 10001 11111 10000 01110",
    "k": "10000 10000 10010 10100 11000 10100 10010",
    "o": "00000 00000 01110 10001 10001 10001 01110",
    "p": "00000 00000 11110 10001 11110 10000 10000",
    "s": "00000 00000 01111 10000 01110 00001 11110",
    "t": "01000 01000 11100 01000 01000 01001 00110",
}


def text_mask(text: str, scale: int) -> NDArray[np.bool_]:
    """The pixels that a text covers, (7 * scale, width), row 0 at the top. KeyError for a letter that is not known."""
    letters = [np.array([[bit == "1" for bit in row] for row in _LETTERS[letter].split()]) for letter in text]
    spaced = [np.pad(letter, ((0, 0), (0, 1))) for letter in letters]
    line = np.concatenate(spaced, axis=1)[:, :-1] if spaced else np.zeros((HEIGHT, 0), bool)
    return np.kron(line, np.ones((scale, scale), bool)) > 0
