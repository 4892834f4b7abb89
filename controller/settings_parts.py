"""What each part of the controller is told, from the settings: values of the parts' own types. A part is loaded when it is asked for."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from controller.sections import watts
from controller.sections_layout import layout_of
from controller.sections_stays import wishes_of
from depot.registry import DepotSpec, PhaseLimit
from depot.values import LimitSource

if TYPE_CHECKING:
    from bms_bridge.layout import Layout
    from controller.demand_watch import DemandSettings
    from controller.desk import DeskSettings
    from controller.limit_room import OverrideRules
    from controller.outbox import Rules
    from controller.planning_settings import PlanningSettings
    from controller.sections import (
        DepotSection,
        FeederSection,
        LimiterSection,
        OcppSection,
        PlannerSection,
        StationSection,
        UtilitySection,
        V2gSection,
    )
    from controller.sections_demand import DemandSection
    from controller.sections_layout import BaySection, LayoutSection, WallSection
    from controller.sections_life import PackLifeSection
    from controller.sections_limits import OverrideSection
    from controller.sections_meter import MeterSection
    from controller.sections_notify import NotifySection
    from controller.sections_stays import FullChargeSection, PreconditioningSection
    from controller.sections_supply import GeneratorSection
    from controller.supply import GeneratorSettings
    from controller.traffic import LoopSettings
    from grid.failsafe import FailsafePolicy
    from grid.limit_access import LimitServerSettings
    from grid.limit_client import LimitClientSettings
    from ocpp_server.settings import OcppSettings


class Parts:
    """The part of :class:`~controller.settings.Settings` that hands values on."""

    if TYPE_CHECKING:
        depot: DepotSection
        feeder: tuple[FeederSection, ...]
        station: tuple[StationSection, ...]
        ocpp: OcppSection
        meter: MeterSection | None
        utility: UtilitySection | None
        generator: GeneratorSection | None
        demand: DemandSection
        bay: tuple[BaySection, ...]
        wall: tuple[WallSection, ...]
        layout: LayoutSection
        preconditioning: tuple[PreconditioningSection, ...]
        full_charge: FullChargeSection | None
        planner: PlannerSection
        limiter: LimiterSection
        v2g: V2gSection
        pack_life: PackLifeSection
        override: OverrideSection
        notify: NotifySection | None
        port_offset: int

    def to_spec(self) -> DepotSpec:
        """The depot as built."""
        depot = self.depot
        return DepotSpec(
            depot_id=depot.id,
            name=depot.name or depot.id,
            contract_w=watts(depot.contract_kw),
            failsafe_w=watts(depot.failsafe_kw),
            worst_background_w=watts(depot.worst_background_kw),
            feeders=tuple(f.to_spec() for f in self.feeder),
            stations=tuple(s.to_spec() for s in self.station),
            timezone=depot.timezone,
            currency=depot.currency,
            metered=self.meter is not None,
            background_profile_w=tuple(watts(kw) for kw in depot.background_profile_kw),
            export_limit_w=watts(depot.export_limit_kw),
            contract_va=watts(depot.contract_kva),
            transformer_va=watts(depot.transformer_kva),
            worst_power_factor=depot.worst_power_factor,
            feeder_parents={f.id: f.parent for f in self.feeder if f.parent is not None},
            hub_w={s.id: watts(s.shared_kw) for s in self.station if s.shared_kw is not None},
            phase_limits={
                scope: PhaseLimit(current_a, unbalance_a)
                for scope, current_a, unbalance_a in (
                    ("", depot.phase_current_a, depot.unbalance_a),
                    *((f.id, f.phase_current_a, f.unbalance_a) for f in self.feeder),
                )
                if current_a is not None or unbalance_a is not None
            },
        )

    def to_layout(self) -> Layout | None:
        """Where vehicles stand; None where nothing is said of it."""
        return layout_of(self.bay, self.wall, self.layout)

    def to_rules(self) -> Rules | None:
        """For the outbox: what is told; None where nobody is."""
        from controller.outbox import Rules

        n = self.notify
        if n is None:
            return None
        return Rules(alarms_up_to=n.alarms_up_to, cleared=n.cleared, commands=n.commands, approvals=n.approvals, audit_head=n.audit_head)

    def to_limit_server(self) -> LimitServerSettings | None:
        """For the server that the utility writes to; None without such a link."""
        from grid.limit_access import LimitServerSettings, LimitTlsSettings

        utility = self.utility
        if utility is None or utility.mode == "client":
            return None
        tls = utility.tls
        return LimitServerSettings(
            host=utility.host,
            port=utility.port and utility.port + self.port_offset,
            unit_ids=frozenset(utility.unit_ids),
            writers=utility.writers,
            readers=utility.readers,
            max_connections=utility.max_connections,
            max_per_peer=utility.max_per_peer,
            requests_per_s=utility.request_rate,
            plain=utility.plain,
            tls=None
            if tls is None
            else LimitTlsSettings(
                certificate=tls.certificate,
                key=tls.key,
                authorities=tls.authorities,
                port=tls.port and tls.port + self.port_offset,
                networks=tls.networks,
            ),
            serial=self.depot.id,
        )

    def to_limit_client(self) -> LimitClientSettings | None:
        """For the RTU that is read; None where the utility writes, or there is no such link."""
        from grid.limit_client import LimitClientSettings
        from grid.modbus_link import Peer

        rtu = self.utility.rtu if self.utility is not None else None
        if rtu is None:
            return None
        peer = Peer(host=rtu.host, port=rtu.port, unit_id=rtu.unit)
        return LimitClientSettings(peer=peer, period_s=rtu.poll_s, write_feedback=rtu.write_feedback)

    def to_failsafe(self) -> FailsafePolicy | None:
        """What the depot decides itself about the utility's link."""
        from grid.failsafe import FailsafePolicy

        utility = self.utility
        if utility is None:
            return None
        return FailsafePolicy(
            contract_w=watts(self.depot.contract_kw),
            failsafe_w=watts(self.depot.failsafe_kw),
            failsafe_min_s=utility.failsafe_min_s,
            heartbeat_timeout_s=utility.heartbeat_timeout_s,
            autonomous=utility.autonomous,
        )

    def to_generator(self) -> GeneratorSettings | None:
        """For the limit on a generator; None where the site has none."""
        from controller.supply import GeneratorSettings

        generator = self.generator
        return None if generator is None else GeneratorSettings(watts(generator.rating_kw), generator.return_delay_s)

    def to_demand(self) -> DemandSettings:
        """For the demand blocks and the limits on their averages."""
        from controller.demand_watch import DemandSettings

        demand = self.demand
        return DemandSettings(
            contract_w=None if demand.contract_kw is None else watts(demand.contract_kw),
            contract_va=None if demand.contract_kva is None else watts(demand.contract_kva),
            target_w=None if demand.peak_target_kw is None else watts(demand.peak_target_kw),
            power_factor=demand.power_factor,
            clock_offset_s=demand.clock_offset_s,
            clock_error_s=demand.clock_error_s,
        )

    def to_override(self) -> OverrideRules:
        """What a person may override."""
        from controller.limit_room import OverrideRules

        o = self.override
        return OverrideRules(
            allowed=o.allowed,
            sources=tuple(LimitSource(source) for source in o.sources),
            most_w=watts(o.most_kw) if o.most_kw else None,
            longest=timedelta(minutes=o.longest_min),
            second_person=o.second_person,
        )

    def to_ocpp(self) -> OcppSettings:
        """For the charger side."""
        from ocpp_server.settings import OcppSettings

        ocpp = self.ocpp
        return OcppSettings(call_timeout_s=ocpp.call_timeout_s, sample_interval_s=ocpp.sample_interval_s, calm_s=ocpp.calm_s)

    def to_desk(self) -> DeskSettings:
        """For what stations are answered."""
        from controller.desk import DeskSettings

        return DeskSettings(
            heartbeat_s=self.ocpp.heartbeat_s,
            accept_unknown_tags=self.ocpp.accept_unknown_tags,
            free_vend=self.ocpp.free_vend,
            master_pass_group=self.ocpp.master_pass_group,
        )

    def to_loop(self) -> LoopSettings:
        """For the control loop."""
        from controller.comeback import ComebackSettings
        from controller.pickup import PickupSettings
        from controller.traffic import LoopSettings

        return LoopSettings(
            life_s=self.limiter.profile_life_s,
            refresh_s=self.limiter.refresh_s,
            margin_share=self.limiter.margin_share,
            max_writes_per_hour=self.limiter.max_writes_per_hour,
            min_change_s=self.limiter.min_change_s,
            reserve_soc=self.v2g.reserve_soc,
            pickup=PickupSettings(self.limiter.pickup_min_s, self.limiter.pickup_max_s),
            comeback=ComebackSettings(self.limiter.comeback_max_s, self.limiter.comeback_ramp_s),
        )

    def to_planning(self) -> PlanningSettings:
        """For the planning cadence. The deadline goes to the planner itself. FactorsRefused: the file of ageing factors cannot be used."""
        from controller.life_factors import read_factors
        from controller.planning_life import LifeSettings
        from controller.planning_settings import PlanningSettings
        from controller.planning_stays import StaySettings
        from optimizer.problem import Policy

        return PlanningSettings(
            slot_minutes=self.planner.slot_minutes,
            horizon_h=self.planner.horizon_h,
            cadence_s=self.planner.cadence_s,
            policy=Policy(self.planner.policy),
            margin_share=self.limiter.margin_share,
            reserve_share=0.0 if self.planner.adaptive_reserve else self.planner.reserve,
            ready_margin_min=self.planner.ready_margin_min,
            reserve_soc=self.v2g.reserve_soc,
            wear_per_kwh=self.v2g.wear_per_kwh,
            export_price_per_kwh=self.v2g.export_price_per_kwh,
            learned_fallback=self.planner.learned_fallback,
            stays=StaySettings(self.planner.minimum_soc, self.planner.share_shortage, wishes_of(self.preconditioning, self.full_charge)),
            life=LifeSettings(
                price_per_kwh=self.pack_life.price_per_kwh,
                worth_per_kwh=self.pack_life.worth_per_kwh,
                weight=self.pack_life.weight,
                ambient_c=self.pack_life.ambient_c,
                ceiling=self.pack_life.ceiling,
                factors={} if self.pack_life.calibration is None else read_factors(self.pack_life.calibration),
            ),
        )
