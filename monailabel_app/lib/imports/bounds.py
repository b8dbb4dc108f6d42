"""Bounds that the system holds a process to, where it is POSIX; elsewhere there are none."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_STATM = Path("/proc/self/statm")


def bound_memory(n_bytes: int | None) -> None:
    """Let the process take this much memory beyond what it has now; None for as much as there is.

    Beyond it, allocations fail. Counted is address space, of which libraries have a lot when they are loaded.
    """
    try:
        import resource  # noqa: PLC0415 - POSIX alone has it
    except ModuleNotFoundError:
        return
    limit = resource.RLIM_INFINITY
    if n_bytes is not None:
        limit = n_bytes
        # Where the system does not tell, as on macOS, the libraries count too.
        with suppress(OSError, ValueError):
            limit += int(_STATM.read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    _set(resource.RLIMIT_AS, limit)


def bound_processor(seconds: int) -> None:
    """Let the process have this much time of the processor; then the system ends it."""
    try:
        import resource  # noqa: PLC0415 - as above
    except ModuleNotFoundError:
        return
    _set(resource.RLIMIT_CPU, seconds)


def _set(kind: int, limit: int) -> None:
    import resource  # noqa: PLC0415 - as above

    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        limit = hard if limit == resource.RLIM_INFINITY else min(limit, hard)
    with suppress(ValueError, OSError):  # a system that has the name and not the limit
        resource.setrlimit(kind, (limit, hard))
