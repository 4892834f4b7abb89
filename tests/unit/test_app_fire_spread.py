"""``fire-spread``: what it says of a layout, and what it says where there is none."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from controller.app.fire_spread import show_spread
from depot.values import InvalidValue, UnknownThing

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "example-depot.toml"


def depot(folder: Path, *bays: tuple[str, float]) -> Path:
    file = folder / "depot.toml"
    places = "".join(f'\n[[bay]]\nid = "{bay}"\nx_m = 0\ny_m = {y_m}\n' for bay, y_m in bays)
    file.write_text(EXAMPLE.read_text(encoding="utf-8") + places, encoding="utf-8")
    return file


def said(config: Path, bay: str, soc: float = 1.0) -> str:
    out = io.StringIO()
    assert show_spread(bay, config, Console(file=out, width=200), stored_kwh=300, soc=soc) == 0
    return out.getvalue()


def test_it_names_the_bays_that_follow_and_who_leaves(tmp_path: Path) -> None:
    words = said(depot(tmp_path, ("A01", 0.0), ("Y01", 3.4)), "A01")
    assert "evacuate, a second module after" in words
    assert "    Y01: after 1" in words
    assert "People leave: A01, Y01" in words


def test_far_away_nothing_follows(tmp_path: Path) -> None:
    words = said(depot(tmp_path, ("A01", 0.0), ("Y01", 80.0)), "Y01", soc=0.2)
    assert "    none" in words
    assert "clear" in words
    assert "People leave: Y01\n" in words


def test_without_a_layout_or_a_place_it_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match=r"write a \[\[bay\]\] section"):
        said(EXAMPLE, "A01")
    with pytest.raises(UnknownThing, match="did you mean A01"):
        said(depot(tmp_path, ("A01", 0.0)), "A1")
