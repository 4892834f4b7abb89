"""Facts of files: firmware images, transfers to and from stations. See :mod:`depot.files`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from depot.events.envelope import Event
from depot.files import Image, ReceivedFile, TransferKind


@dataclass(frozen=True, slots=True)
class FirmwareAdded(Event):
    """A person brought a firmware image; its bytes rest beside the journal."""

    TYPE: ClassVar[str] = "firmware.image_added"
    image: Image


@dataclass(frozen=True, slots=True)
class FirmwareRemoved(Event):
    TYPE: ClassVar[str] = "firmware.image_removed"
    image_id: str


@dataclass(frozen=True, slots=True)
class TransferOrdered(Event):
    """Journaled before the station is asked. ``image_id``, ``version``: of the firmware that it shall fetch."""

    TYPE: ClassVar[str] = "transfer.order_given"
    number: int
    kind: TransferKind
    station_id: str
    image_id: str = ""
    version: str = ""
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class PublicationOrdered(Event):
    """A local controller shall keep an image for the stations behind it; journaled before it is asked. ``checksum``: MD5 of the
    image, hex, by which OCPP names it."""

    TYPE: ClassVar[str] = "firmware.publication_ordered"
    number: int
    station_id: str
    image_id: str
    version: str
    checksum: str


@dataclass(frozen=True, slots=True)
class PublicationLocated(Event):
    """Where others find what a local controller has published."""

    TYPE: ClassVar[str] = "firmware.publication_located"
    number: int
    locations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TransferAnswered(Event):
    """How the order itself went. ``state``: Accepted, Refused, NotSent or Unanswered; ``detail``: the station's word."""

    TYPE: ClassVar[str] = "transfer.order_answered"
    number: int
    state: str
    detail: str = ""
    file_name: str = ""


@dataclass(frozen=True, slots=True)
class TransferReported(Event):
    """The station told how far it is, in OCPP's words."""

    TYPE: ClassVar[str] = "transfer.status_reported"
    number: int
    status: str


@dataclass(frozen=True, slots=True)
class TransferFileReceived(Event):
    """A file of the station is here, whole."""

    TYPE: ClassVar[str] = "transfer.file_received"
    number: int
    file: ReceivedFile
