"""The local socket between the core and whoever shows it: a Unix socket, one JSON message a line, version first.

    client -> server   hello{version}, show{id, name, args}, command{id, type, data}, telemetry{id, by, items}
    server -> client   hello{version}, view{view} once a tick, shown{id, view}, result{id, result}, taken{id, results},
                       error{id, code, message}

``show`` asks for any view beside the running one, by the name of its struct. ``telemetry`` hands over what vehicles say: no command,
so that it stands in no journal.

The server encodes a view once for all clients. Everything is bounded: line length, clients, queue per client,
questions under way. A client that does not read is dropped; it comes back by itself. The socket's mode is 0600:
whoever may open it is the same user, and is trusted as the web process is.

    LinkError
    ├── LinkInUse          another live core serves this path
    ├── CoreUnreachable    no answer from the core: not running, restarting, or too busy
    └── LinkProtocol       the other side speaks another version, or said something that makes no sense
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeVar

import msgspec
from msgspec import Struct

from controller.ingest_view import ItemTaken, TelemetryItem
from controller.readmodel import NowView
from depot import commands as cmd
from depot.values import DepotError

log = logging.getLogger(__name__)

T = TypeVar("T", bound=Struct)

VERSION: Final = 2
MAX_REQUEST: Final = 64 * 1024
"""Longest line that the server reads, bytes."""
MAX_ANSWER: Final = 16 * 1024 * 1024
"""Longest line that a client reads, bytes: a view of some thousand connectors."""
MAX_CLIENTS: Final = 16
MAX_PENDING: Final = 32
"""Questions of one client that may be under way at once."""
QUEUE: Final = 16
"""Lines that wait for one client before it is dropped."""
_HELLO_S: Final = 5.0


class LinkError(Exception):
    """Root of this module's errors."""


class LinkInUse(LinkError):
    """Another process serves this socket."""


class CoreUnreachable(LinkError):
    """The core gave no answer; the message says what is known."""


class LinkProtocol(LinkError):
    """The other side speaks another version or made no sense."""


class LinkHandler(Protocol):
    """What the core answers. ``now`` may be called before the first tick and raise :class:`CoreUnreachable`; ``show``
    raises :class:`~depot.values.DepotError` for a view that it does not know or arguments that can't be."""

    def now(self) -> NowView: ...
    async def show(self, name: str, args: Mapping[str, str]) -> Struct | None: ...
    async def command(self, command: cmd.Command) -> cmd.CommandResult: ...
    async def telemetry(self, by: str, items: Sequence[TelemetryItem]) -> Sequence[ItemTaken]: ...


class Hello(Struct, tag="hello", tag_field="kind", frozen=True):
    version: int
    name: str = ""


class AskView(Struct, tag="show", tag_field="kind", frozen=True):
    id: int
    name: str
    args: dict[str, str] = {}


class AskCommand(Struct, tag="command", tag_field="kind", frozen=True):
    id: int
    type: str
    data: dict[str, Any]


class AskTelemetry(Struct, tag="telemetry", tag_field="kind", frozen=True):
    """``by``: who sent the items."""

    id: int
    by: str
    items: list[TelemetryItem]


class View(Struct, tag="view", tag_field="kind", frozen=True):
    view: NowView


class ViewAnswer(Struct, tag="shown", tag_field="kind", frozen=True):
    """``view`` null: there is no such thing (a charger that the registry does not know …)."""

    id: int
    view: msgspec.Raw


class ResultAnswer(Struct, tag="result", tag_field="kind", frozen=True):
    id: int
    result: cmd.CommandResult


class TelemetryAnswer(Struct, tag="taken", tag_field="kind", frozen=True):
    """What became of each item, in their order."""

    id: int
    results: Sequence[ItemTaken]


class ErrorAnswer(Struct, tag="error", tag_field="kind", frozen=True):
    """``id`` None: the line could not be read at all. ``code``: bad_line, version, busy, bad_command, bad_view, unreachable, failed."""

    id: int | None
    code: str
    message: str


_REQUEST = msgspec.json.Decoder(Hello | AskView | AskCommand | AskTelemetry)
_ANSWER = msgspec.json.Decoder(Hello | View | ViewAnswer | ResultAnswer | TelemetryAnswer | ErrorAnswer)
_ENCODER = msgspec.json.Encoder()


def _line(message: Struct) -> bytes:
    return _ENCODER.encode(message) + b"\n"


def encode_command(command: cmd.Command) -> tuple[str, dict[str, Any]]:
    """Name and plain data of a command."""
    data: dict[str, Any] = msgspec.to_builtins(command)
    return type(command).__name__, data


def decode_command(name: str, data: Mapping[str, Any]) -> cmd.Command:
    """The command behind name and data; raises :class:`LinkProtocol` for what no command is."""
    kind = cmd.COMMANDS.get(name)
    if kind is None:
        raise LinkProtocol(f"unknown command {name!r}; known: {', '.join(cmd.COMMANDS)}")
    try:
        return msgspec.convert(dict(data), kind)
    except (msgspec.ValidationError, DepotError) as error:
        raise LinkProtocol(f"{name}: {error}") from None


def _path_text(path: Path) -> str:
    text = str(path)
    if len(os.fsencode(text)) > 100:
        raise LinkError(
            f"the link's socket path has {len(text)} characters, a Unix socket takes about 100: choose a shorter data folder ({text})"
        )
    return text


class _Client:
    """One connection as the server sees it."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue(QUEUE)
        self.greeted = False
        self.pending = 0

    def send(self, line: bytes) -> None:
        """Queue a line; a client whose queue is full is cut off."""
        try:
            self.queue.put_nowait(line)
        except asyncio.QueueFull:
            log.warning("link: a client does not read; dropped")
            self.writer.transport.abort()

    def finish(self) -> None:
        """Nothing more will be asked: what is queued is still written, then the writer ends."""
        try:
            self.queue.put_nowait(None)
        except asyncio.QueueFull:
            self.writer.transport.abort()

    async def write(self) -> None:
        while (line := await self.queue.get()) is not None:
            self.writer.write(line)
            await self.writer.drain()


class LinkServer:
    """Serves ``path`` while its ``async with`` block runs; the core calls :meth:`publish` once a tick."""

    def __init__(self, path: Path, handler: LinkHandler) -> None:
        self._path = path
        self._handler = handler
        self._clients: set[_Client] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def clients(self) -> int:
        return len(self._clients)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_unix_server(self._serve, sock=_bind(self._path), limit=MAX_REQUEST)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._server is not None
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()
        self._path.unlink(missing_ok=True)

    def publish(self, view: NowView) -> None:
        """Push a view to every client; encoded once, not at all when nobody listens."""
        ready = [client for client in self._clients if client.greeted]
        if ready:
            line = _line(View(view))
            for client in ready:
                client.send(line)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        client = _Client(writer)
        try:
            if len(self._clients) >= MAX_CLIENTS:
                writer.write(_line(ErrorAnswer(None, "busy", f"{MAX_CLIENTS} clients are connected already")))
                return
            self._clients.add(client)
            async with asyncio.TaskGroup() as group:
                group.create_task(client.write(), name="link writer")
                await self._converse(client, reader, group)
                client.finish()
        except (ConnectionError, asyncio.CancelledError):
            pass
        except ExceptionGroup as group_error:
            _, unexpected = group_error.split(ConnectionError)
            if unexpected is not None:
                log.exception("link: a conversation failed", exc_info=unexpected)
        finally:
            self._clients.discard(client)
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _converse(self, client: _Client, reader: asyncio.StreamReader, group: asyncio.TaskGroup) -> None:
        """Read lines until the end; returns when the client is done or talks nonsense before its hello."""
        while True:
            try:
                line = await reader.readline()
            except ValueError:
                client.send(_line(ErrorAnswer(None, "bad_line", f"a line may have at most {MAX_REQUEST} bytes")))
                return
            if not line.endswith(b"\n"):
                return
            try:
                request = _REQUEST.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                client.send(_line(ErrorAnswer(_id_of(line), "bad_line", f"not understood: {error}")))
                if not client.greeted:
                    return
                continue
            if isinstance(request, Hello):
                if request.version != VERSION:
                    client.send(
                        _line(
                            ErrorAnswer(
                                None,
                                "version",
                                f"this core speaks version {VERSION}, you speak {request.version}: restart both from one release",
                            )
                        )
                    )
                    return
                client.greeted = True
                client.send(_line(Hello(VERSION, "core")))
                with contextlib.suppress(CoreUnreachable):
                    client.send(_line(View(self._handler.now())))
            elif not client.greeted:
                client.send(_line(ErrorAnswer(request.id, "version", "say hello first")))
                return
            elif client.pending >= MAX_PENDING:
                client.send(_line(ErrorAnswer(request.id, "busy", f"{MAX_PENDING} questions are under way already; try again")))
            elif isinstance(request, AskView):
                client.pending += 1
                group.create_task(self._show(client, request), name=f"link {request.name}")
            elif isinstance(request, AskTelemetry):
                client.pending += 1
                group.create_task(self._telemetry(client, request), name="link telemetry")
            else:
                client.pending += 1
                group.create_task(self._command(client, request), name=f"link {request.type}")

    async def _show(self, client: _Client, request: AskView) -> None:
        try:
            view = await self._handler.show(request.name, request.args)
            client.send(_line(ViewAnswer(request.id, msgspec.Raw(_ENCODER.encode(view)))))
        except DepotError as error:
            client.send(_line(ErrorAnswer(request.id, "bad_view", str(error))))
        except CoreUnreachable as error:
            client.send(_line(ErrorAnswer(request.id, "unreachable", str(error))))
        except Exception:
            log.exception("link: the view %.40r failed", request.name)
            client.send(_line(ErrorAnswer(request.id, "failed", "the core could not build this view; its log says why")))
        finally:
            client.pending -= 1

    async def _command(self, client: _Client, request: AskCommand) -> None:
        try:
            result = await self._handler.command(decode_command(request.type, request.data))
            client.send(_line(ResultAnswer(request.id, result)))
        except LinkProtocol as error:
            client.send(_line(ErrorAnswer(request.id, "bad_command", str(error))))
        except Exception:
            log.exception("link: command %.40s failed", request.type)
            client.send(_line(ErrorAnswer(request.id, "failed", "the core could not carry out the command; its log says why")))
        finally:
            client.pending -= 1

    async def _telemetry(self, client: _Client, request: AskTelemetry) -> None:
        try:
            client.send(_line(TelemetryAnswer(request.id, await self._handler.telemetry(request.by, request.items))))
        except CoreUnreachable as error:
            client.send(_line(ErrorAnswer(request.id, "unreachable", str(error))))
        except Exception:
            log.exception("link: telemetry could not be taken")
            client.send(_line(ErrorAnswer(request.id, "failed", "the core could not take the telemetry; its log says why")))
        finally:
            client.pending -= 1


def _id_of(line: bytes) -> int | None:
    """The id of a line that is JSON but no request of ours."""
    try:
        raw = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    found = raw.get("id") if isinstance(raw, dict) else None
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def _bind(path: Path) -> socket.socket:
    """A bound Unix socket of mode 0600; a leftover of a dead process is replaced."""
    text = _path_text(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(text)
            except OSError:
                path.unlink(missing_ok=True)
            else:
                raise LinkInUse(f"another core serves {text}: stop it, or give this one another data folder")
    sock = socket.socket(socket.AF_UNIX)
    old = os.umask(0o177)
    try:
        sock.bind(text)
    except OSError as error:
        sock.close()
        raise LinkError(f"cannot make the socket {text}: {error.strerror}") from error
    finally:
        os.umask(old)
    return sock


class CoreLink:
    """The client side: keeps the newest view, reconnects by itself, asks and commands.

    ``async with CoreLink(path) as link``: the block owns the connection's task. Ages are real time: what counts is
    when a view arrived here, whatever the depot's clock says.
    """

    def __init__(
        self, path: Path, *, answer_s: float = 10.0, command_s: float = 30.0, retry_s: float = 0.2, retry_most_s: float = 2.0
    ) -> None:
        self._path = path
        self._answer_s, self._command_s = answer_s, command_s
        self._retry_s, self._retry_most_s = retry_s, retry_most_s
        self._view: NowView | None = None
        self._arrived_s = 0.0
        self._count = 0
        self._news = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None
        self._waiting: dict[int, asyncio.Future[Struct]] = {}
        self._ids = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def view(self) -> NowView | None:
        """The newest view, however old; None before the first."""
        return self._view

    @property
    def age_s(self) -> float | None:
        """Seconds since the newest view arrived; None before the first."""
        return None if self._view is None else asyncio.get_running_loop().time() - self._arrived_s

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._keep(), name="core link")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._task is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def views(self) -> AsyncIterator[NowView]:
        """Each new view; a reader that is slower than the ticks gets the newest and misses the ones between."""
        seen = 0
        while True:
            while self._view is None or self._count == seen:
                await self._news.wait()
            seen = self._count
            yield self._view

    async def show(self, kind: type[T], /, **args: str) -> T | None:
        """A view of this kind; None for a thing that the core does not know. Raises :class:`CoreUnreachable`, and
        :class:`LinkProtocol` where the core knows no such view or refuses ``args``."""
        answer = await self._ask(lambda number: AskView(number, kind.__name__, args), self._answer_s)
        if not isinstance(answer, ViewAnswer):
            raise LinkProtocol(f"the core answered a question for {kind.__name__} with {type(answer).__name__}")
        try:
            return msgspec.json.decode(answer.view, type=kind | None)
        except msgspec.DecodeError as error:
            raise LinkProtocol(f"the core's {kind.__name__} makes no sense: {error}") from None

    async def command(self, command: cmd.Command, *, within_s: float | None = None) -> cmd.CommandResult:
        """Send a command and wait for its answer, ``within_s`` where its kind takes longer than most.
        :class:`CoreUnreachable` after sending means: it may have been carried out; the same ``command_id`` may be sent
        again without harm."""
        name, data = encode_command(command)
        answer = await self._ask(lambda number: AskCommand(number, name, data), within_s or self._command_s)
        if not isinstance(answer, ResultAnswer):
            raise LinkProtocol(f"the core answered a command with {type(answer).__name__}")
        return answer.result

    async def telemetry(self, by: str, items: Sequence[TelemetryItem]) -> Sequence[ItemTaken]:
        """Hand over what vehicles say (:data:`~controller.ingest_view.BYTES_AT_ONCE` at most). Raises :class:`CoreUnreachable`; then the
        items may have been taken, and the same ones may be handed over again without harm."""
        answer = await self._ask(lambda number: AskTelemetry(number, by, list(items)), self._answer_s)
        if not isinstance(answer, TelemetryAnswer) or len(answer.results) != len(items):
            raise LinkProtocol(f"the core answered {len(items)} items of telemetry with {type(answer).__name__}")
        return answer.results

    async def _ask(self, build: Callable[[int], Struct], timeout_s: float) -> Struct:
        writer = self._writer
        if writer is None:
            raise CoreUnreachable("the controller's core is not connected; it restarts by itself, try again in some seconds")
        self._ids += 1
        number = self._ids
        future: asyncio.Future[Struct] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            writer.write(_line(build(number)))
            async with asyncio.timeout(timeout_s):
                answer = await future
        except TimeoutError:
            raise CoreUnreachable(f"the controller's core did not answer within {timeout_s:g} s") from None
        except ConnectionError as error:
            raise CoreUnreachable("the controller's core went away") from error
        finally:
            self._waiting.pop(number, None)
        if isinstance(answer, ErrorAnswer):
            if answer.code in ("unreachable", "busy", "failed"):
                raise CoreUnreachable(answer.message)
            raise LinkProtocol(answer.message)
        return answer

    async def _keep(self) -> None:
        """Connect, read, and again: back-off from ``retry_s`` to ``retry_most_s``; one log line per transition."""
        wait_s, was_up = self._retry_s, True
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(_path_text(self._path), limit=MAX_ANSWER)
            except OSError as error:
                reason = error.strerror or type(error).__name__
            else:
                try:
                    await self._greet(reader, writer)
                    log.info("core link: connected")
                    wait_s, was_up = self._retry_s, True
                    self._writer = writer
                    await self._read(reader)
                    reason = "the core closed the connection"
                except (OSError, EOFError, TimeoutError, ValueError, LinkProtocol) as error:
                    reason = str(error) or type(error).__name__
                finally:
                    self._hang_up()
                    writer.close()
            if was_up:
                log.warning("core link: not connected (%s); trying again", reason)
                was_up = False
            await asyncio.sleep(wait_s)
            wait_s = min(self._retry_most_s, wait_s * 1.6)

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_line(Hello(VERSION, "web")))
        async with asyncio.timeout(_HELLO_S):
            answer = _decode_answer(await reader.readline())
        if isinstance(answer, ErrorAnswer):
            raise LinkProtocol(answer.message)
        if not isinstance(answer, Hello) or answer.version != VERSION:
            raise LinkProtocol("what listens on the link's socket is no core of this version")

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            message = _decode_answer(line)
            if isinstance(message, View):
                self._view, self._arrived_s = message.view, asyncio.get_running_loop().time()
                self._count += 1
                self._news.set()
                self._news = asyncio.Event()
            elif isinstance(message, ViewAnswer | ResultAnswer | TelemetryAnswer | ErrorAnswer) and message.id is not None:
                future = self._waiting.pop(message.id, None)
                if future is not None and not future.done():
                    future.set_result(message)

    def _hang_up(self) -> None:
        self._writer = None
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(CoreUnreachable("the controller's core went away before it answered"))
        self._waiting.clear()


def _decode_answer(line: bytes) -> Hello | View | ViewAnswer | ResultAnswer | TelemetryAnswer | ErrorAnswer:
    if not line:
        raise EOFError("the core closed the connection")
    try:
        answer: Hello | View | ViewAnswer | ResultAnswer | TelemetryAnswer | ErrorAnswer = _ANSWER.decode(line)
        return answer
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise LinkProtocol(f"the core said something that makes no sense: {error}") from None
