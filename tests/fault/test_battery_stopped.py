"""Real processes of ``./chargeyard battery``: Ctrl-C while it reads, a full disk behind the output, a lake that is missing or locked."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from lake_kit import Bench

from bms_bridge.lake.engine import Lake
from controller.app.exits import exit_code_of
from controller.app.lake import looking
from controller.app.lake_process import places_of
from controller.settings import Settings
from storage import StorageError

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120.0
CONFIG = """
[depot]
id = "pune"
contract_kw = 200
failsafe_kw = 80
worst_background_kw = 20
[[feeder]]
id = "A"
rating_kw = 150
[lake]
"""


def begun(*words: str, stdout: int = subprocess.PIPE) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "dumb", "COLUMNS": "200"}
    return subprocess.Popen(
        [sys.executable, "-m", "controller", "battery", *words],
        env=environment,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        # (a process that was started in the background ignores Ctrl-C, and so would its children)
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def opened_by_reader(pipe: Path, process: subprocess.Popen[str]) -> int:
    """The other end of a pipe that ``process`` has opened to read."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO or process.poll() is not None:
                raise
        time.sleep(0.05)
    raise AssertionError("nobody reads")


def test_ctrl_c_is_one_sentence_and_the_old_file_stays(tmp_path: Path) -> None:
    (tmp_path / "out.json").write_text("old")
    os.mkfifo(tmp_path / "passport.json")
    process = begun("passport", "paper", str(tmp_path / "passport.json"), "--output", str(tmp_path / "out.json"))
    end = opened_by_reader(tmp_path / "passport.json", process)
    try:
        process.send_signal(signal.SIGINT)
        out, complaint = process.communicate(timeout=PATIENCE_S)
    finally:
        os.close(end)
        process.kill()
    assert (process.returncode, out, complaint) == (130, "", "chargeyard: stopped by Ctrl-C before it was done\n")
    assert (tmp_path / "out.json").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_full_disk_behind_the_output_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "packs.csv").write_text("pack,chemistry,capacity_kwh,duty\nA,LFP,200,stationary\n")
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        process = begun("twin", str(tmp_path / "packs.csv"), "--years", "1", "--json", stdout=full)
        _, complaint = process.communicate(timeout=PATIENCE_S)
    finally:
        os.close(full)
    assert process.returncode == 2
    assert complaint.startswith("chargeyard: No space left on device: free some")
    assert complaint.count("\n") == 1


def test_a_lake_that_is_missing_or_locked_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "depot.toml"
    file.write_text(CONFIG + f'[storage]\npath = "{tmp_path}/var"\n')
    settings = Settings.load(file)
    with pytest.raises(StorageError, match="there is no lake yet: start the depot") as missing, looking(settings):
        pass
    with Lake.open(places_of(settings), **Bench(tmp_path / "var").parts()):
        pass
    with closing(sqlite3.connect(places_of(settings).database)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StorageError, match="is locked by another program") as locked, looking(settings):
            pass
    assert {exit_code_of(missing.value), exit_code_of(locked.value)} == {3}
