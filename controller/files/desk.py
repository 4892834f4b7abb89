"""The files desk: a room of the core that orders transfers, hears how they go, and sees what came.

    UpdateFirmware, FetchLog --fact--> call --answer, fact--> station's words (controller.desk) ; shelf --look--> facts

The bytes never pass here: the service hands them out and takes them (:mod:`controller.files.service`). An order is
journaled before the station hears of it, so that its number is used once; one whose answer a restart has cut off is
``Unanswered``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from msgspec import Struct

from controller.alarms import Condition
from controller.files import FilesError
from controller.files.calls import Call, answer_of, log_call, publish_call, unpublish_call, update_call
from controller.files.shelf import Progress, Received, Shelf, shown_name
from controller.files.tickets import Tickets, valid_until
from controller.files.views import FirmwareView, LogsView, image_view, transfer_view
from controller.room import Answered, Carrier, Viewer
from controller.yard import Yard
from depot import commands as cmd
from depot import events as ev
from depot import files as fl
from depot.commands import CommandStatus
from depot.files import ReceivedFile, Standing, Transfer, TransferKind
from depot.ports import JournalFrozen
from depot.values import DepotError
from ocpp_server.actions import check_call
from ocpp_server.errors import PayloadViolation
from ocpp_server.reply import Reply
from ocpp_server.version import Version

log = logging.getLogger(__name__)

LOOK_S: Final = 1.0
MOST_IMAGES: Final = 100
MOST_STATIONS: Final = 500
AT_ONCE: Final = 20
"""Stations that are told of an update at the same time."""
ANSWER_S: Final = 20.0
"""So long an order waits for its stations' answers; then it goes on by itself."""
_FETCHED: Final = frozenset({"Downloaded", "SignatureVerified", "Installing", "InstallRebooting", "InstallScheduled"})
_SHOWN: Final = timedelta(days=1)
"""A failed update is an alarm for so long, unless a newer order to its station comes."""


class Stations(Protocol):
    """What of the charger side is needed here."""

    def version(self, station_id: str) -> Version | None: ...
    async def call(self, station_id: str, action: str, payload: dict[str, Any]) -> Reply: ...


class FilesDesk:
    """See the module. ``tickets`` None: nothing is served. ``wall``: the world's time, by which addresses expire."""

    kinds: frozenset[str] = frozenset({"firmware_failed"})

    def __init__(self, yard: Yard, stations: Stations, *, shelf: Shelf, tickets: Tickets | None, wall: Callable[[], datetime]) -> None:
        self._yard = yard
        self._stations = stations
        self._shelf = shelf
        self._tickets = tickets
        self._wall = wall
        self._seats = asyncio.Semaphore(AT_ONCE)
        self._numbering = asyncio.Lock()
        self._asking: set[asyncio.Task[None]] = set()
        self._stamp: tuple[int, ...] = ()
        self._received: Sequence[Received] = ()
        self._progress: Mapping[int, Progress] = {}
        self._images: frozenset[str] = frozenset()
        self.commands: Mapping[type[cmd.Command], Carrier] = {
            cmd.AddFirmware: self._add,
            cmd.RemoveFirmware: self._remove,
            cmd.UpdateFirmware: self._update,
            cmd.PublishFirmware: self._publish,
            cmd.UnpublishFirmware: self._unpublish,
            cmd.FetchLog: self._fetch_log,
        }
        self.views: Mapping[type[Struct], Viewer] = {FirmwareView: self._show_firmware, LogsView: self._show_logs}

    async def run(self) -> None:
        for transfer in [t for t in self._files.transfers.values() if t.state == fl.ORDERED]:
            await self._append([ev.TransferAnswered(transfer.number, fl.UNANSWERED, "the controller restarted meanwhile")])
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)  # real time: another process writes

    async def look(self) -> None:
        """See what came and how far downloads are; a file that is news becomes a fact."""
        try:
            await asyncio.to_thread(self._read)
        except (OSError, FilesError) as error:
            log.warning("the shelf of files cannot be read: %s", error)
            return
        news = []
        for found in self._received:
            transfer = self._files.transfers.get(found.number)
            if transfer is None or transfer.station_id != found.station_id or not transfer.kind.is_log:
                continue  # of a transfer that is forgotten, or of a journal that was put back
            if all(known.number != found.file for known in transfer.files):
                file = ReceivedFile(found.file, found.size_bytes, found.sha256, shown_name(found.name))
                news.append(ev.TransferFileReceived(found.number, file))
        try:
            await self._append(news, wait=False)
        except JournalFrozen:
            log.info("%d received files are recorded when the journal writes again", len(news))

    def _read(self) -> None:
        stamp = self._shelf.stamp()
        self._images = frozenset(i.sha256 for i in self._files.images.values() if self._shelf.image(i.sha256) is not None)
        if stamp != self._stamp:
            self._received, self._progress = tuple(self._shelf.all_received()), self._shelf.all_progress()
            self._stamp = stamp

    @property
    def _files(self) -> fl.Files:
        return self._yard.state.files

    async def _append(self, facts: Sequence[ev.Event], cause: ev.Envelope | None = None, *, wait: bool = True) -> None:
        if not facts:
            return
        now = self._yard.clock.now()
        if cause is None:
            await self._yard.journal.append([ev.NewEvent(fact, now) for fact in facts], wait=wait)
        else:
            await self._yard.journal.append([ev.NewEvent(fact, now, actor=cause.actor, cause_id=cause.id) for fact in facts])

    # -- images -------------------------------------------------------------------------------------------------

    async def _add(self, command: cmd.AddFirmware, cause: ev.Envelope) -> Answered:
        image, known = command.image, self._files.images
        if await asyncio.to_thread(self._shelf.image, image.sha256) is None:
            raise DepotError("the image's bytes are not on the shelf; send it again")
        if image.image_id not in known and len(known) >= MOST_IMAGES:
            raise DepotError(f"a depot keeps at most {MOST_IMAGES} images: remove old ones first")
        if known.get(image.image_id) != image:
            await self._append([ev.FirmwareAdded(image)], cause)
        self._images |= {image.sha256}
        return Answered(CommandStatus.DONE, f"{image.name} {image.version} can be sent to stations", {"image_id": image.image_id})

    async def _remove(self, command: cmd.RemoveFirmware, cause: ev.Envelope) -> tuple[CommandStatus, str]:
        image = self._files.images.get(command.image_id)
        if image is None:
            return CommandStatus.DONE, "this image is not listed"
        now = self._yard.clock.now()
        waiting = [t for t in self._files.transfers.values() if t.standing is Standing.UNDER_WAY and not t.overdue(now)]
        using = [t.station_id for t in waiting if t.image_id == image.image_id and t.state not in _FETCHED]
        if using:
            raise DepotError(f"{using[0]} may still fetch it; wait until it has, or order another update there")
        await self._append([ev.FirmwareRemoved(image.image_id)], cause)
        if all(other.sha256 != image.sha256 for other in self._files.images.values()):
            await asyncio.to_thread(self._shelf.drop_image, image.sha256)
        return CommandStatus.DONE, f"{image.name} {image.version} is removed"

    # -- orders -------------------------------------------------------------------------------------------------

    async def _update(self, command: cmd.UpdateFirmware, cause: ev.Envelope) -> Answered:
        tickets = self._serving()
        image = self._files.images.get(command.image_id)
        if image is None:
            raise DepotError(f"there is no firmware {command.image_id!r}: GET /api/v1/firmware lists all")
        if await asyncio.to_thread(self._shelf.image, image.sha256) is None:
            raise DepotError(f"the bytes of {image.name} are gone from the shelf: remove it and add it again")
        wanted = list(dict.fromkeys(command.station_ids))
        if not 0 < len(wanted) <= MOST_STATIONS:
            raise DepotError(f"an update goes to 1 to {MOST_STATIONS} stations")
        versions = {station_id: self._version(station_id) for station_id in wanted}
        if command.install_at is not None and command.retrieve_at is not None and command.install_at < command.retrieve_at:
            raise DepotError("a station installs later than it fetches: install_at is before retrieve_at")
        at = max(command.retrieve_at, self._yard.clock.now()) if command.retrieve_at is not None else self._yard.clock.now()
        until = self._until(command.retrieve_at, command.retries, command.retry_interval_s)
        calls: dict[int, tuple[str, Call]] = {}
        facts = []
        async with self._numbering:
            for number, station_id in enumerate(wanted, self._files.next_number):
                version = versions[station_id]
                url = tickets.firmware(station_id, number, sha256=image.sha256, name=image.name, until=until)
                calls[number] = (station_id, self._checked(update_call(version, number, image, command, url=url, at=at), version))
                facts.append(
                    ev.TransferOrdered(number, TransferKind.FIRMWARE, station_id, image.image_id, image.version, command.retrieve_at)
                )
            await self._append(facts, cause)
        await self._ask(calls)
        return self._told(tuple(calls), "update")

    async def _publish(self, command: cmd.PublishFirmware, cause: ev.Envelope) -> Answered:
        tickets, version = self._serving(), self._version(command.station_id)
        image = self._files.images.get(command.image_id)
        if image is None:
            raise DepotError(f"there is no firmware {command.image_id!r}: GET /api/v1/firmware lists all")
        checksum = await asyncio.to_thread(self._shelf.checksum, image.sha256)
        if checksum is None:
            raise DepotError(f"the bytes of {image.name} are gone from the shelf: remove it and add it again")
        until = self._until(None, command.retries, command.retry_interval_s)
        async with self._numbering:
            number = self._files.next_number
            url = tickets.firmware(command.station_id, number, sha256=image.sha256, name=image.name, until=until)
            call = self._checked(publish_call(version, number, command, url=url, checksum=checksum), version)
            await self._append([ev.PublicationOrdered(number, command.station_id, image.image_id, image.version, checksum)], cause)
        await self._ask({number: (command.station_id, call)})
        return self._told((number,), "publication")

    async def _unpublish(self, command: cmd.UnpublishFirmware, cause: ev.Envelope) -> Answered:
        """What the station says is its publication's state, where it has one or says that it has none."""
        version = self._version(command.station_id)
        known = [t for t in self._files.transfers.values() if t.station_id == command.station_id and t.image_id == command.image_id]
        published = next((t for t in reversed(known) if t.checksum), None)
        if published is None:
            raise DepotError(f"{command.station_id} was not told to publish this image")
        call = self._checked(unpublish_call(version, published.checksum), version)
        reply = await self._stations.call(command.station_id, *call)
        said = str(reply.payload.get("status", ""))
        if said in (fl.UNPUBLISHED, "NoFirmware"):
            await self._append([ev.TransferReported(published.number, fl.UNPUBLISHED)], cause)
        answered = self._told((published.number,), "publication")
        words = f"{command.station_id}: {said or reply.code or reply.outcome.value}"
        done = said in (fl.UNPUBLISHED, "NoFirmware")
        return Answered(CommandStatus.DONE if done else CommandStatus.FAILED, words, {**dict(answered.answer or {}), "said": said})

    async def _fetch_log(self, command: cmd.FetchLog, cause: ev.Envelope) -> Answered:
        tickets = self._serving()
        version = self._version(command.station_id)
        if not command.kind.is_log:
            raise DepotError("a log is diagnostics or security")
        if command.since is not None and command.until is not None and command.until <= command.since:
            raise DepotError("until must be after from")
        async with self._numbering:
            number = self._files.next_number
            url = tickets.logs(command.station_id, number, until=self._until(None, command.retries, command.retry_interval_s))
            call = self._checked(log_call(version, number, command, url=url), version)
            await self._append([ev.TransferOrdered(number, command.kind, command.station_id)], cause)
        await self._ask({number: (command.station_id, call)})
        return self._told((number,), "log")

    def _serving(self) -> Tickets:
        if self._tickets is None:
            raise DepotError("files are not served here (setting files.serve)")
        return self._tickets

    def _version(self, station_id: str) -> Version:
        version = self._stations.version(station_id)
        if version is None:
            raise DepotError(f"station {station_id} is not known: GET /api/v1/stations lists all")
        return version

    def _until(self, start: datetime | None, retries: int | None, interval_s: int | None) -> datetime:
        wait = max(timedelta(0), start - self._yard.clock.now()) if start is not None else timedelta(0)
        wall = self._wall()
        return valid_until(wall, start=wall + wait, retries=retries, interval_s=interval_s)

    def _checked(self, call: Call, version: Version) -> Call:
        try:
            check_call(*call, version)
        except PayloadViolation as bad:
            raise DepotError(bad.description) from None
        return call

    async def _ask(self, calls: Mapping[int, tuple[str, Call]]) -> None:
        """Tell the stations; what takes longer than ANSWER_S goes on beside."""
        tasks = {asyncio.create_task(self._tell(number, station_id, call)) for number, (station_id, call) in calls.items()}
        self._asking |= tasks
        for task in tasks:
            task.add_done_callback(self._asking.discard)
        done, _ = await asyncio.wait(tasks, timeout=ANSWER_S)
        for task in done:
            task.result()

    async def _tell(self, number: int, station_id: str, call: Call) -> None:
        async with self._seats:
            reply = await self._stations.call(station_id, *call)
        state, detail, file_name = answer_of(reply)
        now = self._yard.clock.now()
        fact = ev.TransferAnswered(number, state, detail[:200], shown_name(file_name))
        await self._yard.journal.append([ev.NewEvent(fact, now)])

    def _told(self, numbers: Sequence[int], what: str) -> Answered:
        transfers = [t for n in numbers if (t := self._files.transfers.get(n)) is not None]
        failed = [t for t in transfers if t.standing is Standing.FAILED]
        rows = [
            {"id": t.number, "station_id": t.station_id, "state": t.state, "standing": t.standing.value, "detail": t.detail}
            for t in transfers
        ]
        words = _in_words(transfers[0]) if len(transfers) == 1 else f"{len(transfers) - len(failed)} of {len(transfers)} stations took it"
        status = CommandStatus.FAILED if len(failed) == len(transfers) else CommandStatus.DONE
        return Answered(status, f"{what.capitalize()}: {words}", {"transfers": rows})

    # -- what holds, and what is shown --------------------------------------------------------------------------

    def conditions(self, now: datetime) -> Sequence[Condition]:
        """Stations whose last update failed, or is silent for too long."""
        last = {t.station_id: t for t in self._files.transfers.values() if t.kind is TransferKind.FIRMWARE}
        found = []
        for t in last.values():
            if t.standing is Standing.FAILED and now - t.state_since <= _SHOWN:
                found.append(Condition("firmware_failed", t.station_id, f"Firmware {t.version} on {t.station_id}: {_in_words(t)}"))
            elif t.overdue(now):
                found.append(
                    Condition("firmware_failed", t.station_id, f"Firmware {t.version} on {t.station_id}: nothing heard since {t.state}")
                )
        return found

    def _transfers(self, args: Mapping[str, str], *kinds: TransferKind) -> list[Transfer]:
        station_id = args.get("station_id")
        return [t for t in reversed(list(self._files.transfers.values())) if t.kind in kinds and station_id in (None, t.station_id)]

    async def _show_firmware(self, args: Mapping[str, str]) -> FirmwareView:
        now, files = self._yard.clock.now(), self._files
        return FirmwareView(
            at=now,
            serving=self._tickets is not None,
            address=self._tickets.public_url if self._tickets is not None else "",
            images=[image_view(i, here=i.sha256 in self._images) for i in sorted(files.images.values(), key=lambda i: (i.name, i.version))],
            updates=[
                transfer_view(t, now, progress=self._progress.get(t.number), here={}, runs=self._runs(t.station_id))
                for t in self._transfers(args, TransferKind.FIRMWARE)
            ],
            publications=[
                transfer_view(t, now, progress=self._progress.get(t.number), here={}, runs="")
                for t in self._transfers(args, TransferKind.PUBLICATION)
            ],
        )

    async def _show_logs(self, args: Mapping[str, str]) -> LogsView:
        now = self._yard.clock.now()
        here = {(r.number, r.file): True for r in self._received}
        return LogsView(
            at=now,
            serving=self._tickets is not None,
            logs=[
                transfer_view(t, now, progress=None, here=here, runs="")
                for t in self._transfers(args, TransferKind.DIAGNOSTICS, TransferKind.SECURITY)
            ],
        )

    def _runs(self, station_id: str) -> str:
        facts = self._yard.state.stations.get(station_id)
        return facts.boot.firmware if facts is not None and facts.boot is not None else ""


def _in_words(transfer: Transfer) -> str:
    words = {fl.NOT_SENT: "not sent", fl.UNANSWERED: "no answer", fl.REFUSED: "refused", fl.ACCEPTED: "accepted"}.get(
        transfer.state, transfer.state
    )
    return f"{words} ({transfer.detail})" if transfer.detail else words
