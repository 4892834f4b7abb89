"""Every kind of alarm: how bad it is, what happens if nobody acts, what to do and how soon (the rationalisation of ISA-18.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of alarm, as it was rationalised. ``respond_min``: within which a person should act. ``shelvable``: a
    person may put it aside."""

    name: str
    priority: int
    meaning: str
    consequence: str
    action: str
    respond_min: int
    on_s: float = 0.0
    off_s: float = 30.0
    shelvable: bool = True


KINDS: Final[Mapping[str, Kind]] = {
    kind.name: kind
    for kind in (
        Kind(
            "pack_tripped", 1, "A battery pack was found dangerous and is latched.",
            "A fire, if it is one. The pack is not charged until a person resets it.",
            "Follow the emergency plan: look from a distance, keep people away. Reset only after the cause has gone.",
            1, off_s=0.0, shelvable=False,
        ),
        Kind(
            "latches_unsafe", 1, "The file of tripped packs is damaged, has lost trips, or cannot be written.",
            "A trip may not be remembered over the next restart; what it names counts as tripped.",
            "Look at the vehicles that are named, free disk space, find out who touched the file.",
            15, shelvable=False,
        ),
        Kind(
            "isolation_failed", 1, "A part of the depot shall be isolated, and it is not confirmed that it is.",
            "Power may still flow where it must not. The next wider area was isolated, where one can be.",
            "Use the hard-wired emergency stop or switch it off by hand; keep people away.",
            1, off_s=0.0, shelvable=False,
        ),
        Kind(
            "area_isolated", 1, "A bay, a feeder or the site is isolated: by a person, or because a narrower isolation was not confirmed.",
            "Nothing charges there until a person resets it.",
            "Find and remove the cause, then reset it on the page Safety.",
            5, off_s=0.0, shelvable=False,
        ),
        Kind(
            "isolations_unsafe", 1, "The file of isolated areas is damaged, differs from the journal, or cannot be written.",
            "An isolation may not be remembered over the next restart; what it names counts as isolated.",
            "Look at the contactors that are named, free disk space, find out who touched the file.",
            15, shelvable=False,
        ),
        Kind(
            "evacuation", 1, "An evacuation is under way.",
            "Somebody may be in danger who does not know it.",
            "Everybody out; roll-call on the page Safety; call the fire brigade. A safety officer ends it when everybody was seen.",
            1, off_s=0.0, shelvable=False,
        ),
        Kind(
            "person_missing", 1, "The time of an evacuation is over, and somebody was not seen.",
            "Somebody may still be inside.",
            "Tell the fire brigade who and where; do not go in. Mark on the page Safety who was found.",
            1, off_s=0.0, shelvable=False,
        ),
        Kind(
            "response_failed", 1, "A step of the response to a tripped battery was not confirmed in its time.",
            "A charger may go on, a bay may have power, people may not be warned.",
            "Do by hand what the alarm names: switch off, warn by voice, call by telephone.",
            1, off_s=0.0, shelvable=False,
        ),
        Kind(
            "hazard_found", 1, "A detector of the depot tells of smoke, gas, pressure or heat.",
            "A fire, if it is one. Batteries in its area are tripped, nothing charges there.",
            "Follow the emergency plan: look from a distance, keep people away.",
            1, off_s=0.0, shelvable=False,
        ),
        Kind(
            "hazard_unwatched", 2, "A detector of the depot is silent, stuck, or says what cannot be.",
            "Its area is not monitored by it: a fire there is seen late or not at all.",
            "Look at the detector, its module and its network; keep a watch there until it is back.",
            30, on_s=5.0, off_s=10.0,
        ),
        Kind(
            "journal_frozen", 1, "The journal cannot write.",
            "Nothing new starts and nothing rises; chargers wait for their acknowledgements.",
            "Free disk space, or close the tool that holds the database; it goes on by itself.",
            5, off_s=10.0,
        ),
        Kind(
            "part_failed", 1, "A part of the controller failed and was begun again.",
            "What this part watches or does may be missing; the limits hold and charging goes on.",
            "Send the log to the maintainers; if it happens again and again, restart the controller when the depot is calm.",
            60, off_s=0.0,
        ),
        Kind(
            "audit_broken", 1, "The audit trail is not as it was written.",
            "Nobody can prove any more who did what.",
            "Keep the database as it is, copy it, run the audit command with its check, compare with the newest backup.",
            60, shelvable=False,
        ),
        Kind(
            "ledger_wrong", 1, "The ledger of payments does not add up.",
            "What drivers owe and have paid cannot be trusted.",
            "Stop the payments process, keep and copy the database, call the maintainers.",
            60, off_s=0.0, shelvable=False,
        ),
        Kind(
            "meter_silent", 1, "The meter at the grid connection is silent.",
            "The worst background is counted, after 30 s the fail-safe limit holds: vehicles charge less or not at all.",
            "Check the meter's power and network.",
            15, on_s=5.0,
        ),
        Kind(
            "stations_offline", 1, "Most charging stations are offline at once.",
            "They fall back to their defaults within minutes; departures become late.",
            "Look at the network switch and its power before you look at single chargers.",
            10, on_s=30.0, off_s=60.0,
        ),
        Kind(
            "vehicle_late", 1, "A vehicle that is plugged in will leave with too little energy.",
            "It may not finish its tour.",
            "Let it leave later, or move it to a free charger that gives more.",
            15, on_s=60.0, off_s=120.0,
        ),
        Kind(
            "incident_unwritten", 2, "The file of an incident cannot be written.",
            "What happens now may not be on record; it is kept in memory, and lost with a restart.",
            "Free disk space, or mend the folder; it is written by itself then. Do not restart before.",
            15, on_s=5.0, off_s=10.0,
        ),
        Kind(
            "can_bus_failed", 2, "A CAN bus of a vehicle or a charging line cannot be heard.",
            "What its batteries say is missing: a vehicle on a charger is derated when nobody else speaks of it.",
            "Check the adapter, wiring, termination and bit rate; the bus is opened again by itself.",
            30, on_s=10.0, off_s=30.0,
        ),
        Kind(
            "utility_silent", 2, "The utility's link is silent: the fail-safe limit holds.",
            "It holds until a heartbeat and a fresh order are there; less is charged.",
            "Look at the RTU and its network; call the utility.",
            30, on_s=10.0, off_s=30.0,
        ),
        Kind(
            "clock_suspect", 2, "The controller's clock cannot be believed.",
            "The fail-safe limit holds: times of limits, demand blocks and prices could be wrong.",
            "Look at the machine's clock and its time service (NTP); the alarm says what ends it.",
            30, on_s=0.0, off_s=0.0,
        ),
        Kind(
            "limits_overridden", 2, "A person lets the load rise above limits that would hold it lower.",
            "The site draws more than was ordered or arranged; contract, transformer and feeders are kept.",
            "See on the page Grid which and why; end the override as soon as the vehicles can leave.",
            30, off_s=0.0, shelvable=False,
        ),
        Kind(
            "output_failed", 2, "A contactor, ventilation, siren or beacon does not do what it is told, or its module does not answer.",
            "It may not work when it is needed; a contactor may have dropped out by itself.",
            "Look at the module's power and network, then at the device and its auxiliary contact; test it on the page Safety.",
            30, on_s=5.0, off_s=10.0,
        ),
        Kind(
            "asset_lost", 2, "A stationary battery or a solar plant is silent, faulty, or takes no orders.",
            "A battery's giving counts for nothing, and it is not planned with; chargers make room for that.",
            "See on the page Grid which and why; check its power, its network, and whether it is in local control.",
            60, on_s=15.0, off_s=30.0,
        ),
        Kind(
            "telemetry_lost", 2, "Nothing is heard of any vehicle's battery.",
            "Batteries of which no charger tells a temperature are charged at half their level; a hot one is seen late or not at all.",
            "Look at the broker and the vehicles' network.",
            30, on_s=0.0, off_s=60.0,
        ),
        Kind(
            "planner_failed", 2, "The planner is late or dead.",
            "The last plan holds, then the earliest departure goes first: it may cost more.",
            "It is started again by itself; look at its log lines when it stays so.",
            60, on_s=60.0, off_s=60.0,
        ),
        Kind(
            "vehicle_at_risk", 2, "A vehicle that is plugged in may leave with too little energy.",
            "It becomes late if what keeps it goes on.",
            "Look at its charger: the reason chain says what keeps it.",
            30, on_s=120.0, off_s=120.0,
        ),
        Kind(
            "charger_faulted", 2, "A charger reports a fault.",
            "It charges nothing.",
            "Move its vehicle to a free charger, then look at this one.",
            30, on_s=5.0,
        ),
        Kind(
            "charger_offline", 2, "A charger has no connection.",
            "It keeps its last level for some minutes, then falls to its default; its power stays reserved.",
            "Check its breaker and network.",
            30, on_s=60.0,
        ),
        Kind(
            "charger_defiant", 2, "A charger does not follow limits.",
            "It is budgeted at its rating and only switched on and off, at the others' cost.",
            "Have it serviced; then take it out of service and put it back.",
            480, off_s=60.0,
        ),
        Kind(
            "security_event", 2, "A station reports a security event, or somebody came as a station with false proof.",
            "It may have been tampered with, or somebody tries to speak for it.",
            "See the security events; look at the station. If its key or certificate may be known to others: rotate, revoke.",
            60, off_s=0.0,
        ),
        Kind(
            "approval_wanted", 2, "A command waits for a second person.",
            "It is not carried out, and lapses.",
            "Approve or refuse it on this page.",
            30, off_s=0.0, shelvable=False,
        ),
        Kind(
            "sessions_unbilled", 2, "Paid sessions have ended and cannot be billed.",
            "Their drivers owe nothing until they are.",
            "See on the page Payments why.",
            480, on_s=60.0,
        ),
        Kind(
            "session_unasked", 2, "A charger let somebody charge who may not.",
            "It was cut off and decided by itself; the session is billed, and may stay unpaid.",
            "See on the page Payments who; collect the money otherwise, and take the card off the charger's own list.",
            480,
        ),
        Kind(
            "station_danger", 2, "A station reports danger or broken hardware.",
            "It may hurt somebody, or burn; it may not charge.",
            "Look at it from a distance first; switch it off, and have it serviced.",
            15, off_s=0.0,
        ),
        Kind(
            "settlements_differ", 3, "What the gateway settled does not agree with the books.",
            "Money is missing, or is somebody else's.",
            "See in the reconciliation of payments which; ask the gateway, then explain it there.",
            1440,
        ),
        Kind(
            "drill_failed", 3, "The last drill failed.",
            "A link of the chain would not work in an emergency.",
            "See on the page Safety which link and why; mend it, drill again.",
            1440, off_s=0.0,
        ),
        Kind(
            "drill_overdue", 3, "No drill has passed for a long time.",
            "Nobody knows whether the chain works.",
            "Drill on the page Safety; see why the weekly ones failed or were left out.",
            1440, off_s=0.0,
        ),
        Kind(
            "limit_forgotten", 3, "A manual limit that has no end holds for a long time.",
            "Less is charged than could be, perhaps for nothing.",
            "See on the page Grid who set it and why; lift it, or set it again with an end.",
            1440, off_s=0.0,
        ),
        Kind(
            "plan_vetoed", 3, "A new plan was not taken: its run against the packs says that it cannot be meant.",
            "The plan before it holds until it expires, then vehicles are charged by their departure: nobody is left out, money is.",
            "Read on the page Plan what was wrong. Where it names a vehicle, look at its announced battery and state of charge.",
            480, on_s=0.0, off_s=60.0,
        ),
        Kind(
            "meter_doubtful", 3, "What the meter at the grid connection tells does not fit together.",
            "Limits and demand may be held against a wrong power.",
            "See on the page Grid what does not fit; have transformers, wiring and the map's settings checked.",
            1440, on_s=60.0, off_s=600.0,
        ),
        Kind(
            "charger_overdraws", 3, "A charger draws more than it is told.",
            "It is budgeted so, at the others' cost.",
            "Have its meter and limit checked.",
            1440, off_s=60.0,
        ),
        Kind(
            "charger_uncovered", 3, "A charger has no default that can be relied on.",
            "It is counted at its rating, at the others' cost: nobody can say what it would draw without this controller.",
            "See on its page why; update its firmware, or ask its maker.",
            1440, on_s=60.0, off_s=60.0,
        ),
        Kind(
            "schedule_differs", 3, "A charger says that it would allow something else than was installed there.",
            "It is judged by its meter alone, and may fall to another level than its default.",
            "See on its page which profiles are there; clear what somebody else installed, or have it serviced.",
            1440, off_s=60.0,
        ),
        Kind(
            "packs_held_back", 3, "Batteries are charged more slowly than they could be.",
            "Their vehicles may become late.",
            "See on the page Safety why: heat, cold, a sensor, an alarm of the vehicle, silence.",
            480, on_s=60.0, off_s=120.0,
        ),
        Kind(
            "lake_behind", 3, "Samples of batteries are left out of the lake.",
            "Curves and records of packs' lives have gaps; trips and limits do not need them.",
            "Free disk space, or look why the lake's process does not answer.",
            480, on_s=30.0, off_s=60.0,
        ),
        Kind(
            "health_late", 3, "Batteries' health is not estimated any more.",
            "Grades, values and remaining life grow old; anomalies of batteries are not looked for. Trips and limits do not need it.",
            "See the log of the health process and the free disk space; restart it.",
            1440, on_s=60.0, off_s=60.0,
        ),
        Kind(
            "reference_test_failed", 3, "A reference test of a battery was broken off, or did not begin in its time.",
            "Its battery's health is known less well; its vehicle charges as planned.",
            "See on the pack's page why; order it again where its vehicle stays long enough. The next test ends the alarm, or a week.",
            1440, off_s=0.0,
        ),
        Kind(
            "station_refused", 3, "A station of this depot is not let in.",
            "It stays offline: it falls back to its default.",
            "Compare its password, certificate and security profile with what is set here; rotate its key by hand if need be.",
            240, on_s=60.0, off_s=60.0,
        ),
        Kind(
            "station_event", 3, "A station reports that a variable is beyond what its monitor allows.",
            "What the monitor watches goes on; see its description.",
            "See the station's events on its page Device model; have it serviced, or set the monitor otherwise.",
            480, off_s=60.0,
        ),
        Kind(
            "certificate_ends", 3, "A certificate ends soon and was not renewed.",
            "The station, or with the port's certificate every station, cannot connect any more.",
            "Order its renewal; for a certificate of somebody else, put the new file in place.",
            1440, off_s=60.0,
        ),
        Kind(
            "unknown_station", 3, "A station that the configuration does not know has knocked.",
            "It is held in quarantine, without any influence.",
            "If it is yours, accept it on the page Stations; else find out who it is.",
            1440, off_s=300.0,
        ),
        Kind(
            "firmware_failed", 3, "A charging station did not take its firmware.",
            "It runs what it ran before, or nothing at all.",
            "See on its page what it said; look whether it still charges, then order the update again.",
            480, off_s=0.0,
        ),
        Kind(
            "gateway_silent", 3, "The payment gateway does not answer.",
            "Charging with a mandate goes on; debits wait, and new mandates cannot be set up.",
            "Check the site's way to the internet, then the gateway's own status page.",
            480, on_s=900.0, off_s=60.0,
        ),
        Kind(
            "message_undelivered", 3, "A notification could not be delivered and was given up.",
            "Somebody who should know does not.",
            "See what the channel said, correct its settings, send it again with the notify command.",
            480,
        ),
    )
}  # fmt: skip
"""Every alarm that there is, worst first. docs/alarms.md shows the same table; a test compares."""


def describe() -> str:
    """Every alarm as a Markdown table: ``docs/alarms.md`` holds it."""

    def after(seconds: float) -> str:
        return f"{seconds:g} s" if seconds else "at once"

    lines = [
        "| alarm | priority | meaning | if nobody acts | what to do | within | raised after | cleared after | may be put aside |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| `{k.name}` | {k.priority} | {k.meaning} | {k.consequence} | {k.action} | {k.respond_min} min "
        f"| {after(k.on_s)} | {after(k.off_s)} | {'yes' if k.shelvable else 'no'} |"
        for k in KINDS.values()
    ]
    return "\n".join(lines) + "\n"
