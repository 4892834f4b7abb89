"""What every depot's core has beside its loop: alarms, the audit trail. Put together here, for the core's process."""

from __future__ import annotations

from controller.alarm_desk import AlarmDesk
from controller.alarm_sources import UtilityConditions
from controller.audit_desk import AuditDesk
from controller.core import Core
from storage import Store


def add_kit(core: Core, store: Store) -> AlarmDesk:
    """Add the rooms. Whoever else watches something is appended to the answer's ``sources`` before the core runs."""
    audit = AuditDesk(core.yard, store)
    alarms = AlarmDesk(core.yard, [core.views.board, audit])
    if core.utility is not None:
        alarms.sources.append(UtilityConditions(core.utility))
    core.add(audit)
    core.add(alarms)
    return alarms
