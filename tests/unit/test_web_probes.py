"""/healthz, /readyz and /metrics: what they say, to whom, and that no figure is older than it looks."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import msgspec
import pytest
from fake_depot import CONTRACT, empty, sample
from prometheus_client.parser import text_string_to_metric_families
from web_harness import Site, site

from controller.process import EVERY_S, ProcessProbe
from controller.readmodel import NowView, ProcessView
from depot.values import Role
from web.metrics import CONTENT_TYPE
from web.roles import Permission

pytestmark = pytest.mark.anyio

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def parsed(text: str) -> Samples:
    """Every sample by name and labels, as Prometheus' own parser reads them."""
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation, family.name
        for one in family.samples:
            key = (one.name, tuple(sorted(one.labels.items())))
            assert key not in found, key
            found[key] = one.value
    return found


async def scraped(depot: Site) -> Samples:
    secret = depot.users.add_token("prometheus", [Permission.METRICS])
    answer = await depot.client(authorization=f"Bearer {secret}").get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == CONTENT_TYPE
    depot.users.revoke_token("prometheus")
    return parsed(answer.text)


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[f"chargeyard_{name}", tuple(sorted(labels.items()))]


async def test_metrics_say_what_the_view_says(tmp_path: Path) -> None:
    view = sample()
    process = ProcessView(rss_bytes=90_000_000, open_fds=61, cpu_s=12.5)
    view = msgspec.structs.replace(
        view,
        health=msgspec.structs.replace(view.health, process=process),
        counts=msgspec.structs.replace(view.counts, sessions=13),
    )
    async with site(tmp_path, view) as depot:
        samples = await scraped(depot)
    assert value(samples, "core_up") == 1
    assert value(samples, "depot_info", depot="kothrud") == 1
    assert value(samples, "ticks_total") == 15_132
    assert value(samples, "tick_duration_seconds") == pytest.approx(0.0008)
    assert value(samples, "site_power_watts") == view.site.power_w
    assert value(samples, "site_limit_watts") == 450_000
    assert value(samples, "site_headroom_watts") == view.site.headroom_w
    assert value(samples, "site_limit_by_source_watts", source="scada") == 450_000
    assert value(samples, "site_limit_by_source_watts", source="contract") == 500_000
    assert value(samples, "feeder_limit_by_source_watts", feeder="B", source="manual") == 150_000
    assert value(samples, "feeder_reserved_watts", feeder="B") == 30_000
    assert value(samples, "vehicles", standing="at_risk") == 2
    assert value(samples, "sessions") == 13
    assert value(samples, "stations_connected") == 22
    assert value(samples, "stations_quarantined") == 1
    assert value(samples, "planner_state", state="running") == 1
    assert value(samples, "planner_state", state="dead") == 0
    assert value(samples, "connectors", state="late") == 1
    assert value(samples, "notices", priority="2") == 2
    assert value(samples, "core_resident_memory_bytes") == 90_000_000
    assert samples["process_open_fds", ()] > 0


async def test_what_is_unknown_has_no_sample(tmp_path: Path) -> None:
    view = empty()
    async with site(tmp_path, msgspec.structs.replace(view, site=msgspec.structs.replace(view.site, power_w=None))) as depot:
        samples = await scraped(depot)
    names = {name for name, _ in samples}
    assert "chargeyard_site_power_watts" not in names
    assert "chargeyard_site_demand_block_watts" not in names
    assert "chargeyard_core_open_fds" not in names
    assert "chargeyard_site_limit_watts" in names


@pytest.mark.parametrize("blank", [True, False], ids=["before the first view", "old view"])
async def test_an_old_view_gives_no_figures_of_the_depot(tmp_path: Path, blank: bool) -> None:
    async with site(tmp_path, blank=blank, stale_s=0.05) as depot:
        await asyncio.sleep(0.1)
        samples = await scraped(depot)
    assert value(samples, "core_up") == 0
    assert ("chargeyard_view_age_seconds", ()) in samples or blank
    assert not [name for name, _ in samples if name.startswith(("chargeyard_site", "chargeyard_vehicles", "chargeyard_journal"))]


async def test_no_label_grows_with_chargers_vehicles_or_limits(tmp_path: Path) -> None:
    view = sample()
    one_connector = msgspec.structs.replace(CONTRACT, scope_id="CP-01/1", source="safety")
    async with site(tmp_path, msgspec.structs.replace(view, limits=[*view.limits, one_connector])) as depot:
        few = await scraped(depot)
        many = [msgspec.structs.replace(tile, connector=f"X-{n}/1", vehicle_id=f"V-{n}") for n, tile in enumerate(view.tiles * 40)]
        depot.link.publish(msgspec.structs.replace(view, tiles=many, limits=[*view.limits, *[one_connector] * 50]))
        assert set(await scraped(depot)) == set(few)
    assert not [labels for _, labels in few if any("CP-" in word or "E-1" in word for _, word in labels)]


async def test_a_feeder_with_an_awkward_name_does_not_break_the_format(tmp_path: Path) -> None:
    view = sample()
    feeder = msgspec.structs.replace(view.feeders[0], feeder_id='a"} 1\n# \\ ')
    async with site(tmp_path, msgspec.structs.replace(view, feeders=[feeder])) as depot:
        assert value(await scraped(depot), "feeder_power_watts", feeder='a"} 1\n# \\ ') == feeder.power_w


async def test_metrics_need_their_own_scope_or_a_person(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        assert (await depot.client().get("/metrics")).status_code == 401
        reader = depot.users.add_token("reader", [Permission.READ])
        assert (await depot.client(authorization=f"Bearer {reader}").get("/metrics")).status_code == 403
        watcher = depot.users.add_token("watcher", [Permission.METRICS])
        client = depot.client(authorization=f"Bearer {watcher}")
        assert (await client.get("/metrics")).status_code == 200
        assert (await client.get("/api/v1/now")).status_code == 403
        assert (await depot.client(authorization="Bearer nonsense").get("/metrics")).json()["code"] == "bad_token"
        viewer = await depot.signed_in(Role.VIEWER)
        assert (await viewer.get("/metrics")).status_code == 200


async def test_health_is_about_this_process_only_and_tells_nothing_else(tmp_path: Path) -> None:
    async with site(tmp_path, blank=True) as depot:
        for method in ("GET", "HEAD"):
            answer = await depot.client().request(method, "/healthz")
            assert answer.status_code == 200
        assert (await depot.client().get("/healthz")).json() == {"status": "ok"}


async def test_ready_while_the_depot_is_under_control(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        answer = await depot.client().get("/readyz")
        assert (answer.status_code, answer.json()) == (200, {"status": "ready"})


def frozen() -> NowView:
    view = sample()
    return msgspec.structs.replace(view, health=msgspec.structs.replace(view.health, journal="frozen"))


@pytest.mark.parametrize(
    ("view", "stale_s", "why"),
    [(None, 600.0, "has not spoken yet"), (sample(), 0.02, "s old"), (frozen(), 600.0, "journal cannot write")],
    ids=["no core", "old view", "frozen journal"],
)
async def test_not_ready_says_so_to_everybody_and_why_to_those_who_may_know(
    tmp_path: Path, view: NowView | None, stale_s: float, why: str
) -> None:
    async with site(tmp_path, view, blank=view is None, stale_s=stale_s) as depot:
        await asyncio.sleep(0.05)
        answer = await depot.client().get("/readyz")
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert int(answer.headers["retry-after"]) > 0
        assert answer.json()["code"] == "not_ready"
        assert why not in answer.text
        token = depot.users.add_token("balancer", [Permission.METRICS])
        told = await depot.client(authorization=f"Bearer {token}").get("/readyz")
        assert told.status_code == 503
        assert why in told.json()["detail"]


async def test_the_manual_names_every_metric_and_no_other(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
    table = page.partition("<!-- metrics -->")[2].partition("<!-- /metrics -->")[0]
    first_column = "".join(line.split("|")[1] for line in table.splitlines() if line.startswith("| `"))
    told = {(name, labels) for name, labels in re.findall(r"`([a-z_]+)(?:\{([a-z,]+)\})?`", first_column)}
    view = sample()
    process = ProcessView(rss_bytes=1, open_fds=1, cpu_s=1.0)
    async with site(tmp_path, msgspec.structs.replace(view, health=msgspec.structs.replace(view.health, process=process))) as depot:
        samples = await scraped(depot)
    shown = {
        (name.removeprefix("chargeyard_"), ",".join(sorted(key for key, _ in labels)))
        for name, labels in samples
        if name.startswith("chargeyard_")
    }
    assert shown == told


def test_a_process_knows_itself_and_reads_it_seldom() -> None:
    now_s = 100.0
    probe = ProcessProbe(lambda: now_s)
    first = probe()
    assert first is not None
    assert first.rss_bytes > 1_000_000
    assert first.open_fds >= 3
    assert probe() is first
    now_s += EVERY_S
    assert probe() is not first
