"""Who is asking: sign-in with limited tries, server-side sessions, machine tokens, and proof that a form is ours.

A session's cookie carries a random token; the database knows only its SHA-256. It ends 12 h after sign-in, or 30 min
after the last request (the live stream does not count), or when the account is shut. Sign-in always makes a new one.
A form is ours when its origin is this host and it repeats a value that only a page of this session can know.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from sqlalchemy import delete, func, select, update
from sqlmodel import col
from uuid6 import uuid7

from depot.ports import Clock
from depot.values import Role
from storage import Store
from web.problems import Problem
from web.roles import GRANTS, Permission
from web.settings import WebSettings
from web.tables import LoginSession, SignInTry, User, table_of
from web.trail import NOBODY
from web.users import Person, Users, digest

_SESSION, _USER = table_of(LoginSession), table_of(User)
_TOUCH_MS = 30_000
"""``seen`` is written at most this often."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. ``token``: the session's secret ("" for a machine); ``ends_ms``: when the session ends at the latest.
    ``vehicles``: of which alone a machine may tell; None: of any."""

    name: str
    role: Role | None
    permissions: frozenset[Permission]
    token: str = ""
    digest: str = ""
    must_change: bool = False
    since: datetime | None = None
    ends_ms: int = 0
    vehicles: frozenset[str] | None = None

    @property
    def is_machine(self) -> bool:
        return self.role is None

    def may(self, permission: str) -> bool:
        return Permission(permission) in self.permissions and not (
            self.must_change and permission not in (Permission.SELF, Permission.PUBLIC)
        )


def csrf_token(secret: str) -> str:
    """The value that a form repeats: derived from the cookie's secret, which scripts cannot read."""
    return hashlib.sha256(b"chargeyard form\0" + secret.encode()).hexdigest()


def check_origin(headers: Mapping[str, str]) -> None:
    """A changing request must come from this host: ``Origin``, else ``Referer``, must name the ``Host`` asked."""
    host = headers.get("host", "")
    source = headers.get("origin") or headers.get("referer")
    if not source or urlsplit(source).netloc.lower() != host.lower() or not host:
        raise Problem("csrf_failed", "The request does not come from a page of this server. Open the page anew and try again.")


def check_csrf(secret: str, sent: object) -> None:
    """The form must repeat the value of its session."""
    if not isinstance(sent, str) or not hmac.compare_digest(sent.encode(), csrf_token(secret).encode()):
        raise Problem("csrf_failed", "This form belongs to an earlier sign-in. Open the page anew and try again.")


class Auth:
    """Sessions and tries of one depot. Calls are short and synchronous; the app runs them in threads."""

    def __init__(self, settings: WebSettings, store: Store, clock: Clock) -> None:
        self._settings, self._store, self._clock = settings, store, clock
        self.users = Users(store, clock, settings.depot_id)
        self.trail = self.users.trail

    def sign_in(self, name: str, password: str, *, address: str, old_token: str | None) -> str:
        """A new session's token. Raises :class:`Problem` too_many_tries, not_signed_in."""
        name = name.strip()
        key = digest(f"{name.casefold()}\0{address}")
        self._count_try(key, name=name, address=address)
        person = self.users.verify(name, password)
        if person is None:
            with self._store.unit() as session:
                self.trail.failed(session, self._known(name), "SignIn", reason=f"from {address}: name and password do not match")
            raise Problem("not_signed_in", "Name and password do not match an open account.")
        token = secrets.token_urlsafe(32)
        now_ms = self._now_ms()
        with self._store.unit() as session:
            session.execute(delete(SignInTry).where(col(SignInTry.depot_id) == self._settings.depot_id, col(SignInTry.key) == key))
            oldest_ms = now_ms - self._settings.absolute_s * 1000
            session.execute(delete(LoginSession).where(col(LoginSession.created_ms) < oldest_ms))
            if old_token:
                session.execute(delete(LoginSession).where(*self._is(digest(old_token))))
            session.add(
                LoginSession(
                    depot_id=self._settings.depot_id, digest=digest(token), user_name=person.name, created_ms=now_ms, seen_ms=now_ms
                )
            )
            self.trail.add(session, person.name, "SignIn", reason=f"from {address}")
        return token

    def _known(self, name: str) -> str:
        """The name of an account, or that there is none: what was typed may be a password."""
        person = self.users.get(name)
        return NOBODY if person is None else person.name

    def _count_try(self, key: str, *, name: str, address: str) -> None:
        """Count the try before the password is looked at, so that parallel tries count as well."""
        now_ms = self._now_ms()
        since_ms = now_ms - self._settings.tries_window_s * 1000
        with self._store.unit() as session:
            session.execute(delete(SignInTry).where(col(SignInTry.at_ms) <= since_ms))
            mine = (col(SignInTry.depot_id) == self._settings.depot_id, col(SignInTry.key) == key)
            count, first_ms = session.execute(select(func.count(), func.min(SignInTry.at_ms)).where(*mine)).one()
            if count < self._settings.tries_most:
                session.add(SignInTry(depot_id=self._settings.depot_id, try_id=str(uuid7()), key=key, at_ms=now_ms))
                return
            self.trail.failed(session, self._known(name), "SignIn", reason=f"from {address}: too many tries")
        wait_s = -(-(first_ms - since_ms) // 1000)
        minutes = -(-wait_s // 60)
        raise Problem(
            "too_many_tries",
            f"This account was tried {count} times from here. Wait {minutes} min, or have the administrator reset the password.",
            headers={"retry-after": str(wait_s)},
        )

    def sign_out(self, token: str) -> None:
        with self._store.unit() as session:
            ended = session.get(LoginSession, (self._settings.depot_id, digest(token)))
            if ended is not None:
                session.delete(ended)
                self.trail.add(session, ended.user_name, "SignOut")

    def person(self, token: str, *, touch: bool = True) -> Caller | None:
        """The caller behind a session's token; None when it has ended. ``touch``: this request keeps it alive."""
        mine = digest(token)
        query = (
            select(_SESSION.c.user_name, _SESSION.c.created_ms, _SESSION.c.seen_ms, _USER.c.role, _USER.c.must_change, _USER.c.disabled)
            .join(_USER, (_USER.c.depot_id == _SESSION.c.depot_id) & (_USER.c.name == _SESSION.c.user_name))
            .where(_SESSION.c.depot_id == self._settings.depot_id, _SESSION.c.digest == mine)
        )
        with self._store.reading() as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        user_name, created_ms, seen_ms, role, must_change, disabled = row
        now_ms = self._now_ms()
        ends_ms = created_ms + self._settings.absolute_s * 1000
        if disabled or now_ms >= ends_ms or now_ms >= seen_ms + self._settings.idle_s * 1000:
            return None
        if touch and now_ms - seen_ms >= _TOUCH_MS:
            with self._store.unit() as session:
                session.execute(update(LoginSession).where(*self._is(mine)).values(seen_ms=now_ms))
        return Caller(
            user_name,
            Role(role),
            GRANTS[Role(role)],
            token,
            mine,
            bool(must_change),
            datetime.fromtimestamp(created_ms / 1000, UTC),
            ends_ms,
        )

    def machine(self, secret: str) -> Caller | None:
        """The caller behind a bearer token."""
        token = self.users.token(secret)
        if token is None:
            return None
        return Caller(f"token {token.name}", None, frozenset(token.scopes) | {Permission.PUBLIC}, vehicles=token.vehicles)

    def change_password(self, caller: Caller, *, old: str, new: str, address: str) -> Person | None:
        """Change the caller's own password; None when the old one is wrong (which counts as a try)."""
        key = digest(f"{caller.name.casefold()}\0{address}")
        self._count_try(key, name=caller.name, address=address)
        person = self.users.verify(caller.name, old)
        if person is None:
            with self._store.unit() as session:
                self.trail.failed(session, caller.name, "PasswordChanged", reason=f"from {address}: the present password did not match")
        else:
            self.users.change_password(caller.name, new, keep=caller.digest)
        return person

    def _is(self, session_digest: str):  # type: ignore[no-untyped-def]  # two SQLAlchemy conditions
        return col(LoginSession.depot_id) == self._settings.depot_id, col(LoginSession.digest) == session_digest

    def _now_ms(self) -> int:
        return round(self._clock.now().timestamp() * 1000)
