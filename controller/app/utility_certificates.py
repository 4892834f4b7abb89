"""``chargeyard utility-certificates``: an authority, the port's certificate and masters' certificates for Modbus/TLS.

FOLDER/authority-key.pem   the authority with its key, made at the first call, mode 0600: keep it apart
FOLDER/authority.pem       what masters and this depot trust
FOLDER/port.pem            certificate and key of the port, mode 0600; made anew at each call
FOLDER/NAME.pem            certificate and key of a master, mode 0600: give it to whoever runs the master, and remove it
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from controller.port_certificate import keep_authority
from controller.secrets import replace_private
from depot.values import InvalidValue
from grid.limit_access import Role
from grid.limit_tls import role_extension

OURS = frozenset({"authority-key", "authority", "port"})
_CLIENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def make_certificates(folder: Path, *, names: Sequence[str], client: str, role: str, days: int, console: Console) -> int:
    """Make what is wanted and say what to write into the depot's file. Raises :class:`InvalidValue` for names that cannot be."""
    if role not in list(Role):
        raise InvalidValue(f"role {role!r} is none of {', '.join(Role)}")
    if client and (not _CLIENT.fullmatch(client) or client in OURS):
        raise InvalidValue(f"a master can't be called {client!r}: letters, digits, . _ - and none of {', '.join(sorted(OURS))}")
    now = datetime.now(UTC)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    authority = keep_authority(folder / "authority-key.pem", name="Utility link authority", organization="", now=now)
    (folder / "authority.pem").write_text(authority.root_pem, encoding="ascii")
    try:
        issued, key = authority.server(names, organization="", days=days, now=now)
    except ValueError as error:
        raise InvalidValue(f"--name: {error}") from None
    replace_private(folder / "port.pem", issued.pem + key)
    if client:
        issued, key = authority.client(client, organization="", days=days, now=now, extensions=[role_extension(role)])
        replace_private(folder / f"{client}.pem", issued.pem + key)
        console.print(f"for the master {escape(client)}, {role}: {escape(str(folder / f'{client}.pem'))} and authority.pem")
    port = escape(str(folder / "port.pem"))
    console.print("for the depot's file:")
    console.print(f'\\[utility.tls]\ncertificate = "{port}"\nkey = "{port}"\nauthorities = "{escape(str(folder / "authority.pem"))}"')
    return 0
