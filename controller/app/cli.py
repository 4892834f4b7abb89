"""The command line. Each command loads what it needs when it runs, so that ``--help`` answers at once.

Exit codes: 0 done, 1 the answer is no, 2 wrong usage, 3 a part that is needed is not reachable, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import contextlib
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.markup import escape

from controller.app.battery_cli import battery
from controller.app.bench import bench
from controller.app.can_cli import can
from controller.app.driver_cli import driver
from controller.app.driver_tariff import driver_tariff
from controller.app.exits import STOPPED, exit_code_of, sentence
from controller.app.lake import lake
from controller.app.meter import meter
from controller.app.tariff import tariff as tariffs
from controller.app.telemetry_cli import telemetry
from controller.app.user import user

app = typer.Typer(
    name="chargeyard",
    help="The open controller for electric-fleet depots.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
console = Console()
complaints = Console(stderr=True)
app.add_typer(user, name="user")
app.add_typer(meter, name="meter")
app.add_typer(can, name="can")
app.add_typer(battery, name="battery")
app.add_typer(telemetry, name="telemetry")
app.add_typer(lake, name="lake")
app.add_typer(tariffs, name="tariff")
app.add_typer(driver_tariff, name="driver-tariff")
app.add_typer(driver, name="driver")
app.add_typer(bench, name="bench")

KindName = Literal["vehicles", "packs", "drivers", "stations", "feeders", "departures"]
PolicyName = Literal["cheapest", "readiness", "battery-life"]
DeparturesName = Literal["known", "stated"]
GatewayProfile = Literal["calm", "slow", "lossy", "noisy", "unlucky", "chaos"]


@app.command("plan")
def plan_scenario(
    scenario: Annotated[Path, typer.Argument(help="The scenario file (JSON), or the configuration of a depot that runs (TOML).")],
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where the plan is written (JSON). Not needed with a question.")
    ] = None,
    policy: Annotated[PolicyName, typer.Option("--policy", help="What a plan prefers once every vehicle is served.")] = "cheapest",
    deadline: Annotated[float, typer.Option("--deadline", min=0.1, help="Seconds after which planning is given up.")] = 60.0,
    explain: Annotated[
        bool, typer.Option("--explain", help="Why: who is short and what would help, dear hours, what a kW is worth.")
    ] = False,
    vehicle: Annotated[str, typer.Option("--vehicle", help="Why this vehicle charges when it does, slot by slot.")] = "",
    cell: Annotated[str, typer.Option("--cell", metavar="VEHICLE@02:15", help="Why it draws what it draws at this time.")] = "",
    what_if: Annotated[
        list[str] | None,
        typer.Option(
            "--what-if",
            metavar="CHANGE[,CHANGE]",
            help="The plan beside one in which something is changed; may be given several times. limit=-50kW, limit=800kW@18:00-22:00, "
            "feeder:B=+10%, price=x1.2, contract=+50kW, vehicles=+1, "
            "charger:BUS=down, depart:BUS=+30min, arrive:BUS=+30min, need:BUS=+20kWh",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answers as JSON on standard output instead of tables.")] = False,
) -> None:
    """Make one charging plan from a scenario file, show what it costs, and answer questions about it; or explain a running depot's plan.

    Why is bus-17 short? --explain. Why does it charge at 02:15? --cell bus-17@02:15. And with 50 kW less? --what-if limit=-50kW.
    """
    if scenario.suffix == ".toml":
        if what_if or output is not None or not (explain or vehicle or cell):
            complaints.print(
                "Of a depot that runs, ask --explain, --vehicle or --cell. What if: on its page, or POST /api/v1/plan/what-if.",
                highlight=False,
            )
            raise typer.Exit(2)
        from controller.app.plan_live import explain_live

        raise typer.Exit(
            explain_live(scenario, vehicle=vehicle, cell=cell, as_json=as_json, deadline_s=deadline, console=console, complaints=complaints)
        )
    from controller.app.plan import Questions, run_plan
    from optimizer import Policy

    questions = Questions(explain, vehicle, cell, tuple(what_if or ()), as_json)
    if output is None and not (questions.asks_why or questions.what_if):
        complaints.print("Say where the plan goes (-o plan.json), or ask something about it (--explain, --what-if).", highlight=False)
        raise typer.Exit(2)
    raise typer.Exit(
        run_plan(
            scenario,
            output,
            policy=Policy(policy),
            console=console,
            complaints=complaints,
            deadline_s=deadline,
            questions=questions,
        )
    )


@app.command("station-key")
def station_key(
    station: Annotated[str, typer.Argument(help="The station's id, as the configuration declares it.")],
    *,
    new: Annotated[bool, typer.Option("--new", help="For a station that will be added on the Registry page, not in the file.")] = False,
    config: Annotated[Path, typer.Option("--config", "-c", envvar="CHARGEYARD_CONFIG", help="The depot's configuration file.")] = Path(
        "depot.toml"
    ),
) -> None:
    """Make a password for a station, and the line that the configuration needs for it."""
    from controller.app.station_key import make_station_key

    raise typer.Exit(make_station_key(station, config, console, new=new))


@app.command("telematics-key")
def telematics_key(
    vehicle: Annotated[str, typer.Argument(help="The vehicle's id, as the timetable and the configuration have it.")],
    *,
    config: Annotated[Path, typer.Option("--config", "-c", envvar="CHARGEYARD_CONFIG", help="The depot's configuration file.")] = Path(
        "depot.toml"
    ),
) -> None:
    """Make a key with which a vehicle's telematics unit may send its battery's state."""
    from controller.app.telematics_key import make_telematics_key

    raise typer.Exit(make_telematics_key(vehicle, config, console))


@app.command("fire-spread")
def fire_spread(
    bay: Annotated[str, typer.Argument(help="The bay in which a vehicle burns, as the configuration's layout names it.")],
    *,
    kwh: Annotated[float, typer.Option("--kwh", min=1, max=2000, help="What its battery stores when full.")] = 300.0,
    soc: Annotated[float, typer.Option("--soc", min=0, max=1, help="Its state of charge, a fraction.")] = 1.0,
    config: Annotated[Path, typer.Option("--config", "-c", envvar="CHARGEYARD_CONFIG", help="The depot's configuration file.")] = Path(
        "depot.toml"
    ),
) -> None:
    """Say which bays would follow a burning one and when, and which people must leave. For planning."""
    from controller.app.fire_spread import show_spread

    raise typer.Exit(show_spread(bay, config, console, stored_kwh=kwh, soc=soc))


@app.command("utility-certificates")
def utility_certificates(
    folder: Annotated[Path, typer.Argument(help="Where the certificates are kept; made where it is absent.")],
    *,
    name: Annotated[list[str], typer.Option("--name", help="Name or address by which masters reach this machine; repeat for several.")],
    client: Annotated[str, typer.Option("--client", help="Also make a certificate for a master of this name.")] = "",
    role: Annotated[str, typer.Option("--role", help="Its role, as Secure SunSpec Modbus names them.")] = "GridServiceSunSpec",
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help="How long certificates last.")] = 730,
) -> None:
    """Make an authority and certificates for Modbus/TLS, where the utility brings none of its own."""
    from controller.app.utility_certificates import make_certificates

    raise typer.Exit(make_certificates(folder, names=name, client=client, role=role, days=days, console=console))


@app.command("import")
def import_file(
    config: Annotated[Path, typer.Argument(help="The depot's configuration file.")],
    kind: Annotated[KindName, typer.Argument(help="What the file holds.")],
    file: Annotated[Path, typer.Argument(help="CSV or JSON (docs/registry.md).")],
    *,
    apply: Annotated[bool, typer.Option("--apply", help="Apply it; without this, only what it would change is shown.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the audit trail. Needed with --apply.")] = "",
    remove_missing: Annotated[
        bool, typer.Option("--remove-missing", help="Also remove what the file does not hold (departures: of the file's days).")
    ] = False,
) -> None:
    """Show what a file would change of the running depot's registry or departures; --apply does it."""
    from controller.app.transfer import run_import

    code = run_import(config, kind, file, apply=apply, reason=reason, remove_missing=remove_missing, console=console, complaints=complaints)
    raise typer.Exit(code)


@app.command("export")
def export_file(
    config: Annotated[Path, typer.Argument(help="The depot's configuration file.")],
    kind: Annotated[KindName, typer.Argument(help="What is wanted.")],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where it is written; .json gives JSON, anything else CSV.")],
) -> None:
    """Write the running depot's registry or departures to a file that can be imported again."""
    from controller.app.transfer import run_export

    raise typer.Exit(run_export(config, kind, output, console=console))


@app.command("simulate")
def simulate_day(
    *,
    sessions: Annotated[Path | None, typer.Option("--sessions", help="ACN session file; with --day.")] = None,
    day: Annotated[datetime | None, typer.Option("--day", formats=["%Y-%m-%d"], help="Which day of the session file.")] = None,
    fleet: Annotated[Path | None, typer.Option("--fleet", help="Folder of an NREL fleet: its operating days laid over one night.")] = None,
    scenario: Annotated[Path | None, typer.Option("--scenario", help="A scenario file, as for plan.")] = None,
    limit: Annotated[str, typer.Option("--limit", help="Site limit in kW, or auto: 1.10 × the least feasible peak.")] = "auto",
    tariff: Annotated[str, typer.Option("--tariff", help="A named tariff (docs/tariffs.md).")] = "stylised-tou",
    departures: Annotated[
        DeparturesName | None, typer.Option("--departures", help="What the controller is told: known (true) or stated ones.")
    ] = None,
    personas: Annotated[str, typer.Option("--personas", help="all, or one that every fifth station has.")] = "all",
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same night.")] = 1,
    share_201: Annotated[float, typer.Option("--share-201", help="Part of the stations that speaks OCPP 2.0.1, 0 to 1.")] = 0.0,
    power_cut: Annotated[str, typer.Option("--power-cut", help="Cut the site's power: HH:MM/MINUTES in depot time.")] = "",
    trace: Annotated[Path | None, typer.Option("--trace", help="Write the physical trace (JSON lines) to this file.")] = None,
    report: Annotated[Path | None, typer.Option("--report", help="Write an HTML page with charts to this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON instead of a table.")] = False,
) -> None:
    """Play a real day through the real controller, and compare it with four simple policies."""
    from controller.app.simulate import Wish, run_simulate

    wish = Wish(
        sessions=sessions,
        day=day.date() if day is not None else None,
        fleet=fleet,
        scenario=scenario,
        limit=limit,
        tariff=tariff,
        departures=departures,
        personas=personas,
        seed=seed,
        share_201=share_201,
        power_cut=power_cut,
    )
    raise typer.Exit(run_simulate(wish, trace=trace, report=report, as_json_=as_json))


@app.command("replay")
def replay_journal(
    database: Annotated[Path, typer.Argument(help="The depot's database file, for example var/pune-north.db.")],
    *,
    until: Annotated[str, typer.Option("--until", help="Stop at this seq, or at this time (ISO 8601 with offset).")] = "",
    type_: Annotated[str, typer.Option("--type", help="Print only facts whose type begins with this, for example transaction.")] = "",
    depot: Annotated[str, typer.Option("--depot", help="Which depot, where the database holds several.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line: the facts, then the summary.")] = False,
) -> None:
    """Print and check a depot's journal: every fact, the state that they fold to, whether anything is wrong."""
    from controller.replay import command

    command(database, until=until, type_=type_, depot=depot, as_json=as_json)


@app.command("audit")
def audit_trail(
    config: Annotated[Path, typer.Argument(help="The depot's configuration file.")],
    *,
    verify: Annotated[bool, typer.Option("--verify", help="Hash everything again, and print the heads of the trails.")] = False,
    since: Annotated[str, typer.Option("--since", help="Only entries from this day or time on (depot time unless it has an offset).")] = "",
    actor: Annotated[str, typer.Option("--actor", help="Only entries of this person or machine.")] = "",
    kind: Annotated[str, typer.Option("--kind", help="Only entries of this kind, for example SetManualLimit or SignIn.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=1_000_000, help="At most so many, the newest.")] = 100,
    expect: Annotated[str, typer.Option("--expect", help="NUMBER:HASH of a head that was kept elsewhere: is it still in the chain?")] = "",
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV, for a spreadsheet.")] = False,
) -> None:
    """Print or check who did what: commands, approvals, sign-ins, accounts."""
    from controller.app.audit import run_audit

    raise typer.Exit(
        run_audit(config, check=verify, since=since, actor=actor, kind=kind, limit=limit, expect=expect, as_csv=as_csv, console=console)
    )


@app.command("statement")
def statement_of_money(
    config: Annotated[Path, typer.Argument(help="The depot's configuration file.")],
    *,
    driver: Annotated[str, typer.Option("--driver", help="A driver's account, entry by entry. Without it: all drivers' sums.")] = "",
    day: Annotated[datetime | None, typer.Option("--day", formats=["%Y-%m-%d"], help="Every account of the ledger on this day.")] = None,
    first: Annotated[
        datetime | None, typer.Option("--first", formats=["%Y-%m-%d"], help="From this day on, India's calendar; else the month's first.")
    ] = None,
    last: Annotated[datetime | None, typer.Option("--last", formats=["%Y-%m-%d"], help="To this day; else today.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV, for a spreadsheet.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, in paise.")] = False,
) -> None:
    """Print a statement of a driver, of all drivers or of a day, and check it against invoices and debits."""
    from controller.app.statement import run_statement

    days = {"day": day, "first": first, "last": last}
    found = {name: None if at is None else at.date() for name, at in days.items()}
    raise typer.Exit(run_statement(config, driver=driver, **found, as_csv_=as_csv, as_json=as_json, console=console))


@app.command("backup")
def backup_depot(
    config: Annotated[Path, typer.Argument(help="The depot's configuration file.")],
    target: Annotated[Path, typer.Argument(metavar="FILE", help="The new archive; in a folder: one named after depot and time.")],
) -> None:
    """Copy everything that a depot keeps into one checked file, while the depot runs."""
    from controller.app.backup import backup_command

    raise typer.Exit(backup_command(config, target, console, complaints))


@app.command("restore")
def restore_depot(
    config: Annotated[Path, typer.Argument(help="The depot's configuration file.")],
    source: Annotated[Path, typer.Argument(metavar="FILE", help="A backup, or a folder that an earlier restore has set aside.")],
    *,
    replace: Annotated[bool, typer.Option("--replace", help="There is a depot already: set it aside.")] = False,
) -> None:
    """Put a backup in the place of what a depot has. The controller must not run."""
    from controller.app.restore import restore_command

    raise typer.Exit(restore_command(config, source, console, complaints, replace=replace))


@app.command("notify")
def notifications(
    config: Annotated[Path, typer.Argument(help="The depot's configuration file.")],
    *,
    test: Annotated[bool, typer.Option("--test", help="Send a test message through every channel, now.")] = False,
    retry: Annotated[bool, typer.Option("--retry", help="Send all dead letters again.")] = False,
    forget: Annotated[bool, typer.Option("--forget", help="Drop all dead letters.")] = False,
) -> None:
    """Show how notifications stand; try the channels; deal with dead letters."""
    from controller.app.notify import run_notify

    raise typer.Exit(run_notify(config, test=test, retry=retry, forget=forget, console=console))


@app.command("demo")
def demo_depot(
    *,
    minutes: Annotated[float, typer.Option("--minutes", min=1, max=780, help="Real minutes from evening to morning.")] = 10.0,
    seed: Annotated[int, typer.Option("--seed", help="Another night.")] = 1,
    port_offset: Annotated[int, typer.Option("--port-offset", min=0, max=50_000, help="Added to every port.")] = 0,
    keep: Annotated[Path | None, typer.Option("--keep", help="Keep database and physical trace in this folder.")] = None,
) -> None:
    """Show a depot of 24 simulated stations, evening to morning in ten minutes, on this machine."""
    from controller.app.demo import demo_command

    raise typer.Exit(demo_command(minutes=minutes, seed=seed, port_offset=port_offset, keep=keep))


@app.command("run")
def run_depot(
    config: Annotated[Path, typer.Argument(help="The depot's configuration file.")],
    *,
    port_offset: Annotated[int, typer.Option("--port-offset", min=0, max=50_000, help="Added to every port.")] = 0,
) -> None:
    """Run the controller of a real depot."""
    from controller.app.run import run_command

    raise typer.Exit(run_command(config, port_offset))


@app.command("gateway")
def mock_gateway(
    config: Annotated[
        Path | None, typer.Argument(help="The depot's configuration file, with its payments. Without one: a gateway by itself.")
    ] = None,
    *,
    port: Annotated[int | None, typer.Option("--port", min=1, max=65_535, help="Where it listens, on this machine only (8090).")] = None,
    speed: Annotated[
        float | None, typer.Option("--speed", min=0.01, max=10_000, help="So many times as fast as the world: 60 makes a minute an hour.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Another seed is other luck; the same one repeats a run.")] = None,
    profile: Annotated[GatewayProfile | None, typer.Option("--profile", help="How it misbehaves.")] = None,
    database: Annotated[Path | None, typer.Option("--database", help="Its books (var/mock-gateway.db).")] = None,
    webhook_url: Annotated[
        str | None, typer.Option("--webhook-url", help="Who is told (http://127.0.0.1:8091/gateway/webhook); '' for nobody.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="No 24 h of notice, no execution windows: a debit takes seconds.")] = False,
    port_offset: Annotated[int, typer.Option("--port-offset", min=0, max=50_000, help="Added to every port.")] = 0,
) -> None:
    """Run the mock payment gateway. It never takes real money.

    It speaks the real gateway's API under /v1 and keeps books of its own. /app plays the driver's UPI app: approve with a PIN, decline,
    pause, revoke, an empty account. /app/lab (for programs: /control) puts the clock ahead, asks for faults and holds webhooks back.

    [bold]Examples[/]

    ./chargeyard gateway depot.toml          the one that goes with a depot (`run` starts it where the file says payments.mock)

    ./chargeyard gateway --speed 60          by itself, with the real rules (24 h of notice, NPCI's windows), an hour each minute

    ./chargeyard gateway --quick --profile chaos --seed 7    debits in seconds, and everything goes wrong at times

    Its keys come from the environment (CHARGEYARD_GATEWAY_...); by itself it makes test keys of its own in a file beside its books.
    """
    from controller.app.gateway_process import GatewayOptions, run_gateway

    options = GatewayOptions(
        port=port,
        speed=speed,
        seed=seed,
        profile=profile,
        database=database,
        webhook_url=webhook_url,
        quick=quick,
        port_offset=port_offset,
    )
    raise typer.Exit(run_gateway(config, options, console))


@app.command("test")
def run_everything(
    pytest_arguments: Annotated[
        list[str] | None, typer.Argument(help="For pytest, as they are (after --): then only these tests run, without the gates.")
    ] = None,
    *,
    long: Annotated[bool, typer.Option("--long", help="Also run the tests that take minutes.")] = False,
) -> None:
    """Run all gates and all tests; say how many tests were skipped and why."""
    from controller.app.testing import run_tests

    raise typer.Exit(run_tests(console, long=long, pytest_arguments=tuple(pytest_arguments or ())))


@app.command("check")
def check_gates() -> None:
    """Check style, layout, types, import rules and documentation."""
    from controller.app.check import run_check

    raise typer.Exit(run_check(console))


def main() -> int:
    """Run the command line; an expected error is one sentence, never a traceback."""
    try:
        code = _run()
        sys.stdout.flush()
    except BrokenPipeError:
        _leave_output()
        return 1
    except Exception as error:
        found = exit_code_of(error)
        if found is None:
            raise
        _say(sentence(error))
        _leave_output()
        return found
    except KeyboardInterrupt:
        code = STOPPED
    if code == STOPPED:
        _say("stopped by Ctrl-C before it was done")
        _leave_output()
    return code


def _run() -> int:
    try:
        app(prog_name="./chargeyard")
    except SystemExit as ended:
        if isinstance(ended.code, str):
            raise
        return int(ended.code or 0)
    return 0


def _say(words: str) -> None:
    complaints.print(f"[red]chargeyard:[/] {escape(words)}", highlight=False, soft_wrap=True)


def _leave_output() -> None:
    """What could not be printed is not tried again at the end: Python would complain once more, and end with a code of its own."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError), Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
