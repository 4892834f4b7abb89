"""``./chargeyard battery reference-test``: order, look at and call off a reference test of a battery, through a running depot's REST.

    VEHICLE/PACK + token --HTTP--> /api/v1/packs/{vehicle}/{pack}/reference-test --> what it says, as sentences or JSON

The token never stands on the command line: it comes from the environment or from a file. Exit codes: 0 done, 1 the depot says no (or the
newest test came to nothing), 2 wrong usage, also a wrong token or an unknown pack, 3 nobody answers.
"""

from __future__ import annotations

import os
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn
from urllib.parse import quote, urlsplit

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from controller.app.battery_words import pack_of, reason_of

if TYPE_CHECKING:
    import httpx

    from controller.reference_view import ReferenceTestView

console = Console()
complaints = Console(stderr=True)

DONE, NO, USAGE, UNREACHABLE = 0, 1, 2, 3
TOKEN_VARIABLE = "CHARGEYARD_API_TOKEN"  # noqa: S105 (its name)
TOKEN_MOST = 4096
WAIT_S = 60.0
ANSWER_MOST = 1 << 20
NOTHING = ("broken_off", "expired")

reference = typer.Typer(help="Reference test of a battery by a running depot: order, show, call off.", no_args_is_help=True)
PackArgument = Annotated[str, typer.Argument(metavar="VEHICLE/PACK", help="Which pack, as the registry names it: E-131/P1.")]
UrlOption = Annotated[str, typer.Option("--url", help="Where the depot's pages are. https, unless they are on this machine.")]
TokenOption = Annotated[
    Path | None, typer.Option("--token-file", help=f"A file with the token (user token add); else ${TOKEN_VARIABLE} holds it.")
]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept in the audit trail.")]
JsonOption = Annotated[bool, typer.Option("--json", help="What the depot answers, as JSON.")]
HERE = "http://127.0.0.1:8080"


def add_to(battery: typer.Typer) -> None:
    """Hang the commands under ``battery``."""
    battery.add_typer(reference, name="reference-test")


@reference.command("order")
def order(
    pack: PackArgument,
    *,
    reason: ReasonOption,
    wait_h: Annotated[
        float, typer.Option("--wait-h", min=0, max=744, help="So long it may wait for a stay in which it fits, h; 0: now or never.")
    ] = 0.0,
    most_soc: Annotated[
        float, typer.Option("--most-soc", min=0.05, max=0.9, help="It begins at this state of charge (a fraction) or less.")
    ] = 0.5,
    pulses: Annotated[int, typer.Option("--pulses", min=3, max=10, help="So many steps down and up.")] = 3,
    url: UrlOption = HERE,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Order a reference test: rest, pulses, one charge to full at one rate, rest. Needs a token with the scope limit.

    Exit code 1: the depot refuses it, and says why; 2: wrong usage; 3: the depot does not answer.
    """
    body = {"reason": reason_of(reason), "wait_h": wait_h, "most_soc": most_soc, "pulses": pulses}
    _ordered(_asked("POST", pack, url=url, token_file=token_file, body=body), as_json=as_json)


@reference.command("call-off")
def call_off(
    pack: PackArgument, *, reason: ReasonOption, url: UrlOption = HERE, token_file: TokenOption = None, as_json: JsonOption = False
) -> None:
    """End a test that waits or runs: its vehicle charges as planned again. Needs a token with the scope limit.

    Exit code 1: none is open; 2: wrong usage; 3: the depot does not answer.
    """
    found = _asked("POST", pack, "/call-off", url=url, token_file=token_file, body={"reason": reason_of(reason)})
    _ordered(found, as_json=as_json)


@reference.command("show")
def show(pack: PackArgument, *, url: UrlOption = HERE, token_file: TokenOption = None, as_json: JsonOption = False) -> None:
    """Show the newest test of a pack's vehicle: how far it is, what it waits for, how it ended. Needs a token with the scope read.

    Exit code 1: none was ever ordered, or the newest one was broken off or never began; 2: wrong usage; 3: the depot does not answer.
    """
    import msgspec

    from controller.reference_view import ReferenceTestView

    answer = _asked("GET", pack, url=url, token_file=token_file)
    try:
        view = msgspec.json.decode(answer, type=ReferenceTestView)
    except msgspec.MsgspecError as error:
        _end(UNREACHABLE, f"what answers at {url} is no Chargeyard of this release: {error}")
    if as_json:
        typer.echo(answer.decode())
    else:
        _tell(view)
    raise typer.Exit(NO if not view.phase or view.outcome in NOTHING else DONE)


def _tell(view: ReferenceTestView) -> None:
    console.print(escape(f"{view.vehicle_id}: {view.words}"), highlight=False, soft_wrap=True)
    if view.why_not and view.phase in ("", "over"):
        console.print(escape(f"None can be ordered now: {view.why_not}."), highlight=False, soft_wrap=True)
    if not view.phase:
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    ordered = "" if view.ordered_at is None else f"{view.ordered_at:%Y-%m-%d %H:%M} UTC by {view.ordered_by}: {view.reason}"
    powers = f"charge {view.rate_w / 1000:.1f} kW, pulses {view.low_w / 1000:.1f} and {view.high_w / 1000:.1f} kW" if view.rate_w else ""
    times = (
        ("may begin until", view.until if view.phase == "waiting" else None),
        ("ends about", view.ends_about),
        ("ended", view.ended_at),
    )
    rows = [("ordered", ordered), ("charger", view.connector), ("powers", powers)]
    rows += [(name, f"{at:%Y-%m-%d %H:%M} UTC") for name, at in times if at is not None]
    for name, value in rows:
        if value:
            table.add_row(name, escape(value))
    console.print(table)


def _ordered(answer: bytes, *, as_json: bool) -> None:
    """Say what the depot made of an order."""
    import msgspec

    from depot.commands import CommandResult, CommandStatus

    try:
        result = msgspec.json.decode(answer, type=CommandResult)
    except msgspec.MsgspecError as error:
        _end(UNREACHABLE, f"what answers is no Chargeyard of this release: {error}")
    if as_json:
        typer.echo(answer.decode())
    elif result.status is CommandStatus.FAILED:
        _end(NO, result.message)
    else:
        console.print(escape(f"{result.status.value}: {result.message}"), highlight=False, soft_wrap=True)
    raise typer.Exit(NO if result.status is CommandStatus.FAILED else DONE)


def _asked(method: str, pack: str, tail: str = "", *, url: str, token_file: Path | None, body: dict[str, Any] | None = None) -> bytes:
    """What the depot answers; anything but yes ends the command."""
    import httpx
    from uuid6 import uuid7

    path = f"/api/v1/packs/{'/'.join(quote(part, safe='') for part in pack_of(pack))}/reference-test{tail}"
    base = _base(url)
    headers = {"authorization": f"Bearer {_token(token_file)}", "idempotency-key": str(uuid7())}
    try:
        with (
            httpx.Client(timeout=WAIT_S, trust_env=not _local(base)) as client,
            client.stream(method, base + path, headers=headers, json=body) as answer,
        ):
            said = b""
            for part in answer.iter_bytes():
                said += part
                if len(said) > ANSWER_MOST:
                    _end(UNREACHABLE, f"what answers at {base} is no Chargeyard: it sends more than {ANSWER_MOST:,} bytes")
    except httpx.TimeoutException:
        more = "; look with reference-test show whether the order arrived" if method == "POST" else ""
        _end(UNREACHABLE, f"{base} did not answer within {WAIT_S:.0f} s{more}")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        _end(UNREACHABLE, f"{base} does not answer ({error}): start the depot with ./chargeyard run, or say with --url where it is")
    if not answer.is_success:
        _refused(answer, said, base)
    return said


def _refused(answer: httpx.Response, said: bytes, base: str) -> NoReturn:
    import msgspec

    try:
        problem = msgspec.json.decode(said, type=dict[str, Any])
    except msgspec.MsgspecError:
        _end(UNREACHABLE, f"what answers at {base} is no Chargeyard (HTTP {answer.status_code})")
    words = f"{problem.get('title', '')}: {problem.get('detail', '')}"
    if errors := problem.get("errors"):
        words += f" ({'; '.join(f'{name}: {what}' for name, what in dict(errors).items())})"
    if answer.status_code == 403:
        words += " The token needs the scope limit to order, read to show."
    code = NO if answer.status_code == 409 else UNREACHABLE if answer.status_code >= 500 or answer.status_code == 429 else USAGE
    _end(code, words)


def _base(url: str) -> str:
    """Scheme and host of ``url``; where the token would be readable on the way, it is refused."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise typer.BadParameter(f"--url {url!r} is no address: write {HERE}, or https://depot.example.org") from None
    if parts.scheme not in ("http", "https") or not host or parts.path not in ("", "/") or parts.query or parts.username:
        raise typer.BadParameter(f"--url {url!r} is no address of a depot: write {HERE}, or https://depot.example.org")
    base = f"{parts.scheme}://{parts.netloc}"
    if parts.scheme == "http" and not _local(base):
        raise typer.BadParameter(f"--url {url!r}: the token would travel unencrypted; use https")
    return base


def _local(base: str) -> bool:
    host = urlsplit(base).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _token(file: Path | None) -> str:
    if file is not None:
        with file.open("rb") as opened:
            said = opened.read(TOKEN_MOST + 1)
        where = str(file)
    else:
        said, where = os.environ.get(TOKEN_VARIABLE, "").encode(errors="replace"), f"${TOKEN_VARIABLE}"
    token = said.strip()
    if not token:
        made = "./chargeyard user token add NAME limit read"
        raise typer.BadParameter(f"{where} holds no token: make one with {made}, for --token-file or ${TOKEN_VARIABLE}")
    if len(token) > TOKEN_MOST or not all(33 <= byte < 127 for byte in token):
        raise typer.BadParameter(f"{where} holds no token: one line of letters and digits is expected")
    return token.decode("ascii")


def _end(code: int, words: str) -> NoReturn:
    complaints.print(f"[red]chargeyard:[/] {escape(words)}", highlight=False, soft_wrap=True)
    raise typer.Exit(code)
