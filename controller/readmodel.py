"""What the screens and the API show: plain structs, rebuilt from facts, readings and the last allocation.

Shapes only; ``controller.views`` fills them. Powers W, energies Wh, times aware UTC, SoC fractions, ages seconds.
``None`` means unknown, and is shown as unknown, never as 0. All texts are English sentences for people.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from controller.smart_charging_rows import ExternalLimitRow, NeedsRow


class TileState(StrEnum):
    """What a tile says first: the worst thing that is true (dashboard rule "deviation wins")."""

    LATE = "late"
    FAULTED = "faulted"
    OFFLINE = "offline"
    OUT_OF_SERVICE = "out_of_service"
    AT_RISK = "at_risk"
    LIMITED = "limited"
    CHARGING = "charging"
    WAITING = "waiting"
    FINISHED = "finished"
    AVAILABLE = "available"
    UNKNOWN = "unknown"


class Tile(Struct, frozen=True, kw_only=True):
    """One connector. ``state_text`` is the word(s) shown, for example "Starts 05:00"; ``margin_min`` ≥ 0 is early.
    ``uncovered``: why it is counted at its rating; empty: it is not."""

    connector: str
    label: str
    feeder_id: str
    state: TileState
    state_text: str
    vehicle_id: str | None = None
    power_w: int | None = None
    power_age_s: float | None = None
    soc: float | None = None
    soc_target: float | None = None
    due_at: datetime | None = None
    ready_at: datetime | None = None
    margin_min: int | None = None
    trust: str = "unproven"
    uncovered: str = ""


class Answer(Struct, frozen=True, kw_only=True):
    """The one question: will every vehicle leave on time, under the limit? ``tone``: ok, warn, alarm, lost."""

    tone: str
    text: str


class Counts(Struct, frozen=True, kw_only=True):
    """Vehicles that are here or come soon; ``sessions``: charging transactions that are open."""

    vehicles: int
    on_time: int
    at_risk: int
    late: int
    next_departure: str | None = None
    next_departure_at: datetime | None = None
    sessions: int = 0


class LimitView(Struct, frozen=True, kw_only=True):
    """A limit in force, with who set it and until when; ``then_w``: what holds after it."""

    scope_id: str
    value_w: int
    source: str
    text: str
    since: datetime
    until: datetime | None = None
    then_w: int | None = None
    set_by: str = ""
    reason: str = ""


class SiteView(Struct, frozen=True, kw_only=True):
    """``power_w`` from the connection-point meter; ``stale`` when it is older than 3 s or absent. Energy and cost of
    ``…_today`` are counted from ``counted_since`` on: local noon, or the controller's start after it."""

    power_w: int | None
    power_age_s: float | None
    stale: bool
    limit: LimitView
    headroom_w: int | None
    background_w: int
    charging_w: int
    demand_block_w: int | None = None
    demand_block_ends_at: datetime | None = None
    energy_today_wh: int = 0
    cost_today: float | None = None
    currency: str = "INR"
    counted_since: datetime | None = None


class FeederView(Struct, frozen=True, kw_only=True):
    feeder_id: str
    name: str
    power_w: int
    reserved_w: int
    limit: LimitView


class Point(Struct, frozen=True, array_like=True):
    """One chart point: from ``at`` on, ``value`` (W, or price per kWh)."""

    at: datetime
    value: float


class Chart(Struct, frozen=True, kw_only=True):
    """24 hours, steps. ``limit`` and ``price`` cover the whole span; ``measured`` ends now; ``plan`` begins now."""

    start: datetime
    stop: datetime
    measured: list[Point]
    plan: list[Point]
    limit: list[Point]
    price: list[Point]


class Notice(Struct, frozen=True, kw_only=True):
    """Something that needs a person: one sentence what it is, one what to do. ``priority`` 1 (worst) to 3; ``key``: of
    the alarm that it becomes when it stays."""

    priority: int
    title: str
    action: str
    since: datetime
    connector: str | None = None
    key: str = ""


class AlarmCounts(Struct, frozen=True, kw_only=True):
    """Alarms that stand. ``worst``: the highest priority (1 is the worst) that nobody has acknowledged; None: none."""

    unacknowledged: int = 0
    active: int = 0
    shelved: int = 0
    worst: int | None = None


class ProcessView(Struct, frozen=True, kw_only=True):
    """What the core's process uses itself: resident memory, open files and sockets, processor time since its start."""

    rss_bytes: int
    open_fds: int
    cpu_s: float


class TripBrief(Struct, frozen=True, kw_only=True):
    """A tripped pack, as every page shows it. ``connector`` None: its vehicle is on no charger. ``done``: no power flows,
    and its charger has confirmed all that was asked of it. ``text``: why; ``power_text``: what is known of the power."""

    vehicle_id: str
    pack_id: str
    connector: str | None
    label: str | None
    since: datetime
    text: str
    power_text: str
    done: bool


class Health(Struct, frozen=True, kw_only=True):
    """The parts. ``planner``: running, late, dead, off; ``journal``: writing, frozen. ``process``: None where unknown."""

    planner: str
    planner_text: str
    journal: str
    journal_text: str
    stations_connected: int
    stations_total: int
    quarantined: list[str] = []
    tick_ms: float = 0.0
    process: ProcessView | None = None


class CommandView(Struct, frozen=True, kw_only=True):
    """Progress of a person's command: requested, accepted by charger, effective."""

    command_id: str
    kind: str
    status: str
    message: str
    actor: str
    at: datetime
    audit_seq: int


class NowView(Struct, frozen=True, kw_only=True):
    """The whole *Now* page. ``seq``: journal position; ``tick``: counts the controller's seconds. ``limits``: all
    limits in force on site and feeders, the binding ones among them; ``commands``: the newest of site and feeders."""

    depot_id: str
    depot_name: str
    timezone: str
    at: datetime
    tick: int
    seq: int
    clock_speed: float
    answer: Answer
    counts: Counts
    site: SiteView
    feeders: list[FeederView]
    tiles: list[Tile]
    chart: Chart
    notices: list[Notice]
    health: Health
    limits: list[LimitView] = []
    commands: list[CommandView] = []
    alarms: AlarmCounts = AlarmCounts()
    trips: list[TripBrief] = []


class ReasonView(Struct, frozen=True, kw_only=True):
    """One step of the reason chain: what it would allow; exactly one step is ``binding``."""

    because: str
    title: str
    detail: str
    level_w: int | None
    binding: bool = False


class SessionView(Struct, frozen=True, kw_only=True):
    session_id: str
    transaction_id: int
    started_at: datetime
    id_tag: str
    delivered_wh: int | None
    meter_start_wh: int
    meter_now_wh: int | None
    power_w: int | None
    power_age_s: float | None
    cost: float | None = None


class ProfileView(Struct, frozen=True, kw_only=True):
    """A charging profile as the charger confirmed it."""

    purpose: str
    limit_w: int
    expires_at: datetime | None
    confirmed: bool


class FrameView(Struct, frozen=True, kw_only=True):
    """One line of the message log, identifiers redacted."""

    at: datetime
    direction: str
    action: str
    summary: str


class ChargerView(Struct, frozen=True, kw_only=True):
    """The charger's page. ``link_since``, where given, completes ``link_text``: "… link up since". ``differs``: how its own
    composite schedule differs from what was installed. ``capabilities``: what was probed, in words. ``needs``: what its vehicle
    says of itself; ``external``: what others limit there."""

    tile: Tile
    station_id: str
    connector: int
    vendor: str
    model: str
    firmware: str
    rated_w: int
    min_w: int
    current: str
    pausable: str
    link_text: str
    connected: bool
    status: str
    error_code: str
    chain: list[ReasonView]
    session: SessionView | None
    profiles: list[ProfileView]
    if_silent: str
    power: list[Point]
    soc: list[Point]
    needed_wh: int | None
    missing_wh: int | None
    frames: list[FrameView]
    commands: list[CommandView]
    can_start: bool
    can_stop: bool
    operative: bool
    inoperative_reason: str = ""
    differs: str = ""
    capabilities: str = ""
    link_since: datetime | None = None
    needs: NeedsRow | None = None
    external: list[ExternalLimitRow] = []
    at: datetime
