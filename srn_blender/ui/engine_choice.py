"""Which engine the preferences choose, and how it is reached."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

import bpy

from ..engine.engine import engine
from ..engine.installation import COMPLETE, OUTDATED, Installation, bundled_wheel
from ..engine.process import check_interpreter, default_interpreter, parse_host
from ..errors import UserError

# The add-on itself: bl_ext.<repository>.srn when installed, srn_blender when a script imports it.
ADD_ON = __package__.rpartition(".")[0]

INSTALLED, INTERPRETER, HOST = "INSTALLED", "INTERPRETER", "HOST"
SOURCES = (
    (INSTALLED, "Installed Here", "The add-on downloads the engine into a folder of its own"),
    (INTERPRETER, "Own Python", "The engine is installed in a Python on this computer already"),
    (HOST, "Another Computer", "The engine runs on another computer, and this one connects to it"),
)
FOLDER = "srn_engine"  # in folders that are not the add-on's alone


def preferences_of(context: Any) -> Any:
    """The preferences, or None where the add-on is imported by a script and not installed."""
    addon = context.preferences.addons.get(ADD_ON)
    return addon.preferences if addon is not None else None


def source_of(context: Any) -> str:
    """Where the engine comes from; a script without preferences has the Python that the environment names."""
    preferences = preferences_of(context)
    return INTERPRETER if preferences is None else str(preferences.source)


def interpreter_of(context: Any) -> str:
    """The interpreter to start the engine with; empty where none is chosen or installed."""
    preferences = preferences_of(context)
    if source_of(context) == INSTALLED:
        installation = installation_of(context)
        whole = installation.state(bundled_wheel()) in (OUTDATED, COMPLETE)
        chosen = str(installation.interpreter) if whole else ""
    else:
        chosen = bpy.path.abspath(preferences.interpreter) if preferences is not None else ""
    return chosen or default_interpreter()


def checked_interpreter(context: Any) -> Path:
    """The interpreter to start the engine with; UserError where it is not there."""
    interpreter = interpreter_of(context)
    if not interpreter and source_of(context) == INSTALLED:
        raise UserError("The engine is not installed: press Install Engine first.")
    return check_interpreter(interpreter)


def installation_of(context: Any) -> Installation:
    """Where the add-on's own engine is, or is going to be."""
    preferences = preferences_of(context)
    chosen = preferences.engine_folder.strip() if preferences is not None else ""
    if chosen:
        return Installation(Path(bpy.path.abspath(chosen)).expanduser() / FOLDER)
    try:
        return Installation(Path(bpy.utils.extension_path_user(ADD_ON, path="engine")))
    except ValueError:  # not installed as an extension
        return Installation(Path(bpy.utils.user_resource("DATAFILES", path=FOLDER)))


def open_engine(context: Any) -> None:
    """Starts the engine, or connects to it, as the preferences say; returns at once.

    UserError where what is chosen there does not do.
    """
    if source_of(context) == HOST:
        preferences = preferences_of(context)
        host, port = parse_host(preferences.host)
        if not is_this_computer(host):
            ask_to_go_online("Connecting to another computer")
        engine().connect(host, port, preferences.token.strip())
        return
    engine().start(checked_interpreter(context))


def ask_to_go_online(what: str) -> None:
    """UserError where Blender is not to use the network; what: the beginning of the sentence."""
    if bpy.app.online_access:
        return
    if bpy.app.online_access_override:
        raise UserError(f"{what} needs the network: start Blender without --offline-mode.")
    raise UserError(f"{what} needs the network: switch on Allow Online Access under Preferences, System.")


def is_this_computer(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
