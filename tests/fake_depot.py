"""A depot for tests of the web: 24 chargers in all tile states at 01:12 of a night, and a link that serves it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import msgspec
from fake_assets import in_the_yard
from fake_outputs import in_order
from fake_safety import calm, pack_shown, packs_shown, trips_shown
from fake_smart_charging import external_limit, vehicle_needs

from controller.assets_view import AssetsView
from controller.grid_view import CommandSeenView, DemandView, GridFeeder, GridView, LimitRow, MasterWord, MeterView, OrderView, UtilityView
from controller.ingest_view import ItemTaken, TelemetryItem
from controller.link import CoreUnreachable
from controller.meter_view import MeterTold, MeterValueView
from controller.output_view import OutputsView
from controller.pack_view import PackDetail, PacksView, TripsView
from controller.readmodel import (
    Answer,
    ChargerView,
    Chart,
    CommandView,
    Counts,
    FeederView,
    FrameView,
    Health,
    LimitView,
    Notice,
    NowView,
    Point,
    ProfileView,
    ReasonView,
    SessionView,
    SiteView,
    Tile,
    TileState,
)
from controller.safety_view import SafetyView
from depot import commands as cmd

T = TypeVar("T", bound=msgspec.Struct)
NOW = datetime(2026, 11, 20, 19, 42, 12, tzinfo=UTC)  # 01:12:12 on Sat 21 Nov in Pune
ZONE = "Asia/Kolkata"


def at(hour: int, minute: int = 0) -> datetime:
    """A time of this night by the depot's clock: hours from 12 on are Friday's."""
    day = datetime(2026, 11, 20 if hour >= 12 else 21, hour, minute, tzinfo=UTC)
    return day - timedelta(hours=5, minutes=30)


S = TileState
_TILES: list[tuple[TileState, str, str | None, int | None, float | None, float | None, tuple[int, int] | None, int | None]] = [
    (S.CHARGING, "Charging", "E-101", 43_600, 0.68, 0.85, (5, 30), 79),
    (S.CHARGING, "Charging", "E-102", 41_800, 0.55, 0.85, (5, 50), 63),
    (S.LATE, "Late, limited", "E-103", 21_600, 0.41, 0.90, (4, 45), -12),
    (S.WAITING, "Starts 03:00", "E-104", 0, 0.61, 0.80, (7, 30), 119),
    (S.CHARGING, "Charging", "E-105", 47_900, 0.48, 0.85, (5, 30), 42),
    (S.FINISHED, "Finished", "E-106", 0, 0.80, 0.80, (7, 30), 400),
    (S.LIMITED, "Limited", "E-107", 21_900, 0.75, 0.95, (5, 25), 32),
    (S.AVAILABLE, "Available", None, None, None, None, None, None),
    (S.CHARGING, "Charging", "E-108", 7_400, 0.72, 0.85, (5, 20), 40),
    (S.AT_RISK, "At risk", "E-109", 25_200, 0.52, 0.90, (5, 0), 3),
    (S.CHARGING, "Charging", "E-110", 34_000, 0.68, 0.85, (5, 25), 49),
    (S.OFFLINE, "Offline", "E-111", None, 0.66, 0.85, (6, 10), None),
    (S.WAITING, "Starts 04:15", "E-112", 0, 0.53, 0.80, (7, 45), 148),
    (S.CHARGING, "Charging", "E-113", 36_600, 0.82, 0.90, (5, 10), 27),
    (S.FAULTED, "Faulted", "E-114", 0, 0.64, 0.80, (5, 50), 5),
    (S.OUT_OF_SERVICE, "Out of service", None, None, None, None, None, None),
    (S.CHARGING, "Charging", "E-115", 32_900, 0.84, 0.95, (5, 5), 28),
    (S.FINISHED, "Finished", "E-116", 0, 0.95, 0.95, (6, 10), 300),
    (S.CHARGING, "Charging", "E-117", 38_100, 0.63, 0.85, (5, 55), 33),
    (S.UNKNOWN, "Not heard yet", None, None, None, None, None, None),
    (S.CHARGING, "Charging", "E-118", 30_400, 0.39, 0.85, (6, 10), 62),
    (S.WAITING, "Starts 02:30", "E-119", 0, 0.58, 0.85, (6, 20), 28),
    (S.CHARGING, "Charging", "E-120", 26_300, 0.83, 0.95, (6, 25), 61),
    (S.AVAILABLE, "Available", None, None, None, None, None, None),
]


def tiles() -> list[Tile]:
    found = []
    for k, (state, words, vehicle, power_w, soc, target, due, margin) in enumerate(_TILES):
        due_at = None if due is None else at(*due)
        ready = due_at - timedelta(minutes=margin) if due_at is not None and margin is not None else None
        found.append(
            Tile(
                connector=f"CP-{k + 1:02d}/1",
                label=f"CP-{k + 1:02d}",
                feeder_id="ABC"[k // 8],
                state=state,
                state_text=words,
                vehicle_id=vehicle,
                power_w=power_w,
                power_age_s=None if power_w is None else 0.6,
                soc=soc,
                soc_target=target,
                due_at=due_at,
                ready_at=ready,
                margin_min=margin,
                trust="obeys" if k % 5 else "unproven",
            )
        )
    return found


def chart(power_w: int, now: datetime = NOW) -> Chart:
    start, stop = at(12), at(12) + timedelta(hours=24)
    quarter = timedelta(minutes=15)
    measured, plan = [], []
    moment = start
    while moment < stop:
        hours = (moment - start).total_seconds() / 3600
        base = 90_000 + 30_000 * math.sin(hours / 3)
        load = base + (355_000 + 14_000 * math.sin(hours * 5) if 9 <= hours < 17.5 else (150_000 if 17.5 <= hours < 19.5 else 0))
        if moment <= now:
            measured.append(Point(moment, round(load if moment < at(23, 40) else min(load, 441_000))))
        if moment + quarter > now:
            plan.append(Point(max(moment, now), round(min(load, 445_000) - 6_000 * math.cos(hours * 3))))
        moment += quarter
    measured.append(Point(now, power_w))
    limit = [Point(start, 500_000), Point(at(23, 40), 450_000), Point(at(5), 500_000)]
    price = [Point(start, 5.10), Point(at(17), 9.20), Point(at(22), 6.40), Point(at(6), 8.10), Point(at(9), 5.10)]
    return Chart(start=start, stop=stop, measured=measured, plan=plan, limit=limit, price=price)


CONTRACT = LimitView(scope_id="", value_w=500_000, source="contract", text="Contract", since=at(12))
SCADA = LimitView(
    scope_id="",
    value_w=450_000,
    source="scada",
    text="SCADA, 23:40 to 05:00",
    since=at(23, 40),
    until=at(5),
    then_w=500_000,
    set_by="utility",
    reason="evening peak",
)
MANUAL = LimitView(
    scope_id="B",
    value_w=150_000,
    source="manual",
    text="manual limit",
    since=at(0, 50),
    until=at(2),
    set_by="A. Kulkarni",
    reason="cable warm",
)


def sample() -> NowView:
    """The night at 01:12."""
    all_tiles = tiles()

    def power(feeder: str) -> int:
        return sum(t.power_w or 0 for t in all_tiles if t.feeder_id == feeder)

    rating = {f: LimitView(scope_id=f, value_w=200_000, source="rating", text="Rating", since=at(12)) for f in "ABC"}
    charging = sum(t.power_w or 0 for t in all_tiles)
    return NowView(
        depot_id="kothrud",
        depot_name="Kothrud Depot",
        timezone=ZONE,
        at=NOW,
        tick=15_132,
        seq=51_902,
        clock_speed=1.0,
        answer=Answer(
            tone="alarm", text=f"No. E-103 will be 12 min late, 2 at risk. Site {450 - (charging + 36_400) // 1000} kW under limit."
        ),
        counts=Counts(vehicles=20, on_time=17, at_risk=2, late=1, next_departure="E-103", next_departure_at=at(4, 45)),
        site=SiteView(
            power_w=charging + 36_400,
            power_age_s=0.4,
            stale=False,
            limit=SCADA,
            headroom_w=450_000 - charging - 36_400,
            background_w=36_400,
            charging_w=charging,
            demand_block_w=431_000,
            demand_block_ends_at=at(1, 30),
            energy_today_wh=1_912_000,
            cost_today=12_480.0,
            currency="INR",
        ),
        feeders=[
            FeederView(feeder_id="A", name="Feeder A", power_w=power("A"), reserved_w=0, limit=rating["A"]),
            FeederView(feeder_id="B", name="Feeder B", power_w=power("B"), reserved_w=30_000, limit=MANUAL),
            FeederView(feeder_id="C", name="Feeder C", power_w=power("C"), reserved_w=0, limit=rating["C"]),
        ],
        tiles=all_tiles,
        chart=chart(charging + 36_400),
        notices=[
            Notice(
                priority=1,
                title="E-103 leaves 12 min late",
                action="Give it more of feeder A: stop E-107, which has 32 min to spare.",
                since=at(1, 1),
                connector="CP-03/1",
            ),
            Notice(
                priority=2,
                title="CP-15 faulted: ground fault",
                action="Move E-114 to CP-08 (free), then set CP-15 out of service.",
                since=at(0, 22),
                connector="CP-15/1",
            ),
            Notice(
                priority=2,
                title="CP-12 offline",
                action="Check its breaker. 30 kW stay reserved for it.",
                since=at(0, 57),
                connector="CP-12/1",
            ),
            Notice(priority=3, title="The planner is late", action="Earliest departure goes first until the next plan.", since=at(1, 10)),
        ],
        health=Health(
            planner="running",
            planner_text="plan of 01:10:00, solved in 0.4 s, valid until 01:40",
            journal="writing",
            journal_text="51,902 facts, 1.1 ms an append",
            stations_connected=22,
            stations_total=24,
            quarantined=["CP-99"],
            tick_ms=0.8,
        ),
        limits=[SCADA, CONTRACT, rating["A"], rating["B"], MANUAL, rating["C"]],
    )


def empty() -> NowView:
    """A depot with nothing in it."""
    full = sample()
    site = msgspec.structs.replace(
        full.site,
        power_w=36_400,
        headroom_w=463_600,
        limit=CONTRACT,
        charging_w=0,
        demand_block_w=None,
        demand_block_ends_at=None,
        cost_today=None,
        energy_today_wh=0,
    )
    return msgspec.structs.replace(
        full,
        answer=Answer(tone="ok", text="Yes. No vehicle is here; site 464 kW under limit."),
        counts=Counts(vehicles=0, on_time=0, at_risk=0, late=0),
        site=site,
        feeders=[],
        tiles=[],
        notices=[],
        chart=msgspec.structs.replace(full.chart, plan=[]),
    )


def charger(key: str, view: NowView) -> ChargerView | None:
    """The page of a charger of ``view``."""
    tile = next((t for t in view.tiles if t.connector == key), None)
    if tile is None:
        return None
    station, _, number = key.rpartition("/")
    running = tile.vehicle_id is not None and tile.state not in (S.FINISHED, S.WAITING, S.FAULTED)
    power, soc = [], []
    for k in range(28):
        moment = at(22, 30) + timedelta(minutes=6 * k)
        if running and moment <= view.at:
            level = 96_000 if k < 6 else (46_000 if k < 18 else tile.power_w or 0)
            power.append(Point(moment, level + 700 * math.sin(k)))
            soc.append(Point(moment, (tile.soc or 0.4) - 0.012 * (27 - k)))
    chain = [
        ReasonView(because="vehicle", title="Vehicle can take", detail=f"{tile.vehicle_id}, announced", level_w=118_000),
        ReasonView(because="charger", title="Charger can give", detail=f"{tile.label} rating, connector {number}", level_w=120_000),
        ReasonView(because="plan", title="Plan wants, 01:00 to 01:15", detail="plan 2211, 01:10:00", level_w=46_000),
        ReasonView(
            because="limit",
            title=f"Feeder {tile.feeder_id} leaves for {tile.label}",
            detail="150 kW by hand until 02:00",
            level_w=22_000,
            binding=True,
        ),
        ReasonView(because="told", title="Set and confirmed", detail="profile confirmed by the charger", level_w=22_000),
        ReasonView(because="measured", title="Measured", detail="charger meter, 1 s ago", level_w=tile.power_w),
    ]
    session = SessionView(
        session_id="0193",
        transaction_id=88_213,
        started_at=at(22, 31),
        id_tag="••••7F2A",
        delivered_wh=113_900,
        meter_start_wh=388_900_000,
        meter_now_wh=389_013_900,
        power_w=tile.power_w,
        power_age_s=tile.power_age_s,
        cost=728.96,
    )
    frames = [
        FrameView(
            at=view.at - timedelta(seconds=1),
            direction="in",
            action="MeterValues",
            summary="power 21.6 kW · energy 389,013.9 kWh · charge 41 %",
        ),
        FrameView(at=view.at - timedelta(seconds=31), direction="in", action="Heartbeat", summary=""),
        FrameView(
            at=view.at - timedelta(seconds=88),
            direction="in",
            action="SetChargingProfile answer",
            summary="Accepted, 90 ms after the call",
        ),
        FrameView(
            at=view.at - timedelta(seconds=88),
            direction="out",
            action="SetChargingProfile",
            summary="profile 4711 · level 3 · 22.0 kW · expires after 180 s",
        ),
    ]
    commands = [
        CommandView(
            command_id="c1",
            kind="start_charging",
            status="accepted",
            message="Waits for its minimum.",
            actor="A. Kulkarni",
            at=view.at - timedelta(seconds=9),
            audit_seq=51_880,
        )
    ]
    return ChargerView(
        tile=tile,
        station_id=station,
        connector=int(number),
        vendor="Alpha",
        model="DC120",
        firmware="2.4.1",
        rated_w=120_000,
        min_w=8_000,
        current="DC",
        pausable="unknown, taken as no",
        link_text="OCPP 1.6 · link up since",
        link_since=at(18, 40),
        connected=tile.state is not S.OFFLINE,
        status="Charging" if running else "Available",
        error_code="GroundFailure" if tile.state is S.FAULTED else "NoError",
        chain=chain if running else [],
        session=session if running else None,
        profiles=[
            ProfileView(purpose="TxProfile", limit_w=22_000, expires_at=view.at + timedelta(seconds=104), confirmed=True),
            ProfileView(purpose="TxDefaultProfile", limit_w=5_000, expires_at=None, confirmed=True),
        ],
        if_silent=f"{tile.label} keeps 22 kW until 01:13:56, then falls to its default of 5 kW by itself.",
        needs=vehicle_needs(view.at - timedelta(minutes=7)) if running else None,
        external=[external_limit(view.at - timedelta(minutes=12))] if running else [],
        power=power,
        soc=soc,
        needed_wh=180_000,
        missing_wh=66_000 if running else 0,
        frames=frames,
        commands=commands if running else [],
        can_start=not running and tile.vehicle_id is not None,
        can_stop=running,
        operative=tile.state is not S.OUT_OF_SERVICE,
        inoperative_reason="connector damaged, A. Kulkarni 18:20" if tile.state is S.OUT_OF_SERVICE else "",
        at=view.at,
    )


def meter_told_of(view: NowView) -> MeterTold:
    """What the depot's meter tells: no exported energy, and one phase that does not fit."""
    power_w = float(view.site.power_w or 0)
    shown = {
        **{f"voltage_l{n}": (229.0 + n, "V", 0.4) for n in (1, 2, 3)},
        **{f"current_l{n}": (power_w / 3 / 230, "A", 0.4) for n in (1, 2, 3)},
        "power": (power_w, "W", 0.4),
        "apparent": (power_w / 0.97, "VA", 0.4),
        "power_factor": (0.97, "1", 0.4),
        "frequency": (49.98, "Hz", 0.4),
        "import_energy": (4_812_400_000.0, "Wh", 21.0),
    }
    return MeterTold(
        map="schneider-pm5xxx",
        title="Schneider Electric PM5000 series",
        address="10.20.0.9:502 unit 1",
        connected=True,
        values=[MeterValueView(quantity=name, value=value, unit=unit, age_s=age_s) for name, (value, unit, age_s) in shown.items()],
        not_given=["export_energy", "power_l1", "power_l2", "power_l3"],
        doubts=["L2 runs the other way than the other phases: its current transformer may be turned or swapped"],
        rejected=3,
        failures=1,
    )


def connection(view: NowView) -> GridView:
    """The connection of ``view``: its limits, a utility's link that is up, a quarter's demand."""
    peer = "10.20.0.7:50122"
    order = OrderView(
        seq=4471, value_w=450_000, received_at=at(23, 40), starts_at=at(23, 40), until=at(5), reverts=True, reversion_w=500_000,
        ramp_s=0, reason="peak", event_id=77, peer=peer,
    )  # fmt: skip
    used = {"": view.site.power_w or 0, **{f.feeder_id: f.power_w + f.reserved_w for f in view.feeders}}
    rows = [
        LimitRow(
            scope_id=limit.scope_id, value_w=limit.value_w, source=limit.source, since=limit.since, until=limit.until, then_w=limit.then_w,
            set_by=limit.set_by, reason=limit.reason, binds=limit in (SCADA, MANUAL), coming=False,
            free_w=limit.value_w - used.get(limit.scope_id, 0), limit_id=f"manual:{limit.scope_id}" if limit.source == "manual" else "",
        )
        for limit in view.limits
    ]  # fmt: skip
    feeders = [
        GridFeeder(
            feeder_id=f.feeder_id, name=f.name, power_w=f.power_w, reserved_w=f.reserved_w, limit_w=f.limit.value_w, source=f.limit.source,
            rating_w=200_000, connectors=8, charging=sum((t.power_w or 0) > 0 for t in view.tiles if t.feeder_id == f.feeder_id),
        )
        for f in view.feeders
    ]  # fmt: skip
    quarter = timedelta(minutes=15)
    blocks = [Point(at(21) + quarter * k, 380_000 + 60_000 * math.sin(k / 2.2)) for k in range(16)]
    return GridView(
        at=view.at,
        contract_w=500_000,
        failsafe_w=150_000,
        site_w=view.site.power_w or 0,
        charging_w=view.site.charging_w,
        background_w=view.site.background_w,
        compliance="compliant",
        limits=rows,
        feeders=feeders,
        demand=DemandView(
            begins_at=at(1), ends_at=at(1, 15), left_s=168.0, mean_w=428_000, expected_w=431_000, allowed_w=561_000, highest_w=441_000,
            highest_since=at(12), blocks=blocks,
        ),
        utility=UtilityView(
            state="limited", since=at(23, 40), limit_w=450_000, beat_age_s=0.8, alive=True, timeout_s=120, failsafe_w=150_000,
            failsafe_min_s=7200, order=order, next_order=None,
            command=CommandSeenView(seq=4471, peer=peer, at=at(23, 40), state="accepted", took_s=3.4), connections=1, requests=18_412,
            refusals={"write by a master that may only read": 2, "value outside of its range, or half a value": 1},
            address="10.20.0.2:5020, 10.20.0.2:5802 (TLS)", delayed=37,
            words=[
                MasterWord(
                    at=at(23, 40), peer=peer, role="GridServiceSunSpec rtu-1", seq=4471, outcome="accepted",
                    asked="limit 450000 W for 14400 s event 77", times=1, before_w=500_000, after_w=450_000,
                ),
                MasterWord(
                    at=at(23, 12), peer="10.20.0.9", role="", seq=None, outcome="exception 01", asked="this master may only read",
                    times=2, before_w=None, after_w=None,
                ),
            ],
        ),
        meter=MeterView(
            power_w=view.site.power_w, age_s=0.4, stale=False, blind=False, background_w=view.site.background_w, worst_w=60_000,
            told=meter_told_of(view),
        ),
    )  # fmt: skip


@dataclass
class FakeLink:
    """Serves views that a test publishes; remembers commands. ``age_s`` counts from the last publish, in loop time.
    ``shown``: the answer for each kind of view beside *Now* and chargers; ``asked``: what was asked for, with arguments."""

    view: NowView | None = None
    commands: list[cmd.Command] = field(default_factory=list)
    shown: dict[type[msgspec.Struct], msgspec.Struct] = field(default_factory=dict)
    made: dict[type[msgspec.Struct], Callable[[Mapping[str, str]], msgspec.Struct | None]] = field(default_factory=dict)
    """Views that depend on what is asked."""
    asked: list[tuple[type[msgspec.Struct], dict[str, str]]] = field(default_factory=list)
    result: cmd.CommandStatus = cmd.CommandStatus.ACCEPTED
    answers: dict[type[cmd.Command], dict[str, object]] = field(
        default_factory=lambda: {cmd.CallStation: {"message_id": "1", "outcome": "result", "payload": {"status": "Accepted"}}}
    )
    reachable: bool = True
    told: list[tuple[str, list[TelemetryItem]]] = field(default_factory=list)
    """Telemetry that was handed over, by whom."""
    _at: float = 0.0
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def publish(self, view: NowView) -> None:
        self.view, self._at = view, asyncio.get_running_loop().time()
        self._news.set()
        self._news = asyncio.Event()

    @property
    def age_s(self) -> float | None:
        return None if self.view is None else asyncio.get_running_loop().time() - self._at

    async def views(self) -> AsyncIterator[NowView]:
        while True:
            news = self._news
            if self.view is not None:
                yield self.view
            await news.wait()

    async def show(self, kind: type[T], /, **args: str) -> T | None:
        if not self.reachable or self.view is None:
            raise CoreUnreachable("the controller's core is not connected")
        self.asked.append((kind, args))
        found: msgspec.Struct | None
        if kind is ChargerView:
            found = charger(args["connector"], self.view)
        elif kind is GridView:
            found = self.shown.get(GridView) or connection(self.view)
        elif kind is SafetyView:
            found = self._safety()
        elif kind is PacksView:
            found = packs_shown(self._safety())
        elif kind is TripsView:
            found = trips_shown(self._safety())
        elif kind is PackDetail:
            found = self.shown.get(PackDetail) or pack_shown(self._safety(), args["vehicle"], args["pack"])
        elif kind is AssetsView:
            found = self.shown.get(AssetsView) or in_the_yard(self.view.at)
        elif kind is OutputsView:
            found = self.shown.get(OutputsView) or in_order(self.view.at)
        elif kind in self.made:
            found = self.made[kind](args)
        else:
            found = self.shown.get(kind)
        assert found is None or isinstance(found, kind)
        return found

    def _safety(self) -> SafetyView:
        assert self.view is not None
        found = self.shown.get(SafetyView) or calm(self.view.at)
        assert isinstance(found, SafetyView)
        return found

    async def command(self, command: cmd.Command, *, within_s: float | None = None) -> cmd.CommandResult:
        if not self.reachable:
            raise CoreUnreachable("the controller's core is not connected")
        self.commands.append(command)
        message = "Waits for its minimum." if self.result == "accepted" else "Feeder B is full."
        return cmd.CommandResult(command.command_id, self.result, message, 51_903, self.answers.get(type(command)))

    async def telemetry(self, by: str, items: Sequence[TelemetryItem]) -> Sequence[ItemTaken]:
        if not self.reachable:
            raise CoreUnreachable("the controller's core is not connected")
        self.told.append((by, list(items)))
        return [
            ItemTaken(status="refused", reason="shape", text=item.wrong)
            if item.wrong
            else ItemTaken(status="accepted")
            if item.allowed
            else ItemTaken(status="refused", reason="not_allowed", text="this token may not speak of it")
            for item in items
        ]


def later(view: NowView, seconds: float = 1.0, **changes: object) -> NowView:
    """The next tick of ``view``."""
    return msgspec.structs.replace(view, at=view.at + timedelta(seconds=seconds), tick=view.tick + 1, **changes)
