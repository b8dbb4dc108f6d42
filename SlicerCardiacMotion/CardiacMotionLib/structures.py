"""Label values, names, colours and SNOMED CT codes of the heart's structures, as the server has them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Structure:
    """One structure of a label map.

    Attributes:
        name: short name, which is also the id of its segment.
        value: in label maps.
        colour: RGB from 0 to 1.
        title: for people.
        code: SNOMED CT concept.
        meaning: of the code, as Slicer's list of DICOM codes has it.
    """

    name: str
    value: int
    colour: tuple[float, float, float]
    title: str
    code: str
    meaning: str

    @property
    def terminology(self) -> str:
        """The entry that a segment carries: list, category, type, no modifiers, no region.

        Slicer's list has chambers, not their cavities; a cavity has the code of its chamber.
        """
        return (
            "Segmentation category and type - DICOM master list~SCT^123037004^Anatomical Structure"
            f"~SCT^{self.code}^{self.meaning}~^^~Anatomic codes - DICOM master list~^^~^^"
        )


STRUCTURES: tuple[Structure, ...] = (
    Structure("RV", 1, (0.20, 0.55, 0.95), "Right ventricle, cavity", "53085002", "Right ventricle"),
    Structure("MYO", 2, (0.20, 0.80, 0.35), "Left ventricle, myocardium", "74281007", "Myocardium"),
    Structure("LV", 3, (0.95, 0.25, 0.20), "Left ventricle, cavity", "87878005", "Left ventricle"),
    Structure("LA", 4, (0.95, 0.65, 0.15), "Left atrium", "82471001", "Left atrium"),
    Structure("RA", 5, (0.70, 0.40, 0.90), "Right atrium", "73829009", "Right atrium"),
)
"""Every structure, in the order of its value."""

BY_NAME: dict[str, Structure] = {structure.name: structure for structure in STRUCTURES}
VENTRICLES: tuple[str, ...] = ("RV", "MYO", "LV")
"""What is contoured on a short-axis cine."""
