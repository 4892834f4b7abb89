"""The test cases for central systems of OCPP 1.6 in the Open Charge Alliance's compliancy test tool (OCTT), by public id.

``CASES`` says what each tests; a test here that plays it carries its number in its name (``test_tc_046_…``).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
_NAME = re.compile(r"test_tc_(\d{3}(?:_\d)?)_[a-z]")

CASES = {
    "TC_001_CSMS": "Cold boot",
    "TC_003_CSMS": "Regular charging session: plug in first",
    "TC_004_1_CSMS": "Regular charging session: identification first",
    "TC_004_2_CSMS": "Identification first: ConnectionTimeOut",
    "TC_005_1_CSMS": "EV side disconnected: StopTransactionOnEVSideDisconnect",
    "TC_007_CSMS": "Regular start of a session: cached id",
    "TC_010_CSMS": "Remote start: cable plugged in first",
    "TC_011_1_CSMS": "Remote start: remote start first",
    "TC_011_2_CSMS": "Remote start: time-out",
    "TC_012_CSMS": "Remote stop of a session",
    "TC_013_CSMS": "Hard reset",
    "TC_014_CSMS": "Soft reset",
    "TC_017_1_CSMS": "Unlock connector: no session, not a fixed cable",
    "TC_017_2_CSMS": "Unlock connector: no session, fixed cable",
    "TC_018_1_CSMS": "Unlock connector: with a session, not a fixed cable",
    "TC_019_1_CSMS": "Retrieve all configuration keys",
    "TC_019_2_CSMS": "Retrieve a specific configuration key",
    "TC_021_CSMS": "Change configuration",
    "TC_023_1_CSMS": "Start of a session: authorize invalid",
    "TC_023_2_CSMS": "Start of a session: authorize expired",
    "TC_023_3_CSMS": "Start of a session: authorize blocked",
    "TC_024_CSMS": "Start of a session: lock failure",
    "TC_026_CSMS": "Remote start: rejected",
    "TC_028_CSMS": "Remote stop: rejected",
    "TC_030_CSMS": "Unlock connector: unlock failure",
    "TC_031_CSMS": "Unlock connector: unknown connector",
    "TC_032_1_CSMS": "Power failure: boot, stop transactions",
    "TC_037_1_CSMS": "Offline start of a transaction: valid id tag",
    "TC_037_3_CSMS": "Offline start of a transaction: invalid id tag, StopTransactionOnInvalidId",
    "TC_039_CSMS": "Offline transaction",
    "TC_040_1_CSMS": "Configuration keys: not supported",
    "TC_040_2_CSMS": "Configuration keys: invalid value",
    "TC_042_1_CSMS": "Get local list version: not supported",
    "TC_042_2_CSMS": "Get local list version: empty",
    "TC_043_1_CSMS": "Send local list: not supported",
    "TC_043_3_CSMS": "Send local list: failed",
    "TC_043_4_CSMS": "Send local list: full",
    "TC_043_5_CSMS": "Send local list: differential",
    "TC_044_1_CSMS": "Firmware update: download and install",
    "TC_044_2_CSMS": "Firmware update: download failed",
    "TC_044_3_CSMS": "Firmware update: installation failed",
    "TC_045_1_CSMS": "Get diagnostics",
    "TC_045_2_CSMS": "Get diagnostics: upload failed",
    "TC_046_CSMS": "Reservation of a connector: transaction",
    "TC_047_CSMS": "Reservation of a connector: expires",
    "TC_048_1_CSMS": "Reservation of a connector: faulted",
    "TC_048_2_CSMS": "Reservation of a connector: occupied",
    "TC_048_3_CSMS": "Reservation of a connector: unavailable",
    "TC_048_4_CSMS": "Reservation of a connector: rejected",
    "TC_049_CSMS": "Reservation of a charge point: transaction",
    "TC_051_CSMS": "Cancel a reservation",
    "TC_052_CSMS": "Cancel a reservation: rejected",
    "TC_053_CSMS": "Use of a reserved connector with parentIdTag",
    "TC_054_CSMS": "Trigger message",
    "TC_055_CSMS": "Trigger message: rejected",
    "TC_056_CSMS": "Central smart charging: TxDefaultProfile",
    "TC_057_CSMS": "Central smart charging: TxProfile",
    "TC_059_CSMS": "Remote start with a charging profile",
    "TC_061_CSMS": "Clear the authorization cache",
    "TC_064_CSMS": "Data transfer to a central system",
    "TC_066_CSMS": "Get composite schedule",
    "TC_067_CSMS": "Clear charging profile",
    "TC_073_CSMS": "Update the password of HTTP basic authentication",
    "TC_074_CSMS": "Update the charge point's certificate by request of the central system",
    "TC_075_1_CSMS": "Install certificate: ManufacturerRootCertificate",
    "TC_075_2_CSMS": "Install certificate: CentralSystemRootCertificate",
    "TC_076_CSMS": "Delete a certificate from the charge point",
    "TC_077_CSMS": "Security event: invalid ChargePointCertificate",
    "TC_078_CSMS": "Security event: invalid CentralSystemCertificate",
    "TC_079_CSMS": "Get security log",
    "TC_080_CSMS": "Secure firmware update",
    "TC_081_CSMS": "Secure firmware update: invalid signature",
    "TC_083_CSMS": "Upgrade of the charge point's security profile: accepted",
    "TC_085_CSMS": "Basic authentication: valid user and password",
    "TC_086_CSMS": "TLS: server-side certificate",
    "TC_087_CSMS": "TLS: client-side certificate",
    "TC_088_CSMS": "WebSocket sub-protocol negotiation",
}
"""All 77 that are public, none left out."""

NOT_PLAYED: dict[str, str] = {}
"""Cases without a test, and why."""


class Played(NamedTuple):
    """A test that plays a case. ``path``: as pytest takes it."""

    case: str
    path: str


def played() -> Iterator[Played]:
    """Every test here that carries a case's number, read from the sources."""
    for file in sorted(HERE.glob("test_*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef) and (found := _NAME.match(node.name)):
                yield Played(f"TC_{found[1]}_CSMS", f"{file.relative_to(ROOT)}::{node.name}")
