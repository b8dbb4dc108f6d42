"""`cardiac-motion serve`."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Annotated, Literal

import typer
from cardiac_motion.atomic import check_target
from cardiac_motion.errors import InputError

from monailabel_app.lib.settings import Limits, ServerSettings

TOKEN_VARIABLE = "CARDIAC_MOTION_TOKEN"  # noqa: S105 - the name of a variable
_MIN_TOKEN = 16


def read_token(file: Path | None) -> str | None:
    """The token from a file, or from the environment; None without either.

    Raises:
        InputError: a file that cannot be read, or a token that is too short or cannot be sent in a header.
    """
    if file is not None:
        try:
            token = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read the token from {file}: {error}") from error
    else:
        token = os.environ.get(TOKEN_VARIABLE, "").strip()
        if not token:
            return None
    if len(token) < _MIN_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise InputError(
            f"expected a token of at least {_MIN_TOKEN} printable ASCII characters without spaces, got one of "
            f"{len(token)} characters"
        )
    return token


def serve(
    studies: Annotated[Path, typer.Option(help="Folder of images and labels; made if need be.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    token_file: Annotated[
        Path | None,
        typer.Option(help=f"File with the token that every request must bring; or set {TOKEN_VARIABLE}."),
    ] = None,
    without_token: Annotated[
        bool, typer.Option("--without-token", help="Let anybody who can reach this machine in.")
    ] = False,
    allow_origin: Annotated[
        list[str] | None, typer.Option(help="Web pages of this origin may use the server; may be repeated.")
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Host name that the server answers to; may be repeated; * for any.")
    ] = None,
    cache_folder: Annotated[
        Path | None, typer.Option(help="Where motions are kept; by default within the studies folder.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Of one computation; by default one less than there are cores.")
    ] = None,
    max_upload_mb: Annotated[int, typer.Option(min=1, help="Largest request.")] = Limits.upload_bytes // 2**20,
    max_voxels: Annotated[int, typer.Option(min=1, help="Largest image, over all frames.")] = Limits.voxels,
    max_frames: Annotated[int, typer.Option(min=2, help="Longest image.")] = Limits.frames,
    max_jobs: Annotated[int, typer.Option(min=1, help="Jobs that wait or run at a time.")] = Limits.jobs,
    max_dicom_mb: Annotated[
        int, typer.Option(min=1, help="DICOM files of one import, unpacked.")
    ] = Limits.dicom_bytes // 2**20,
    max_dicom_files: Annotated[int, typer.Option(min=1, help="DICOM files of one import.")] = Limits.dicom_files,
    ready_file: Annotated[
        Path | None, typer.Option(help="Gets the address, as JSON, once the server answers.")
    ] = None,
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"], typer.Option(help="Of the log on stderr.")
    ] = "INFO",
    # For programs that start a server of their own; they hold the other end of its standard input.
    stop_with_parent: Annotated[bool, typer.Option("--stop-with-parent", hidden=True)] = False,
) -> None:
    """Start the MONAI Label server on a folder of studies; Ctrl-C ends it."""
    settings = ServerSettings(
        studies=_studies_folder(studies),
        host=host,
        port=port,
        token=read_token(token_file),
        allowed_origins=tuple(allow_origin or ()),
        allowed_hosts=tuple(allow_host or ()),
        cache_folder=cache_folder,
        limits=Limits(
            upload_bytes=max_upload_mb * 2**20,
            voxels=max_voxels,
            frames=max_frames,
            jobs=max_jobs,
            dicom_bytes=max_dicom_mb * 2**20,
            dicom_files=max_dicom_files,
        ),
        **({} if threads is None else {"threads": threads}),
    )
    if not settings.is_local and settings.token is None and not without_token:
        raise InputError(
            f"{host} can be reached from other machines: give a token with --token-file or {TOKEN_VARIABLE}, or "
            "say --without-token"
        )
    if "*" in settings.allowed_origins:
        raise InputError("expected the origins of web pages by name, such as https://viewer.example.org, got *")
    if ready_file is not None:
        check_target(ready_file)
    # Takes seconds to import, which no other command should wait for.
    try:
        with warnings.catch_warnings():
            # Of libraries among themselves; nobody who starts a server can do anything about them.
            warnings.simplefilter("ignore", DeprecationWarning)
            from monailabel_app.serving import run_server  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise InputError(
            f"the server needs {error.name}, which is not installed; see the README's section on installing"
        ) from error
    run_server(settings, ready_file=ready_file, log_level=log_level, stop_with_parent=stop_with_parent)


def _studies_folder(path: Path) -> Path:
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"expected a folder of studies, got {path}: {error.strerror}") from error
    return path.resolve()
