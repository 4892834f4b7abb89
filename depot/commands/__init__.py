"""Commands: what a person or a machine asks of the depot. Imperative, with actor and reason, never folded.

One module an area; everybody imports them from here.
"""

from __future__ import annotations

from collections.abc import Mapping

from depot.commands.ageing import FollowAgeing
from depot.commands.alarms import AcknowledgeAlarms, ApprovalCommand, ApproveCommand, CheckAudit, RefuseCommand, ShelveAlarm, UnshelveAlarm
from depot.commands.assets import SetAssetMode
from depot.commands.battery_swaps import RequestBatterySwap
from depot.commands.charging import (
    AnnounceVisit,
    CancelVisit,
    ClearManualLimit,
    ResetPack,
    SetAvailability,
    SetManualLimit,
    SetSupply,
    StartCharging,
    StopCharging,
)
from depot.commands.command import Command, CommandResult, CommandStatus, ConnectorCommand
from depot.commands.contracts import DistrustContractRoot, TrustContractRoot
from depot.commands.customers import AskCustomerInformation
from depot.commands.demand import KeepMeterBlocks, RecordMonthDemand, RecordUtilityBill
from depot.commands.der import ClearDerControls, ReadDerControls, SetDerControl
from depot.commands.device_model import (
    AskMonitoringReport,
    AskReport,
    ChangeWantedVariables,
    ClearMonitors,
    RepairDrift,
    SetMonitoringBase,
    SetMonitoringLevel,
    SetMonitors,
    SetVariables,
)
from depot.commands.display import ClearMessage, RefreshMessages, ShowMessage
from depot.commands.drivers import DriveStart, DriveStop, EraseDriver, FindDriver, TellDriverData
from depot.commands.emergency import (
    BeginEvacuation,
    CheckIn,
    CloseIncident,
    EndEvacuation,
    NoteIncident,
    SetShift,
    ShiftEntry,
    StartDrill,
    StopDrill,
)
from depot.commands.event_streams import AdjustEventStream
from depot.commands.files import AddFirmware, FetchLog, PublishFirmware, RemoveFirmware, UnpublishFirmware, UpdateFirmware
from depot.commands.limits import (
    AnnounceDemandEvent,
    CancelDemandEvent,
    EndOverride,
    OptOutOfDemandEvent,
    OverrideLimits,
    RemoveLimitSchedule,
    SetLimitSchedule,
)
from depot.commands.networks import SetNetworkPriority, SetNetworkProfile
from depot.commands.outputs import IsolateArea, ResetArea, TestOutput
from depot.commands.passports import IssuePassport, KeepPassport
from depot.commands.payments import (
    BillCommand,
    ExplainDifference,
    PayOtherwise,
    RefundBill,
    RegisterMandate,
    RetryDebit,
    RetryRefund,
    RevokeMandate,
    WriteOffBill,
)
from depot.commands.planning import PickPlanPolicy
from depot.commands.reference_tests import CallOffReferenceTest, OrderReferenceTest
from depot.commands.registry import ChangeRegistry, ChangeSite
from depot.commands.security import (
    DeleteCertificate,
    InstallCertificate,
    RenewCertificate,
    RevokeCertificate,
    RotateStationKey,
    SetSecurityProfile,
)
from depot.commands.standing import CancelReservation, ChangeConfiguration, ReserveConnector, SendLocalList
from depot.commands.station_tariffs import ChangeTransactionTariff, ClearStationTariffs, SetStationTariff
from depot.commands.stations import AddStation, AdmitStation, CallStation, ChangeTokens, RetireStation, SetItemLimits, StationCommand
from depot.commands.tariffs import CorrectBill, EndDriverTariff, PutDriverTariff, SetInvoiceRecipient
from depot.commands.value_assumptions import ChangeValueAssumption
from depot.commands.work import EndWorkOrder, OpenWorkByHand, OpenWorkOrder, ReopenWorkOrder

__all__ = [
    "COMMANDS",
    "AcknowledgeAlarms",
    "AddFirmware",
    "AddStation",
    "AdjustEventStream",
    "AdmitStation",
    "AnnounceDemandEvent",
    "AnnounceVisit",
    "ApprovalCommand",
    "ApproveCommand",
    "AskCustomerInformation",
    "AskMonitoringReport",
    "AskReport",
    "BeginEvacuation",
    "BillCommand",
    "CallOffReferenceTest",
    "CallStation",
    "CancelDemandEvent",
    "CancelReservation",
    "CancelVisit",
    "ChangeConfiguration",
    "ChangeRegistry",
    "ChangeSite",
    "ChangeTokens",
    "ChangeTransactionTariff",
    "ChangeValueAssumption",
    "ChangeWantedVariables",
    "CheckAudit",
    "CheckIn",
    "ClearDerControls",
    "ClearManualLimit",
    "ClearMessage",
    "ClearMonitors",
    "ClearStationTariffs",
    "CloseIncident",
    "Command",
    "CommandResult",
    "CommandStatus",
    "ConnectorCommand",
    "CorrectBill",
    "DeleteCertificate",
    "DistrustContractRoot",
    "DriveStart",
    "DriveStop",
    "EndDriverTariff",
    "EndEvacuation",
    "EndOverride",
    "EndWorkOrder",
    "EraseDriver",
    "ExplainDifference",
    "FetchLog",
    "FindDriver",
    "FollowAgeing",
    "InstallCertificate",
    "IsolateArea",
    "IssuePassport",
    "KeepMeterBlocks",
    "KeepPassport",
    "NoteIncident",
    "OpenWorkByHand",
    "OpenWorkOrder",
    "OptOutOfDemandEvent",
    "OrderReferenceTest",
    "OverrideLimits",
    "PayOtherwise",
    "PickPlanPolicy",
    "PublishFirmware",
    "PutDriverTariff",
    "ReadDerControls",
    "RecordMonthDemand",
    "RecordUtilityBill",
    "RefreshMessages",
    "RefundBill",
    "RefuseCommand",
    "RegisterMandate",
    "RemoveFirmware",
    "RemoveLimitSchedule",
    "RenewCertificate",
    "ReopenWorkOrder",
    "RepairDrift",
    "RequestBatterySwap",
    "ReserveConnector",
    "ResetArea",
    "ResetPack",
    "RetireStation",
    "RetryDebit",
    "RetryRefund",
    "RevokeCertificate",
    "RevokeMandate",
    "RotateStationKey",
    "SendLocalList",
    "SetAssetMode",
    "SetAvailability",
    "SetDerControl",
    "SetInvoiceRecipient",
    "SetItemLimits",
    "SetLimitSchedule",
    "SetManualLimit",
    "SetMonitoringBase",
    "SetMonitoringLevel",
    "SetMonitors",
    "SetNetworkPriority",
    "SetNetworkProfile",
    "SetSecurityProfile",
    "SetShift",
    "SetStationTariff",
    "SetSupply",
    "SetVariables",
    "ShelveAlarm",
    "ShiftEntry",
    "ShowMessage",
    "StartCharging",
    "StartDrill",
    "StationCommand",
    "StopCharging",
    "StopDrill",
    "TellDriverData",
    "TestOutput",
    "TrustContractRoot",
    "UnpublishFirmware",
    "UnshelveAlarm",
    "UpdateFirmware",
    "WriteOffBill",
]  # fmt: skip

_HERE = globals()
COMMANDS: Mapping[str, type[Command]] = {
    name: kind for name in __all__ if isinstance(kind := _HERE.get(name), type) and issubclass(kind, Command) and kind.TITLE
}
"""All commands, by the name under which they travel and are audited."""
