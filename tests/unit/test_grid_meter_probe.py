"""The commissioning probe against simulated meters on real sockets, and what the command line makes of it."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest
from typer.testing import CliRunner

import controller.app.meter
import grid
from controller.app.cli import app
from controller.sections_meter import MeterSection
from controller.settings import tomllib
from grid.meter_map import MeterMap, Quantity, WordOrder
from grid.meter_probe import Finding, Trial, answering_units, fits, probe
from grid.modbus_link import ModbusLink, NoAnswer, Peer, Table
from simulator.meter_face import MeterFace
from simulator.meter_server import MeterFaults, MeterServer
from simulator.site_figures import SiteFigures

MAPS = Path(grid.__file__).parent / "meters"


def worn(name: str, *, faults: MeterFaults | None = None, volts: float = 230.0, rtu: bool = False) -> MeterServer:
    figures = SiteFigures(lambda: 63_987.3, nominal_v=volts)
    return MeterServer(lambda: 63_987.3, face=MeterFace.read(MAPS / f"{name}.toml"), figures=figures, faults=faults, rtu=rtu)


async def probed(port: int, *names: str, tell: Callable[[Trial], None] = lambda _t: None, volts: float = 230.0) -> list[Finding]:
    link = ModbusLink(Peer(host="127.0.0.1", port=port, timeout_s=0.5), label="probe")
    await link.open()
    try:
        return await probe(link, [MeterMap.named(name) for name in names or MeterMap.names()], nominal_v=volts, tell=tell)
    finally:
        link.close()


@pytest.mark.anyio
@pytest.mark.parametrize("name", MeterMap.names())
@pytest.mark.parametrize(("offset", "swapped"), [(0, False), (1, True), (-1, True)])
async def test_offset_and_word_order_of_every_map_are_found(name: str, offset: int, swapped: bool) -> None:
    map_ = MeterMap.named(name)
    if min(value.address for value in map_.values.values()) + offset < 0:
        offset = 0  # its first register is register 0: nothing lies before it
    trials: list[Trial] = []
    async with worn(name, faults=MeterFaults(offset=offset, swapped=swapped)) as server:
        found = await probed(server.port, name, tell=trials.append)
    own = map_.values[Quantity.POWER].word_order
    other = WordOrder.LITTLE if own is WordOrder.BIG else WordOrder.BIG
    best = found[0]
    assert (best.offset, best.word_order, best.table) == (offset, other if swapped else None, None)
    assert all(other.misfit > best.misfit for other in found[1:]), "a neighbour's low word makes it less exact"
    assert found[0].values.keys() == map_.values.keys()
    assert found[0].values[Quantity.POWER] == pytest.approx(63_987.3, rel=1e-5)
    assert found[0].doubts == ()
    assert found[0].expected_w == pytest.approx(63_987.3, rel=0.05)
    assert [trial.fits for trial in trials].count(True) == len(found)
    assert all(trial.words for trial in trials), "every try is explained"


@pytest.mark.anyio
@pytest.mark.parametrize("name", MeterMap.names())
async def test_auto_finds_the_map_or_one_with_the_same_registers(name: str) -> None:
    async with worn(name, faults=MeterFaults(strict=True)) as server:
        found = await probed(server.port)
    alike = {"janitza-umg96rm-e": "janitza-b-series"}  # the B series tells the phases' powers too, the UMG apparent power
    assert found[0].map.name in (name, alike.get(name))
    assert name in [finding.map.name for finding in found]


@pytest.mark.anyio
async def test_the_other_function_is_tried_where_the_maps_own_gives_nothing() -> None:
    text = (MAPS / "eastron-sdm630.toml").read_text(encoding="utf-8").replace('table = "input"', 'table = "holding"')
    face = MeterFace.of(tomllib.loads(text))
    async with MeterServer(lambda: 5_000.0, face=face) as server:
        (found,) = await probed(server.port, "eastron-sdm630")
    assert (found.table, found.offset, found.word_order) == (Table.HOLDING, 0, None)


@pytest.mark.anyio
async def test_a_meter_that_lies_is_found_and_doubted() -> None:
    async with worn("eastron-sdm630") as server:
        honest = server.figures
        server.figures = lambda: honest() | {"power": 640_000.0}
        (found,) = await probed(server.port, "eastron-sdm630")
    assert any("the phases make" in words for words in found.doubts)


@pytest.mark.anyio
async def test_what_the_meter_refuses_is_said_value_by_value() -> None:
    async with worn(
        "schneider-pm5xxx", faults=MeterFaults(refused=frozenset({"demand"}), nan=frozenset({"reactive"}), strict=True)
    ) as server:
        (found,) = await probed(server.port, "schneider-pm5xxx")
    assert found.missing.keys() == {Quantity.DEMAND, Quantity.REACTIVE}
    assert "illegal address" in found.missing[Quantity.DEMAND]
    assert "nan" in found.missing[Quantity.REACTIVE]


@pytest.mark.anyio
async def test_units_that_answer_are_found_behind_a_gateway_that_says_nobody_is_there() -> None:
    async with worn("eastron-sdm630") as server:
        link = ModbusLink(Peer(host="127.0.0.1", port=server.port, timeout_s=0.2), label="probe")
        await link.open()
        heard: list[tuple[int, bool]] = []
        assert await answering_units(link, range(3, 6), tell=lambda unit, answers: heard.append((unit, answers))) == [3, 4, 5]
        assert heard == [(3, True), (4, True), (5, True)]
        link.close()


@pytest.mark.anyio
async def test_a_device_that_says_nothing_ends_the_probe() -> None:
    everything = frozenset(MeterFace.read(MAPS / "eastron-sdm630.toml").slots)
    async with worn("eastron-sdm630", faults=MeterFaults(mute=everything)) as server:
        with pytest.raises(NoAnswer):
            await probed(server.port, "eastron-sdm630")


@pytest.mark.parametrize(
    ("hertz", "volts", "good", "words"),
    [
        (50.01, [230.0, 231.0, 229.0], True, "50.01 Hz"),
        (60.0, [240.0], True, "60.00 Hz"),
        (44.9, [230.0], False, "44.9 Hz"),
        (1e-38, [230.0], False, "1e-38 Hz"),
        (50.0, [230.0, 180.0, 230.0], False, "not within 20 %"),
        (50.0, [6_350.0, 6_351.0, 6_349.0], False, "say --volts 6350"),
        (None, [231.0], True, "231 V"),
        (None, [], False, "no voltage"),
        (50.0, [], True, "50.00 Hz"),
    ],
)
def test_what_can_be_a_grid(hertz: float | None, volts: list[float], good: bool, words: str) -> None:
    found, told = fits(hertz, volts, 230.0)
    assert found is good
    assert words in told


# -- the command ---------------------------------------------------------------------------------------------------------


@contextmanager
def meter_beside(name: str, **more: object) -> Iterator[int]:
    """A simulated meter in a thread of its own: the command runs its own loop. Gives its port."""
    ready, over = threading.Event(), threading.Event()
    ports: list[int] = []

    async def serve() -> None:
        async with worn(name, **more) as server:  # type: ignore[arg-type]
            ports.append(server.port)
            ready.set()
            await anyio.to_thread.run_sync(over.wait)

    thread = threading.Thread(target=lambda: anyio.run(serve))
    thread.start()
    assert ready.wait(10)
    try:
        yield ports[0]
    finally:
        over.set()
        thread.join()


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["meter", *arguments], env={"COLUMNS": "200"})
    return result.exit_code, result.output


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("console", "complaints"):
        monkeypatch.setattr(getattr(controller.app.meter, name), "_width", 200)


def test_the_command_prints_every_try_and_settings_that_read_the_meter() -> None:
    with meter_beside("schneider-pm5xxx", faults=MeterFaults(offset=1, swapped=True), rtu=True) as port:
        code, output = run("probe", f"127.0.0.1:{port}", "--rtu", "--map", "schneider-pm5xxx", "--unit", "3")
    assert code == 0, output
    assert len(re.findall("^(no  |fits)  schneider-pm5xxx", output, re.MULTILINE)) >= 2
    assert "50.00 Hz" in output
    lines = output[output.index("[meter]") :].splitlines()
    section = MeterSection(**tomllib.loads("\n".join(line for line in lines if line and "its as well" not in line))["meter"])
    assert section == MeterSection(
        host="127.0.0.1", port=port, unit=3, map="schneider-pm5xxx", framing="rtu", offset=1, word_order="little"
    )
    built_in = section.to_meter().map.values[Quantity.POWER]
    assert (built_in.address, built_in.word_order) == (3060, WordOrder.LITTLE)


def test_no_map_fits_is_an_answer_and_nobody_there_is_another() -> None:
    with meter_beside("eastron-sdm630", volts=63.5) as port:
        code, output = run("probe", f"127.0.0.1:{port}", "--map", "eastron-sdm630")
        assert (code, "No map fits" in output, "say --volts 63" in output) == (1, True, True)
        code, output = run("probe", f"127.0.0.1:{port}", "--map", "eastron-sdm630", "--volts", "63.5", "--scan", "1-2")
        assert (code, "nominal_v = 63.5" in output, "Units that answer: 1, 2" in output) == (0, True, True)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        code, output = run("probe", f"127.0.0.1:{taken.getsockname()[1]}", "--timeout", "0.2")
    assert (code, "does not answer" in output) == (3, True)


@pytest.mark.parametrize(
    "arguments", [["probe", "meter:port"], ["probe", "m:0"], ["probe", "m", "--scan", "9-3"], ["probe", "m", "--scan", "x"]]
)
def test_wrong_usage_says_how_to_write_it(arguments: list[str]) -> None:
    code, output = run(*arguments)
    assert code == 2
    assert "for example" in output


def test_maps_are_listed_shown_and_checked(tmp_path: Path) -> None:
    code, output = run("list")
    assert code == 0
    assert all(name in output for name in MeterMap.names())
    assert "14 of 14" in output
    code, output = run("show", "eastron-sdm630")
    assert (code, "peak_demand" in output, "Source:" in output) == (0, True, True)
    own = tmp_path / "own.toml"
    own.write_text((MAPS / "eastron-sdm630.toml").read_text(encoding="utf-8"), encoding="utf-8")
    code, output = run("check", str(own))
    assert (code, "18 values in 2 requests" in output) == (0, True)
    own.write_text(own.read_text(encoding="utf-8").replace("0x34", "0x0E"), encoding="utf-8")
    code, output = run("check", str(own))
    assert (code, "overlaps" in output) == (1, True)
