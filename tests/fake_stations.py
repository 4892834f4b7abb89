"""Stations, tokens and messages of the fake depot."""

from __future__ import annotations

from fake_depot import FakeLink, sample

from controller.profiles_room import CompositeView, Covered, InstalledProfile, ProfilesView, Step
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


def fill(link: FakeLink) -> None:
    """Give a fake link what the stations' pages and API show."""
    link.shown[StationsView] = StationsView(at=AT, stations=[station()], quarantine=[Stranger(station_id="CP-77", remote="10.0.0.9")])
    link.shown[TokensView] = TokensView(at=AT, tokens=[IdToken("CARD-1"), IdToken("CARD-2", TokenStatus.BLOCKED, None, "FLEET")])
    link.shown[MessagesView] = MessagesView(at=AT, messages=[message()], searched=1, more=False)
    covered = Covered(station_id="CP-03", connector=1, default_w=3_000, falls_back=True, uncovered="", differs="")
    link.shown[ProfilesView] = ProfilesView(at=AT, profiles=[profile()], connectors=[covered])
    link.shown[CompositeView] = CompositeView(
        at=AT, station_id="CP-03", connector=1, duration_s=600, unit="W", ours=[Step(start_s=0, limit=22_000, phases=3)],
        theirs=None, agrees=None, text="The station did not answer in time.",
    )  # fmt: skip
