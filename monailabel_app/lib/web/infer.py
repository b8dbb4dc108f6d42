"""Routes of infers and jobs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, File, Form, Query, Request, UploadFile
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from monailabel_app.lib.errors import Unprocessable
from monailabel_app.lib.infers.base import CineTask, Outcome, RunContext, TaskParams
from monailabel_app.lib.jobs import Job
from monailabel_app.lib.uploads import keep_upload, read_uploaded_frame, read_uploaded_labels
from monailabel_app.lib.web.answers import outcome_response
from monailabel_app.lib.web.state import ServerState, json_object, server_state
from monailabel_app.lib.web.waiting import DISCONNECT_SECONDS, finished, outcome_of

router = APIRouter(tags=["Infer"])

Server = Annotated[ServerState, Depends(server_state)]
ImageId = Annotated[str, Query(description="id of an image on the server")]
Params = Annotated[str, Form(description="a JSON object; what it may hold, /info/ and the documentation say")]
Label = Annotated[UploadFile | None, File(description="labels of one frame (3D) or of several (4D)")]
Frame = Annotated[UploadFile | None, File(description="a 3D image, where `image` is empty")]


def _start(
    server: ServerState, model: str, image: str, params: str, label: UploadFile | None, frame: UploadFile | None
) -> Job:
    """Check what can be checked at once, and start the work."""
    task = server.app.task(model)
    checked = task.parse(json_object(params, server.settings))
    if frame is None:
        # That there is no such image is told before anything is kept.
        server.datastore.find_image(image)
    elif image or not task.takes_frame_files:
        got = "both" if image else f"a file, which {model} does not take"
        raise Unprocessable(f"expected the id of an image, or a file, got {got}", field="file")
    files = ExitStack()
    with ExitStack() as if_refused:
        if_refused.callback(files.close)
        folder = files.enter_context(server.datastore.scratch_folder())
        sent = {"label": label, "file": frame}
        kept = {
            field: keep_upload(each.filename, each.file, folder, field=field)
            for field, each in sent.items()
            if each is not None
        }
        job = server.jobs.submit(partial(_work, server, task, checked, image, kept, folder), files.close)
        if_refused.pop_all()
    return job


def _work(
    server: ServerState,
    task: CineTask,
    params: TaskParams,
    image: str,
    sent: dict[str, Path],
    folder: Path,
    job: Job,
) -> Outcome:
    label = None
    if "file" in sent:
        with server.datastore.decoding():
            case = read_uploaded_frame(sent["file"], max_voxels=server.settings.limits.voxels)
    else:
        # Without a place for decoding: whoever waits here for another's reading must not keep it from one.
        case = server.datastore.case(image)
    if "label" in sent:
        with server.datastore.decoding():
            label = read_uploaded_labels(sent["label"], case)
    context = RunContext(
        case=case,
        label=label,
        datastore=server.datastore,
        folder=folder,
        progress=job.report,
        hold_device=partial(server.device.held_by, job),
        is_single_frame="file" in sent,
    )
    return task.run(context, params)


@router.post("/infer/{model}", summary="Run a task and wait for its answer")
async def infer(
    request: Request,
    server: Server,
    model: str,
    image: ImageId,
    output: Annotated[Literal["image", "json", "all"] | None, Query(description="as MONAI Label has it")] = None,
    session_id: Annotated[str, Query(description="not supported; MONAI Label's clients may send it empty")] = "",
    params: Params = "{}",
    label: Label = None,
    file: Frame = None,
) -> Response:
    """Answer with multipart/form-data: ``params`` (JSON) and ``image`` (the file)."""
    if session_id:
        raise Unprocessable("expected an image of the datastore; there are no sessions", field="session_id")
    job = await run_in_threadpool(_start, server, model, image, params, label, file)
    forget: Callable[[], None] = partial(server.jobs.discard, job)
    try:
        await finished(request, job)
        outcome = outcome_of(job, server)
        # From here on the answer forgets the job.
        return await run_in_threadpool(outcome_response, outcome, output, forget)
    except BaseException:
        forget()
        raise


@router.post("/jobs/infer/{model}", status_code=202, summary="Start a task as a job", tags=["Jobs"])
def start_job(
    server: Server, model: str, image: ImageId, params: Params = "{}", label: Label = None, file: Frame = None
) -> dict[str, str]:
    """Answer with the job's id at once."""
    return {"job": _start(server, model, image, params, label, file).id}


@router.get("/jobs/{job}", summary="State and progress of a job", tags=["Jobs"])
async def job_state(server: Server, job: str) -> JSONResponse:
    """State, progress from 0 to 1, message, error."""
    return JSONResponse(server.jobs.get(job).to_json())


@router.get("/jobs/{job}/result", summary="Answer of a job that is done", tags=["Jobs"])
def job_result(
    server: Server, job: str, output: Annotated[Literal["image", "json", "all"] | None, Query()] = None
) -> Response:
    """As the infer's answer; 409 if the job is not done."""
    return outcome_response(outcome_of(server.jobs.get(job), server), output)


@router.delete("/jobs/{job}", summary="Cancel a job, or forget its result", tags=["Jobs"])
def cancel_job(server: Server, job: str) -> JSONResponse:
    """The job's state; one that is cancelled may take a moment to stop."""
    found = server.jobs.get(job)
    if found.is_finished:
        server.jobs.discard(found)
    else:
        found.cancel()
        found.wait(DISCONNECT_SECONDS)
    return JSONResponse(found.to_json())
