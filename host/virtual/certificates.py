"""A certificate authority of our own, for servers on this machine: TLS with nobody's help, for an hour."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.x509.oid import NameOID

from host.files import write_whole

__all__ = ["Authority"]


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(subject: str, issuer: str, key: EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
    )


@dataclass(frozen=True)
class Authority:
    """A CA with its files in a folder; its key is nowhere but in memory."""

    folder: Path
    name: str
    key: EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def make(cls, folder: Path, name: str = "saifu virtual CA") -> "Authority":
        """Make a CA and write its certificate."""
        authority = cls(folder, name, generate_private_key(SECP256R1()))
        own = _builder(name, name, authority.key).add_extension(x509.BasicConstraints(True, None), True)
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        signed = own.add_extension(usage, True).sign(authority.key, hashes.SHA256())
        authority.ca.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        return authority

    @property
    def ca(self) -> Path:
        """PEM file of the CA's certificate: what clients trust."""
        return self.folder / f"{self.name.replace(' ', '-')}.pem"

    def certify(self, *hosts: str) -> tuple[Path, Path]:
        """Files of a certificate for hosts, and of its key."""
        key = generate_private_key(SECP256R1())
        names: list[x509.GeneralName] = []
        for host in hosts:
            is_address = host.replace(".", "").isdigit()
            names.append(x509.IPAddress(ip_address(host)) if is_address else x509.DNSName(host))
        builder = _builder(hosts[0], self.name, key).add_extension(x509.SubjectAlternativeName(names), False)
        certificate, key_file = self.folder / f"{hosts[0]}.pem", self.folder / f"{hosts[0]}.key"
        signed = builder.sign(self.key, hashes.SHA256())
        certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_whole(key_file, private, 0o600)
        return certificate, key_file
