"""The settings of the meter at the grid connection; see :mod:`controller.sections` for how sections are written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import field_validator, model_validator

from controller.sections import Port, Section, setting

if TYPE_CHECKING:
    from grid.meter import MeterSettings

_OF_ONE_REGISTER = ("type", "scale_w")


class MeterSection(Section):
    """Connection-point meter, read over Modbus TCP. Without this section the site has none."""

    host: str = setting(..., "Address of the meter or its gateway.", min_length=1)
    port: Port = setting(502, "Its Modbus TCP port.")
    unit: int = setting(1, "Modbus unit id.", ge=0, le=255)
    framing: Literal["tcp", "rtu"] = setting("tcp", "How it talks: Modbus TCP, or RTU frames over TCP as simple serial gateways do.")
    map: str = setting(
        "",
        "What kind of meter it is, for example schneider-pm5xxx (`./chargeyard meter list`), or the path of an own map, ending in .toml.",
    )
    address: int | None = setting(
        None, "Instead of a map: the register of total active power, counted from 0 as on the wire.", ge=0, le=65_535
    )
    table: Literal["holding", "input"] | None = setting(
        None, "Which registers: holding (function 3) or input (function 4). Unset: as the map says; with address: holding."
    )
    type: Literal["int16", "uint16", "int32", "uint32", "float32"] = setting("int32", "With address: how the number is stored.")
    word_order: Literal["big", "little"] | None = setting(
        None, "Order of the registers of one number. Unset: as the map says; with address: big."
    )
    scale_w: float = setting(1.0, "With address: watts per count; negative where the meter counts import as negative.", unit="W")
    offset: int = setting(0, "With map: added to every address; the probe finds it.", ge=-1, le=1)
    turned: bool = setting(False, "With map: the meter is built in the other way round and counts import as export.")
    ct_ratio: float = setting(1.0, "With map: ratio of the current transformers, where the meter does not know it.", gt=0, le=100_000)
    vt_ratio: float = setting(1.0, "With map: ratio of the voltage transformers, where the meter does not know it.", gt=0, le=10_000)
    nominal_v: float = setting(
        230.0, "With map: voltage between phase and neutral, as the meter tells it with vt_ratio.", unit="V", ge=0, le=500_000
    )
    max_kw: float = setting(50_000.0, "A power beyond it, either way, is impossible and not believed.", unit="kW", gt=0, le=10_000_000)
    poll_s: float = setting(1.0, "How often it is read.", unit="s", ge=0.2, le=3)

    @field_validator("scale_w")
    @classmethod
    def _some_scale(cls, scale_w: float) -> float:
        if scale_w == 0:
            raise ValueError("0 would make every reading 0 W; write the watts of one count")
        return scale_w

    @model_validator(mode="after")
    def _map_or_address(self) -> Self:
        if bool(self.map) == (self.address is not None):
            raise ValueError("write either map or address: map for all that a known meter tells, address for the power alone")
        if self.map:
            stray = [name for name in _OF_ONE_REGISTER if name in self.model_fields_set]
            if stray:
                raise ValueError(f"{' and '.join(stray)} belong to address; the map {self.map} says them itself")
        return self

    def to_meter(self) -> MeterSettings:
        """For the meter's client. Raises :class:`grid.meter_map.MeterError` for a map that is not there or not right."""
        from grid.meter import MeterSettings
        from grid.meter_map import MeterMap, RegisterType, WordOrder, plain_map
        from grid.modbus_link import Framing, Peer, Table

        order = None if self.word_order is None else WordOrder(self.word_order)
        table = None if self.table is None else Table(self.table)
        if self.map:
            built_in = MeterMap.named(self.map).installed(
                offset=self.offset, word_order=order, table=table, ct_ratio=self.ct_ratio, vt_ratio=self.vt_ratio, turned=self.turned
            )
        else:
            assert self.address is not None
            built_in = plain_map(
                table=table or Table.HOLDING,
                address=self.address,
                type_=RegisterType(self.type),
                word_order=order or WordOrder.BIG,
                scale_w=self.scale_w,
            )
        return MeterSettings(
            peer=Peer(host=self.host, port=self.port, unit_id=self.unit, framing=Framing(self.framing)),
            map=built_in,
            max_w=round(self.max_kw * 1000),
            nominal_v=self.nominal_v,
            period_s=self.poll_s,
        )
