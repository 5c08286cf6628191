"""What makes a view useless to learn from, said in one sentence."""

import numpy as np

from srn_engine.data.dataset import Views
from srn_engine.data.images import Bytes


def camera_problem(views: Views, n: int) -> str | None:
    """A sentence where camera n cannot see the object, which lies in the unit sphere around the origin."""
    pose = views.cameras[n].pose
    if -pose[:3, 2] @ pose[:3, 3] < -1:
        return f"{named(views, n)} looks away from the object: it lies behind the camera; check its pose."
    return None


def picture_problem(views: Views, n: int, rgba: Bytes) -> str | None:
    """A sentence where the (H, W, 4) picture n shows nothing of the object, or only its inside."""
    alpha = rgba[..., 3]
    if not alpha.any():
        return f"{named(views, n)} is empty; check that the object is in the picture."
    inside = np.linalg.norm(views.cameras[n].pose[:3, 3]) < 1
    if inside and "rgba" in views.dataset.passes and (alpha == np.iinfo(alpha.dtype).max).all():
        return f"{named(views, n)} was taken from inside the object, and shows no edge of it; move the camera out."
    return None


def named(views: Views, n: int) -> str:
    """What a sentence calls view n."""
    return f"View {views.names[n]} ({views.split}) of {views.instance.id} in {views.dataset.root}"
