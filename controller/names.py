"""Names of drivers and of people on shift, apart from the journal. Facts are never deleted; a person's name must be deletable.

The journal knows a driver by a pseudonym (the ``driver_id``, a staff number). The name for the screens stands in one file
beside the database that only its owner can read; removing the driver removes the name. A lost file costs the names only.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from depot.values import DepotError

NAME_LENGTH = 80


class NamesError(DepotError):
    """The names can't be used; the message says what to do."""


def names_path(folder: Path, depot_id: str, who: str = "driver") -> Path:
    """The file."""
    return folder / f"{depot_id}-{who}s.json"


class NameBook:
    """The names in ``folder`` of the drivers of ``depot_id``, or of whom ``who`` says. Used by the core alone, which owns the folder."""

    def __init__(self, folder: Path, depot_id: str, *, who: str = "driver") -> None:
        self._who = who
        self._path = names_path(folder, depot_id, who)
        self._names: dict[str, str] = self._read()

    def name_of(self, driver_id: str) -> str:
        """The name; "" where none is known."""
        return self._names.get(driver_id, "")

    def put(self, names: Mapping[str, str]) -> None:
        """Keep names; "" takes one away. They are on the disk before this returns."""
        for driver_id, name in names.items():
            if len(name) > NAME_LENGTH or not name.isprintable():
                raise NamesError(f"the name of {self._who} {driver_id} must have at most {NAME_LENGTH} printable characters")
        self._keep({driver_id: name for driver_id, name in {**self._names, **names}.items() if name})

    def forget(self, driver_ids: Iterable[str]) -> None:
        """Delete the names of these drivers."""
        gone = set(driver_ids)
        self._keep({driver_id: name for driver_id, name in self._names.items() if driver_id not in gone})

    def _read(self) -> dict[str, str]:
        try:
            raw = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise NamesError(f"{self._path} is damaged: restore it from a backup, or remove it and give the names again") from error
        if not isinstance(raw, dict) or not all(isinstance(name, str) for name in raw.values()):
            raise NamesError(f"{self._path} holds no names: restore it from a backup, or remove it and give the names again")
        return raw

    def _keep(self, names: dict[str, str]) -> None:
        """Write aside and rename: after a crash the file is the old or the new one, whole."""
        if names == self._names:
            return
        aside = self._path.with_name(f".{self._path.name}.new")
        try:
            aside.unlink(missing_ok=True)
            with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w", encoding="utf-8") as file:
                json.dump(names, file, ensure_ascii=False)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(self._path)
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise NamesError(f"{self._path} can't be written: {error.strerror}") from error
        self._names = names
