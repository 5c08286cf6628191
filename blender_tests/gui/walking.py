"""What every walk through a real Blender window shares: its arguments, waiting, pressing buttons, taking pictures.

    blender --enable-event-simulate -P WALK.py -- DRIVER INTERPRETER OUT [PART]

DRIVER: folder of gui_driver.py. INTERPRETER: the Python that the engine is installed in. OUT: an empty folder, for all
parts of a walk the same. A walk ends with exit status 0 when every step did what it should. test_windows.py starts it.
A step is a generator of the seconds that Blender may draw before the next one.
"""

import sys
import time
from pathlib import Path

import bpy

ARGUMENTS = sys.argv[sys.argv.index("--") + 1 :]
DRIVER, INTERPRETER, OUT = map(Path, ARGUMENTS[:3])
PART = ARGUMENTS[-1]
OUT.mkdir(parents=True, exist_ok=True)
sys.path.insert(0, str(DRIVER))

import gui_driver as gui
from bl_ext.user_default.srn.engine.engine import engine
from bl_ext.user_default.srn.ui import tasks

ROW = 14  # pixels: no button is lower than that
ASIDE = 400, 400  # where no button is and no tooltip covers one
GLIDE = 1.0  # seconds until panels that have grown or shrunk lie still
LIMIT = 0.05  # seconds that one call in the main thread may take
_lowest: dict[str, float] = {}  # where the last button was, with some room above: the next one is mostly below it


def settings():
    return bpy.context.scene.srn


def run(operator, *how, in_area=None, **what):
    """Runs an operator as a button in the 3D view would, or in another area."""
    within = in_area or gui.area()
    with bpy.context.temp_override(window=gui.window(), area=within, region=gui.region("WINDOW", within)):
        return operator(*how, **what)


def use_engine():
    preferences = bpy.context.preferences.addons["bl_ext.user_default.srn"].preferences
    preferences.source, preferences.interpreter = "INTERPRETER", str(INTERPRETER)


def open_tab():
    gui.area().spaces.active.show_region_ui = True
    yield from gui.open_sidebar("SRN")


def unfold(*panels):
    """Panels that are closed at first: only a click on their header would open them."""
    for panel in panels:
        bpy.utils.unregister_class(panel)
        panel.bl_options = set()
        bpy.utils.register_class(panel)


def wait_for(condition, seconds, what):
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            latest = {kind: task.message for kind, task in tasks.Task.latest.items()}
            raise RuntimeError(f"{what} did not happen within {seconds} s: {engine().message} {latest}")
        yield 0.1


def so_far(kind):
    """How far a task has come, 0 to 1."""
    return tasks.Task.latest[kind].fraction if kind in tasks.Task.latest else 0.0


def ended(kind):
    return kind in tasks.Task.latest and not tasks.running(kind)


def end_of(kind, seconds, state=tasks.DONE):
    """Waits for the end of a task, which has to be this one."""
    yield from wait_for(lambda: ended(kind), seconds, f"the end of {kind}")
    task = tasks.Task.latest[kind]
    gui.log(kind, task.state, task.message)
    assert task.state == state, f"{kind} is {task.state}, not {state}: {task.message}"


def shot(name):
    gui.screenshot(str(OUT / f"{name}.png"))


def picture(name):
    """Takes a picture when all lies still."""
    gui.move(*ASIDE)
    yield GLIDE
    shot(name)


def press_button(wanted):
    """Clicks the button of the sidebar whose command or data path holds `wanted`; scrolls where it is not in sight."""
    for scroll in (0, 25, 25, 25, -200, 25, 25):
        if scroll:
            _lowest.clear()
            yield from scroll_by(scroll)
        side = gui.region("UI")
        place = yield from _find(wanted, gui.area(), side, side.x + side.width * 0.3, _lowest.get("y"))
        if place is not None:
            _lowest["y"] = place[1] + 120
            gui.click(*place)
            yield 0.5
            return
    raise RuntimeError(f"no button for {wanted!r} in the sidebar")


def scroll_by(notches):
    """Turns the wheel over the sidebar: down where `notches` is positive."""
    side = gui.region("UI")
    x, y = side.x + side.width // 2, side.y + side.height // 2
    kind = "WHEELDOWNMOUSE" if notches > 0 else "WHEELUPMOUSE"
    for _ in range(abs(notches)):
        gui.window().event_simulate(type=kind, value="PRESS", x=x, y=y)
    yield GLIDE


def find_in(editor, wanted):
    """Where a button is in the main part of an editor."""
    region = gui.region("WINDOW", editor)
    place = yield from _find(wanted, editor, region, region.x + region.width * 0.7)
    if place is None:
        raise RuntimeError(f"no button for {wanted!r} in the {editor.type}")
    return place


def _find(wanted, area, region, x, likely=None):
    """Moves the pointer over a region until it is over a button; its place, None where there is none.

    likely: the height from which on it is looked for downwards first.
    """
    rows = range(region.y + region.height - 10, region.y, -ROW)
    for y in sorted(rows, key=lambda y: (likely is not None and y > likely, -y)):
        gui.move(x, y)
        for _ in range(3):  # the panel may be drawn again and again meanwhile, and the pointer's news wait for that
            yield 0.04
            found = gui.under_pointer(area, region)
            if found:
                break
        if wanted in (found or ""):
            gui.log("found", found, "at", y)
            return x, y
    return None
