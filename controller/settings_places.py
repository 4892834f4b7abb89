"""Where a depot's files lie and on which ports it listens, by its settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from controller.sections import DepotSection, OcppSection, StorageSection, WebSection
    from controller.sections_drive import DriveSection
    from controller.sections_files import FilesSection
    from controller.sections_payments import PaymentsSection
    from controller.sections_telemetry import TelemetrySection


class Places:
    """The part of :class:`~controller.settings.Settings` that names files, sockets, ports and addresses."""

    if TYPE_CHECKING:
        depot: DepotSection
        ocpp: OcppSection
        web: WebSection
        files: FilesSection
        telemetry: TelemetrySection | None
        payments: PaymentsSection | None
        drive: DriveSection | None
        storage: StorageSection
        port_offset: int

    @property
    def database(self) -> Path:
        """The depot's database file."""
        return self.storage.path / f"{self.depot.id}.db"

    @property
    def link_path(self) -> Path:
        """The local socket between core and web."""
        return self.storage.path / f"{self.depot.id}.sock"

    @property
    def payments_database(self) -> Path:
        """The books of money: a file of their own, so that they never hold the journal's write lock."""
        return self.storage.path / f"{self.depot.id}-payments.db"

    @property
    def work_database(self) -> Path:
        """Work orders on packs: written by commands, whether the controller runs or not."""
        return self.storage.path / f"{self.depot.id}-work.db"

    @property
    def webhook_port(self) -> int:
        """Where the gateway's webhooks are awaited, offset added; 0 without payments."""
        return self.payments.webhook_port and self.payments.webhook_port + self.port_offset if self.payments is not None else 0

    @property
    def mock_gateway_port(self) -> int:
        """Where the mock gateway is, offset added; 0 without payments."""
        return self.payments.mock_port and self.payments.mock_port + self.port_offset if self.payments is not None else 0

    @property
    def gateway_url(self) -> str:
        """The gateway's API: the mock's where there is one."""
        if self.payments is None:
            return ""
        return f"http://127.0.0.1:{self.mock_gateway_port}/v1" if self.payments.mock else self.payments.gateway_url

    @property
    def drive_port(self) -> int:
        """Where drivers' pages are, offset added; 0 without them."""
        return self.drive.port + self.port_offset if self.drive is not None else 0

    @property
    def drive_url(self) -> str:
        """How phones reach them; "" without them."""
        return self.drive.reached_at(self.drive_port) if self.drive is not None else ""

    @property
    def ocpp_port(self) -> int:
        """Where stations are awaited, offset added; 0 lets the system choose."""
        return self.ocpp.port and self.ocpp.port + self.port_offset

    @property
    def files_port(self) -> int:
        """Where stations fetch and send files, offset added."""
        return self.files.port + self.port_offset

    @property
    def files_folder(self) -> Path:
        """Firmware images, and what stations sent."""
        return self.storage.path / f"{self.depot.id}-files"

    @property
    def files_url(self) -> str:
        """How stations reach the file service."""
        return self.files.reached_at(self.files_port)

    @property
    def web_port(self) -> int:
        """Where the pages are, offset added; 0 lets the system choose."""
        return self.web.port and self.web.port + self.port_offset

    @property
    def latches(self) -> Path:
        """The file of tripped packs."""
        return self.storage.path / f"{self.depot.id}.latches"

    @property
    def isolations(self) -> Path:
        """The file of isolated areas."""
        return self.storage.path / f"{self.depot.id}.isolations"

    @property
    def incidents(self) -> Path:
        """Files of incidents and drills."""
        return self.storage.path / f"{self.depot.id}-incidents"

    @property
    def lake_path(self) -> Path:
        """The local socket of the lake."""
        return self.storage.path / f"{self.depot.id}-lake.sock"

    @property
    def health_database(self) -> Path:
        """What was estimated of packs' health."""
        return self.storage.path / f"{self.depot.id}-health.db"

    @property
    def lake_exports(self) -> Path:
        """Where the lake puts packs' histories for a download."""
        return self.storage.path / f"{self.depot.id}-lake" / "exports"

    @property
    def lake_key(self) -> Path:
        """The key that signs packs' histories."""
        return self.storage.path / f"{self.depot.id}-lake.pem"

    @property
    def passports(self) -> Path:
        """Passports of batteries from elsewhere."""
        return self.storage.path / f"{self.depot.id}-passports.jsonl"

    @property
    def passports_incoming(self) -> Path:
        """Where one lies until the core has looked at it."""
        return self.storage.path / f"{self.depot.id}-passports.in"

    @property
    def mqtt_accounts(self) -> Path:
        """Who may connect to the embedded broker."""
        return self.storage.path / f"{self.depot.id}-mqtt.json"

    @property
    def mqtt_port(self) -> int:
        """The broker's port; the embedded one's with the offset added."""
        telemetry = self.telemetry
        if telemetry is None:
            return 0
        return telemetry.port + (self.port_offset if telemetry.broker == "embedded" else 0)

    @property
    def ocpp_tls_port(self) -> int:
        """Where stations are awaited over TLS, offset added; 0 lets the system choose, or there is none."""
        tls = self.ocpp.tls
        return tls.port + self.port_offset if tls is not None and tls.port else 0
