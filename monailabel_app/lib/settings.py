"""How a server is set up."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Limits:
    """What one request, and all of them together, may ask of the server.

    Attributes:
        upload_bytes: of the body of a request.
        voxels: of an image over all frames, as its header promises them.
        frames: of an image.
        params_bytes: of the form field ``params`` and of a JSON body.
        jobs: waiting and running together.
        finished_jobs: whose results are kept.
        result_seconds: that a result is kept for.
        memory_bytes: of motions that are held ready.
        dicom_files: in the zip of an import.
        dicom_bytes: of these files unpacked.
        import_seconds: that one import may take.
        import_memory_bytes: of the process of an import.
    """

    upload_bytes: int = 2**30
    voxels: int = 2**27
    frames: int = 200
    params_bytes: int = 2**16
    jobs: int = 16
    finished_jobs: int = 32
    result_seconds: float = 600.0
    memory_bytes: int = 3 * 2**30
    dicom_files: int = 20_000
    dicom_bytes: int = 4 * 2**30
    import_seconds: float = 600.0
    import_memory_bytes: int = 6 * 2**30


@dataclass(frozen=True)
class ServerSettings:
    """How a server is set up.

    Attributes:
        studies: folder of the images and labels.
        host: address to listen on.
        port: 0 for a free one.
        token: that every request has to bring, or None.
        allowed_origins: of web pages that may use the server.
        allowed_hosts: names in a request's Host header that the server answers to, besides the loopback ones; "*"
            for any.
        cache_folder: of motions; by default within the studies folder.
        threads: of PyTorch in one computation.
        limits: of requests.
    """

    studies: Path
    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = field(default=None, repr=False)
    allowed_origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    cache_folder: Path | None = None
    threads: int = field(default_factory=lambda: max(1, (os.cpu_count() or 2) - 1))
    limits: Limits = Limits()

    @property
    def is_local(self) -> bool:
        """Whether only programs on this machine can reach it."""
        return self.host in LOOPBACK_HOSTS
