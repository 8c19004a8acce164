"""Certificates of hosts: a store has an authority of its own, which signs a certificate for the name of each host.

The rule: a program may be a host of the store if and only if it can read the store's secrets; no other secret is
distributed. Certificates are valid from the year 2000 to the end of 9999, so that a wrong clock does not separate
hosts. No certificate has to expire, because no other host ever has the name of a dead host.

The store keeps the authorities (`Cluster.secret` in `actors/store/cluster.py`, under AUTHORITIES), and
`actors/cluster/transport/tls.py` connects hosts with the certificates that are signed here. Needs the package
`cryptography`, which comes with the extra `postgres`.
"""

import re
from datetime import UTC, datetime
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITIES = "authorities"  # the name of the secret
KEPT = 2  # authorities of a store: the newest signs, and certificates of the one before it are trusted too
FROM, UNTIL = datetime(2000, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


class SecretUnreadable(ValueError):
    """The secret of the store does not have the form that this release writes."""


class Authority(NamedTuple):
    """The authority that signs the certificates of a store's hosts. Both parts are PEM."""

    key: bytes
    certificate: bytes


class Identity(NamedTuple):
    """The certificate and the key of a host. Both parts are PEM."""

    key: bytes
    certificate: bytes


def make_authority(name: str = "perdure") -> Authority:
    """Make an authority.

    Args:
        name: The name in its certificate, for people.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        _builder(subject, subject, key.public_key(), key.public_key(), FROM, UNTIL)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .sign(key, SHA256())
    )
    return Authority(_key_pem(key), certificate.public_bytes(Encoding.PEM))


def sign(authority: Authority, host: str, *, since: datetime = FROM, until: datetime = UNTIL) -> Identity:
    """Make the key and the certificate of a host.

    Args:
        host: Its name in the placement table.
        since: The begin of the certificate's validity.
        until: The end of the certificate's validity.

    Raises:
        SecretUnreadable: The authority has no key that can sign.
    """
    try:
        signer = load_pem_private_key(authority.key, password=None)
        issuer = x509.load_pem_x509_certificate(authority.certificate)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SecretUnreadable(f"the authority of the store cannot sign: {error}") from error
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise SecretUnreadable("the authority of the store has a key of another kind")
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate = (
        _builder(subject, issuer.subject, key.public_key(), signer.public_key(), since, until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .sign(signer, SHA256())
    )
    return Identity(_key_pem(key), certificate.public_bytes(Encoding.PEM))


def host_in(certificate: Any) -> str | None:
    """The name of the host in a certificate that was verified, as `SSLObject.getpeercert` gives it; None: no name."""
    names = [value for part in (certificate or {}).get("subject", ()) for key, value in part if key == "commonName"]
    return names[0] if len(names) == 1 and isinstance(names[0], str) else None


# The secret of the store: its authorities, the newest first.


def make_secret() -> bytes:
    """Make the secret of a store that has none."""
    return _packed([make_authority()])


def with_new_authority(secret: bytes) -> bytes:
    """Put a new authority before the store's. Certificates of the last but one are not trusted any more.

    Raises:
        SecretUnreadable: It is not the secret of a store.
    """
    return _packed([make_authority(), *authorities_in(secret)][:KEPT])


def authorities_in(secret: bytes) -> list[Authority]:
    """Read the secret of a store: its authorities, the newest first.

    Raises:
        SecretUnreadable: It is not such a secret.
    """
    parts = [match.group(0) for match in PEM.finditer(secret)]
    keys, certificates = parts[::2], parts[1::2]
    right = (
        parts and all(b"PRIVATE KEY" in key for key in keys) and all(b"CERTIFICATE" in each for each in certificates)
    )
    if not right or len(keys) != len(certificates):
        raise SecretUnreadable(
            "the secret 'authorities' of the store is not what this release writes. Expected pairs of a key and a "
            "certificate in PEM. `perdure store rotate-keys` makes a new one, once the old one is deleted."
        )
    return [Authority(key, certificate) for key, certificate in zip(keys, certificates, strict=True)]


PEM = re.compile(rb"-----BEGIN [A-Z ]+-----[^-]+-----END [A-Z ]+-----\n?")


def _packed(authorities: list[Authority]) -> bytes:
    return b"".join(part for authority in authorities for part in authority)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    signer: ec.EllipticCurvePublicKey,
    since: datetime,
    until: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), critical=False)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    pem: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem
