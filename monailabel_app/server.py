"""The hardened server: only the routes of our contract, and what every request passes through.

Of MONAI Label's own routes none is mounted as it is: they freeze the server while one infer runs, and take paths,
files and parameters unchecked. Those that clients use are served here, see ``docs/api.md``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import cardiac_motion
from cardiac_motion.errors import InputError
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from monailabel.config import settings as monai_settings
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import JSONResponse

from monailabel_app.lib.app import CardiacMotionApp, app_folder
from monailabel_app.lib.errors import RequestError, TooLarge, Unprocessable, as_request_error, full_disk
from monailabel_app.lib.jobs import Device, Jobs
from monailabel_app.lib.settings import ServerSettings
from monailabel_app.lib.web import cases, datastore, dicom, infer
from monailabel_app.lib.web.access import PageAccess, TokenCheck
from monailabel_app.lib.web.guard import Guard
from monailabel_app.lib.web.refusals import error_response
from monailabel_app.lib.web.state import ServerState

SHUTDOWN_SECONDS = 2.0
"""Given to requests to end by themselves; jobs are cancelled at the same time."""

_JOB_SECONDS = 0.5
"""Given to jobs beyond that."""

_MAX_FIELDS = 8
_MAX_FILES = 2
_FORGET_SECONDS = 30.0

_CODES = {400: "bad_request", 404: "no_such_route", 405: "method_not_allowed", 413: "too_large"}


def create_app(settings: ServerSettings) -> FastAPI:
    """The server as an ASGI application.

    Raises:
        InputError: the studies folder cannot be used, or another server is using it.
    """
    state = _make_state(settings)
    app = FastAPI(
        title="CardiacMotion",
        version=cardiac_motion.__version__,
        openapi_url="/openapi.json",
        # Their pages load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
        # Fields, and files up to a size, are held in memory as they come.
        form_limits={
            "max_fields": _MAX_FIELDS,
            "max_files": _MAX_FILES,
            "max_part_size": settings.limits.params_bytes,
        },
    )
    app.state.server = state
    for module in (cases, infer, datastore, dicom):
        app.include_router(module.router)
    app.add_exception_handler(RequestError, _on_error)
    app.add_exception_handler(InputError, _on_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    # The last one that is added is the outermost.
    if settings.token is not None:
        app.add_middleware(TokenCheck, token=settings.token)
    if settings.allowed_origins:
        app.add_middleware(PageAccess, origins=settings.allowed_origins)
    app.add_middleware(Guard, settings=settings)
    return app


def _make_state(settings: ServerSettings) -> ServerState:
    # Of no use here, and written outside the studies folder.
    monai_settings.MONAI_LABEL_SESSIONS = False
    monai_settings.MONAI_LABEL_AUTO_UPDATE_SCORING = False
    monai_settings.MONAI_LABEL_TASKS_SCORING = False
    monai_settings.MONAI_LABEL_TASKS_BATCH_INFER = False
    monai_settings.MONAI_LABEL_TRACKING_ENABLED = False
    monai_settings.MONAI_LABEL_APP_DIR = str(app_folder())
    monai_settings.MONAI_LABEL_STUDIES = str(settings.studies)
    hosted = CardiacMotionApp(str(app_folder()), str(settings.studies), {}, settings)
    limits = settings.limits
    jobs = Jobs(
        limit=limits.jobs,
        keep=limits.finished_jobs,
        keep_seconds=limits.result_seconds,
        threads=settings.threads,
    )
    return ServerState(settings, hosted, jobs, Device(), Device())


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    state: ServerState = app.state.server
    janitor = asyncio.create_task(_forget_old_results(state))
    yield
    janitor.cancel()
    state.jobs.close(_JOB_SECONDS)
    state.datastore.close()


async def _forget_old_results(state: ServerState) -> None:
    while True:
        await asyncio.sleep(_FORGET_SECONDS)
        await run_in_threadpool(state.jobs.forget_old)


def _on_error(_request: Request, error: Exception) -> JSONResponse:
    return error_response(as_request_error(error))


def _on_http_error(_request: Request, error: Exception) -> JSONResponse:
    """Errors of the framework; what the body's reader met is its cause."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for these alone
    cause = error.__cause__ or error.__context__
    if isinstance(cause, RequestError):
        return error_response(cause)
    full = full_disk(error)
    if full is not None:
        return error_response(full)
    if isinstance(cause, MultiPartException) and "maximum size" in cause.message:
        return error_response(TooLarge("expected a shorter form field; see /info/ for the limits"))
    code = _CODES.get(error.status_code, "http_error")
    made = RequestError(str(error.detail), code=code)
    return JSONResponse(made.to_json(), status_code=error.status_code, headers=dict(error.headers or {}))


def _on_validation_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for these alone
    first = error.errors()[0]
    if first["loc"][:1] == ("body",) and (len(first["loc"]) == 1 or first["type"] == "json_invalid"):
        text = "expected a JSON object, sent as Content-Type: application/json"
        return error_response(Unprocessable(text, code="bad_json"))
    where = [str(part) for part in first["loc"] if part not in {"query", "body", "path", "header"}]
    field = ".".join(where) or None
    message = f"{field}: {first['msg']}" if field else str(first["msg"])
    return error_response(Unprocessable(message, code="bad_params", field=field))
