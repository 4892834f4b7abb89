"""Profile dumps: whole ones are read, broken ones as far as they go, everything else is refused. The real ones need the data sets."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bms_bridge.profile_dump import NotADump, parse_dump, read_dump
from controller.app.battery_cli import battery

HEAD = """,
ESS BMS and Battery Module Profile Data
,
Data retrieved: 08/02/2018 @ 09:46:06
,
Mfg Data (ASCII): PACK-1.........................
,
<Battery Current (A)>
,
,< -10.0,-10.0,0.0,>= 10.0,,TOTAL
 ,1,2,3,4,,10
<Battery Voltage (V)>
,
,< 600.0,>= 600.0,,TOTAL
 ,0,0,,0
<Power (kW)>
,
,< 0.0,>= 0.0,,TOTAL
 ,7,3,,10
"""
MODULE = """MODULE 1
,
Mfg Data (ASCII): M-1....
,
<Cell Voltages (V)>
,
,< 3.0,3.0,>= 3.2,,TOTAL
CELL 1,0,8,2,,10
CELL 2,0,9,1,,10
,
<Cell Balancers>
,
,Off,On,,TOTAL
CELL 1,8,2,,10
CELL 2,10,0,,10
,
<Module Temperatures (deg C)>
,
,< 40.0,40.0,45.0,>= 50.0,,TOTAL
TEMP SENSOR 1,6,2,1,1,,10
,
<Module Voltages (V)>
,
,< 30.0,>= 30.0,,TOTAL
 ,0,10,,10
"""


def test_a_whole_dump_is_read() -> None:
    dump = parse_dump(HEAD + MODULE)
    assert dump.whole, dump.problems
    assert (dump.serial, dump.retrieved_at) == ("PACK-1", datetime(2018, 8, 2, 9, 46, 6))
    assert dump.current_a is not None
    assert dump.current_a.edges == (-10, 0, 10)
    assert dump.current_a.counts == (1, 2, 3, 4)
    assert dump.current_a.mean == pytest.approx((-10 - 2 * 5 + 3 * 5 + 4 * 10) / 10)
    assert dump.current_a.seen == (-10, 10)
    assert dump.voltage_v is not None
    assert (dump.voltage_v.mean, dump.voltage_v.seen) == (None, None)
    (module,) = dump.modules
    assert (module.number, module.serial, module.balanced) == (1, "M-1", (0.2, 0.0))
    assert [cell.counts for cell in module.cells_v] == [(0, 8, 2), (0, 9, 1)]
    assert module.temperatures_c[0].share_from(45) == pytest.approx(0.2)


def test_what_a_spreadsheet_saved_again_says_the_same() -> None:
    again = (HEAD + MODULE).replace("-10.0", "-10").replace("\n", ",,,,,,,,\r\n")
    assert parse_dump(again) == parse_dump(HEAD + MODULE)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (HEAD, "no module is in the file"),
        (HEAD.replace(" ,1,2,3,4,,10", " ,1,2,,,10\n,,#### ERROR READING BMS DATA - SCRIPT TERMINATED ####") + MODULE, "2 of 4 bins"),
        (HEAD + "MODULE 7\n,\n**** MODULE NOT RESPONDING ****\n", "modules that did not answer: 7"),
        (HEAD + MODULE[: MODULE.index("TEMP SENSOR") + 20], "module 1: the file ends before temperatures and its voltage"),
        (HEAD + MODULE.replace("CELL 1,0,8,2,,10", "CELL 1,0,8,2,,11"), "its bins count 10 samples, its total says 11"),
        (HEAD + MODULE.replace("CELL 1,8,2,,10", "CELL 1,8,x,,10"), "off and on are not both there"),
        (HEAD.replace("<Power (kW)>", "<Power (kW)") + MODULE, "Power: not in the file"),
        (HEAD.replace(",< 600.0,>= 600.0,,TOTAL", ",< 600.0,>= sixhundred,,TOTAL") + MODULE, "Battery Voltage: 2 of 1 bins are there"),
    ],
)  # fmt: skip
def test_a_broken_dump_is_read_as_far_as_it_goes(text: str, problem: str) -> None:
    dump = parse_dump(text)
    assert any(problem in told for told in dump.problems), dump.problems
    assert dump.serial == "PACK-1"


@pytest.mark.parametrize("raw", [b"", b"\r\n \n", b"time,volt\n1,2\n", b"\x00\xff" * 500, b"x" * 5_000_000])
def test_another_file_is_refused(raw: bytes, tmp_path: Path) -> None:
    file = tmp_path / "dump.csv"
    file.write_bytes(raw)
    with pytest.raises(NotADump, match=r"dump\.csv"):
        read_dump(file)
    with pytest.raises(NotADump, match="cannot be read"):
        read_dump(tmp_path)


def test_the_command_shows_what_is_there_and_says_what_is_missing(tmp_path: Path) -> None:
    whole, cut, other = (tmp_path / name for name in ("whole.csv", "cut.csv", "other.csv"))
    whole.write_text(HEAD + MODULE)
    cut.write_text(HEAD)
    other.write_text("no")
    runner = CliRunner()
    result = runner.invoke(battery, ["profile", str(whole)])
    assert result.exit_code == 0, result.output
    assert "2 cells" in result.output
    assert "20.00%" in result.output
    assert runner.invoke(battery, ["profile", str(cut)]).exit_code == 1
    assert runner.invoke(battery, ["profile", str(other), str(whole)]).exit_code == 2
    told = json.loads(runner.invoke(battery, ["profile", "--json", str(cut)]).output)
    assert told["problems"] == ["no module is in the file"]
    assert told["current_a"]["counts"] == [1, 2, 3, 4]


@pytest.mark.data
def test_real_dumps_load_and_the_broken_ones_say_what_is_missing(data_dir: Path) -> None:
    dumps = {path.name: read_dump(path) for path in sorted((data_dir / "battery" / "kcm_hybrid_bus").glob("*.csv"))}
    broken = {name: dump for name, dump in dumps.items() if not dump.whole}
    assert len(dumps) == 11
    assert len(broken) == 2
    for name, dump in dumps.items():
        if name not in broken:
            assert [len(m.cells_v) for m in dump.modules] == [12] * 16
            assert dump.voltage_v is not None
            assert 620 < (dump.voltage_v.mean or 0) < 640  # LFP, 16 modules of 12 cells
    empty, partial = (broken[name] for name in sorted(broken))
    assert empty.current_a is None
    assert any("1, 2, 3" in problem for problem in empty.problems), empty.problems
    assert partial.power_kw is not None
    assert len(partial.modules[0].cells_v) == 12
    # of one bus four dumps: its counters only grow
    totals = [d.current_a.total for n, d in dumps.items() if d.serial == "13J0014" and d.current_a is not None]
    assert totals == sorted(totals)
    assert len(totals) == 6
