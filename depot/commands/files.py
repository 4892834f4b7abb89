"""Commands that concern firmware images, and logs of stations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from depot.commands.command import Command
from depot.commands.stations import StationCommand
from depot.files import Image, TransferKind


@dataclass(frozen=True, slots=True, kw_only=True)
class AddFirmware(Command):
    """List a firmware image whose bytes are on the shelf already."""

    TITLE: ClassVar[str] = "Add firmware"

    image: Image

    @property
    def target(self) -> str:
        return f"{self.image.name} {self.image.version}"

    @property
    def detail(self) -> Mapping[str, str]:
        return {"sha256": self.image.sha256, "bytes": str(self.image.size_bytes), "signed": "yes" if self.image.signed else "no"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveFirmware(Command):
    """Forget an image and its bytes."""

    TITLE: ClassVar[str] = "Remove firmware"

    image_id: str

    @property
    def target(self) -> str:
        return self.image_id


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateFirmware(Command):
    """Tell stations to fetch and install an image. ``retrieve_at``, ``install_at`` None: now. ``retries``, ``retry_interval_s``
    None: as the station likes."""

    TITLE: ClassVar[str] = "Update firmware"

    image_id: str
    station_ids: tuple[str, ...]
    retrieve_at: datetime | None = None
    retries: int | None = None
    retry_interval_s: int | None = None
    install_at: datetime | None = None

    @property
    def target(self) -> str:
        return self.station_ids[0] if len(self.station_ids) == 1 else f"{len(self.station_ids)} stations"

    @property
    def detail(self) -> Mapping[str, str]:
        return {"image": self.image_id, "stations": ", ".join(self.station_ids)[:400]}


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishFirmware(StationCommand):
    """Have a local controller fetch an image, and keep it for the stations behind it."""

    TITLE: ClassVar[str] = "Publish firmware"

    image_id: str
    retries: int | None = None
    retry_interval_s: int | None = None

    @property
    def detail(self) -> Mapping[str, str]:
        return {"image": self.image_id}


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpublishFirmware(StationCommand):
    """Have a local controller keep an image no more."""

    TITLE: ClassVar[str] = "Unpublish firmware"

    image_id: str

    @property
    def detail(self) -> Mapping[str, str]:
        return {"image": self.image_id}


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchLog(StationCommand):
    """Have a station send a log. ``since``, ``until`` None: as much as it has."""

    TITLE: ClassVar[str] = "Fetch log"

    kind: TransferKind = TransferKind.DIAGNOSTICS
    since: datetime | None = None
    until: datetime | None = None
    retries: int | None = None
    retry_interval_s: int | None = None

    @property
    def detail(self) -> Mapping[str, str]:
        return {"log": self.kind.value}
