"""What a depot learns from its own past visits: how wrong its timetable is, and which peak its month should have.

journal --PastVisits--> errors --> the planner's reserve        (``[planner] adaptive_reserve``)
                    --> nights --> the month's peak target      (``[demand] choose_peak_target``)
"""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack

from controller.codec import EventCodec
from controller.core import Core
from controller.demand_watch import DemandWatch
from controller.forecast_errors import TYPES, PastVisits
from controller.journal import SqlJournal
from controller.journal_store import newest_events
from controller.month_target import MonthTarget
from controller.planning_reserve import Reserve
from controller.settings import Settings
from controller.utility_bills import UtilityBills
from storage import Store

log = logging.getLogger(__name__)

FACTS = 8000
"""So many of the newest facts of visits are read after a start: some thousand visits, whose reading takes tenths of a second."""


def add_forecasts(
    core: Core, settings: Settings, *, demand: DemandWatch, bills: UtilityBills, journal: SqlJournal, store: Store, stack: AsyncExitStack
) -> PastVisits | None:
    """Let plans follow the depot's own past, as far as the settings want that; None: they do not."""
    if not settings.planner.adaptive_reserve and not settings.demand.choose_peak_target:
        return None
    past = PastVisits(newest_events(store, settings.depot.id, EventCodec(), types=TYPES, most=FACTS))
    stack.callback(journal.subscribe(past.landed))
    if settings.planner.adaptive_reserve:
        core.planning.reserve = Reserve(past.errors)
    if settings.demand.choose_peak_target and settings.demand.peak_target_kw is None:
        parts = core.parts
        core.planning.whole_rate = lambda: demand.chosen_w is not None
        core.add(
            MonthTarget(
                core.yard,
                demand,
                parts.planner,
                parts.tariff,
                parts.planning,
                visits=lambda: tuple(past.visits),
                pieces=bills.plain_pieces,
                on_change=core.planning.request,
            )
        )
    log.info("%d past visits are known", len(past.visits))
    return past
