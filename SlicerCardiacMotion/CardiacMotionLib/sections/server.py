"""The server: part of the section Case, with the widgets of its .ui file."""

from __future__ import annotations

from pathlib import Path

import qt
from slicer.i18n import tr as _

from CardiacMotionLib.sections.section import Hints, Section
from CardiacMotionLib.server_link import Target
from CardiacMotionLib.settings import Settings

_SECURE = "https://"


class ServerBox:
    """Connects to a server, and says what it offers.

    Args:
        section: whose widgets these are.
    """

    def __init__(self, section: Section) -> None:
        self._section, self._settings, self._hints = section, Settings(), Hints()
        ui = section.ui
        ui.advancedBox.collapsed = True
        ui.rememberBox.checked = self._settings.remembers_token
        self.show_own()
        section.on_click(ui.connectButton, self._connect)
        section.on_click(ui.certificatesButton, self._choose_certificates)
        for edit in (ui.addressEdit, ui.tokenEdit, ui.certificatesEdit):
            edit.connect("returnPressed()", ui.connectButton.click)
        ui.addressEdit.connect("textChanged(QString)", self._show_warning)
        self._show_warning()
        ui.rememberBox.connect("toggled(bool)", self._remember)
        section.listen(section.session.link.failed, section.fail)

    def update(self) -> None:
        """Show how things stand."""
        ui, link = self._section.ui, self._section.session.link
        connecting, offer = link.is_connecting, link.offer
        ui.connectButton.text = _("Cancel") if connecting else _("Disconnect") if offer else _("Connect")
        own = (ui.addressEdit, ui.tokenEdit, ui.rememberBox, ui.certificatesEdit, ui.certificatesButton)
        for each in own:
            each.enabled = not connecting and offer is None
        self._hints.allow(ui.connectButton)
        ui.offerLabel.text = self._offer_text()

    def _show_warning(self, _text: str = "") -> None:
        """At once, as the address is typed: it is there before anything is sent."""
        label = self._section.ui.clearLabel
        label.text = _("Unencrypted connection: others on the network can read the token and the images.")
        label.setVisible(Target(self._section.ui.addressEdit.text.strip()).is_in_the_clear)

    def connect_to(self, target: Target) -> None:
        """Connect to a server that the user did not type in, as one that was started here."""
        ui, link = self._section.ui, self._section.session.link
        ui.addressEdit.text, ui.tokenEdit.text = target.address, target.token or ""
        self._section.panel.show_progress(self._section, link.disconnect)
        link.connect(target)

    def show_own(self) -> None:
        """Show the server that the user had typed in."""
        ui, settings = self._section.ui, self._settings
        ui.addressEdit.text, ui.tokenEdit.text = settings.address, settings.token
        ui.certificatesEdit.text = settings.certificates

    def _connect(self) -> None:
        ui, link = self._section.ui, self._section.session.link
        if link.is_connecting or link.offer is not None:
            link.disconnect()
            self._section.panel.say("", self._section)
            return
        address, token = ui.addressEdit.text.strip(), ui.tokenEdit.text.strip()
        certificates = ui.certificatesEdit.text.strip()
        # Without encryption there is nothing to check, and a file that has gone is no hindrance.
        is_checked = certificates and address.lower().startswith(_SECURE)
        authorities = Path(certificates).expanduser() if is_checked else None
        self._section.panel.show_progress(self._section, link.disconnect)
        link.connect(Target(address, token or None, authorities))
        self._settings.address, self._settings.certificates = address, certificates
        self._settings.keep_token(token, ui.rememberBox.checked)

    def _choose_certificates(self) -> None:
        edit = self._section.ui.certificatesEdit
        title, files = _("Certificates of the server"), _("Certificates (*.pem *.crt *.cer);;All files (*)")
        path = qt.QFileDialog.getOpenFileName(self._section.widget, title, edit.text, files)
        if path:
            edit.text = path

    def _remember(self, on: bool) -> None:
        self._settings.keep_token(self._section.ui.tokenEdit.text.strip(), on)

    def _offer_text(self) -> str:
        link = self._section.session.link
        if link.is_connecting:
            return _("Connecting …")
        offer = link.offer
        if offer is None:
            return _("Not connected. Nothing is sent before you connect.")
        models = ", ".join(model.name for model in offer.models_of("motion"))
        offered = [_("motion ({models})").format(models=models)] if "motion" in offer.tasks else []
        segmenting = [model.name for model in offer.models_of("segmentation") if model.name in offer.tasks]
        if segmenting:
            offered.append(_("segmentation ({models})").format(models=", ".join(segmenting)))
        offered += [task for task in offer.tasks if task not in {"motion", *segmenting}]
        return _("Connected to CardiacMotion {version}. It offers: {offered}.").format(
            version=offer.version, offered=", ".join(offered) or _("no tasks")
        )
