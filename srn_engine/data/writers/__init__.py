"""Writers of dataset layouts, one a file; `convert` writes any dataset that the readers know in another layout."""

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from srn_engine.data.dataset import SPLITS, Dataset
from srn_engine.data.readers import open_dataset
from srn_engine.data.writers.colmap import write_colmap
from srn_engine.data.writers.srn import write_srn
from srn_engine.data.writers.transforms import write_nerf, write_nerfstudio
from srn_engine.errors import UserError
from srn_engine.progress import Progress, Report

Writer = Callable[[Dataset, str, Path], None]  # writes one instance into a folder

# Layouts of one instance; several get a folder each. SRN's holds any number.
WRITERS: Mapping[str, Writer] = MappingProxyType(
    {"nerf": write_nerf, "nerfstudio": write_nerfstudio, "colmap": write_colmap, "srn": write_srn}
)
_OF_MANY = {"srn"}


def convert(source: Path, target: Path, to: str, report: Report) -> dict[str, Any]:
    """Writes the dataset at `source` to the new folder `target` in the layout `to`, whole or not at all.

    UserError where the source is broken, the layout cannot hold it or the target cannot be written.
    """
    data = open_dataset(source)
    target = target.resolve()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"{target} is not empty; choose a new folder.")
    part = target.with_name(f".{target.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)  # left by a conversion that was killed
        part.mkdir(parents=True)
        for number, instance in enumerate(data.instances):
            report(Progress(number / len(data.instances), f"Instance {number + 1} of {len(data.instances)}"))
            alone = to in _OF_MANY or len(data.instances) == 1
            WRITERS[to](data, instance.id, part if alone else part / instance.id)
        if target.exists():
            target.rmdir()
        os.replace(part, target)
    except OSError as error:
        raise UserError(f"{target} cannot be written ({error}); free some space or choose another folder.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    views = sum(len(data.views(split, one.id)) for split in SPLITS for one in data.instances)
    return {"out": str(target), "to": to, "instances": len(data.instances), "views": views}
