"""What people and machines read of alerts and work orders. Plain data."""

from __future__ import annotations

from datetime import datetime

import msgspec


class PackAlert(msgspec.Struct, frozen=True, kw_only=True):
    """One alert. ``key``: what a work order is opened with. ``cell`` counts from 1; null: the pack. ``why``: the signals that caused it.
    ``days_left``: until the cells lie as far apart as what the safety path derates at; null: not known. ``now_paise``,
    ``waiting_paise``: early work, and what waiting costs in the mean. ``real_assumed``: share of such alerts that is assumed to be real;
    ``real``: with what was found in this depot (``right_here``, ``false_here``); null: the look was made before this was reckoned."""

    key: str
    pack: str
    kind: str
    cell: int | None
    since: str
    found: str
    holds_now: bool
    compared_with: str
    why: str
    days_left: float | None
    leak_ma: float | None
    leak_ma_low: float | None
    leak_ma_high: float | None
    balancing_counted: bool | None
    second_opinion: str | None
    act_now: bool
    due: str
    chance_before_service: float
    now_paise: int
    waiting_paise: int
    advice: str
    real: float | None = None
    real_assumed: float | None = None
    right_here: int = 0
    false_here: int = 0


class PackAlertsView(msgspec.Struct, frozen=True):
    """The last look, the most urgent first. ``looked_at`` null: there was none yet; ``note`` says how one is made. ``packs``: how many
    were looked at."""

    at: datetime
    looked_at: datetime | None
    packs: int
    note: str
    alerts: list[PackAlert]


class WorkStep(msgspec.Struct, frozen=True):
    """What somebody did with an order."""

    at: str
    actor: str
    what: str
    reason: str


class WorkOrderRow(msgspec.Struct, frozen=True):
    """``kind``: the alert's, or by_hand. ``state``: open, fixed, nothing_found (a false alarm), something_else or dropped."""

    number: int
    key: str
    pack: str
    kind: str
    due: str
    cause: str
    advice: str
    state: str
    steps: list[WorkStep]


class WorkFinding(msgspec.Struct, frozen=True):
    """What people found who looked after alerts of one kind: ``right`` as the alert said, ``false`` nothing, ``else_found`` another
    trouble. ``taken``: share of such alerts that is taken for real from then on; null: for this kind none is."""

    kind: str
    right: int
    false: int
    else_found: int
    taken: float | None = None


class WorkOrdersView(msgspec.Struct, frozen=True):
    """All orders, the newest first. ``intact`` false: a step was changed outside of the program. ``findings``: by kind of alert."""

    at: datetime
    intact: bool
    orders: list[WorkOrderRow]
    findings: list[WorkFinding] = []
