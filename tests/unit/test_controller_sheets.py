"""Tables as spreadsheets write them, and as nobody should: read alike, or refused with row and column."""

from __future__ import annotations

import pytest

from controller.sheets import MAX_BYTES, MAX_ROWS, CellError, Row, read_sheet, write_csv, write_json

COLUMNS = ("vehicle_id", "battery_kwh", "model")


def read(data: bytes) -> object:
    sheet = read_sheet(data, "vehicles", COLUMNS, needed=("vehicle_id",), aliases={"vehicle": "vehicle_id"})
    return [str(c) for c in sheet.complaints] or [{k: v for k, v in row.cells.items() if v} for row in sheet.rows]


SAME = [{"vehicle_id": "E-1", "battery_kwh": "250.5"}, {"vehicle_id": "É-2"}]


@pytest.mark.parametrize(
    "data",
    [
        "vehicle_id,battery_kwh\nE-1,250.5\nÉ-2,\n".encode(),
        "\ufeffvehicle_id,battery_kwh\r\nE-1,250.5\r\nÉ-2\r\n".encode(),
        "Vehicle;Battery (kWh);;\nE-1;250.5;;\nÉ-2;;;\n".encode(),
        "sep=;\nvehicle_id;battery_kwh\nE-1;250.5\n;\n\nÉ-2;\n".encode(),
        "vehicle id\tBATTERY-kWh\nE-1\t250.5\nÉ-2\t\n".encode("utf-16"),
        '"vehicle_id","battery_kwh"\n"E-1"," 250.5 "\n"É-2",""'.encode(),
        b'{"schema":"chargeyard-registry/1","kind":"vehicles","rows":[{"vehicle":"E-1","battery_kwh":250.5},'
        b'{"vehicle":"\xc3\x89-2","battery_kwh":null}]}',
    ],
)
def test_quirks_of_spreadsheets_read_alike(data: bytes) -> None:
    assert read(data) == SAME


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b"  \n \n", "empty"),
        (b"vehicle_id\n", "no rows"),
        (b"PK\x03\x04....", "workbook"),
        ("vehicle_id\nÉ".encode("latin-1"), "CSV UTF-8"),
        (b"vehicle_id\nE\x001", "NUL"),
        (b"x" * (MAX_BYTES + 1), "1 MB is the most"),
        (b"vehicle_id\n" + b"E\n" * (MAX_ROWS + 1), "divide it"),
        (b"vehicle_id\n" + b"E\n" * (MAX_ROWS * 3), "divide it"),
        (b"vehicle_id,batery_kwh\nE,1", "did you mean battery_kwh"),
        (b"vehicle_id,zzz\nE,1", "known here: vehicle_id, battery_kwh, model"),
        (b"vehicle_id,vehicle\nE,1", "twice"),
        (b"model\nE", "column vehicle_id is missing"),
        (b'vehicle_id\n"E', "quotation mark"),
        (b"vehicle_id\nE,1", "row 2: has 2 cells"),
        (b"vehicle_id\n" + b"E" * 501, "row 2, vehicle_id: more than 500"),
        (b"sep=#\nvehicle_id\nE", "divided by '#'"),
        (b'{"kind": "vehicles", "rows": []}', "chargeyard-registry/1"),
        (b'{"schema": "chargeyard-registry/1", "kind": "packs", "rows": []}', "holds packs, not vehicles"),
        (b'{"schema": "chargeyard-registry/1", "kind": "vehicles", "rows": 3}', "list of objects"),
        (b'{"schema": "chargeyard-registry/1", "kind": "vehicles", "rows": [], "x": 1}', "unknown in the JSON"),
        (b"[" * 100_000, "nested too deep|is none"),
        (b'{"a": NaN}', "is none"),
    ],
)
def test_what_is_no_table_is_refused_with_the_reason(data: bytes, why: str) -> None:
    sheet = read_sheet(data, "vehicles", COLUMNS, needed=("vehicle_id",), aliases={"vehicle": "vehicle_id"})
    assert len(sheet.complaints) == 1
    assert any(part in str(sheet.complaints[0]) for part in why.split("|")), sheet.complaints


@pytest.mark.parametrize(
    ("cell", "comma", "value"),
    [
        ("12.5", False, 12.5),
        ("12,5", True, 12.5),
        (" 1 ", False, 1.0),
        ("", False, None),
        ("1e3", False, 1000.0),
        ("1\u202f200", False, 1200.0),
    ],
)
def test_numbers(cell: str, comma: bool, value: float | None) -> None:
    assert Row(1, {"x": cell.strip()}, comma).number_of("x") == value


@pytest.mark.parametrize("cell", ["12,5", "1,234.5", "abc", "nan", "inf", "-1", "1_000", "1e9"])
def test_what_is_no_number(cell: str) -> None:
    with pytest.raises(CellError):
        Row(1, {"x": cell}).number_of("x")


def test_shares_are_read_as_people_write_them() -> None:
    read = {text: Row(1, {"x": text}).share_of("x") for text in ("80", "80 %", "0.8", "1", "1 %", "100", "")}
    assert read == {"80": 0.8, "80 %": 0.8, "0.8": 0.8, "1": 1.0, "1 %": 0.01, "100": 1.0, "": None}


def test_no_cell_that_is_written_begins_a_formula_and_it_comes_back() -> None:
    evil = ["=1+1", "+1-cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "'quoted", "-5", "a,b", 'say "x"']
    rows = [{"vehicle_id": f"E{k}", "model": cell} for k, cell in enumerate(evil)]
    written = write_csv(("vehicle_id", "model"), rows)
    for line in written.decode("utf-8-sig").splitlines()[1:5]:
        assert line.partition(",")[2].lstrip('"').startswith("'")
    back = read_sheet(written, "vehicles", COLUMNS, needed=(), aliases={})
    assert [row.text("model") for row in back.rows] == evil
    again = read_sheet(write_json("vehicles", ("vehicle_id", "model"), rows), "vehicles", COLUMNS, needed=(), aliases={})
    assert [row.text("model") for row in again.rows] == evil
