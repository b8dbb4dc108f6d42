"""What the routes work with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from monailabel_app.lib.app import CardiacMotionApp
from monailabel_app.lib.datastore import LocalDatastore
from monailabel_app.lib.errors import TooLarge, Unprocessable
from monailabel_app.lib.jobs import Device, Jobs
from monailabel_app.lib.settings import ServerSettings


@dataclass(frozen=True)
class ServerState:
    """One running server.

    Attributes:
        settings: how it is set up.
        app: the MONAI Label app.
        jobs: work under way.
        device: that heavy computations share.
        imports: lets one import at a time have its share of the memory.
    """

    settings: ServerSettings
    app: CardiacMotionApp
    jobs: Jobs
    device: Device
    imports: Device

    @property
    def datastore(self) -> LocalDatastore:
        """Images and labels."""
        return self.app.datastore()


def server_state(request: Request) -> ServerState:
    """The server that a request came to."""
    return request.app.state.server


def json_object(text: str, settings: ServerSettings, *, field: str = "params") -> Mapping[str, Any]:
    """A JSON object from a form field.

    Raises:
        Unprocessable: it is none, or holds NaN or infinity, which JSON does not have.
        TooLarge: it is longer than allowed.
    """
    limit = settings.limits.params_bytes
    if len(text) > limit:
        raise TooLarge(f"expected at most {limit} characters of {field}, got {len(text)}", field=field)
    try:
        value = json.loads(text or "{}", parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, json.JSONDecodeError) else "it is nested too deeply or not finite"
        raise Unprocessable(f"expected {field} as JSON: {reason}", code="bad_json", field=field) from None
    if not isinstance(value, dict):
        raise Unprocessable(
            f"expected {field} as a JSON object, got {type(value).__name__}", code="bad_json", field=field
        )
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")
