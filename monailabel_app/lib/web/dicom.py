"""Routes that make cases of DICOM files."""

from __future__ import annotations

import hashlib
import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, File, Form, Request, UploadFile
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from monailabel_app.lib.datastore import LocalDatastore, check_id
from monailabel_app.lib.datastore.durable import sha256_of
from monailabel_app.lib.errors import Conflict, NotFound, Unprocessable
from monailabel_app.lib.imports.runner import run_import
from monailabel_app.lib.imports.task import ImportTask
from monailabel_app.lib.infers.base import Outcome, TaskParams, parse_params
from monailabel_app.lib.jobs import Job
from monailabel_app.lib.web.state import ServerState, json_object, server_state
from monailabel_app.lib.web.waiting import finished, outcome_of

router = APIRouter(tags=["Datastore"])

Server = Annotated[ServerState, Depends(server_state)]
Archive = Annotated[UploadFile, File(description="a zip of DICOM files, in any order, names and folders")]
Params = Annotated[str, Form(description="a JSON object: case, all_stacks, keep_going")]

_ZIP_MARK = b"PK"
_KEPT = ("view", "rr_seconds", "notes")
"""Of what is told about a cine; none of it is text from the files."""
_IMPORTED = 0.95
"""Share of the time until the cines are there."""


class DicomParams(TaskParams):
    """Parameters of an import.

    Attributes:
        case: what the ids of the images begin with; by default made of their content.
        all_stacks: every stack of a view rather than the newest.
        keep_going: leave out what is wrong with the files, rather than refuse all.
    """

    case: str | None = Field(default=None, max_length=100)
    all_stacks: bool = False
    keep_going: bool = False


@router.post("/datastore/dicom", summary="Import DICOM files and wait for it")
async def import_dicom(request: Request, server: Server, file: Archive, params: Params = "{}") -> Response:
    """Answer with the images that there are now, and what was left out."""
    job = await run_in_threadpool(_start, server, file, params)
    try:
        await finished(request, job)
        return JSONResponse(outcome_of(job, server).params)
    finally:
        server.jobs.discard(job)


@router.post("/jobs/datastore/dicom", status_code=202, summary="Start an import as a job", tags=["Jobs"])
def start_import(server: Server, file: Archive, params: Params = "{}") -> dict[str, str]:
    """Answer with the job's id at once."""
    return {"job": _start(server, file, params).id}


def _start(server: ServerState, file: UploadFile, params: str) -> Job:
    """Check what can be checked at once, and start the work."""
    checked = parse_params(DicomParams, json_object(params, server.settings))
    assert isinstance(checked, DicomParams)  # noqa: S101 - for the type checker
    if checked.case is not None:
        check_id(checked.case, field="case")
    if file.file.read(len(_ZIP_MARK)) != _ZIP_MARK:
        raise Unprocessable("expected a zip of DICOM files; got another file", code="bad_zip", field="file")
    file.file.seek(0)
    files = ExitStack()
    with ExitStack() as if_refused:
        if_refused.callback(files.close)
        folder = files.enter_context(server.datastore.scratch_folder())
        archive = folder / "dicom.zip"
        with archive.open("wb") as target:
            shutil.copyfileobj(file.file, target, 2**20)
        job = server.jobs.submit(partial(_work, server, checked, archive, files.close), files.close)
        if_refused.pop_all()
    return job


def _work(server: ServerState, params: DicomParams, archive: Path, clean_up: Any, job: Job) -> Outcome:
    limits = server.settings.limits
    task = ImportTask(
        archive=str(archive),
        folder=str(archive.parent),
        all_stacks=params.all_stacks,
        keep_going=params.keep_going,
        max_files=limits.dicom_files,
        max_bytes=limits.dicom_bytes,
        max_voxels=limits.voxels,
        max_frames=limits.frames,
        memory_bytes=limits.import_memory_bytes,
        seconds=round(limits.import_seconds),
    )
    with server.imports.held_by(job):
        found = run_import(
            task,
            seconds=limits.import_seconds,
            report=lambda share, message: job.report(_IMPORTED * share, message),
        )
    new = _named(params.case, archive.parent / "cines", found["cines"])
    job.report(_IMPORTED, "storing")
    cases = _stored(server.datastore, new)
    # The answer needs no files, and these have names in them.
    clean_up()
    return Outcome({"cases": cases, "left": found["left"]}, None)


@dataclass(frozen=True)
class _New:
    """An image that is to be stored.

    Attributes:
        id: that it is to have.
        path: of its file.
        sha256: of that.
        about: what the import told of it.
    """

    id: str
    path: Path
    sha256: str
    about: dict[str, Any]


def _named(case: str | None, folder: Path, cines: list[dict[str, Any]]) -> list[_New]:
    """Give the cines their ids; the same files get the same ones."""
    digests = [sha256_of(folder / about["file"]) for about in cines]
    if case is None:
        case = f"dicom-{hashlib.sha256(''.join(digests).encode()).hexdigest()[:12]}"
    return [
        _New(check_id(f"{case}_{about['name']}", field="case"), folder / about["file"], digest, about)
        for about, digest in zip(cines, digests, strict=True)
    ]


def _stored(store: LocalDatastore, new: list[_New]) -> list[dict[str, Any]]:
    """Store the images; none if one of their ids is taken by another image."""
    for each in new:
        try:
            taken = store.find_image(each.id).sha256 != each.sha256
        except NotFound:
            continue
        if taken:
            raise Conflict(f"there is another image {each.id} already", field="case")
    cases = []
    for each in new:
        kept = {name: each.about[name] for name in _KEPT}
        record = store.add_image_file(each.id, each.path, info={"dicom": kept})
        told = {name: value for name, value in each.about.items() if name not in {"file", "name"}}
        cases.append({"image": record.id, "sha256": record.sha256, **told})
    return cases
