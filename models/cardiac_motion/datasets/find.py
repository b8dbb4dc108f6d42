"""Which data set a folder holds, told by its files."""

from __future__ import annotations

from pathlib import Path

from cardiac_motion.datasets import acdc, mnms, studies, sunnybrook, ukbb
from cardiac_motion.datasets import folder as any_folder
from cardiac_motion.datasets.case import Dataset
from cardiac_motion.datasets.files import Listing
from cardiac_motion.errors import InputError

_LAYOUTS = (acdc, mnms, sunnybrook, ukbb, studies)


def find_dataset(folder: Path | str) -> Dataset:
    """The data set in a folder; no image is read yet.

    ``Info.cfg`` tells ACDC, a table with "External code", ED and ES tells M&Ms, contours as text files tell
    Sunnybrook, ``sa.nii.gz`` or ``label_sa_ED.nii.gz`` and the like UK Biobank as ukbb_cardiac has it,
    ``.cardiac_motion`` the studies of a server. Everything else is a folder of images with labels beside some of
    them, see `cardiac_motion.datasets.folder`.

    Raises:
        InputError: no such folder, no image in it, files of two of these layouts, or whatever is wrong with the
            layout, with the name of the file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"expected a folder of images and labels, got {folder}")
    listing = Listing.of(folder)
    found = {layout: sign for layout in _LAYOUTS if (sign := layout.recognise(listing)) is not None}
    if len(found) > 1:
        signs = " and ".join(f"{layout.NAME} ({sign})" for layout, sign in found.items())
        raise InputError(f"{folder}: expected one data set, got signs of {signs}; give the folder of one of them")
    layout = next(iter(found), any_folder)
    return layout.read_dataset(listing)
