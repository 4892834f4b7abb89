"""Settings of outputs: what is dangerous is refused, with a sentence; what is declared becomes what the driver writes."""

from __future__ import annotations

from typing import Any

import pytest
from small_yard import SPEC

from controller.app.outputs import modules_of
from controller.sections_outputs import OutputSection, check_outputs
from depot.outputs import Area
from depot.values import InvalidValue

GOOD: dict[str, Any] = {
    "id": "K-A", "kind": "contactor", "scope": "feeder", "area": "A", "host": "10.0.0.9", "address": 0, "de_energised": "open",
    "read_table": "discrete", "read_address": 0, "read_on_means": "closed", "watchdog_address": 100,
}  # fmt: skip


def section(**more: Any) -> OutputSection:
    return OutputSection(**{**GOOD, **more})


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"feeds": ["charging", "auxiliary"]}, "never switches auxiliary supply: feed it ahead of the contactor"),
        ({"feeds": ["life-safety"], "kind": "isolation"}, "an isolation never switches life-safety"),
        ({"de_energised": "closed"}, "fails to the unsafe side"),
        ({"de_energised": "closed", "unsafe_when_dead": "because"}, "fails to the unsafe side"),
        ({"unsafe_when_dead": "it is what we have"}, "open is the safe side"),
        ({"read_table": "none", "read_on_means": ""}, "needs a read-back"),
        ({"read_table": "coil"}, "the read-back is the coil itself"),
        ({"read_on_means": ""}, "what does a closed contact tell"),
        ({"read_on_means": "running"}, "read_on_means of a contactor is closed or open, not running"),
        ({"de_energised": "silent"}, "de_energised of a contactor is closed or open"),
        ({"scope": "site"}, "the site has no area"),
        ({"area": ""}, "which feeder"),
        ({"sounds_s": 5}, "sounds_s is for sirens"),
        ({"kind": "ventilation", "de_energised": "stopped", "read_table": "none", "read_on_means": ""}, "fails to the unsafe side"),
    ],
)
def test_what_is_dangerous_or_makes_no_sense_is_refused(more: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        section(**more)


def test_the_unsafe_side_is_taken_with_a_reason() -> None:
    accepted = section(kind="isolation", de_energised="closed", unsafe_when_dead="shunt release of the old breaker, exchanged in March")
    assert accepted.to_spec().falls_safe is False
    assert section().to_spec().falls_safe is True


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        ([section(), section(address=1)], "two outputs have the id K-A"),
        ([section(), section(id="K-B", area="B")], "K-A and K-B are written to the same place"),
        ([section(area="C")], "there is no feeder C"),
        ([section(), section(id="K-B", area="B", address=1, watchdog_address=None)], "watchdog_address and poll_s must agree"),
        ([section(table="holding", address=100)], "written to the same place"),
    ],
)
def test_outputs_must_fit_together_and_the_depot(outputs: list[OutputSection], words: str) -> None:
    with pytest.raises(InvalidValue, match=words):
        check_outputs(outputs, SPEC)


def test_a_bay_is_a_station_where_it_has_no_name() -> None:
    check_outputs([section(scope="bay", area="CP-1")], SPEC)
    assert section(scope="bay", area="CP-1").to_spec().area == Area.of("bay", "CP-1")


class _Room:
    """As much of a room as a module needs."""

    class parts:  # as the room has it
        @staticmethod
        def steady() -> float:
            return 0.0

    def order(self, _output: str) -> bool | None:
        return None

    def alive(self) -> bool:
        return True

    def look(self) -> None:
        return


def test_one_connection_for_a_module_and_the_coil_that_its_wiring_means() -> None:
    sections = [
        section(),
        section(id="siren", kind="siren", scope="site", area="", address=3, de_energised="silent", read_table="none", read_on_means=""),
        section(id="K-B", area="B", unit=2),
    ]
    modules = modules_of(sections, _Room())  # type: ignore[arg-type]  # see the class
    assert [sorted(module.sights) for module in modules] == [["K-A", "siren"], ["K-B"]]
    coil_on = {point.output_id: point.on_is_emergency for module in modules for point in module._points}
    assert coil_on == {"K-A": False, "siren": True, "K-B": False}
