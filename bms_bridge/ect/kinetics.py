"""The reactions of a cell that is too hot, by chemistry, read once from ``kinetics.toml`` (formulas and sources stand there).

kinetics_of(Chemistry.NMC) -> Kinetics(reactions…)          all_sets() -> every set by name
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any, Final

from bms_bridge.chemistry import Chemistry

SCHEMA: Final = "ect_kinetics/1"
GAS_J_MOL_K: Final = 8.314462618
KELVIN: Final = 273.15


class Kind(StrEnum):
    """How a reaction goes on with what is left of its reactant."""

    FILM = "film"
    ANODE = "anode"
    ANODE_FILM = "anode-film"
    AUTOCATALYTIC = "autocatalytic"
    FIRST_ORDER = "first-order"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """One reaction. ``ln_a``: of its frequency factor in 1/s. ``ea_over_r``: activation energy over the gas constant, K.
    ``heat_j_kg``: given off per kg of cell and unit of its amount. ``start``: amount at the beginning; ``span``: by how much
    that can change until nothing is left."""

    name: str
    kind: Kind
    ln_a: float
    ea_over_r: float
    heat_j_kg: float
    start: float
    span: float
    regrowth: float = 0.0
    z_start: float = 0.0
    z_scale: float = 1.0
    ln_a_hot: float = 0.0
    hot_from_k: float = math.inf


@dataclass(frozen=True, slots=True)
class Separator:
    """The separator that melts, and the short circuit that follows: the cell's own charge within about ``short_over_s``."""

    ln_a: float
    ea_over_r: float
    short_over_s: float
    electric_j_kg: float


@dataclass(frozen=True, slots=True)
class Kinetics:
    """A set. The film comes first, the anode second."""

    name: str
    title: str
    sources: tuple[str, ...]
    heat_capacity_j_kg_k: float
    reactions: tuple[Reaction, ...]
    separator: Separator

    @property
    def heat_shares(self) -> dict[str, float]:
        """Which part of all heat that can be given off each reaction has."""
        heats = {reaction.name: reaction.heat_j_kg * reaction.span for reaction in self.reactions}
        total = sum(heats.values())
        return {name: heat / total for name, heat in heats.items()}


def kinetics_of(chemistry: Chemistry) -> Kinetics:
    """The set that stands for a chemistry."""
    return all_sets()[_file()["chemistries"][chemistry.value]]


@cache
def all_sets() -> Mapping[str, Kinetics]:
    """Every set by name."""
    file = _file()
    separator = Separator(
        ln_a=math.log(file["separator"]["a_per_s"]),
        ea_over_r=file["separator"]["ea_j_mol"] / GAS_J_MOL_K,
        short_over_s=file["separator"]["short_over_s"],
        electric_j_kg=file["separator"]["electric_wh_kg"] * 3600.0,
    )
    return {name: _kinetics(name, table, separator) for name, table in file["sets"].items()}


def describe() -> str:
    """The sets as a Markdown table, for docs/state-of-safety.md."""
    used: dict[str, list[str]] = {}
    for chemistry in Chemistry:
        used.setdefault(kinetics_of(chemistry).name, []).append(chemistry.value)
    lines = [
        "| set, for | reaction | A, 1/s | E, kJ/mol | ΔH·m, kJ per kg of cell | start | share of heat |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, kinetics in all_sets().items():
        shares = kinetics.heat_shares
        for number, reaction in enumerate(kinetics.reactions):
            whose = f"`{name}`: {', '.join(used.get(name, ['nobody']))}" if number == 0 else ""
            rate, energy = math.exp(reaction.ln_a), reaction.ea_over_r * GAS_J_MOL_K / 1000.0
            heat = reaction.heat_j_kg * reaction.span / 1000.0
            cells = (
                whose,
                reaction.name,
                f"{rate:.3g}",
                f"{energy:.1f}",
                f"{heat:.1f}",
                f"{reaction.start:g}",
                f"{shares[reaction.name]:.3f}",
            )
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


@cache
def _file() -> dict[str, Any]:
    file = tomllib.loads(files("bms_bridge.ect").joinpath("kinetics.toml").read_text(encoding="utf-8"))
    if file["schema"] != SCHEMA:
        raise ValueError(f"kinetics.toml is {file['schema']!r}, not {SCHEMA}")
    return file


def _kinetics(name: str, table: Mapping[str, Any], separator: Separator) -> Kinetics:
    reactions = tuple(_reaction(key, row, table["cell_mass"]) for key, row in table.items() if isinstance(row, dict))
    if [reaction.name for reaction in reactions[:2]] != ["sei", "anode"]:
        raise ValueError(f"set {name}: sei comes first, anode second")
    return Kinetics(name, table["title"], tuple(table["sources"]), table["heat_capacity_j_kg_k"], reactions, separator)


def _reaction(name: str, row: Mapping[str, Any], cell_mass: float) -> Reaction:
    kind = Kind(row["kind"])
    return Reaction(
        name=name,
        kind=kind,
        ln_a=math.log(row["a_per_s"]),
        ea_over_r=row["ea_j_mol"] / GAS_J_MOL_K,
        heat_j_kg=row["heat_j_g"] * 1000.0 * row["mass"] / cell_mass,
        start=row["start"],
        span=1.0 - row["start"] if kind is Kind.AUTOCATALYTIC else row["start"],
        regrowth=row.get("regrowth", 0.0),
        z_start=row.get("z_start", 0.0),
        z_scale=row.get("z_scale", 1.0),
        ln_a_hot=math.log(row["a_hot_per_s"]) if "a_hot_per_s" in row else 0.0,
        hot_from_k=row["hot_from_c"] + KELVIN if "hot_from_c" in row else math.inf,
    )
