"""What masters wanted becomes facts: every command, the first refusal of a kind, and numbers of the rest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from controller.audit import entry_of
from controller.utility_trail import KINDS_MOST, UtilityTrail
from depot import events as ev
from depot.values import UtilityOrder
from grid.failsafe import FailsafeChange
from grid.limit_desk import Answered
from grid.limit_model import AckState
from grid.limit_session import LimitCommand

NOW = datetime(2026, 1, 12, 6, tzinfo=UTC)
PEER = "10.20.0.7:50001"


class Notes:
    def __init__(self) -> None:
        self.facts: list[tuple[ev.UtilityCommandAnswered, str]] = []
        self.trail = UtilityTrail(lambda fact, actor: self.facts.append((fact, actor)))


def refusal(n: int = 0, message: str = "register 40000 can't be written") -> Answered:
    return Answered(peer=f"10.20.0.{n}:50001", role="", code=2, message=message)


def test_every_command_is_a_fact_with_who_what_and_what_came_of_it() -> None:
    notes = Notes()
    order = UtilityOrder(7, NOW, 150_000, validity_s=900, event_id=42, peer=PEER)
    command = LimitCommand(7, PEER, NOW, order, FailsafeChange(limit_w=60_000), "GridServiceSunSpec rtu-1")
    for _ in range(3):
        notes.trail.take(
            Answered(peer=PEER, role=command.role, seq=7, command=command, state=AckState.CLAMPED, before_w=200_000, after_w=150_000), NOW
        )
    assert len(notes.facts) == 3
    fact, actor = notes.facts[0]
    assert actor == f"modbus:{PEER}"
    assert fact == ev.UtilityCommandAnswered(
        7, "clamped", "limit 150000 W for 900 s event 42, fail-safe limit 60000 W", "GridServiceSunSpec rtu-1", 1, 200_000, 150_000
    )
    envelope = ev.Envelope(
        id="x", depot_id="d", seq=3, type=fact.TYPE, version=1, occurred_at=NOW, reported_at=None, received_at=NOW, actor=actor,
        cause_id=None, key=None, data=fact,
    )  # fmt: skip
    entry = entry_of(envelope)
    assert entry is not None
    assert (entry.actor, entry.kind, entry.outcome) == (actor, "UtilityCommand", "clamped")
    for word in ("CmdSeq 7", "150000 W", "GridServiceSunSpec rtu-1", "before 200000 W, after 150000 W"):
        assert word in entry.reason


def test_a_flood_of_refused_writes_is_a_fact_at_once_and_a_number_a_minute() -> None:
    notes = Notes()
    for n in range(5_000):
        notes.trail.take(refusal(), NOW + timedelta(milliseconds=n))
    notes.trail.look(NOW + timedelta(seconds=59))
    assert [fact.count for fact, _ in notes.facts] == [1]
    notes.trail.look(NOW + timedelta(seconds=60))
    assert [fact.count for fact, _ in notes.facts] == [1, 4_999]
    notes.trail.look(NOW + timedelta(seconds=120))
    notes.trail.take(refusal(), NOW + timedelta(seconds=121))
    assert [fact.count for fact, _ in notes.facts] == [1, 4_999, 1]
    assert notes.facts[0][0].outcome == "exception 02"


def test_a_rejected_command_is_counted_by_its_reason() -> None:
    notes = Notes()
    for seq in range(1, 4):
        notes.trail.take(Answered(peer=PEER, role="", seq=seq, state=AckState.REJECTED_RANGE, message="neither"), NOW)
    notes.trail.look(NOW + timedelta(minutes=1))
    assert [(fact.seq, fact.outcome, fact.count) for fact, _ in notes.facts] == [(1, "rejected_range", 1), (None, "rejected_range", 2)]


def test_many_peers_are_put_together_and_none_is_lost() -> None:
    notes = Notes()
    for n in range(3 * KINDS_MOST):
        notes.trail.take(refusal(n), NOW)
    assert len(notes.facts) == KINDS_MOST + 1
    notes.trail.look(NOW + timedelta(minutes=1))
    assert sum(fact.count for fact, _ in notes.facts) == 3 * KINDS_MOST
