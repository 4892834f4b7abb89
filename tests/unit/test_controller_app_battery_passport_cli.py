"""Passports as files on the command line: looked at, verified, printed; exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fake_passport import SHEETS, passport
from typer.testing import CliRunner

from bms_bridge.passport.paper import pdf
from bms_bridge.passport.seal import sealed, verified
from bms_bridge.passport.shown import HEADINGS, rows_of
from bms_bridge.passport.tiers import Tier, shown_to
from controller.app import battery_passport_cli as cli
from controller.app.battery_cli import battery
from depot import commands as cmd

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(battery, ["passport", *map(str, words)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, " ".join(result.output.split())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "p.json"
    path.write_text(json.dumps(sealed(shown_to(passport(), Tier.REPURPOSER), KEY)))
    return path


def test_check_names_what_cannot_be(file: Path) -> None:
    code, words = run("check", file)
    assert (code, "0 that cannot be" in words, "88" in words) == (0, True, False)
    document = json.loads(file.read_text())
    document["aspects"]["Performance"]["batteryTechicalProperties"]["ratedEnergy"] = 1e300
    del document["aspects"]["Labels"]["labels"]
    file.write_text(json.dumps(document))
    code, words = run("check", file, "--json")
    found = json.loads(words)
    assert code == 1
    assert found["shape"] == ["/Labels/labels: is missing"]
    assert found["findings"][0]["check"] == "rated_energy_in_range"
    assert run("check", file)[0] == 1
    file.write_text("{")
    assert run("check", file)[0] == 2


def test_verify_holds_the_seal_against_the_key(file: Path) -> None:
    told = verified(json.loads(file.read_text())).fingerprint
    assert run("verify", file, "--fingerprint", told)[0] == 0
    code, words = run("verify", file)
    assert (code, told in words) == (0, True)
    assert run("verify", file, "--fingerprint", "00" * 20)[0] == 1
    file.write_text(file.read_text().replace("kothrud", "katraj"))
    code, words = run("verify", file)
    assert (code, "changed after it was signed" in words) == (1, True)


def test_paper_is_the_same_for_the_same_passport(file: Path, tmp_path: Path) -> None:
    assert run("paper", file, "-o", tmp_path / "p.pdf")[0] == 0
    data = (tmp_path / "p.pdf").read_bytes()
    assert data.startswith(b"%PDF")
    assert data == pdf(json.loads(file.read_text()))
    for tier in Tier:
        assert pdf(shown_to(passport(), tier)).startswith(b"%PDF")
    for name in ("provenance", "details", "issued_at", "assessment"):
        (tmp_path / "odd.json").write_text(json.dumps(shown_to(passport(), Tier.OWNER) | {name: [7]}))
        assert run("paper", tmp_path / "odd.json", "-o", tmp_path / "q.pdf")[0] == 1, name
    (tmp_path / "part.json").write_text(json.dumps({"Labels": {}}))
    assert run("paper", tmp_path / "part.json", "-o", tmp_path / "q.pdf")[0] == 1


def test_words_for_people_have_no_names_of_machines() -> None:
    document = shown_to(passport(), Tier.OWNER)
    rows = {row.name: row for name in HEADINGS for row in rows_of(document, name)}
    assert rows["Rated energy"].text == "300 kWh"
    assert "record of life" in rows["Energy throughput"].source
    assert rows["Warranty"].reason.endswith("(warranty months: 96)")
    assert not [name for name in rows if any(letter.isupper() for letter in name[1:])]


def test_a_sheet_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "b.toml"
    path.write_bytes(SHEETS)
    code, words = run("sheet", path)
    assert (code, "E-103" in words, "1 packs" in words) == (0, True, True)
    path.write_bytes(SHEETS.replace(b"mass_kg", b"mas_kg").replace(b'category = "ev"', b'category = "car"'))
    code, words = run("sheet", path)
    assert (code, "mas_kg" in words, "'car'" in words) == (1, True, True)


def test_export_and_import_send_commands(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    document = json.loads(file.read_text())

    def send(settings: Any, make: Any, reason: str) -> cmd.CommandResult:
        sent.append(make({"command_id": "c", "actor": "console", "reason": reason}))
        return cmd.CommandResult(command_id="c", status=cmd.CommandStatus.DONE, message="made", audit_seq=1, answer={"passport": document})

    monkeypatch.setattr(cli, "_send", send)
    config = tmp_path / "depot.toml"
    config.write_text(Path("docs/example-depot.toml").read_text())
    evidence = tmp_path / "soh.json"
    rows = [
        {"kind": "XJTU", "cell": "c1", "cycle": n, "soh": 0.9 - n / 100, "soh_low": 0.8, "soh_high": 0.95, "worth": "as taught"}
        for n in (1, 2)
    ]
    evidence.write_text("\n".join(map(json.dumps, rows)))
    grades = tmp_path / "grade.json"
    grades.write_text(json.dumps([{"cell": "c1", "grade": "80 % or more", "probability": 0.9}]))
    out = tmp_path / "o.json"
    common = ("export", config, "E-103/P1", "-o", out, "--tier", "repurposer")
    assert run(*common)[0] == 2  # no reason
    code, words = run(*common, "--reason", "sold", "--health", evidence, "--grade", grades)
    assert (code, "signed by the key" in words) == (0, True)
    assert (sent[-1].soh, sent[-1].soh_low, sent[-1].grade, sent[-1].detail["tier"]) == (0.88, 0.8, "80 % or more", "repurposer")
    assert json.loads(out.read_text()) == document
    assert out.stat().st_mode & 0o077 == 0
    assert run("export", config, "E-103/P1", "-o", tmp_path / "o.pdf")[0] == 0
    for wrong in (("E-103", "public", "o.json"), ("E-103/P1", "nobody", "o.json"), ("E-103/P1", "public", "o.txt")):
        assert run("export", config, wrong[0], "--tier", wrong[1], "-o", tmp_path / wrong[2])[0] == 2
    assert sent[-1].grade == ""
    grades.write_text(json.dumps({"schema": "pack_value/1", "grade": "80 % or more", "completeness": 0.9}))
    assert run(*common, "--reason", "sold", "--grade", grades)[0] == 0
    assert (sent[-1].grade_probability, sent[-1].grade_method[:32]) == (None, "grade of the pack from its cells")
    evidence.write_text("\n".join(json.dumps({"cell": name, "soh": 0.9}) for name in "ab"))
    assert run(*common, "--reason", "sold", "--health", evidence)[0] == 2
    assert run("import", config, "E-103/P1", file, "--reason", "bought", "--fingerprint", "00" * 20)[0] == 1
    assert run("import", config, "E-103/P1", file, "--reason", "bought")[0] == 0
    assert isinstance(sent[-1], cmd.KeepPassport)
