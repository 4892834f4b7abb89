"""Every ``./chargeyard battery`` command that writes a file: a place that cannot be is told before the work, a full disk and Ctrl-C leave
the old file as it was and nothing half beside it. All in this process; real ones: ``tests/fault/test_battery_stopped.py``."""

from __future__ import annotations

import csv
import json
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fake_lives import lives, write_lives
from fake_pack_days import fleet
from fake_passport import passport
from typer.main import get_command

from bms_bridge.anomalies.pack_days import written
from bms_bridge.passport.seal import sealed
from bms_bridge.passport.tiers import Tier, shown_to
from bms_bridge.soc.cells import kind_of
from controller.app.cli import app

COMMAND = get_command(app)
STOPPED = 130
OLD = b"what was there"

WRITING: dict[str, str] = {
    "ocv-fit": "ocv-fit {slow} --chemistry NMC --series 1 --resistance-ohm 0.001 --out {out}",
    "soc": "soc {slow} --chemistry NMC --capacity-ah 5 --series 1 --out {out}",
    "features": "features {slow} --nominal-ah 5 --cut-off-v 4.1 --charges {out}",
    "calibrate": "calibrate --data {lives} --chemistry LFP --temp 25 --soc 50 --out {out}",
    "anomalies": "anomalies {days} --csv {out}",
    "pack days": "anomalies {days} --save {out}",
    "assumptions": "value --write-assumptions {out}",
    "paper": "passport paper {passport} --output {out}",
}
LONG: dict[str, str] = {
    "soh-train": "soh-train --data {slow} --out {out}",
    "grade-train": "grade-train --data {slow} --out {out}",
    "life-train": "life-train --data {slow} --out {out}",
    "work": "work {depot} --csv {out}",
    "passport": "passport export {depot} E-1/P1 --output {out}",
}
"""Of these the place alone is looked at: what they write goes the same way."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("made")
    curve = kind_of("NMC").curve
    with (folder / "slow.csv").open("w", newline="") as stream:
        rows = [(300 * n, 0.5 if n else 0.0, round(float(curve.voltage(n / 120)), 4)) for n in range(121)]
        csv.writer(stream).writerows([("t_s", "current_a", "voltage_v"), *rows])
    write_lives(folder / "lives.csv", lives(6, every=60))
    written(folder / "days.csv", fleet(4, 20))
    document = sealed(shown_to(passport(), Tier.PUBLIC), Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
    (folder / "passport.json").write_text(json.dumps(document))
    (folder / "depot.toml").write_text("")
    return {"slow": folder / "slow.csv", "lives": folder / "lives.csv", "days": folder / "days.csv"} | {
        "passport": folder / "passport.json",
        "depot": folder / "depot.toml",
    }


def ran(words: str, made: dict[str, Path], out: Path) -> tuple[int, str]:
    done = CliRunner().invoke(COMMAND, ["battery", *(word.format(**made, out=out) for word in words.split())])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, " ".join(done.output.split())


def beside(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("command", WRITING | LONG)
def test_a_place_that_cannot_be_is_one_sentence_before_the_work(tmp_path: Path, made: dict[str, Path], command: str) -> None:
    (tmp_path / "folder.pdf").mkdir()
    for place, words in ((tmp_path / "none" / "a.csv", "its folder is not there"), (tmp_path / "folder.pdf", "is there and is no file")):
        out = place.with_suffix({"features": ".csv"}.get(command, ".pdf"))
        if command == "features":
            (tmp_path / "folder.csv").mkdir(exist_ok=True)
        code, said = ran((WRITING | LONG)[command], made, out)
        assert (code, words in said, str(out) in said) == (2, True, True), said


@contextmanager
def full_disk() -> Iterator[None]:
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (5, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


@pytest.mark.parametrize("command", WRITING)
def test_a_full_disk_and_ctrl_c_change_nothing(
    tmp_path: Path, made: dict[str, Path], command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "a.csv"
    there = {} if command == "assumptions" else {"a.csv": OLD}
    for name, data in there.items():
        (tmp_path / name).write_bytes(data)
    with full_disk():
        code, said = ran(WRITING[command], made, out)
    assert (code, f"{out}" in said, "ulimit -f" in said) == (2, True, True), said
    assert beside(tmp_path) == there

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", stop)
        assert ran(WRITING[command], made, out)[0] == STOPPED
    assert beside(tmp_path) == there

    code, said = ran(WRITING[command], made, out)
    assert code in (0, 1), said
    assert beside(tmp_path).keys() == {"a.csv"}
    assert len(out.read_bytes()) > 5
