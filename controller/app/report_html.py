"""The simulation's report as one HTML file: charts by Plotly, whose JavaScript is embedded from its Python package.

No foreign request: a depot's network may be closed. Colours follow the product's pages: grey is normal, blue is energy
that flows, a deviation has colour and words.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from html import escape
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from plotly.offline import get_plotlyjs

from controller.app.report import CHARGEYARD, POLICY_TITLES, PolicyResult, SimulationReport, how, limit_text
from depot.money_text import amount_of

__all__ = ["page", "write_html"]

_DASHES = ("dot", "dash", "dashdot", "longdash", "longdashdot")


def write_html(report: SimulationReport, path: Path) -> None:
    """Write :func:`page` to ``path``, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(report), encoding="utf-8")


def page(report: SimulationReport) -> str:
    """The whole document. Colours in the charts are names of the page's CSS variables, resolved in the browser."""
    charts = {"site": _site_chart(report)}
    if report.visits:
        charts |= {"stays": _stays_chart(report), "energy": _energy_chart(report)}
    sections = "\n".join(_SECTIONS[name] for name in charts)
    remarks = "".join(f"<li>{escape(remark)}</li>" for remark in report.remarks)
    return _PAGE.format(
        name=escape(report.name),
        answer=escape(_answer(report)),
        facts=escape(_facts(report)),
        table=_table(report),
        sections=sections,
        how=escape(how(report)),
        remarks=f"<ul>{remarks}</ul>" if remarks else "",
        plotly=get_plotlyjs(),
        charts=_embedded(charts),
    )


def _answer(report: SimulationReport) -> str:
    result = report.policies.get(CHARGEYARD)
    if result is None:
        return "Chargeyard itself was not run."
    vehicles, late = len(report.visits), result.vehicles_late
    left = f"{late} of {vehicles} vehicles left short" if late else f"all {vehicles} vehicles left ready"
    over = result.limit_violations
    return f"With Chargeyard {left}, and {f'a limit was exceeded {over} times' if over else 'the limits held'}."


def _facts(report: SimulationReport) -> str:
    start = report.start.astimezone(ZoneInfo(report.timezone))
    hours = len(report.limit_kw) * report.slot_s / 3600
    return (
        f"{start:%d %b %Y, %H:%M} ({report.timezone}), {hours:g} h; site limit {limit_text(report)};"
        f" tariff {report.tariff}, {report.currency}; feasible {report.feasible_kwh:,.1f} kWh; seed {report.seed}"
    )


def _table(report: SimulationReport) -> str:
    head = ("Policy", "Energy, kWh", "Unmet, kWh", f"Cost, {report.currency}", "Peak, kW", "Vehicles late", "Limit violations")
    cells = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    rows = "".join(_row(name, result, report.currency) for name, result in report.policies.items())
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{rows}</tbody></table>"


def _row(name: str, result: PolicyResult, currency: str) -> str:
    cells = (
        (f"{result.energy_kwh:,.1f}", False),
        (f"{result.unmet_kwh:,.1f}", result.unmet_kwh >= 0.05),
        (amount_of(result.cost, currency, digits=2), False),
        (f"{result.peak_kw:,.1f}", False),
        (str(result.vehicles_late), result.vehicles_late > 0),
        (str(result.limit_violations), result.limit_violations > 0),
    )
    body = "".join(f'<td class="warn">◆ {text}</td>' if bad else f"<td>{text}</td>" for text, bad in cells)
    own = ' class="own"' if name == CHARGEYARD else ""
    return f'<tr{own}><th scope="row">{escape(POLICY_TITLES.get(name, name))}</th>{body}</tr>'


def _times(report: SimulationReport, slots: int) -> list[str]:
    zone = ZoneInfo(report.timezone)
    return [_local(report.start + timedelta(seconds=k * report.slot_s), zone) for k in range(slots)]


def _local(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).strftime("%Y-%m-%dT%H:%M:%S")


def _steps(name: str, times: list[str], row: tuple[float, ...], **line: Any) -> dict[str, Any]:
    """A step line; the last value is drawn to the end of its slot."""
    values = [round(value, 3) for value in row]
    return {"type": "scatter", "mode": "lines", "name": name, "x": times, "y": [*values, values[-1]], "line": {"shape": "hv", **line}}


def _site_chart(report: SimulationReport) -> dict[str, Any]:
    times = _times(report, len(report.limit_kw) + 1)
    data = [_steps("Background", times, report.background_kw, color="--t3", width=1) | {"fill": "tozeroy", "fillcolor": "--track"}]
    dashes = iter(_DASHES)
    for name, result in report.policies.items():
        if not result.site_kw:
            continue
        title = POLICY_TITLES.get(name, name)
        if name == CHARGEYARD:
            data.append(_steps(title, times, result.site_kw, color="--live", width=2.5) | {"fill": "tonexty", "fillcolor": "--live-tint"})
        else:
            line = _steps(title, times, result.site_kw, color="--t2", width=1.25, dash=next(dashes, "dot"))
            data.append(line | ({"visible": "legendonly"} if name == "uncontrolled" else {}))
    data.append(_steps("Site limit", times, report.limit_kw, color="--t1", width=2))
    data.append(
        _steps("Price", times, report.price, color="--t1", width=1.5)
        | {"yaxis": "y2", "fill": "tozeroy", "fillcolor": "--track", "showlegend": False}
    )
    layout = {
        "height": 560,
        "hovermode": "x unified",
        "xaxis": {"anchor": "y2"},
        "yaxis": {"title": {"text": "site power, kW"}, "domain": [0.26, 1], "rangemode": "tozero"},
        "yaxis2": {"title": {"text": f"{report.currency}/kWh"}, "domain": [0, 0.16], "rangemode": "tozero", "nticks": 3},
        "legend": {"orientation": "h", "y": 1.08},
    }
    return {"data": data, "layout": layout}


def _stays_chart(report: SimulationReport) -> dict[str, Any]:
    """One row a vehicle in order of arrival: empty while it is away, pale while it waits, darker the more it draws."""
    visits = sorted(report.visits, key=lambda visit: (visit.arrive_s, visit.vehicle), reverse=True)
    slots = len(report.limit_kw)
    rows = []
    for visit in visits:
        drawn = report.connector_kw.get(visit.connector, (0.0,) * slots)
        there = range(int(visit.arrive_s // report.slot_s), -int(-visit.depart_s // report.slot_s))
        rows.append([round(drawn[k], 2) if k in there and k < len(drawn) else None for k in range(slots)])
    return {
        "data": [
            {
                "type": "heatmap",
                "x": _times(report, slots + 1),
                "y": [f"◆ {visit.vehicle}, short" if visit.late else visit.vehicle for visit in visits],
                "z": rows,
                "zmin": 0,
                "colorscale": [[0, "--track"], [1, "--live"]],
                "colorbar": {"title": {"text": "kW"}, "thickness": 10},
                "hovertemplate": "%{y}<br>%{x|%H:%M}: %{z} kW<extra></extra>",
                "ygap": 1,
            }
        ],
        "layout": {
            "height": 160 + 16 * len(visits),
            "yaxis": {"automargin": True, "type": "category", "dtick": 1, "tickfont": {"size": 11}},
        },
    }


def _energy_chart(report: SimulationReport) -> dict[str, Any]:
    visits = sorted(report.visits, key=lambda visit: (-visit.missing_wh, visit.vehicle))
    bars = (("received", "--live", [min(v.got_wh, v.need_wh) for v in visits]), ("missing", "--alarm", [v.missing_wh for v in visits]))
    return {
        "data": [
            {
                "type": "bar",
                "name": name,
                "x": [visit.vehicle for visit in visits],
                "y": [round(wh / 1000, 2) for wh in row],
                "marker": {"color": color},
            }
            for name, color, row in bars
        ],
        "layout": {
            "height": 380,
            "barmode": "stack",
            "yaxis": {"title": {"text": "kWh in the battery"}},
            "xaxis": {"type": "category", "automargin": True},
            "legend": {"orientation": "h", "y": 1.1},
        },
    }


def _embedded(charts: dict[str, Any]) -> str:
    """JSON that can stand inside of a script element, whatever the names in it contain."""
    text = json.dumps(charts, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


_SECTIONS = {
    "site": '<section><h2>Site power against the limit</h2><div class="chart" id="site"></div></section>',
    "stays": '<section><h2>Stays, and when each vehicle charged</h2><div class="chart" id="stays"></div></section>',
    "energy": '<section><h2>Energy by vehicle, most missing first</h2><div class="chart" id="energy"></div></section>',
}

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content=
  "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:">
<title>{name}: simulation report</title>
<style>
:root {{ color-scheme: light dark; --bg:#eef1f3; --s1:#fff; --line:#d5dce0; --track:#cfd7dc; --t1:#14191c; --t2:#3d474e; --t3:#56626a;
  --live:#416bb0; --live-tint:#dfe9f7; --warn:#986100; --alarm:#940017; }}
@media (prefers-color-scheme: dark) {{ :root {{ --bg:#0f1316; --s1:#171c20; --line:#2c353c; --track:#39444c; --t1:#eef1f3; --t2:#b9c3ca;
  --t3:#98a4ac; --live:#6dc0ff; --live-tint:#1c3346; --warn:#f6b90e; --alarm:#ef694e; }} }}
body {{ margin:0 auto; padding:1.5rem; max-width:1280px; background:var(--bg); color:var(--t1);
  font:16px/1.5 system-ui,"Segoe UI",Roboto,"Noto Sans",sans-serif; font-variant-numeric:tabular-nums; }}
h1 {{ font-size:1.75rem; margin:0; }} h2 {{ font-size:1.25rem; margin:0 0 .5rem; }}
p, li {{ color:var(--t2); max-width:75ch; }} .answer {{ color:var(--t1); font-size:1.25rem; margin:.25rem 0; }}
section {{ background:var(--s1); border:1px solid var(--line); border-radius:6px; padding:1rem; margin:1rem 0; overflow-x:auto; }}
table {{ border-collapse:collapse; width:100%; }} th, td {{ padding:.4rem .75rem; border-bottom:1px solid var(--line); text-align:right; }}
th {{ font-weight:500; color:var(--t2); }} th:first-child {{ text-align:left; }} .own th, .own td {{ font-weight:700; color:var(--t1); }}
td.warn {{ color:var(--warn); }}
</style>
</head>
<body>
<header><h1>{name}</h1><p class="answer">{answer}</p><p>{facts}</p></header>
<section><h2>Policies side by side</h2>{table}</section>
{sections}
<section><h2>How these figures were obtained</h2><p>{how}</p>{remarks}</section>
<script>{plotly}</script>
<script type="application/json" id="charts">{charts}</script>
<script>
(() => {{
  const charts = document.getElementById("charts").textContent;
  const draw = () => {{
    const css = getComputedStyle(document.documentElement), family = getComputedStyle(document.body).fontFamily;
    const named = (key, value) => typeof value === "string" && value.startsWith("--") ? css.getPropertyValue(value).trim() : value;
    for (const [id, chart] of Object.entries(JSON.parse(charts, named))) {{
      const ink = css.getPropertyValue("--t2").trim(), grid = css.getPropertyValue("--line").trim();
      const axis = (own) => ({{ gridcolor: grid, linecolor: grid, zerolinecolor: grid, ...own }});
      const layout = {{ paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: {{ t: 30, r: 20, b: 40, l: 60 }},
        ...chart.layout, font: {{ color: ink, family, size: 13 }}, modebar: {{ bgcolor: "rgba(0,0,0,0)", color: ink }},
        xaxis: axis(chart.layout.xaxis), yaxis: axis(chart.layout.yaxis) }};
      if (chart.layout.yaxis2) layout.yaxis2 = axis(chart.layout.yaxis2);
      Plotly.react(id, chart.data, layout, {{ responsive: true, displaylogo: false }});
    }}
  }};
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}})();
</script>
</body>
</html>
"""
