"""Side-by-side runs against peers; not part of the package."""

# Before torch, which reads the wait policy of threads that the package sets.
import cardiac_motion  # noqa: F401
