"""The rules and the limits as tables, for docs/trips.md: written from what the rules declare, compared with the page by a test."""

from __future__ import annotations

from dataclasses import fields

from bms_bridge.chemistry import HIGHER_IS_CAUTIOUS, TABLE, Thresholds
from bms_bridge.rules import RULES, TIMED, state_of_safety


def rules_table() -> str:
    """A line for each rule."""
    lines = [
        "| rule | cause | layer | must hear | at least every | trips within | trips at | before that: share of the level | hysteresis |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in [*(rule.declared for rule in RULES), *(rule.declared for rule in TIMED), state_of_safety.DECLARED]:
        heard = ", ".join(signal.value for signal in one.signals) + (" (its own unit)" if one.own_unit else "")
        lines.append(
            f"| {one.name} | {one.cause} | {one.layer} | {heard} | {one.every_s:g} s | {one.within_s:g} s | {one.threshold} "
            f"| {one.derates} | {one.hysteresis} |"
        )
    return "\n".join(lines)


def limits_table() -> str:
    """A line for each threshold, a column for each chemistry."""
    lines = [f"| threshold | may become | {' | '.join(TABLE)} |", "|---|---|" + "---|" * len(TABLE)]
    for field in fields(Thresholds):
        way = "higher" if field.name in HIGHER_IS_CAUTIOUS else "lower"
        lines.append(f"| `{field.name}` | {way} | {' | '.join(f'{getattr(row, field.name):g}' for row in TABLE.values())} |")
    return "\n".join(lines)
