"""Detectors on the page Safety and in the API: what each sees, and which area nobody watches."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from fake_depot import sample
from test_web_pages import check
from test_web_safety import words_of
from web_harness import site

from controller.hazard_view import DetectorRow, DetectorState, DetectorsView
from depot.values import Role

pytestmark = pytest.mark.anyio


def row(detector_id: str, state: DetectorState, **changed: object) -> DetectorRow:
    """A smoke detector of bay CP-03, unless said otherwise."""
    fields: dict[str, object] = {
        "detector_id": detector_id, "title": f"Detector {detector_id}", "kind": "smoke", "area": "bay CP-03", "state": state,
        "contact": True, "value": 0.0, "unit": "", "warn": None, "trip": None, "read_age_s": 0.4, "text": "", "unwatched": "",
        "since": None, "tripped": [],
    }  # fmt: skip
    return DetectorRow(**(fields | changed))  # type: ignore[arg-type]


def seen() -> DetectorsView:
    now = sample().at
    camera = row("TC-A", DetectorState.WARNS, kind="camera", area="feeder A", contact=False, value=63.25, unit="°C", warn=60.0, trip=80.0,
                 text="TC-A sees 63.25 °C")  # fmt: skip
    smoke = row(
        "SD-3", DetectorState.ALARM, value=1.0, text="SD-3 tells of smoke", since=now - timedelta(seconds=40), tripped=["E-103", "E-104"]
    )
    silent = row("SD-4", DetectorState.UNWATCHED, value=None, read_age_s=None, unwatched="it has said nothing for 12 s (illegal address)")
    return DetectorsView(at=now, detectors=[smoke, camera, silent, row("SD-5", DetectorState.QUIET)])


async def test_each_says_what_it_sees_and_which_is_not_monitored(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        depot.link.shown[DetectorsView] = seen()
        html = (await (await depot.signed_in(Role.VIEWER)).get("/safety")).text
        check(html)
        words = words_of(html)
        for part in (
            "Detectors 3 of 4 monitored",
            "Detector SD-3 smoke bay CP-03 alarm closed – 0.4 s ago SD-3 tells of smoke · since 01:11:32 · tripped: E-103, E-104",
            "Detector TC-A camera feeder A warns 63.25 °C warns 60 · trips 80 0.4 s ago",
            "Detector SD-4 smoke bay CP-03 not monitored ? – never it has said nothing for 12 s (illegal address)",
            "Detector SD-5 smoke bay CP-03 quiet open",
            "A fire alarm system is independent of this controller, and comes first.",
        ):
            assert part in words, part


async def test_machines_get_the_same_and_a_depot_without_says_so(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.VIEWER)
        none = await client.get("/api/v1/detectors")
        assert (none.status_code, "[[hazard]]" in none.json()["detail"]) == (404, True)
        assert "A fire alarm system" not in (await client.get("/safety")).text
        depot.link.shown[DetectorsView] = seen()
        found = (await client.get("/api/v1/detectors")).json()["detectors"]
        assert [one["state"] for one in found] == ["alarm", "warns", "not monitored", "quiet"]
        assert found[0]["tripped"] == ["E-103", "E-104"]
