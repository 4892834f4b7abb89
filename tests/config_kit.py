"""The settings of a small depot with one feeder, as a file has them; a test adds the sections that it is about."""

from __future__ import annotations

from pathlib import Path

LAKE = """
[lake]
least_free_mb = 16
"""
"""A lake on a disk that may be nearly full."""

NO_BROKER = """
[telemetry]
broker = "none"
"""


def depot_toml(store: Path, *more: str, depot_id: str = "pune", limit_kw: int = 100) -> str:
    """Contract and feeder take ``limit_kw``, half of it holds where nobody controls; ``store``: the folder of its data."""
    return f"""
[depot]
id = "{depot_id}"
contract_kw = {limit_kw}
failsafe_kw = {limit_kw // 2}
worst_background_kw = {limit_kw // 10}
[[feeder]]
id = "A"
rating_kw = {limit_kw}
[storage]
path = "{store}"
{"".join(more)}"""


def write_depot(folder: Path, *more: str, depot_id: str = "pune", limit_kw: int = 100) -> Path:
    """The file ``depot.toml`` in ``folder``; its data go into ``var`` beside it."""
    path = folder / "depot.toml"
    path.write_text(depot_toml(folder / "var", *more, depot_id=depot_id, limit_kw=limit_kw), encoding="utf-8")
    return path
