"""The main job: a cine and the labels of some frames in, labels on all frames out."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cardiac_motion.aligned import SliceAlignment
from cardiac_motion.analysis.volumes import CardiacFunction, cardiac_function, volumes_ml
from cardiac_motion.cine import Cine
from cardiac_motion.errors import InputError
from cardiac_motion.io import LabelImage, check_labels, read_labels
from cardiac_motion.labels import Label
from cardiac_motion.metrics import folds
from cardiac_motion.motion import Motion
from cardiac_motion.motion_cache import MotionCache, cache_key
from cardiac_motion.propagation import Propagator
from cardiac_motion.registration.base import MotionModel, Progress, as_settings, check_reference, silent

Labels = npt.NDArray[np.uint8]

OUTSIDE_WARNING = 0.02
"""Share of a key frame's labels in places that the model holds still, above which there is a warning."""

_NO_FUNCTION: dict[str, Any] = {"ed": None, "es": None, "ejection_fraction": {}, "stroke_ml": {}, "mass_g": {}}
"""What `CardiacFunction.to_json` gives, where there is nothing to give."""


def split_label_argument(text: str) -> tuple[Path, int | None]:
    """A command-line argument LABEL@FRAME or LABEL as path and frame.

    An @ that no whole number follows is part of the file's name.
    """
    name, at, frame = text.rpartition("@")
    return (Path(name), int(frame)) if at and name and frame.isdecimal() else (Path(text), None)


def read_key_frames(
    arguments: Sequence[str], cine: Cine, *, note: Callable[[str], None] = lambda _text: None
) -> dict[int, Labels]:
    """Labels (Z, Y, X) of the key frames by frame, from arguments LABEL@FRAME or LABEL.

    A 3D label needs its frame. A 4D label gives the frame that is named, or each frame that is not empty.

    Args:
        arguments: of the command line.
        cine: that they belong to.
        note: called with a sentence for the user where a 4D label gives several frames that nobody has named.

    Raises:
        InputError: a label that cannot be read or does not fit the cine, a frame that is missing, not there,
            empty or given twice.
    """
    found: dict[int, Labels] = {}
    for argument in arguments:
        path, frame = split_label_argument(argument)
        name, at, number = argument.rpartition("@")
        if frame is None and at and Path(name).exists() and not path.exists():
            raise InputError(f"{argument}: expected a frame from 0 to {cine.n_frames - 1} after @, got {number!r}")
        image = read_labels(path)
        check_labels(image, cine)
        if frame is not None and not 0 <= frame < cine.n_frames:
            raise InputError(f"{argument}: the cine has frames 0 to {cine.n_frames - 1}, got frame {frame}")
        if frame is not None:
            given = {frame: image.labels[frame if image.is_4d else 0]}
        elif image.is_4d:
            given = _labelled_frames(path, image, note)
        else:
            raise InputError(f"{path} is a 3D label: say which frame it belongs to, as {path.name}@0")
        for t, labels in given.items():
            if t in found:
                raise InputError(f"{argument}: frame {t} has been given labels before")
            if not labels.any():
                raise InputError(f"{argument}: the labels of frame {t} are empty")
            found[t] = labels
    return found


def _labelled_frames(path: Path, image: LabelImage, note: Callable[[str], None]) -> dict[int, Labels]:
    """Every frame of a 4D label that is not empty."""
    found = {t: labels for t, labels in enumerate(image.labels) if labels.any()}
    if not found:
        raise InputError(f"{path}: expected labels on at least one frame, every frame is empty")
    if len(found) > 1:
        note(
            f"{path.name} is 4D and no frame was named: all {len(found)} of its frames that hold labels are key "
            f"frames, which stay as they are; to carry one alone, give {path.name}@{min(found)}"
        )
    return found


@dataclass(frozen=True, eq=False)
class Propagated:
    """Labels on all frames and how they came about.

    Attributes:
        labels: (T, Z, Y, X).
        motion: that carried them.
        key_frames: frames that keep what was drawn, in order.
        motion_seconds: of estimating the motion, or of reading it from the cache.
        propagation_seconds: of carrying the labels.
        folds: share of folded voxels of the motion, see `share_of_folds`.
        from_cache: whether the motion was known.
        warnings: for the reader; the summary also has those of the function.
    """

    labels: Labels
    motion: Motion
    key_frames: tuple[int, ...]
    motion_seconds: float
    propagation_seconds: float
    folds: float
    from_cache: bool
    warnings: tuple[str, ...]

    @property
    def is_single_slice(self) -> bool:
        """Whether the cine has one slice only."""
        return self.labels.shape[1] == 1

    @cached_property
    def volumes_ml(self) -> dict[Label, npt.NDArray[np.float64]]:
        """Volume of each structure in each frame, ml; none for a single slice, which has no volume."""
        if self.is_single_slice:
            return {}
        return volumes_ml(self.labels, self.motion.spacing)

    @property
    def function(self) -> CardiacFunction | None:
        """Function of the ventricles; None where no ventricle is labelled, and for a single slice."""
        volumes = self.volumes_ml
        return cardiac_function(volumes) if Label.LV in volumes or Label.RV in volumes else None

    def summary(self) -> dict[str, Any]:
        """Plain values for JSON: model, frames, volumes, function, folds, seconds, warnings."""
        function = self.function
        return {
            "model": {"name": self.motion.model, "version": whole_number(self.motion.version)},
            "reference": self.motion.reference,
            "key_frames": list(self.key_frames),
            "volumes_ml": {s.name: [round(float(v), 3) for v in curve] for s, curve in self.volumes_ml.items()},
            **function_json(function),
            "folds": self.folds,
            "seconds": {
                "motion": round(self.motion_seconds, 3),
                "propagation": round(self.propagation_seconds, 3),
            },
            "motion_from_cache": self.from_cache,
            "warnings": [*self.warnings, *(function.warnings() if function else ())],
        }


def function_json(function: CardiacFunction | None) -> dict[str, Any]:
    """Function of the ventricles as plain values for JSON; the same names without any."""
    return function.to_json() if function else copy.deepcopy(_NO_FUNCTION)


def whole_number(version: str) -> int | str:
    """A version as a number where it is a whole one, as the server's interface has it; else as it is."""
    return int(version) if version.isascii() and version.isdecimal() else version


def motion_key(
    cine: Cine, model: MotionModel, *, reference: int, options: Any, alignment: SliceAlignment | None = None
) -> str:
    """The key of a motion in the cache: the image, the model and how it is to be run, defaults filled in.

    An alignment that moves nothing is none.
    """
    settings = as_settings(options)
    if alignment is not None and alignment.moves:
        settings = {**settings, "align": alignment.settings}
    return cache_key(
        image_hash=cine.content_hash,
        model=model.name,
        weights_checksum=model.weights_checksum,
        code_version=model.version,
        reference=reference,
        settings=settings,
    )


def estimate_aligned(
    cine: Cine,
    model: MotionModel,
    *,
    reference: int,
    options: Any,
    alignment: SliceAlignment | None = None,
    progress: Progress = silent,
) -> Motion:
    """The motion of a cine on its own grid, estimated on the aligned cine where there is an alignment.

    Raises:
        InputError: a frame or an option that does not exist, or an alignment of another grid.
        Cancelled: from the progress callback.
    """
    if alignment is None or not alignment.moves:
        return model.estimate(cine, reference=reference, options=options, progress=progress)
    motion = model.estimate(alignment.align(cine), reference=reference, options=options, progress=progress)
    return alignment.motion_back(motion, cine)


def estimate_motion(
    cine: Cine,
    model: MotionModel,
    *,
    reference: int = 0,
    options: Any = None,
    alignment: SliceAlignment | None = None,
    cache: MotionCache | None = None,
    progress: Progress = silent,
) -> tuple[Motion, bool]:
    """The motion of a cine, and whether it was known already; with an alignment, see `estimate_aligned`.

    Raises:
        InputError: a frame or an option that does not exist.
        Cancelled: from the progress callback.
    """
    check_reference(cine, reference)
    options = model.default_options if options is None else options
    key = motion_key(cine, model, reference=reference, options=options, alignment=alignment)
    known = None if cache is None else cache.get(key)
    if known is not None:
        return known, True
    motion = estimate_aligned(
        cine, model, reference=reference, options=options, alignment=alignment, progress=progress
    )
    if cache is not None:
        cache.put(key, motion)
    return motion, False


def propagate_cine(
    cine: Cine,
    key_frames: Mapping[int, Labels],
    model: MotionModel,
    *,
    reference: int = 0,
    options: Any = None,
    alignment: SliceAlignment | None = None,
    cache: MotionCache | None = None,
    progress: Progress = silent,
) -> Propagated:
    """Carry the labels of the key frames through the whole cycle.

    With an alignment the motion is estimated on the aligned cine; labels are those of the native one throughout.

    Raises:
        InputError: no key frame, labels that do not fit, a frame or an option that does not exist.
        Cancelled: from the progress callback.
    """
    if not key_frames:
        raise InputError("propagation needs at least one key frame, got none")
    start = time.perf_counter()
    motion, known = estimate_motion(
        cine, model, reference=reference, options=options, alignment=alignment, cache=cache, progress=progress
    )
    return KnownMotion(motion).carry(key_frames, motion_seconds=time.perf_counter() - start, from_cache=known)


class KnownMotion:
    """A motion with all that is computed from it once, for labels that are carried again and again.

    Threads may share it.

    Args:
        motion: of a cine.
    """

    def __init__(self, motion: Motion) -> None:
        self.motion = motion
        self._propagator = Propagator(motion)
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Memory of the motion and of what is kept for the next labels."""
        motion = self.motion
        return motion.to_reference.nbytes + motion.from_reference.nbytes + self._propagator.nbytes

    @cached_property
    def _still(self) -> npt.NDArray[np.bool_]:
        return ~_moving(self.motion)

    @cached_property
    def folds(self) -> float:
        """See `share_of_folds`."""
        return share_of_folds(self.motion)

    def carry(
        self, key_frames: Mapping[int, Labels], *, motion_seconds: float = 0.0, from_cache: bool = True
    ) -> Propagated:
        """Carry the labels (Z, Y, X) of the key frames through the cycle; key frames of before are forgotten.

        Args:
            key_frames: by frame.
            motion_seconds: what it took to get the motion.
            from_cache: whether it was known.

        Raises:
            InputError: no key frame, labels that do not fit, a frame that does not exist.
        """
        if not key_frames:
            raise InputError("propagation needs at least one key frame, got none")
        start = time.perf_counter()
        with self._lock:
            self._propagator.set_key_frames(key_frames)
            labels = self._propagator.labels
        end = time.perf_counter()
        return Propagated(
            labels=labels,
            motion=self.motion,
            key_frames=tuple(sorted(key_frames)),
            motion_seconds=motion_seconds,
            propagation_seconds=end - start,
            folds=self.folds,
            from_cache=from_cache,
            warnings=tuple(_warnings(self._still, key_frames)),
        )


def _moving(motion: Motion) -> npt.NDArray[np.bool_]:
    """Where anything ever moves: (Z, Y, X)."""
    return (np.abs(motion.from_reference).max(axis=(0, 1)) + np.abs(motion.to_reference).max(axis=(0, 1))) > 0


def _warnings(still: npt.NDArray[np.bool_], key_frames: Mapping[int, Labels]) -> list[str]:
    warnings = []
    for frame, labels in sorted(key_frames.items()):
        labelled = labels > 0
        outside = float(still[labelled].mean())
        if outside > OUTSIDE_WARNING:
            warnings.append(
                f"{100 * outside:.0f} % of the labels of frame {frame} lie outside the region that was "
                "registered; they do not move"
            )
    return warnings


def share_of_folds(motion: Motion) -> float:
    """Share of folded voxels of `to_reference`, over all frames; see `metrics.folds`.

    Only the part that moves is looked at, since nothing folds where nothing moves. The determinant of a motion
    in the plane is that of its 2D part.
    """
    moving = _moving(motion).any(axis=0)
    rows, columns = np.flatnonzero(moving.any(axis=1)), np.flatnonzero(moving.any(axis=0))
    if len(rows) == 0:
        return 0.0
    box = np.s_[max(rows[0] - 1, 0) : rows[-1] + 2, max(columns[0] - 1, 0) : columns[-1] + 2]
    part = motion.to_reference[(..., *box)]
    if motion.is_in_plane:
        share = folds(part[:, 1:].swapaxes(1, 2), motion.spacing[1:])
    else:
        share = folds(part, motion.spacing)
    return share * part[0, 0].size / motion.to_reference[0, 0].size
