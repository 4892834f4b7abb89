"""The settings of CAN buses that are listened to; see :mod:`controller.sections` for how sections are written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import StringConstraints, model_validator

from controller.sections import Section, setting
from depot.values import ConnectorId, InvalidValue

Name = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,63})?$")]


class CanSection(Section):
    """One pack on a CAN bus, or one charging line. Several may share a bus."""

    interface: Literal[
        "socketcan", "slcan", "udp_multicast", "virtual", "serial", "pcan", "kvaser", "ixxat", "vector", "gs_usb", "socketcand"
    ] = setting("socketcan", "Driver of the bus, as python-can names it. virtual: within this process, for tests.")
    channel: str = setting(..., "Which bus: can0, a serial device, a multicast address, a number, as the driver has it.", min_length=1)
    bitrate: int | None = setting(
        None, "Bits per second, where the driver sets it; socketcan's is set by the system.", ge=5_000, le=1_000_000
    )
    port: int | None = setting(None, "Network port of udp_multicast (43113 unless set) or socketcand.", ge=1, le=65_535)
    protocol: Literal["dbc", "gbt27930"] = setting(
        "dbc", "dbc: a vehicle's own bus, by the maker's DBC and a pack map; gbt27930: a charging line of GB/T 27930, overheard."
    )
    dbc: str = setting("", "The maker's DBC file.")
    map: str = setting("", "Pack map: the name of one that comes with the program, or the path of one's own, ending in .toml.")
    vehicle: Name = setting("", "Vehicle whose pack this is. Not for a charging line, where it is who is plugged in.")
    pack: Name = setting("P1", "Which of its packs.")
    connector: str = setting("", "Charging line: the connector that it belongs to, STATION/NUMBER.")
    silent_s: float = setting(5.0, "Without any frame for so long the bus is silent.", unit="s", ge=0.5, le=600)

    @property
    def bus(self) -> tuple[str, str, int | None]:
        """Lines of one bus share its driver."""
        return self.interface, self.channel, self.port

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.port is not None and self.interface not in ("udp_multicast", "socketcand"):
            raise ValueError(f"{self.interface} has no port")
        if self.protocol == "dbc":
            missing = [name for name in ("dbc", "map", "vehicle", "pack") if not getattr(self, name)]
            if missing or self.connector:
                raise ValueError(
                    "a vehicle's own bus has dbc, map and vehicle, and no connector" + (f": {missing[0]} is missing" if missing else "")
                )
            return self
        if self.dbc or self.map or self.vehicle:
            raise ValueError("a charging line has a connector, and no dbc, map or vehicle: the pack is of the vehicle that is plugged in")
        try:
            ConnectorId.parse(self.connector)
        except InvalidValue as error:
            raise ValueError(f"connector: {error}") from None
        return self


def check_lines(lines: Sequence[CanSection]) -> None:
    """Raises ValueError for a pack or a connector with two tellers, and for a bus with two bit rates."""
    named = Counter(line.connector or f"{line.vehicle}/{line.pack}" for line in lines)
    twice = sorted(name for name, count in named.items() if count > 1)
    if twice:
        raise ValueError(f"can: {', '.join(twice)} is told by two lines; leave one")
    rates: dict[tuple[str, str, int | None], int | None] = {}
    groups: dict[int | None, str] = {}
    for line in lines:
        if rates.setdefault(line.bus, line.bitrate) != line.bitrate:
            raise ValueError(f"can: {line.interface}:{line.channel} has two bit rates; a bus has one")
        # a socket hears every group that anybody on this machine has joined at its port
        if line.interface == "udp_multicast" and groups.setdefault(line.port, line.channel) != line.channel:
            raise ValueError(f"can: {line.channel} and {groups[line.port]} share a port, and would hear each other: give each a port")
    lines_of = Counter(line.bus for line in lines if line.protocol == "gbt27930")
    crowded = [bus for bus, count in lines_of.items() if count > 1]
    if crowded:
        raise ValueError(f"can: {crowded[0][0]}:{crowded[0][1]} is the charging line of two connectors; each has a bus of its own")
