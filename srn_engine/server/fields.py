"""A JSON object's fields, taken one by one and checked, one sentence for what is wrong."""

import math
from collections.abc import Callable
from pathlib import Path

from srn_engine.server.folders import NoSuchName
from srn_engine.server.names import is_hash

MAX_WORDS = 4096  # characters of a path or a name


class InvalidParams(Exception):
    """A parameter that is missing or wrong, in one sentence."""


class Fields:
    """Takes a JSON object's fields one by one, checking each; `end` refuses what nobody took."""

    def __init__(self, fields: object, what: str = "params") -> None:
        if not isinstance(fields, dict):
            raise InvalidParams(f"`{what}` must be an object.")
        self._fields = dict(fields)

    def has(self, name: str) -> bool:
        return name in self._fields

    def take(self, name: str) -> object:
        if name not in self._fields:
            raise InvalidParams(f"`{name}` is missing.")
        return self._fields.pop(name)

    def ignore_rest(self) -> None:
        self._fields.clear()

    def end(self) -> None:
        for name in self._fields:
            raise InvalidParams(f"`{shown(name)}` is unknown.")

    def text(self, name: str) -> str:
        value = self.take(name)
        if not isinstance(value, str) or len(value) > MAX_WORDS or not _printable(value):
            raise InvalidParams(f"`{name}` must be text of at most {MAX_WORDS} characters.")
        return value

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        value = self.take(name)
        if not isinstance(value, str) or value not in choices:
            raise InvalidParams(f"`{name}` must be one of {', '.join(choices)}.")
        return value

    def folder(self, name: str, find: Callable[[str], Path]) -> Path:
        """find: `to_read` or `to_write` of `Folders`."""
        try:
            return find(self.text(name))
        except NoSuchName as error:
            raise InvalidParams(f"`{name}` must be {error}.") from None

    def sha256(self, name: str) -> str:
        value = self.take(name)
        if not isinstance(value, str) or not is_hash(value):
            raise InvalidParams(f"`{name}` must be a SHA-256: 64 hexadecimal digits in lower case.")
        return value

    def flag(self, name: str) -> bool:
        value = self.take(name)
        if not isinstance(value, bool):
            raise InvalidParams(f"`{name}` must be true or false.")
        return value

    def number(self, name: str, positive: bool = False) -> float:
        value = finite(self.take(name))
        if value is None or (positive and value <= 0):
            raise InvalidParams(f"`{name}` must be a {'positive ' if positive else ''}number.")
        return value

    def integer(self, name: str, least: int, most: int = 2**53) -> int:
        value = self.take(name)
        if type(value) is not int or not least <= value <= most:
            raise InvalidParams(f"`{name}` must be an integer from {least} to {most}.")
        return value


def finite(value: object) -> float | None:
    """`value` as a float; None if it is no number or not finite."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _printable(text: str) -> bool:
    """Whether `text` can be part of a path: no NUL, no lone surrogate."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def shown(value: object) -> str:
    """A client's own word, short enough for a sentence."""
    text = str(value)
    return text if len(text) <= 40 else text[:40] + "…"
