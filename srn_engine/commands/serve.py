"""`srn-engine serve`: waits for jobs on a socket."""

from typing import Any

from srn_engine.commands.common import command
from srn_engine.server import serve


def add(commands: Any) -> None:
    serve.add_arguments(command(commands, "serve", "wait for jobs on a socket", serve.run))
