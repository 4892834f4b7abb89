"""NowView -> Prometheus metrics. What is unknown has no sample; what is old has none either, but its age.

    link's newest view --DepotCollector.collect()--> metric families --> exposition() for GET /metrics

Labels are bounded: feeders, limit sources, and words of fixed lists. Nothing is labelled by connector, vehicle or person.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from controller.readmodel import FeederView, Health, LimitView, NowView, SiteView, TileState
from web.live import DepotLink, LiveHub

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
PLANNER_STATES = ("running", "late", "dead", "off")


class DepotCollector(Collector):
    """The depot as the newest view has it. ``stale_s``: a view that is older gives no figures of the depot."""

    def __init__(self, link: DepotLink, hub: LiveHub, *, stale_s: float) -> None:
        self._link, self._hub, self._stale_s = link, hub, stale_s

    def collect(self) -> Iterator[Metric]:
        view, age_s = self._link.view, self._link.age_s
        fresh = view is not None and age_s is not None and age_s <= self._stale_s
        yield _gauge("core_up", "1 while the core's views arrive, 0 when the newest is too old to act on", int(fresh))
        yield _gauge("view_age_seconds", "Since the core's newest view arrived", age_s)
        yield _gauge("web_live_pages", "Pages that follow the live stream", self._hub.pages)
        if view is not None and fresh:
            yield from depot_metrics(view)


class Exposition:
    """All metrics of a web process, its own among them."""

    def __init__(self, link: DepotLink, hub: LiveHub, *, stale_s: float) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(DepotCollector(link, hub, stale_s=stale_s))
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        """Prometheus' text format 0.0.4."""
        return generate_latest(self._registry)


def depot_metrics(view: NowView) -> Iterator[Metric]:
    """The families of one view."""
    info = GaugeMetricFamily("chargeyard_depot_info", "Which depot this is", labels=("depot",))
    info.add_metric((view.depot_id,), 1)
    yield info
    yield _counter("ticks", "Decisions of the limiter since the core's start", view.tick)
    yield _gauge("clock_speed_ratio", "How many times faster than the world depot time runs", view.clock_speed)
    yield _counter("journal_facts", "Position of the journal: facts stored since the depot began", view.seq)
    yield from _health(view.health)
    yield from _site(view.site)
    yield from _feeders(view.feeders)
    yield from _limits(view.limits, {feeder.feeder_id for feeder in view.feeders})
    counts = view.counts
    standings = {"on_time": counts.on_time, "at_risk": counts.at_risk, "late": counts.late}
    yield _labelled("vehicles", "Vehicles that are here or come soon, by how they stand to their departure", "standing", standings)
    yield _gauge("sessions", "Charging transactions that are open", counts.sessions)
    states = Counter(tile.state for tile in view.tiles)
    found = {state.value: states[state] for state in TileState}
    yield _labelled("connectors", "Connectors by the worst thing that is true of them", "state", found)
    priorities = Counter(notice.priority for notice in view.notices)
    alarms = {"active": view.alarms.active, "unacknowledged": view.alarms.unacknowledged, "shelved": view.alarms.shelved}
    yield _labelled("alarms", "Alarms that are active, that nobody has acknowledged, that a person has shelved", "state", alarms)
    yield _gauge("packs_tripped", "Packs that are latched after a thermal trip", len(view.trips))
    notices = {str(priority): priorities[priority] for priority in (1, 2, 3)}
    yield _labelled("notices", "Things that need a person; priority 1 is the worst", "priority", notices)


def _health(health: Health) -> Iterator[Metric]:
    yield _gauge("tick_duration_seconds", "How long the newest decision of the limiter took", health.tick_ms / 1000)
    yield _gauge("journal_frozen", "1 while the journal cannot write: nothing rises, nothing new starts", int(health.journal == "frozen"))
    states = {state: int(health.planner == state) for state in PLANNER_STATES}
    yield _labelled("planner_state", "1 for the state that the planner is in", "state", states)
    yield _gauge("stations", "Stations that the depot has", health.stations_total)
    yield _gauge("stations_connected", "Stations whose connection is up", health.stations_connected)
    yield _gauge("stations_quarantined", "Unknown stations that knocked", len(health.quarantined))
    process = health.process
    if process is not None:
        yield _gauge("core_resident_memory_bytes", "Resident memory of the core's process", process.rss_bytes)
        yield _gauge("core_open_fds", "Files and sockets that the core's process has open", process.open_fds)
        yield _counter("core_cpu_seconds", "Processor time of the core's process since its start", process.cpu_s)


def _site(site: SiteView) -> Iterator[Metric]:
    yield _gauge("site_power_watts", "At the connection point, by its meter; import is positive", site.power_w)
    yield _gauge("site_power_age_seconds", "Age of that reading, by depot time", site.power_age_s)
    yield _gauge("site_meter_stale", "1 while the site's meter is silent and the worst background is counted", int(site.stale))
    yield _gauge("site_limit_watts", "The lowest limit in force on the site", site.limit.value_w)
    yield _gauge("site_headroom_watts", "Limit less power; negative is over the limit", site.headroom_w)
    yield _gauge("site_charging_watts", "Power of all sessions, by the stations' meters", site.charging_w)
    yield _gauge("site_background_watts", "What everything else on the site is counted with", site.background_w)
    yield _gauge("site_demand_block_watts", "Expected mean of the running demand block", site.demand_block_w)


def _feeders(feeders: Iterable[FeederView]) -> Iterator[Metric]:
    power = GaugeMetricFamily("chargeyard_feeder_power_watts", "Power of the sessions on the feeder", labels=("feeder",))
    reserved = GaugeMetricFamily(
        "chargeyard_feeder_reserved_watts", "Kept for connectors that can't be reached or don't obey", labels=("feeder",)
    )
    limit = GaugeMetricFamily("chargeyard_feeder_limit_watts", "The lowest limit in force on the feeder", labels=("feeder",))
    for feeder in feeders:
        power.add_metric((feeder.feeder_id,), feeder.power_w)
        reserved.add_metric((feeder.feeder_id,), feeder.reserved_w)
        limit.add_metric((feeder.feeder_id,), feeder.limit.value_w)
    yield from (power, reserved, limit)


def _limits(limits: Iterable[LimitView], feeders: set[str]) -> Iterator[Metric]:
    """The lowest of each source; limits on single connectors are left out, there may be any number of them."""
    lowest: dict[tuple[str, str], int] = {}
    for limit in limits:
        if limit.scope_id in feeders or not limit.scope_id:
            key = (limit.scope_id, limit.source)
            lowest[key] = min(limit.value_w, lowest.get(key, limit.value_w))
    site = GaugeMetricFamily("chargeyard_site_limit_by_source_watts", "The lowest limit of each source on the site", labels=("source",))
    feeder = GaugeMetricFamily(
        "chargeyard_feeder_limit_by_source_watts", "The lowest limit of each source on the feeder", labels=("feeder", "source")
    )
    for (scope_id, source), value_w in sorted(lowest.items()):
        if scope_id:
            feeder.add_metric((scope_id, source), value_w)
        else:
            site.add_metric((source,), value_w)
    yield from (site, feeder)


def _gauge(name: str, text: str, value: float | None) -> Metric:
    """``value`` None: the family without a sample."""
    return GaugeMetricFamily(f"chargeyard_{name}", text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"chargeyard_{name}", text, value=value)


def _labelled(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"chargeyard_{name}", text, labels=(label,))
    for word, value in values.items():
        family.add_metric((word,), value)
    return family
