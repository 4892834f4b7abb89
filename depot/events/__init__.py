"""Facts, in the past tense. Each has a wire name ``area.noun_verbed`` and a version; the envelope carries the rest.

One module an area; everybody imports them from here. A released shape is never changed: a new version gets a new class
and an upcaster (``controller.codec``).
"""

from __future__ import annotations

from depot.events.access import (
    ITEM_LIMITS,
    IdTokenListed,
    IdTokenRemoved,
    MasterPassShown,
    Registration,
    StationAdmitted,
    StationItemLimitsSet,
)
from depot.events.alarms import AlarmAcknowledged, AlarmCleared, AlarmRaised, AlarmShelved, AlarmUnshelved
from depot.events.assets import AssetModeSet
from depot.events.batteries import PackDerated, PackReset, PackTripped, TelemetryBusChanged
from depot.events.battery_swaps import BatteriesSwapped, BatterySwapAnswered, BatterySwapAsked
from depot.events.contracts import ContractRootDistrusted, ContractRootTrusted
from depot.events.customers import CustomerInformationAsked, CustomerInformationChanged
from depot.events.der import DerAlarmNoticed, DerControlsCleared, DerControlSet, DerControlsReported, DerControlSwitched
from depot.events.device_model import WantedVariablesChanged
from depot.events.display import (
    DisplayMessageAnswered,
    DisplayMessageAsked,
    DisplayMessagesReported,
    DisplayMessagesRequested,
)
from depot.events.envelope import Envelope, Event, NewEvent
from depot.events.files import (
    FirmwareAdded,
    FirmwareRemoved,
    PublicationLocated,
    PublicationOrdered,
    TransferAnswered,
    TransferFileReceived,
    TransferOrdered,
    TransferReported,
)
from depot.events.limits import (
    BindingLimitChanged,
    BindingLimitEnded,
    DemandEventAnnounced,
    DemandEventMeasured,
    DemandEventWithdrawn,
    LimitOverrideBegun,
    LimitOverrideEnded,
    LimitScheduleRemoved,
    LimitScheduleSet,
)
from depot.events.local_lists import LocalListUpdated
from depot.events.networks import NetworkPrioritySet, NetworkProfileSet
from depot.events.notes import StationNoted
from depot.events.orders import (
    ApprovalCarriedOut,
    ApprovalExpired,
    ApprovalGranted,
    ApprovalRefused,
    ApprovalRequested,
    AuditSealed,
    BackupRestored,
    CommandFinished,
    CommandRequested,
    ControllerStarted,
)
from depot.events.outputs import AreaIsolated, AreaReset, OutputMoved, OutputTested
from depot.events.payments import SessionAdmitted, SessionBilled, StartRefused
from depot.events.registry import (
    DeclarationWithdrawn,
    DriverRegistered,
    DriverRemoved,
    FeederDeclared,
    PackRegistered,
    PackRemoved,
    StationDeclared,
    StationRetired,
    VehicleRegistered,
    VehicleRemoved,
)
from depot.events.reservations import ReservationAsked, ReservationChanged
from depot.events.security import (
    CertificateAnswered,
    CertificateIssued,
    CertificateRevoked,
    SecurityEventNoticed,
    SecurityProfileSet,
    SecurityUpgradeOrdered,
    SecurityUpgradeWithdrawn,
    StationKeyOffered,
    StationKeyOfferWithdrawn,
    StationKeySet,
)
from depot.events.sessions import SignedReading, SignedReadingsKept, StopOrphaned, TransactionStarted, TransactionStopped
from depot.events.site import LimitCleared, LimitSet, SupplyChanged, UtilityCommandAnswered, UtilityLinkChanged
from depot.events.smart_charging import ChargingNeedsTold, ExternalLimitReleased, ExternalLimitTold, VehicleScheduleTold
from depot.events.station_tariffs import StationTariffsCleared, StationTariffSet
from depot.events.stations import (
    NO_DETAIL,
    OUT_BY_CALL,
    ConnectorAvailabilitySet,
    ConnectorIsolated,
    ConnectorStatus,
    ConnectorStatusChanged,
    ConnectorTrustChanged,
    DefaultInstalled,
    HandProfilesCleared,
    ProfileSetByHand,
    ScheduleCompared,
    SetpointGranted,
    SetpointLowered,
    StationBooted,
    StationProbed,
    StationQuarantined,
    StationStatusChanged,
    StatusDetail,
    TrustLevel,
)
from depot.events.visits import PlanAccepted, VisitAnnounced, VisitArrived, VisitCancelled, VisitEnded, VisitHeld

__all__ = [
    "EVENT_TYPES", "ITEM_LIMITS", "NO_DETAIL", "OUT_BY_CALL", "AlarmAcknowledged",
    "AlarmCleared", "AlarmRaised", "AlarmShelved", "AlarmUnshelved",
    "ApprovalCarriedOut", "ApprovalExpired", "ApprovalGranted", "ApprovalRefused", "ApprovalRequested",
    "AreaIsolated", "AreaReset", "AssetModeSet", "AuditSealed", "BackupRestored",
    "BatteriesSwapped", "BatterySwapAnswered", "BatterySwapAsked", "BindingLimitChanged", "BindingLimitEnded", "CertificateAnswered",
    "CertificateIssued", "CertificateRevoked",
    "ChargingNeedsTold", "CommandFinished", "CommandRequested", "ConnectorAvailabilitySet", "ConnectorIsolated", "ConnectorStatus",
    "ConnectorStatusChanged", "ConnectorTrustChanged", "ContractRootDistrusted", "ContractRootTrusted", "ControllerStarted",
    "CustomerInformationAsked", "CustomerInformationChanged", "DeclarationWithdrawn", "DefaultInstalled", "DemandEventAnnounced",
    "DemandEventMeasured", "DemandEventWithdrawn", "DerAlarmNoticed",
    "DerControlSet", "DerControlSwitched", "DerControlsCleared", "DerControlsReported", "DisplayMessageAnswered", "DisplayMessageAsked",
    "DisplayMessagesReported", "DisplayMessagesRequested", "DriverRegistered", "DriverRemoved", "Envelope", "Event",
    "ExternalLimitReleased", "ExternalLimitTold", "FeederDeclared", "FirmwareAdded", "FirmwareRemoved", "HandProfilesCleared",
    "IdTokenListed", "IdTokenRemoved", "LimitCleared", "LimitOverrideBegun", "LimitOverrideEnded", "LimitScheduleRemoved",
    "LimitScheduleSet", "LimitSet", "LocalListUpdated", "MasterPassShown", "NetworkPrioritySet",
    "NetworkProfileSet", "NewEvent", "OutputMoved", "OutputTested", "PackDerated", "PackRegistered",
    "PackRemoved", "PackReset", "PackTripped", "PlanAccepted",
    "ProfileSetByHand", "PublicationLocated", "PublicationOrdered", "Registration", "ReservationAsked", "ReservationChanged",
    "ScheduleCompared", "SecurityEventNoticed", "SecurityProfileSet", "SecurityUpgradeOrdered", "SecurityUpgradeWithdrawn",
    "SessionAdmitted", "SessionBilled", "SetpointGranted", "SetpointLowered", "SignedReading", "SignedReadingsKept", "StartRefused",
    "StationAdmitted", "StationBooted", "StationDeclared", "StationItemLimitsSet", "StationKeyOfferWithdrawn", "StationKeyOffered",
    "StationKeySet", "StationNoted", "StationProbed", "StationQuarantined", "StationRetired", "StationStatusChanged", "StationTariffSet",
    "StationTariffsCleared", "StatusDetail", "StopOrphaned", "SupplyChanged", "TelemetryBusChanged", "TransactionStarted",
    "TransactionStopped", "TransferAnswered", "TransferFileReceived", "TransferOrdered", "TransferReported", "TrustLevel",
    "UtilityCommandAnswered", "UtilityLinkChanged", "VehicleRegistered", "VehicleRemoved", "VehicleScheduleTold", "VisitAnnounced",
    "VisitArrived", "VisitCancelled",
    "VisitEnded", "VisitHeld", "WantedVariablesChanged",
]  # fmt: skip

EVENT_TYPES: dict[str, type[Event]] = {
    kind.TYPE: kind for kind in map(globals().get, __all__) if isinstance(kind, type) and issubclass(kind, Event) and kind.TYPE
}
"""Every fact that is named above, by its wire name."""
