"""The registry on the screen: vehicles, packs, drivers, stations, feeders. Lists for who may read, forms and files for who keeps it.

Forms go the way of files: their cells are read by the same readers, so that both say the same about the same mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from controller.import_reader import Known, Preview
from controller.registry_export import export, rows_of
from controller.registry_import import COLUMNS, NEEDED, Kind, commands, preview, preview_cells
from controller.registry_view import SiteDeclarationView, connector_words
from depot import commands as cmd
from depot.values import PackKey
from web import actions, text
from web.context import Web, caller_of
from web.departures_page import download
from web.import_page import ImportDesk, import_routes
from web.pages import Flash
from web.problems import Problem
from web.registry_data import ask, field_errors, fleet, known, send_all
from web.roles import Permission

ROWS_SHOWN = 500
CONNECTORS_MOST = 8
"""Of one station, in the form; files take more."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form; ``choices``: a list to choose from."""

    name: str
    label: str
    hint: str = ""
    unit: str = ""
    choices: tuple[tuple[str, str], ...] = ()


_YES_NO = (("", "not known"), ("yes", "yes"), ("no", "no"))
_CHEMISTRIES = (("unknown", "not known: the most delicate is assumed"), *((c, c) for c in ("LFP", "NMC", "NCA", "LMO", "LTO")))
FORMS: Mapping[Kind, Sequence[Field]] = {
    Kind.VEHICLES: (
        Field("vehicle_id", "Vehicle", "Fleet number, as the timetable names it."),
        Field("model", "Model"),
        Field("battery_kwh", "Battery, usable", "Empty: not known.", "kWh"),
        Field("efficiency", "Charging efficiency", "What arrives in the battery of what the grid gives.", ""),
        Field("ac_max_kw", "Most from AC", "0: takes none. Empty: not known, the charger's rating counts.", "kW"),
        Field("dc_max_kw", "Most from DC", "0: takes none. Empty: not known, the charger's rating counts.", "kW"),
        Field("discharge_kw", "Most that it gives back", "Empty or 0: it only charges.", "kW"),
        Field("pausable", "Goes on after 0 kW", "Not known counts as no.", "", _YES_NO),
        Field("phases", "AC phases", "On how many its own charger draws: 1, 2 or 3. Empty: not known."),
        Field("precondition_kw", "Preconditioning", "Of cabin and battery, before it leaves. Empty: as the settings say; 0: none.", "kW"),
        Field("precondition_min", "Preconditioning begins", "So long before it leaves.", "min"),
        Field("connector", "Usual charger", "For departures that name none, for example CP-01/1."),
        Field("id_tags", "Cards and tags", "Divided by spaces."),
    ),
    Kind.PACKS: (
        Field("vehicle_id", "Vehicle", "As it is registered."),
        Field("pack_id", "Pack", "As its telemetry names it."),
        Field("chemistry", "Chemistry", "Decides the temperatures at which charging slows and stops.", "", _CHEMISTRIES),
        Field("capacity_kwh", "Capacity when new", "Empty: not known.", "kWh"),
        Field("cells", "Cells in series", "Empty: not known."),
    ),
    Kind.DRIVERS: (
        Field("driver_id", "Staff number", "The journal and the bills know the driver by this alone."),
        Field("name", "Name", "For the screens; kept apart and deleted with the driver."),
        Field("id_tags", "Cards and tags", "Divided by spaces."),
    ),
    Kind.FEEDERS: (
        Field("feeder_id", "Feeder", "As the settings file names it."),
        Field("name", "Name", "On the screens."),
        Field("rating_kw", "Rating", "Can be tightened here; raised in the settings file only.", "kW"),
    ),
}
_KEYS: Mapping[Kind, tuple[str, ...]] = {**NEEDED, Kind.STATIONS: ("station_id",)}
_ONE = {Kind.VEHICLES: "vehicle", Kind.PACKS: "pack", Kind.DRIVERS: "driver", Kind.STATIONS: "station", Kind.FEEDERS: "feeder"}
TABS = tuple((kind.value, f"/registry/{kind.value}", kind.value.capitalize()) for kind in Kind)
_REMOVE_WORDS = {
    Kind.VEHICLES: "Remove vehicles that the file does not hold, with their packs",
    Kind.PACKS: "Remove packs that the file does not hold",
    Kind.DRIVERS: "Remove drivers that the file does not hold, with their names",
    Kind.STATIONS: "Retire stations that the file does not hold",
    Kind.FEEDERS: "",
}
_GONE = {
    Kind.VEHICLES: "Its departures stay as they are announced, its packs go with it, and its tags no longer open a charger.",
    Kind.PACKS: "Its telemetry is judged as that of an unknown chemistry.",
    Kind.DRIVERS: "The name is deleted, and the driver's tags no longer open a charger.",
    Kind.STATIONS: "From the controller's next start on it is not counted and not let in. Be sure that it is disconnected from the supply.",
}


def registry_screens(web: Web) -> APIRouter:
    """Lists, forms, files."""
    router = APIRouter(include_in_schema=False)

    @router.get("/registry")
    async def first() -> Response:
        return RedirectResponse("/registry/vehicles", status_code=303)

    for kind in Kind:
        _routes(router, web, kind)

    @router.post("/registry/stations/withdraw")
    async def withdraw_station(request: Request, entry: str = "") -> Response:
        return await _withdraw(web, request, Kind.STATIONS, entry)

    @router.post("/registry/feeders/withdraw")
    async def withdraw_feeder(request: Request, entry: str = "") -> Response:
        return await _withdraw(web, request, Kind.FEEDERS, entry)

    return router


def _routes(router: APIRouter, web: Web, kind: Kind) -> None:
    base = f"/registry/{kind.value}"

    @router.get(base)
    async def page(request: Request, q: str = "") -> Response:
        return await _list_page(web, request, kind, q[:64])

    @router.get(f"{base}/form")
    async def form(request: Request, entry: str = "") -> Response:
        found = await known(web, kind.value)
        rows = _rows_of_entry(kind, found, entry)
        if entry and not rows:
            raise Problem("not_found", f"No {_ONE[kind]} {entry[:64]} is registered.")
        return _form_page(web, request, kind, entry, rows, {})

    @router.post(f"{base}/form")
    async def keep(request: Request, entry: str = "") -> Response:
        sent = {k: str(v)[:600] for k, v in (await request.form()).items()}
        rows = _sent_rows(kind, sent)
        web.fresh_view()
        found = await known(web, kind.value)
        looked = preview_cells(kind, rows, found) if rows else Preview(kind.value)
        errors = field_errors(looked.complaints)
        if not rows:
            errors[""] = "Say at least its first connector."
        try:
            reason = actions.need_reason(sent.get("reason", ""))
        except Problem as problem:
            errors |= problem.errors
        if errors:
            return _form_page(web, request, kind, entry, rows, errors, sent.get("reason", ""), status=422)
        words = "; ".join(word for line in looked.lines for word in line.words)
        name = looked.lines[0].name if looked.lines else entry
        return await _apply(web, request, kind, _make(looked, caller_of(request).name, reason), f"Keep {_ONE[kind]} {name}", words)

    if kind is not Kind.FEEDERS:

        @router.post(f"{base}/remove")
        async def remove(request: Request, entry: str = "") -> Response:
            reason = actions.need_reason(str((await request.form()).get("reason", "")))
            command = _removal(kind, entry, caller_of(request).name, reason)
            return await _apply(web, request, kind, [command], f"Remove {_ONE[kind]} {entry[:64]}", "")

    @router.get(f"{base}/export")
    async def export_csv() -> Response:
        return download(export(kind, await known(web, kind.value)), f"{kind.value}.csv")

    async def read(data: bytes, remove_missing: bool) -> Preview:
        return preview(kind, data, await known(web, kind.value), remove_missing=remove_missing)

    import_routes(
        router,
        web,
        ImportDesk(
            kind=kind.value,
            title=f"Import {kind.value}",
            base=base,
            screen="registry",
            columns=COLUMNS[kind],
            needed=NEEDED[kind],
            remove_words=_REMOVE_WORDS[kind],
            read=read,
            make=_make,
        ),
    )


def _make(found: Preview, actor: str, reason: str) -> Sequence[cmd.Command]:
    return commands(found, new_id=actions.new_id, actor=actor, reason=reason)


def _removal(kind: Kind, entry: str, actor: str, reason: str) -> cmd.Command:
    number = actions.new_id()
    if kind is Kind.STATIONS:
        return cmd.ChangeSite(command_id=number, actor=actor, reason=reason, retire_stations=(entry,))
    vehicle_id, _, pack_id = entry.partition("/")
    more: dict[str, Any] = {f"remove_{kind.value}": (PackKey(vehicle_id, pack_id) if kind is Kind.PACKS else entry,)}
    return cmd.ChangeRegistry(command_id=number, actor=actor, reason=reason, **more)


async def _withdraw(web: Web, request: Request, kind: Kind, entry: str) -> Response:
    reason = actions.need_reason(str((await request.form()).get("reason", "")))
    more: dict[str, Any] = {f"withdraw_{kind.value}": (entry,)}
    command = cmd.ChangeSite(command_id=actions.new_id(), actor=caller_of(request).name, reason=reason, **more)
    return await _apply(web, request, kind, [command], f"Back to the settings file: {entry[:64]}", "")


async def _apply(web: Web, request: Request, kind: Kind, orders: Sequence[cmd.Command], title: str, words: str) -> Response:
    response = RedirectResponse(f"/registry/{kind.value}", status_code=303)
    caller = caller_of(request)
    if not orders:
        web.pages.set_flash(response, Flash(title, "done", "Nothing was to be changed.", 0, caller.name))
        return response
    went = await send_all(web, orders, together=False)
    message = went.refused[0] if went.refused else " ".join(x for x in (f"{went.last.message}." if went.last else "", words) if x)
    web.pages.set_flash(response, Flash(title, went.status, message[:300], went.last.audit_seq if went.last else 0, caller.name))
    return response


# -- forms ------------------------------------------------------------------------------------------------------------------


def _rows_of_entry(kind: Kind, found: Known, entry: str) -> list[Mapping[str, str]]:
    """The cells of one entry; [] where there is none."""
    if not entry:
        return []
    only = replace(
        found,
        vehicles={k: v for k, v in found.vehicles.items() if k == entry},
        packs={k: v for k, v in found.packs.items() if str(k) == entry},
        drivers={k: v for k, v in found.drivers.items() if k == entry},
        stations={k: v for k, v in found.stations.items() if k == entry},
        feeders={k: v for k, v in found.feeders.items() if k == entry},
    )
    return rows_of(kind, only)


_CONNECTOR_CELLS = ("connector", "current", "rated_kw", "min_kw", "phases", "voltage_v", "pausable", "settle_s", "discharge_kw")


def _sent_rows(kind: Kind, sent: Mapping[str, str]) -> list[Mapping[str, str]]:
    if kind is not Kind.STATIONS:
        return [{field.name: sent.get(field.name, "") for field in FORMS[kind]}]
    head = {name: sent.get(name, "") for name in ("station_id", "feeder_id", "bay", "key_hash")}
    connectors = ({name: sent.get(f"{name}-{k}", "") for name in _CONNECTOR_CELLS} for k in range(CONNECTORS_MOST))
    return [{**head, **cells} for cells in connectors if cells["connector"].strip()]


def _form_page(
    web: Web,
    request: Request,
    kind: Kind,
    entry: str,
    rows: Sequence[Mapping[str, str]],
    errors: Mapping[str, str],
    reason: str = "",
    *,
    status: int = 200,
) -> Response:
    base = f"/registry/{kind.value}"
    query = f"?{urlencode({'entry': entry})}" if entry else ""
    first = rows[0] if rows else {}
    preset = {field.name: request.query_params[field.name][:120] for field in FORMS.get(kind, ()) if field.name in request.query_params}
    blank: Mapping[str, str] = {"connector": "", "current": "DC"}
    shown = [*rows, *([blank] * (1 if rows else 2))][:CONNECTORS_MOST]
    context: dict[str, Any] = {
        "kind": kind.value,
        "one": _ONE[kind],
        "base": base,
        "entry": entry,
        "action": f"{base}/form{query}",
        "remove": f"{base}/remove{query}" if entry and kind is not Kind.FEEDERS else "",
        "gone": _GONE.get(kind, ""),
        "fields": [(field, preset.get(field.name, first.get(field.name, "")), field.name in _KEYS[kind]) for field in FORMS.get(kind, ())],
        "errors": dict.fromkeys((*COLUMNS[kind], "reason", ""), "") | dict(errors),
        "reason": reason,
        "first": dict.fromkeys(COLUMNS[kind], "") | dict(first),
        "connectors": [{name: row.get(name, "") for name in _CONNECTOR_CELLS} for row in shown],
        "site": kind in (Kind.STATIONS, Kind.FEEDERS),
    }
    template = "station_form.html" if kind is Kind.STATIONS else "registry_form.html"
    return web.pages.render(request, template, view=web.view(), status=status, screen="registry", **context)


# -- lists ------------------------------------------------------------------------------------------------------------------

Cell = tuple[str, str]
"""(text, unit)"""


async def _list_page(web: Web, request: Request, kind: Kind, q: str) -> Response:
    view = web.view()
    clock = text.DepotTime(view.timezone, view.at)
    site: SiteDeclarationView | None = None
    if kind in (Kind.STATIONS, Kind.FEEDERS):
        site = await ask(web, SiteDeclarationView)
        rows = _station_rows(site) if kind is Kind.STATIONS else _feeder_rows(site)
    else:
        rows = await _ROWS[kind](web, clock)
    wanted = q.strip().casefold()
    found = [row for row in rows if not wanted or wanted in " ".join((row["name"], *(words for words, _ in row["cells"]))).casefold()]
    context: dict[str, Any] = {
        "kind": kind.value,
        "one": _ONE[kind],
        "base": f"/registry/{kind.value}",
        "tabs": [tab for tab in TABS if tab[0] != "drivers" or caller_of(request).may(Permission.REGISTRY)],
        "heads": _HEADS[kind],
        "rows": [row | {"href": f"/registry/{kind.value}/form?{urlencode({'entry': row['entry']})}"} for row in found[:ROWS_SHOWN]],
        "hidden": max(0, len(found) - ROWS_SHOWN),
        "count": len(rows),
        "q": q,
        "site": site,
        "can_add": kind is not Kind.FEEDERS,
    }
    return web.pages.render(request, "registry.html", view=view, screen="registry", **context)


_HEADS: Mapping[Kind, Sequence[tuple[str, bool]]] = {
    Kind.VEHICLES: (
        ("Model", False), ("Battery", True), ("AC", True), ("DC", True), ("Gives back", True), ("Packs", False),
        ("Usual charger", False), ("Is at", False), ("Leaves", True),
    ),
    Kind.PACKS: (("Chemistry", False), ("Capacity", True), ("Cells in series", True)),
    Kind.DRIVERS: (("Name", False), ("Cards and tags", False)),
    Kind.STATIONS: (("Feeder", False), ("Bay", False), ("Connectors", False), ("Link", False), ("In effect", False)),
    Kind.FEEDERS: (("Name", False), ("Rating", True), ("In the settings file", True), ("In effect", False)),
}  # fmt: skip


def _amount(value: int | None, unit: str) -> Cell:
    return (text.UNKNOWN, "") if value is None else (f"{value / 1000:.4g}", f" {unit}")


def _plain(words: str) -> Cell:
    return words or text.ABSENT, ""


async def _vehicle_rows(web: Web, clock: text.DepotTime) -> list[dict[str, Any]]:
    out = []
    for row in (await fleet(web)).vehicles:
        v = row.vehicle
        packs = ", ".join(f"{pack.key.pack_id} {pack.chemistry}" for pack in row.packs)
        cells = (
            _plain(v.model), _amount(v.battery_wh, "kWh"), _amount(v.ac_max_w, "kW"), _amount(v.dc_max_w, "kW"),
            _amount(v.discharge_max_w, "kW") if v.discharge_max_w else _plain(""), _plain(packs), _plain(str(v.connector or "")),
            _plain(row.where or ""), _plain(clock.clock(row.leaves_at) if row.leaves_at else ""),
        )  # fmt: skip
        out.append({"name": v.vehicle_id, "entry": v.vehicle_id, "cells": cells, "css": ""})
    return out


async def _pack_rows(web: Web, clock: text.DepotTime) -> list[dict[str, Any]]:
    return [
        {
            "name": str(pack.key),
            "entry": str(pack.key),
            "cells": (_plain(pack.chemistry), _amount(pack.capacity_wh, "kWh"), _plain("" if pack.cells is None else str(pack.cells))),
            "css": "",
        }
        for row in (await fleet(web)).vehicles
        for pack in row.packs
    ]


async def _driver_rows(web: Web, clock: text.DepotTime) -> list[dict[str, Any]]:
    found = await known(web, "drivers")
    return [
        {"name": d.driver_id, "entry": d.driver_id, "cells": (_plain(d.name), _plain(" ".join(d.id_tags))), "css": ""}
        for d in found.drivers.values()
    ]


_ROWS: Mapping[Kind, Callable[[Web, text.DepotTime], Any]] = {
    Kind.VEHICLES: _vehicle_rows,
    Kind.PACKS: _pack_rows,
    Kind.DRIVERS: _driver_rows,
}


def _station_rows(site: SiteDeclarationView) -> list[dict[str, Any]]:
    out = []
    for row in site.stations:
        shown = row.next or row.now
        if shown is None:
            continue
        state = "yes"
        if row.now != row.next:
            state = (
                "new, from the next start on"
                if row.now is None
                else "gone from the next start on"
                if row.next is None
                else "changes at the next start"
            )
        elif row.changed:
            state = "yes, changed here" if row.in_file else "yes, added here"
        connectors = "; ".join(connector_words(c) for c in shown.connectors)
        link = "connected" if row.connected else "not connected"
        cells = (_plain(shown.feeder_id), _plain(shown.bay_id), _plain(connectors), _plain(link), _plain(state))
        out.append(
            {
                "name": row.station_id,
                "entry": row.station_id,
                "cells": cells,
                "css": "warn" if row.now != row.next else "",
                "withdraw": row.changed,
            }
        )
    return out


def _feeder_rows(site: SiteDeclarationView) -> list[dict[str, Any]]:
    return [
        {
            "name": row.feeder_id,
            "entry": row.feeder_id,
            "cells": (
                _plain(row.next.name),
                _amount(row.next.rating_w, "kW"),
                _amount(row.file_rating_w, "kW"),
                _plain("changes at the next start" if row.now != row.next else "yes, changed here" if row.changed else "yes"),
            ),
            "css": "warn" if row.now != row.next else "",
            "withdraw": row.changed,
        }
        for row in site.feeders
    ]
