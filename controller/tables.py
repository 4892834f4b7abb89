"""The controller's tables. Events are the journal (never changed, never deleted); the rest can be rebuilt or lost.

Times are ISO 8601 UTC text with milliseconds and ``Z``, so that they sort as they read. Created by ``migrations/``.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, Text
from sqlmodel import Field, Index, SQLModel


class EventRow(SQLModel, table=True):
    """One fact. ``seq`` is dense from 1 per depot. ``data`` is JSON in the shape that ``type`` and ``version`` name.
    ``digest`` chains over this row and all before it: a changed or missing row is found and located."""

    __tablename__ = "events"
    __table_args__ = (
        Index("events_by_key", "depot_id", "key", unique=True, sqlite_where=Column("key").is_not(None)),
        Index("events_by_type", "depot_id", "type", "seq"),
    )

    depot_id: str = Field(primary_key=True)
    seq: int = Field(sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False))
    id: str = Field(unique=True)
    type: str
    version: int
    occurred_at: str
    reported_at: str | None = None
    received_at: str
    actor: str
    cause_id: str | None = None
    key: str | None = None
    data: str = Field(sa_column=Column(Text, nullable=False))
    digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class SnapshotRow(SQLModel, table=True):
    """The folded state after ``seq``: saves time at start, and may be deleted. ``shape`` names the code that folded
    it; ``events_digest`` is the chain's value at ``seq``; ``digest`` covers ``state``."""

    __tablename__ = "snapshots"

    depot_id: str = Field(primary_key=True)
    seq: int = Field(sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False))
    shape: str
    events_digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    state: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class ProbeRow(SQLModel, table=True):
    """Room that a frozen journal tries to take: once it fits, appends fit too. Empty otherwise."""

    __tablename__ = "probes"

    depot_id: str = Field(primary_key=True)
    filler: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class SampleRow(SQLModel, table=True):
    """One chart point a minute: means over the minute that begins at ``minute`` (Unix minutes, depot time), in W."""

    __tablename__ = "samples"

    depot_id: str = Field(primary_key=True)
    minute: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    site_w: int | None = None
    limit_w: int
    plan_w: int | None = None
    background_w: int


class AuditRow(SQLModel, table=True):
    """One entry of the audit trail: who wanted what, why, and what came of it. Written with the fact ``event_seq`` in
    one transaction. ``hash``: SHA-256 over ``prev`` (the entry before), this row and the fact's whole row."""

    __tablename__ = "audit"
    __table_args__ = (
        Index("audit_by_event", "depot_id", "event_seq", unique=True),
        Index("audit_by_command", "depot_id", "command_id"),
    )

    depot_id: str = Field(primary_key=True)
    seq: int = Field(sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False))
    event_seq: int = Field(sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), nullable=False))
    at: str
    actor: str
    kind: str
    target: str
    reason: str = Field(sa_column=Column(Text, nullable=False))
    outcome: str
    command_id: str
    prev: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class OutboxRow(SQLModel, table=True):
    """A message that a fact causes, written with it in one transaction. Never changed: how far it got is in the
    notifier's own database, so that nobody but the journal's writer locks this one."""

    __tablename__ = "outbox"

    depot_id: str = Field(primary_key=True)
    seq: int = Field(sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False))
    id: str
    at: str
    body: str = Field(sa_column=Column(Text, nullable=False))


class LastWordRow(SQLModel, table=True):
    """The last word of a running transaction (:mod:`depot.last_words`), overwritten by the next, deleted after its end. ``body``
    is JSON."""

    __tablename__ = "last_words"

    depot_id: str = Field(primary_key=True)
    station_id: str = Field(primary_key=True)
    transaction_id: str = Field(primary_key=True)
    body: str = Field(sa_column=Column(Text, nullable=False))


class DemandBlockRow(SQLModel, table=True):
    """One demand block that begins at ``minute`` (Unix minutes). ``source``: ``own`` (our meter) or ``utility`` (read out of
    the billing meter and imported); both are kept side by side. ``import_vah`` null: apparent energy was not measured."""

    __tablename__ = "demand_blocks"

    depot_id: str = Field(primary_key=True)
    source: str = Field(primary_key=True)
    minute: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    minutes: int
    import_wh: int = Field(sa_column=Column(BigInteger, nullable=False))
    import_vah: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    export_wh: int = Field(sa_column=Column(BigInteger, nullable=False))
    covered: float
