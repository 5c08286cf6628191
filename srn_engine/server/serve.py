"""`srn-engine serve`: opens the socket, says where, and serves until it is told to end."""

import argparse
import asyncio
import errno
import ipaddress
import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from srn_engine import __version__
from srn_engine.errors import UserError
from srn_engine.server import protocol
from srn_engine.server.job import Work
from srn_engine.server.jobs import JobQueue
from srn_engine.server.server import About, EngineServer
from srn_engine.server.storage import GIB, Storage
from srn_engine.server.work import engine_work, presets

STOP_SECONDS = 10.0  # for a training to save what it has learned
STORAGE_LIMIT = 50.0  # GiB

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; any but 127.0.0.1 opens the engine to others"
    )
    parser.add_argument("--port", type=_port, default=0, help="port to listen on (default: a free one)")
    token = parser.add_mutually_exclusive_group(required=True)
    token.add_argument(
        "--token-stdin", action="store_true", help="read the token from standard input, and end when it closes"
    )
    token.add_argument(
        "--token-file", type=Path, metavar="FILE", help="read the token from a file that only you can read"
    )
    parser.add_argument(
        "--storage",
        type=Path,
        metavar="DIR",
        help="for clients on other machines: keep the datasets that they send, and their runs, in this folder",
    )
    parser.add_argument(
        "--storage-limit",
        type=_positive,
        default=STORAGE_LIMIT,
        metavar="GIB",
        help=f"how much the storage may hold (default: {STORAGE_LIMIT:g} GiB)",
    )


def run(args: argparse.Namespace) -> int:
    """Serves as `args` say (those of `add_arguments`, and `device`); the exit status."""
    about = About(__version__, str(args.device), torch.__version__, presets())
    serve_work(engine_work(args.device), about, args)
    return 0


def serve_work(work: Mapping[str, Work], about: About, args: argparse.Namespace) -> None:
    """Serves any table of work as `args` say, until a client, a signal or the end of standard input stops it.

    Raises UserError where the address cannot be had, there is no token, or other machines would need a storage.
    """
    token = _token_from_stdin() if args.token_stdin else _token_from_file(args.token_file)
    if not token:
        raise UserError("The token is empty: give the engine a line of text that is hard to guess.")
    logging.getLogger("websockets").setLevel(logging.CRITICAL)  # it logs every stranger's handshake as an error
    with _listen(args.host, args.port) as listener:
        if args.storage is None and not _is_loopback(listener):
            raise UserError(f"Other machines reach {args.host}: add --storage DIR, a folder for what they send.")
        storage = Storage(args.storage, round(args.storage_limit * GIB)) if args.storage is not None else None
        asyncio.run(_serve(work, about, listener, token, storage, args.token_stdin))


async def _serve(
    work: Mapping[str, Work],
    about: About,
    listener: socket.socket,
    token: str,
    storage: Storage | None,
    watch_stdin: bool,
) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()

    def stop() -> None:
        loop.call_soon_threadsafe(stopped.set)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop())
    if watch_stdin:
        threading.Thread(target=_wait_for_end_of_stdin, args=(stop,), daemon=True).start()
    jobs = JobQueue(work)
    async with EngineServer(token, about, jobs, stop, storage).serve(listener):
        _say_ready(about, listener)
        await stopped.wait()
        if not await asyncio.to_thread(jobs.close, STOP_SECONDS):
            log.warning("A job did not end within %g seconds; the engine ends without it", STOP_SECONDS)


def _say_ready(about: About, listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    ready = {"srn_engine": about.engine, "protocol": protocol.PROTOCOL, "host": host, "port": port}
    print(json.dumps(ready), flush=True)
    sys.stdout = sys.stderr  # whatever a library prints from here on belongs to the log
    if not _is_loopback(listener):
        log.warning(
            "Listening on %s: whoever can read this network's traffic can read the token; prefer an ssh tunnel", host
        )


def _is_loopback(listener: socket.socket) -> bool:
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address, family=family)
    except socket.gaierror:
        raise UserError(f"{host} port {port} is no address to listen on.") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            sentence = f"Port {port} on {host} is in use: choose another with --port, or leave it out for a free one."
        else:
            sentence = f"The engine cannot listen on {host} port {port}: {os.strerror(error.errno or 0)}."
        raise UserError(sentence) from None


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:  # the resolver would wrap it round
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return port


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError("it must be a positive number")
    return number


def _token_from_stdin() -> str:
    # Unbuffered: what follows the token is left to the thread that waits for the end.
    with open(0, "rb", buffering=0, closefd=False) as stdin:
        return _token(stdin.readline(), "standard input")


def _token_from_file(path: Path) -> str:
    try:
        if os.name == "posix" and path.stat().st_mode & 0o077:
            raise UserError(f"Other users may read the token file {path}: run `chmod 600 {path}` first.")
        return _token(path.read_bytes().partition(b"\n")[0], str(path))
    except OSError as error:
        raise UserError(f"The token file {path} cannot be read: {error.strerror}.") from None


def _token(line: bytes, source: str) -> str:
    try:
        return line.decode("ascii").strip()
    except UnicodeDecodeError:
        raise UserError(f"The token from {source} must be ASCII text.") from None


def _wait_for_end_of_stdin(stop: Callable[[], None]) -> None:
    # Not sys.stdin: a thread that waits inside its buffer would break the interpreter's exit.
    while os.read(0, 4096):
        pass
    stop()
