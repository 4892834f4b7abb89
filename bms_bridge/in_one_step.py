"""A file that is written in one step: the old one stays until the new one is whole.

ready()  before long work: could the file be written at all?
write()  whole beside its place, onto the disk, then renamed; whatever ends it (a full disk, ctrl-C) leaves the old file as it was
why()    an error of the system in words, with what to do
"""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

FILE_MODE = 0o666
"""Less what the person's umask takes."""

_TO_DO = {
    errno.ENOSPC: "free some, or name a file on another disk",
    errno.EDQUOT: "free some, or name a file on another disk",
    errno.EFBIG: "this shell (ulimit -f) or this disk allows no larger one; name a file elsewhere",
    errno.EROFS: "name a file elsewhere",
    errno.EEXIST: "name another one, or move it away",
    errno.EACCES: "look at its owner and permissions, and at those of its folder",
    errno.EPERM: "look at its owner and permissions, and at those of its folder",
    errno.EIO: "look at the disk",
}


def write(path: Path, data: bytes, *, mode: int = FILE_MODE, replace: bool = True) -> None:
    """Write ``data`` to ``path``; through a link, to what it points at. ``mode``: of a new file; an old one keeps its own, less what
    ``mode`` does not have. ``replace``: False where a file that is there must stay.

    Raises OSError with ``path`` as its file name, also where there is something that is no file: a device would be replaced by one.
    """
    try:
        place = ready(path, replace=replace)
        beside = _beside(place)
        try:
            _whole(beside, data, mode)
            if place.exists():
                beside.chmod(place.stat().st_mode & 0o777 & mode)
            beside.replace(place)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def ready(path: Path, *, replace: bool = True) -> Path:
    """Where ``path`` will be written, links followed; tried with an empty file beside it. Raises OSError where it could not be: its folder
    is not there or may not be written to, it is a folder, a device or a file that may not be written to."""
    check(path)
    place = Path(os.path.realpath(path))
    if not place.parent.is_dir():
        raise OSError(errno.ENOENT, "its folder is not there", str(path))
    if place.exists():
        if not replace:
            raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        if not os.access(place, os.W_OK):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    beside = _beside(place)
    try:
        beside.touch()
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    beside.unlink()
    return place


def _beside(place: Path) -> Path:
    return place.with_name(f".{place.name}.{os.getpid()}-{threading.get_ident()}")


def why(error: OSError) -> str:
    """What the system says, and what a person can do about it."""
    said, more = error.strerror or str(error), _TO_DO.get(error.errno or 0)
    return f"{said}: {more}" if more else said


def check(path: Path) -> None:
    """Raises OSError where ``path`` is a folder, a device or another thing that is no file."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "is there and is no file", str(path))


def _whole(beside: Path, data: bytes, mode: int) -> None:
    """Onto the disk: a name must not outlive a power cut without its content."""
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
