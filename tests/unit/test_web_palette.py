"""The palette in tokens.css: contrast (WCAG 2.2) and distance of the six meanings for four kinds of sight.

Text at least 4.5:1 on every surface, edges of controls 3:1, meanings at least 20 apart (CIE76; Machado, Oliveira and
Fernandes 2009, severity 1.0, in linear RGB). Print is nearly one ink on purpose: there only the contrast is held.
"""

from __future__ import annotations

import itertools
import math
import re
from pathlib import Path

import pytest

CSS = (Path(__file__).parents[2] / "web" / "static" / "tokens.css").read_text()
SIGHT = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
MEANINGS = ("live", "idle", "done", "warn", "alarm", "lost")
ON_TINTS = [
    ("t1", "warn-tint"),
    ("t2", "warn-tint"),
    ("warn", "warn-tint"),
    ("t1", "alarm-tint"),
    ("t2", "alarm-tint"),
    ("alarm", "alarm-tint"),
    ("t1", "lost-tint"),
    ("t2", "lost-tint"),
    ("lost", "lost-tint"),
    ("t1", "live-tint"),
    ("on-fill", "fill"),
    ("on-primary", "primary"),
    ("t1", "s3"),
    ("t2", "s3"),
]


def block(head: str) -> dict[str, str]:
    start = CSS.index(head)
    return dict(re.findall(r"--([a-z0-9-]+):\s*(#[0-9a-fA-F]{3,6})", CSS[start : CSS.index("\n}", start)]))


DARK = block(":root {")
THEMES = {"dark": DARK, "light": DARK | block(':root[data-theme="light"] {'), "print": DARK | block("@media print")}


def linear(color: str) -> list[float]:
    if len(color) == 4:
        color = "#" + "".join(2 * c for c in color[1:])
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]


def contrast(a: str, b: str) -> float:
    low, high = sorted(sum(k * c for k, c in zip((0.2126, 0.7152, 0.0722), linear(x), strict=True)) for x in (a, b))
    return (high + 0.05) / (low + 0.05)


def lab(color: str, sight: tuple[tuple[float, ...], ...]) -> tuple[float, float, float]:
    seen = linear(color)
    r, g, b = (min(1.0, max(0.0, sum(k * c for k, c in zip(row, seen, strict=True)))) for row in sight)
    xyz = (0.4124 * r + 0.3576 * g + 0.1805 * b, 0.2126 * r + 0.7152 * g + 0.0722 * b, 0.0193 * r + 0.1192 * g + 0.9505 * b)
    x, y, z = (
        (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116) for t in (a / w for a, w in zip(xyz, (0.9505, 1, 1.089), strict=True))
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", ["t1", "t2", "t3", *MEANINGS])
def test_text_and_meanings_stand_out_from_every_surface(theme: str, name: str) -> None:
    colors = THEMES[theme]
    assert min(contrast(colors[name], colors[surface]) for surface in ("bg", "s1", "s2")) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(("name", "surface"), ON_TINTS)
def test_text_stands_out_from_tints_and_fills(theme: str, name: str, surface: str) -> None:
    colors = THEMES[theme]
    assert contrast(colors[name], colors[surface]) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
def test_edges_of_controls_are_visible(theme: str) -> None:
    colors = THEMES[theme]
    assert min(contrast(colors["edge"], colors[surface]) for surface in ("bg", "s1", "s2")) >= 3


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_meanings_are_apart_for_every_sight(theme: str, sight: str) -> None:
    colors = THEMES[theme]
    for a, b in itertools.combinations(MEANINGS, 2):
        assert math.dist(lab(colors[a], SIGHT[sight]), lab(colors[b], SIGHT[sight])) >= 20, (a, b)


def test_the_following_theme_says_the_same_as_light() -> None:
    assert DARK | block(':root[data-theme="auto"] {') == THEMES["light"]


def test_components_use_names_only() -> None:
    base = (Path(__file__).parents[2] / "web" / "static" / "base.css").read_text()
    screen = base[: base.index("/* ---------- print ---------- */")]
    assert re.findall(r"#[0-9a-fA-F]{3,6}\b", screen) == []
    assert set(re.findall(r"var\(--([a-z0-9-]+)", base)) <= set(re.findall(r"--([a-z0-9-]+):", CSS))
