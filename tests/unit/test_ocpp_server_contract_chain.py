"""Chains of contract certificates, and what responders say of them: what is believed, and what is not."""

from __future__ import annotations

from datetime import timedelta

import pytest
from contract_pki import Node, Responder, delegate, made, utc
from cryptography import x509

from depot.contracts import CertificateStatus, Revocation
from ocpp_server.contract_chain import ChainRefused, check_chain, check_emaid, read_chain, same_emaid, target_of
from ocpp_server.ocsp import AnswerRefused, peek, read_answer, request_for

EMAID = "DEABCC123ABC56"


@pytest.fixture(scope="module")
def tree() -> tuple[Node, Node, Node, Node]:
    """Root, two authorities under it, a vehicle's contract."""
    root = made("MO root")
    one = made("MO sub 1", root, path_length=1)
    two = made("MO sub 2", one, path_length=0)
    return root, one, two, made(EMAID, two, authority=False, url="http://ocsp.example/")


def refused(chain: list[Node], trusted: list[Node]) -> CertificateStatus:
    with pytest.raises(ChainRefused) as error:
        check_chain([node.certificate for node in chain], [node.certificate for node in trusted], now=utc())
    assert EMAID not in str(error.value)
    return error.value.status


def test_a_chain_leads_from_the_vehicle_to_a_trusted_authority(tree: tuple[Node, ...]) -> None:
    root, one, two, leaf = tree
    certificates = [node.certificate for node in (leaf, two, one)]
    path = check_chain(certificates, [root.certificate], now=utc())
    assert [link.issuer for link in path] == [two.certificate, one.certificate, root.certificate]
    assert [link.issuer for link in check_chain(certificates[:1], [two.certificate], now=utc())] == [two.certificate]
    assert next(
        link.issuer for link in check_chain([certificates[0], certificates[2], certificates[1]], [root.certificate], now=utc())
    ) == (two.certificate)  # in any order
    assert target_of(path[0]) == leaf.target(two, "http://ocsp.example/")


def test_who_is_not_trusted_forged_late_or_no_authority_is_told_why(tree: tuple[Node, ...]) -> None:
    root, one, two, leaf = tree
    assert refused([leaf, two, one], []) is CertificateStatus.CHAIN
    assert refused([leaf, two, one], [made("Another root")]) is CertificateStatus.CHAIN
    assert refused([leaf, one], [root]) is CertificateStatus.CHAIN
    assert refused([two, one], [root]) is CertificateStatus.CHAIN
    assert refused([leaf, two, one], [made("MO root")]) is CertificateStatus.SIGNATURE_ERROR  # of the same name
    assert refused([made(EMAID, two, authority=False, days=(-9, -1)), two, one], [root]) is CertificateStatus.EXPIRED
    assert refused([made(EMAID, two, authority=False, days=(1, 9)), two, one], [root]) is CertificateStatus.EXPIRED
    assert refused([made("X", made("MO late", root, days=(-9, -1)), authority=False)], [root]) is CertificateStatus.CHAIN
    vehicle = made("Z", leaf, authority=False)  # signed by a contract
    assert refused([vehicle, leaf, two, one], [root]) is CertificateStatus.SIGNATURE_ERROR
    below = made("Y", made("MO sub 3", two), authority=False)
    assert refused([below, made("MO sub 3", two), two, one], [root]) is CertificateStatus.SIGNATURE_ERROR
    deep = made("MO sub 3", two)
    assert refused([made("Y", deep, authority=False), deep, two, one], [root]) is CertificateStatus.SIGNATURE_ERROR  # path length


def test_what_is_no_chain_is_refused() -> None:
    for text in ("", "certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        with pytest.raises(ChainRefused) as error:
            read_chain(text)
        assert error.value.status is CertificateStatus.NONE
    with pytest.raises(ChainRefused):
        read_chain(made("many").pem * 6)


def test_the_contract_is_of_the_emaid_in_any_spelling(tree: tuple[Node, ...]) -> None:
    assert same_emaid("DE-ABC-C123ABC56", EMAID)
    assert same_emaid("deabcC123ABC567", EMAID)
    assert not same_emaid("", "")
    assert not same_emaid("DEABCC123ABC57", EMAID)
    assert not same_emaid("DEABCC123ABC5612", EMAID)
    check_emaid(tree[3].certificate, "de-abc-c123abc56")
    with pytest.raises(ChainRefused):
        check_emaid(tree[3].certificate, "DEABCC999ABC56")


def said(responder: Responder, leaf: Node, issuer: Node, *, later: timedelta = timedelta()) -> Revocation:
    target = leaf.target(issuer)
    return read_answer(responder.answer(request_for(target)), target, issuer.certificate, now=utc() + later).status


@pytest.mark.parametrize("algorithm", ["SHA256", "SHA384", "SHA512"])
def test_an_answer_of_the_authority_is_believed(tree: tuple[Node, ...], algorithm: str) -> None:
    _, _, two, leaf = tree
    target = leaf.target(two, algorithm=algorithm)
    der = Responder([two]).answer(request_for(target))
    assert read_answer(der, target, two.certificate, now=utc()).status is Revocation.GOOD
    assert peek(der, target).status is Revocation.GOOD


def test_good_revoked_and_unknown_are_told_apart(tree: tuple[Node, ...]) -> None:
    _, _, two, leaf = tree
    serial = leaf.certificate.serial_number
    assert said(Responder([two], revoked={serial}), leaf, two) is Revocation.REVOKED
    assert said(Responder([two], strange={serial}), leaf, two) is Revocation.UNKNOWN
    assert said(Responder([two], signer=delegate(two)), leaf, two) is Revocation.GOOD


def test_an_answer_that_is_forged_old_or_of_somebody_else_is_not_believed(tree: tuple[Node, ...]) -> None:
    _root, one, two, leaf = tree
    plain = made("Responder", two, authority=False)  # nobody made it a responder
    late = made("Responder", two, authority=False, days=(-9, -1), purposes=[x509.ExtendedKeyUsageOID.OCSP_SIGNING])
    for responder in (
        Responder([two], signer=plain), Responder([two], signer=late), Responder([two], signer=delegate(one)),
        Responder([two], signer=made("MO sub 2")), Responder([two], valid=(-48, -24)), Responder([two], valid=(1, 24)),
        Responder([two], broken=b""), Responder([two], broken=b"\x30\x03\x0a\x01\x06"), Responder([two], broken=b"x" * 30_000),
    ):  # fmt: skip
        with pytest.raises(AnswerRefused):
            said(responder, leaf, two)
    other = made("B", two, authority=False)
    with pytest.raises(AnswerRefused):
        read_answer(Responder([two]).answer(request_for(other.target(two))), leaf.target(two), two.certificate, now=utc())
    with pytest.raises(AnswerRefused):
        said(Responder([two]), leaf, two, later=timedelta(days=2))


def test_a_target_that_is_none_is_refused(tree: tuple[Node, ...]) -> None:
    _, _, two, leaf = tree
    good = leaf.target(two)
    for bad in ({"issuer_name_hash": "xyz"}, {"issuer_key_hash": "ab"}, {"serial": "-"}, {"serial": "-1"}, {"algorithm": "MD5"}):
        fields = {name: getattr(good, name) for name in good.__slots__} | bad
        with pytest.raises(AnswerRefused):
            request_for(type(good)(**fields))
