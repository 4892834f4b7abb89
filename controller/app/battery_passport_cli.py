"""``./chargeyard battery passport``: passports of batteries: out of a running depot, into one, and looked at as files.

    export, import     speak to the running core, and stand in the audit trail
    check, verify, paper, sheet     look at a file alone

Exit codes: 0 done, 1 the answer is no (something in it cannot be, the signature does not fit, refused), 2 wrong usage, 3 no core answers.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from controller.app import battery_out
from controller.app.battery_words import pack_of, reason_of

if TYPE_CHECKING:
    from bms_bridge.passport.foreign import Foreign
    from controller.settings import Settings
    from depot import commands as cmd

console = Console()
complaints = Console(stderr=True)

DONE, NO, USAGE = 0, 1, 2
MOST_EVIDENCE = 8 * 1024 * 1024
SHOWN_MOST = 40

passport = typer.Typer(help="Battery passports: export, import, check, verify.", no_args_is_help=True)
ConfigArgument = Annotated[Path, typer.Argument(metavar="CONFIG", help="The depot's configuration file.")]
PackArgument = Annotated[str, typer.Argument(metavar="VEHICLE/PACK", help="Which pack, as the registry names it: E-131/P1.")]
FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A passport (JSON).", exists=True, dir_okay=False)]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept in the audit trail.")]
PrintOption = Annotated[str, typer.Option("--fingerprint", help="Of the key that it must be signed with, as the issuer said it.")]
JsonOption = Annotated[bool, typer.Option("--json", help="As JSON.")]


def add_to(battery: typer.Typer) -> None:
    """Hang the commands under ``battery``."""
    battery.add_typer(passport, name="passport")


@passport.command("export")
def export_passport(
    config: ConfigArgument,
    pack: PackArgument,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file that is written: .json (signed) or .pdf.")],
    tier: Annotated[
        str, typer.Option("--tier", help="Who it is for: public, legitimate_interest, authority, repurposer, owner.")
    ] = "public",
    reason: ReasonOption = "",
    health: Annotated[Path | None, typer.Option("--health", help="An estimate to put in: output of battery soh --json.")] = None,
    grade: Annotated[Path | None, typer.Option("--grade", help="A grade to put in: output of battery grade or value --json.")] = None,
    cell: Annotated[
        str, typer.Option("--cell", help="Which cell of these files stands for the pack; needed where there are several.")
    ] = "",
) -> None:
    """Write a pack's passport, signed, as a tier may see it. Needs the running core."""
    from bms_bridge.passport.tiers import Tier
    from controller.settings import Settings
    from depot import commands as cmd

    vehicle_id, pack_id = pack_of(pack)
    if tier not in set(Tier):
        raise typer.BadParameter(f"there is no tier {tier!r}; write one of {', '.join(Tier)}")
    if output.suffix not in (".json", ".pdf"):
        raise typer.BadParameter("the file's name ends with .json or .pdf")
    battery_out.places(output)
    brought = {**_estimate(health, cell), **_graded(grade, cell)}
    told = reason_of(reason or ("public passport" if tier == Tier.PUBLIC else ""))
    settings = Settings.load(config)
    result = _send(settings, lambda base: cmd.IssuePassport(**base, vehicle_id=vehicle_id, pack_id=pack_id, tier=tier, **brought), told)
    document = (result.answer or {}).get("passport")
    if not isinstance(document, dict):
        _no("the core answered without a passport: ask again")
    if output.suffix == ".pdf":
        from bms_bridge.passport.paper import pdf

        data = pdf(document)
    else:
        data = json.dumps(document, ensure_ascii=False, indent=1).encode() + b"\n"
    battery_out.put(output, data, mode=0o644 if tier == Tier.PUBLIC else 0o600)
    from bms_bridge.passport.seal import verified

    console.print(f"{output}: {result.message}", highlight=False, markup=False, soft_wrap=True)
    console.print(f"signed by the key {verified(document).fingerprint}", highlight=False, soft_wrap=True)


@passport.command("import")
def import_passport(
    config: ConfigArgument, pack: PackArgument, file: FileArgument, *, reason: ReasonOption, fingerprint: PrintOption = ""
) -> None:
    """Keep a passport from elsewhere beside the pack's own. It is checked first, and never takes the place of what was measured here."""
    from controller.passport_shelf import put_aside
    from controller.settings import Settings
    from depot import commands as cmd

    vehicle_id, pack_id = pack_of(pack)
    told = reason_of(reason)
    _read(file, fingerprint)
    settings = Settings.load(config)
    digest = put_aside(settings.passports_incoming, _bytes(file))
    try:
        result = _send(
            settings,
            lambda base: cmd.KeepPassport(**base, vehicle_id=vehicle_id, pack_id=pack_id, sha256=digest, fingerprint=fingerprint[:100]),
            told,
        )
    finally:
        (settings.passports_incoming / f"{digest}.json").unlink(missing_ok=True)
    console.print(f"{file.name}: {result.message}", highlight=False, markup=False, soft_wrap=True)


@passport.command("check")
def check_passport(file: FileArgument, *, as_json: JsonOption = False) -> None:
    """Say whether a passport has the data model's shape, and what in it cannot be: each by the name of its check.

    Takes a passport of a depot, the six parts in one object, or one part alone. Exit code 1: something is wrong with it; 2: no passport.
    """
    from bms_bridge.passport import plausible, shape
    from bms_bridge.passport.assemble import filled
    from bms_bridge.passport.fields import ASPECTS

    read = _read(file, "")
    against = shape.complaints(read.aspects, ASPECTS if read.whole else read.parts)
    found = plausible.findings(read.aspects, now=datetime.now(UTC), absent=read.absent)
    if as_json:
        rows = [{"check": one.check, "path": one.path, "words": one.words} for one in found]
        typer.echo(json.dumps({"parts": list(read.parts), "shape": against, "findings": rows}, ensure_ascii=False))
        raise typer.Exit(NO if against or found else DONE)
    for words in against[:SHOWN_MOST]:
        complaints.print(f"[red]shape:[/] {escape(words)}", highlight=False, soft_wrap=True)
    for one in found[:SHOWN_MOST]:
        complaints.print(f"[yellow]{one.check}:[/] {escape(one.path)}: {escape(one.words)}", highlight=False, soft_wrap=True)
    more = max(0, len(against) - SHOWN_MOST) + max(0, len(found) - SHOWN_MOST)
    if more:
        complaints.print(f"… and {more} more; --json shows all", highlight=False)
    counted = ""
    if read.absent:
        some = filled({"absent": read.absent})
        counted = f"; {some.filled} of {some.required} required values are filled, {some.unknown} unknown, {some.withheld} withheld"
    console.print(
        f"{', '.join(read.parts)}: {len(against)} of the wrong shape, {len(found)} that cannot be{counted}", highlight=False, soft_wrap=True
    )
    raise typer.Exit(NO if against or found else DONE)


@passport.command("verify")
def verify_passport(file: FileArgument, *, fingerprint: PrintOption = "") -> None:
    """Say whose signature is on a passport, and whether anything was changed since. Exit code 1: it does not fit, or there is none."""
    read = _read(file, "")
    from bms_bridge.passport import SealBroken
    from bms_bridge.passport.seal import verified

    try:
        seal = verified(read.document, fingerprint=fingerprint)
    except SealBroken as error:
        _no(str(error))
    console.print(f"{file.name}: as it was signed by the key {seal.fingerprint}", highlight=False, markup=False, soft_wrap=True)
    if not fingerprint:
        console.print(
            "Whose key that is, this does not say: compare it with what the issuer told you by another way.",
            highlight=False,
            soft_wrap=True,
        )


@passport.command("paper")
def paper_passport(file: FileArgument, *, output: Annotated[Path, typer.Option("--output", "-o", help="The PDF that is written.")]) -> None:
    """Make the PDF of a passport that a depot issued."""
    from bms_bridge.passport import shape
    from bms_bridge.passport.paper import pdf

    battery_out.places(output)
    read = _read(file, "")
    against = shape.complaints(read.aspects)
    if read.broken or against or not {"tier", "issued_at", "issuer", "provenance", "details", "data_model"} <= read.document.keys():
        _no(read.broken or (against[0] if against else "it is no passport of a depot, but parts of the data model alone"))
    try:
        data = pdf(read.document)
    except (KeyError, TypeError, ValueError, AttributeError):
        _no("it is not as a depot writes a passport: its sources or its assessment cannot be read")
    battery_out.put(output, data)
    console.print(f"{output}: {output.stat().st_size:,} bytes", highlight=False, markup=False, soft_wrap=True)


@passport.command("sheet")
def check_sheet(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Data sheets of batteries (TOML).", exists=True, dir_okay=False)],
) -> None:
    """Look at a file of data sheets: which packs it has, how much of a passport it fills; all mistakes at once. Exit code 1: mistakes."""
    from bms_bridge.passport import SheetRefused
    from bms_bridge.passport.fields import FIELDS
    from bms_bridge.passport.sheet import MODEL, OWN, read

    try:
        found = read(file.read_bytes())
    except SheetRefused as error:
        for line in str(error).splitlines():
            complaints.print(f"[red]-[/] {escape(line)}", highlight=False, soft_wrap=True)
        raise typer.Exit(NO) from None
    wanted = {field.path for field in FIELDS if field.required}
    of_sheet = {path for path in (*MODEL.values(), *OWN.values()) if path in wanted}
    table = Table(title=f"{file.name}: {len(found.packs)} packs", title_justify="left")
    for name in ("pack", "model", "required values that a sheet can tell", "missing"):
        table.add_column(name)
    keys = {path: key for key, path in (*MODEL.items(), *OWN.items())}
    for pack, sheet in sorted(found.packs.items()):
        missing = sorted(keys[path] for path in of_sheet - sheet.values.keys())
        there = f"{len(of_sheet & sheet.values.keys())} of {len(of_sheet)}"
        table.add_row(escape(str(pack)), escape(sheet.model), there, ", ".join(missing) or "nothing")
    console.print(table)


# -- how -------------------------------------------------------------------------------------------------------------------


def _read(file: Path, fingerprint: str) -> Foreign:
    """Exit code 2 for what is no passport, 1 for a signature that does not fit where one is asked for."""
    from bms_bridge.passport import PassportRefused
    from bms_bridge.passport.foreign import read

    try:
        found = read(_bytes(file), fingerprint=fingerprint)
    except PassportRefused as error:
        complaints.print(f"[red]chargeyard:[/] {escape(file.name)}: {escape(str(error))}", highlight=False, soft_wrap=True)
        raise typer.Exit(USAGE) from None
    if fingerprint and found.broken:
        _no(found.broken)
    return found


def _bytes(file: Path) -> bytes:
    from bms_bridge.passport.foreign import MOST_BYTES

    with file.open("rb") as opened:
        return opened.read(MOST_BYTES + 1)


def _estimate(file: Path | None, cell: str) -> dict[str, Any]:
    """The newest estimate of ``battery soh --json``."""
    if file is None:
        return {}
    rows, digest = _lines(file, cell, "soh")
    row = max(rows, key=lambda one: float(one.get("cycle") or 0))
    if row.get("soh") is None:
        _no(f"{file.name}: there is no estimate for its last charge ({row.get('worth', 'abstained')})")
    at = datetime.fromtimestamp(file.stat().st_mtime, UTC).isoformat(timespec="seconds")
    method = f"estimate from one charge, {row.get('kind', '')}, {row.get('worth', '')}"
    bounds = {"soh_low": row.get("soh_low"), "soh_high": row.get("soh_high")}
    return {"soh": float(row["soh"]), **bounds, "soh_method": method, "soh_at": at, "evidence_sha256": digest}


def _graded(file: Path | None, cell: str) -> dict[str, Any]:
    """A grade of ``battery grade --json`` (one pulse) or of ``battery value --json`` (a whole pack)."""
    if file is None:
        return {}
    rows, digest = _lines(file, cell, "grade")
    if len(rows) > 1:
        _no(f"{file.name}: {len(rows)} grades of one and the same; leave the one that counts")
    row, band = rows[0], rows[0].get("grade")
    whole = row.get("schema") == "pack_value/1"
    method = "grade of the pack from its cells" if whole else "grade of a cell from one pulse"
    probability = row.get("probability") if band and not whole else None
    told = {"grade": str(band) if band else "test required", "grade_probability": probability}
    return {**told, "grade_method": f"{method}, file {digest[:16]}"}


def _lines(file: Path, cell: str, name: str) -> tuple[list[dict[str, Any]], str]:
    """Rows of a JSON list or of JSON lines that speak of ``cell``. Exit code 2 where there is not exactly one cell."""
    with file.open("rb") as opened:
        data = opened.read(MOST_EVIDENCE + 1)
    if len(data) > MOST_EVIDENCE:
        raise typer.BadParameter(f"{file.name} has more than {MOST_EVIDENCE // 1024**2} MB")
    try:
        text = data.decode("utf-8").strip()
        found = json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines() if line.strip()]
        rows = [row for row in found if isinstance(row, dict) and name in row and (not cell or _of(row) == cell)]
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(f"{file.name} is no output of battery {name} --json: {str(error)[:80]}") from None
    cells = {_of(row) for row in rows}
    if len(cells) != 1:
        raise typer.BadParameter(f"{file.name} speaks of {len(cells)} cells or packs: name the one that counts with --cell")
    return rows, hashlib.sha256(data).hexdigest()


def _of(row: dict[str, Any]) -> str:
    """Which cell, or which pack, a line speaks of."""
    return str(row.get("cell", row.get("pack_id")))


def _send(settings: Settings, make: Any, reason: str) -> cmd.CommandResult:
    from uuid6 import uuid7

    from controller.app.transfer import connected
    from controller.app.user import shell_user
    from controller.link import CoreLink
    from depot import commands as cmd

    command = make({"command_id": str(uuid7()), "actor": f"console {shell_user()}", "reason": reason})

    async def ask() -> cmd.CommandResult:
        async with CoreLink(settings.link_path) as link:
            await connected(link)
            return await link.command(command)

    result = asyncio.run(ask())
    if result.status in (cmd.CommandStatus.REFUSED, cmd.CommandStatus.FAILED):
        _no(result.message)
    return result


def _no(words: str) -> NoReturn:
    complaints.print(f"[red]chargeyard:[/] {escape(words)}", highlight=False, soft_wrap=True)
    raise typer.Exit(NO)
