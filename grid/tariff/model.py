"""A tariff as one value: its layers, what is told about it, and the prices that follow from it.

The price of a moment is what one more kWh costs then: all energy layers with their time of day, adders per unit, and
percentages on them. A kVAh or kVA is turned into kWh or kW with the parameter ``power_factor``. Bills are made by
:mod:`grid.billing`; what a peak costs, for a planner, by :mod:`grid.demand_pieces`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from typing import Self, TypeVar
from zoneinfo import ZoneInfo

from grid.tariff.errors import InvalidTariff, UnknownTariff
from grid.tariff.files import FILE_KINDS, tree_of_file
from grid.tariff.hours import ALWAYS, Valid
from grid.tariff.layers import (
    PAISE_ROUNDINGS,
    POWER_FACTOR,
    Adder,
    AdderBasis,
    DemandBasis,
    DemandLayer,
    EnergyBasis,
    EnergyLayer,
    FixedLayer,
    Layer,
    Parameter,
    PowerFactorLayer,
    Roundings,
    affine,
)
from grid.tariff.reading import named_parameters, needed_parameters, read_json, read_toml, tariff_fields
from grid.tariff.rule import Recorded, terms

__all__ = ["Tariff", "nearest"]

_STEP = timedelta(minutes=15)
L = TypeVar("L", bound=Layer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """One tariff. ``valid.until`` is the first day on which it no longer holds; ``uncertain``: what of it was not read in
    the order itself, in sentences."""

    name: str
    title: str
    currency: str
    timezone: str
    order: str
    source: str
    valid: Valid = ALWAYS
    uncertain: tuple[str, ...] = ()
    leaves_out: tuple[str, ...] = ()
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    energy: tuple[EnergyLayer, ...] = ()
    demand: tuple[DemandLayer, ...] = ()
    fixed: tuple[FixedLayer, ...] = ()
    power_factor_layers: tuple[PowerFactorLayer, ...] = ()
    adders: tuple[Adder, ...] = ()
    rounding: Roundings = PAISE_ROUNDINGS

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The packaged tariffs, sorted."""
        folder = files("grid") / "tariffs"
        return tuple(sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml")))

    @classmethod
    def named(cls, name: str, *, timezone: str | None = None) -> Self:
        """The packaged tariff ``name[:parameter=value[,parameter=value]]``.

        ``timezone``: the depot's zone, where the tariff is not tied to one (``stylised-tou``); Indian tariffs keep
        theirs. Raises :class:`UnknownTariff`, :class:`InvalidTariff`.
        """
        stem, _, arguments = name.partition(":")
        if stem not in cls.names():
            raise UnknownTariff(f"no tariff is called {stem!r}; there are: {', '.join(cls.names())}")
        text = (files("grid") / "tariffs" / f"{stem}.toml").read_text(encoding="utf-8")
        return cls.parse(text, parameters=named_parameters(arguments, f"tariff {stem}"), timezone=timezone)

    @classmethod
    def load(cls, name: str, *, timezone: str | None = None) -> Self:
        """As :meth:`named`, or of a file of one's own: the path of a ``.toml``, ``.json`` or ``.csv`` file in place of the name.
        For names out of settings and command lines, not for those that come over the network."""
        stem, _, arguments = name.partition(":")
        if Path(stem).suffix not in FILE_KINDS:
            return cls.named(name, timezone=timezone)
        return cls.of_tree(tree_of_file(Path(stem)), parameters=named_parameters(arguments, f"tariff {stem}"), timezone=timezone)

    @classmethod
    def needed(cls, name: str) -> dict[str, str]:
        """Parameters of a packaged tariff that have no value and must be given, with their meaning."""
        if name not in cls.names():
            raise UnknownTariff(f"no tariff is called {name!r}; there are: {', '.join(cls.names())}")
        return needed_parameters(read_toml((files("grid") / "tariffs" / f"{name}.toml").read_text(encoding="utf-8")))

    @classmethod
    def parse(cls, text: str, *, parameters: Mapping[str, Fraction] | None = None, timezone: str | None = None) -> Self:
        """A tariff from the text of its TOML file; raises :class:`InvalidTariff`."""
        return cls.of_tree(read_toml(text), parameters=parameters, timezone=timezone)

    @classmethod
    def parse_json(cls, text: str, *, parameters: Mapping[str, Fraction] | None = None, timezone: str | None = None) -> Self:
        """A tariff from JSON of the same shape, dates as text; raises :class:`InvalidTariff`."""
        return cls.of_tree(read_json(text), parameters=parameters, timezone=timezone)

    @classmethod
    def of_tree(cls, tree: object, *, parameters: Mapping[str, Fraction] | None = None, timezone: str | None = None) -> Self:
        """A tariff from a tree of the file's shape, as the imports make it; raises :class:`InvalidTariff`."""
        return cls(**tariff_fields(tree, parameters or {}, timezone))

    @property
    def zone(self) -> ZoneInfo:
        """The zone whose clock the intervals follow."""
        return ZoneInfo(self.timezone)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All layers, in the order of a bill."""
        return (*self.energy, *self.demand, *self.fixed, *self.power_factor_layers, *self.adders)

    @property
    def power_factor(self) -> Fraction:
        """kW per kVA of the site, for planning; a bill takes what the meter says."""
        known = self.parameters.get(POWER_FACTOR)
        return known.value if known else Fraction(1)

    @property
    def demand_charge_per_kw_month(self) -> Fraction:
        """For one kW of the month's highest block mean, by the newest rates, where no floor makes it free."""
        per_kw = Fraction(0)
        for layer in nearest(self.demand, date.max):
            shares = [term.factor for term in terms(layer.billing_rule) if isinstance(term, Recorded)]
            unit = self.power_factor if layer.basis is DemandBasis.KVA else Fraction(1)
            per_kw += layer.rate * max(shares, default=Fraction(0)) / unit
        return per_kw

    @property
    def demand_interval_min(self) -> int:
        """Length of the demand blocks (of the first demand layer; 15 where there is none)."""
        return self.demand[0].block_min if self.demand else 15

    def price_per_kwh(self, at: datetime, *, used: Fraction = Fraction(0), monthly: Mapping[str, Fraction] | None = None) -> Fraction:
        """What one more kWh costs at ``at`` (aware), after ``used`` kWh or kVAh of the month; ``monthly``: adders published
        by the month, by their code (unknown: 0). Where no layer holds the nearest one is used; :meth:`remarks` says so."""
        if at.tzinfo is None:
            raise InvalidTariff(f"{at.isoformat()} has no time zone: prices are asked for aware times")
        local = at.astimezone(self.zone)
        day = local.date()
        per_code: dict[str, Fraction] = {}
        for layer in nearest(self.energy, day):
            a, b = affine(layer.zone(local))
            price = a * layer.marginal(used) + b
            per_code[layer.code] = price / self.power_factor if layer.basis is EnergyBasis.KVAH else price
        for adder in nearest(self.adders, day):
            value = adder.value if adder.value is not None else (monthly or {}).get(adder.code, Fraction(0))
            match adder.basis:
                case AdderBasis.KWH:
                    per_code[adder.code] = value
                case AdderBasis.KVAH:
                    per_code[adder.code] = value / self.power_factor
                case AdderBasis.PCT_OF:
                    per_code[adder.code] = sum((per_code.get(code, Fraction(0)) for code in adder.of), Fraction(0)) * value / 100
        return sum(per_code.values(), Fraction(0))

    def steps(
        self, start: datetime, stop: datetime, *, used: Fraction = Fraction(0), monthly: Mapping[str, Fraction] | None = None
    ) -> list[tuple[datetime, Fraction]]:
        """The price from ``start`` on and each change of it before ``stop``, in UTC."""
        found: list[tuple[datetime, Fraction]] = []
        for at in _quarters(start, stop):
            price = self.price_per_kwh(at, used=used, monthly=monthly)
            if not found or found[-1][1] != price:
                found.append((at, price))
        return found

    def exact_vector(
        self, start: datetime, slots: int, slot_s: int, *, used: Fraction = Fraction(0), monthly: Mapping[str, Fraction] | None = None
    ) -> list[Fraction]:
        """The mean price of each of ``slots`` half-open slots of ``slot_s`` seconds from ``start`` on."""
        slot = timedelta(seconds=slot_s)
        steps = self.steps(start, start + slots * slot, used=used, monthly=monthly)
        changes = [at for at, _ in steps[1:]]
        prices = [price for _, price in steps]
        means = []
        at_step = 0
        for k in range(slots):
            begin, end = start + k * slot, start + (k + 1) * slot
            while at_step < len(changes) and changes[at_step] <= begin:
                at_step += 1
            total, cursor, step = Fraction(0), begin, at_step
            while step < len(changes) and changes[step] < end:
                total += prices[step] * _seconds(changes[step] - cursor)
                cursor, step = changes[step], step + 1
            means.append(prices[step] if cursor == begin else (total + prices[step] * _seconds(end - cursor)) / slot_s)
        return means

    def vector(
        self, start: datetime, slots: int, slot_s: int, *, used: Fraction = Fraction(0), monthly: Mapping[str, Fraction] | None = None
    ) -> list[float]:
        """:meth:`exact_vector` for those who reckon in floats."""
        return [float(price) for price in self.exact_vector(start, slots, slot_s, used=used, monthly=monthly)]

    def with_percentages(self, code: str, day: date) -> Fraction:
        """What one rupee of the layer ``code`` costs with the percentages that hold on ``day``, and those on them; without
        those that are published by the month."""
        shares = {code: Fraction(1)}
        for adder in nearest(self.adders, day):
            if adder.basis is AdderBasis.PCT_OF and adder.value is not None:
                shares[adder.code] = sum((shares.get(one, Fraction(0)) for one in adder.of), Fraction(0)) * adder.value / 100
        return sum(shares.values(), Fraction(0))

    def not_covered(self, start: datetime, stop: datetime) -> list[str]:
        """Whether a period lies outside of the tariff's validity, in sentences."""
        first, last = start.astimezone(self.zone).date(), (stop - timedelta(seconds=1)).astimezone(self.zone).date()
        told = []
        if self.valid.since is not None and first < self.valid.since:
            told.append(f"{self.name} holds from {self.valid.since} on; its prices are used for {first} all the same")
        if self.valid.until is not None and last >= self.valid.until:
            told.append(f"{self.name} held until {self.valid.until - timedelta(days=1)}; its prices are used for {last} all the same")
        return told

    def remarks(self, start: datetime, stop: datetime) -> tuple[str, ...]:
        """What to tell beside a figure made with this tariff: a period that it does not cover, what it leaves out."""
        told = self.not_covered(start, stop)
        unknown = [adder.code for adder in self.adders if adder.value is None]
        if unknown:
            told.append(f"{self.name}: prices hold no {', '.join(unknown)}, which is published month by month")
        if self.leaves_out:
            told.append(f"{self.name} leaves out: {', '.join(self.leaves_out)}")
        return tuple(told)

    def energy_cost(self, energy_wh: int, at: datetime) -> Fraction:
        """The exact price of ``energy_wh`` Wh taken at ``at``, in ``currency``; round sums with :func:`minor_units`."""
        return self.price_per_kwh(at) * energy_wh / 1000


def nearest(layers: Sequence[L], day: date) -> list[L]:
    """Of each code the layer that holds on ``day``, or the nearest in time; in the order of their first appearance."""
    found: dict[str, L] = {}
    for layer in layers:
        known = found.get(layer.code)
        if known is None or layer.valid.distance(day) < known.valid.distance(day):
            found[layer.code] = layer
    return list(found.values())


def _quarters(start: datetime, stop: datetime) -> Iterator[datetime]:
    """``start`` and every quarter hour of the clock in (start, stop): each zone's offset is a multiple of one."""
    at = start.astimezone(UTC)
    yield at
    at = at.replace(minute=at.minute - at.minute % 15, second=0, microsecond=0) + _STEP
    while at < stop:
        yield at
        at += _STEP


def _seconds(span: timedelta) -> Fraction:
    return Fraction(span // timedelta(microseconds=1), 1_000_000)
