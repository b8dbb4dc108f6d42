"""Evaluation measures: numpy arrays in, plain numbers or arrays out.

Conventions, the same throughout:

- A mask is boolean, one structure at one frame: (Y, X) for a slice, (Z, Y, X) for a stack. The name of a measure
  says what it looks at: ``_stack`` (the whole stack, in 3D), ``_shared_slices`` (in 3D, slices that hold the
  structure at both frames), ``_per_slice`` (each slice in 2D, one value each), ``_3d`` (surfaces in 3D).
- Spacing is in mm, in the order of the axes. Displacements are in mm along the array axes.
- A measure that is not defined is NaN, never 0 or infinity, and never raises. Overlap: both masks empty is NaN,
  one empty is 0. Distances: one or both empty is NaN. Report how many values were NaN beside any mean.
"""

from cardiac_motion.metrics.checks import mean_where_defined
from cardiac_motion.metrics.field import (
    InverseConsistencyError,
    end_point_distance,
    end_point_error,
    folds,
    inverse_consistency_error,
    sd_log_jacobian,
    temporal_gradient,
)
from cardiac_motion.metrics.image import rmse, ssim_per_slice, ssim_slices
from cardiac_motion.metrics.overlap import (
    dice_per_slice,
    dice_shared_slices,
    dice_stack,
    slices_holding,
)
from cardiac_motion.metrics.reliability import reliability, reliability_curve
from cardiac_motion.metrics.surface import (
    SurfaceDistances,
    assd_3d,
    hausdorff95_3d,
    hausdorff_3d,
    hausdorff_per_slice,
    mean_contour_distance,
    mean_contour_distance_per_slice,
    surface_distances,
)

__all__ = [
    "InverseConsistencyError",
    "SurfaceDistances",
    "assd_3d",
    "dice_per_slice",
    "dice_shared_slices",
    "dice_stack",
    "end_point_distance",
    "end_point_error",
    "folds",
    "hausdorff95_3d",
    "hausdorff_3d",
    "hausdorff_per_slice",
    "inverse_consistency_error",
    "mean_contour_distance",
    "mean_contour_distance_per_slice",
    "mean_where_defined",
    "reliability",
    "reliability_curve",
    "rmse",
    "sd_log_jacobian",
    "slices_holding",
    "ssim_per_slice",
    "ssim_slices",
    "surface_distances",
    "temporal_gradient",
]
