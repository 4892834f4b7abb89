"""The registry: files are previewed, applied as journaled facts, exported and imported again without a change."""

from __future__ import annotations

import itertools
import json
import re
import stat
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from small_yard import ONE, SPEC, TWO, SmallYard, run

from controller import departures_import
from controller.departures_import import timetable_of
from controller.departures_view import departures_view
from controller.import_reader import Change, Known, known_of
from controller.link import MAX_REQUEST, decode_command, encode_command
from controller.names import NameBook, NamesError
from controller.registry import Registry
from controller.registry_export import export
from controller.registry_import import COLUMNS, Kind, Preview, commands, preview
from controller.registry_view import DriversView, FleetView, SiteDeclarationView, fleet_view
from controller.sheets import MAX_ROWS
from controller.site_changes import cautions, overlay
from depot import commands as cmd
from depot import events as ev
from depot.registry import FeederSpec
from depot.values import PackKey

VEHICLES = b"""vehicle_id,model,battery_kwh,ac_max_kw,dc_max_kw,efficiency,pausable,id_tags,connector
E-1,Bus 12 m,250,0,120,92 %,yes,04A1 04B2,CP-1
E-2,Bus 9 m,160.5,22,80,0.9,,04C3,
V-1,,,,,,,,
"""
PACKS = b"vehicle;pack;chemistry;capacity;cells\nE-1;P1;lfp;125;180\nE-1;P2;LFP;125,5;180\nE-2;P1;;;\n"
DRIVERS = "driver_id,name,id_tags\nD-1,Ananya Kulkarni,CARD1\nD-2,José,CARD2 CARD3\n".encode()


class Depot:
    """A small yard with the registry's room, asked and told as over the link."""

    def __init__(self, folder: Path) -> None:
        self.small = SmallYard()
        self.names = NameBook(folder, "small")
        self.room = Registry(self.small.yard, base=SPEC, names=self.names)
        self.small.orders.carriers.update(self.room.commands)
        self._ids = itertools.count()

    async def view(self, kind: type) -> object:
        return await self.room.views[kind]({})

    async def known(self) -> Known:
        fleet, drivers, site = [await self.view(kind) for kind in (FleetView, DriversView, SiteDeclarationView)]
        assert isinstance(fleet, FleetView)
        assert isinstance(drivers, DriversView)
        assert isinstance(site, SiteDeclarationView)
        return known_of(fleet, drivers, site)

    async def tell(self, command: cmd.Command) -> cmd.CommandResult:
        return await self.small.orders.execute(decode_command(*encode_command(command)))

    async def load(self, kind: Kind, data: bytes, **how: bool) -> Preview:
        found = preview(kind, data, await self.known(), **how)
        assert not found.complaints, found.complaints
        for command in commands(found, new_id=lambda: f"c{next(self._ids)}", actor="mani", reason="import"):
            result = await self.tell(command)
            assert result.status is cmd.CommandStatus.DONE, result
        return found


def test_files_become_facts_and_go_round(tmp_path: Path) -> None:
    async def story() -> None:
        depot = Depot(tmp_path)
        first = await depot.load(Kind.VEHICLES, VEHICLES)
        assert first.summary() == "3 added"
        await depot.load(Kind.PACKS, PACKS)
        await depot.load(Kind.DRIVERS, DRIVERS)
        state = depot.small.journal.state
        bus = state.vehicles["E-1"]
        assert (bus.battery_wh, bus.ac_max_w, bus.dc_max_w, bus.efficiency, bus.pausable) == (250_000, 0, 120_000, 0.92, True)
        assert bus.connector == ONE
        assert state.vehicles["V-1"].battery_wh is None  # unknown is not 0
        assert state.packs[PackKey("E-1", "P2")].capacity_wh == 125_500
        assert (state.packs[PackKey("E-1", "P1")].chemistry, state.packs[PackKey("E-2", "P1")].chemistry) == ("LFP", "unknown")
        driver = state.driver_by_tag("CARD3")
        assert driver is not None
        assert driver.driver_id == "D-2"
        before = len(depot.small.journal.facts)
        for kind in Kind:
            for as_json in (False, True):
                again = await depot.load(kind, export(kind, await depot.known(), as_json=as_json), remove_missing=True)
                assert {line.change for line in again.lines} == {Change.UNCHANGED}, (kind, again.lines)
        assert len(depot.small.journal.facts) == before

    run(story())


def test_a_change_says_what_it_changes_and_who_did_it(tmp_path: Path) -> None:
    async def story() -> None:
        depot = Depot(tmp_path)
        await depot.load(Kind.VEHICLES, VEHICLES)
        found = await depot.load(Kind.VEHICLES, b"vehicle_id,battery_kwh\nE-1,260\nE-2,160.5\n", remove_missing=True)
        assert [(line.name, line.change, line.words) for line in found.lines] == [
            ("E-1", Change.CHANGED, ("battery 250 → 260 kWh",)),
            ("E-2", Change.UNCHANGED, ()),
            ("V-1", Change.REMOVED, ()),
        ]
        assert set(depot.small.journal.state.vehicles) == {"E-1", "E-2"}
        assert depot.small.journal.state.vehicles["E-1"].id_tags == ("04A1", "04B2")  # no such column: kept
        fact = next(e for e in reversed(depot.small.journal.facts) if isinstance(e.data, ev.VehicleRegistered))
        assert fact.actor == "mani"

    run(story())


@pytest.mark.parametrize(
    ("kind", "data", "complaints"),
    [
        (
            Kind.VEHICLES,
            b"vehicle_id,battery_kwh,efficiency,pausable,connector,id_tags\n"
            b"E-9,abc,0.1,perhaps,CP-77,X\nE-9,1,,,,\n,1,,,,\nE-8,-1,,,,A A\nE-7,,,,,x\n",
            [
                "row 2, battery_kwh: 'abc' is not a number",
                "row 2, pausable: 'perhaps' is neither",
                "row 2, connector: there is no connector 'CP-77'",
                "row 2: vehicle E-9: efficiency 0.1",
                "row 3: vehicle E-9 stands in row 2 already",
                "row 4: '' is no id",
                "row 5, battery_kwh: -1 must be within",
                "row 5: vehicle E-8 has a tag twice",
            ],
        ),
        (Kind.VEHICLES, b"vehicle_id,id_tags\nE-9,same\nE-8,SAME\n", ["row 3, id_tags: vehicles E-9 and E-8 have the same tag"]),
        (
            Kind.PACKS,
            b"vehicle_id,pack_id,chemistry,cells\nE-77,P1,LFP,1\nE-1,P1,LiPo,1.5\n",
            [
                "row 2, vehicle_id: vehicle 'E-77' is not registered",
                "row 3, chemistry: 'LiPo' is not known",
                "row 3, cells: 1.5 is not a whole",
            ],
        ),
        (Kind.DRIVERS, b"driver_id,name\nD/1,x\nD-2," + b"n" * 81, ["row 2: 'D/1' is no id", "row 3, name: at most 80"]),
        (
            Kind.STATIONS,
            b"station_id,connector,feeder_id,rated_kw,phases,current,min_kw\n"
            b"CP-1,1,Z,60,1,DC,\nCP-1,2,A,60,4,DC,\nCP-9,1,A,22,,AC,50\nCP 8,1,A,22,1 2 3,AC,\nCP-1,1,Z,60,1,DC,\n",
            [
                "row 3, feeder_id: differs from row 2 of the same station",
                "row 3, phases: '4': write the phases as 1",
                "row 4: min_kw (50) is above rated_kw (22)",
                "row 5, key_hash: CP 8 is new",
                "row 6: connector CP-1/1 stands in row 2 already",
            ],
        ),
        (Kind.FEEDERS, b"feeder_id,rating_kw\nC,100\nA,0\n", ["row 2, feeder_id: 'C' is not in the settings file", "row 3, rating_kw"]),
    ],
)
def test_all_mistakes_of_a_file_are_named_at_once_and_nothing_is_applied(
    tmp_path: Path, kind: Kind, data: bytes, complaints: list[str]
) -> None:
    async def story() -> None:
        depot = Depot(tmp_path)
        await depot.load(Kind.VEHICLES, VEHICLES)
        found = preview(kind, data, await depot.known(), remove_missing=True)
        said = [str(c) for c in found.complaints]
        assert len(said) == len(complaints), said
        assert all(a.startswith(b) for a, b in zip(said, complaints, strict=True)), said
        assert not found.applicable
        assert (found.puts, found.removes) == ((), ())
        with pytest.raises(ValueError, match="not applied"):
            commands(found, new_id=str, actor="a", reason="r")

    run(story())


def test_the_core_checks_again_and_all_or_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        depot = Depot(tmp_path)
        await depot.load(Kind.VEHICLES, VEHICLES)
        await depot.load(Kind.PACKS, PACKS)
        state = depot.small.journal.state
        depot.small.arrive(TWO, "E-2")
        depot.small.put(ev.PackTripped(PackKey("E-1", "P1"), "smoke"))
        bus, other = state.vehicles["E-1"], state.vehicles["E-2"]
        pack = state.packs[PackKey("E-1", "P1")]
        refused: list[tuple[Mapping[str, object], str]] = [
            ({"vehicles": (replace(bus, model="x"), replace(other, id_tags=("04a1",)))}, "same tag"),
            ({"vehicles": (replace(other, connector=ONE._replace(station_id="CP-99")),)}, "no connector CP-99/1"),
            ({"packs": (replace(pack, chemistry="LiPo"),)}, "not known"),
            ({"packs": (replace(pack, key=PackKey("E-9", "P1")),)}, "not registered"),
            ({"remove_vehicles": ("E-2",)}, "plugged in at CP-2/1"),
            ({"remove_vehicles": ("E-1",)}, "is tripped"),
            ({"remove_packs": (PackKey("E-1", "P1"),)}, "is tripped"),
        ]
        for k, (change, why) in enumerate(refused):
            result = await depot.tell(cmd.ChangeRegistry(command_id=f"r{k}", actor="mani", **change))  # type: ignore[arg-type]
            assert result.status is cmd.CommandStatus.REFUSED
            assert why in result.message
        assert depot.small.journal.state.vehicles == state.vehicles

    run(story())


def test_names_stay_out_of_the_journal_and_go_with_the_driver(tmp_path: Path) -> None:
    async def story() -> None:
        depot = Depot(tmp_path)
        await depot.load(Kind.DRIVERS, DRIVERS)
        assert not any("Ananya" in repr(fact) for fact in depot.small.journal.facts)
        file = tmp_path / "small-drivers.json"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert json.loads(file.read_text("utf-8"))["D-1"] == "Ananya Kulkarni"
        assert NameBook(tmp_path, "small").name_of("D-2") == "José"
        await depot.load(Kind.DRIVERS, b"driver_id,name\nD-2,Joseph\n")  # tags kept, only the name changes
        assert depot.names.name_of("D-2") == "Joseph"
        found = await depot.load(Kind.DRIVERS, b"driver_id\nD-2\n", remove_missing=True)
        assert found.summary() == "1 unchanged, 1 removed"
        assert "Ananya" not in file.read_text("utf-8")
        file.write_text("{", encoding="utf-8")
        with pytest.raises(NamesError, match="damaged"):
            NameBook(tmp_path, "small")

    run(story())


def test_large_files_are_divided_so_that_each_command_fits_the_link(tmp_path: Path) -> None:
    rows = "".join(f"V-{k},{'m' * 100},{' '.join(f'T{k}x{n}' for n in range(12))}\n" for k in range(MAX_ROWS))
    found = preview(Kind.VEHICLES, b"vehicle_id,model,id_tags\n" + rows.encode(), Known())
    made = commands(found, new_id=lambda: "c" * 36, actor="a" * 64, reason="r" * 200)
    assert sum(len(c.vehicles) for c in made if isinstance(c, cmd.ChangeRegistry)) == MAX_ROWS
    assert all(len(json.dumps(encode_command(c)[1])) < MAX_REQUEST for c in made)


# -- stations and feeders -------------------------------------------------------------------------------------------------

KEY = "ab" * 32


def test_changes_of_the_site_wait_for_the_next_start(tmp_path: Path) -> None:
    async def story() -> None:
        depot = Depot(tmp_path)
        text = "station_id,connector,feeder_id,current,rated_kw,phases,bay,key_hash\n"
        text += f"CP-9,1,B,AC,22,L1 L2 L3,Bay 9,{KEY}\nCP-9,2,B,AC,7.4,2,Bay 9,{KEY}\n"
        await depot.load(Kind.STATIONS, text.encode())
        await depot.load(Kind.STATIONS, b"station_id,connector,feeder_id\nCP-1,1,B\n")
        await depot.load(Kind.FEEDERS, b"feeder_id,rating_kw,name\nA,120,North\n")
        view = await depot.view(SiteDeclarationView)
        assert isinstance(view, SiteDeclarationView)
        assert view.pending
        assert any("CP-1 is counted on feeder B and no more on A" in words for words in view.cautions)
        rows = {row.station_id: row for row in view.stations}
        assert (rows["CP-9"].now, rows["CP-9"].in_file) == (None, False)
        assert depot.small.yard.spec is SPEC  # what the limiter works by has not moved
        state = depot.small.journal.state
        site = overlay(SPEC, state.declared_stations, state.declared_feeders)
        assert (site.key_hashes, site.left_out) == ({"CP-9": KEY}, ())
        new = next(s for s in site.spec.stations if s.station_id == "CP-9")
        assert [(c.phases, c.min_w) for c in new.connectors] == [((1, 2, 3), 4140), ((2,), 1380)]
        assert site.spec.feeder_of[ONE] == "B"
        assert site.spec.feeders[0] == FeederSpec("A", 120_000, "North")
        result = await depot.tell(cmd.ChangeSite(command_id="w", actor="m", withdraw_stations=("CP-9", "CP-1"), withdraw_feeders=("A",)))
        assert result.status is cmd.CommandStatus.DONE
        state = depot.small.journal.state
        assert overlay(SPEC, state.declared_stations, state.declared_feeders).spec == SPEC

    run(story())


def test_what_would_make_the_limiter_unsafe_is_refused(tmp_path: Path) -> None:
    async def story() -> None:
        depot = Depot(tmp_path)
        station = SPEC.stations[0]
        connector = station.connectors[0]
        refused: list[tuple[Mapping[str, object], str]] = [
            ({"feeders": (FeederSpec("A", 151_000),)}, "more than the 150 kW of the settings file"),
            ({"feeders": (FeederSpec("C", 1_000),)}, "not in the settings file"),
            ({"feeders": (FeederSpec("A", 0),)}, "greater than 0"),
            ({"stations": (replace(station, feeder_id="C"),)}, "feeder 'C'"),
            ({"stations": (replace(station, station_id="NEW"),)}, "needs key_hash"),
            ({"stations": (replace(station, station_id="A B"),), "key_hashes": {"A B": KEY}}, "String should match"),
            ({"stations": (replace(station, connectors=(replace(connector, phases=(4,)),)),)}, "less than or equal to 3"),
            ({"stations": (replace(station, connectors=(connector, connector)),)}, "same number"),
            ({"stations": (replace(station, connectors=()),)}, "at least 1"),
            ({"retire_stations": ("CP-1",)}, "is connected"),
            ({"retire_stations": ("CP-77",)}, "none to retire"),
        ]
        for k, (change, why) in enumerate(refused):
            result = await depot.tell(cmd.ChangeSite(command_id=f"s{k}", actor="m", **change))  # type: ignore[arg-type]
            assert result.status is cmd.CommandStatus.REFUSED, change
            assert why in result.message, result.message
        assert not depot.small.journal.state.declared_stations

    run(story())


def test_the_file_holds_once_it_has_changed_and_a_start_is_never_stopped(tmp_path: Path) -> None:
    async def story() -> None:
        depot = Depot(tmp_path)
        station = SPEC.stations[0]
        moved = replace(station, feeder_id="B")
        depot.small.yard.links.clear()  # nobody is connected, so CP-2 may go
        await depot.tell(
            cmd.ChangeSite(command_id="1", actor="m", stations=(moved,), retire_stations=("CP-2",), feeders=(FeederSpec("A", 90_000),))
        )
        state = depot.small.journal.state
        bay = replace(station, bay_id="Bay 1")
        newer = replace(SPEC, stations=(bay, *SPEC.stations[1:]))
        site = overlay(newer, state.declared_stations, state.declared_feeders)
        assert site.spec.stations[0] == bay  # the file's newer word
        assert [s.station_id for s in site.spec.stations] == ["CP-1", "CP-3"]
        assert site.left_out == ("station CP-1: the settings file has changed since; the settings file holds",)
        assert cautions(SPEC, site.spec) == ["CP-2 is not counted any more: be sure that it is disconnected from the supply"]
        lower = replace(SPEC, feeders=(FeederSpec("A", 70_000), FeederSpec("B", 80_000)))
        assert overlay(lower, {}, state.declared_feeders).spec.feeders[0].rating_w == 70_000  # the smaller one holds
        gone = replace(SPEC, feeders=SPEC.feeders[1:], stations=SPEC.stations[2:])
        assert len(overlay(gone, state.declared_stations, state.declared_feeders).left_out) == 2

    run(story())


def test_facts_are_stamped_with_the_command_that_caused_them(tmp_path: Path) -> None:
    async def story() -> None:
        depot = Depot(tmp_path)
        await depot.load(Kind.VEHICLES, VEHICLES)
        asked = next(e for e in depot.small.journal.facts if isinstance(e.data, ev.CommandRequested))
        made = [e for e in depot.small.journal.facts if isinstance(e.data, ev.VehicleRegistered)]
        assert {e.cause_id for e in made} == {asked.id}
        assert isinstance(asked.data, ev.CommandRequested)
        assert asked.data.detail == {"vehicle": "E-1, E-2, V-1"}

    run(story())


def test_the_files_of_the_manual_are_read_as_they_stand_there(tmp_path: Path) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "registry.md").read_text(encoding="utf-8")
    examples = dict(re.findall(r"```csv (\w+)\n(.*?)```", page, re.DOTALL))
    assert set(examples) == {kind.value for kind in Kind} | {"departures"}

    async def story() -> None:
        depot = Depot(tmp_path)
        for kind in Kind:
            assert (await depot.load(kind, examples[kind.value].encode())).applicable, kind
        for columns in (*COLUMNS.values(), departures_import.COLUMNS):
            assert all(f"`{column}`" in page or column in page for column in columns), columns
        view = departures_view(depot.small.yard, depot.small.views.ready, {"limit": "500"})
        known = timetable_of(view, fleet_view(depot.small.yard))
        found = departures_import.preview_departures(examples["departures"].encode(), known)
        # the manual's site has the second connector of CP-3 from the next start on
        assert [str(c) for c in found.complaints] == ["row 3, connector: there is no connector 'CP-3/2'"]

    run(story())
