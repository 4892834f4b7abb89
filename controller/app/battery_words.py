"""What the ``./chargeyard battery`` commands read alike on their command lines."""

from __future__ import annotations

import typer

REASON_MOST = 200


def pack_of(text: str) -> tuple[str, str]:
    """VEHICLE/PACK as both. Raises :class:`typer.BadParameter`."""
    vehicle_id, slash, pack_id = text.partition("/")
    if not slash or not vehicle_id or not pack_id or "/" in pack_id:
        raise typer.BadParameter(f"{text!r} names no pack: write VEHICLE/PACK, such as E-131/P1")
    return vehicle_id, pack_id


def reason_of(text: str) -> str:
    """A reason on one line. Raises :class:`typer.BadParameter`."""
    told = " ".join(text.split())
    if not 0 < len(told) <= REASON_MOST:
        raise typer.BadParameter(f"--reason has 1 to {REASON_MOST} characters: it is kept in the audit trail")
    return told
