"""Writes the layout of Scene Representation Networks, which pixelNeRF, CodeNeRF and light field networks read too."""

import shutil
from pathlib import Path

from srn_engine.data.dataset import SPLITS, Dataset
from srn_engine.data.readers.files import identifier
from srn_engine.data.writers.pictures import save_over_white
from srn_engine.errors import UserError


def write_srn(dataset: Dataset, instance: str, folder: Path) -> None:
    """Adds an instance, over white, in dataset units; label pictures as seg/ where there are any.

    UserError where its views differ in size or focal length: the layout has one intrinsics.txt for all.
    """
    for split in SPLITS:
        views = dataset.views(split, instance)
        if not len(views):
            continue
        size = views.cameras[0].intrinsics
        if any(camera.intrinsics != size for camera in views.cameras) or abs(size.fl_x - size.fl_y) > 1e-3:
            raise UserError(
                f"The views of {instance} differ in size or focal length, or have pixels that are not square, which "
                "SRN's layout cannot say; choose nerfstudio."
            )
        place = folder / f"{identifier(dataset.name)}_{split}" / instance
        for name in ("rgb", "pose", *(("seg",) if views.has("semantic") else ())):
            (place / name).mkdir(parents=True)
        # pixelNeRF takes the last line for H W: nothing may follow it.
        text = f"{size.fl_x!r} {size.cx!r} {size.cy!r} 0.\n0. 0. 0.\n1.\n{size.height} {size.width}\n"
        (place / "intrinsics.txt").write_text(text, encoding="utf-8")
        for number, view in enumerate(views.views):
            save_over_white(view, place / "rgb" / f"{number:06d}.png")
            pose = " ".join(repr(float(one)) for one in view.camera.pose.flat)
            (place / "pose" / f"{number:06d}.txt").write_text(pose + "\n", encoding="utf-8")
            if views.has("semantic", number):
                shutil.copyfile(view.files["semantic"], place / "seg" / f"{number:06d}.png")
    if "semantic" in dataset.passes:
        names = "\n".join(one.name for one in dataset.classes)
        (folder / "classes.txt").write_text(names + "\n", encoding="utf-8")
