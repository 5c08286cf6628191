"""What a request may ask for: each method's parameters, checked, one sentence for what is wrong."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

MAX_SIDE = 8192  # pixels
MAX_WORDS = 4096  # characters of a path or a name
PASSES = ("colour", "depth", "normal", "semantic")
SPLITS = ("train", "val", "test")


class InvalidParams(Exception):
    """A parameter that is missing or wrong, in one sentence."""


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


JobParams = Train | Render | Evaluate
Params = Hello | JobParams | Cancel | Jobs | Shutdown


class _Fields:
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

    def folder(self, name: str) -> Path:
        path = Path(self.text(name))
        if not path.is_absolute():
            raise InvalidParams(f"`{name}` must be an absolute path on the engine's machine.")
        return path

    def flag(self, name: str) -> bool:
        value = self.take(name)
        if not isinstance(value, bool):
            raise InvalidParams(f"`{name}` must be true or false.")
        return value

    def number(self, name: str, positive: bool = False) -> float:
        value = _finite(self.take(name))
        if value is None or (positive and value <= 0):
            raise InvalidParams(f"`{name}` must be a {'positive ' if positive else ''}number.")
        return value

    def integer(self, name: str, least: int, most: int = 2**53) -> int:
        value = self.take(name)
        if type(value) is not int or not least <= value <= most:
            raise InvalidParams(f"`{name}` must be an integer from {least} to {most}.")
        return value


def _hello(params: object) -> Hello:
    fields = _Fields(params)
    # Only what every version has in common: a client of another version is to learn which side to update.
    return Hello(fields.integer("protocol", 0), fields.text("client"))


def _train(params: object) -> Train:
    fields = _Fields(params)
    train = Train(
        dataset=fields.folder("dataset"),
        run=fields.folder("run"),
        preset=fields.text("preset") if fields.has("preset") else None,
        seconds=fields.number("seconds", positive=True) if fields.has("seconds") else None,
        steps=fields.integer("steps", 1) if fields.has("steps") else None,
        seed=fields.integer("seed", 0) if fields.has("seed") else None,
        resume=fields.has("resume") and fields.flag("resume"),
    )
    fields.end()
    return train


def _render(params: object) -> Render:
    fields = _Fields(params)
    run, instance = fields.folder("run"), fields.text("instance")
    camera, passes = _camera(fields.take("camera")), _passes(fields.take("passes"))
    fields.end()
    return Render(run, instance, camera, passes)


def _evaluate(params: object) -> Evaluate:
    fields = _Fields(params)
    evaluate = Evaluate(
        run=fields.folder("run"),
        dataset=fields.folder("dataset"),
        split=fields.choice("split", SPLITS),
        report=fields.folder("report") if fields.has("report") else None,
    )
    fields.end()
    return evaluate


def _cancel(params: object) -> Cancel:
    fields = _Fields(params)
    cancel = Cancel(fields.integer("job", 1))
    fields.end()
    return cancel


def _jobs(params: object) -> Jobs:
    fields = _Fields(params)
    fields.end()
    return Jobs()


def _shutdown(params: object) -> Shutdown:
    fields = _Fields(params)
    fields.end()
    return Shutdown()


def _passes(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or any(name not in PASSES for name in value):
        raise InvalidParams(f"`passes` must be a list out of {', '.join(PASSES)}.")
    if len(set(value)) < len(value):
        raise InvalidParams("`passes` names a pass twice.")
    return tuple(value)


def _camera(value: object) -> Mapping[str, object]:
    fields = _Fields(value, "camera")
    camera: dict[str, object] = {"pose": _pose(fields.take("pose"))}
    camera |= {name: fields.number(name, positive=True) for name in ("fl_x", "fl_y")}
    camera |= {name: fields.number(name) for name in ("cx", "cy")}
    camera |= {name: fields.integer(name, 1, MAX_SIDE) for name in ("width", "height")}
    fields.end()
    return camera


def _pose(value: object) -> list[list[float]]:
    if not isinstance(value, list) or len(value) != 4:
        raise InvalidParams("`pose` must be 4 rows of 4 numbers.")
    return [_pose_row(row) for row in value]


def _pose_row(value: object) -> list[float]:
    if isinstance(value, list) and len(value) == 4:
        numbers = [number for item in value if (number := _finite(item)) is not None]
        if len(numbers) == 4:
            return numbers
    raise InvalidParams("`pose` must be 4 rows of 4 numbers.")


def _finite(value: object) -> float | None:
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


METHODS: Mapping[str, Callable[[object], Params]] = {
    "hello": _hello,
    "train": _train,
    "render": _render,
    "evaluate": _evaluate,
    "cancel": _cancel,
    "jobs": _jobs,
    "shutdown": _shutdown,
}
"""For each method what checks its JSON parameters; it raises InvalidParams."""
