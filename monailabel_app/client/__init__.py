"""Talks to the server over HTTP."""

from monailabel_app.client.answers import InferAnswer, JobState, SavedLabel
from monailabel_app.client.client import API_VERSION, Client
from monailabel_app.client.errors import BadAnswer, ClientError, ServerRefused, ServerUnreachable

__all__ = [
    "API_VERSION",
    "BadAnswer",
    "Client",
    "ClientError",
    "InferAnswer",
    "JobState",
    "SavedLabel",
    "ServerRefused",
    "ServerUnreachable",
]
