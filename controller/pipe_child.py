"""A child process that is asked by frames through its pipes: the core's end. Nothing here knows what the frames say.

    PipeChild.start(command) --write(frame)--> the child's stdin
                             <--read() body--  the child's stdout         bury() ends it, whatever it does

    frame = length (4 bytes, big-endian) and body; the first one of a child, with READY_ID in it, says that it is warm

    PipeBroken              the child takes or says nothing any more
    └── PipeOutOfStep       it says what cannot be read

The child's end is :mod:`controller.pipe_work`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from typing import Self

MAX_BYTES = 64 * 1024 * 1024
HEADER = struct.Struct(">I")
READY_ID = 0


class PipeBroken(Exception):
    """The child takes or says nothing any more; the message tells how it ended, as words that follow its name."""


class PipeOutOfStep(PipeBroken):
    """The child says what cannot be read: nothing that follows can be told from the rest."""


def framed(body: bytes) -> bytes:
    """A body as it goes through the pipe."""
    return HEADER.pack(len(body)) + body


class PipeChild:
    """One child. The id of this process is appended to its command: it ends with its parent."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, command: Sequence[str]) -> Self:
        """Raises :class:`OSError` where the command cannot be run."""
        return cls(await asyncio.create_subprocess_exec(*command, str(os.getpid()), stdin=PIPE, stdout=PIPE))

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """False as soon as its end has been noticed."""
        return self._process.returncode is None

    async def write(self, frame: bytes) -> None:
        """Returns when the pipe has taken it. Raises :class:`PipeBroken`."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(frame)
            await self._process.stdin.drain()
        except (ConnectionError, RuntimeError) as error:
            raise PipeBroken(f"takes no request: {error}") from None

    async def read(self) -> bytes:
        """The next frame's body. Raises :class:`PipeBroken` when the child ends, :class:`PipeOutOfStep` for one that is too long."""
        assert self._process.stdout is not None
        try:
            (length,) = HEADER.unpack(await self._process.stdout.readexactly(HEADER.size))
            if length > MAX_BYTES:
                raise PipeOutOfStep(f"sent a frame of {length} bytes, at most {MAX_BYTES} are read")
            return await self._process.stdout.readexactly(length)
        except asyncio.IncompleteReadError:
            raise PipeBroken(await self.ended()) from None

    async def ended(self) -> str:
        """Waits for its end, and tells of it."""
        code = await self._process.wait()
        return f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"

    def close(self) -> None:
        """Let it end by itself, at the end of its input."""
        if self._process.stdin is not None:
            self._process.stdin.close()

    def kill(self) -> None:
        """At once; its end is noticed later."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def bury(self) -> None:
        """End it, whatever it does, and release its pipes."""
        self.kill()
        self.close()
        await asyncio.shield(self._process.wait())
