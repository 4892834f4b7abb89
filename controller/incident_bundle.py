"""The files of incidents as one file of a backup: a plain tar of the folder's files, whole lines only.

    <depot>-incidents/*.jsonl --pack()--> incidents.tar --check(), bring_back()--> those that are not there any more

A file that is there knows at least as much as the backup's, and stays as it is. Names are compared with what an incident's file may be
called and never used as a path; anything else in the tar is refused.
"""

from __future__ import annotations

import io
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from controller.archive import BackupDamaged
from controller.incident_files import IncidentFileError, file_of
from storage.copying import flush

END: Final = ".jsonl"
_OWNER_WRITES: Final = 0o600
_READ_ONLY: Final = 0o400


def pack(folder: Path, target: Path) -> int:
    """Write every incident's file that is there to ``target``; how many. Of one that is being written: its whole lines. Raises OSError."""
    found = [path for path in sorted(folder.glob(f"*{END}")) if path.is_file() and _path_of(folder, path.name) is not None]
    if not found:
        return 0
    with target.open("wb") as out, tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path in found:
            about = path.stat()
            whole, newline, _ = path.read_bytes().rpartition(b"\n")
            info = tarfile.TarInfo(path.name)
            info.size, info.mtime = len(whole) + len(newline), int(about.st_mtime)
            info.mode = _OWNER_WRITES if about.st_mode & stat.S_IWUSR else _READ_ONLY
            tar.addfile(info, io.BytesIO(whole + newline))
    return len(found)


def check(bundle: Path, folder: Path) -> int:
    """How many files it holds. Raises :class:`BackupDamaged` for anything that an incident's file cannot be."""
    return sum(1 for _ in _members(bundle, folder))


def bring_back(bundle: Path, folder: Path) -> int:
    """Put the files into ``folder`` that are not there; how many. Raises :class:`BackupDamaged`, OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    brought = 0
    for path, info, data in _members(bundle, folder):
        if path.exists():
            continue
        aside = path.with_name(f".{path.name}.new")
        aside.unlink(missing_ok=True)
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.utime(aside, (info.mtime, info.mtime))  # by it they are dropped when they are old enough
        aside.chmod(_OWNER_WRITES if info.mode & stat.S_IWUSR else _READ_ONLY)
        aside.rename(path)
        brought += 1
    flush(folder)
    return brought


def _members(bundle: Path, folder: Path) -> Iterator[tuple[Path, tarfile.TarInfo, bytes]]:
    try:
        with tarfile.open(bundle, "r:") as tar:
            for info in tar:
                path = _path_of(folder, info.name)
                file = tar.extractfile(info) if info.type == tarfile.REGTYPE and path is not None else None
                if path is None or file is None:
                    raise BackupDamaged(f"{bundle.name} holds {info.name!r:.60}, which is no incident's file. Nothing was changed")
                yield path, info, file.read()
    except tarfile.TarError as error:
        raise BackupDamaged(f"{bundle.name} cannot be read ({error}). Nothing was changed") from error


def _path_of(folder: Path, name: str) -> Path | None:
    """Where a file of this name belongs; None: no incident's file is called so."""
    try:
        return file_of(folder, name.removesuffix(END)) if name.endswith(END) else None
    except IncidentFileError:
        return None
