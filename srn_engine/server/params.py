"""What a request may ask for: each method's parameters, as `read_params` leaves them, checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from srn_engine.cameras import Camera
from srn_engine.previews import View
from srn_engine.server.storage import SentFile


@dataclass(frozen=True)
class Hello:
    protocol: int
    client: str


@dataclass(frozen=True)
class Train:
    """`preset`, `seconds`, `steps`, `seed` and `save_every` are None where the client leaves them to the engine;
    `resume`: go on with the run that is there; `preview`: what it shows of itself."""

    dataset: Path
    run: Path
    preset: str | None = None
    seconds: float | None = None
    steps: int | None = None
    seed: int | None = None
    resume: bool = False
    save_every: float | None = None
    preview: View | None = None


@dataclass(frozen=True)
class Render:
    """`weights`: an instance with 1, or several that are mixed, with positive weights that sum to 1."""

    run: Path
    weights: Mapping[str, float]
    camera: Camera
    passes: tuple[str, ...]


@dataclass(frozen=True)
class Evaluate:
    run: Path
    dataset: Path
    split: str
    report: Path | None = None


@dataclass(frozen=True)
class Fit:
    """`fitted`: the folder that is written; `views`: how many of each instance's, None for all."""

    run: Path
    dataset: Path
    fitted: Path
    views: int | None = None


@dataclass(frozen=True)
class Mesh:
    """`resolution`: None where the client leaves it to the engine; `points`: of a cloud, None for a mesh."""

    run: Path
    instance: str
    resolution: int | None = None
    points: int | None = None


@dataclass(frozen=True)
class ProposeViews:
    """`instance`: None for the dataset's only one; `seconds`: to look for."""

    dataset: Path
    cameras: tuple[Camera, ...]
    count: int
    seconds: float
    instance: str | None = None


@dataclass(frozen=True)
class Follow:
    job: int


@dataclass(frozen=True)
class Preview:
    """`view`: what the training shows from now on, None for nothing."""

    job: int
    view: View | None


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


JobParams = Train | Render | Evaluate | Fit | Mesh | ProposeViews
StorageParams = OfferFiles | SendFile | FetchFile | StoreFolder | ListFolder
Params = Hello | JobParams | Follow | Preview | Cancel | Jobs | Shutdown | StorageParams
