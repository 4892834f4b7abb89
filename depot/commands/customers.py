"""Commands on what stations keep about customers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from depot.commands.command import Command
from depot.commands.stations import StationCommand
from depot.customer_information import About
from depot.tokens import TokenType


@dataclass(frozen=True, slots=True, kw_only=True)
class AskCustomerInformation(StationCommand):
    """Have a station tell what it keeps about a customer, or forget it, or both. The customer is named by one of ``id_token``,
    ``certificate`` (the hashes of CertificateHashDataType, as OCPP spells them) and ``identifier``, which the audit trail does
    not keep."""

    TITLE: ClassVar[str] = "Ask customer information"

    report: bool
    clear: bool
    id_token: str = field(default="", repr=False)
    token_type: TokenType = TokenType.ISO14443
    certificate: Mapping[str, str] | None = field(default=None, repr=False)
    identifier: str = field(default="", repr=False)

    @property
    def about(self) -> About:
        if self.certificate is not None:
            return About.CERTIFICATE
        return About.IDENTIFIER if self.identifier else About.ID_TOKEN

    @property
    def detail(self) -> Mapping[str, str]:
        wanted = [word for word, is_wanted in (("report", self.report), ("clear", self.clear)) if is_wanted]
        return {"wanted": " and ".join(wanted), "named by": self.about.value}

    @property
    def bare(self) -> Command:
        return replace(self, id_token="", certificate=None, identifier="")
