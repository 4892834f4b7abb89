"""Files written in one step: the old one stays where the new one cannot be whole, and a device is never replaced by a file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bms_bridge import in_one_step
from bms_bridge.health import ModelRefused
from bms_bridge.health.model_file import ModelFile, write_model
from bms_bridge.in_short import in_short


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    in_one_step.write(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_is_no_file_stays_as_it_is(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(OSError, match="is no file"):
            in_one_step.write(tmp_path / name, b"new")
        with pytest.raises(ModelRefused, match="is no file"):
            write_model(tmp_path / name, ModelFile("soh", {}, {}))
    assert (tmp_path / "pipe").is_fifo()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "pipe"]
    with pytest.raises(OSError, match="No such file"):
        in_one_step.write(tmp_path / "none" / "a", b"new")


def test_an_error_is_said_in_its_first_line_with_words() -> None:
    assert in_short(ValueError("\n  a line  \nmore")) == "a line"
    assert in_short(ValueError()) == "ValueError"
    assert len(in_short(ValueError("x" * 999))) == 160
