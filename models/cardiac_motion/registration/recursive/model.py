"""The motion model `recursive`: training-free registration of pairs of images and of whole cines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cardiac_motion.cine import Cine
from cardiac_motion.errors import InputError
from cardiac_motion.fields import invert
from cardiac_motion.motion import Motion
from cardiac_motion.registration.base import (
    PairRegistration,
    Progress,
    as_settings,
    check_reference,
    silent,
)
from cardiac_motion.registration.recursive.layout import as_stack
from cardiac_motion.registration.recursive.objective import image_loss
from cardiac_motion.registration.recursive.options import RecursiveOptions, ResolvedOptions
from cardiac_motion.registration.recursive.paper import fit_network
from cardiac_motion.registration.recursive.sequence import register_sequence
from cardiac_motion.registration.recursive.velocity import (
    ANY_MOTION,
    SMALL_MOTION,
    build_pyramid,
    fit_pyramid,
    integrate,
)
from cardiac_motion.working_grid import find_heart, normalise

FloatArray = npt.NDArray[np.floating]


class RecursiveModel:
    """Recursive diffeomorphic registration, from scratch for every pair of images.

    By default a pyramid of velocity fields that are optimised directly; with ``parametrisation="network"`` the
    paper's network. See `RecursiveOptions`.
    """

    name = "recursive"
    version = "3"
    views = ("sax", "lax")
    weights_checksum: str | None = None
    default_options = RecursiveOptions()

    def register_pairs(
        self,
        fixed: FloatArray,
        moving: FloatArray,
        *,
        spacing: Sequence[float],
        options: RecursiveOptions | None = None,
        progress: Progress = silent,
    ) -> PairRegistration:
        """Register N pairs of images at once; each pair for itself, but for one scale of intensities for all.

        Args:
            fixed: (N, Y, X), or (N, Z, Y, X) with ``dimensions=3``; intensities in any unit.
            moving: of the same shape.
            spacing: of an image in mm, in the order of its axes.
            options: by default `default_options`.
            progress: called with the fraction done.

        Raises:
            InputError: shapes that do not fit each other, the spacing or the dimensions.
        """
        options = options or self.default_options
        resolved = options.resolved()
        if fixed.shape != moving.shape or fixed.ndim != resolved.dimensions + 1 or len(spacing) != fixed.ndim - 1:
            raise InputError(
                f"expected two sets of {resolved.dimensions}D images of one shape and their spacing, got "
                f"{fixed.shape}, {moving.shape} and spacing {tuple(spacing)}"
            )
        one, other = torch.from_numpy(normalise(np.stack([fixed, moving])))
        if options.parametrisation == "network":
            return _register_with_network(one, other, spacing, resolved, progress)
        loss = image_loss(resolved.similarity, robust=True)
        velocity = fit_pyramid(
            build_pyramid(one, spacing, resolved.levels),
            build_pyramid(other, spacing, resolved.levels),
            loss=loss,
            iterations=resolved.iterations,
            bidirectional=resolved.bidirectional,
            schedule=SMALL_MOTION if resolved.small_motion else ANY_MOTION,
            progress=lambda share: progress(share, "registering"),
        )
        progress(1.0, "registered")
        return PairRegistration(*integrate(velocity, one.shape[1:]))

    def estimate(
        self,
        cine: Cine,
        *,
        reference: int = 0,
        options: RecursiveOptions | None = None,
        progress: Progress = silent,
    ) -> Motion:
        """Motion of a cine within the heart's region, which is found from the image; nothing moves outside it.

        Args:
            cine: a stack or a single slice.
            reference: the frame that all others are registered with.
            options: by default `default_options`; a cine of one slice is always registered in 2D.
            progress: called with the fraction done; may raise `Cancelled`.

        Raises:
            InputError: a reference frame that does not exist, or an image without contrast.
        """
        options = options or self.default_options
        check_reference(cine, reference)
        if cine.shape[1] == 1 and options.dimensions == 3:
            options = replace(options, dimensions=2)
        region = find_heart(cine.frames, cine.spacing)
        images = torch.from_numpy(normalise(region.crop(cine.frames)))
        progress(0.0, "registering")
        if options.parametrisation == "network":
            to_reference, from_reference = _estimate_with_network(
                images, reference, cine.spacing, options.resolved(), progress
            )
        else:
            to_reference, from_reference = register_sequence(
                images, reference, cine.spacing, options.resolved(), progress
            )
        plane = cine.shape[2:]
        return Motion(
            region.embed(to_reference, plane),
            region.embed(from_reference, plane),
            reference=reference,
            affine=cine.affine,
            frame_times=cine.frame_times,
            model=self.name,
            version=self.version,
            image_hash=cine.content_hash,
            settings=as_settings(options),
        )


def _register_with_network(
    fixed: Tensor,
    moving: Tensor,
    spacing: Sequence[float],
    options: ResolvedOptions,
    progress: Progress,
    *,
    hold_border: bool = False,
) -> PairRegistration:
    loss = image_loss(options.similarity, robust=False)
    forward, backward = [], []
    for n, (one, other) in enumerate(zip(fixed, moving, strict=True)):
        ahead, back = fit_network(
            one,
            other,
            spacing,
            loss=loss,
            levels=options.levels,
            iterations=options.iterations,
            bidirectional=options.bidirectional,
            seed=options.seed,
            hold_border=hold_border,
            progress=lambda share, n=n: progress(  # type: ignore[misc]
                (n + share) / len(fixed), f"pair {n + 1} of {len(fixed)}"
            ),
        )
        forward.append(ahead)
        backward.append(invert(ahead).field if back is None else back)
    progress(1.0, "registered")
    return PairRegistration(torch.cat(forward), torch.cat(backward))


def _estimate_with_network(
    images: Tensor,
    reference: int,
    spacing: tuple[float, float, float],
    options: ResolvedOptions,
    progress: Progress,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Every frame with the reference, one by one: (T, 3, Z, Y, X) in mm, both ways."""
    t, z, *plane = images.shape
    both = np.zeros((2, t, 3, z, *plane), dtype=np.float32)
    others = [frame for frame in range(t) if frame != reference]
    for done, frame in enumerate(others):
        fixed, moving = images[frame], images[reference]
        if options.dimensions == 3:
            fixed, moving = fixed[None], moving[None]
        pair = _register_with_network(
            fixed,
            moving,
            spacing[-options.dimensions :],
            options,
            lambda share, message, done=done: progress(  # type: ignore[misc]
                (done + share) / len(others), f"frame {done + 1} of {len(others)}, {message}"
            ),
            hold_border=True,
        )
        for side, field in enumerate((pair.forward, pair.backward)):
            both[side, frame] = as_stack(field, 1, spacing)[0]
    return both[0], both[1]
