"""Import of DICOM files: a folder as one zip, and the cases that the server makes of it."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from CardiacMotionLib.client.answers import entry, parse_object
from CardiacMotionLib.client.cancelling import Cancel, check
from CardiacMotionLib.client.connection import repeated
from CardiacMotionLib.client.errors import BadAnswer, BadCall
from CardiacMotionLib.client.files import whole_file
from CardiacMotionLib.client.forms import ByteProgress, FormBody
from CardiacMotionLib.client.job_calls import PATIENCE_SECONDS, JobCalls, Progress, quoted

_CHUNK_BYTES = 2**18
_LEVEL = 1
"""Of compression: most of what there is to gain, at the speed of a network."""


@dataclass(frozen=True)
class ImportedCase:
    """An image that the server made of DICOM files.

    Attributes:
        image: its id.
        view: "sax", "2ch", "3ch", "4ch" or "other".
        shape: (T, Z, Y, X).
        rr_seconds: length of the heart cycle of each slice.
        notes: what was decided or changed on the way, one sentence each.
    """

    image: str
    view: str
    shape: tuple[int, ...]
    rr_seconds: tuple[float, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class DicomAnswer:
    """What an import gave.

    Attributes:
        cases: the new images, or those that were there already with the same content.
        left: what was left out, each with ``reason``, ``files``, ``n_files``, ``series`` and ``is_error``.
    """

    cases: tuple[ImportedCase, ...]
    left: tuple[Mapping[str, Any], ...]


def pack_dicom(folder: Path, to: Path, *, cancelled: Cancel | None = None) -> int:
    """Write all files of a folder, and of those in it, into one zip, whole or not at all.

    Args:
        folder: of DICOM files; their names go into the zip.
        to: the zip.
        cancelled: asked often.

    Returns:
        The number of files.

    Raises:
        BadCall: no such folder, a file that cannot be read, or a zip that cannot be written.
        Cancelled: `cancelled` said so.
    """
    if not folder.is_dir():
        raise BadCall(f"expected a folder of DICOM files, got {folder}")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if not files:
        raise BadCall(f"expected a folder of DICOM files, {folder} has none")
    with (
        whole_file(to) as target,
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive,
    ):
        for path in files:
            # By its name alone: its time may be before those that zips know.
            name = path.relative_to(folder).as_posix()
            with _opened(path) as source, archive.open(name, "w", force_zip64=True) as packed:
                while chunk := source.read(_CHUNK_BYTES):
                    check(cancelled)
                    packed.write(chunk)
    return len(files)


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise BadCall(f"cannot read {path}: {error.strerror or error}") from error


class DicomCalls(JobCalls):
    """The import; a part of `Client`."""

    def start_import(
        self,
        path: Path,
        params: Mapping[str, Any],
        *,
        sent: ByteProgress | None = None,
        cancelled: Cancel | None = None,
    ) -> str:
        """Start the import of a zip as a job; returns the job's id. See `import_dicom`."""
        check(cancelled)
        form = FormBody(params, {"file": path}, progress=sent, cancelled=cancelled)
        content = self._send("POST", "/jobs/datastore/dicom", {}, form, cancelled, patience=PATIENCE_SECONDS)
        return entry(parse_object(content), "job", str)

    def import_dicom(
        self,
        path: Path,
        *,
        case: str | None = None,
        all_stacks: bool = False,
        keep_going: bool = False,
        sent: ByteProgress | None = None,
        progress: Progress | None = None,
        cancelled: Cancel | None = None,
        poll_seconds: float = 0.5,
    ) -> DicomAnswer:
        """Have the server make cases of DICOM files, without the patient's identity.

        Args:
            path: a zip, such as `pack_dicom` writes.
            case: what the ids of the new images begin with; by default made of their content.
            all_stacks: every stack of a view rather than the newest.
            keep_going: leave out what is wrong with the files, rather than refuse all.
            sent: called with the bytes sent.
            progress: called with the fraction done at every look.
            cancelled: see `Client`.
            poll_seconds: longest time between two looks.

        Raises:
            BadCall: the file cannot be read.
            ServerRefused: no zip, no cine, files that do not fit, too much, or another image of that id.
            Cancelled: `cancelled` said so. Like whatever else ends the wait, it cancels the job.
        """
        params: dict[str, Any] = {"all_stacks": all_stacks, "keep_going": keep_going}
        if case is not None:
            params["case"] = case
        job = self.start_import(path, params, sent=sent, cancelled=cancelled)

        def fetch() -> DicomAnswer:
            target = f"/jobs/{quoted(job)}/result"
            return _parsed(repeated(lambda: self._connection.get(target, cancelled=cancelled), cancelled))

        return self._followed(job, fetch, progress=progress, cancelled=cancelled, poll_seconds=poll_seconds)


def _parsed(content: bytes) -> DicomAnswer:
    answer = parse_object(content)
    cases, left = entry(answer, "cases", list), entry(answer, "left", list)
    if not all(isinstance(each, dict) for each in (*cases, *left)):
        raise BadAnswer("expected cases as objects in the server's answer, got something else")
    return DicomAnswer(tuple(map(_case, cases)), tuple(left))


def _case(case: Mapping[str, Any]) -> ImportedCase:
    shape, cycles, notes = (entry(case, name, list) for name in ("shape", "rr_seconds", "notes"))
    try:
        return ImportedCase(
            entry(case, "image", str),
            entry(case, "view", str),
            tuple(map(int, shape)),
            tuple(map(float, cycles)),
            tuple(map(str, notes)),
        )
    except (TypeError, ValueError) as error:
        raise BadAnswer("expected numbers of an imported image in the server's answer, got others") from error
