"""The server's log: one JSON object a line, without anything that could name a patient.

Ids and names of files may hold patients' names, so that no line has a query, an id, a path of the studies folder
or the text of an exception: only what kind of thing happened, where in the code, and numbers.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

_FIELDS = "fields"
_KNOWN = frozenset({"monailabel_app", "uvicorn", "warnings"})
"""Loggers whose texts are known to name nobody."""

_QUIET = (
    "monailabel",
    "monai",
    "filelock",
    "urllib3",
    "asyncio",
    "uvicorn.access",
    "multipart",
    "python_multipart",
)


class JsonFormatter(logging.Formatter):
    """A log record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, event and the record's own fields."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
        }
        if record.name.partition(".")[0] in _KNOWN:
            # Further lines would be the traceback of others, with the text of an exception.
            line["event"] = record.getMessage().strip().partition("\n")[0]
        else:
            # What others write may hold anything.
            line |= {"event": "library", "logger": record.name, "where": f"{record.filename}:{record.lineno}"}
        line |= getattr(record, _FIELDS, {})
        if record.exc_info and record.exc_info[1] is not None:
            line |= where_of(record.exc_info[1])
        return json.dumps(line)


def log_event(logger: logging.Logger, level: int, event: str, **fields: Any) -> None:
    """Log an event with fields of its own; floats are rounded."""
    rounded = {name: round(value, 4) if isinstance(value, float) else value for name, value in fields.items()}
    logger.log(level, event, extra={_FIELDS: rounded})


def where_of(error: BaseException) -> dict[str, Any]:
    """The kind of an error and the places in the code that it passed; its text may name a patient."""
    frames = traceback.extract_tb(error.__traceback__)
    return {
        "error": type(error).__name__,
        "where": [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames[-12:]],
    }


def configure_logs(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send the log of the whole process to a stream, by default stderr."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET:
        # Their lines hold requests, ids and paths.
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logger = logging.getLogger("warnings")

    def show(
        message: Warning | str,  # noqa: ARG001 - its text may name a file
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,  # noqa: ARG001 - the signature is given
        line: str | None = None,  # noqa: ARG001
    ) -> None:
        log_event(
            logger, logging.WARNING, "warning", kind=category.__name__, where=f"{Path(filename).name}:{lineno}"
        )

    warnings.showwarning = show
