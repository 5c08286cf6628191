"""Installing the engine, removing it, and seeing whether it works."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
from bpy.props import StringProperty

from ..engine.child import Progress
from ..engine.engine import READY, STARTING, engine
from ..engine.install import InstallPlan, Steps, install, uninstall
from ..engine.installation import bundled_wheel
from ..engine.torch_builds import AUTO, build_named, proposed
from ..engine.trial import describe_trial, try_engine
from ..errors import UserError
from . import tasks
from .engine_choice import (
    HOST,
    ask_to_go_online,
    checked_interpreter,
    installation_of,
    open_engine,
    preferences_of,
    source_of,
)
from .long_work import LongWork, take_step

SURE = 0.15  # of the work is to be done before the time left is said


class StepsTask(tasks.Task):
    """Follows a generator of `Progress` that returns how it ended."""

    pause = 0.05

    def __init__(self, kind: str, message: str, steps: Steps, cancelled: str) -> None:
        super().__init__(kind, message)
        self._steps = steps
        self._cancelled = cancelled
        self._began = time.monotonic()
        self._timer = self._go_on  # kept: Blender knows a timer by its very function

    def _go_on(self) -> float | None:
        take_step(self)
        return self.pause if self.state == tasks.RUNNING else None

    def step(self) -> None:
        try:
            self.fraction, self.message = next(self._steps)
        except StopIteration as ended:
            self.end(tasks.DONE, ended.value)
            return
        spent = time.monotonic() - self._began
        self.eta = spent * (1.0 / self.fraction - 1.0) if self.fraction > SURE else None

    def abandon(self) -> None:
        """Another file was opened, which is nothing to this work: a timer takes the steps from now on."""
        bpy.app.timers.register(self._timer, persistent=True)

    def cancel(self) -> None:
        if bpy.app.timers.is_registered(self._timer):
            bpy.app.timers.unregister(self._timer)
        self._steps.close()
        self.end(tasks.CANCELLED, self._cancelled)


def plan_of(context: Any, wheel: str = "") -> InstallPlan:
    """What Install Engine would do now. UserError where no wheel came with the add-on and none is given.

    wheel: the engine's wheel, in place of the one that came with the add-on.
    """
    file = Path(bpy.path.abspath(wheel)) if wheel else bundled_wheel()
    if file is None or not file.is_file():
        raise UserError("This add-on came without the engine: build it with scripts/build_extension and install that.")
    preferences = preferences_of(context)
    index = preferences.package_index.strip() if preferences is not None else ""
    return InstallPlan(installation_of(context), file, build_named(torch_build_of(context)), index)


def torch_build_of(context: Any) -> str:
    preferences = preferences_of(context)
    return AUTO if preferences is None else str(preferences.torch_build)


def _install(plan: InstallPlan, chosen: str) -> Steps:
    while proposed() is None:
        yield Progress(0.0, "Looking at this computer's graphics card")
    return (yield from install(replace(plan, build=build_named(chosen))))


class _Exclusive(LongWork):
    """What may not run beside an engine, nor beside another of its kind."""

    @classmethod
    def poll(cls: Any, context: Any) -> bool:
        if tasks.running("install"):
            cls.poll_message_set("The engine is being installed or removed already")
            return False
        if engine().state in (READY, STARTING):
            cls.poll_message_set("Stop the engine first")
            return False
        return True


class SRN_OT_engine_install(_Exclusive, bpy.types.Operator):
    """Download the engine with PyTorch into a folder of its own; repairs what was interrupted, updates what is old"""

    bl_idname = "srn.engine_install"
    bl_label = "Install Engine"

    wheel: StringProperty(
        name="Wheel",
        description="File of the engine to install; the one that came with the add-on where this is empty",
        subtype="FILE_PATH",
        options={"SKIP_SAVE"},
    )

    def begin(self, context: Any) -> tasks.Task:
        ask_to_go_online("Installing the engine")
        steps = _install(plan_of(context, self.wheel), torch_build_of(context))
        return StepsTask("install", "Beginning.", steps, "Cancelled: install again to repair what is there.")


class SRN_OT_engine_uninstall(_Exclusive, bpy.types.Operator):
    """Delete the engine that the add-on has installed; what was captured and trained stays"""

    bl_idname = "srn.engine_uninstall"
    bl_label = "Remove Engine"

    @classmethod
    def poll(cls, context: Any) -> bool:
        if not installation_of(context).mark.is_file():
            cls.poll_message_set("The add-on has installed no engine")
            return False
        return super().poll(context)

    def begin(self, context: Any) -> tasks.Task:
        steps = uninstall(installation_of(context))
        return StepsTask("install", "Removing the engine.", steps, "Cancelled: press Remove Engine to go on.")


class SRN_OT_engine_check(LongWork, bpy.types.Operator):
    """See whether the engine works: its Python, PyTorch, device, and how fast that is"""

    bl_idname = "srn.engine_check"
    bl_label = "Check Engine"

    @classmethod
    def poll(cls, context: Any) -> bool:
        if tasks.running("check") or tasks.running("install"):
            cls.poll_message_set("Wait for the end of what runs")
            return False
        return True

    def begin(self, context: Any) -> tasks.Task:
        steps = _check_host(context) if source_of(context) == HOST else _check_interpreter(checked_interpreter(context))
        return StepsTask("check", "Trying the engine.", steps, "The check was cancelled.")


def _check_interpreter(interpreter: Path) -> Steps:
    with tempfile.TemporaryDirectory(prefix="srn-check-", ignore_cleanup_errors=True) as folder:
        return describe_trial((yield from try_engine(interpreter, Path(folder, "check.log"))))


def _check_host(context: Any) -> Steps:
    if engine().state not in (READY, STARTING):
        open_engine(context)
    while engine().state == STARTING:
        engine().poll()
        yield Progress(0.5, engine().message)
    if engine().state != READY:
        raise UserError(engine().message)
    info = engine().info
    return f"The engine {info.get('engine')} works: PyTorch {info.get('torch')} on {info.get('device')}."


CLASSES = (SRN_OT_engine_install, SRN_OT_engine_uninstall, SRN_OT_engine_check)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    for kind in ("install", "check"):
        tasks.cancel_all(kind)  # a program of ours must not outlive the add-on
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
