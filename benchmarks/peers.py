"""Established 2D registration methods with pinned settings, all behind one signature.

A peer is ``peer(fixed, moving, spacing) -> PeerField``: two images (Y, X) of the same grid and the pixel size
(y, x) in mm in, and a pull-back field (2, Y, X) in mm out, components (y, x): at each pixel of the fixed grid the
way to the matching point of the moving image, so that ``fixed(p) ~ moving(p + u(p))``.

Every image is handed over with its first array axis as ITK's first axis, so that points, spacings and vector
components keep the order (y, x) throughout, the origin is 0 and the direction is the identity.

Sources: Vercauteren et al. 2009 (diffeomorphic demons), Avants et al. 2008 (SyN), Rueckert et al. 1999 and
Klein et al. 2010 (B-spline, elastix).
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk  # noqa: N813 - the customary name

Image = npt.NDArray[np.float32]
Spacing = tuple[float, float]

THREADS = 2
"""Threads for every peer, so that none is timed with more of the machine than another."""

# ANTs and ITK read this once, when their libraries are loaded.
os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", str(THREADS))


@dataclass(frozen=True)
class PeerField:
    """What a peer found.

    Attributes:
        field: (2, Y, X) float32, mm, components (y, x): from the fixed grid to the moving image.
        inverse: the same from the moving grid to the fixed image, where the method itself offers one.
    """

    field: Image
    inverse: Image | None = None


Peer = Callable[[Image, Image, Spacing], PeerField]


def _checked(fixed: Image, moving: Image) -> tuple[Image, Image]:
    if fixed.ndim != 2 or fixed.shape != moving.shape:
        raise ValueError(f"expected two images (Y, X) of one shape, got {fixed.shape} and {moving.shape}")
    return np.ascontiguousarray(fixed, dtype=np.float32), np.ascontiguousarray(moving, dtype=np.float32)


def demons(fixed: Image, moving: Image, spacing: Spacing) -> PeerField:
    """Diffeomorphic demons (SimpleITK): 150 iterations, field smoothed by a Gaussian of sigma 1.5 pixels.

    Histograms are not matched: both frames come from one acquisition, and on the real pairs matching lowers
    demons' mean Dice by about .01.
    """
    fixed, moving = _checked(fixed, moving)
    registration = sitk.DiffeomorphicDemonsRegistrationFilter()
    registration.SetNumberOfIterations(150)
    registration.SetStandardDeviations(1.5)
    registration.SetNumberOfThreads(THREADS)
    return PeerField(_from_sitk(registration.Execute(_sitk_image(fixed, spacing), _sitk_image(moving, spacing))))


def _sitk_image(image: Image, spacing: Spacing) -> sitk.Image:
    # SimpleITK takes the last array axis as its first: the transpose makes that one y.
    result = sitk.GetImageFromArray(image.T)
    result.SetSpacing([float(s) for s in spacing])
    return result


def _from_sitk(field: sitk.Image) -> Image:
    values = sitk.GetArrayFromImage(field)
    return np.ascontiguousarray(values.transpose(2, 1, 0), dtype=np.float32)


def syn(fixed: Image, moving: Image, spacing: Spacing) -> PeerField:
    """ANTs SyN without an affine stage: cross-correlation of radius 4, 60 iterations on each of three levels."""
    import ants  # noqa: PLC0415 - an extra, and slow to load

    fixed, moving = _checked(fixed, moving)
    images = [ants.from_numpy(image, spacing=tuple(float(s) for s in spacing)) for image in (fixed, moving)]
    with tempfile.TemporaryDirectory(prefix="syn-") as folder:
        result = ants.registration(
            images[0],
            images[1],
            type_of_transform="SyNOnly",
            initial_transform="Identity",
            syn_metric="CC",
            syn_sampling=4,
            reg_iterations=(60, 60, 60),
            outprefix=str(Path(folder) / "pair-"),
        )
        field, inverse = (_ants_warp(result[key]) for key in ("fwdtransforms", "invtransforms"))
    return PeerField(field, inverse)


def _ants_warp(names: list[str]) -> Image:
    """The one warp field (2, Y, X) among the files that make up a transform."""
    import ants  # noqa: PLC0415

    warps = [name for name in names if name.endswith("Warp.nii.gz")]
    if len(warps) != 1:
        raise RuntimeError(f"expected one warp field from ANTs, got {names}")
    return np.ascontiguousarray(np.moveaxis(ants.image_read(warps[0]).numpy(), -1, 0), dtype=np.float32)


def bspline(fixed: Image, moving: Image, spacing: Spacing) -> PeerField:
    """Elastix B-splines: three levels, final grid of 8 pixels, 256 iterations a level, its default metric."""
    import itk  # noqa: PLC0415 - an extra, and slow to load

    # Elastix's own SetNumberOfThreads crashes in version 0.25.4.
    itk.MultiThreaderBase.SetGlobalDefaultNumberOfThreads(THREADS)
    fixed, moving = _checked(fixed, moving)
    images = [_itk_image(itk, image, spacing) for image in (fixed, moving)]
    parameters = itk.ParameterObject.New()
    settings = parameters.GetDefaultParameterMap("bspline", 3, 8.0)
    del settings["FinalGridSpacingInPhysicalUnits"]
    settings["FinalGridSpacingInVoxels"] = ["8"]
    settings["MaximumNumberOfIterations"] = ["256"]
    settings["RandomSeed"] = ["1"]  # its sampler is random; a fixed seed makes runs comparable
    settings["WriteResultImage"] = ["false"]
    parameters.AddParameterMap(settings)
    registration = itk.ElastixRegistrationMethod.New(images[0], images[1])
    registration.SetParameterObject(parameters)
    registration.SetLogToConsole(False)
    registration.UpdateLargestPossibleRegion()
    transform = itk.TransformixFilter.New(images[1])
    transform.SetTransformParameterObject(registration.GetTransformParameterObject())
    transform.SetComputeDeformationField(True)
    transform.SetLogToConsole(False)
    with tempfile.TemporaryDirectory(prefix="bspline-") as folder:
        transform.SetOutputDirectory(folder)  # it writes the field to the working folder otherwise
        transform.UpdateLargestPossibleRegion()
        values = itk.array_from_image(transform.GetOutputDeformationField())
    return PeerField(np.ascontiguousarray(values.transpose(2, 1, 0), dtype=np.float32))


def _itk_image(itk: object, image: Image, spacing: Spacing) -> object:
    result = itk.image_from_array(np.ascontiguousarray(image.T))  # type: ignore[attr-defined]
    result.SetSpacing([float(s) for s in spacing])
    return result


PEERS: Mapping[str, Peer] = {"demons": demons, "syn": syn, "bspline": bspline}
"""Every peer by its name."""

_LIBRARIES = {"syn": "ants", "bspline": "itk.elxParameterObjectPython"}
"""A module that comes only with the library; ITK itself comes with others too."""


def missing_library(name: str) -> str | None:
    """The module that a peer needs and that is not installed, or None."""
    if name not in PEERS:
        raise ValueError(f"expected one of {', '.join(PEERS)}, got {name!r}")
    library = _LIBRARIES.get(name)
    return library if library is not None and not _is_installed(library) else None


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
