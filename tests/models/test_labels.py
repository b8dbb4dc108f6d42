from cardiac_motion.labels import COLOURS, STRUCTURES, Label


def test_values_are_those_of_acdc_with_the_atria_after_them() -> None:
    values = {label.name: int(label) for label in Label}
    assert values == {"BACKGROUND": 0, "RV": 1, "MYO": 2, "LV": 3, "LA": 4, "RA": 5}


def test_every_structure_has_its_own_colour() -> None:
    assert set(COLOURS) == set(STRUCTURES)
    assert len(set(COLOURS.values())) == len(STRUCTURES)
