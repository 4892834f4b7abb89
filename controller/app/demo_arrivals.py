"""What the core hands over while the demo's lake is only just being made: kept in a file, then given to the lake in its order.

    core --Batch--> Arrivals --file, on the disk--> Ack        as a lake would: nothing waits in the core, nothing is left out
    person --Ask--> "is only just being made"
    file --give()--> Lake                                      what it has already is known by the batch's number

The socket is served by a thread of its own, so that whoever makes the lake need not be interrupted. A file of a process that was ended
is found again and given by the next one.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from pathlib import Path
from typing import IO, Final, Self

from bms_bridge.lake import LakeError, wire
from bms_bridge.lake.engine import Lake
from bms_bridge.lake.server import bound

HEAD: Final = 4
BUSY: Final = "the batteries' simulated past is only just being made: ask again in a minute"


class Arrivals:
    """``path``: of the lake's socket; ``file``: where batches wait. A context: the socket is served within it."""

    def __init__(self, path: Path, file: Path) -> None:
        self._path, self._file = path, file
        self._given = 0
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._closed = False

    def __enter__(self) -> Self:
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._cut_off_tail()
        self._listens = bound(self._path)
        self._listens.listen(16)
        threading.Thread(target=self._accept, name="arrivals", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Nobody is served any more; what was acknowledged is in the file."""
        with self._lock:
            self._closed = True
            ends = [self._listens, *self._open]
        for end in ends:
            with contextlib.suppress(OSError):  # it went by itself
                end.shutdown(socket.SHUT_RDWR)
        self._listens.close()

    def give(self, lake: Lake) -> int:
        """Hand over what came since the last call; how many batches. Raises :class:`~bms_bridge.lake.LakeError` where the lake does
        not keep one."""
        count = 0
        with contextlib.suppress(FileNotFoundError), self._file.open("rb") as file:
            file.seek(self._given)
            while (body := _next(file)) is not None:
                batch = wire.decode_batch(body)
                ack = lake.take(batch, body)
                if ack.number < batch.number:
                    raise LakeError(f"what came while the past was made could not be kept: {ack.text or ack.state}")
                self._given = file.tell()
                count += 1
        return count

    def forget(self) -> None:
        """All of it was given."""
        self._file.unlink(missing_ok=True)

    def _accept(self) -> None:
        while True:
            try:
                end, _ = self._listens.accept()
            except OSError:
                return
            with self._lock:
                if self._closed:
                    end.close()
                    return
                self._open.add(end)
            threading.Thread(target=self._serve, args=(end,), name="arrivals", daemon=True).start()

    def _serve(self, end: socket.socket) -> None:
        with end, contextlib.suppress(OSError, LakeError), end.makefile("rb") as stream:
            while (body := _next(stream)) is not None:
                frame = wire.decode(body)
                if isinstance(frame, wire.Batch):
                    if not self._keep(body):
                        break
                    end.sendall(wire.frame_of(wire.Ack(frame.boot, frame.number)))
                elif isinstance(frame, wire.Ask):
                    end.sendall(wire.frame_of(wire.Answer(error=BUSY, kind="LakeRefused")))
        with self._lock:
            self._open.discard(end)

    def _keep(self, body: bytes) -> bool:
        with self._lock:
            if self._closed:
                return False
            with self._file.open("ab") as file:
                file.write(wire.framed(body))
                file.flush()
                os.fsync(file.fileno())
        return True

    def _cut_off_tail(self) -> None:
        """Half a batch at the end was never acknowledged: what comes must not be appended to it."""
        with contextlib.suppress(FileNotFoundError), self._file.open("r+b") as file:
            whole = 0
            while _next(file) is not None:
                whole = file.tell()
            file.truncate(whole)


def _next(file: IO[bytes]) -> bytes | None:
    """The body of the next frame; None where it is not whole. Raises :class:`~bms_bridge.lake.LakeError`."""
    head = file.read(HEAD)
    if len(head) < HEAD:
        return None
    size = int.from_bytes(head, "big")
    if size > wire.MOST_BYTES:
        raise LakeError(f"a frame of {size} bytes")
    body = file.read(size)
    return body if len(body) == size else None
