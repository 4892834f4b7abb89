"""The table of the rejections' own database. Times as in the journal (ISO 8601, UTC)."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, Text
from sqlmodel import Field, Index, SQLModel

_NUMBER = BigInteger().with_variant(Integer, "sqlite")


class RejectionRow(SQLModel, table=True):
    """One refused message, or one value that was left out. ``number``: ours, in the order in which they came; ``vehicle_id``,
    ``pack_id``, ``source``, ``field``: "" where they are not known."""

    __tablename__ = "telemetry_rejections"
    __table_args__ = (
        Index("telemetry_rejections_by_vehicle", "depot_id", "vehicle_id", "number"),
        Index("telemetry_rejections_by_reason", "depot_id", "reason", "number"),
    )

    depot_id: str = Field(primary_key=True)
    number: int = Field(sa_column=Column(_NUMBER, primary_key=True, autoincrement=False))
    received_at: str
    vehicle_id: str
    pack_id: str
    source: str
    reason: str
    field: str
    topic: str = Field(sa_column=Column(Text, nullable=False))
    text: str = Field(sa_column=Column(Text, nullable=False))
    excerpt: str = Field(sa_column=Column(Text, nullable=False))
