"""An incident's file as people get it: one JSON document, put together from its lines. Read by the web, which writes nothing there.

lines --document()--> {"schema": "incident_export/1", head, signals, timeline, steps, people, notes, drill, closed}
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from controller.incident_files import file_of, read

SCHEMA: Final = "incident_export/1"

LIMITS: Final = (
    "Times are this controller's clock, UTC. Signals are as the battery's unit said them, at most one a second. What was said before a "
    "restart of the controller, or while nothing was heard, is not here. This file is a record, no proof of a cause."
)


def document(folder: Path, incident_id: str) -> dict[str, Any]:
    """The whole incident. Raises :class:`~controller.incident_files.IncidentFileError`."""
    found = read(file_of(folder, incident_id))
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for record in found.records:
        by_kind.setdefault(str(record.get("kind")), []).append({k: v for k, v in record.items() if k != "kind"})

    def last(kind: str) -> dict[str, Any] | None:
        return by_kind[kind][-1] if kind in by_kind else None

    signals: dict[str, dict[str, Any]] = {}
    for part in by_kind.get("signals", []):
        series = signals.setdefault(part["pack"], {"pack": part["pack"], "columns": part["columns"], "rows": []})
        series["rows"] += part["rows"]
    return {
        "schema": SCHEMA,
        "incident_id": incident_id,
        "state": "closed" if found.sound is not None else "open",
        "as_written": found.sound,
        "damaged_lines": list(found.damaged),
        "digest": found.digest,
        "head": last("head") or {},
        "signals": list(signals.values()),
        "timeline": sorted(by_kind.get("fact", []), key=lambda fact: str(fact.get("at"))),
        "steps": (last("steps") or {}).get("steps", {}),
        "people": last("people"),
        "notes": by_kind.get("note", []),
        "drill": (last("links") or {}).get("links"),
        "closed": last("closed"),
        "limits": LIMITS,
    }
