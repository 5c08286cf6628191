"""A Blender window in which a script does what a person would, and takes pictures of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import bpy
import numpy as np

DRAWN = 1.0  # seconds until what was changed is drawn, with a processor that draws
PATIENCE = 900.0  # seconds that any one step may take


def add_on() -> ModuleType:
    """The extension's tasks module, wherever it is installed."""
    return next(module for name, module in sys.modules.items() if name.endswith(".srn.ui.tasks"))


class Window:
    """Steps are generators of the seconds that Blender may draw before the next one.

    grab: a command that takes a picture of the screen; Blender takes it where there is none.
    """

    def __init__(self, out: Path, grab: Sequence[str]) -> None:
        self.out, self.grab = out, grab
        self.work = out.parent / f"{out.name}-work"

    def begin(self, chapter: str) -> Iterator[float]:
        """A new file with nothing in it but a camera, saved in a folder of its own, and the tab SRN open."""
        bpy.ops.wm.read_homefile()
        yield DRAWN
        bpy.context.preferences.view.show_splash = False
        preferences: Any = next(a for a in bpy.context.preferences.addons if a.module.endswith(".srn")).preferences
        preferences.source = "INTERPRETER"  # the one in the environment: the pictures show nobody's folders
        for item in list(bpy.data.objects):
            bpy.data.objects.remove(item)
        folder = self.work / chapter
        folder.mkdir(parents=True, exist_ok=True)
        self.out.mkdir(parents=True, exist_ok=True)
        bpy.ops.wm.save_as_mainfile(filepath=str(folder / "manual.blend"))

    def open_tab(self) -> Iterator[float]:
        """Opens the sidebar of the 3D view on the tab SRN."""
        self.area("VIEW_3D").spaces.active.show_region_ui = True
        for _ in range(20):
            yield DRAWN
            try:
                self.region("UI").active_panel_category = "SRN"
                return
            except (TypeError, AttributeError):  # not drawn yet
                continue
        raise RuntimeError("the sidebar has no tab SRN: is the extension enabled?")

    def area(self, kind: str) -> Any:
        manager: Any = bpy.context.window_manager
        return next(area for area in manager.windows[0].screen.areas if area.type == kind)

    def region(self, kind: str, area: str = "VIEW_3D") -> Any:
        return next(region for region in self.area(area).regions if region.type == kind)

    def press(self, operator: Callable[..., Any], *how: str, **options: Any) -> Iterator[float]:
        """Runs an operator as its button does."""
        manager: Any = bpy.context.window_manager
        where = {"window": manager.windows[0], "area": self.area("VIEW_3D"), "region": self.region("WINDOW")}
        with bpy.context.temp_override(**where):
            operator("INVOKE_DEFAULT", *how, **options)
        yield DRAWN

    def until(self, condition: Callable[[], bool], what: str) -> Iterator[float]:
        """Waits until something has happened; RuntimeError where it does not."""
        waited = 0.0
        while not condition():
            if waited > PATIENCE:
                raise RuntimeError(f"{what} did not happen within {PATIENCE:g} s: {self.messages()}")
            yield 0.1
            waited += 0.1

    def work_to_end(self, kind: str) -> Iterator[float]:
        """Waits for the end of the task of a kind; RuntimeError where it fails."""
        tasks = add_on()
        yield from self.until(lambda: not tasks.running(kind), f"the end of '{kind}'")
        if tasks.Task.latest[kind].state != tasks.DONE:
            raise RuntimeError(self.messages())
        yield DRAWN

    def messages(self) -> str:
        return str({kind: task.message for kind, task in add_on().Task.latest.items()})

    def passed(self, kind: str, fraction: float) -> Callable[[], bool]:
        """Whether the task of a kind has come so far, or has ended."""
        latest = add_on().Task.latest
        return lambda: kind in latest and (latest[kind].fraction >= fraction or latest[kind].state != "running")

    def frame(self, name: str, distance: float) -> Iterator[float]:
        """Looks at an object in the 3D view, from a distance in Blender units."""
        space = self.area("VIEW_3D").spaces.active
        space.region_3d.view_location = bpy.data.objects[name].matrix_world.translation
        space.region_3d.view_distance = 2.0 * distance
        yield DRAWN

    def shade(self, kind: str, seconds: float) -> Iterator[float]:
        """Shades the 3D view in another way, and gives it time."""
        self.area("VIEW_3D").spaces.active.shading.type = kind
        yield seconds

    def focus(self, *names: str) -> Iterator[float]:
        """Shows these panels of the tab alone, unfolded.

        Blender has no way to unfold a panel from a script: the others are taken away, and these were never folded.
        """
        found = [panel for panel in _panels(bpy.types.Panel) if getattr(panel, "bl_category", "") == "SRN"]
        panels = sorted(found, key=lambda panel: hasattr(panel, "bl_parent_id"))
        for panel in reversed(panels):
            if panel.is_registered:
                bpy.utils.unregister_class(panel)
        for panel in panels:
            panel.bl_options = set()
        for panel in sorted(panels, key=lambda panel: names.index(panel.bl_idname) if panel.bl_idname in names else -1):
            if panel.bl_idname in names:
                bpy.utils.register_class(panel)
        yield from self.open_tab()

    def render(self, name: str) -> Iterator[float]:
        """Renders the scene with its compositor, and keeps the picture."""
        scene: Any = bpy.context.scene
        scene.render.filepath = str(self.out / f"{name}.png")
        bpy.ops.render.render(write_still=True)
        yield DRAWN

    def picture_of(self, image: str, name: str) -> Iterator[float]:
        """Keeps an image datablock."""
        shown: Any = bpy.data.images[image]
        shown.save(filepath=str(self.out / f"{name}.png"))
        yield DRAWN

    def picture(self, name: str, *areas: str, tab: bool = False) -> Iterator[float]:
        """Takes a picture of the window, of the smallest rectangle that holds the areas, or of the tab alone."""
        manager: Any = bpy.context.window_manager
        for _ in range(3):  # what is drawn the first time may ask for work that the next one shows
            for area in manager.windows[0].screen.areas:
                area.tag_redraw()
            yield DRAWN
        path = self.out / f"{name}.png"
        if self.grab:
            subprocess.run([*self.grab, str(path)], check=True)
        else:
            yield from self.press(bpy.ops.screen.screenshot, filepath=str(path))
        whole = [self.region("UI")] if tab else [self.area(kind) for kind in areas]
        if whole:
            low = [min(part.x for part in whole), min(part.y for part in whole)]
            high = [max(part.x + part.width for part in whole), max(part.y + part.height for part in whole)]
            crop(path, *low, *high)


def _panels(kind: Any) -> Iterator[Any]:
    for panel in kind.__subclasses__():
        if hasattr(panel, "bl_idname") and hasattr(panel, "draw"):
            yield panel
        yield from _panels(panel)


def crop(path: Path, left: int, bottom: int, right: int, top: int) -> None:
    """Cuts a picture to a rectangle of its pixels, counted from the bottom left."""
    image: Any = bpy.data.images.load(str(path))
    width, height = image.size
    pixels = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    part = np.ascontiguousarray(pixels.reshape(height, width, 4)[bottom:top, left:right])
    cut: Any = bpy.data.images.new("cut", part.shape[1], part.shape[0])
    cut.pixels.foreach_set(part.ravel())
    cut.filepath_raw, cut.file_format = str(path), "PNG"
    cut.save()
    bpy.data.images.remove(cut)
