"""What a request may ask for: each method's parameters, checked, one sentence for what is wrong."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from srn_engine.cameras import LARGEST_SIDE
from srn_engine.server.fields import Fields, InvalidParams, finite
from srn_engine.server.folders import Folders
from srn_engine.server.names import is_folder_name
from srn_engine.server.storage import SentFile

MAX_OFFERED = 4096  # files of one offer: some 500 kB
PASSES = ("colour", "depth", "normal", "semantic")
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Hello:
    protocol: int
    client: str


@dataclass(frozen=True)
class Train:
    """`preset`, `seconds`, `steps` and `seed` are None where the client leaves them to the engine; `resume`: go on with
    the run that is there."""

    dataset: Path
    run: Path
    preset: str | None = None
    seconds: float | None = None
    steps: int | None = None
    seed: int | None = None
    resume: bool = False


@dataclass(frozen=True)
class Render:
    """`camera` is checked JSON, as `srn_engine.cameras.Camera.from_json` takes it."""

    run: Path
    instance: str
    camera: Mapping[str, object]
    passes: tuple[str, ...]


@dataclass(frozen=True)
class Evaluate:
    run: Path
    dataset: Path
    split: str
    report: Path | None = None


@dataclass(frozen=True)
class Cancel:
    job: int


@dataclass(frozen=True)
class Jobs:
    pass


@dataclass(frozen=True)
class Shutdown:
    pass


@dataclass(frozen=True)
class OfferFiles:
    files: tuple[SentFile, ...]


@dataclass(frozen=True)
class SendFile:
    """A piece of `file`, which begins at `offset`; its bytes come as the frame's data."""

    file: SentFile
    offset: int


@dataclass(frozen=True)
class FetchFile:
    sha256: str
    offset: int


@dataclass(frozen=True)
class StoreFolder:
    """manifest: the hash of a file that has come."""

    name: str
    manifest: str


@dataclass(frozen=True)
class ListFolder:
    folder: Path


JobParams = Train | Render | Evaluate
StorageParams = OfferFiles | SendFile | FetchFile | StoreFolder | ListFolder
Params = Hello | JobParams | Cancel | Jobs | Shutdown | StorageParams


def read_params(method: str, params: object, folders: Folders) -> Params:
    """The checked parameters of a method out of `METHODS`; InvalidParams where they will not do."""
    fields = Fields(params)
    read = METHODS[method](fields, folders)
    fields.end()
    return read


def _hello(fields: Fields, folders: Folders) -> Hello:
    hello = Hello(fields.integer("protocol", 0), fields.text("client"))
    # Only what every version has in common: a client of another version is to learn which side to update.
    fields.ignore_rest()
    return hello


def _train(fields: Fields, folders: Folders) -> Train:
    return Train(
        dataset=fields.folder("dataset", folders.to_read),
        run=fields.folder("run", folders.to_write),
        preset=fields.text("preset") if fields.has("preset") else None,
        seconds=fields.number("seconds", positive=True) if fields.has("seconds") else None,
        steps=fields.integer("steps", 1) if fields.has("steps") else None,
        seed=fields.integer("seed", 0) if fields.has("seed") else None,
        resume=fields.has("resume") and fields.flag("resume"),
    )


def _render(fields: Fields, folders: Folders) -> Render:
    run, instance = fields.folder("run", folders.to_read), fields.text("instance")
    return Render(run, instance, _camera(fields.take("camera")), _passes(fields.take("passes")))


def _evaluate(fields: Fields, folders: Folders) -> Evaluate:
    return Evaluate(
        run=fields.folder("run", folders.to_read),
        dataset=fields.folder("dataset", folders.to_read),
        split=fields.choice("split", SPLITS),
        report=fields.folder("report", folders.to_write) if fields.has("report") else None,
    )


def _cancel(fields: Fields, folders: Folders) -> Cancel:
    return Cancel(fields.integer("job", 1))


def _jobs(fields: Fields, folders: Folders) -> Jobs:
    return Jobs()


def _shutdown(fields: Fields, folders: Folders) -> Shutdown:
    return Shutdown()


def _offer_files(fields: Fields, folders: Folders) -> OfferFiles:
    files = fields.take("files")
    if not isinstance(files, list) or not 1 <= len(files) <= MAX_OFFERED:
        raise InvalidParams(f"`files` must be a list of 1 to {MAX_OFFERED} files.")
    return OfferFiles(tuple(_sent_file(file) for file in files))


def _send_file(fields: Fields, folders: Folders) -> SendFile:
    size = fields.integer("size", 0)
    return SendFile(SentFile(fields.sha256("sha256"), size), fields.integer("offset", 0, size))


def _fetch_file(fields: Fields, folders: Folders) -> FetchFile:
    return FetchFile(fields.sha256("sha256"), fields.integer("offset", 0))


def _store_folder(fields: Fields, folders: Folders) -> StoreFolder:
    name = fields.text("name")
    if not is_folder_name(name):
        raise InvalidParams("`name` must be up to 100 letters, digits, `-`, `_` and `.`, and no device's name.")
    return StoreFolder(name, fields.sha256("manifest"))


def _list_folder(fields: Fields, folders: Folders) -> ListFolder:
    return ListFolder(fields.folder("folder", folders.to_read))


def _sent_file(value: object) -> SentFile:
    fields = Fields(value, "files")
    file = SentFile(fields.sha256("sha256"), fields.integer("size", 0))
    fields.end()
    return file


def _passes(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or any(name not in PASSES for name in value):
        raise InvalidParams(f"`passes` must be a list out of {', '.join(PASSES)}.")
    if len(set(value)) < len(value):
        raise InvalidParams("`passes` names a pass twice.")
    return tuple(value)


def _camera(value: object) -> Mapping[str, object]:
    fields = Fields(value, "camera")
    camera: dict[str, object] = {"pose": _pose(fields.take("pose"))}
    camera |= {name: fields.number(name, positive=True) for name in ("fl_x", "fl_y")}
    camera |= {name: fields.number(name) for name in ("cx", "cy")}
    camera |= {name: fields.integer(name, 1, LARGEST_SIDE) for name in ("width", "height")}
    fields.end()
    return camera


def _pose(value: object) -> list[list[float]]:
    if not isinstance(value, list) or len(value) != 4:
        raise InvalidParams("`pose` must be 4 rows of 4 numbers.")
    return [_pose_row(row) for row in value]


def _pose_row(value: object) -> list[float]:
    if isinstance(value, list) and len(value) == 4:
        numbers = [number for item in value if (number := finite(item)) is not None]
        if len(numbers) == 4:
            return numbers
    raise InvalidParams("`pose` must be 4 rows of 4 numbers.")


METHODS: Mapping[str, Callable[[Fields, Folders], Params]] = {
    "hello": _hello,
    "train": _train,
    "render": _render,
    "evaluate": _evaluate,
    "cancel": _cancel,
    "jobs": _jobs,
    "shutdown": _shutdown,
    "files.offer": _offer_files,
    "files.send": _send_file,
    "files.fetch": _fetch_file,
    "folder.store": _store_folder,
    "folder.list": _list_folder,
}
"""For each method what takes and checks its parameters; it raises InvalidParams."""
