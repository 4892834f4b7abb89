"""What past visits say of the timetable: arrivals, departures and needs against what was announced."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_yard import NOW, ONE, SmallYard

from controller.forecast_errors import KEPT, PastVisit, PastVisits
from depot import events as ev
from depot.events import Event, NewEvent


class Journal:
    """Facts at chosen minutes after 22:00."""

    def __init__(self) -> None:
        self.world = SmallYard()
        self.past = PastVisits()

    def at(self, minutes: float, *facts: Event) -> None:
        self.world.clock.at = NOW + timedelta(minutes=minutes)
        envelopes = [self.world.journal.put(NewEvent(fact, self.world.clock.now())) for fact in facts]
        self.past.landed(envelopes, self.world.journal.state)

    @property
    def only(self) -> PastVisit:
        (visit,) = self.past.visits
        return visit


def stay(arrives_min: float, leaves_min: float, kwh: float = 50.0, **more: object) -> ev.VisitAnnounced:
    arrives, leaves = (NOW + timedelta(minutes=m) for m in (arrives_min, leaves_min))
    return replace(ev.VisitAnnounced("v", "BUS-1", arrives, leaves, round(kwh * 1000), 60_000, connector=ONE, efficiency=1.0), **more)


def session(energy_kwh: float) -> tuple[ev.TransactionStarted, ev.TransactionStopped]:
    return ev.TransactionStarted(1, "s", ONE, "TAG", 1000, "v"), ev.TransactionStopped(1, ONE, 1000 + round(energy_kwh * 1000))


def test_a_late_bus_that_needed_more_and_left_early() -> None:
    journal = Journal()
    begins, ends = session(55.0)
    journal.at(0, stay(120, 600))
    journal.at(160, ev.VisitArrived("v", ONE), begins)
    journal.at(500, ends)
    journal.at(580, ev.VisitEnded("v"))
    assert journal.only.late_min == 40
    assert journal.only.early_min == 20
    assert journal.only.energy_ratio == pytest.approx(1.1)
    assert journal.only.delivered_wh == 55_000
    errors = journal.past.errors()
    assert (errors.late_min.tolist(), errors.early_min.tolist(), errors.energy_ratio.tolist()) == ([40.0], [20.0], [1.1])
    assert journal.past.errors() is errors  # found once, until another visit ends


def test_what_was_announced_an_hour_before_counts() -> None:
    journal = Journal()
    journal.at(0, stay(120, 600))
    journal.at(60, stay(150, 600))
    journal.at(170, stay(175, 600))  # half an hour's notice: no plan could do much with it
    journal.at(180, ev.VisitArrived("v", ONE))
    journal.at(600, ev.VisitEnded("v"))
    assert journal.only.late_min == 30


def test_who_comes_unannounced_is_no_forecast() -> None:
    journal = Journal()
    journal.at(0, stay(0, 600), ev.VisitArrived("v", ONE))
    journal.at(300, ev.VisitEnded("v"))
    assert (journal.only.late_min, journal.only.early_min, journal.only.energy_ratio) == (None, None, None)
    assert len(journal.past.errors().late_min) == 0


def test_a_re_plug_is_one_arrival() -> None:
    journal = Journal()
    journal.at(0, stay(120, 600))
    journal.at(120, ev.VisitArrived("v", ONE))
    journal.at(200, ev.VisitEnded("v"), stay(200, 600, 20.0, returning=True))
    journal.at(230, ev.VisitArrived("v", ONE))
    journal.at(600, ev.VisitEnded("v"))
    assert [visit.late_min for visit in journal.past.visits] == [0.0, None]


@pytest.mark.parametrize(
    ("taken_kwh", "stops_min", "leaves_min", "ratio"),
    [
        (40.0, 400, 600, 0.8),  # full by itself, with time left
        (40.0, 595, 600, None),  # charged to the end: it may have lacked the rest
        (40.0, 290, 300, None),  # left before its time
        (0.0, 400, 600, None),
    ],
)
def test_needs_are_known_where_something_shows_them(taken_kwh: float, stops_min: float, leaves_min: float, ratio: float | None) -> None:
    journal = Journal()
    begins, ends = session(taken_kwh)
    journal.at(-120, stay(0, 600))
    journal.at(0, ev.VisitArrived("v", ONE), begins)
    journal.at(stops_min, ends)
    journal.at(leaves_min, ev.VisitEnded("v"))
    assert journal.only.energy_ratio == ratio


def test_a_need_that_was_revised_after_the_arrival() -> None:
    journal = Journal()
    journal.at(-120, stay(0, 600))
    journal.at(0, ev.VisitArrived("v", ONE))
    journal.at(5, stay(0, 600, 70.0))
    journal.at(300, ev.VisitEnded("v"))
    assert journal.only.energy_ratio == pytest.approx(1.4)


def test_cancelled_stays_and_strangers_leave_nothing() -> None:
    journal = Journal()
    journal.at(0, stay(120, 600))
    journal.at(60, ev.VisitCancelled("v"))
    journal.at(70, ev.VisitEnded("unknown"), ev.VisitArrived("other", ONE), *session(5.0))
    assert not journal.past.visits


def test_the_same_facts_after_a_restart_say_the_same() -> None:
    journal = Journal()
    begins, ends = session(55.0)
    for minutes, fact in ((0, stay(120, 600)), (160, ev.VisitArrived("v", ONE)), (160, begins), (500, ends), (580, ev.VisitEnded("v"))):
        journal.at(minutes, fact)
    again = PastVisits(journal.world.journal.facts)
    assert list(again.visits) == list(journal.past.visits)


FACTS = st.sampled_from(
    [
        stay(60, 600), stay(90, 500, 80.0), stay(0, 300, returning=True), ev.VisitArrived("v", ONE), ev.VisitEnded("v"),
        ev.VisitCancelled("v"), *session(30.0),
    ]
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(facts=st.lists(st.tuples(FACTS, st.integers(0, 300)), max_size=25))
def test_no_order_of_facts_breaks_it(facts: list[tuple[Event, int]]) -> None:
    past = PastVisits()
    at: datetime = NOW
    world = SmallYard()
    for fact, minutes in facts:
        at += timedelta(minutes=minutes)
        past.landed([world.journal.put(NewEvent(fact, at))], world.journal.state)
    errors = past.errors()
    assert len(past.visits) <= min(KEPT, len(facts))
    assert (errors.early_min >= 0).all()
    assert ((errors.energy_ratio >= 0.25) & (errors.energy_ratio <= 2)).all()
