"""Makes the plan of a capture: each instance is looked at once before the first view is rendered."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace

import bpy

from ..errors import UserError
from .background import in_background, telling
from .fingerprint import Look, fingerprint
from .growth import NONE, Added, grown, train_folder
from .instance import Instance
from .labels import BACKGROUND, choose_views, in_order, list_classes
from .manifest import class_names
from .plan import InstancePlan, Plan
from .rigs import Rig, plan_rig
from .settings import CaptureSettings, LabelClass
from .studio import Studio
from .textures import require_textures


@dataclass(frozen=True, eq=False)
class Planned:
    """A plan; the instances that it holds, by id; and a sentence on each that cannot be captured."""

    plan: Plan
    instances: dict[str, Instance]
    left_out: tuple[str, ...]


def plan_capture(
    scene: bpy.types.Scene, studio: Studio, instances: Sequence[Instance], anew: bool, added: Added = NONE
) -> Generator[str, None, Planned]:
    """Looks at each instance, saying so. One that cannot be captured is left out, and the others go on.

    anew: whether the classes need not keep the ids that they have in views on disk, and nothing goes on there. added:
    training views beyond those of the rig and those that were added before. Raises UserError where no instance can be
    captured, and where the settings do not do for any.
    """
    plans, able, left_out, names = list[InstancePlan](), dict[str, Instance](), list[str](), set[str]()
    look, rig = Look(), None
    for number, instance in enumerate(instances, 1):
        what = f"Looking at '{instance.source}', {number} of {len(instances)}."
        try:
            yield from telling(what, studio.show(instance))
            require_textures(studio.parts, scene.world)
            rig = plan_rig(scene, studio.settings, studio.centre, studio.scale)
            prints = yield from telling(what, look_at_instance(studio, rig, look))
        except UserError as error:
            if len(instances) == 1:
                raise
            left_out.append(f"{instance.source}: {error}")
            continue
        folder = None if anew else train_folder(studio.settings, instance.id)
        poses = grown(rig.poses, folder, added.get(instance.id))
        plans.append(replace(_plan_instance(studio, instance, rig, prints, len(plans)), poses=poses))
        able[instance.id] = instance
        names |= {source.name for source in studio.sources}
    if rig is None or not plans:
        raise UserError(f"None of {len(instances)} instances can be captured: {left_out[0]}")
    settings = studio.settings
    plan = Plan(
        name=settings.name,
        instances=plans,
        camera=rig.camera,
        passes=["rgb", *settings.passes, *(["semantic"] if settings.labels != "none" else [])],
        classes=_classes(settings, names, [] if anew else class_names(settings.root)),
        rig={"kind": settings.rig, "seed": settings.seed, **({"radius": rig.radius} if rig.radius else {})},
        blender=bpy.app.version_string,
        fingerprint=(yield from telling("Looking at the lights.", look_at_all(studio, able))),
    )
    return Planned(plan, able, tuple(left_out))


def look_at_all(studio: Studio, instances: Mapping[str, Instance]) -> Generator[None, None, dict[str, str]]:
    """The fingerprint of what all views depend on, as it is now.

    The light is a part of it only for instances of the current frame: at another one it may be another.
    """
    look = Look()
    seen = look.at_all(studio)
    if any(instance.frame is None for instance in instances.values()):
        studio.go_to_own_frame()
        seen |= look.at_light(studio)
    yield
    return (yield from in_background(lambda: fingerprint(seen)))


def look_at_instance(studio: Studio, rig: Rig, look: Look) -> Generator[None, None, dict[str, str]]:
    """The fingerprint of the instance that is shown, as it was measured last."""
    seen = look.at_instance(studio, rig)
    if studio.instance is not None and studio.instance.frame is not None:
        seen |= look.at_light(studio)
    yield
    return (yield from in_background(lambda: fingerprint(seen)))


def _plan_instance(studio: Studio, instance: Instance, rig: Rig, prints: dict[str, str], number: int) -> InstancePlan:
    """The plan of an instance that `number` others come before."""
    settings, labelled = studio.settings, None
    if settings.labels != "none" and settings.labelled_views:
        labelled = choose_views(rig.poses["train"][:, :3, 3], settings.labelled_views)
    if settings.labels != "none" and 0 < settings.labelled_instances <= number:
        labelled = []
    centre = studio.centre.tolist()
    return InstancePlan(instance.id, instance.source, centre, studio.scale, rig.poses, prints, labelled)


def _classes(settings: CaptureSettings, names: set[str], there: Sequence[str]) -> list[LabelClass]:
    """The classes of all instances; those that views on disk were labelled with keep their ids."""
    if settings.labels == "none":
        return [BACKGROUND]
    return list_classes([*there, *in_order(names - set(there))], settings.classes)
