"""What every depot's core has beside its loop: alarms, the audit trail, messages. Put together for the core's process."""

from __future__ import annotations

import time
from datetime import timedelta

from controller.alarm_desk import AlarmDesk
from controller.alarm_sources import UtilityConditions
from controller.approvals import Approvals, Gate
from controller.audit_desk import AuditDesk
from controller.core import Core
from controller.journal import SqlJournal
from controller.journal_store import Companion
from controller.notify.ledger import ledger_file
from controller.outbox import OutboxWriter
from controller.outbox_desk import OutboxDesk
from controller.settings import Settings
from storage import Store


def companions(settings: Settings, store: Store) -> list[Companion]:
    """What is written with the facts, beside the audit trail."""
    rules = settings.to_rules()
    return [] if rules is None else [OutboxWriter(rules, store, settings.depot.id)]


def add_kit(core: Core, settings: Settings, store: Store, journal: SqlJournal) -> AlarmDesk:
    """Add the rooms. Whoever else watches something is appended to the answer's ``sources`` before the core runs."""
    audit = AuditDesk(core.yard, store)
    alarms = AlarmDesk(core.yard, [core.views.board, audit, core.keeper])
    if core.utility is not None:
        alarms.sources.append(UtilityConditions(core.utility))
    if settings.notify is not None:
        messages = OutboxDesk(core.yard, ledger_file(settings.database, settings.depot.id), journal, now_s=time.time)
        alarms.sources.append(messages)
        core.add(messages)
    kinds = {*settings.approval.commands, *(["OverrideLimits"] if settings.override.second_person else [])}
    alone = None if settings.payments is None else settings.payments.write_off_alone_paise
    if kinds or alone is not None:
        expires = timedelta(minutes=settings.approval.expires_min)
        core.orders.gate = Gate(core.yard, frozenset(kinds), expires, alone)
    core.add(Approvals(core.yard, core.orders))  # also without a gate: what waited before the settings changed
    core.add(audit)
    core.add(alarms)
    return alarms
