"""Opening a connection to an engine: the token, the first words, and what is said where that does not do."""

import asyncio
import socket

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI

from ..errors import UserError
from . import messages
from .messages import Answer, BadMessage
from .process import Address
from .websocket import WebSocket

HELLO = 0  # the number of the first request; the caller's own start at 1
HELLO_SECONDS = 20.0


async def open_connection(address: Address) -> WebSocket:
    """A connection to an engine that knows the token; UserError where there is none."""
    where = f"{address.host}:{address.port}"
    if not (address.token and address.token.isascii() and address.token.isprintable()):
        raise UserError("The engine's token must be one line of ASCII text.")
    host = f"[{address.host}]" if ":" in address.host else address.host
    try:
        websocket = await connect(
            f"ws://{host}:{address.port}",
            additional_headers={"Authorization": f"Bearer {address.token}"},
            create_connection=WebSocket,
            compression=None,
            proxy=None,
            max_size=messages.MAX_BINARY,
            # Python's side of this process can stand still while Blender works, so that a pong would come too late:
            # the kernel's own keepalive finds dead peers instead.
            ping_interval=None,
            close_timeout=2,
        )
    except InvalidStatus as error:
        if error.response.status_code == 401:
            raise UserError(f"The engine at {where} refuses the token: use the one that it was started with.") from None
        raise UserError(f"What listens at {where} is no engine: check the port.") from None
    except InvalidHandshake:
        raise UserError(f"What listens at {where} is no engine: check the port.") from None
    except (InvalidURI, ValueError):
        raise UserError(f"{where} is no address: give the name of a machine and a port.") from None
    except OSError:
        raise UserError(
            f"No engine answers at {where}: start `srn-engine serve` there and check the address."
        ) from None
    assert isinstance(websocket, WebSocket)
    _keep_alive(websocket)
    return websocket


async def greet(websocket: WebSocket) -> messages.Json:
    """What the engine says of itself; UserError where it refuses, or speaks another version of the protocol."""
    try:
        async with asyncio.timeout(HELLO_SECONDS):
            await websocket.send(messages.hello(HELLO))
            answer = messages.decode(await websocket.receive())
    except TimeoutError:
        raise UserError(f"The engine did not answer within {HELLO_SECONDS:.0f} seconds: start it again.") from None
    if isinstance(answer, Answer) and answer.error is not None:
        raise UserError(answer.error)
    if not isinstance(answer, Answer) or not isinstance(answer.result, dict):
        raise BadMessage("hello was not answered")
    wrong = messages.check_version(answer.result)
    if wrong is not None:
        raise UserError(wrong)
    return answer.result


def _keep_alive(websocket: WebSocket) -> None:
    """Lets the kernel find out within a minute that the other side's machine is gone."""
    raw: socket.socket = websocket.transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, seconds in (("TCP_KEEPIDLE", 30), ("TCP_KEEPALIVE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):  # macOS calls TCP_KEEPIDLE TCP_KEEPALIVE
            raw.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), seconds)
