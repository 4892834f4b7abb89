"""A file that is written in one step: the old one stays until the new one is whole."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def write(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``. Raises OSError, also where there is something that is no file: a device would be replaced by one."""
    check(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(data)
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


def check(path: Path) -> None:
    """Raises OSError where ``path`` is a folder, a device or another thing that is no file."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "is there and is no file", str(path))
