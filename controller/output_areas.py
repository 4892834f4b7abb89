"""How the depot is cut into areas: which stations lie in a bay, which bays on a feeder, and which outputs act where. Pure.

    DepotSpec + outputs --Areas--> what lies in what, what can cut an area, which wider one can be cut

A bay is named by its stations' setting ``bay``; a station without one is a bay by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from depot.outputs import SITE, Area, Level, OutputSpec
from depot.registry import DepotSpec, StationSpec
from depot.values import ConnectorId, InvalidValue


def bay_of(station: StationSpec) -> Area:
    """The bay that a station stands in."""
    return Area(Level.BAY, station.bay_id or station.station_id)


@dataclass(frozen=True, slots=True)
class Areas:
    """The depot's areas, and its outputs."""

    spec: DepotSpec
    outputs: tuple[OutputSpec, ...]
    _stations: Mapping[Area, list[StationSpec]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        found: dict[Area, list[StationSpec]] = {SITE: list(self.spec.stations)}
        for feeder in self.spec.feeders:
            found[Area(Level.FEEDER, feeder.feeder_id)] = []
        for station in self.spec.stations:
            found[Area(Level.FEEDER, station.feeder_id)].append(station)
            found.setdefault(bay_of(station), []).append(station)
        object.__setattr__(self, "_stations", found)

    @classmethod
    def checked(cls, spec: DepotSpec, outputs: Sequence[OutputSpec]) -> Areas:
        """Raises :class:`~depot.values.InvalidValue` for outputs that act on nothing, or on a bay that lies on several feeders."""
        areas = cls(spec, tuple(outputs))
        seen: set[str] = set()
        for output in outputs:
            if output.output_id in seen:
                raise InvalidValue(f"two outputs have the id {output.output_id}")
            seen.add(output.output_id)
            if not areas.exists(output.area):
                raise InvalidValue(f"output {output.output_id}: there is no {output.area} in this depot")
            if output.kind.isolates and len(areas._feeders_of(output.area)) > 1 and output.area.level is Level.BAY:
                raise InvalidValue(f"output {output.output_id}: {output.area} lies on several feeders, so nothing wider is next to it")
        return areas

    def everything(self) -> Iterator[Area]:
        """All areas: the site, the feeders, the bays."""
        yield from self._stations

    def exists(self, area: Area) -> bool:
        return area in self._stations

    def stations(self, area: Area) -> Sequence[StationSpec]:
        """The stations that lie in it."""
        return self._stations.get(area, ())

    def connectors(self, area: Area) -> list[ConnectorId]:
        return [ConnectorId(s.station_id, c.connector) for s in self.stations(area) for c in s.connectors]

    def bay_of(self, station_id: str) -> Area | None:
        """The bay of a station; None for one that is not declared."""
        return next((bay_of(s) for s in self.spec.stations if s.station_id == station_id), None)

    def holds(self, outer: Area, inner: Area) -> bool:
        """Whether ``inner`` lies wholly in ``outer``; every area lies in itself."""
        if outer in (SITE, inner):
            return True
        if outer.level is not Level.FEEDER or inner.level is not Level.BAY:
            return False
        return self._feeders_of(inner) == {outer.area_id}

    def touches(self, one: Area, other: Area) -> bool:
        """Whether they have a station in common, or one holds the other."""
        if self.holds(one, other) or self.holds(other, one):
            return True
        return not {s.station_id for s in self.stations(one)}.isdisjoint(s.station_id for s in self.stations(other))

    def parts(self, area: Area) -> list[Area]:
        """What an area consists of: the site of feeders, a feeder of bays, a bay of nothing smaller."""
        if area.level is Level.SITE:
            return [Area(Level.FEEDER, f.feeder_id) for f in self.spec.feeders if self.stations(Area(Level.FEEDER, f.feeder_id))]
        if area.level is Level.FEEDER:
            return list(dict.fromkeys(bay_of(s) for s in self.stations(area)))
        return []

    def cutting(self, area: Area) -> list[OutputSpec]:
        """The contactors and solenoids that cut exactly this area."""
        return [output for output in self.outputs if output.kind.isolates and output.area == area]

    def wider(self, area: Area) -> Area | None:
        """The next wider area that something can cut; None: there is none."""
        feeders = self._feeders_of(area) if area.level is Level.BAY else set()
        above = [Area(Level.FEEDER, next(iter(feeders)))] if len(feeders) == 1 else []
        above += [SITE] if area != SITE else []
        return next((found for found in above if self.cutting(found)), None)

    def _feeders_of(self, area: Area) -> set[str]:
        return {s.feeder_id for s in self.stations(area)}
