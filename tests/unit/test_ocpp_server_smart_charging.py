"""Block K from the station's side: needs, vehicles' schedules, external limits; how they are read, judged and answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocpp_fakes import CP1, START, FakeDepot, Peer201, central_of, connected_201, energy, setpoint, setpoints, until

from controller.clock import VirtualClock, run_virtual
from depot.registry import ConnectorSpec, Current
from depot.smart_charging import ChargingNeeds, ExternalLimit, Step, VehicleSchedule
from depot.values import ConnectorId, Outcome, Outlook
from ocpp_server import Central, Version
from ocpp_server.charging_needs import read_needs
from ocpp_server.composite import Segment, composite, read_profile
from ocpp_server.desks import Desks
from ocpp_server.limit_steps import TIME_S, absolute, beyond, least_of
from ocpp_server.price_schedules import absolute_prices, sales_tariff
from ocpp_server.profiles import Purpose, Rung, live_profile, with_outlook
from ocpp_server.profiles201 import as_201
from ocpp_server.schemas import validator

AC = ConnectorSpec(1, 22_000, 4_140, phases=(1, 2, 3))
DC = ConnectorSpec(1, 150_000, 5_000, Current.DC)
AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
STAMP = "2026-03-01T12:00:00Z"


@dataclass
class Desk:
    """Answers ``status``; ``told`` is what it heard, in order."""

    status: str = "Accepted"
    told: list[Any] = field(default_factory=list)

    async def needs(self, connector: ConnectorId, needs: ChargingNeeds, transaction: str, *, session: bool) -> str:
        self.told.append(("needs", connector, needs, transaction, session))
        return self.status

    def needs_answered(self, connector: ConnectorId) -> None:
        self.told.append(("answered", connector))

    async def scheduled(self, connector: ConnectorId, schedule: VehicleSchedule, transaction: str, *, exceeds: str) -> None:
        self.told.append(("schedule", schedule, exceeds))

    def schedule_refused(self, connector: ConnectorId) -> None:
        self.told.append(("refused", connector))

    async def limited(self, limit: ExternalLimit) -> None:
        self.told.append(limit)

    def limit_unclear(self, station_id: str, source: str) -> None:
        self.told.append(("unclear", station_id, source))

    async def released(self, station_id: str, evse: int | None, source: str) -> None:
        self.told.append((station_id, evse, source))


Play = Callable[[Central, Peer201, Desk, VirtualClock], Awaitable[None]]


def play(main: Play, *, status: str = "Accepted") -> Desk:
    desk = Desk(status)

    async def run(clock: VirtualClock) -> None:
        depot = FakeDepot()
        async with central_of(depot, clock, desks=Desks(smart_charging=desk)) as central, connected_201(central) as peer:
            await peer.boot()
            await until(lambda: depot.readies)
            await main(central, peer, desk, clock)

    run_virtual(run, start=START)
    return desk


async def charging(peer: Peer201) -> None:
    await peer.event("Started", why="CablePluggedIn", state="EVConnected", meter=[energy(1000)])
    await peer.event("Updated", why="Authorized", tag="TAG1")


def needs(mode: str = "AC_three_phase", **more: Any) -> dict[str, Any]:
    return {"evseId": 1, "maxScheduleTuples": 4, "chargingNeeds": {"requestedEnergyTransfer": mode, **more}}


# ---------------------------------------------------------------------- what a vehicle needs


def test_ac_needs_become_watts_by_the_connectors_voltage_and_the_modes_phases() -> None:
    given_ac = {"energyAmount": 30_000, "evMinCurrent": 6, "evMaxCurrent": 16, "evMaxVoltage": 400}
    found, doubted = read_needs(needs(departureTime="2026-03-02T06:00:00Z", acChargingParameters=given_ac), AC)
    assert doubted == []
    assert (found.energy_wh, found.min_w, found.max_w, found.max_a) == (30_000, 6 * 3 * 230, 16 * 3 * 230, 16)
    assert found.departure == datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
    assert found.tuples == 4
    assert read_needs(needs("AC_single_phase", acChargingParameters=given_ac), AC)[0].max_w == 16 * 230
    assert (
        read_needs(needs("AC_three_phase", acChargingParameters=given_ac), ConnectorSpec(1, 7_400, 1_380, phases=(2,)))[0].max_w == 16 * 230
    )


def test_dc_needs_and_what_the_battery_lacks() -> None:
    given_dc = {
        "evMaxCurrent": 300, "evMaxVoltage": 800, "evMaxPower": 120_000, "stateOfCharge": 40, "fullSoC": 90, "bulkSoC": 80,
        "evEnergyCapacity": 300_000,
    }  # fmt: skip
    found, _ = read_needs(needs("DC", dcChargingParameters=given_dc), DC)
    assert (found.max_w, found.soc, found.full_soc, found.capacity_wh) == (120_000, 0.4, 0.9, 300_000)
    assert found.wanted_wh == 150_000
    del given_dc["evMaxPower"]
    assert read_needs(needs("DC", dcChargingParameters=given_dc), DC)[0].max_w == 240_000


def test_v2x_needs_of_2_1() -> None:
    v2x = {
        "maxChargePower": 11_000, "minChargePower": 1_400, "maxDischargePower": 7_000, "maxDischargePower_L2": 100,
        "evTargetEnergyRequest": 20_000.6,
        "evMinEnergyRequest": -5_000, "evMinV2XEnergyRequest": 2_000, "evMaxV2XEnergyRequest": 30_000, "targetSoC": 80,
    }  # fmt: skip
    req = needs(
        "DC_BPT",
        v2xChargingParameters=v2x,
        controlMode="DynamicControl",
        mobilityNeedsMode="EVCC_SECC",
        availableEnergyTransfer=["DC", "DC_BPT"],
    )
    found, _ = read_needs(req, DC)
    assert (found.max_w, found.min_w, found.discharge_max_w, found.energy_wh) == (11_000, 1_400, 7_100, 20_001)
    assert (found.min_energy_wh, found.v2x_min_wh, found.v2x_max_wh, found.target_soc) == (-5_000, 2_000, 30_000, 0.8)
    assert (found.control, found.mobility, found.offers, found.iso_20) == ("DynamicControl", "EVCC_SECC", ("DC", "DC_BPT"), True)


@pytest.mark.parametrize("wrong", [-1, 1e12, float("nan"), float("inf"), True])
def test_a_number_that_cannot_be_true_is_left_out_by_itself_and_named(wrong: float) -> None:
    ac = {"energyAmount": wrong, "evMinCurrent": 6, "evMaxCurrent": 16, "evMaxVoltage": 400}
    found, doubted = read_needs(needs(departureTime="1970-01-01T00:00:00Z", acChargingParameters=ac), AC)
    assert found.energy_wh is None
    assert found.max_a == 16
    assert doubted == ["doubtful_energyAmount", "distrusted_time"]


# ---------------------------------------------------------------------- answers


def test_tc_k_53_needs_are_answered_and_a_schedule_within_what_is_allowed_is_accepted() -> None:
    async def main(central: Central, peer: Peer201, desk: Desk, clock: VirtualClock) -> None:
        await charging(peer)
        assert (await peer.call("NotifyEVChargingNeeds", needs()))[2] == {"status": "Accepted"}
        assert [told[0] for told in desk.told] == ["needs", "answered"]
        assert desk.told[0][3:] == ("tx-1", True)
        steps = ((clock.now() + timedelta(seconds=180), 6_000),)
        outlook = Outlook(steps, clock.now() + timedelta(hours=8), ((clock.now(), Decimal("6.5")),), "INR")
        said = setpoint(11_000, until=clock.now() + timedelta(seconds=180))
        made = type(said)(said.connector, said.level_w, said.until, said.because, said.transaction_id, outlook)
        await central.install_default(CP1, 6_000)
        assert await central.apply(setpoints(made)) == [Outcome.ACCEPTED]
        profile = peer.calls("SetChargingProfile")[-1]["chargingProfile"]
        validator("SetChargingProfile", Version.V201)({"evseId": 1, "chargingProfile": profile})
        (schedule,) = profile["chargingSchedule"]
        assert [p["limit"] for p in schedule["chargingSchedulePeriod"]] == [11_000, 6_000]
        assert schedule["salesTariff"]["salesTariffEntry"][0]["ePriceLevel"] == 1
        told = {"timeBase": STAMP, "evseId": 1, "chargingSchedule": schedule}
        assert (await peer.call("NotifyEVChargingSchedule", told))[2] == {"status": "Accepted"}
        assert desk.told[-1][0] == "schedule"
        assert desk.told[-1][2] == ""

    play(main)


def test_tc_k_55_a_schedule_beyond_what_is_allowed_is_refused_and_the_desk_told_once_the_refusal_has_left() -> None:
    async def main(central: Central, peer: Peer201, desk: Desk, clock: VirtualClock) -> None:
        await charging(peer)
        await central.install_default(CP1, 6_000)
        await central.apply(setpoints(setpoint(8_000, until=clock.now() + timedelta(seconds=180))))
        schedule = {"id": 1, "chargingRateUnit": "W", "duration": 600, "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16_000}]}
        told = {"timeBase": STAMP, "evseId": 1, "chargingSchedule": schedule}
        assert (await peer.call("NotifyEVChargingSchedule", told))[2]["status"] == "Rejected"
        assert "16.0 kW, allowed are 8.0 kW" in desk.told[0][2]
        assert desk.told[1] == ("refused", CP1)
        schedule["chargingSchedulePeriod"] = [{"startPeriod": 0, "limit": 8_000}, {"startPeriod": 190, "limit": 6_000}]
        assert (await peer.call("NotifyEVChargingSchedule", told))[2] == {"status": "Accepted"}
        schedule["chargingSchedulePeriod"] = [{"startPeriod": 0, "limit": 8_000}]  # beyond the live level's end
        assert (await peer.call("NotifyEVChargingSchedule", told))[2]["status"] == "Rejected"

    play(main)


@pytest.mark.parametrize(("limit", "status"), [(11_000, "Accepted"), (6_000, "Accepted"), (16_000, "Rejected")])
def test_tc_k_59_a_schedule_before_the_answer_to_its_profile_is_judged_by_what_is_confirmed_or_in_flight(limit: int, status: str) -> None:
    async def main(central: Central, peer: Peer201, desk: Desk, clock: VirtualClock) -> None:
        await charging(peer)
        await central.install_default(CP1, 6_000)
        peer.answers["SetChargingProfile"] = lambda _: None
        sent = len(peer.calls("SetChargingProfile"))
        flying = asyncio.create_task(central.apply(setpoints(setpoint(11_000, until=clock.now() + timedelta(seconds=180)))))
        await until(lambda: len(peer.calls("SetChargingProfile")) > sent)
        periods = [{"startPeriod": 0, "limit": limit}]
        schedule = {"id": 1, "chargingRateUnit": "W", "duration": 100, "chargingSchedulePeriod": periods}
        told = {"timeBase": STAMP, "evseId": 1, "chargingSchedule": schedule}
        assert (await peer.call("NotifyEVChargingSchedule", told))[2]["status"] == status
        assert [said[0] for said in desk.told] == (["schedule"] if status == "Accepted" else ["schedule", "refused"])
        assert not flying.done()
        assert await flying == [Outcome.TIMEOUT]
        after = "Accepted" if limit <= 6_000 else "Rejected"  # nobody knows whether it was taken: it is no longer in flight
        assert (await peer.call("NotifyEVChargingSchedule", told))[2]["status"] == after

    play(main)


def test_without_a_transaction_nothing_can_be_planned_and_before_it_is_a_session_the_answer_is_processing() -> None:
    async def main(central: Central, peer: Peer201, desk: Desk, clock: VirtualClock) -> None:
        refused = {"status": "Rejected", "statusInfo": {"reasonCode": "NoTransaction"}}
        assert (await peer.call("NotifyEVChargingNeeds", needs()))[2] == refused
        assert (await peer.call("NotifyEVChargingNeeds", {**needs(), "evseId": 9}))[2] == "PropertyConstraintViolation"
        await peer.event("Started", why="CablePluggedIn", state="EVConnected")
        assert (await peer.call("NotifyEVChargingNeeds", needs()))[2] == {"status": "Processing"}
        assert [told[0] for told in desk.told] == ["needs"]
        assert desk.told[0][4] is False

    play(main, status="Processing")


def test_external_limits_reach_the_desk_with_the_least_of_their_schedules() -> None:
    async def main(central: Central, peer: Peer201, desk: Desk, clock: VirtualClock) -> None:
        low = [{"startPeriod": 0, "limit": 20_000}, {"startPeriod": 60, "limit": 7000}]
        schedules = [
            schedule([{"startPeriod": 0, "limit": 16}], "A", startSchedule=STAMP, duration=600),
            schedule(low, startSchedule=STAMP, duration=300),
        ]
        source = {"chargingLimitSource": "EMS", "isGridCritical": True}
        assert (await peer.call("NotifyChargingLimit", {"evseId": 1, "chargingLimit": source, "chargingSchedule": schedules}))[2] == {}
        limit = desk.told[-1]
        assert (limit.key, limit.critical) == ("CP1/1/EMS", True)
        assert [(round((s.at - AT).total_seconds()), s.level_w) for s in limit.steps] == [
            (0, 11_040),
            (60, 7_000),
            (300, 11_040),
            (600, None),
        ]
        assert limit.until == AT + timedelta(seconds=600)
        assert (await peer.call("NotifyChargingLimit", {"chargingLimit": {"chargingLimitSource": "SO"}}))[2] == {}
        assert desk.told[-1] == ("unclear", "CP1", "SO")
        assert (desk.told[-2].key, desk.told[-2].steps, desk.told[-2].until) == ("CP1/0/SO", (), None)
        low = [{"startPeriod": 0, "limit": 10}]
        constraint = {
            "id": -3, "stackLevel": 0, "chargingProfilePurpose": "ChargingStationExternalConstraints",
            "chargingProfileKind": "Absolute", "chargingSchedule": [schedule(low, "A", startSchedule=STAMP)],
        }  # fmt: skip
        report = {"requestId": 1, "chargingLimitSource": "SO", "evseId": 1, "chargingProfile": [constraint]}
        assert (await peer.call("ReportChargingProfiles", report))[2] == {}
        assert (desk.told[-1].key, desk.told[-1].level_at(clock.now())) == ("CP1/1/SO", 6_900)
        assert (await peer.call("ClearedChargingLimit", {"chargingLimitSource": "EMS", "evseId": 1}))[2] == {}
        assert (await peer.call("ClearedChargingLimit", {"chargingLimitSource": "SO"}))[2] == {}
        assert desk.told[-2:] == [("CP1", 1, "EMS"), ("CP1", None, "SO")]

    play(main)


# ---------------------------------------------------------------------- schedules as steps


LEVELS = st.integers(0, 22_000)
OFFSETS = st.lists(st.integers(1, 20_000), max_size=6, unique=True).map(lambda found: [0, *sorted(found)])


@st.composite
def periods(draw: st.DrawFn) -> list[dict[str, Any]]:
    return [{"startPeriod": at, "limit": draw(LEVELS)} for at in draw(OFFSETS)]


def schedule(rows: list[dict[str, Any]], unit: str = "W", **more: Any) -> dict[str, Any]:
    return {"id": 1, "chargingRateUnit": unit, "chargingSchedulePeriod": rows, **more}


def segments(rows: list[dict[str, Any]]) -> list[Segment]:
    """Our own composite schedule of one profile with these periods."""
    profile = {
        "chargingProfileId": 1, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile", "chargingProfileKind": "Absolute",
        "chargingSchedule": {**schedule(rows), "startSchedule": STAMP},
    }  # fmt: skip
    start = AT - timedelta(seconds=TIME_S)
    return composite([read_profile(1, profile)], connector=1, spec=AC, now=start, duration_s=40_000, unit="W")


@given(periods())
def test_what_our_own_composite_allows_is_never_beyond_it(rows: list[dict[str, Any]]) -> None:
    steps = absolute(schedule(rows), AT, AC)
    assert steps is not None
    assert beyond(steps, AT + timedelta(seconds=30_000), segments(rows), start=AT - timedelta(seconds=TIME_S), spec=AC) == ""


@given(periods(), st.integers(0, 30_000), st.integers(1_000, 20_000))
def test_more_than_it_allows_for_longer_than_the_tolerance_is_beyond_it(rows: list[dict[str, Any]], at: int, more: int) -> None:
    allowed = segments(rows)
    held = [row["limit"] for row in rows if row["startPeriod"] < at + 2 * TIME_S + 120]
    over = max(held) + more
    steps = (Step(AT + timedelta(seconds=at), over),)
    text = beyond(steps, AT + timedelta(seconds=at + 120), allowed, start=AT - timedelta(seconds=TIME_S), spec=AC)
    assert text


@given(st.lists(st.tuples(periods(), st.none() | st.integers(1, 30_000)), min_size=1, max_size=3), st.integers(0, 40_000))
def test_the_least_of_several_limits_is_the_least_at_every_moment(rows: list[tuple[list[dict[str, Any]], int | None]], at: int) -> None:
    schedules = [schedule(one, **({} if s is None else {"duration": s})) for one, s in rows]
    found = least_of(schedules, AT, AC)
    assert found is not None
    steps, over = found
    moment = AT + timedelta(seconds=at)
    mine = next((step.level_w for step in reversed(steps) if step.at <= moment), None)
    levels = [
        max((r for r in one if r["startPeriod"] <= at), key=lambda r: r["startPeriod"])["limit"] for one, s in rows if s is None or at < s
    ]
    assert mine == min(levels, default=None)
    ends = [s for _, s in rows if s is not None]
    assert over == (AT + timedelta(seconds=max(ends)) if len(ends) == len(rows) else None)


@given(st.floats(0, 200), st.sampled_from([None, 1, 2, 3]))
def test_amperes_become_watts_as_in_our_composite_and_never_more(amperes: float, phases: int | None) -> None:
    row = {"startPeriod": 0, "limit": amperes} | ({} if phases is None else {"numberPhases": phases})
    steps = absolute(schedule([row], "A"), AT, AC)
    assert steps is not None
    assert steps[0].level_w is not None
    exact = amperes * 230 * (phases or 3)
    assert exact - 1.01 <= steps[0].level_w <= exact + 0.01


def test_schedules_that_cannot_be_read_are_none_and_a_limit_below_zero_is_zero() -> None:
    assert absolute(schedule([{"startPeriod": 5, "limit": 1}, {"startPeriod": 5, "limit": 2}]), AT, AC) is None
    assert absolute(schedule([{"startPeriod": -5, "limit": 1}]), AT, AC) is None
    assert absolute(schedule([{"startPeriod": 0, "limit": float("nan")}]), AT, AC) is None
    assert least_of([schedule([{"startPeriod": 0, "limit": 1}], startSchedule="soon")], AT, AC) is None
    assert absolute(schedule([{"startPeriod": 0, "limit": -7}]), AT, AC) == (Step(AT, 0),)
    assert absolute(schedule([{"startPeriod": 0, "setpoint": 100, "setpoint_L2": 50}]), AT, AC) == (Step(AT, 150),)


# ---------------------------------------------------------------------- outlooks and prices


def live(level_w: int, outlook: Outlook, *, most: int | None = None, version: Version = Version.V201, unit: str = "W") -> dict[str, Any]:
    said = setpoint(level_w, until=AT + timedelta(seconds=180))
    rung = Rung(Purpose.TX, unit)
    made = live_profile(said, AC, rung, now=AT, skew=timedelta(), max_stack_level=8)
    return with_outlook(made, outlook, AC, skew=timedelta(), most=most, priced_by=version)


@given(
    st.integers(0, 22_000),
    st.lists(st.tuples(st.integers(180, 80_000), st.integers(0, 6_000)), max_size=30, unique_by=lambda row: row[0]).map(sorted),
    st.integers(1, 8),
    st.sampled_from(["W", "A"]),
)
def test_after_a_live_level_no_schedule_allows_more_than_the_default(
    level_w: int, rows: list[tuple[int, int]], most: int, unit: str
) -> None:
    steps = tuple((AT + timedelta(seconds=at), level) for at, level in rows)
    made = live(level_w, Outlook(steps, AT + timedelta(hours=24)), most=most, unit=unit)
    assert made["validTo"] == "2026-03-01T12:03:00.000Z"
    assert len(made["chargingSchedule"]["chargingSchedulePeriod"]) <= max(1, most)
    del made["validTo"]  # a station that does not heed it
    found = composite([read_profile(1, {**made, "transactionId": "t"})], connector=1, spec=AC, now=AT, duration_s=90_000, unit="W")
    for segment in composite_after(found):
        assert segment.limit is None or segment.limit <= 6_000


def composite_after(found: list[Segment]) -> list[Segment]:
    """Those that hold later than the live level, by which nothing is promised beyond 180 s."""
    return [segment for segment in found if segment.start_s > 180.5]


def test_prices_are_levels_for_iso_15118_2_and_money_for_20() -> None:
    prices = ((AT, Decimal("6.25")), (AT + timedelta(hours=2), Decimal("9")), (AT + timedelta(hours=4), Decimal("6.25")))
    steps = ((AT + timedelta(seconds=180), 6_000),)
    ends = AT + timedelta(hours=5)
    made = live(11_000, Outlook(steps, ends, prices, "INR"))["chargingSchedule"]["salesTariff"]
    assert made["numEPriceLevels"] == 2
    assert [row["ePriceLevel"] for row in made["salesTariffEntry"]] == [1, 2, 1]
    assert made["salesTariffEntry"][2]["relativeTimeInterval"] == {"start": 14_410, "duration": 3_600}
    for version in (Version.V201, Version.V21):
        profile = as_201(live(11_000, Outlook(steps, ends, prices, "INR", iso_20=True), version=version), "t-1")
        validator("SetChargingProfile", version)({"evseId": 1, "chargingProfile": profile})
    stacks = profile["chargingSchedule"][0]["absolutePriceSchedule"]["priceRuleStacks"]
    assert [row["duration"] for row in stacks] == [7_210, 7_200, 3_600]
    assert stacks[0]["priceRule"][0]["energyFee"] == {"exponent": -4, "value": 62_500}
    assert sales_tariff((), start=AT, ends=ends, number=1) is None
    assert absolute_prices(((AT + timedelta(hours=1), Decimal(1)),), start=AT, ends=ends, number=1, currency="INR") is None
