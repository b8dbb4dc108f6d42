"""What the panel remembers beside the scene: on this machine, for this user."""

from __future__ import annotations

import qt
import slicer

_GROUP = "CardiacMotion/"
_TOKEN = _GROUP + "Token"
DEFAULT_ADDRESS = "http://127.0.0.1:8000"


class Settings:
    """The user's settings; kept as they are set."""

    @property
    def address(self) -> str:
        """Of the server."""
        return _text("Address") or DEFAULT_ADDRESS

    @address.setter
    def address(self, value: str) -> None:
        qt.QSettings().setValue(_GROUP + "Address", value)

    @property
    def certificates(self) -> str:
        """File with certificates of authorities that servers are checked against; "" for the usual ones."""
        return _text("Certificates")

    @certificates.setter
    def certificates(self, value: str) -> None:
        qt.QSettings().setValue(_GROUP + "Certificates", value)

    @property
    def command(self) -> str:
        """Folder of the program that starts a server on this machine; "" for the PATH."""
        return _text("Command")

    @command.setter
    def command(self, value: str) -> None:
        qt.QSettings().setValue(_GROUP + "Command", value)

    @property
    def studies(self) -> str:
        """Folder of such a server's images and labels."""
        return _text("Studies")

    @studies.setter
    def studies(self, value: str) -> None:
        qt.QSettings().setValue(_GROUP + "Studies", value)

    @property
    def token(self) -> str:
        """That the server asks for; "" unless the user wanted it remembered."""
        return _text("Token")

    @property
    def remembers_token(self) -> bool:
        """Whether the user wanted it remembered."""
        return slicer.util.toBool(qt.QSettings().value(_GROUP + "RememberToken", False))

    def keep_token(self, token: str, remember: bool) -> None:
        """Remember a token if the user wants that; otherwise forget what was remembered."""
        settings = qt.QSettings()
        settings.setValue(_GROUP + "RememberToken", remember)
        if remember:
            settings.setValue(_TOKEN, token)
        else:
            settings.remove(_TOKEN)


def _text(name: str) -> str:
    return str(qt.QSettings().value(_GROUP + name, "") or "")
