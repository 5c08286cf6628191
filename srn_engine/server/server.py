"""The engine's WebSocket server: connections, and what each request does."""

import asyncio
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
from srn_engine.server.connection import Connection, WebSocket, keep_alive
from srn_engine.server.folders import Folders, Paths
from srn_engine.server.jobs import JobQueue
from srn_engine.server.protocol import ProtocolError, Request
from srn_engine.server.storage import Storage


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
            create_connection=WebSocket,
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
        assert isinstance(websocket, WebSocket)
        keep_alive(websocket)
        connection = Connection(websocket)
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

    async def _answer(self, connection: Connection, frame: str | bytes, greeted: bool) -> bool:
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

    async def _reply(self, request: Request, connection: Connection) -> str | bytes:
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

    def _do(self, request: Request, connection: Connection) -> object:
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
