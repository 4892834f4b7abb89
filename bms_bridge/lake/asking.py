"""Orders and questions to a running lake, over its socket. No Arrow here: the core imports this."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bms_bridge.lake import LakeError, wire


async def ask(
    path: Path, what: str, args: Mapping[str, Any], *, on_progress: Callable[[wire.Progress], None] = lambda _: None
) -> wire.Answer:
    """One order to a running lake. Raises OSError where none runs, :class:`~bms_bridge.lake.LakeError` where it ends half-way."""
    reader, writer = await asyncio.open_unix_connection(path, limit=wire.MOST_BYTES)
    try:
        await send(writer, wire.Ask(what, dict(args)))
        while (body := await wire.read_body(reader)) is not None:
            frame = wire.decode(body)
            if isinstance(frame, wire.Progress):
                on_progress(frame)
            elif isinstance(frame, wire.Answer):
                return frame
        raise LakeError("the lake ended before it answered: ask again")
    finally:
        writer.close()


async def send(writer: asyncio.StreamWriter, frame: wire.Frame) -> None:
    """Write a frame, and wait until there is room for the next."""
    writer.write(wire.frame_of(frame))
    await writer.drain()
