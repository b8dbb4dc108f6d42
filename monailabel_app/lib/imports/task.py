"""What an import is told to do."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class ImportTask:
    """What to do within which limits.

    Attributes:
        archive: the zip.
        folder: empty; what is unpacked goes to ``dicom/`` in it, the cines to ``cines/``.
        all_stacks: every stack of a view rather than the newest.
        keep_going: leave out what is wrong, rather than refuse it all.
        max_files: in the zip.
        max_bytes: unpacked.
        max_voxels: of a cine, over all frames.
        max_frames: of a cine.
        memory_bytes: that the process may take beyond its libraries, where the system knows such a limit.
        seconds: of the processor, the same.
    """

    archive: str
    folder: str
    all_stacks: bool
    keep_going: bool
    max_files: int
    max_bytes: int
    max_voxels: int
    max_frames: int
    memory_bytes: int
    seconds: int

    def to_argument(self) -> str:
        """As the process takes it."""
        return json.dumps(asdict(self))
