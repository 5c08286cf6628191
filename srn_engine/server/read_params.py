"""Reads what a request asks for: each method's parameters, checked, one sentence for what is wrong."""

from collections.abc import Callable, Mapping

from srn_engine.cameras import LARGEST_SIDE, Camera
from srn_engine.errors import UserError
from srn_engine.limits import MOST_CANDIDATES, PASSES
from srn_engine.previews import View
from srn_engine.server.fields import Fields, InvalidParams, finite
from srn_engine.server.folders import Folders
from srn_engine.server.names import is_folder_name
from srn_engine.server.params import (
    Cancel,
    Evaluate,
    FetchFile,
    Fit,
    Follow,
    Hello,
    Jobs,
    ListFolder,
    Mesh,
    OfferFiles,
    Params,
    Preview,
    ProposeViews,
    Render,
    SendFile,
    Shutdown,
    StoreFolder,
    Train,
)
from srn_engine.server.storage import SentFile

MAX_OFFERED = 4096  # files of one offer: some 500 kB
MAX_MIXED = 1000  # instances
SPLITS = ("train", "val", "test")


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
        save_every=fields.number("save_every", positive=True) if fields.has("save_every") else None,
        preview=_view(Fields(fields.take("preview"), "preview")) if fields.has("preview") else None,
    )


def _render(fields: Fields, folders: Folders) -> Render:
    run = fields.folder("run", folders.to_read)
    if fields.has("mix") == fields.has("instance"):
        raise InvalidParams("`instance` or `mix` says what is seen, one of them.")
    weights = _mix(fields.take("mix")) if fields.has("mix") else {fields.text("instance"): 1.0}
    return Render(run, weights, _camera(fields.take("camera")), _passes(fields.take("passes")))


def _evaluate(fields: Fields, folders: Folders) -> Evaluate:
    return Evaluate(
        run=fields.folder("run", folders.to_read),
        dataset=fields.folder("dataset", folders.to_read),
        split=fields.choice("split", SPLITS),
        report=fields.folder("report", folders.to_write) if fields.has("report") else None,
    )


def _fit(fields: Fields, folders: Folders) -> Fit:
    return Fit(
        run=fields.folder("run", folders.to_read),
        dataset=fields.folder("dataset", folders.to_read),
        fitted=fields.folder("fitted", folders.to_write),
        views=fields.integer("views", 1) if fields.has("views") else None,
    )


def _mesh(fields: Fields, folders: Folders) -> Mesh:
    return Mesh(
        run=fields.folder("run", folders.to_read),
        instance=fields.text("instance"),
        resolution=fields.integer("resolution", 1) if fields.has("resolution") else None,
        points=fields.integer("points", 1) if fields.has("points") else None,
    )


def _propose_views(fields: Fields, folders: Folders) -> ProposeViews:
    dataset, cameras = fields.folder("dataset", folders.to_read), fields.take("cameras")
    if not isinstance(cameras, list) or not 1 <= len(cameras) <= MOST_CANDIDATES:
        raise InvalidParams(f"`cameras` must be a list of 1 to {MOST_CANDIDATES} cameras.")
    return ProposeViews(
        dataset,
        tuple(_camera(camera) for camera in cameras),
        fields.integer("count", 1, len(cameras)),
        fields.number("seconds", positive=True),
        fields.text("instance") if fields.has("instance") else None,
    )


def _follow(fields: Fields, folders: Folders) -> Follow:
    return Follow(fields.integer("job", 1))


def _preview(fields: Fields, folders: Folders) -> Preview:
    return Preview(fields.integer("job", 1), _view(fields))


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
    if not isinstance(value, list) or not value or not all(isinstance(name, str) and name in PASSES for name in value):
        raise InvalidParams(f"`passes` must be a list out of {', '.join(PASSES)}.")
    if len(set(value)) < len(value):
        raise InvalidParams("`passes` names a pass twice.")
    return tuple(value)


def _mix(value: object) -> Mapping[str, float]:
    """Weights that sum to 1, by instance."""
    if not isinstance(value, dict) or not 1 <= len(value) <= MAX_MIXED:
        raise InvalidParams(f"`mix` must be an object of 1 to {MAX_MIXED} weights, by instance.")
    weights = {name: number for name, weight in value.items() if (number := finite(weight)) is not None and number > 0}
    total = sum(weights.values())
    if len(weights) < len(value) or finite(total) is None:
        raise InvalidParams("`mix` must give each instance a weight above 0.")
    return {name: weight / total for name, weight in weights.items()}


def _view(fields: Fields) -> View | None:
    """What a training is to show: nothing where `camera` is null."""
    camera = fields.take("camera")
    instance = fields.text("instance") if fields.has("instance") else None
    fields.end()
    return None if camera is None else View(_camera(camera), instance)


def _camera(value: object) -> Camera:
    fields = Fields(value, "camera")
    camera: dict[str, object] = {"pose": _pose(fields.take("pose"))}
    camera |= {name: fields.number(name, positive=True) for name in ("fl_x", "fl_y")}
    camera |= {name: fields.number(name) for name in ("cx", "cy")}
    camera |= {name: fields.integer(name, 1, LARGEST_SIDE) for name in ("width", "height")}
    fields.end()
    try:
        return Camera.from_json(camera)
    except UserError as error:
        raise InvalidParams(f"`camera` will not do: {error}") from None


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
    "fit": _fit,
    "mesh": _mesh,
    "propose_views": _propose_views,
    "follow": _follow,
    "preview": _preview,
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
