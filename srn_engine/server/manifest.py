"""What a folder that is sent along holds: its manifest, a JSON file."""

import json
from dataclasses import dataclass

from srn_engine.errors import UserError
from srn_engine.server.names import is_hash, is_inner_path

FORMAT, VERSION = "srn-folder", 1
MAX_MANIFEST = 2**25  # bytes
MAX_FILES = 100_000


@dataclass(frozen=True)
class InnerFile:
    """A file of a folder: its path inside, with `/` between the parts, its size in bytes and its SHA-256."""

    path: str
    size: int
    sha256: str


def read_manifest(data: bytes) -> list[InnerFile]:
    """The files that a manifest names; UserError where it is none, or names what could lie outside its folder."""
    if len(data) > MAX_MANIFEST:
        raise UserError(f"The folder's manifest is over {MAX_MANIFEST >> 20} MiB: send fewer files.")
    try:
        manifest = json.loads(data)
        if manifest["format"] != FORMAT or manifest["version"] != VERSION:
            raise UserError(
                f"The folder's manifest is not {FORMAT} version {VERSION}: update the add-on or the engine."
            )
        files = [InnerFile(*(entry[name] for name in ("path", "size", "sha256"))) for entry in manifest["files"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError("The folder's manifest is no list of files.") from None
    for file in files:
        if not isinstance(file.path, str) or not is_inner_path(file.path):
            raise UserError(
                f"{str(file.path)[:80]!r} is no path inside a folder that works on every system: rename it."
            )
        if type(file.size) is not int or file.size < 0 or not isinstance(file.sha256, str) or not is_hash(file.sha256):
            raise UserError("The folder's manifest is no list of files.")
    _refuse_collisions(files)
    return files


def _refuse_collisions(files: list[InnerFile]) -> None:
    """macOS and Windows take names that differ in case for the same; a file cannot also be a folder."""
    if len(files) > MAX_FILES:
        raise UserError(f"The folder holds {len(files)} files: at most {MAX_FILES} can be sent.")
    paths = [file.path.casefold() for file in files]
    folders = {path[:at] for path in paths for at, letter in enumerate(path) if letter == "/"}
    taken: set[str] = set()
    for file, path in zip(files, paths, strict=True):
        if path in taken or path in folders:
            raise UserError(f"{file.path[:80]!r} would lie on another file of the folder: rename one.")
        taken.add(path)
