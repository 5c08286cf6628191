"""Which folders a client may name: any on this machine, or those of the engine's storage."""

from pathlib import Path
from typing import Protocol


class NoSuchName(Exception):
    """Text that names no folder a client may use; the message goes on after "must be"."""


class Folders(Protocol):
    """What the names in a request stand for. Both methods raise NoSuchName."""

    def to_read(self, name: str) -> Path:
        """The folder `name`, which a job is going to read."""

    def to_write(self, name: str) -> Path:
        """The folder `name`, which a job is going to write."""


class Paths:
    """Folders by their paths: for clients on this machine, which see the same disk."""

    def to_read(self, name: str) -> Path:
        path = Path(name)
        if not path.is_absolute():
            raise NoSuchName("an absolute path on the engine's machine")
        return path

    def to_write(self, name: str) -> Path:
        return self.to_read(name)
