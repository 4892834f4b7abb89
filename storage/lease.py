"""One owner process per depot database: an advisory lock on a file beside it, gone when the process is gone."""

from __future__ import annotations

import fcntl
import os
import weakref
from pathlib import Path
from typing import Self

from storage.errors import LeaseTaken


class Lease:
    """Ownership of ``<database>.lock``, for as long as the object is held. The kernel ends it with the process, so
    there is never a stale lock to remove. Not inherited by child processes, forked or executed."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor: int | None = descriptor
        reference = weakref.ref(self)

        def forked() -> None:
            held = reference()
            if held is not None:
                held._close()

        os.register_at_fork(after_in_child=forked)

    @classmethod
    def take(cls, database: Path | str) -> Self:
        """Take ownership of ``database``. Raises :class:`~storage.errors.LeaseTaken`, naming the owner's pid."""
        path = Path(f"{database}.lock")
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise LeaseTaken(
                f"another controller (pid {owner}) runs this depot ({database}): stop it first, or name another database"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        return cls(path, descriptor)

    def release(self) -> None:
        """Give ownership up. The file stays: removing it would race with the next owner."""
        self._close()

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
