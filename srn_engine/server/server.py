"""The engine's WebSocket server: connections, and what each request does."""

import asyncio
import contextlib
import hmac
import socket
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request as HttpRequest
from websockets.http11 import Response as HttpResponse

from srn_engine.errors import UserError
from srn_engine.server import params, protocol
from srn_engine.server.folders import Folders, Paths
from srn_engine.server.job import JobState
from srn_engine.server.jobs import JobQueue
from srn_engine.server.protocol import ProtocolError, Request
from srn_engine.server.storage import Storage

MAX_PENDING = 4  # progress notifications; a client that reads more slowly misses some


@dataclass(frozen=True)
class About:
    """What `hello` tells of the engine."""

    engine: str
    device: str
    torch: str
    presets: Sequence[str]


class EngineServer:
    """Answers any number of clients that know the token; `stop` is called when one asks for shutdown."""

    def __init__(
        self, token: str, about: About, jobs: JobQueue, stop: Callable[[], None], storage: Storage | None = None
    ) -> None:
        self._authorization = f"Bearer {token}".encode()
        self._about = about
        self._storage = storage
        self._folders: Folders = storage or Paths()
        self._jobs = jobs
        self._stop = stop

    def serve(self, listener: socket.socket) -> AbstractAsyncContextManager[object]:
        """The server on a listening socket, to be entered with `async with`."""
        return serve(
            self._talk,
            sock=listener,
            process_request=self._check_token,
            compression=None,  # arrays of floats hardly shrink, and a compressed frame could grow past any limit
            max_size=protocol.MAX_TEXT,
            # Blender's main thread can hold its interpreter for minutes, so that no pong comes: the kernel's own
            # keepalive finds dead peers instead.
            ping_interval=None,
            close_timeout=2,
        )

    def _check_token(self, connection: ServerConnection, request: HttpRequest) -> HttpResponse | None:
        given = request.headers.get_all("Authorization")
        if len(given) == 1 and hmac.compare_digest(given[0].encode(), self._authorization):
            return None
        return connection.respond(HTTPStatus.UNAUTHORIZED, "The token is missing or wrong.\n")

    async def _talk(self, websocket: ServerConnection) -> None:
        _keep_alive(websocket)
        connection = _Connection(websocket)
        greeted = False
        try:
            async for frame in websocket:
                understood = await self._answer(connection, frame, greeted)
                if not (greeted or understood):
                    break
                greeted = True
        except ConnectionClosed:
            pass  # the client went away, which ends the conversation in any case
        finally:
            connection.closed = True
            self._jobs.drop(connection.notify)

    async def _answer(self, connection: "_Connection", frame: str | bytes, greeted: bool) -> bool:
        """Answers one frame; whether with a result."""
        try:
            request = protocol.decode_request(frame, self._folders)
            if not (greeted or isinstance(request.params, params.Hello)):
                raise ProtocolError(protocol.INVALID_REQUEST, "The first request must be `hello`.", request.id)
            reply = await self._reply(request, connection)
        except ProtocolError as error:
            await connection.send([protocol.encode_error(error)])
            return False
        await connection.send([reply])
        if isinstance(request.params, params.Shutdown):
            self._stop()
        return True

    async def _reply(self, request: Request, connection: "_Connection") -> str | bytes:
        try:
            if isinstance(request.params, params.StorageParams):
                return await asyncio.to_thread(self._use_storage, request)  # it waits for the disk
            return protocol.encode_result(request.id, self._do(request, connection))
        except UserError as error:
            raise ProtocolError(protocol.CANNOT, str(error), request.id) from None
        except protocol.TooLarge as error:
            raise ProtocolError(protocol.INTERNAL_ERROR, str(error), request.id) from None

    def _use_storage(self, request: Request) -> str | bytes:
        if self._storage is None:
            raise UserError("This engine has no storage and takes paths alone: start it with --storage DIR.")
        match request.params:
            case params.OfferFiles(files):
                missing = self._storage.offer(files).items()
                return _result(request, missing=[{"sha256": file.sha256, "offset": at} for file, at in missing])
            case params.SendFile(file, offset):
                if offset + len(request.data) > file.size:
                    sentence = "files.send: the piece reaches beyond the file's size."
                    raise ProtocolError(protocol.INVALID_PARAMS, sentence, request.id)
                return _result(request, offset=self._storage.send(file, offset, request.data))
            case params.StoreFolder(name, manifest):
                return _result(request, folder=self._storage.store(name, manifest))
            case params.ListFolder(folder):
                return _result(request, files=[asdict(file) for file in self._storage.list_files(folder)])
            case params.FetchFile(sha256, offset):
                piece, size = self._storage.fetch(sha256, offset, protocol.MAX_PIECE)
                return protocol.encode_piece(request.id, {"size": size}, piece)
        raise AssertionError(request.method)

    def _do(self, request: Request, connection: "_Connection") -> object:
        match request.params:
            case params.Hello() as hello:
                if hello.protocol != protocol.PROTOCOL:
                    message = protocol.which_side_to_update(hello.protocol)
                    raise ProtocolError(protocol.WRONG_PROTOCOL, message, request.id)
                return {"protocol": protocol.PROTOCOL} | asdict(self._about) | {"storage": self._storage is not None}
            case params.Cancel(number):
                return {"cancelled": self._jobs.cancel(number)}
            case params.Jobs():
                return {"jobs": self._jobs.states()}
            case params.Follow(number):
                return self._jobs.follow(number, connection.notify)
            case params.Preview(number, view):
                return {"previewing": self._jobs.preview(number, view)}
            case params.Shutdown():
                return None
            case job:
                assert isinstance(job, params.JobParams)
                return {"job": self._jobs.submit(request.method, job, connection.notify, request.given).number}


def _result(request: Request, **result: object) -> str:
    return protocol.encode_result(request.id, result)


class _Connection:
    """One client's socket; frames that belong together are sent with nothing in between."""

    def __init__(self, websocket: ServerConnection) -> None:
        self.closed = False
        self._websocket = websocket
        self._loop = asyncio.get_running_loop()
        self._lock = asyncio.Lock()
        self._sending: set[asyncio.Task[None]] = set()

    async def send(self, frames: Sequence[str | bytes]) -> None:
        async with self._lock:
            for frame in frames:
                await self._websocket.send(frame)

    def notify(self, method: str, about: JobState, arrays: Sequence[bytes]) -> None:
        """Sends a notification soon; called from any thread, never blocks."""
        if not self.closed:
            frames: Sequence[str | bytes] = [protocol.encode_notification(method, about), *arrays]
            # Of a running job the next one tells as much; previews are large, so that none may wait for another.
            most = 1 if method == "preview" else MAX_PENDING if about["state"] == "running" else None
            self._loop.call_soon_threadsafe(self._send_soon, frames, most)

    def _send_soon(self, frames: Sequence[str | bytes], most_pending: int | None) -> None:
        """most_pending: where so many frames wait already these are left out; None for never."""
        if self.closed or (most_pending is not None and len(self._sending) >= most_pending):
            return
        task = self._loop.create_task(self._send_unless_closed(frames))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send_unless_closed(self, frames: Sequence[str | bytes]) -> None:
        with contextlib.suppress(ConnectionClosed):  # `_talk` sees it too, and drops what this client asked for
            await self.send(frames)


def _keep_alive(connection: ServerConnection) -> None:
    """Lets the kernel find out within a minute that the other side's machine is gone."""
    raw: socket.socket = connection.transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, seconds in (("TCP_KEEPIDLE", 30), ("TCP_KEEPALIVE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):  # macOS calls TCP_KEEPIDLE TCP_KEEPALIVE
            raw.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), seconds)
