"""Passports from elsewhere on the disk: appended line by line to one file, never changed, never mixed with what was measured here.

    <depot>-passports.in/<sha256>.json   put there by the web or a command, looked at by the core, then removed
    <depot>-passports.jsonl              one line each, with checksum, on the disk before the call returns

Blocking: call it in a thread.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from bms_bridge import in_one_step
from bms_bridge.passport.batch import batch_in
from bms_bridge.passport.foreign import MOST_BYTES
from controller.passport_view import KeptPassportView
from depot.values import InvalidValue, PackKey
from storage.latch_lines import LatchLines, body_of

SCHEMA: Final = "kept_passport/1"
MOST_OF_A_PACK: Final = 20
MOST: Final = 2_000
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the file."""

    schema: str
    vehicle_id: str
    pack_id: str
    sha256: str
    kept_at: datetime
    by: str
    reason: str
    issuer: str
    number: str
    parts: list[str]
    signed_by: str
    findings: list[str]
    document: dict[str, Any]

    @property
    def shown(self) -> KeptPassportView:
        """Without the document, but with the production batch that it tells."""
        names = (name for name in KeptPassportView.__struct_fields__ if name != "batch")
        batch = batch_in(self.document, now=self.kept_at)
        return KeptPassportView(**{name: getattr(self, name) for name in names}, batch=batch)


def put_aside(folder: Path, data: bytes) -> str:
    """Lay a file into the folder of incoming ones; its SHA-256. Raises OSError."""
    digest = hashlib.sha256(data).hexdigest()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    in_one_step.write(folder / f"{digest}.json", data, mode=0o600)
    return digest


@dataclass(slots=True)
class PassportShelf:
    """``path``: of the file; ``incoming``: the folder. The index is read at the first call."""

    path: Path
    incoming: Path
    _lines: LatchLines | None = None
    _kept: dict[PackKey, list[KeptPassportView]] = field(default_factory=dict)

    def taken(self, sha256: str) -> bytes:
        """An incoming file. Raises :class:`~depot.values.InvalidValue`."""
        if not _DIGEST.fullmatch(sha256):
            raise InvalidValue("a file's SHA-256 has 64 hex digits")
        try:
            with (self.incoming / f"{sha256}.json").open("rb") as file:
                data = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise InvalidValue(f"the file did not arrive ({error.strerror}): send it again") from None
        if hashlib.sha256(data).hexdigest() != sha256:
            raise InvalidValue("the file changed on its way, or is too large: send it again")
        return data

    def drop(self, sha256: str) -> None:
        """Remove an incoming file that was looked at."""
        if _DIGEST.fullmatch(sha256):
            with contextlib.suppress(OSError):
                (self.incoming / f"{sha256}.json").unlink(missing_ok=True)

    def keep(self, kept: Kept) -> bool:
        """Keep one; False: it was here already. Raises OSError, :class:`~depot.values.InvalidValue` where there are too many."""
        lines = self._opened()
        pack = PackKey(kept.vehicle_id, kept.pack_id)
        own = self._kept.setdefault(pack, [])
        if any(one.sha256 == kept.sha256 for one in own):
            return False
        if len(own) >= MOST_OF_A_PACK or sum(map(len, self._kept.values())) >= MOST:
            raise InvalidValue(f"at most {MOST_OF_A_PACK} passports of a pack, and {MOST} of all, are kept")
        lines.append(msgspec.json.encode(kept))
        own.append(kept.shown)
        return True

    def of(self, pack: PackKey) -> list[KeptPassportView]:
        """Of one pack, oldest first. Raises OSError."""
        self._opened()
        return list(self._kept.get(pack, ()))

    def document(self, pack: PackKey, sha256: str) -> dict[str, Any] | None:
        """One as it came; None where there is none. Raises OSError."""
        self._opened()
        for line in self.path.read_bytes().splitlines():
            found = _read(body_of(line))
            if found is not None and found.sha256 == sha256 and PackKey(found.vehicle_id, found.pack_id) == pack:
                return found.document
        return None

    def close(self) -> None:
        """Let go of the file."""
        if self._lines is not None:
            self._lines.close()
            self._lines = None

    def _opened(self) -> LatchLines:
        if self._lines is None:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            lines = LatchLines.open(self.path)
            self._kept.clear()
            for line in lines.whole:
                found = _read(line.body)
                if found is not None:
                    self._kept.setdefault(PackKey(found.vehicle_id, found.pack_id), []).append(found.shown)
            self._lines = lines
        return self._lines


def kept_in(path: Path) -> list[Kept]:
    """All that are kept, oldest first, for another process than the owner's. Raises OSError."""
    found = (_read(body_of(line)) for line in path.read_bytes().splitlines())
    return [one for one in found if one is not None]


def _read(body: bytes | None) -> Kept | None:
    """A damaged line, or one of a later version, is left where it is."""
    if body is None:
        return None
    try:
        found = msgspec.json.decode(body, type=Kept)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None
    return found if found.schema == SCHEMA else None
