"""The room of battery passports: made when somebody asks, out of data sheet, record of life and health; signed; told by tier.

    PassportView, PublicPassportView --> document for everybody           nothing is journaled
    IssuePassport(tier, reason)      --> signed document in the answer    each stands in the audit trail
    KeepPassport(sha256, reason)     --> one from elsewhere, kept beside the pack's own

A pack's public address carries a word that only the depot's secret can make; without the switch in the settings nobody gets anything there.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from msgspec import Struct

from bms_bridge import BmsError
from bms_bridge.passport import PassportError, PassportRefused, foreign, plausible, shape
from bms_bridge.passport.assemble import Identity, assemble, filled
from bms_bridge.passport.fields import at
from bms_bridge.passport.record import COLD_C, HOT_C, Grade, Health, Known, Rise, is_edge, own_health
from bms_bridge.passport.seal import sealed
from bms_bridge.passport.sheet import Sheet, Sheets
from bms_bridge.passport.sheet import read as read_sheets
from bms_bridge.passport.tiers import Tier, shown_to
from bms_bridge.signing import signing_key
from controller.passport_shelf import SCHEMA, Kept, PassportShelf
from controller.passport_view import FINDINGS_KEPT, KeptDocumentView, KeptPassportView, PassportView, PublicPassportView
from controller.production_batches import batch_for
from controller.room import Answered, Carrier, Viewer
from controller.yard import Yard
from depot import commands as cmd
from depot.events import Envelope
from depot.values import InvalidValue, PackKey

T = TypeVar("T")

PUBLIC_KEPT_S: Final = 60.0
"""A public page is made anew after so long: whoever knows its address can ask as often as he likes."""

_TOKEN = 26

Life = Callable[[PackKey], Awaitable[Mapping[str, Any] | None]]
"""The answer of the lake to ``life``; None where it never heard of the pack. Raises OSError, BmsError where it does not answer."""


@dataclass(frozen=True, slots=True)
class PassportSettings:
    """``secret``: the depot's own. ``address``: of public pages, "" where there are none. ``key_file``: of the key that signs.
    ``batches``: production batches that the settings tell."""

    secret: bytes = field(repr=False)
    key_file: Path
    sheets: Path | None = None
    address: str = ""
    batches: Mapping[PackKey, str] = field(default_factory=dict)


class PassportRoom:
    """One per depot. ``life``: None where the depot has no lake. ``soc_of``: state of charge and when it was told, None unknown."""

    def __init__(
        self,
        yard: Yard,
        settings: PassportSettings,
        shelf: PassportShelf,
        *,
        life: Life | None,
        soc_of: Callable[[PackKey], tuple[float, datetime] | None],
        health_of: Callable[[PackKey], Awaitable[Health | None]] | None = None,
        grade_of: Callable[[PackKey], Awaitable[Grade | None]] | None = None,
        rise_of: Callable[[PackKey], Awaitable[tuple[Rise | None, str]]] | None = None,
    ) -> None:
        self._yard = yard
        self._settings = settings
        self._shelf = shelf
        self._life = life
        self._soc_of = soc_of
        self._health_of = health_of
        self._grade_of = grade_of
        self._rise_of = rise_of
        self._named: frozenset[PackKey] = frozenset()
        self._tokens: dict[str, PackKey] = {}
        self._public: dict[PackKey, tuple[float, dict[str, Any]]] = {}
        self._lock = asyncio.Lock()
        self.commands: Mapping[type[cmd.Command], Carrier] = {cmd.IssuePassport: self._issue, cmd.KeepPassport: self._keep}
        self.views: Mapping[type[Struct], Viewer] = {
            PassportView: self._view,
            PublicPassportView: self._public_view,
            KeptDocumentView: self._kept_document,
        }

    async def run(self) -> None:
        """Nothing of its own to do."""
        try:
            await asyncio.Event().wait()
        finally:
            self._shelf.close()

    def token_of(self, pack: PackKey) -> str:
        """The word in a pack's public address: 128 bits of an HMAC, in small letters and digits."""
        return base64.b32encode(self._mac("address", pack)).decode().lower()[:_TOKEN]

    def address_of(self, pack: PackKey) -> str:
        """Behind its QR code; "" where no page is public."""
        return f"{self._settings.address}/passport/{self.token_of(pack)}" if self._settings.address else ""

    # -- views --------------------------------------------------------------------------------------------------

    async def _view(self, args: Mapping[str, str]) -> PassportView | None:
        pack = self._pack_of(args.get("vehicle_id", ""), args.get("pack_id", ""))
        if pack is None:
            return None
        owners, sheet = await self._made(pack)
        now = self._yard.clock.now()
        counted = filled(owners)
        found = plausible.findings(owners["aspects"], now=now, absent=owners["absent"])
        kept = await self._kept_of(pack)
        batch = batch_for(self._settings.batches.get(pack, ""), sheet, kept, now=now)
        return PassportView(
            vehicle_id=pack.vehicle_id,
            pack_id=pack.pack_id,
            document=await self._signed(shown_to(owners, Tier.PUBLIC)),
            filled=counted.filled,
            unknown=counted.unknown,
            address=self.address_of(pack),
            sheet=sheet.model if sheet is not None else "",
            findings=[f"{one.path}: {one.words}" for one in found],
            kept=kept,
            batch=batch.name,
            batch_from=batch.source,
            owners=owners,
        )

    async def _public_view(self, args: Mapping[str, str]) -> PublicPassportView | None:
        """By the word of the address alone; None for a wrong one, and for everything while nothing is public."""
        if not self._settings.address:
            return None
        pack = self._by_token(args.get("token", ""))
        if pack is None:
            return None
        now_s = self._yard.clock.monotonic()
        kept = self._public.get(pack)
        if kept is None or now_s - kept[0] > PUBLIC_KEPT_S:
            owners, _ = await self._made(pack)
            document = await self._signed(shown_to(owners, Tier.PUBLIC))
            self._public[pack] = kept = (now_s, document)
        return PublicPassportView(document=kept[1])

    async def _kept_document(self, args: Mapping[str, str]) -> KeptDocumentView | None:
        pack = self._pack_of(args.get("vehicle_id", ""), args.get("pack_id", ""))
        if pack is None:
            return None
        sha256 = args.get("sha256", "")
        found = await self._on_shelf(lambda: self._shelf.document(pack, sha256))
        return KeptDocumentView(sha256=sha256, document=found) if found is not None else None

    # -- commands -----------------------------------------------------------------------------------------------

    async def _issue(self, command: cmd.IssuePassport, envelope: Envelope) -> Answered:
        try:
            return await self._issued(command)
        except InvalidValue as error:  # told in the audit trail, too
            return Answered(cmd.CommandStatus.REFUSED, str(error))

    async def _issued(self, command: cmd.IssuePassport) -> Answered:
        pack = self._registered(command.vehicle_id, command.pack_id)
        try:
            tier = Tier(command.tier)
        except ValueError:
            raise InvalidValue(f"there is no tier {command.tier[:40]!r}; write {', '.join(Tier)}") from None
        owners, _ = await self._made(pack, health=_brought(command), grade=_grade(command, self._yard.clock.now()))
        document = await self._signed(shown_to(owners, tier))
        counted = filled(document)
        words = f"passport of {pack} for {tier.value}: {counted.filled} values, {counted.unknown} unknown, {counted.withheld} withheld"
        return Answered(cmd.CommandStatus.DONE, words, {"passport": document})

    async def _keep(self, command: cmd.KeepPassport, envelope: Envelope) -> tuple[cmd.CommandStatus, str]:
        try:
            return await self._taken_in(command, envelope)
        except InvalidValue as error:
            self._shelf.drop(command.sha256)  # also where it was not even looked at
            return cmd.CommandStatus.REFUSED, str(error)

    async def _taken_in(self, command: cmd.KeepPassport, envelope: Envelope) -> tuple[cmd.CommandStatus, str]:
        pack = self._registered(command.vehicle_id, command.pack_id)
        now = self._yard.clock.now()

        def work() -> tuple[bool, list[str]]:
            try:
                data = self._shelf.taken(command.sha256)
                read = foreign.read(data, fingerprint=command.fingerprint)
                against = [read.broken] if read.broken else shape.complaints(read.aspects, read.parts)
                if against:
                    raise InvalidValue(f"it is not kept: {'; '.join(against[:3])}")
                found = plausible.findings(read.aspects, now=now, absent=read.absent)
                told = [f"{one.check}: {one.path}: {one.words}" for one in found]
                kept = Kept(
                    schema=SCHEMA,
                    vehicle_id=pack.vehicle_id,
                    pack_id=pack.pack_id,
                    sha256=read.sha256,
                    kept_at=now,
                    by=envelope.actor,
                    reason=command.reason,
                    issuer=str(read.document.get("issuer", ""))[:120],
                    number=str(at(read.aspects, "/GeneralProductInformation/batteryPassportIdentifier") or "")[:120],
                    parts=list(read.parts),
                    signed_by=read.seal.fingerprint if read.seal is not None else "",
                    findings=told[:FINDINGS_KEPT],
                    document=dict(read.document),
                )
                return self._shelf.keep(kept), told
            finally:
                self._shelf.drop(command.sha256)

        try:
            new, told = await self._on_shelf(work)
        except PassportRefused as error:
            raise InvalidValue(f"it is not kept: {error}") from None
        words = "kept beside the pack's own passport" if new else "it was kept already"
        if told:
            words += f"; {len(told)} values in it cannot be"
        batch = batch_for(self._settings.batches.get(pack, ""), await self._sheet_of(pack), await self._kept_of(pack), now=now)
        return cmd.CommandStatus.DONE, f"{words}; production batch {batch.name}, {batch.source}" if batch.name else words

    # -- how ----------------------------------------------------------------------------------------------------

    async def _made(
        self, pack: PackKey, *, health: Health | None = None, grade: Grade | None = None
    ) -> tuple[dict[str, Any], Sheet | None]:
        """The owner's copy, unsigned, and the data sheet. Raises :class:`~depot.values.InvalidValue`."""
        sheets = await self._sheets()
        sheet = sheets.of(pack)
        answer, why = await self._heard(pack)
        record = answer.get("record") if answer else None
        health = health or (await self._health_of(pack) if self._health_of is not None else None) or own_health(record)
        grade = grade or (await self._grade_of(pack) if self._grade_of is not None else None)
        rise, no_rise = await self._rise_of(pack) if self._rise_of is not None else (None, "this depot estimates no resistances")
        soc = self._soc_of(pack)
        known = Known(
            record=record,
            health=health,
            grade=grade,
            rise=rise,
            no_rise=no_rise,
            soc=soc[0] if soc is not None else None,
            soc_at=soc[1] if soc is not None else None,
            rated_ah=sheet.rated_ah if sheet is not None else None,
            hot_c=self._edge(sheet, record, "extreme_high_c", HOT_C),
            cold_c=self._edge(sheet, record, "extreme_low_c", COLD_C),
            no_record=why,
        )
        number = f"urn:chargeyard:{self._mac('number', pack).hex()[:32]}"
        registered = self._yard.state.packs.get(pack)
        kept = await self._kept_of(pack)
        made = assemble(
            Identity(self._yard.spec.depot_id, number, str(answer.get("pack", "")) if answer else "", self.address_of(pack)),
            known,
            now=self._yard.clock.now(),
            sheet=sheet,
            operator=sheets.operator,
            operator_email=sheets.operator_email,
            chemistry=registered.chemistry if registered is not None else "",
            foreign=[_foreign(one) for one in kept],
        )
        return made, sheet

    def _edge(self, sheet: Sheet | None, record: Mapping[str, Any] | None, name: str, usual_c: float) -> float:
        """Where extreme temperatures begin. Raises for one that the record's bins cannot be cut at."""
        told = sheet.details.get(name) if sheet is not None else None
        if told is None:
            return usual_c
        if record is not None and not is_edge(record["hours_by_temperature_c"], float(told)):
            edges = ", ".join(dict.fromkeys(part.split()[-1] for part in record["hours_by_temperature_c"]))
            raise InvalidValue(
                f"{name} = {told:g} in the data sheet of {sheet.model if sheet else 'it'}: temperatures are counted at {edges} °C"
            )
        return float(told)

    async def _heard(self, pack: PackKey) -> tuple[Mapping[str, Any], str]:
        """What the lake says, and why it says nothing. A lake that does not answer is an error: its values must not seem unknown."""
        if self._life is None:
            return {}, "this depot keeps no samples of batteries (its settings have no [lake])"
        try:
            found = await self._life(pack)
        except (OSError, BmsError, TimeoutError) as error:
            raise InvalidValue(f"the lake does not answer ({error or 'too slow'}), and holds this pack's record: ask again") from None
        return (found, "") if found else ({}, "the lake has never heard of this pack")

    async def _kept_of(self, pack: PackKey) -> list[KeptPassportView]:
        return await self._on_shelf(lambda: self._shelf.of(pack))

    async def _sheet_of(self, pack: PackKey) -> Sheet | None:
        """None also where data sheets cannot be read: whoever asks for a passport is told of that."""
        try:
            return (await self._sheets()).of(pack)
        except InvalidValue:
            return None

    async def _sheets(self) -> Sheets:
        path = self._settings.sheets
        if path is None:
            return Sheets()
        try:
            return read_sheets(await asyncio.to_thread(path.read_bytes))
        except OSError as error:
            raise InvalidValue(f"data sheets: {path.name} cannot be read ({error.strerror}); see [passport] sheets") from None
        except PassportError as error:
            first, _, more = str(error).partition("\n")
            words = f"data sheets, {path.name}: {first}{' …' if more else ''}"
            raise InvalidValue(f"{words} (./chargeyard battery passport sheet {path.name} says all)") from None

    async def _signed(self, document: dict[str, Any]) -> dict[str, Any]:
        def work() -> dict[str, Any]:
            return sealed(document, signing_key(self._settings.key_file))

        try:
            return await asyncio.to_thread(work)
        except (OSError, BmsError) as error:
            raise InvalidValue(f"it cannot be signed: {error}") from None

    async def _on_shelf(self, work: Callable[[], T]) -> T:
        async with self._lock:
            try:
                return await asyncio.to_thread(work)
            except OSError as error:
                raise InvalidValue(f"passports from elsewhere cannot be read or written now: {error.strerror}") from None

    def _pack_of(self, vehicle_id: str, pack_id: str) -> PackKey | None:
        pack = PackKey(vehicle_id, pack_id)
        return pack if pack in self._yard.state.packs else None

    def _registered(self, vehicle_id: str, pack_id: str) -> PackKey:
        pack = self._pack_of(vehicle_id, pack_id)
        if pack is None:
            raise InvalidValue(f"pack {vehicle_id[:64]}/{pack_id[:64]} is not registered; register it first")
        return pack

    def _by_token(self, token: str) -> PackKey | None:
        if len(token) != _TOKEN:
            return None
        packs = frozenset(self._yard.state.packs)
        if packs != self._named:
            self._named, self._tokens = packs, {self.token_of(pack): pack for pack in packs}
        return self._tokens.get(token)

    def _mac(self, purpose: str, pack: PackKey) -> bytes:
        words = f"battery passport\0{purpose}\0{pack.vehicle_id}\0{pack.pack_id}"
        return hmac.new(self._settings.secret, words.encode(), hashlib.sha256).digest()


def _foreign(one: Any) -> dict[str, Any]:
    told = {"sha256": one.sha256, "kept_at": one.kept_at.isoformat(), "issuer": one.issuer, "number": one.number, "parts": one.parts}
    return {**told, "signed_by": one.signed_by, "findings": len(one.findings)}


def _brought(command: cmd.IssuePassport) -> Health | None:
    """An estimate that a person brings. Raises :class:`~depot.values.InvalidValue`."""
    if command.soh is None:
        return None
    try:
        at_time = datetime.fromisoformat(command.soh_at.replace("Z", "+00:00"))
        if at_time.tzinfo is None:
            raise ValueError("its time has no zone")
        return Health(
            command.soh,
            at_time,
            f"{command.soh_method[:200] or 'estimate'}; brought by a person",
            command.soh_low,
            command.soh_high,
            0.9,
            evidence_sha256=command.evidence_sha256[:64],
        )
    except ValueError as error:
        raise InvalidValue(f"this estimate of health cannot be: {error}") from None


def _grade(command: cmd.IssuePassport, now: datetime) -> Grade | None:
    if not command.grade:
        return None
    method = f"{command.grade_method[:200] or 'grade'}; brought by a person"
    return Grade(command.grade[:60], command.grade_probability, now, method)
