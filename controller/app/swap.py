"""The few renames in which a restore can be cut off, and how they are undone.

    marker written --> what is there goes aside --> staged files take its place --> marker removed

While the marker is there the core refuses to start: an old database with a new log, or none at all, would be worse than no
depot. Whoever restores next puts everything back first (``undo_unfinished``).
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from controller.app.kept import GROWING, kept_of
from controller.archive import BackupError
from controller.settings import Settings
from storage.copying import flush

STAGE = ".restore-"
ASIDE = "replaced-"


class RestoreUnfinished(BackupError):
    """An earlier restore was cut off in the middle of its renames."""


class _Marker(msgspec.Struct, frozen=True):
    """``had``: the names of the files that were there; ``aside``: the folder to which they go."""

    aside: str
    had: tuple[str, ...]


def marker_path(settings: Settings) -> Path:
    """There only while files change places."""
    return settings.storage.path / f"{settings.depot.id}.restoring"


def refuse_half_restored(settings: Settings) -> None:
    """For whoever is about to open the depot's files. Raises :class:`RestoreUnfinished`."""
    if marker_path(settings).exists():
        raise RestoreUnfinished(
            f"a restore of {settings.depot.id} was cut off ({marker_path(settings)}): type the restore command again, it begins anew"
        )


def swap(settings: Settings, files: Mapping[str, Path], now: datetime, *, keep: Collection[str]) -> Path | None:
    """Set aside what is there, put ``files`` (by name in the backup) in its place. ``keep``: names that stay where they
    are; a copy goes aside. Returns the folder of what was there; None where nothing was."""
    folder, marker, kept = settings.storage.path, marker_path(settings), kept_of(settings)
    moving = [path for one in kept if one.name not in keep for path in one.with_logs if path.exists()]
    copied = [one.path for one in kept if one.name in keep and one.path.exists()]
    aside = _new_folder(folder, now) if moving or copied else folder
    for path in copied:
        shutil.copy2(path, aside / path.name)
    _write_marker(marker, _Marker(aside.name, tuple(path.name for path in moving)))
    for path in moving:
        path.rename(aside / path.name)
    for one in kept:
        if one.name in files:
            files[one.name].rename(one.path)
    flush(aside)
    flush(folder)
    marker.unlink()
    flush(folder)
    return None if aside is folder else aside


def undo_unfinished(settings: Settings) -> None:
    """Put everything back as it was before a restore that was cut off. Does nothing where none was."""
    marker, folder = marker_path(settings), settings.storage.path
    if not marker.exists():
        return
    try:
        told = msgspec.json.decode(marker.read_bytes(), type=_Marker)
    except msgspec.MsgspecError as error:
        raise RestoreUnfinished(f"{marker} makes no sense ({error}): look into the folders {ASIDE}… beside it, then remove it") from None
    for one in kept_of(settings):
        for path in one.with_logs:
            old = folder / told.aside / path.name
            if path.name in told.had and old.exists():
                old.rename(path)
            elif path.name not in told.had and one.name not in GROWING:
                path.unlink(missing_ok=True)  # it was not there before
    flush(folder)
    marker.unlink()
    flush(folder)
    for left in folder.glob(f"{STAGE}*.{settings.depot.id}"):
        shutil.rmtree(left, ignore_errors=True)


def _new_folder(folder: Path, now: datetime) -> Path:
    for number in range(100):
        path = folder / f"{ASIDE}{now:%Y%m%dT%H%M%SZ}{f'-{number}' if number else ''}"
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
            return path
    raise BackupError(f"{folder} is full of folders {ASIDE}…: move them away")


def _write_marker(path: Path, marker: _Marker) -> None:
    """Whole or not at all, and on the disk."""
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(msgspec.json.encode(marker))
        file.flush()
        os.fsync(file.fileno())
    aside.rename(path)
    flush(path.parent)
