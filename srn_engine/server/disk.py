"""The storage's dealings with the disk: how much is used, what can go, and what is said where it refuses."""

import errno
import hashlib
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from srn_engine.errors import UserError

UNUSED_FILE = 3600.0  # seconds since it came after which a file that no folder holds may go, see `keep_for_now`
UNUSED_FOLDER = 30 * 86400.0  # seconds without use after which a folder that was sent may go


def measure(root: Path) -> int:
    """The bytes of all files under `root`, each counted once however often it is linked."""
    sizes: dict[tuple[int, int], int] = {}
    for folder, _, names in os.walk(root):
        for name in names:
            try:
                about = os.stat(os.path.join(folder, name), follow_symlinks=False)
            except FileNotFoundError:  # a job has replaced it meanwhile
                continue
            sizes[about.st_dev, about.st_ino] = about.st_size
    return sum(sizes.values())


def clean(files: Iterable[Path], sent: Path) -> None:
    """Deletes what can be sent again: folders under `sent` unused for long, then files that no folder holds."""
    now = time.time()
    for folder in folders_in(sent):
        with suppress(FileNotFoundError):  # it was being put together, and has its name now
            if folder.stat().st_mtime < now - UNUSED_FOLDER:
                gone = folder.with_name(f".{folder.name}")  # as a whole or not at all
                folder.rename(gone)
                shutil.rmtree(gone)
    for place in files:
        for path in place.iterdir():
            with suppress(FileNotFoundError):  # a snapshot that has its name now
                about = path.stat()
                if about.st_nlink == 1 and about.st_mtime < now - UNUSED_FILE:
                    path.unlink()


def keep_for_now(path: Path) -> bool:
    """Whether the file is there; if so, `clean` leaves it for half an hour at least."""
    try:
        # Not each time: to those who read a run, a checkpoint with another time is another one.
        if path.stat().st_mtime < time.time() - UNUSED_FILE / 2:
            os.utime(path)
    except FileNotFoundError:
        return False
    return True


def folders_in(place: Path) -> list[Path]:
    """The folders themselves in `place`: no links, nor the files that a system leaves there, such as .DS_Store."""
    return [path for path in place.iterdir() if path.is_dir() and not path.is_symlink()]


def digest_of(path: Path) -> str:
    """The file's SHA-256 in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def drop_damaged(files: Path) -> None:
    """Deletes files that are not what their names, their hashes, say, where no folder holds them.

    A power cut can leave such: those that a folder holds were flushed before.
    """
    for path in files.iterdir():
        if path.stat().st_nlink == 1 and digest_of(path) != path.name:
            path.unlink()


def flush() -> None:
    """Has the system write what it still keeps in memory; Windows does so by itself within a second."""
    if hasattr(os, "sync"):
        os.sync()


def link_or_copy(source: Path, target: Path) -> None:
    """Makes `target` the same file as `source`, or a copy where the file system has no links."""
    try:
        os.link(source, target)
    except (FileNotFoundError, FileExistsError):
        raise
    except OSError:
        shutil.copyfile(source, target)


@contextmanager
def refusals(root: Path) -> Iterator[None]:
    """Turns what the disk refuses into a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError("The engine's disk is full: free some space there, then try again; all is kept.") from error
        raise UserError(
            f"The engine's storage {root} cannot be used ({error.strerror}): look after it there."
        ) from error
