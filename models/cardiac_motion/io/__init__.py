"""Reading, checking and writing of cines, single frames and label maps.

Formats, by the ending of the name: NIfTI (``.nii``, ``.nii.gz``), NRRD (``.nrrd``, Slicer's ``.seq.nrrd``), and a
folder of 3D frames. Whatever is wrong with a file comes as one `InputError` that names it; what is unusual but
understood, as one `GeometryWarning`.
"""

from cardiac_motion.io.cines import load_cine, load_frame, read_cine, read_frame, write_cine
from cardiac_motion.io.geometry import (
    RAS_TO_LPS,
    SKEW_TOLERANCE,
    CornerDistance,
    corner_distance,
    nearest_orthonormal,
    skew,
)
from cardiac_motion.io.image_file import MAX_VOXELS
from cardiac_motion.io.labels import CORNER_TOLERANCE, LabelImage, check_labels, read_labels, write_labels
from cardiac_motion.io.probabilities import PROBABILITY_STEPS, check_probabilities_ending, write_probabilities

__all__ = [
    "CORNER_TOLERANCE",
    "MAX_VOXELS",
    "PROBABILITY_STEPS",
    "RAS_TO_LPS",
    "SKEW_TOLERANCE",
    "CornerDistance",
    "LabelImage",
    "check_labels",
    "check_probabilities_ending",
    "corner_distance",
    "load_cine",
    "load_frame",
    "nearest_orthonormal",
    "read_cine",
    "read_frame",
    "read_labels",
    "skew",
    "write_cine",
    "write_labels",
    "write_probabilities",
]
