"""``./chargeyard can``: what it prints, and with which code it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cantools.database.can import Database
from typer.testing import CliRunner, Result

from bms_bridge.pseudonym import PREFIX
from controller.app.cli import app

MAPS = Path(__file__).resolve().parents[2] / "bms_bridge" / "can" / "maps"
VIN = "LZZ5CCCD8ND123456"


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["can", *words])


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    """Three seconds of the example pack as candump writes them, with a stranger's frame and a last line that is cut short."""
    pack = Database()
    pack.add_dbc_file(str(MAPS / "example-pack.dbc"))
    lines = []
    for n in range(30):
        stamp = f"({1_700_000_000 + 0.1 * n:.6f}) can0"
        state = pack.encode_message("PackState", {"Voltage": 630, "Current": 100 + n, "Soc": 61.5, "Soh": 97, "Mode": 2})
        cells = pack.encode_message("CellVoltages", {"Block": n % 4, **{f"Cell_{3 * (n % 4) + k:03d}": 3300 for k in range(3)}})
        lines += [f"{stamp} 200#{state.hex()}", f"{stamp} 202#{cells.hex()}", f"{stamp} 7AB#00"]
    path = tmp_path / "drive.log"
    path.write_text("\n".join([*lines, "(1700000003.0"]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def charge(tmp_path: Path) -> Path:
    """A few messages of a charging line; the recognition with its VIN by the transport protocol. One stamp on every line."""
    brm = bytes.fromhex("01010003F005400E010000000100000063 0B0895000001FF".replace(" ", "")) + VIN.encode() + bytes(8)
    rows = ["1826F456#010100", "1801F456#0001010101313233", "1CEC56F4#10310007FF000200"]
    rows += [f"1CEB56F4#{n + 1:02X}{brm[7 * n : 7 * n + 7].hex()}" for n in range(7)]
    rows += ["181056F4#A510580E02"] * 60 + ["181356F4#1E360635 0F0010".replace(" ", ""), "101956F4#00010000"]
    path = tmp_path / "charge.log"
    path.write_text("\n".join(f"(1700000000.000000) can0 {row}" for row in rows) + "\n", encoding="utf-8")
    return path


def test_a_log_becomes_the_samples_that_the_controller_would_have_made(drive: Path) -> None:
    done = run("decode", str(drive), "--dbc", "example-pack", "--map", "example-pack", "--json")
    assert done.exit_code == 0, done.output
    samples = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [sample["at"] for sample in samples] == ["2023-11-14T22:13:21.000Z", "2023-11-14T22:13:22.000Z"]
    assert samples[-1]["cells_v"] == [3.3] * 12
    assert (samples[-1]["soc"], samples[-1]["current_a"], samples[-1]["stop"]) == (0.615, 120.0, False)
    assert "lines passed over, as they are no frames: 1" in done.stderr


def test_the_table_says_ranges_and_what_the_log_is(drive: Path) -> None:
    done = run("decode", str(drive), "--dbc", "example-pack", "--map", "example-pack", "--table")
    assert done.exit_code == 0
    assert "current_a" in done.stdout
    assert "90 frames in 2.9 s, 60 of this map; 2 samples." in done.stdout


def test_a_dbc_alone_tells_every_signal_for_who_writes_a_map(drive: Path) -> None:
    done = run("decode", str(drive), "--dbc", "example-pack")
    assert done.exit_code == 0
    assert "PackState.Current" in done.stdout
    assert "30 of 1 identifiers that it does not have" in done.stdout
    rows = [json.loads(line) for line in run("decode", str(drive), "--dbc", "example-pack", "--json").stdout.splitlines()]
    current = next(row for row in rows if row["signal"] == "PackState.Current")
    assert (current["count"], current["least"], current["most"], current["unit"]) == (30, 100, 129, "A")


def test_a_charging_line_needs_no_dbc_and_never_shows_a_vin(charge: Path) -> None:
    shown = run("decode", str(charge), "--gbt")
    told = run("decode", str(charge), "--gbt", "--json")
    assert (shown.exit_code, told.exit_code) == (0, 0)
    for output in (shown.output, told.output):
        assert VIN not in output
        assert VIN.encode().hex() not in output.lower()
    messages = [json.loads(line) for line in told.stdout.splitlines() if line.startswith("{")]
    assert [message["message"] for message in messages if message["message"] != "BCL"] == ["CHM", "CRM", "BRM", "BSM", "BST"]
    assert messages[-1]["reasons"] == ["insulation fault"]
    assert messages[2]["vehicle"].startswith(PREFIX)
    assert messages[-1]["estimated"] is True
    assert "stand at a time that does not go on" in told.stderr


@pytest.mark.parametrize(
    "words",
    [(), ("--dbc", "example-pack", "--gbt"), ("--map", "example-pack"), ("--dbc", "example-pack", "--json", "--table")],
)
def test_what_contradicts_itself_is_wrong_usage(words: tuple[str, ...], drive: Path) -> None:
    assert run("decode", str(drive), *words).exit_code == 2


def test_a_log_in_which_nothing_fits_is_answered_with_no(drive: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.log"
    other.write_text("(1.0) can0 7FF#00\n", encoding="utf-8")
    assert run("decode", str(other), "--dbc", "example-pack", "--map", "example-pack").exit_code == 1
    assert run("decode", str(drive), "--gbt").exit_code == 1


def test_maps_are_listed_shown_and_checked(tmp_path: Path) -> None:
    assert "foxbms-2" in run("maps").stdout
    assert "PackState.Soc" in run("maps", "example-pack").stdout
    assert "the map itself is sound" in run("check", "foxbms-2").stdout
    assert "The map can be used" in run("check", "example-pack", "--dbc", "example-pack").stdout
    wrong = tmp_path / "own.toml"
    wrong.write_text((MAPS / "example-pack.toml").read_text(encoding="utf-8").replace("PackState.Soc", "PackState.Sok"), encoding="utf-8")
    done = run("check", str(wrong), "--dbc", "example-pack")
    assert done.exit_code == 1
    assert "own.toml line 12: message PackState has no signal Sok; it has Soh, Soc" in done.stderr.replace("\n", "")
    broken = tmp_path / "maker.dbc"
    broken.write_text("BO_ 1 X: 8 Y\n SG_ oh dear\nBO_ 2 Z: 8 Y\n", encoding="utf-8")
    done = run("check", str(wrong), "--dbc", str(broken))
    assert done.exit_code == 1
    assert "maker.dbc line 3" in done.stderr.replace("\n", "")
