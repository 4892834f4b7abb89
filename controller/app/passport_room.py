"""The room of battery passports in the core as the settings have it.

data sheets (file), lake's process (over its socket), book of health (read only), Safety (newest state of charge) --> PassportRoom
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from controller.core import Core
from controller.safety import Safety
from controller.settings import Settings
from depot.values import InvalidValue, PackKey
from storage import StorageError, Store, StoreMissing

if TYPE_CHECKING:
    from bms_bridge.estimates.prospect_view import PackProspect
    from bms_bridge.passport.record import Grade, Health, Rise

ASK_S = 20.0


def add_passports(core: Core, settings: Settings, *, safety: Safety, secret: bytes) -> None:
    """Always there: without any section a passport says what the registry knows, and what nobody does."""
    from bms_bridge.lake import LakeRefused
    from bms_bridge.lake.asking import ask
    from controller.passport_room import PassportRoom, PassportSettings
    from controller.passport_shelf import PassportShelf

    passport = settings.passport

    async def life(pack: PackKey) -> Mapping[str, Any] | None:
        async with asyncio.timeout(ASK_S):
            answer = await ask(settings.lake_path, "life", {"vehicle_id": pack.vehicle_id, "pack_id": pack.pack_id})
        if answer.error:
            raise LakeRefused(answer.error)
        return answer.data or None

    def soc_of(pack: PackKey) -> tuple[float, datetime] | None:
        told = [sample for sample in safety.newest.get(pack, {}).values() if sample.soc is not None]
        newest = max(told, key=lambda sample: sample.received_at, default=None)
        return (newest.soc, newest.received_at) if newest is not None and newest.soc is not None else None

    async def health_of(pack: PackKey) -> Health | None:
        try:
            return await asyncio.to_thread(health_in_book, settings.health_database, pack, core.yard.clock.now())
        except StorageError as error:
            raise InvalidValue(f"estimates of health cannot be read now: {error}") from None

    async def grade_of(pack: PackKey) -> Grade | None:
        try:
            return await asyncio.to_thread(grade_in_book, settings.health_database, pack)
        except StorageError as error:
            raise InvalidValue(f"grades cannot be read now: {error}") from None

    async def rise_of(pack: PackKey) -> tuple[Rise | None, str]:
        try:
            return await asyncio.to_thread(rise_in_book, settings.health_database, pack)
        except StorageError as error:
            raise InvalidValue(f"estimates of resistance cannot be read now: {error}") from None

    core.add(
        PassportRoom(
            core.yard,
            PassportSettings(
                secret=secret,
                key_file=settings.lake_key,
                sheets=passport.sheets,
                address=passport.public_url if passport.public else "",
                batches={PackKey(row.vehicle, row.pack): row.batch for row in settings.health.pack} if settings.health is not None else {},
            ),
            PassportShelf(settings.passports, settings.passports_incoming),
            life=life if settings.lake is not None else None,
            soc_of=soc_of,
            health_of=health_of if settings.health is not None else None,
            grade_of=grade_of if settings.health is not None else None,
            rise_of=rise_of if settings.health is not None else None,
        )
    )


def health_in_book(database: Path, pack: PackKey, now: datetime) -> Health | None:
    """The newest estimate of a pack's health that is one; None where there is none. Blocking. Raises :class:`storage.StorageError`."""
    from bms_bridge.estimates.book import Book
    from bms_bridge.passport.record import Health
    from bms_bridge.passport.seal import sha256_of
    from controller.health_room import made

    try:
        with contextlib.closing(Store.open(database, read_only=True)) as store:
            found = Book(store).one(pack, now) if made(store) else None
    except StoreMissing:
        return None
    row = found.row if found is not None else None
    soh = row.soh if row is not None else None
    if soh is None or soh.value is None or not 0 <= soh.value <= 1.3:
        return None
    within = soh.low is not None and soh.high is not None and 0 <= soh.low <= soh.value <= soh.high <= 1.3
    return Health(
        soh.value,
        soh.until,
        f"{soh.method}; {row.soh_note}" if row is not None and row.disagree else soh.method,
        soh.low if within else None,
        soh.high if within else None,
        0.9 if within else None,
        evidence_sha256=sha256_of(msgspec.to_builtins(soh)),
    )


def rise_in_book(database: Path, pack: PackKey) -> tuple[Rise | None, str]:
    """The pack's resistance beside that when new, and why it is not known. Blocking. Raises :class:`storage.StorageError`."""
    from bms_bridge.estimates.beside_new import RESISTANCE
    from bms_bridge.passport.record import Rise
    from bms_bridge.passport.seal import sha256_of

    prospect = _prospect(database, pack)
    one = next((one for one in prospect.beside if one.name == RESISTANCE), None) if prospect is not None else None
    if prospect is None or one is None:
        return None, (prospect.why_not if prospect is not None else "") or "no resistance of this battery was measured here"
    if one.value is None or one.low is None or one.high is None:
        return None, one.why_not
    return Rise(one.value, one.low, one.high, one.at or prospect.made_at, one.how, sha256_of(msgspec.to_builtins(one))), ""


def _prospect(database: Path, pack: PackKey) -> PackProspect | None:
    from bms_bridge.estimates.shelf import Shelf
    from controller.health_room import made

    try:
        with contextlib.closing(Store.open(database, read_only=True)) as store:
            return Shelf(store).prospect(pack) if made(store) else None
    except StoreMissing:
        return None


def grade_in_book(database: Path, pack: PackKey) -> Grade | None:
    """The grade of a pack as the health process last made it, with the time of the health that it is of; None where there is none.
    Blocking. Raises :class:`storage.StorageError`."""
    from bms_bridge.passport.record import Grade
    from bms_bridge.second_life.grading import TEST_REQUIRED

    found = _prospect(database, pack)
    if found is None or not found.grade:
        return None
    whole = found.whole
    method = "weakest cell or module by this depot's estimates, bands of its assumptions"
    if whole is not None:
        method += f"; gives {whole.soh:.1%} ({whole.low:.1%} to {whole.high:.1%}); {found.completeness:.0%} of the data"
    if found.because:
        method += f"; {'; '.join(found.because)}"
    at = found.health_at or found.made_at
    modules = tuple(msgspec.to_builtins(part) for part in found.modules)
    beside = tuple({name: value for name, value in msgspec.to_builtins(one).items() if value not in ("", None)} for one in found.beside)
    return Grade("" if found.grade == TEST_REQUIRED else found.grade, None, at, method, modules, beside)
