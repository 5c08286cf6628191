"""Reads the layout of DeepVoxels (Sitzmann et al. 2019, CVPR), as its authors ship the synthetic scenes.

    ROOT/{train,validation,test}/<scene>/{rgb/*.png, pose/*.txt, intrinsics.txt}

Its files are those of the SRN family (srn.py), with a near plane more in intrinsics.txt. A single scene's folder, as
the authors' own `--data_root` wants it, is read as the SRN family's is.
"""

from pathlib import Path

from srn_engine.data.dataset import Dataset
from srn_engine.data.readers.srn import dataset_of_folders, instances_in

_FOLDERS = {"train": ("train",), "val": ("validation", "val"), "test": ("test",)}


def open_deepvoxels(root: Path) -> Dataset | None:
    """Reads the layout at `root`; None where it is another one, UserError where something in it will not do."""
    if not (root / "train").is_dir() or instances_in(root / "train") != root / "train":
        return None
    folders = {
        split: tuple(root / name for name in names if (root / name).is_dir()) for split, names in _FOLDERS.items()
    }
    return dataset_of_folders(root, folders, divided=True)
