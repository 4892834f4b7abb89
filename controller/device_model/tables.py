"""Tables of the device models' own database. Times as in the journal (ISO 8601, UTC); values and characteristics are JSON."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, Text
from sqlmodel import Field, Index, SQLModel

_NUMBER = BigInteger().with_variant(Integer, "sqlite")


class ModelRow(SQLModel, table=True):
    """One station: the machine that its last whole report was of, and when that was complete."""

    __tablename__ = "model_stations"

    depot_id: str = Field(primary_key=True)
    station_id: str = Field(primary_key=True)
    machine: str
    told_at: str


class VariableRow(SQLModel, table=True):
    """One variable. ``key``: the same for every spelling; ``name``: for people; ``actual``: also in ``attributes``, to be
    searched; ``waiting``: taken, in force after the next boot."""

    __tablename__ = "model_variables"
    __table_args__ = (Index("model_variables_by_key", "depot_id", "key"),)

    depot_id: str = Field(primary_key=True)
    station_id: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    name: str
    variable: str = Field(sa_column=Column(Text, nullable=False))
    actual: str | None = Field(default=None, sa_column=Column(Text))
    waiting: str | None = Field(default=None, sa_column=Column(Text))
    attributes: str = Field(sa_column=Column(Text, nullable=False))
    characteristics: str | None = Field(default=None, sa_column=Column(Text))
    read_at: str


class MonitorRow(SQLModel, table=True):
    """One monitor, by the station's own id."""

    __tablename__ = "model_monitors"

    depot_id: str = Field(primary_key=True)
    station_id: str = Field(primary_key=True)
    monitor_id: int = Field(sa_column=Column(_NUMBER, primary_key=True, autoincrement=False))
    key: str
    body: str = Field(sa_column=Column(Text, nullable=False))
    read_at: str


class ReportRow(SQLModel, table=True):
    """One report that was asked for. ``request_id``: on the wire; ``parts``: numbers of the parts that are kept, JSON;
    ``last``: the number of the last part, once it came."""

    __tablename__ = "model_reports"

    depot_id: str = Field(primary_key=True)
    report_id: int = Field(sa_column=Column(_NUMBER, primary_key=True, autoincrement=False))
    station_id: str
    request_id: int
    kind: str
    asked_by: str
    asked_at: str
    heard_at: str
    state: str
    answer: str
    parts: str = Field(sa_column=Column(Text, nullable=False))
    last: int | None = None
    rows: int = 0


class PartRow(SQLModel, table=True):
    """The rows of one part of a report, as JSON."""

    __tablename__ = "model_report_parts"

    depot_id: str = Field(primary_key=True)
    report_id: int = Field(sa_column=Column(_NUMBER, primary_key=True, autoincrement=False))
    seq_no: int = Field(sa_column=Column(_NUMBER, primary_key=True, autoincrement=False))
    body: str = Field(sa_column=Column(Text, nullable=False))


class StationEventRow(SQLModel, table=True):
    """One event that a station told. ``number``: ours, in the order in which they came; ``sign``: the same for a repetition."""

    __tablename__ = "model_events"
    __table_args__ = (Index("model_events_once", "depot_id", "sign", unique=True),)

    depot_id: str = Field(primary_key=True)
    number: int = Field(sa_column=Column(_NUMBER, primary_key=True, autoincrement=False))
    station_id: str
    sign: str
    severity: int | None = None
    body: str = Field(sa_column=Column(Text, nullable=False))
    received_at: str
