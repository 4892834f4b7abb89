"""Who may do what. Every route stands in :data:`ROUTES`; one that does not is refused to everybody.

    viewer  READ, METRICS
    operator  + OPERATE (start, stop, out of service, isolate, evacuate, roll-call), VISITS
    safety officer  operator + RESTORE (back in service, test of an output, drill), RESET (a tripped battery, an isolation, an
           evacuation, the file of an incident)
    manager  operator + RESTORE, LIMIT, REGISTRY (vehicles, packs, drivers, shift, stations, feeders), STATIONS (add and
           admit stations, any call to them, id tokens, messages), MONEY (mandates, debits, refunds)
    admin  all

Machine tokens carry permissions as scopes instead of a role. TELEMETRY (telling what vehicles say) is for machines alone; a token may
be bound to vehicles.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from depot.values import Role


class Permission(StrEnum):
    """What a route needs. ``PUBLIC``: nothing; ``SELF``: any signed-in person, also one who must change the password."""

    PUBLIC = "public"
    SELF = "self"
    READ = "read"
    OPERATE = "operate"
    VISITS = "visits"
    RESTORE = "restore"
    LIMIT = "limit"
    METRICS = "metrics"
    RESET = "reset"
    REGISTRY = "registry"
    MONEY = "money"
    AUDIT = "audit"
    STATIONS = "stations"
    TELEMETRY = "telemetry"


SCOPES = tuple(p for p in Permission if p not in (Permission.PUBLIC, Permission.SELF, Permission.RESET, Permission.MONEY))
"""What a machine token may carry. A trip is reset, and money is ordered about, by a person alone."""

_VIEWER = frozenset({Permission.PUBLIC, Permission.SELF, Permission.READ, Permission.METRICS})
_OPERATOR = _VIEWER | {Permission.OPERATE, Permission.VISITS}
_MANAGER = _OPERATOR | {
    Permission.RESTORE, Permission.LIMIT, Permission.REGISTRY, Permission.STATIONS, Permission.MONEY, Permission.AUDIT,
}  # fmt: skip

GRANTS: Mapping[Role, frozenset[Permission]] = {
    Role.VIEWER: _VIEWER,
    Role.OPERATOR: _OPERATOR,
    Role.SAFETY_OFFICER: _OPERATOR | {Permission.RESTORE, Permission.RESET, Permission.AUDIT},
    Role.MANAGER: _MANAGER,
    Role.ADMIN: _MANAGER | {Permission.RESET},
}

APPROVES: Mapping[str, Permission] = {
    "StartCharging": Permission.OPERATE,
    "SetManualLimit": Permission.LIMIT,
    "ClearManualLimit": Permission.LIMIT,
    "SetLimitSchedule": Permission.LIMIT,
    "RemoveLimitSchedule": Permission.LIMIT,
    "AnnounceDemandEvent": Permission.LIMIT,
    "CancelDemandEvent": Permission.LIMIT,
    "OptOutOfDemandEvent": Permission.LIMIT,
    "OverrideLimits": Permission.LIMIT,
    "SetAvailability": Permission.RESTORE,
    "CancelVisit": Permission.VISITS,
    "ResetPack": Permission.RESET,
    "ResetArea": Permission.RESET,
    "RevokeMandate": Permission.MONEY,
    "RetryDebit": Permission.MONEY,
    "WriteOffBill": Permission.MONEY,
    "RefundBill": Permission.MONEY,
    "PutDriverTariff": Permission.MONEY,
    "EndDriverTariff": Permission.MONEY,
    "CorrectBill": Permission.MONEY,
    "PayOtherwise": Permission.MONEY,
    "RetryRefund": Permission.MONEY,
    "ExplainDifference": Permission.MONEY,
}
"""Who may be the second person: who could order it. Kinds that are not here nobody approves."""

_KINDS = {"vehicles": Permission.READ, "packs": Permission.READ, "drivers": Permission.REGISTRY}
_KINDS |= {"stations": Permission.READ, "feeders": Permission.READ}
_REGISTRY: dict[tuple[str, str], Permission] = {("GET", "/registry"): Permission.READ}
for _kind, _reads in _KINDS.items():  # the same pages for each kind; drivers' names are for those who keep the registry
    _base = f"/registry/{_kind}"
    _REGISTRY[("GET", _base)] = _reads
    _REGISTRY |= {("GET", _base + end): Permission.REGISTRY for end in ("/form", "/export", "/import")}
    _REGISTRY |= {("POST", _base + end): Permission.REGISTRY for end in ("/form", "/import", "/import/apply")}
    _REGISTRY[("POST", _base + ("/withdraw" if _kind == "feeders" else "/remove"))] = Permission.REGISTRY
_REGISTRY[("POST", "/registry/stations/withdraw")] = Permission.REGISTRY

ROUTES: Mapping[tuple[str, str], Permission] = {
    ("GET", "/static/{version}/{name}"): Permission.PUBLIC,
    ("GET", "/favicon.ico"): Permission.PUBLIC,
    ("GET", "/healthz"): Permission.PUBLIC,
    ("GET", "/readyz"): Permission.PUBLIC,
    ("GET", "/metrics"): Permission.METRICS,
    ("GET", "/sign-in"): Permission.PUBLIC,
    ("POST", "/sign-in"): Permission.PUBLIC,
    ("POST", "/sign-out"): Permission.SELF,
    ("GET", "/session"): Permission.SELF,
    ("GET", "/account"): Permission.SELF,
    ("POST", "/account/password"): Permission.SELF,
    ("GET", "/"): Permission.READ,
    ("GET", "/live"): Permission.READ,
    ("GET", "/chargers"): Permission.READ,
    ("GET", "/chargers/{station}/{connector}"): Permission.READ,
    ("GET", "/stations"): Permission.READ,
    ("GET", "/stations/accept"): Permission.STATIONS,
    ("POST", "/stations/accept"): Permission.STATIONS,
    ("GET", "/stations/{station_id}"): Permission.READ,
    ("POST", "/stations/{station_id}/registration"): Permission.STATIONS,
    ("GET", "/stations/{station_id}/console"): Permission.STATIONS,
    ("POST", "/stations/{station_id}/console"): Permission.STATIONS,
    ("GET", "/stations/{station_id}/device-model"): Permission.STATIONS,
    ("POST", "/stations/{station_id}/device-model/read"): Permission.STATIONS,
    ("POST", "/stations/{station_id}/device-model/repair"): Permission.STATIONS,
    ("GET", "/stations/{station_id}/device-model/set"): Permission.STATIONS,
    ("POST", "/stations/{station_id}/device-model/set"): Permission.STATIONS,
    ("GET", "/drift"): Permission.STATIONS,
    ("POST", "/drift/wanted"): Permission.STATIONS,
    ("POST", "/drift/unwanted"): Permission.STATIONS,
    ("GET", "/messages"): Permission.STATIONS,
    ("GET", "/firmware"): Permission.STATIONS,
    ("POST", "/firmware"): Permission.STATIONS,
    ("POST", "/firmware/updates"): Permission.STATIONS,
    ("POST", "/firmware/{image_id}/remove"): Permission.STATIONS,
    ("POST", "/logs"): Permission.STATIONS,
    ("GET", "/logs/{number}/file"): Permission.STATIONS,
    ("POST", "/firmware/publications"): Permission.STATIONS,
    ("GET", "/display-messages"): Permission.STATIONS,
    ("POST", "/display-messages"): Permission.STATIONS,
    ("POST", "/display-messages/clear"): Permission.STATIONS,
    ("POST", "/display-messages/refresh"): Permission.STATIONS,
    ("GET", "/departures"): Permission.READ,
    ("GET", "/departures/export"): Permission.READ,
    ("GET", "/departures/form"): Permission.VISITS,
    ("POST", "/departures/form"): Permission.VISITS,
    ("POST", "/departures/cancel"): Permission.VISITS,
    ("GET", "/departures/import"): Permission.VISITS,
    ("POST", "/departures/import"): Permission.VISITS,
    ("POST", "/departures/import/apply"): Permission.VISITS,
    **_REGISTRY,
    ("GET", "/plan"): Permission.READ,
    ("GET", "/plan/what-if"): Permission.READ,
    ("POST", "/plan/what-if"): Permission.OPERATE,
    ("GET", "/plan/policy"): Permission.READ,
    ("POST", "/plan/policy"): Permission.LIMIT,
    ("POST", "/plan/frontier"): Permission.OPERATE,
    ("GET", "/api/v1/plan"): Permission.READ,
    ("GET", "/api/v1/plan/explanation"): Permission.READ,
    ("GET", "/api/v1/plan/what-if"): Permission.READ,
    ("POST", "/api/v1/plan/what-if"): Permission.OPERATE,
    ("GET", "/api/v1/plan/what-if/{question_id}"): Permission.READ,
    ("GET", "/api/v1/plan/frontier"): Permission.READ,
    ("POST", "/api/v1/plan/frontier"): Permission.OPERATE,
    ("GET", "/api/v1/plan/policy"): Permission.READ,
    ("POST", "/api/v1/plan/policy"): Permission.LIMIT,
    ("GET", "/system"): Permission.READ,
    ("GET", "/grid"): Permission.READ,
    ("GET", "/limits"): Permission.READ,
    ("POST", "/chargers/{station}/{connector}/start"): Permission.OPERATE,
    ("POST", "/chargers/{station}/{connector}/stop"): Permission.OPERATE,
    ("POST", "/chargers/{station}/{connector}/out-of-service"): Permission.OPERATE,
    ("POST", "/chargers/{station}/{connector}/in-service"): Permission.RESTORE,
    ("GET", "/safety"): Permission.READ,
    ("POST", "/safety/packs/{vehicle}/{pack}/reset"): Permission.RESET,
    ("POST", "/safety/isolate"): Permission.OPERATE,
    ("POST", "/safety/isolation/reset"): Permission.RESET,
    ("POST", "/safety/outputs/{output}/test"): Permission.RESTORE,
    ("GET", "/safety/packs/{vehicle}/{pack}"): Permission.READ,
    ("POST", "/safety/evacuation"): Permission.OPERATE,
    ("POST", "/safety/evacuation/check-in"): Permission.OPERATE,
    ("POST", "/safety/evacuation/end"): Permission.RESET,
    ("POST", "/safety/evacuation/shift"): Permission.REGISTRY,
    ("POST", "/safety/incidents/{incident}/close"): Permission.RESET,
    ("POST", "/safety/incidents/{incident}/notes"): Permission.OPERATE,
    ("POST", "/safety/drills"): Permission.RESTORE,
    ("POST", "/safety/drills/stop"): Permission.RESTORE,
    ("GET", "/api/v1/safety"): Permission.READ,
    ("GET", "/api/v1/packs"): Permission.READ,
    ("GET", "/api/v1/packs/{vehicle}/{pack}"): Permission.READ,
    ("GET", "/api/v1/trips"): Permission.READ,
    ("GET", "/api/v1/lake/catalog"): Permission.READ,
    ("GET", "/api/v1/lake/packs/{vehicle_id}/{pack_id}/life"): Permission.READ,
    ("GET", "/api/v1/lake/packs/{vehicle_id}/{pack_id}/history"): Permission.REGISTRY,
    ("POST", "/api/v1/telemetry"): Permission.TELEMETRY,
    ("GET", "/api/v1/telemetry/rejections"): Permission.READ,
    ("GET", "/api/v1/telemetry/issues"): Permission.READ,
    ("GET", "/api/v1/outputs"): Permission.READ,
    ("GET", "/api/v1/detectors"): Permission.READ,
    ("POST", "/api/v1/outputs/isolate"): Permission.OPERATE,
    ("POST", "/api/v1/outputs/reset"): Permission.RESET,
    ("POST", "/api/v1/outputs/{output}/test"): Permission.RESTORE,
    ("GET", "/api/v1/evacuation"): Permission.READ,
    ("POST", "/api/v1/evacuation"): Permission.OPERATE,
    ("POST", "/api/v1/evacuation/check-in"): Permission.OPERATE,
    ("POST", "/api/v1/evacuation/end"): Permission.RESET,
    ("PUT", "/api/v1/evacuation/shift"): Permission.REGISTRY,
    ("GET", "/api/v1/incidents"): Permission.READ,
    ("GET", "/api/v1/incidents/{incident}/file"): Permission.AUDIT,
    ("POST", "/api/v1/incidents/{incident}/notes"): Permission.OPERATE,
    ("POST", "/api/v1/incidents/{incident}/close"): Permission.RESET,
    ("GET", "/api/v1/drills"): Permission.READ,
    ("POST", "/api/v1/drills"): Permission.RESTORE,
    ("POST", "/api/v1/drills/stop"): Permission.RESTORE,
    ("POST", "/limits/manual"): Permission.LIMIT,
    ("POST", "/limits/manual/clear"): Permission.LIMIT,
    ("GET", "/payments"): Permission.READ,
    ("POST", "/payments/mandates"): Permission.MONEY,
    ("POST", "/payments/mandates/{mandate}/end"): Permission.MONEY,
    ("POST", "/payments/bills/{session}/retry"): Permission.MONEY,
    ("POST", "/payments/bills/{session}/write-off"): Permission.MONEY,
    ("POST", "/payments/bills/{session}/refund"): Permission.MONEY,
    ("GET", "/api/v1/payments"): Permission.READ,
    ("GET", "/api/v1/payments/driver-tariffs"): Permission.READ,
    ("GET", "/api/v1/payments/driver-tariffs/{tariff_id}"): Permission.READ,
    ("PUT", "/api/v1/payments/driver-tariffs/{tariff_id}"): Permission.MONEY,
    ("DELETE", "/api/v1/payments/driver-tariffs/{tariff_id}"): Permission.MONEY,
    ("GET", "/api/v1/payments/price"): Permission.READ,
    ("GET", "/api/v1/payments/invoices"): Permission.READ,
    ("GET", "/api/v1/payments/invoices/{number}"): Permission.REGISTRY,
    ("POST", "/api/v1/payments/bills/{session}/correct"): Permission.MONEY,
    ("GET", "/api/v1/payments/recipients"): Permission.REGISTRY,
    ("GET", "/api/v1/fleet-costs"): Permission.READ,
    ("PUT", "/api/v1/payments/recipients/{driver_id}"): Permission.MONEY,
    ("DELETE", "/api/v1/payments/recipients/{driver_id}"): Permission.MONEY,
    ("GET", "/api/v1/payments/debits"): Permission.READ,
    ("GET", "/api/v1/payments/refunds"): Permission.READ,
    ("GET", "/api/v1/payments/arrears"): Permission.READ,
    ("GET", "/api/v1/payments/reconciliation"): Permission.READ,
    ("GET", "/api/v1/payments/statements/drivers/{driver}"): Permission.REGISTRY,
    ("GET", "/api/v1/payments/statements/fleet"): Permission.REGISTRY,
    ("GET", "/api/v1/payments/statements/days/{day}"): Permission.REGISTRY,
    ("POST", "/api/v1/payments/bills/{session}/retry"): Permission.MONEY,
    ("POST", "/api/v1/payments/bills/{session}/write-off"): Permission.MONEY,
    ("POST", "/api/v1/payments/bills/{session}/refund"): Permission.MONEY,
    ("POST", "/api/v1/payments/bills/{session}/paid"): Permission.MONEY,
    ("POST", "/api/v1/payments/refunds/{refund_key}/retry"): Permission.MONEY,
    ("POST", "/api/v1/payments/differences/{difference}/explain"): Permission.MONEY,
    ("POST", "/payments/bills/{session}/paid"): Permission.MONEY,
    ("POST", "/payments/bills/{session}/correct"): Permission.MONEY,
    ("GET", "/payments/debits"): Permission.READ,
    ("GET", "/payments/refunds"): Permission.READ,
    ("POST", "/payments/refunds/retry"): Permission.MONEY,
    ("GET", "/payments/reconciliation"): Permission.READ,
    ("POST", "/payments/differences/{difference}/explain"): Permission.MONEY,
    ("GET", "/payments/statements"): Permission.MONEY,
    ("GET", "/payments/invoices"): Permission.READ,
    ("POST", "/payments/recipients"): Permission.MONEY,
    ("GET", "/payments/tariffs"): Permission.READ,
    ("POST", "/payments/tariffs/import"): Permission.MONEY,
    ("POST", "/payments/tariffs/{tariff}/end"): Permission.MONEY,
    ("GET", "/payments/drivers"): Permission.MONEY,
    ("POST", "/payments/drivers/find"): Permission.MONEY,
    ("POST", "/payments/drivers/{driver_id}/data"): Permission.MONEY,
    ("POST", "/payments/drivers/{driver_id}/erase"): Permission.MONEY,
    ("GET", "/payments/codes"): Permission.MONEY,
    ("GET", "/payments/codes.pdf"): Permission.MONEY,
    ("GET", "/api/v1/payments/drivers"): Permission.MONEY,
    ("POST", "/api/v1/payments/drivers/find"): Permission.MONEY,
    ("POST", "/api/v1/payments/drivers/{driver_id}/data"): Permission.MONEY,
    ("POST", "/api/v1/payments/drivers/{driver_id}/erase"): Permission.MONEY,
    ("GET", "/api/v1/payments/codes"): Permission.MONEY,
    ("POST", "/grid/supply"): Permission.LIMIT,
    ("POST", "/grid/batteries/{asset}/mode"): Permission.OPERATE,
    ("GET", "/alarms"): Permission.READ,
    ("POST", "/alarms/acknowledge"): Permission.OPERATE,
    ("GET", "/alarms/shelve"): Permission.OPERATE,
    ("POST", "/alarms/shelve"): Permission.OPERATE,
    ("POST", "/alarms/unshelve"): Permission.OPERATE,
    ("POST", "/approvals/{approval}/approve"): Permission.OPERATE,
    ("POST", "/approvals/{approval}/refuse"): Permission.OPERATE,
    ("GET", "/audit"): Permission.READ,
    ("GET", "/audit/export"): Permission.AUDIT,
    ("POST", "/audit/check"): Permission.AUDIT,
    ("GET", "/bills"): Permission.READ,
    ("GET", "/bills/export"): Permission.READ,
    ("POST", "/bills/utility"): Permission.REGISTRY,
    ("POST", "/bills/history"): Permission.REGISTRY,
    ("POST", "/bills/import"): Permission.REGISTRY,
    ("GET", "/api/v1/bills"): Permission.READ,
    ("GET", "/api/v1/bills/{month}"): Permission.READ,
    ("PUT", "/api/v1/bills/{month}/utility"): Permission.REGISTRY,
    ("GET", "/api/v1/demand"): Permission.READ,
    ("PUT", "/api/v1/demand/history/{month}"): Permission.REGISTRY,
    ("POST", "/api/v1/demand/blocks"): Permission.REGISTRY,
    ("GET", "/api/v1/alarms"): Permission.READ,
    ("POST", "/api/v1/alarms/acknowledge"): Permission.OPERATE,
    ("GET", "/api/v1/audit"): Permission.AUDIT,
    ("GET", "/api/v1/openapi.json"): Permission.READ,
    ("GET", "/api/v1/now"): Permission.READ,
    ("GET", "/api/v1/chargers"): Permission.READ,
    ("GET", "/api/v1/chargers/{station}/{connector}"): Permission.READ,
    ("GET", "/api/v1/limits"): Permission.READ,
    ("GET", "/api/v1/meter"): Permission.READ,
    ("GET", "/api/v1/assets"): Permission.READ,
    ("PUT", "/api/v1/assets/{asset}/mode"): Permission.OPERATE,
    ("GET", "/api/v1/utility"): Permission.READ,
    ("GET", "/api/v1/utility/model-64900"): Permission.READ,
    ("GET", "/api/v1/health"): Permission.READ,
    ("POST", "/api/v1/chargers/{station}/{connector}/start"): Permission.OPERATE,
    ("POST", "/api/v1/chargers/{station}/{connector}/stop"): Permission.OPERATE,
    ("POST", "/api/v1/chargers/{station}/{connector}/availability"): Permission.OPERATE,
    ("GET", "/grid/limits"): Permission.READ,
    ("GET", "/grid/limits/new/{kind}"): Permission.LIMIT,
    ("POST", "/grid/limits/new/{kind}"): Permission.LIMIT,
    ("POST", "/grid/limits/end"): Permission.LIMIT,
    ("GET", "/api/v1/limits/book"): Permission.READ,
    ("GET", "/api/v1/limits/history"): Permission.READ,
    ("PUT", "/api/v1/limits/schedules/{schedule_id}"): Permission.LIMIT,
    ("DELETE", "/api/v1/limits/schedules/{schedule_id}"): Permission.LIMIT,
    ("PUT", "/api/v1/limits/override"): Permission.LIMIT,
    ("DELETE", "/api/v1/limits/override"): Permission.LIMIT,
    ("GET", "/api/v1/demand-response/events"): Permission.READ,
    ("PUT", "/api/v1/demand-response/events/{event_id}"): Permission.LIMIT,
    ("DELETE", "/api/v1/demand-response/events/{event_id}"): Permission.LIMIT,
    ("POST", "/api/v1/demand-response/events/{event_id}/opt-out"): Permission.LIMIT,
    ("PUT", "/api/v1/limits/manual"): Permission.LIMIT,
    ("DELETE", "/api/v1/limits/manual"): Permission.LIMIT,
    ("POST", "/api/v1/visits"): Permission.VISITS,
    ("GET", "/api/v1/departures"): Permission.READ,
    ("PUT", "/api/v1/departures"): Permission.VISITS,
    ("DELETE", "/api/v1/departures"): Permission.VISITS,
    ("GET", "/api/v1/vehicles"): Permission.READ,
    ("PUT", "/api/v1/vehicles/{vehicle_id}"): Permission.REGISTRY,
    ("DELETE", "/api/v1/vehicles/{vehicle_id}"): Permission.REGISTRY,
    ("GET", "/api/v1/stations"): Permission.READ,
    ("POST", "/api/v1/stations"): Permission.STATIONS,
    ("GET", "/api/v1/stations/{station_id}"): Permission.READ,
    ("PUT", "/api/v1/stations/{station_id}"): Permission.STATIONS,
    ("PATCH", "/api/v1/stations/{station_id}"): Permission.STATIONS,
    ("DELETE", "/api/v1/stations/{station_id}"): Permission.STATIONS,
    ("POST", "/api/v1/stations/{station_id}/calls/{action}"): Permission.STATIONS,
    ("PUT", "/api/v1/stations/{station_id}/security-profile"): Permission.STATIONS,
    ("POST", "/api/v1/stations/{station_id}/key"): Permission.STATIONS,
    ("GET", "/api/v1/security"): Permission.READ,
    ("GET", "/api/v1/security/events"): Permission.READ,
    ("GET", "/api/v1/certificates"): Permission.READ,
    ("POST", "/api/v1/certificates"): Permission.STATIONS,
    ("DELETE", "/api/v1/certificates/{serial}"): Permission.STATIONS,
    ("GET", "/api/v1/certificates/installed"): Permission.STATIONS,
    ("POST", "/api/v1/certificates/installed"): Permission.STATIONS,
    ("DELETE", "/api/v1/certificates/installed"): Permission.STATIONS,
    ("GET", "/api/v1/charging-profiles"): Permission.READ,
    ("POST", "/api/v1/charging-profiles"): Permission.STATIONS,
    ("DELETE", "/api/v1/charging-profiles"): Permission.STATIONS,
    ("GET", "/api/v1/charging-profiles/composite"): Permission.STATIONS,
    ("GET", "/api/v1/charging-profiles/report"): Permission.STATIONS,
    ("GET", "/api/v1/charging-needs"): Permission.READ,
    ("GET", "/api/v1/external-limits"): Permission.READ,
    ("GET", "/api/v1/firmware"): Permission.STATIONS,
    ("POST", "/api/v1/firmware"): Permission.STATIONS,
    ("GET", "/api/v1/firmware/updates"): Permission.STATIONS,
    ("GET", "/api/v1/firmware/{image_id}"): Permission.STATIONS,
    ("DELETE", "/api/v1/firmware/{image_id}"): Permission.STATIONS,
    ("POST", "/api/v1/firmware/{image_id}/updates"): Permission.STATIONS,
    ("GET", "/api/v1/firmware/publications"): Permission.STATIONS,
    ("POST", "/api/v1/firmware/{image_id}/publications"): Permission.STATIONS,
    ("DELETE", "/api/v1/firmware/{image_id}/publications/{station_id}"): Permission.STATIONS,
    ("GET", "/api/v1/logs"): Permission.STATIONS,
    ("POST", "/api/v1/logs"): Permission.STATIONS,
    ("GET", "/api/v1/logs/{number}"): Permission.STATIONS,
    ("GET", "/api/v1/logs/{number}/file"): Permission.STATIONS,
    ("GET", "/api/v1/messages"): Permission.STATIONS,
    ("GET", "/api/v1/messages/export"): Permission.STATIONS,
    ("GET", "/api/v1/id-tokens"): Permission.STATIONS,
    ("POST", "/api/v1/id-tokens"): Permission.STATIONS,
    ("GET", "/api/v1/id-tokens/{token}"): Permission.STATIONS,
    ("PUT", "/api/v1/id-tokens/{token}"): Permission.STATIONS,
    ("DELETE", "/api/v1/id-tokens/{token}"): Permission.STATIONS,
    ("GET", "/api/v1/reservations"): Permission.STATIONS,
    ("POST", "/api/v1/reservations"): Permission.STATIONS,
    ("GET", "/api/v1/reservations/{reservation_id}"): Permission.STATIONS,
    ("DELETE", "/api/v1/reservations/{reservation_id}"): Permission.STATIONS,
    ("GET", "/api/v1/local-lists/{station_id}"): Permission.STATIONS,
    ("PUT", "/api/v1/local-lists/{station_id}"): Permission.STATIONS,
    ("DELETE", "/api/v1/local-lists/{station_id}"): Permission.STATIONS,
    ("GET", "/api/v1/configuration/{station_id}"): Permission.STATIONS,
    ("PUT", "/api/v1/configuration/{station_id}"): Permission.STATIONS,
    ("GET", "/api/v1/variables"): Permission.STATIONS,
    ("POST", "/api/v1/variables/get"): Permission.STATIONS,
    ("POST", "/api/v1/variables/set"): Permission.STATIONS,
    ("GET", "/api/v1/reports"): Permission.STATIONS,
    ("POST", "/api/v1/reports"): Permission.STATIONS,
    ("GET", "/api/v1/reports/{report_id}"): Permission.STATIONS,
    ("GET", "/api/v1/monitors"): Permission.STATIONS,
    ("POST", "/api/v1/monitors"): Permission.STATIONS,
    ("DELETE", "/api/v1/monitors"): Permission.STATIONS,
    ("POST", "/api/v1/monitors/report"): Permission.STATIONS,
    ("PUT", "/api/v1/monitors/base"): Permission.STATIONS,
    ("PUT", "/api/v1/monitors/level"): Permission.STATIONS,
    ("GET", "/api/v1/events"): Permission.STATIONS,
    ("GET", "/api/v1/drift"): Permission.STATIONS,
    ("POST", "/api/v1/drift/repair"): Permission.STATIONS,
    ("GET", "/api/v1/wanted-variables"): Permission.STATIONS,
    ("POST", "/api/v1/wanted-variables"): Permission.STATIONS,
    ("POST", "/api/v1/wanted-variables/remove"): Permission.STATIONS,
    ("GET", "/api/v1/display-messages"): Permission.STATIONS,
    ("POST", "/api/v1/display-messages"): Permission.STATIONS,
    ("POST", "/api/v1/display-messages/refresh"): Permission.STATIONS,
    ("PUT", "/api/v1/display-messages/{station_id}/{message_id}"): Permission.STATIONS,
    ("DELETE", "/api/v1/display-messages/{station_id}/{message_id}"): Permission.STATIONS,
    ("GET", "/api/v1/customer-information"): Permission.STATIONS,
    ("POST", "/api/v1/customer-information"): Permission.STATIONS,
    ("GET", "/api/v1/customer-information/{request_id}"): Permission.STATIONS,
    ("GET", "/api/v1/trusted-roots"): Permission.READ,
    ("POST", "/api/v1/trusted-roots"): Permission.STATIONS,
    ("DELETE", "/api/v1/trusted-roots/{fingerprint}"): Permission.STATIONS,
    ("GET", "/api/v1/network-profiles"): Permission.STATIONS,
    ("GET", "/api/v1/network-profiles/{station_id}"): Permission.STATIONS,
    ("PUT", "/api/v1/network-profiles/{station_id}"): Permission.STATIONS,
    ("PUT", "/api/v1/network-profiles/{station_id}/{slot}"): Permission.STATIONS,
    ("GET", "/api/v1/der-controls"): Permission.READ,
    ("POST", "/api/v1/der-controls"): Permission.STATIONS,
    ("DELETE", "/api/v1/der-controls"): Permission.STATIONS,
    ("POST", "/api/v1/der-controls/refresh"): Permission.STATIONS,
    ("GET", "/api/v1/battery-swaps"): Permission.STATIONS,
    ("POST", "/api/v1/battery-swaps"): Permission.STATIONS,
    ("GET", "/api/v1/tariffs"): Permission.READ,
    ("GET", "/api/v1/tariffs/{station_id}"): Permission.STATIONS,
    ("PUT", "/api/v1/tariffs/{station_id}"): Permission.STATIONS,
    ("PUT", "/api/v1/tariffs/{station_id}/transaction"): Permission.STATIONS,
    ("DELETE", "/api/v1/tariffs/{station_id}"): Permission.STATIONS,
    ("GET", "/api/v1/event-streams"): Permission.READ,
    ("PUT", "/api/v1/event-streams/{station_id}/{stream_id}"): Permission.STATIONS,
    ("GET", "/api/v1/station-notes"): Permission.STATIONS,
}


PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
"""Addresses beside /api/ that machines call: they take tokens, and answer problems as documents."""


def for_machines(path: str) -> bool:
    """Whether the address takes bearer tokens."""
    return path.startswith("/api/") or path in PROBES


def needed(method: str, path: str) -> Permission | None:
    """What the route needs; None: it is not in the table, so nobody may."""
    return ROUTES.get((method, path))


def least_roles(permission: Permission) -> str:
    """Who could do it, for people: ``a manager``, ``an operator``."""
    for role in (Role.VIEWER, Role.OPERATOR, Role.SAFETY_OFFICER, Role.MANAGER, Role.ADMIN):
        if permission in GRANTS[role]:
            return f"{'an' if role.value[0] in 'ao' else 'a'} {role.value}"
    return "nobody"
