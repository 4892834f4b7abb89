"""The notifier's own tables: how far each message got. Times are Unix seconds, the machine's."""

from __future__ import annotations

from sqlalchemy import Column, Text
from sqlmodel import Field, Index, SQLModel


class DeliveryRow(SQLModel, table=True):
    """One message on one channel. ``state``: waiting, sent, dead. ``body``: the message as JSON, so that a dead one can
    be sent again after the outbox has forgotten it."""

    __tablename__ = "notify_delivery"
    __table_args__ = (Index("notify_by_due", "depot_id", "state", "due_s"),)

    depot_id: str = Field(primary_key=True)
    message_id: str = Field(primary_key=True)
    channel: str = Field(primary_key=True)
    seq: int
    body: str = Field(sa_column=Column(Text, nullable=False))
    state: str
    taken_s: float
    due_s: float
    tries: int = 0
    error: str = ""
    ended_s: float | None = None


class CursorRow(SQLModel, table=True):
    """How far the outbox was taken over."""

    __tablename__ = "notify_cursor"

    depot_id: str = Field(primary_key=True)
    seq: int
