"""What the server answers when a request cannot be done: one class per HTTP status."""

from __future__ import annotations

import errno
import re
from typing import ClassVar

from cardiac_motion.errors import InputError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""No space left, quota exceeded, file too large for the file system or the process."""

_NO_MEMORY = re.compile(r"DefaultCPUAllocator: (can't|not enough)|out of memory")
"""What PyTorch says, for which it has no exception of its own on the CPU."""


class RequestError(Exception):
    """A request that cannot be done.

    Args:
        message: what was expected and what came.
        code: a short name for programs; by default that of the class.
        field: the parameter that is wrong, or None.
    """

    status: ClassVar[int] = 400
    default_code: ClassVar[str] = "bad_request"

    def __init__(self, message: str, *, code: str | None = None, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.field = field

    def to_json(self) -> dict[str, dict[str, str | None]]:
        """The body of the answer; halves of characters, which JSON may bring in, are written out."""
        field = None if self.field is None else _encodable(self.field)
        return {"error": {"code": self.code, "message": _encodable(self.message), "field": field}}


class Unauthorized(RequestError):
    """No token, or not the right one."""

    status = 401
    default_code = "unauthorized"


class Forbidden(RequestError):
    """A page of another origin, or a name that this server does not answer to."""

    status = 403
    default_code = "forbidden"


class NotFound(RequestError):
    """A case, label, version, model, strategy or job that does not exist."""

    status = 404
    default_code = "not_found"


class NotAllowed(RequestError):
    """Something that this server never does, such as deleting a case."""

    status = 405
    default_code = "not_allowed"


class Conflict(RequestError):
    """Something of that name is there already and differs, or the state does not allow it."""

    status = 409
    default_code = "conflict"


class TooLarge(RequestError):
    """An upload beyond the limits."""

    status = 413
    default_code = "too_large"


class Unprocessable(RequestError):
    """A file or parameters that were understood and do not fit."""

    status = 422
    default_code = "unprocessable"


class Busy(RequestError):
    """As many jobs as are allowed at a time."""

    status = 429
    default_code = "busy"


class Damaged(RequestError):
    """A file of the server's own that is no longer what was saved."""

    status = 500
    default_code = "damaged"


class HeadTooLarge(RequestError):
    """A request whose address and headers are beyond the limit."""

    status = 431
    default_code = "too_large"


class InternalError(RequestError):
    """A mistake in the server, or something wrong with its machine."""

    status = 500
    default_code = "internal"


class Stopping(RequestError):
    """The server is being stopped."""

    status = 503
    default_code = "stopping"


class StorageFull(RequestError):
    """The disk has no room."""

    status = 507
    default_code = "storage_full"


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def full_disk(error: BaseException) -> StorageFull | None:
    """What to answer where an error, or what caused it, is a full disk; None for any other."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in _FULL:
            return StorageFull("the server's disk has no room left; nothing was saved")
        seen = seen.__cause__ or seen.__context__
    return None


def as_request_error(error: BaseException) -> RequestError:
    """Any error as what the server answers."""
    if isinstance(error, RequestError):
        return error
    full = full_disk(error)
    if full is not None:
        return full
    if isinstance(error, InputError) and not isinstance(error.__cause__, OSError):
        return Unprocessable(str(error))
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _NO_MEMORY.search(str(error))):
        return Unprocessable("too large for the memory of the server", code="too_large")
    # Of an InputError that an OSError caused the text names a place of this machine; the client cannot mend it.
    return InternalError("something went wrong in the server; its log says where")
