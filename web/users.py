"""People and machine tokens in the database: add, list, disable, reset, role; passwords checked without telling
which accounts exist. Used by the sign-in page and by ``./chargeyard user``.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import delete, select
from sqlmodel import col

from depot.ports import Clock
from depot.values import Role
from storage import Store
from web import WebError
from web.roles import SCOPES, Permission
from web.tables import LoginSession, MachineToken, User, table_of
from web.trail import Trail

LEAST_PASSWORD = 12
_VEHICLE = "vehicle:"
_HASH = PasswordHash((Argon2Hasher(),))


_USER = table_of(User)
_TOKEN = table_of(MachineToken)


class UserError(WebError):
    """Unknown or taken name, weak password, unknown scope; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody known."""

    name: str
    role: Role
    must_change: bool = False
    disabled: bool = False
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """A machine's token, without its secret. ``vehicles``: of which alone it may tell; None: of any."""

    name: str
    scopes: tuple[Permission, ...]
    created_at: datetime
    vehicles: frozenset[str] | None = None


@cache
def _nobodys_password() -> str:
    """Verified against when an account is unknown, so that the answer takes as long."""
    return _HASH.hash(secrets.token_urlsafe(16))


def digest(token: str) -> str:
    """SHA-256 of a long random token, hex: all that is kept of it."""
    return hashlib.sha256(token.encode()).hexdigest()


def generate_password() -> str:
    """A password that can be read out: four groups of five, about 90 bits."""
    alphabet = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(alphabet) for _ in range(5)) for _ in range(4))


def check_password(password: str, name: str) -> None:
    """Raises :class:`UserError` for a password that is too short, too long or the name itself."""
    if len(password) < LEAST_PASSWORD:
        raise UserError(f"the password has {len(password)} characters; take at least {LEAST_PASSWORD}")
    if len(password) > 200:
        raise UserError("the password has more than 200 characters")
    if name.casefold() in password.casefold() and len(password) <= len(name) + 8:
        raise UserError("the password is little more than the name; take another")


class Users:
    """The people of one depot. ``actor``: who changes them here, for the audit trail."""

    def __init__(self, store: Store, clock: Clock, depot_id: str, *, actor: str = "command line") -> None:
        self._store, self._clock, self._depot_id = store, clock, depot_id
        self._actor = actor
        self.trail = Trail(store, clock, depot_id)

    def add(self, name: str, role: Role, password: str | None = None) -> str:
        """Make an account and return its password. Without one given, one is made up and must be changed at the
        first sign-in."""
        name = name.strip()
        if not 1 <= len(name) <= 80 or not name.isprintable():
            raise UserError("a name has 1 to 80 printable characters")
        given = password is not None
        if password is None:
            password = generate_password()
        check_password(password, name)
        user = User(
            depot_id=self._depot_id,
            name=name,
            role=role.value,
            password=_HASH.hash(password),
            must_change=not given,
            created_ms=self._now_ms(),
        )
        with self._store.unit() as session:
            if session.get(User, (self._depot_id, name)) is not None:
                raise UserError(f"there is an account {name!r} already: `user reset` gives it a new password, `user role` another role")
            session.add(user)
            self.trail.add(session, self._actor, "AccountAdded", target=name, reason=role.value)
        return password

    def list(self) -> Sequence[Person]:
        """All accounts, by name."""
        with self._store.unit() as session:
            found = session.scalars(select(User).where(col(User.depot_id) == self._depot_id).order_by(col(User.name))).all()
            return [_person(user) for user in found]

    def get(self, name: str) -> Person | None:
        with self._store.reading() as connection:
            row = connection.execute(select(_USER).where(*self._is(name))).mappings().first()
        return None if row is None else _person(User.model_validate(dict(row)))

    def disable(self, name: str, *, disabled: bool = True) -> None:
        """Shut an account (its sessions end at once), or open it again."""
        with self._store.unit() as session:
            user = self._found(session.get(User, (self._depot_id, name)), name)
            user.disabled = disabled
            session.add(user)
            if disabled:
                session.execute(self._sessions_of(name))
            self.trail.add(session, self._actor, "AccountShut" if disabled else "AccountOpened", target=name)

    def reset(self, name: str, password: str | None = None) -> str:
        """Give a new password (a made-up one must be changed at the next sign-in) and end the account's sessions."""
        given = password is not None
        if password is None:
            password = generate_password()
        check_password(password, name)
        self._store_password(name, password, must_change=not given, keep="", actor=self._actor)
        return password

    def set_role(self, name: str, role: Role) -> None:
        with self._store.unit() as session:
            user = self._found(session.get(User, (self._depot_id, name)), name)
            before, user.role = user.role, role.value
            session.add(user)
            self.trail.add(session, self._actor, "RoleChanged", target=name, reason=f"{before} to {role.value}")

    def change_password(self, name: str, new: str, *, keep: str) -> None:
        """The person's own change; ends all its other sessions. ``keep``: digest of the session that goes on."""
        check_password(new, name)
        self._store_password(name, new, must_change=False, keep=keep, actor=name)

    def verify(self, name: str, password: str) -> Person | None:
        """The person, if name and password are right and the account is open. Takes as long when it is not."""
        with self._store.reading() as connection:
            row = connection.execute(select(_USER).where(*self._is(name))).mappings().first()
        nobody = _nobodys_password()  # made at the first sign-in, whoever it is
        stored = nobody if row is None else str(row["password"])
        right = _HASH.verify(password[:200], stored)
        if row is None or not right or row["disabled"]:
            return None
        return _person(User.model_validate(dict(row)))

    def add_token(self, name: str, scopes: Sequence[Permission], *, vehicles: Sequence[str] = ()) -> str:
        """Make a machine token and return its secret, which is shown this once. ``vehicles``: of which alone it may tell."""
        wrong = [scope for scope in scopes if scope not in SCOPES]
        if wrong or not scopes:
            raise UserError(f"scopes are {', '.join(SCOPES)}" + (f"; not {', '.join(wrong)}" if wrong else ""))
        if vehicles and Permission.TELEMETRY not in scopes:
            raise UserError(f"a token is bound to vehicles by what it tells of them: give it the scope {Permission.TELEMETRY.value}")
        if strange := [vehicle for vehicle in vehicles if not vehicle or len(vehicle) > 64 or any(c.isspace() for c in vehicle)]:
            raise UserError(f"{strange[0]!r} is no vehicle's id")
        secret = "cy_" + secrets.token_urlsafe(32)
        words = " ".join([*scopes, *(_VEHICLE + vehicle for vehicle in vehicles)])
        row = MachineToken(depot_id=self._depot_id, name=name, digest=digest(secret), scopes=words, created_ms=self._now_ms())
        with self._store.unit() as session:
            if session.get(MachineToken, (self._depot_id, name)) is not None:
                raise UserError(f"there is a token {name!r} already: revoke it first")
            session.add(row)
            self.trail.add(session, self._actor, "TokenAdded", target=name, reason=row.scopes)
        return secret

    def tokens(self) -> Sequence[Token]:
        with self._store.unit() as session:
            found = session.scalars(
                select(MachineToken).where(col(MachineToken.depot_id) == self._depot_id).order_by(col(MachineToken.name))
            )
            return [_token(row) for row in found]

    def revoke_token(self, name: str) -> None:
        with self._store.unit() as session:
            row = session.get(MachineToken, (self._depot_id, name))
            if row is None:
                raise UserError(f"there is no token {name!r}")
            session.delete(row)
            self.trail.add(session, self._actor, "TokenRevoked", target=name)

    def token(self, secret: str) -> Token | None:
        """The token that this secret opens."""
        with self._store.reading() as connection:
            query = select(_TOKEN).where(_TOKEN.c.depot_id == self._depot_id, _TOKEN.c.digest == digest(secret))
            row = connection.execute(query).mappings().first()
        return None if row is None else _token(MachineToken.model_validate(dict(row)))

    def _store_password(self, name: str, password: str, *, must_change: bool, keep: str, actor: str) -> None:
        hashed = _HASH.hash(password)
        with self._store.unit() as session:
            user = self._found(session.get(User, (self._depot_id, name)), name)
            user.password, user.must_change = hashed, must_change
            session.add(user)
            session.execute(self._sessions_of(name).where(col(LoginSession.digest) != keep))
            self.trail.add(session, actor, "PasswordChanged", target=name)

    def _sessions_of(self, name: str):  # type: ignore[no-untyped-def]  # SQLAlchemy's Delete, generic over nothing of use
        return delete(LoginSession).where(col(LoginSession.depot_id) == self._depot_id, col(LoginSession.user_name) == name)

    def _is(self, name: str):  # type: ignore[no-untyped-def]  # two SQLAlchemy conditions
        return col(User.depot_id) == self._depot_id, col(User.name) == name

    def _found(self, user: User | None, name: str) -> User:
        if user is None:
            raise UserError(f"there is no account {name!r}; `user list` shows all")
        return user

    def _now_ms(self) -> int:
        return round(self._clock.now().timestamp() * 1000)


def _person(user: User) -> Person:
    return Person(user.name, Role(user.role), user.must_change, user.disabled, datetime.fromtimestamp(user.created_ms / 1000, UTC))


def _token(row: MachineToken) -> Token:
    words = row.scopes.split()
    known = tuple(Permission(scope) for scope in words if scope in SCOPES)
    vehicles = frozenset(word.removeprefix(_VEHICLE) for word in words if word.startswith(_VEHICLE))
    return Token(row.name, known, datetime.fromtimestamp(row.created_ms / 1000, UTC), vehicles or None)
