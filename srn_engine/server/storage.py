"""The folder in which an engine keeps what other machines send it, and the runs that it trains for them.

STORAGE/files/SHA256   whole files, each once, called by their hash and never changed
STORAGE/parts/SHA256   files of which a part has come
STORAGE/sent/NAME      folders put together from these files; of a dataset, or of a run that was trained elsewhere
STORAGE/runs/NAME      what jobs write
"""

import os
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from srn_engine.errors import UserError
from srn_engine.server.disk import (
    clean,
    digest_of,
    drop_damaged,
    flush,
    folders_in,
    keep_for_now,
    link_or_copy,
    measure,
    refusals,
)
from srn_engine.server.folders import NoSuchName
from srn_engine.server.manifest import MAX_MANIFEST, InnerFile, read_manifest
from srn_engine.server.names import is_folder_name, is_inner_path

SENT, RUNS = "sent", "runs"
MAX_LISTED = 500  # files of a folder that `list_files` tells: they fit into one frame
TRAINING = "training-*.safetensors"  # what a training needs to go on, here; twice the rest of its run
NAME_LENGTH = 83  # characters of a folder's name before its hash: with it they are the 100 that a name may have
MEASURE_EVERY = 10.0  # seconds, while something is sent: jobs take room too
GIB = 2**30


@dataclass(frozen=True)
class SentFile:
    """A file by its contents: SHA-256 in hexadecimal digits, and size in bytes."""

    sha256: str
    size: int


class Storage:
    """Everything raises UserError where the disk refuses; every method may be called from any thread."""

    def __init__(self, root: Path, limit: int) -> None:
        """limit: bytes that all of it may take; jobs that have begun may pass it."""
        with refusals(root):
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.root = root.resolve()
            self._files, self._parts, self._sent, self._runs = (
                self.root / name for name in ("files", "parts", SENT, RUNS)
            )
            for folder in (self._files, self._parts, self._sent, self._runs):
                folder.mkdir(exist_ok=True)
            for folder in folders_in(self._sent):
                if folder.name.startswith("."):  # unfinished
                    shutil.rmtree(folder)
            drop_damaged(self._files)
            self._measure()
        self._limit = limit
        self._lock = threading.Lock()  # held while files come and go: several clients may send the same
        self._hashes: dict[tuple[Path, int, int], str] = {}

    def to_read(self, name: str) -> Path:
        kind, _, own = name.partition("/")
        if kind not in (SENT, RUNS) or not is_folder_name(own):
            raise NoSuchName("a folder in the engine's storage, as in sent/chair or runs/chair")
        path = self.root / kind / own
        if path.is_symlink():
            raise NoSuchName("a folder in the engine's storage, and is a link")
        if kind == SENT and path.is_dir():
            with suppress(OSError):  # it only looks as if it was not used for long, which `clean` goes by
                os.utime(path)
        return path

    def to_write(self, name: str) -> Path:
        path = self.to_read(name)
        if path.parent.name != RUNS:
            raise NoSuchName("a folder of the engine's runs, as in runs/chair")
        return path

    def offer(self, files: Iterable[SentFile]) -> dict[SentFile, int]:
        """Those of `files` that are not here, each with the bytes of it that have come."""
        with self._lock, refusals(self.root):
            missing = {file: there for file in files if (there := self._come(file)) is not None}
            if missing:
                self._measure_now_and_then()
            self._need(sum(max(0, file.size - there) for file, there in missing.items()))
        return missing

    def send(self, file: SentFile, offset: int, data: bytes) -> int:
        """Adds a piece where `offset` is the end of what has come, else leaves it; returns how much has come.

        A file that is whole is checked by its hash and counts as `size`; UserError where it is another.
        """
        with self._lock, refusals(self.root):
            if self._whole(file.sha256).is_file():
                return file.size
            there = self._size_of_part(file.sha256)
            if there != offset:
                return there
            self._need(len(data))
            with (self._parts / file.sha256).open("ab") as part:
                part.write(data)
            self._used += len(data)
            if not self._finish(file):
                raise UserError("A file came that is not the one that was offered: it has changed; send it again.")
            return there + len(data)

    def store(self, name: str, manifest: str) -> str:
        """Puts a folder together from files that have come, as the one with the hash `manifest` says; returns its name.

        The same manifest makes the same folder again. UserError where a file is not here.
        """
        own = f"{name[:NAME_LENGTH]}-{manifest[:16]}"
        folder = self._sent / own
        with refusals(self.root):
            if not folder.is_dir():
                files = read_manifest(self._read(manifest, 0, MAX_MANIFEST + 1)[0])
                making = Path(tempfile.mkdtemp(prefix=".", dir=self._sent))
                try:
                    self._fill(making, files)
                    flush()
                    making.rename(folder)
                except OSError:
                    if not folder.is_dir():  # else another client was quicker with the same
                        raise
                finally:
                    shutil.rmtree(making, ignore_errors=True)
            os.utime(folder)
        return f"{SENT}/{own}"

    def list_files(self, folder: Path) -> list[InnerFile]:
        """The files of a folder but those of its subfolders and TRAINING, as they are now and kept for `fetch`."""
        if not folder.is_dir():
            raise UserError(f"The engine's storage has no {folder.parent.name}/{folder.name}: train it first.")
        with refusals(self.root):
            with self._lock:
                self._measure_now_and_then()
                if self._used > self._limit:  # it may be by what was listed before, and has been replaced since
                    self._clean()
            paths = [
                path
                for path in sorted(folder.iterdir())
                if path.is_file()
                and not path.is_symlink()
                and path.suffix != ".part"
                and is_inner_path(path.name)
                and not path.match(TRAINING)
            ]
            return [InnerFile(path.name, *self._keep(path)) for path in paths[:MAX_LISTED]]

    def fetch(self, sha256: str, offset: int, most: int) -> tuple[bytes, int]:
        """At most `most` bytes of a whole file from `offset` on, and the file's size."""
        with refusals(self.root):
            return self._read(sha256, offset, most)

    def _measure(self) -> None:
        self._used, self._measured = measure(self.root), time.monotonic()

    def _measure_now_and_then(self) -> None:
        if time.monotonic() - self._measured > MEASURE_EVERY:
            self._measure()

    def _whole(self, sha256: str) -> Path:
        return self._files / sha256

    def _size_of_part(self, sha256: str) -> int:
        try:
            return (self._parts / sha256).stat().st_size
        except FileNotFoundError:
            return 0

    def _come(self, file: SentFile) -> int | None:
        """How much of a file has come, None where it is whole; kept for now, as the client is going to count on it."""
        self._finish(file)  # it may have come whole just before the engine ended
        if keep_for_now(self._whole(file.sha256)):
            return None
        return self._size_of_part(file.sha256) if keep_for_now(self._parts / file.sha256) else 0

    def _finish(self, file: SentFile) -> bool:
        """Takes a part that is complete for the whole file; where it is another it goes, and this is False."""
        part = self._parts / file.sha256
        if not part.exists() or part.stat().st_size < file.size:
            return True
        if digest_of(part) != file.sha256:
            part.unlink()
            return False
        os.replace(part, self._whole(file.sha256))
        return True

    def _read(self, sha256: str, offset: int, most: int) -> tuple[bytes, int]:
        try:
            with self._whole(sha256).open("rb") as file:
                file.seek(offset)
                return file.read(most), os.fstat(file.fileno()).st_size
        except FileNotFoundError:
            raise UserError(f"The engine's storage has no file {sha256[:16]}…: offer or list it again.") from None

    def _fill(self, folder: Path, files: Iterable[InnerFile]) -> None:
        for file in files:
            source, place = self._whole(file.sha256), folder / file.path
            if not source.is_file() or source.stat().st_size != file.size:
                raise UserError(f"{file.path} has not come: offer the folder's files again.")
            place.parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(source, place)

    def _keep(self, path: Path) -> tuple[int, str]:
        """Keeps a file of a job as it is now among the whole files; its size and hash."""
        about = path.stat()
        key = (path, about.st_mtime_ns, about.st_size)
        known = self._hashes.get(key)
        if known is not None and keep_for_now(self._whole(known)):
            return about.st_size, known
        snapshot = self._parts / f"snapshot-{secrets.token_hex(8)}"
        try:
            # A run's files are replaced and never changed, but for those that grow line by line.
            (shutil.copyfile if path.suffix == ".jsonl" else link_or_copy)(path, snapshot)
            found, size = digest_of(snapshot), snapshot.stat().st_size
            if not keep_for_now(self._whole(found)):
                os.replace(snapshot, self._whole(found))
        finally:
            snapshot.unlink(missing_ok=True)
        self._hashes[key] = found
        return size, found

    def _clean(self) -> None:
        clean((self._files, self._parts), self._sent)
        self._measure()

    def _need(self, room: int) -> None:
        """UserError where so many bytes more are over the limit, and nothing that is no longer used can go."""
        if self._used + room <= self._limit:
            return
        self._clean()
        if self._used + room > self._limit:
            raise UserError(
                f"The engine's storage holds {self._used / GIB:.2f} of {self._limit / GIB:.2f} GiB and "
                f"{room / GIB:.2f} GiB more are to come: delete folders under {self.root / SENT} or "
                f"{self.root / RUNS} there, or start the engine with a greater --storage-limit."
            )
