"""A server behind TLS whose certificate is a hospital's own."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.slicer.bed.session import Bed
from tests.slicer.client.certificates import make_certificate, secured
from tests.slicer.client.fake_server import Fake
from tests.slicer.panel_bed import connect, message, open_panel


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return make_certificate(tmp_path)


@pytest.fixture
def fake() -> Iterator[Fake]:
    fake = Fake()
    yield fake
    fake.close()


def certificates_edit(widget: Any) -> Any:
    return widget.panel.section("Case").ui.certificatesEdit


def test_a_certificate_that_was_chosen_is_trusted_and_remembered(bed: Bed, fake: Fake, certificate: Path) -> None:
    address, widget = secured(fake, certificate), open_panel(bed)
    link = widget.logic.session.link
    connect(bed, widget, address)
    assert "certificate is not trusted" in message(widget)
    assert link.offer is None
    bed.dialogs.answer(str(certificate), containing="Certificates of the server")
    widget.panel.section("Case").ui.certificatesButton.click()
    connect(bed, widget, address)
    assert message(widget) == ""
    assert link.current_target.certificates == certificate
    assert not certificates_edit(widget).enabled
    bed.restart_settings()
    bed.leave()
    assert certificates_edit(open_panel(bed)).text == str(certificate)


@pytest.mark.parametrize("content", [None, "no certificate at all"])
def test_a_file_without_certificates_is_one_message(
    bed: Bed, fake: Fake, tmp_path: Path, content: str | None
) -> None:
    path, widget = tmp_path / "authority.pem", open_panel(bed)
    if content is not None:
        path.write_text(content, encoding="utf-8")
    certificates_edit(widget).text = str(path)
    connect(bed, widget, fake.address.replace("http://", "https://"))
    assert message(widget).startswith("Expected a file with certificates")
    assert str(path) in message(widget)
    assert fake.requests == []
    settings: Any = importlib.import_module("CardiacMotionLib.settings").Settings()
    assert settings.certificates == ""
    # Where nothing is encrypted nothing is checked.
    connect(bed, widget, fake.address)
    assert message(widget) == ""
    assert widget.logic.session.link.offer is not None


@pytest.mark.parametrize(
    ("address", "is_told"),
    [
        ("http://127.0.0.1:8000", False),
        ("http://127.8.9.1", False),
        ("http://[::1]:8000", False),
        ("HTTP://LocalHost:8000/", False),
        ("https://heart.hospital", False),
        ("", False),
        ("somewhere", False),
        ("http://[::1", False),
        ("http://heart.hospital:8000", True),
        ("HTTP://10.0.0.7", True),
        ("http://localhost.elsewhere", True),
        ("http://127.0.0.1.elsewhere", True),
        ("http://localhost@elsewhere", True),
        ("http://[2001:db8::1]:8000", True),
    ],
)
def test_it_is_told_before_anything_is_sent_that_it_could_be_read(bed: Bed, address: str, is_told: bool) -> None:
    ui = open_panel(bed).panel.section("Case").ui
    assert not ui.clearLabel.visible
    ui.addressEdit.text = address
    assert ui.clearLabel.visible is is_told
    assert "others on the network can read the token and the images" in ui.clearLabel.text
    # The address that was kept is looked at as well.
    ui.connectButton.click()
    bed.leave()
    kept = open_panel(bed).panel.section("Case").ui
    assert kept.clearLabel.visible is (is_told and kept.addressEdit.text == address)
