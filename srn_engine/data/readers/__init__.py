"""Readers of dataset layouts, one a file; `open_dataset` recognises which one a folder needs."""

from pathlib import Path

from srn_engine.data.dataset import Dataset
from srn_engine.data.readers.capture import open_capture
from srn_engine.data.readers.colmap import model_folder, open_colmap
from srn_engine.data.readers.deepvoxels import open_deepvoxels
from srn_engine.data.readers.srn import open_srn
from srn_engine.data.readers.transforms import is_transforms, open_transforms
from srn_engine.errors import UserError


def open_dataset(root: Path) -> Dataset:
    """Opens the dataset in the folder `root`; UserError where there is none, it is broken or of no known layout.

    Known are captures of the add-on, transforms.json (NeRF-synthetic, instant-ngp, nerfstudio), COLMAP models, and
    the layouts of DeepVoxels and of SRN; docs/dataset.md says more. A folder that is several at once, as a capture
    is, is read as the first of these.
    """
    if (root / "dataset.json").is_file():
        return open_capture(root)
    if is_transforms(root):
        return open_transforms(root)
    if (model := model_folder(root)) is not None:
        return open_colmap(root, model)
    found = open_deepvoxels(root) or open_srn(root)
    if found is not None:
        return found
    if not root.is_dir():
        raise UserError(f"{root} does not exist; choose the folder of a dataset.")
    raise UserError(
        f"{root} is no dataset: it holds no dataset.json, no transforms.json, no COLMAP model and no folders with "
        "rgb, pose and intrinsics.txt."
    )
