"""Talks to the server over HTTP; needs Python's own library and requests."""

from CardiacMotionLib.client.answers import InferAnswer, JobState, SavedLabel
from CardiacMotionLib.client.cancelling import Cancel
from CardiacMotionLib.client.client import Client
from CardiacMotionLib.client.dicom import DicomAnswer, ImportedCase, pack_dicom
from CardiacMotionLib.client.errors import (
    BadAnswer,
    BadCall,
    Cancelled,
    ClientError,
    ServerRefused,
    ServerUnreachable,
)
from CardiacMotionLib.client.forms import ByteProgress
from CardiacMotionLib.client.offer import API_VERSION, Offer, OfferedLimits, OfferedModel

__all__ = [
    "API_VERSION",
    "BadAnswer",
    "BadCall",
    "ByteProgress",
    "Cancel",
    "Cancelled",
    "Client",
    "ClientError",
    "DicomAnswer",
    "ImportedCase",
    "InferAnswer",
    "JobState",
    "Offer",
    "OfferedLimits",
    "OfferedModel",
    "SavedLabel",
    "ServerRefused",
    "ServerUnreachable",
    "pack_dicom",
]
