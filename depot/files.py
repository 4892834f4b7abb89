"""Files of stations: firmware images that they fetch, logs that they send, and how far each transfer got. Pure.

    TransferOrdered -> Ordered --answer--> Accepted | Refused | NotSent | Unanswered --station's word--> Downloading, Uploaded …

``state`` is the newest word about a transfer, the station's own words as OCPP spells them. What it means for people is
its :func:`standing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

KEPT = 500
"""Transfers that are remembered, the newest."""
MOST_REPORTS = 200
"""Words of a station about one transfer that are kept; one that never stops talking cannot fill the journal."""
FORGET = timedelta(days=7)
"""A word without a number that comes so late is about something else."""

ORDERED, ACCEPTED, REFUSED, NOT_SENT, UNANSWERED, SUPERSEDED = "Ordered", "Accepted", "Refused", "NotSent", "Unanswered", "Superseded"
IDLE = "Idle"
"""1.6 §7.25, §7.24: said only when asked for it, about nothing."""
PUBLISHED, UNPUBLISHED = "Published", "Unpublished"
_DONE = frozenset({"Installed", "Uploaded", PUBLISHED, UNPUBLISHED})
_FAILED = frozenset(
    {
        REFUSED, NOT_SENT,
        "DownloadFailed", "InstallationFailed", "InstallVerificationFailed", "InvalidSignature", "InvalidCertificate", "RevokedCertificate",
        "UploadFailed", "UploadFailure", "BadMessage", "NotSupportedOperation", "PermissionDenied", "AcceptedCanceled",
        "InvalidChecksum", "PublishFailed",
    }
)  # fmt: skip


class TransferKind(StrEnum):
    """What is carried. ``publication``: firmware that a local controller keeps for the stations behind it; ``diagnostics``,
    ``security``: which log a station sends."""

    FIRMWARE = "firmware"
    PUBLICATION = "publication"
    DIAGNOSTICS = "diagnostics"
    SECURITY = "security"

    @property
    def is_log(self) -> bool:
        return self in (TransferKind.DIAGNOSTICS, TransferKind.SECURITY)


class Topic(StrEnum):
    """About what a station reports: one number may be meant by each."""

    FIRMWARE = "firmware"
    PUBLICATION = "publication"
    DIAGNOSTICS = "diagnostics"
    """DiagnosticsStatusNotification of 1.6, which carries no number."""
    LOG = "log"


class Standing(StrEnum):
    """What a state means."""

    UNDER_WAY = "under_way"
    DONE = "done"
    FAILED = "failed"
    SUPERSEDED = "superseded"


_KINDS = {
    Topic.FIRMWARE: frozenset({TransferKind.FIRMWARE}),
    Topic.PUBLICATION: frozenset({TransferKind.PUBLICATION}),
    Topic.DIAGNOSTICS: frozenset({TransferKind.DIAGNOSTICS}),
    Topic.LOG: frozenset({TransferKind.DIAGNOSTICS, TransferKind.SECURITY}),
}
_PATIENCE = {
    TransferKind.FIRMWARE: timedelta(hours=2),
    TransferKind.PUBLICATION: timedelta(hours=2),
    TransferKind.DIAGNOSTICS: timedelta(hours=1),
    TransferKind.SECURITY: timedelta(hours=1),
}
"""Without a new word for so long a transfer is overdue."""


@dataclass(frozen=True, slots=True)
class Image:
    """A firmware image as somebody brought it. ``vendor``, ``model`` "": for any. ``signature`` (Base64) and
    ``certificate`` (PEM) of its maker: with them stations are told to check it (SignedUpdateFirmware)."""

    image_id: str
    name: str
    version: str
    size_bytes: int
    sha256: str
    vendor: str = ""
    model: str = ""
    signature: str = ""
    certificate: str = ""

    @property
    def signed(self) -> bool:
        return bool(self.signature and self.certificate)


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A file that a station sent. ``name``: as it said, for people only; never a path."""

    number: int
    size_bytes: int
    sha256: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Transfer:
    """One order to one station. ``number``: the request id of OCPP, unique over stations and restarts. ``not_before``: when
    the station shall fetch. ``file_name``: what the station said that it will send. ``checksum`` (MD5, hex), ``locations``: of a
    publication, the latter as its station tells them."""

    number: int
    kind: TransferKind
    station_id: str
    asked_by: str
    asked_at: datetime
    state_since: datetime
    state: str = ORDERED
    detail: str = ""
    image_id: str = ""
    version: str = ""
    not_before: datetime | None = None
    file_name: str = ""
    files: tuple[ReceivedFile, ...] = ()
    reports: int = 0
    checksum: str = ""
    locations: tuple[str, ...] = ()

    @property
    def standing(self) -> Standing:
        if self.state == SUPERSEDED:
            return Standing.SUPERSEDED
        if self.state in _FAILED:
            return Standing.FAILED
        if self.kind.is_log:
            return Standing.DONE if self.files else Standing.UNDER_WAY  # that it was sent is not that it came
        return Standing.DONE if self.state in _DONE else Standing.UNDER_WAY

    def overdue(self, now: datetime) -> bool:
        """Whether nothing was heard of it for too long."""
        since = max(self.state_since, self.not_before or self.state_since)
        return self.standing is Standing.UNDER_WAY and now - since > _PATIENCE[self.kind]


@dataclass(frozen=True, slots=True)
class TransferReport:
    """What a station says of a transfer. ``number`` None: it does not say which. ``locations``: where others find what it has
    published."""

    station_id: str
    topic: Topic
    status: str
    number: int | None = None
    locations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Files:
    """Images and transfers by their ids, oldest first. Never mutated."""

    images: Mapping[str, Image] = field(default_factory=dict)
    transfers: Mapping[int, Transfer] = field(default_factory=dict)
    next_number: int = 1

    def newest(self, station_id: str, kinds: frozenset[TransferKind]) -> Transfer | None:
        """The station's last transfer of one of these kinds."""
        return next((t for t in reversed(list(self.transfers.values())) if t.station_id == station_id and t.kind in kinds), None)

    def meant_by(self, report: TransferReport, now: datetime) -> Transfer | None:
        """The transfer that a report changes; None: it says nothing new, or is about none of ours."""
        kinds = _KINDS[report.topic]
        if report.number is not None:
            found = self.transfers.get(report.number)
            if found is None or found.station_id != report.station_id or found.kind not in kinds:
                return None
        else:
            found = self.newest(report.station_id, kinds)
            if found is None or now - found.state_since > FORGET:
                return None
        news = report.status not in (IDLE, found.state) and found.reports < MOST_REPORTS and found.standing is not Standing.SUPERSEDED
        return found if news else None


def ordered(files: Files, transfer: Transfer) -> Files:
    """A new transfer; the oldest one beyond KEPT is forgotten."""
    kept = list(files.transfers.values())[-(KEPT - 1) :]
    transfers = {t.number: t for t in kept} | {transfer.number: transfer}
    return replace(files, transfers=transfers, next_number=max(files.next_number, transfer.number + 1))


def answered(files: Files, number: int, at: datetime, *, state: str, detail: str, file_name: str) -> Files:
    """The station's answer to the order. One that it took ends what it was doing before (whitepaper: AcceptedCanceled)."""
    found = files.transfers.get(number)
    if found is None:
        return files
    changed = replace(found, detail=detail, file_name=file_name)
    if found.state == ORDERED:  # a report may have been quicker than the answer
        changed = replace(changed, state=state, state_since=at)
    transfers = {**files.transfers, number: changed}
    if state == ACCEPTED:
        for other in files.transfers.values():
            alike = other.kind.is_log if found.kind.is_log else other.kind is found.kind
            same = other.station_id == found.station_id and alike and other.number < number
            if same and other.standing is Standing.UNDER_WAY:
                transfers[other.number] = replace(other, state=SUPERSEDED, state_since=at)
    return replace(files, transfers=transfers)


def reported(files: Files, number: int, at: datetime, status: str) -> Files:
    """A word of the station."""
    found = files.transfers.get(number)
    if found is None:
        return files
    changed = replace(found, state=status, state_since=at, reports=found.reports + 1)
    return replace(files, transfers={**files.transfers, number: changed})


def published_at(files: Files, number: int, locations: tuple[str, ...]) -> Files:
    """Others find it there."""
    found = files.transfers.get(number)
    if found is None:
        return files
    return replace(files, transfers={**files.transfers, number: replace(found, locations=locations)})


def received(files: Files, number: int, file: ReceivedFile) -> Files:
    """A file is here, whole."""
    found = files.transfers.get(number)
    if found is None or any(known.number == file.number for known in found.files):
        return files
    return replace(files, transfers={**files.transfers, number: replace(found, files=(*found.files, file))})


def image_added(files: Files, image: Image) -> Files:
    return replace(files, images={**files.images, image.image_id: image})


def image_removed(files: Files, image_id: str) -> Files:
    return replace(files, images={k: i for k, i in files.images.items() if k != image_id})
