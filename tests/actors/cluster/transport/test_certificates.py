"""A store's authority signs the certificates of its hosts, which are valid longer than any host runs."""

from datetime import UTC, datetime

import pytest
from cryptography import x509

from perdure.actors.cluster.transport.certificates import (
    Authority,
    SecretUnreadable,
    authorities_in,
    host_in,
    make_authority,
    make_secret,
    sign,
    with_new_authority,
)

AUTHORITY = make_authority()


def test_a_certificate_is_for_a_host_and_holds_whatever_the_clock_says() -> None:
    certificate = x509.load_pem_x509_certificate(sign(AUTHORITY, "host-0007").certificate)
    assert certificate.subject.rfc4514_string() == "CN=host-0007"
    assert certificate.not_valid_before_utc == datetime(2000, 1, 1, tzinfo=UTC)
    assert certificate.not_valid_after_utc == datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(AUTHORITY.certificate))


def test_each_host_has_a_key_of_its_own_and_signs_for_no_other() -> None:
    one, other = sign(AUTHORITY, "host-1"), sign(AUTHORITY, "host-1")
    assert one.key != other.key
    extensions = x509.load_pem_x509_certificate(one.certificate).extensions
    assert extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign is False


def test_a_secret_is_read_as_it_was_written() -> None:
    secret = make_secret()
    [authority] = authorities_in(secret)
    assert sign(authority, "host-1").certificate
    assert b"".join(authority) == secret


def test_a_new_authority_stands_in_front_and_the_last_one_is_trusted_still() -> None:
    first = make_secret()
    second = with_new_authority(first)
    third = with_new_authority(second)
    assert authorities_in(second)[1:] == authorities_in(first)
    assert authorities_in(third)[1:] == authorities_in(second)[:1]
    assert len(authorities_in(third)) == 2


@pytest.mark.parametrize(
    "secret",
    [
        b"",
        b"nonsense",
        AUTHORITY.key,
        AUTHORITY.certificate + AUTHORITY.key,
        AUTHORITY.key + AUTHORITY.certificate + AUTHORITY.key,
    ],
)
def test_anything_but_a_secret_is_refused(secret: bytes) -> None:
    with pytest.raises(SecretUnreadable, match="pairs of a key and a certificate"):
        authorities_in(secret)


def test_an_authority_that_cannot_sign_says_so() -> None:
    with pytest.raises(SecretUnreadable, match="cannot sign"):
        sign(Authority(b"none", AUTHORITY.certificate), "host-1")


@pytest.mark.parametrize(
    ("certificate", "host"),
    [
        ({"subject": ((("commonName", "host-1"),),)}, "host-1"),
        ({"subject": ((("organizationName", "x"),), (("commonName", "host-1"),))}, "host-1"),
        ({"subject": ((("commonName", "host-1"),), (("commonName", "host-2"),))}, None),
        ({"subject": ()}, None),
        ({}, None),
        (None, None),
    ],
)
def test_a_certificate_names_one_host_or_none(certificate: object, host: str | None) -> None:
    assert host_in(certificate) == host
