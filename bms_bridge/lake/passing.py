"""A pack's whole history in one signed archive, for when it changes hands: out of one depot's lake and into another's.

    pack-<pseudonym>-<date>.zip
        manifest.json       what is in it: names, sizes, SHA-256; the pack, its maker's facts; which depots had it before
        signature.json      Ed25519 over the bytes of manifest.json, with the public key
        lifetime.json       the record of its life, as people read it and as it is folded on
        samples/2026-11.parquet …     its rows, a file a month
        before/…            archives that came with it, as they came

No person, no VIN and no vehicle stands in it: a pack has its pseudonym, and what its owner writes on the delivery note. Whoever
imports it says the fingerprint of the key that it must be signed with; that goes by another way (telephone, contract).
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
import zipfile
import zlib
from base64 import b64decode, b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from bms_bridge import in_one_step
from bms_bridge.lake import ArchiveRefused, LakeRefused, lifetime, warm
from bms_bridge.lake.engine import Lake
from bms_bridge.lake.hot import PackEntry
from bms_bridge.lake.lifetime import Life
from bms_bridge.lake.schema import SCHEMA as ROWS_SCHEMA
from bms_bridge.lake.schema import moment
from bms_bridge.signing import fingerprint_of
from depot.values import PackKey

log = logging.getLogger(__name__)

SCHEMA: Final = "pack_history/1"
MANIFEST, SIGNATURE, LIFETIME = "manifest.json", "signature.json", "lifetime.json"
MOST_BYTES: Final = 16 * 1024**3
"""Of an archive's contents together."""

MOST_FILES: Final = 2_000
_MOST_JSON = 8 * 1024 * 1024
_NAME = re.compile(r"(samples/\d{4}-\d{2}\.parquet|before/[0-9a-f]{64}\.zip|lifetime\.json)")
_RATIO = 200
_BLOCK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Exported:
    """A finished archive. ``fingerprint``: of the key that signed it; tell it to the buyer by another way."""

    path: Path
    rows: int
    bytes: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Imported:
    """What was taken in. ``again``: it was here already."""

    sha256: str
    depot_id: str
    rows: int
    again: bool


# -- out -----------------------------------------------------------------------------------------------------------------


def export(lake: Lake, pack: PackKey, target: Path, *, key: Any, facts: dict[str, Any]) -> Exported:
    """Write all that the lake knows of ``pack`` to ``target``, whole or not at all. ``facts``: of the registry.

    Raises :class:`~bms_bridge.lake.LakeRefused` for a pack that the lake does not know, OSError, LakeDamaged.
    """
    import pyarrow.compute as pc

    entry, life = lake.entry_of(pack), lake.life_of(pack)
    if entry is None or life is None:
        raise LakeRefused(f"the lake has never heard of {pack}")
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    in_one_step.check(target)
    aside = target.with_name(f".{target.name}{warm.PART}")
    rows = 0
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".export-") as folder, zipfile.ZipFile(aside, "x") as archive:
            listed = []
            for month, table in lake.months(entry):
                part = Path(folder) / f"{month}.parquet"
                written = warm.write(part, table, pc.max(table.column("row_id")).as_py() or 0)
                rows += written.rows
                listed.append(_add(archive, f"samples/{month}.parquet", part))
                part.unlink()
            record = Path(folder) / LIFETIME
            record.write_bytes(
                _json({"record": lifetime.shown(life, facts.get("capacity_wh")), "folded": b64encode(lifetime.encode(life)).decode()})
            )
            listed.append(_add(archive, LIFETIME, record))
            for before in _histories(lake, entry):
                listed.append(_add(archive, f"before/{before.stem}.zip", before))
            manifest = _json(
                {
                    "schema": SCHEMA,
                    "rows_schema": ROWS_SCHEMA,
                    "depot": lake.places.depot_id,
                    "made_at": moment(lake.now_us()).isoformat(),
                    "pack": {"pack": entry.pack, **facts},
                    "rows": rows,
                    "files": listed,
                }
            )
            public = key.public_key().public_bytes_raw()
            archive.writestr(MANIFEST, manifest)
            archive.writestr(SIGNATURE, _json({"key": b64encode(public).decode(), "signature": b64encode(key.sign(manifest)).decode()}))
        with aside.open("rb") as file:
            os.fchmod(file.fileno(), 0o600)
            os.fsync(file.fileno())
        aside.replace(target)
        warm.sync_folder(target.parent)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    return Exported(target, rows, target.stat().st_size, fingerprint_of(public))


def _histories(lake: Lake, entry: PackEntry) -> list[Path]:
    with lake.hot.look() as connection:
        found = connection.execute("SELECT sha256 FROM lake_history WHERE pack_no = ? ORDER BY at_us", (entry.no,)).fetchall()
    return [path for (digest,) in found if (path := lake.places.histories / f"{digest}.zip").exists()]


def _add(archive: zipfile.ZipFile, name: str, path: Path) -> dict[str, Any]:
    archive.write(path, name, zipfile.ZIP_DEFLATED if name.endswith(".json") else zipfile.ZIP_STORED)
    return {"name": name, "bytes": path.stat().st_size, "sha256": warm.sha256_of(path)}


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True).encode()


# -- in ------------------------------------------------------------------------------------------------------------------


def verified(path: Path, *, fingerprint: str) -> tuple[dict[str, Any], Life]:
    """Manifest and record of an archive in which everything is as its signer had it.

    Raises :class:`~bms_bridge.lake.ArchiveRefused` with what is wrong, OSError.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _verified(archive, fingerprint)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, RuntimeError) as error:
        raise ArchiveRefused(f"{path.name} is not a whole zip archive ({error}): fetch it again") from None


def _verified(archive: zipfile.ZipFile, fingerprint: str) -> tuple[dict[str, Any], Life]:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    infos = {info.filename: info for info in archive.infolist()}
    _check_size(archive.infolist())
    raw = _small(archive, MANIFEST)
    try:
        signed = json.loads(_small(archive, SIGNATURE))
        public, signature = b64decode(signed["key"], validate=True), b64decode(signed["signature"], validate=True)
        Ed25519PublicKey.from_public_bytes(public).verify(signature, raw)
    except InvalidSignature:
        raise ArchiveRefused("the signature does not fit: its list of contents was changed after it was signed") from None
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ArchiveRefused(f"{SIGNATURE} is no signature ({error})") from None
    wanted = re.sub(r"[^0-9a-f]", "", fingerprint.lower())
    if fingerprint_of(public).replace(" ", "") != wanted:
        raise ArchiveRefused(f"it is signed by the key {fingerprint_of(public)}, not by {fingerprint}: ask the depot that sold it")
    try:
        manifest = json.loads(raw)
        files = {str(row["name"]): (int(row["bytes"]), str(row["sha256"])) for row in manifest["files"]}
        if manifest["schema"] != SCHEMA:
            raise ArchiveRefused(f"schema {str(manifest['schema'])[:40]} is not known here; this version reads {SCHEMA}")
        str(manifest["depot"]), int(manifest["rows"]), str(manifest["pack"]["pack"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ArchiveRefused(f"{MANIFEST} is not a list of contents ({error})") from None
    more = set(infos) - set(files) - {MANIFEST, SIGNATURE}
    if more:
        raise ArchiveRefused(f"{sorted(more)[0]} is in it, but not in its signed list of contents")
    for name, (size, digest) in files.items():
        if not _NAME.fullmatch(name):
            raise ArchiveRefused(f"{name[:80]!r} is no name of a file of a history")
        if name not in infos:
            raise ArchiveRefused(f"{name} is missing")
        if _digest(archive, name, size) != digest:
            raise ArchiveRefused(f"{name} was changed after it was signed")
    try:
        life = lifetime.decode(b64decode(json.loads(_small(archive, LIFETIME))["folded"], validate=True))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ArchiveRefused(f"{LIFETIME} holds no record ({error})") from None
    return manifest, life


def _check_size(infos: list[zipfile.ZipInfo]) -> None:
    if len(infos) > MOST_FILES or len({info.filename for info in infos}) != len(infos):
        raise ArchiveRefused(f"it has {len(infos)} files, or one twice; a history has at most {MOST_FILES}, each once")
    if sum(info.file_size for info in infos) > MOST_BYTES or any(info.file_size > _RATIO * max(1, info.compress_size) for info in infos):
        raise ArchiveRefused("it unpacks to more than a history can have")
    if any(info.flag_bits & 1 for info in infos):
        raise ArchiveRefused("it is encrypted")


def _small(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        with archive.open(name) as file:
            data = file.read(_MOST_JSON + 1)
    except KeyError:
        raise ArchiveRefused(f"{name} is missing: it is no history of a pack") from None
    if len(data) > _MOST_JSON:
        raise ArchiveRefused(f"{name} is too large")
    return data


def _digest(archive: zipfile.ZipFile, name: str, size: int) -> str:
    digest, left = hashlib.sha256(), size
    with archive.open(name) as file:
        while block := file.read(_BLOCK):
            left -= len(block)
            if left < 0:
                return "longer than it says"
            digest.update(block)
    return digest.hexdigest() if left == 0 else "shorter than it says"


def take_in(lake: Lake, source: Path, pack: PackKey, *, fingerprint: str) -> Imported:
    """Verify ``source`` and keep it as the past of ``pack``, exactly as it came. Twice is once.

    Raises :class:`~bms_bridge.lake.ArchiveRefused`, OSError, :class:`storage.StorageError`.
    """
    manifest, life = verified(source, fingerprint=fingerprint)
    digest = warm.sha256_of(source)
    target = lake.places.histories / f"{digest}.zip"
    with lake.hot.look() as connection:
        again = connection.execute("SELECT pack_no FROM lake_history WHERE sha256 = ?", (digest,)).fetchone() is not None
    done = Imported(digest, str(manifest["depot"]), int(manifest["rows"]), again)
    if again and target.exists():
        return done
    lake.places.histories.mkdir(exist_ok=True, mode=0o700)
    aside = target.with_name(f".{target.name}{warm.PART}")
    try:
        with source.open("rb") as here, aside.open("wb") as there:
            _copy(here, there)
        if warm.sha256_of(aside) != digest:
            raise ArchiveRefused(f"{source.name} changed while it was read")
        aside.replace(target)
        warm.sync_folder(target.parent)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    with lake.hot.work() as connection:
        entry = lake.hot.add_pack(connection, lake.deriver.name_of(pack), pack, lake.now_us())
        values = (digest, entry.no, lake.now_us(), _json({**manifest, "fingerprint": fingerprint}), lifetime.encode(life))
        connection.execute("INSERT OR REPLACE INTO lake_history (sha256, pack_no, at_us, manifest, record) VALUES (?, ?, ?, ?, ?)", values)
    lake.know([entry])
    log.info("%s: its history of %d rows was taken in from depot %s", pack, done.rows, done.depot_id)
    return done


def _copy(here: IO[bytes], there: IO[bytes]) -> None:
    os.fchmod(there.fileno(), 0o600)
    shutil.copyfileobj(here, there, _BLOCK)
    there.flush()
    os.fsync(there.fileno())


def inherited(lake: Lake, pack: PackKey) -> list[dict[str, Any]]:
    """What came with the pack: from which depot, when, and the record of its life there."""
    entry = lake.entry_of(pack)
    if entry is None:
        return []
    with lake.hot.look() as connection:
        found = connection.execute(
            "SELECT sha256, at_us, manifest, record FROM lake_history WHERE pack_no = ? ORDER BY at_us", (entry.no,)
        ).fetchall()
    return [
        {
            "sha256": digest,
            "imported_at": moment(at_us).isoformat(),
            "depot": (known := json.loads(manifest))["depot"],
            "pack": known["pack"],
            "fingerprint": known["fingerprint"],
            "rows": known["rows"],
            "record": lifetime.shown(lifetime.decode(record), known["pack"].get("capacity_wh")),
        }
        for digest, at_us, manifest, record in found
    ]
