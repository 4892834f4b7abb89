"""People, their sessions, their tries to sign in, and machines' tokens. Times are milliseconds since 1970, UTC.

Of secrets only digests rest here: argon2id of passwords, SHA-256 of the long random session and machine tokens.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, LargeBinary, Table
from sqlmodel import Field, SQLModel


def _ms(*, nullable: bool = False) -> Column[int]:
    return Column(BigInteger, nullable=nullable)


class User(SQLModel, table=True):
    """A person. ``must_change``: the password was given by somebody else and opens nothing but its own change."""

    __tablename__ = "web_user"

    depot_id: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    role: str
    password: str
    must_change: bool = False
    disabled: bool = False
    created_ms: int = Field(sa_column=_ms())


class LoginSession(SQLModel, table=True):
    """One signed-in browser. ``digest``: SHA-256 of the cookie's token, hex."""

    __tablename__ = "web_session"

    depot_id: str = Field(primary_key=True)
    digest: str = Field(primary_key=True)
    user_name: str = Field(index=True)
    created_ms: int = Field(sa_column=_ms())
    seen_ms: int = Field(sa_column=_ms())


class SignInTry(SQLModel, table=True):
    """A try to sign in. ``key``: SHA-256 over account and address, so that a name mistyped as a password stays unread."""

    __tablename__ = "web_try"

    depot_id: str = Field(primary_key=True)
    try_id: str = Field(primary_key=True)
    key: str = Field(index=True)
    at_ms: int = Field(sa_column=_ms())


class MachineToken(SQLModel, table=True):
    """A bearer token of a machine. ``scopes``: names of permissions, space-separated."""

    __tablename__ = "web_token"

    depot_id: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    digest: str = Field(index=True, unique=True)
    scopes: str
    created_ms: int = Field(sa_column=_ms())


class TrailRow(SQLModel, table=True):
    """Who signed in, or changed who may: an entry of the people's own audit trail, chained like the depot's."""

    __tablename__ = "web_audit"

    depot_id: str = Field(primary_key=True)
    seq: int = Field(primary_key=True)
    at_ms: int = Field(sa_column=_ms())
    actor: str
    kind: str
    target: str
    reason: str
    outcome: str
    prev: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


def table_of(model: type[SQLModel]) -> Table:
    """The table behind a model, for reading without a unit of work."""
    table = model.__table__  # type: ignore[attr-defined]  # SQLModel does not declare it
    assert isinstance(table, Table)
    return table
