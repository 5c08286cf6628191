"""Names that come from another machine: of folders in the storage and of the files in them, safe on any system."""

import re

MAX_PART = 255  # bytes of one part of a path, as most file systems have it
MAX_PATH = 1024  # characters of a path inside a folder
MAX_DEPTH = 16  # parts of a path inside a folder

_FOLDER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_HASH = re.compile(r"[0-9a-f]{64}")
_FORBIDDEN = frozenset('<>:"|?*\\\x7f')
_DEVICES = frozenset(("con", "prn", "aux", "nul", "conin$", "conout$")) | {
    port + number for port in ("com", "lpt") for number in "0123456789¹²³"
}


def is_hash(text: str) -> bool:
    """Whether `text` is a SHA-256 as this protocol writes it: 64 hexadecimal digits in lower case."""
    return _HASH.fullmatch(text) is not None


def is_folder_name(text: str) -> bool:
    """Whether a folder in the storage can be called so: letters, digits, `-`, `_` and `.`."""
    return _FOLDER.fullmatch(text) is not None and _is_part(text)


def is_inner_path(text: str) -> bool:
    """Whether `text`, its parts parted by `/`, stays inside the folder that it is meant for, on any system."""
    parts = text.split("/")
    return len(text) <= MAX_PATH and len(parts) <= MAX_DEPTH and all(_is_part(part) for part in parts)


def _is_part(part: str) -> bool:
    # Windows drops dots and spaces at the end, and opens a device by its name whatever suffix it has.
    return (
        part != ""
        and part[-1] not in ". "
        and all(letter >= " " and letter not in _FORBIDDEN for letter in part)
        and not any("\ud800" <= letter <= "\udfff" for letter in part)
        and len(part.encode()) <= MAX_PART
        and part.partition(".")[0].rstrip().lower() not in _DEVICES
    )
