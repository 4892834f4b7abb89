"""``./chargeyard audit CONFIG``: print, check and export the audit trails of commands and of people. It only looks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from rich.console import Console
from sqlalchemy import inspect

from controller import audit, audit_csv
from controller.app.people import people_database
from controller.audit import Entry
from controller.clock import SystemClock
from controller.settings import Settings
from storage import Store, StoreMissing
from web.trail import Trail

COMMANDS, PEOPLE = "commands", "people"


class AuditError(Exception):
    """What was asked for makes no sense, or there is no trail yet; the message says what to do."""


def run_audit(
    config: Path, *, check: bool, since: str, actor: str, kind: str, limit: int, expect: str, as_csv: bool, console: Console
) -> int:
    """Exit code 0, or 1 where a trail is not as it was written."""
    settings = Settings.load(config)
    from_ = parse_since(since, settings.depot.timezone)
    kept = parse_head(expect)
    with _open(settings.database, "audit") as store:
        if check or kept is not None:
            return _check(store, settings, kept, console)
        mine = audit.read_page(store, settings.depot.id, actor=actor, kind=kind, since=from_, limit=limit).entries
        entries = [(COMMANDS, entry) for entry in mine]
    with suppress(StoreMissing), _open(people_database(settings), "web_audit") as people:
        found = Trail(people, SystemClock(), settings.depot.id).page(actor=actor, kind=kind, since=from_, limit=limit).entries
        entries += [(PEOPLE, entry) for entry in found]
    entries.sort(key=lambda named: named[1].at)
    _print(entries[-limit:], settings.depot.timezone, as_csv=as_csv, console=console)
    return 0


def parse_since(text: str, timezone: str) -> datetime | None:
    """A day, or a time with or without offset (then the depot's). Raises :class:`AuditError`."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise AuditError(f"--since {text!r} is no date: write 2026-03-29 or 2026-03-29T18:30") from None
    return at if at.tzinfo is not None else at.replace(tzinfo=ZoneInfo(timezone))


def parse_head(text: str) -> tuple[int, str] | None:
    """``NUMBER:HASH`` as --verify prints it. Raises :class:`AuditError`."""
    if not text:
        return None
    found = re.fullmatch(r"(\d{1,18}):([0-9a-fA-F]{64})", text.strip())
    if found is None:
        raise AuditError("--expect is NUMBER:HASH as `audit CONFIG --verify` prints it, for example 812:9f2c… with 64 hex digits")
    return int(found[1]), found[2]


def _open(path: Path, table: str) -> Store:
    store = Store.open(path, read_only=True)
    if not inspect(store.engine).has_table(table):
        store.close()
        raise AuditError(f"{path} has no audit trail yet: start the controller once, it is made then")
    return store


def _check(store: Store, settings: Settings, kept: tuple[int, str] | None, console: Console) -> int:
    def say(words: str) -> None:
        console.print(words, markup=False, highlight=False, soft_wrap=True)

    checked = audit.verify(store, settings.depot.id)
    complaints = [checked.complaint] if checked.complaint else []
    if checked.sound:
        say(f"Commands: sound. {checked.entries} entries over {checked.facts} facts, none missing, none changed.")
        say(f"  head {checked.entries}:{checked.hash.hex()}")
    if kept is not None and (complaint := audit.verify_head(store, settings.depot.id, *kept)):
        complaints.append(complaint)
    elif kept is not None:
        say(f"  entry {kept[0]} has the hash that was kept elsewhere")
    with suppress(StoreMissing), _open(people_database(settings), "web_audit") as people:
        signed = Trail(people, SystemClock(), settings.depot.id).verify()
        if signed.complaint:
            complaints.append(signed.complaint)
        else:
            say(f"People: sound. {signed.entries} entries.")
            say(f"  head {signed.entries}:{signed.hash.hex()}")
    for complaint in complaints:
        say(f"NOT SOUND: {complaint}")
    if complaints:
        say("Keep the database as it is, make a copy, and compare it with the newest backup.")
    return 1 if complaints else 0


def _print(entries: Sequence[tuple[str, Entry]], timezone: str, *, as_csv: bool, console: Console) -> None:
    if as_csv:
        console.file.write(audit_csv.rows(entries))
        return
    zone = ZoneInfo(timezone)
    for trail, e in entries:
        number = f"{trail[0]}{e.seq}"
        why = f"  {_plain(e.reason)}" if e.reason else ""
        line = f"{number:>8}  {e.at.astimezone(zone):%Y-%m-%d %H:%M:%S}  {e.actor:<20} {e.kind:<18} {e.target:<14} {e.outcome:<10}{why}"
        console.print(_plain(line), markup=False, highlight=False, soft_wrap=True)
    if not entries:
        console.print("no entries", highlight=False)


def _plain(text: str) -> str:
    """Without control characters: a terminal must not obey what somebody wrote as a reason."""
    return "".join(c if c.isprintable() else " " for c in text)
