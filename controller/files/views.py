"""Firmware, updates and logs, for pages and API."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from controller.files.shelf import Progress
from depot.files import Image, Transfer


class ImageView(Struct, frozen=True, kw_only=True):
    """One image. ``here``: whether its bytes are on the shelf. ``signed``: its maker's signature and certificate are with it."""

    image_id: str
    name: str
    version: str
    vendor: str
    model: str
    size_bytes: int
    sha256: str
    signed: bool
    here: bool


class FileView(Struct, frozen=True, kw_only=True):
    """A file that a station sent. ``name``: as it said. ``here`` False: dropped since, by age or for room."""

    file: int
    name: str
    size_bytes: int
    sha256: str
    here: bool


class TransferView(Struct, frozen=True, kw_only=True):
    """One order to one station. ``state``: the newest word, the station's as OCPP spells it; ``standing``: what it means
    (under_way, done, failed, superseded); ``overdue``: nothing was heard for too long. ``sent_bytes``: of ``size_bytes``
    that the station has fetched, null: nothing yet. ``runs``: the version that it said at its last boot. ``checksum`` (MD5),
    ``locations``: of a publication."""

    id: int
    station_id: str
    kind: str
    state: str
    standing: str
    overdue: bool
    detail: str
    asked_by: str
    asked_at: datetime
    state_since: datetime
    image_id: str
    version: str
    runs: str
    retrieve_at: datetime | None
    sent_bytes: int | None
    size_bytes: int | None
    file_name: str
    files: list[FileView]
    checksum: str = ""
    locations: list[str] = []


class FirmwareView(Struct, frozen=True, kw_only=True):
    """Images by name, updates and publications newest first. ``serving``: whether stations can fetch at all, and at which
    address."""

    at: datetime
    serving: bool
    address: str
    images: list[ImageView]
    updates: list[TransferView]
    publications: list[TransferView] = []


class LogsView(Struct, frozen=True, kw_only=True):
    """Logs that stations were asked for, newest first."""

    at: datetime
    serving: bool
    logs: list[TransferView]


def image_view(image: Image, *, here: bool) -> ImageView:
    return ImageView(
        image_id=image.image_id, name=image.name, version=image.version, vendor=image.vendor, model=image.model,
        size_bytes=image.size_bytes, sha256=image.sha256, signed=image.signed, here=here,
    )  # fmt: skip


def transfer_view(
    transfer: Transfer, now: datetime, *, progress: Progress | None, here: Mapping[tuple[int, int], bool], runs: str
) -> TransferView:
    """``here``: which received files are still on the shelf, by (transfer, file)."""
    return TransferView(
        id=transfer.number,
        station_id=transfer.station_id,
        kind=transfer.kind.value,
        state=transfer.state,
        standing=transfer.standing.value,
        overdue=transfer.overdue(now),
        detail=transfer.detail,
        asked_by=transfer.asked_by,
        asked_at=transfer.asked_at,
        state_since=transfer.state_since,
        image_id=transfer.image_id,
        version=transfer.version,
        runs=runs,
        retrieve_at=transfer.not_before,
        sent_bytes=progress.sent_bytes if progress is not None else None,
        size_bytes=progress.size_bytes if progress is not None else None,
        file_name=transfer.file_name,
        files=[
            FileView(
                file=f.number, name=f.name, size_bytes=f.size_bytes, sha256=f.sha256, here=here.get((transfer.number, f.number), False)
            )
            for f in transfer.files
        ],
        checksum=transfer.checksum,
        locations=list(transfer.locations),
    )
