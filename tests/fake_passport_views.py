"""What the fake depot says of passports: the invented battery of :mod:`fake_passport`, with one kept from elsewhere."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fake_depot import FakeLink, at
from fake_passport import passport

from bms_bridge.passport.assemble import filled
from bms_bridge.passport.seal import sealed, verified
from bms_bridge.passport.tiers import Tier, shown_to
from controller.passport_view import KeptDocumentView, KeptPassportView, PassportView, PublicPassportView
from depot import commands as cmd

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ADDRESS = "https://passports.kothrud-transport.in/passport/abcdefghijklmnopqrstuvwxyz"


def fill_passports(link: FakeLink) -> None:
    """Let the fake core answer for passports."""
    owners = passport()
    counted = filled(owners)
    public = sealed(shown_to(owners, Tier.PUBLIC), KEY)
    kept = KeptPassportView(
        sha256="ab" * 32, kept_at=at(1, 12), by="mani", reason="came with the bus", issuer="katraj", number="urn:maker:77",
        parts=["Labels"], signed_by=verified(public).fingerprint,
        batch="MAKERS OF BATTERIES, INDIA 411057, 2024-03",
        findings=["web_address_is_real: /Labels/declarationOfConformity: telnet is no page of the web"],
    )  # fmt: skip
    link.shown |= {
        PassportView: PassportView(
            vehicle_id="E-103", pack_id="P1", document=public, filled=counted.filled, unknown=counted.unknown, address=ADDRESS,
            sheet="EB-300", findings=[], kept=[kept], batch=kept.batch,
            batch_from="as a passport from elsewhere says (kept 2026-11-01)", owners=owners,
        ),
        PublicPassportView: PublicPassportView(document=public),
        KeptDocumentView: KeptDocumentView(sha256="ab" * 32, document={"Labels": {}}),
    }  # fmt: skip
    link.answers[cmd.IssuePassport] = {"passport": sealed(shown_to(owners, Tier.REPURPOSER), KEY)}
