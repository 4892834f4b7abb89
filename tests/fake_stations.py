"""Stations, tokens and messages of the fake depot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fake_depot import FakeLink, sample
from fake_device_models import fill as fill_device_models
from fake_smart_charging import external_limit, vehicle_needs
from fake_v21 import fill as fill_v21

from controller.configuration import ConfigurationView
from controller.contracts.room import TrustedRootsView
from controller.customer_information import CustomerRow, CustomersView
from controller.display_messages import DisplaysView, MessageRow, RefreshedRow, TextRow
from controller.files.views import FileView, FirmwareView, ImageView, LogsView, TransferView
from controller.local_lists import LocalListView
from controller.network_profiles import NetworksView, SlotView, StationNetworkView
from controller.profiles_room import (
    CompositeView,
    Covered,
    InstalledProfile,
    ProfileReportView,
    ProfilesView,
    ReportedProfile,
    RunningView,
    Step,
)
from controller.raw_calls import CallForm
from controller.reservations import ReservationRow, ReservationsView
from controller.security_view import CertificatesView, SecurityEventsView, SecurityView
from controller.smart_charging_room import ExternalLimitsView, NeedsView
from controller.stations_view import (
    LoggedMessage,
    MessagesView,
    StationConnector,
    StationDetail,
    StationsView,
    Stranger,
    TokensView,
)
from depot.events import NO_DETAIL, StationProbed
from depot.tokens import IdToken, TokenStatus
from ocpp_server.actions import CALLS_16
from ocpp_server.configuration import ConfigurationKey
from ocpp_server.schemas import schema_of

AT = sample().at


def station(station_id: str = "CP-03", *, registration: str = "accepted") -> StationDetail:
    """A station with one DC connector."""
    connector = StationConnector(
        number=1, rated_w=60_000, min_w=3_000, current="DC", phases=[], voltage_v=400, pausable=None, status="Charging",
        error_code="NoError", detail=NO_DETAIL, operative=True, transaction_id=12, default_w=3_000,
    )  # fmt: skip
    return StationDetail(
        station_id=station_id, registration=registration, connected=True, version="1.6", since=AT, last_frame_at=AT, vendor="Exide",
        model="D60", serial="SN1", firmware="1.2", feeder_id="A", bay_id="", status="Available", error_code="NoError", detail=NO_DETAIL,
        connectors=[connector], security_profile=1, security_upgrade=None, item_limits={},
        capabilities=StationProbed(station_id, ("W", "A"), ("TxProfile", "TxDefaultProfile"), 8, autonomous=False),
        violations={"extra_key": 3},
        by_hand=[], retiring=False,
    )  # fmt: skip


def message(action: str = "BootNotification", payload: str = '{"chargePointVendor":"Exide"}') -> LoggedMessage:
    """One frame of CP-03."""
    return LoggedMessage(
        at=AT, station_id="CP-03", direction="in", kind="call", message_id="17", action=action, payload=payload, note="", cut=False
    )


def profile() -> InstalledProfile:
    """A live profile of CP-03."""
    return InstalledProfile(
        station_id="CP-03", connector=1, profile_id=11, purpose="TxProfile", stack_level=2, limit=22_000, unit="W", periods=1,
        expires_at=AT, confirmed=True, source="controller", said_at=AT, profile={"chargingProfileId": 11},
    )  # fmt: skip


def image(image_id: str = "ab" * 8, *, version: str = "1.3", signed: bool = False) -> ImageView:
    """A firmware image."""
    return ImageView(
        image_id=image_id, name=f"exide-d60-{version}.bin", version=version, vendor="Exide", model="D60", size_bytes=14_300_000,
        sha256="ab" * 32, signed=signed, here=True,
    )  # fmt: skip


def transfer(
    number: int = 1, *, kind: str = "firmware", state: str = "Downloading", standing: str = "under_way", **more: Any
) -> TransferView:
    """One order to CP-03."""
    known: dict[str, Any] = {
        "id": number, "station_id": "CP-03", "kind": kind, "state": state, "standing": standing, "overdue": False, "detail": "",
        "asked_by": "mani", "asked_at": AT, "state_since": AT, "image_id": "ab" * 8, "version": "1.3", "runs": "1.2", "retrieve_at": None,
        "sent_bytes": 5_000_000, "size_bytes": 14_300_000, "file_name": "", "files": [],
    }  # fmt: skip
    return TransferView(**(known | more))


def call_form(args: Mapping[str, str]) -> CallForm | None:
    """The console's form of a 1.6 station, by the norm's own schema."""
    action = args.get("action", "")
    if action and action not in CALLS_16:
        return None
    schema = schema_of(action) if action else None
    return CallForm(station_id=args["station_id"], version="1.6", actions=sorted(CALLS_16), action=action, payload_schema=schema)


def fill(link: FakeLink) -> None:
    """Give a fake link what the stations' pages and API show."""
    fill_device_models(link)
    names = sorted({tile.connector.rpartition("/")[0] for tile in sample().tiles} | {"CP-03"})
    strangers = [Stranger(station_id="CP-77", remote="10.0.0.9")]
    link.shown[StationsView] = StationsView(at=AT, stations=[station(name) for name in names], quarantine=strangers)
    link.shown[FirmwareView] = FirmwareView(
        at=AT, serving=True, address="http://10.0.0.2:8070", images=[image(), image("cd" * 8, version="2.0", signed=True)],
        updates=[
            transfer(3),
            transfer(2, state="InstallationFailed", standing="failed", station_id="CP-05", sent_bytes=14_300_000),
            transfer(1, state="Installed", standing="done", runs="1.3", sent_bytes=14_300_000),
        ],
        publications=[
            transfer(5, kind="publication", state="Published", standing="done", checksum="ab" * 16, locations=["http://10.0.0.9/fw.bin"])
        ],
    )  # fmt: skip
    file = FileView(file=1, name="diag.zip", size_bytes=1_200_000, sha256="ef" * 32, here=True)
    log = transfer(4, kind="diagnostics", state="Uploaded", standing="done", file_name="diag.zip", files=[file], image_id="", version="")
    link.shown[LogsView] = LogsView(at=AT, serving=True, logs=[log])
    link.made[CallForm] = call_form
    link.shown[TokensView] = TokensView(at=AT, tokens=[IdToken("CARD-1"), IdToken("CARD-2", TokenStatus.BLOCKED, None, "FLEET")])
    reserved = ReservationRow(
        reservation_id=7, station_id="CP-03", connector=1, id_token="CARD-1", group="", expires_at=AT, asked_at=AT, state="accepted",
        note="", transaction_id=None,
    )  # fmt: skip
    link.shown[ReservationsView] = ReservationsView(at=AT, reservations=[reserved])
    link.shown[LocalListView] = LocalListView(
        station_id="CP-03", station_version=3, outcome="result", version=3, entries=[IdToken("CARD-1")], changed_at=AT
    )
    text = TextRow(content="Welcome. Please plug in.", format="UTF8", language="en")
    hello = MessageRow(
        station_id="CP-03", message_id=3, priority="NormalCycle", shown_while="Idle", start_at=None, end_at=None, transaction_id="",
        evse=0, texts=[text], state="accepted", said="Accepted", over=False, own=True, asked_at=AT, asked_by="mani", seen_at=AT,
    )  # fmt: skip
    refreshed = RefreshedRow(station_id="CP-03", request_id=1, at=AT, complete=True, note="")
    link.shown[DisplaysView] = DisplaysView(at=AT, messages=[hello], refreshed=[refreshed], stations=["CP-03", "CP-05"])
    asked = CustomerRow(
        request_id=5, station_id="CP-03", report=True, clear=False, about="id token", asked_at=AT, asked_by="mani", state="done",
        said="Accepted", note="", data=None, forgotten_at=None,
    )  # fmt: skip
    link.shown[CustomersView] = CustomersView(at=AT, requests=[asked])
    slot = SlotView(
        slot=1, url="wss://depot.example:9001/ocpp", security_profile=2, interface="Wired0", message_timeout_s=30, apn="", vpn="",
        identity="", leads_here=True, because="",
    )  # fmt: skip
    network = StationNetworkView(station_id="CP-03", security_profile=2, slots=[slot], priority=[1], station_priority=None, changed_at=AT)
    link.shown[NetworksView] = NetworksView(at=AT, stations=[network])
    known = [ConfigurationKey("HeartbeatInterval", "300", False, AT), ConfigurationKey("AuthorizationKey", "(hidden)", False, AT)]
    link.shown[ConfigurationView] = ConfigurationView(station_id="CP-03", at=AT, keys=known, unknown=[], outcome="")
    link.shown[TrustedRootsView] = TrustedRootsView(at=AT, roots=[], unreachable="refuse", provider="")
    link.shown[SecurityView] = SecurityView([], {"wrong_password": 2})
    link.shown[SecurityEventsView] = SecurityEventsView([], None)
    link.shown[CertificatesView] = CertificatesView(None, None, [])
    fill_v21(link)
    link.shown[MessagesView] = MessagesView(at=AT, messages=[message()], searched=1, more=False)
    covered = Covered(station_id="CP-03", connector=1, default_w=3_000, falls_back=True, uncovered="", differs="")
    link.shown[ProfilesView] = ProfilesView(at=AT, profiles=[profile()], connectors=[covered])
    held = ReportedProfile(evse=1, source="EMS", profile={"id": 7, "stackLevel": 0})
    link.shown[ProfileReportView] = ProfileReportView(
        at=AT, station_id="CP-03", outcome="accepted", status="Accepted", complete=True, profiles=[held]
    )
    link.shown[RunningView] = RunningView(station_id="CP-03", connector=1, transaction_id="tx-1")
    link.shown[NeedsView] = NeedsView(at=AT, vehicles=[vehicle_needs(AT)])
    link.shown[ExternalLimitsView] = ExternalLimitsView(at=AT, limits=[external_limit(AT)])
    link.shown[CompositeView] = CompositeView(
        at=AT, station_id="CP-03", connector=1, duration_s=600, unit="W", ours=[Step(start_s=0, limit=22_000, phases=3)],
        theirs=None, agrees=None, text="The station did not answer in time.",
    )  # fmt: skip
