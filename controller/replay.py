"""``./chargeyard replay``: read a depot's journal, print its facts, fold them, and check that nothing is wrong with it.

Looks only: it may be used while the controller runs, and on a copy. Checked are the density of ``seq``, the chain over
all rows, every fact's shape, and that folding everything gives the state that the newest snapshot and its tail give.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from sqlalchemy import inspect

from controller.codec import EventCodec, iso
from controller.journal_store import JournalCorrupt, Tip, depot_ids, newest_snapshot, read_events
from depot.events import Envelope
from depot.fold import fold
from depot.state import DepotState
from depot.values import ConnectorId, Limit
from storage import Store, StoreCorrupt

Show = Callable[[Envelope], None]


class ReplayError(Exception):
    """What was asked for can't be replayed; the message says what can."""


@dataclass(slots=True)
class Replay:
    """What a journal says. ``state``: folded up to the point that was asked for, received at ``at``; ``last``: the
    whole journal's last seq. ``snapshot``: seq of the newest snapshot; ``same``: it holds what folding up to it gives,
    and so it gives the same state with its tail."""

    depot_id: str
    state: DepotState = field(default_factory=DepotState)
    at: datetime | None = None
    last: int = 0
    types: Counter[str] = field(default_factory=Counter)
    snapshot: int = 0
    same: bool = True


def replay(store: Store, depot_id: str, *, until: int | datetime | None = None, show: Show | None = None) -> Replay:
    """Read and check the whole journal; fold it up to ``until`` (a seq, or the time of receipt), calling
    ``show(envelope)`` for each fact up to there. Raises :class:`~controller.journal_store.JournalCorrupt`."""
    found = Replay(depot_id)
    snapshot = newest_snapshot(store, depot_id) or Tip()
    found.snapshot = snapshot.seq
    whole = DepotState()
    for envelope, _ in read_events(store, depot_id, EventCodec()):
        whole = fold(whole, (envelope,))
        if envelope.seq == snapshot.seq:
            found.same = whole == snapshot.state
        if _within(envelope, until):
            found.state, found.at = whole, envelope.received_at
            found.types[envelope.type] += 1
            if show is not None:
                show(envelope)
    found.last = whole.seq
    return found


def parse_until(text: str) -> int | datetime | None:
    """A seq, a time, or nothing. Raises :class:`ReplayError`."""
    if not text:
        return None
    if text.isdecimal():
        return int(text)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ReplayError(f"--until {text!r} is neither a seq (120) nor a time (2026-03-29T18:30:00+05:30)") from None
    if at.tzinfo is None:
        raise ReplayError(f"--until {text!r} has no offset: write {text}Z, or {text}+05:30")
    return at


def choose_depot(store: Store, wanted: str) -> str:
    """The depot to replay. Raises :class:`ReplayError` where there is none, or several and none was named."""
    if not inspect(store.engine).has_table("events"):
        raise ReplayError(f"{store.path} is not the database of a depot")
    known = depot_ids(store)
    if wanted and wanted not in known:
        raise ReplayError(f"{store.path} has no facts of depot {wanted!r}; it has {', '.join(known) or 'none'}")
    if not known:
        raise ReplayError(f"{store.path} has no facts yet")
    if not wanted and len(known) > 1:
        raise ReplayError(f"{store.path} holds several depots; name one with --depot: {', '.join(known)}")
    return wanted or known[0]


def command(
    database: Annotated[Path, typer.Argument(help="The depot's database file, for example var/pune-north.db.")],
    *,
    until: Annotated[str, typer.Option(help="Stop at this seq, or at this time (ISO 8601 with offset).")] = "",
    type_: Annotated[str, typer.Option("--type", help="Print only facts whose type begins with this, for example transaction.")] = "",
    depot: Annotated[str, typer.Option(help="Which depot, where the database holds several.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line: the facts, then the summary.")] = False,
) -> None:
    """Print and check a depot's journal: every fact, the state that they fold to, whether anything is wrong."""
    try:
        stop = parse_until(until)
        with Store.open(database, read_only=True) as store:
            depot_id = choose_depot(store, depot)

            def show(envelope: Envelope) -> None:
                if envelope.type.startswith(type_):
                    typer.echo(fact_json(envelope) if as_json else fact_line(envelope))

            found = replay(store, depot_id, until=stop, show=show)
    except ReplayError as error:
        typer.echo(f"chargeyard: {error}", err=True)
        raise typer.Exit(2) from None
    except (StoreCorrupt, JournalCorrupt) as error:
        typer.echo(f"chargeyard: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(summary_json(found) if as_json else summary_text(found))
    if not found.same:
        raise typer.Exit(1)


def fact_line(envelope: Envelope) -> str:
    """One fact for people: seq, time, type, what happened, who."""
    data = " ".join(f"{f.name}={_text(getattr(envelope.data, f.name))}" for f in fields(envelope.data))
    reported = f" reported={iso(envelope.reported_at)}" if envelope.reported_at is not None else ""
    return f"{envelope.seq:>8}  {iso(envelope.occurred_at)}  {envelope.type:<30} {data}{reported}  ({envelope.actor})"


def fact_json(envelope: Envelope) -> str:
    """One fact for machines, as it is stored."""
    return json.dumps({"fact": msgspec.to_builtins(envelope)}, ensure_ascii=False)


def summary_text(found: Replay) -> str:
    """The folded state and the verdict, for people."""
    state = found.state
    at = "" if found.at is None else f", received {iso(found.at)}"
    lines = ["", f"Depot {found.depot_id} after seq {state.seq}{at}"]
    counts = f"stations {len(state.stations)}, connectors {len(state.connectors)}, visits {len(state.visits)}"
    lines.append(f"  {counts}, next transaction id {state.next_transaction_id}")
    for number, transaction in sorted(state.transactions.items()):
        lines.append(f"  transaction {number} on {transaction.connector} since {iso(transaction.started_at)}, {transaction.id_tag}")
    for visit in (v for v in state.visits.values() if v.present):
        vehicle = f"visit {visit.visit_id} ({visit.announced.vehicle_id})"
        lines.append(f"  {vehicle} on {visit.connector}, {visit.delivered_wh / 1000:.1f} kWh delivered")
    for key, facts in sorted(state.connectors.items()):
        if facts.grant is not None:
            lines.append(f"  {key} may draw {facts.grant.level_w / 1000:.1f} kW until {iso(facts.grant.until)}")
        if not facts.operative:
            lines.append(f"  {key} is out of service: {facts.inoperative_reason}")
    for limit in state.limits.values():
        lines.append(f"  limit {limit.limit_id}: {limit.value} {limit.quantity} for {limit.scope} {limit.scope_id} by {limit.source}")
    lines.append("  facts: " + (", ".join(f"{name} {count}" for name, count in sorted(found.types.items())) or "none"))
    if found.same:
        with_snapshot = f"; the snapshot at seq {found.snapshot} and its tail give the same state" if found.snapshot else ""
        lines.append(f"Sound: {found.last} facts without a gap, none changed after it was written{with_snapshot}.")
    else:
        lines.append(
            f"NOT SOUND: the snapshot at seq {found.snapshot} holds another state than the facts, which are right. Stop the controller,"
        )
        lines.append("empty the table snapshots (it is made anew from the facts), and report this with a copy of the database.")
    return "\n".join(lines)


def summary_json(found: Replay) -> str:
    """The same for machines."""
    state = {name: _listed(getattr(found.state, name)) for name in ("stations", "connectors", "transactions", "visits", "limits")}
    summary = {
        "depot_id": found.depot_id,
        "seq": found.state.seq,
        "received_at": None if found.at is None else iso(found.at),
        "last_seq": found.last,
        "snapshot_seq": found.snapshot,
        "sound": found.same,
        "types": dict(sorted(found.types.items())),
        "state": {"next_transaction_id": found.state.next_transaction_id, **state},
    }
    return json.dumps({"summary": summary}, ensure_ascii=False)


def _within(envelope: Envelope, until: int | datetime | None) -> bool:
    if until is None:
        return True
    return envelope.seq <= until if isinstance(until, int) else envelope.received_at <= until


def _listed(things: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(key): msgspec.to_builtins(thing) for key, thing in things.items()}


def _text(value: object) -> str:
    if isinstance(value, ConnectorId | int | float | StrEnum):
        return str(value)
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, Limit):
        return f"{value.limit_id}:{value.value}{value.quantity} {value.scope} {value.scope_id}".rstrip()
    return "-" if value is None else json.dumps(value, ensure_ascii=False, default=str)
