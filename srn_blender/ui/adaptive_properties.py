"""The part of `scene.srn` that says how far an adaptive capture goes."""

from __future__ import annotations

import dataclasses
from typing import Any

from bpy.props import FloatProperty, IntProperty

from ..capture.adaptive import Wish

WISH: dict[str, Any] = {field.name: field.default for field in dataclasses.fields(Wish)}


class AdaptiveProperties:
    """Mixed into the property group of the scene."""

    first_views: IntProperty(
        name="First Views",
        description="Evenly spread views that are captured before the model is asked for more",
        default=WISH["first_views"],
        min=4,
        soft_max=50,
        max=100_000,
    )
    batch: IntProperty(
        name="Batch",
        description="Views that the model asks for at once; fewer are better chosen and take longer",
        default=WISH["batch"],
        min=1,
        soft_max=20,
        max=200,
    )
    most_views: IntProperty(
        name="Most Views",
        description="Training views of an instance at which the capture ends",
        default=WISH["most_views"],
        min=4,
        soft_max=200,
        max=100_000,
    )
    quality: FloatProperty(
        name="Wanted dB",
        description="The PSNR in views that no quick look has seen at which the capture ends; 0 for Most Views alone",
        default=WISH["quality"],
        min=0.0,
        max=100.0,
        precision=1,
    )
    ask_seconds: FloatProperty(
        name="Batch Seconds",
        description="How long the model is trained to choose the views of a batch",
        default=15.0,
        min=1.0,
        soft_max=120.0,
        max=3600.0,
        precision=1,
    )
