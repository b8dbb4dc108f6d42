"""A fake server behind TLS, with a certificate of its own making."""

from __future__ import annotations

import datetime as dt
import importlib
import ipaddress
import ssl
from pathlib import Path

import pytest

from tests.slicer.client.fake_server import Fake


def make_certificate(folder: Path) -> Path:
    """A certificate for this machine that is its own authority, and its key, in one file."""
    x509 = pytest.importorskip("cryptography.x509", reason="not run: no cryptography to make a certificate with")
    hashes, serialization, ec = (
        importlib.import_module(f"cryptography.hazmat.primitives.{part}")
        for part in ("hashes", "serialization", "asymmetric.ec")
    )
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "cmr")])
    today = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - dt.timedelta(days=1))
        .not_valid_after(today + dt.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    unlocked = serialization.NoEncryption()
    path = folder / "certificate.pem"
    path.write_bytes(
        made.public_bytes(encoding) + key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, unlocked)
    )
    return path


def secured(fake: Fake, certificate: Path) -> str:
    """Has the server speak TLS alone; its address from now on."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    fake.server.socket = context.wrap_socket(fake.server.socket, server_side=True)
    return fake.address.replace("http://", "https://")
