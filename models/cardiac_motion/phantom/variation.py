"""Hearts far more varied than patients' are, for networks that have to meet every patient.

After SynthSeg (Billot et al. 2023): what a network has seen in every form and contrast it finds in those it has
not seen, too.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from cardiac_motion.phantom.heart import Heart


def vary_heart(heart: Heart, rng: np.random.Generator) -> Heart:
    """A heart with measures drawn anew, wide, independent of each other.

    Walls from thin to four times as thick, small to strongly dilated ventricles, a wide or narrow RV that reaches
    more or less far around and down, small to dilated atria, smooth to strongly trabeculated walls with trabeculae
    that contraction leaves open or closes; a base that is oblique, and whose wall gives way to the outflow tract.
    Wall and radius are lognormal about those of patients: where a wall's edge cannot be seen, the likely one is to
    be learnt.

    Args:
        heart: as drawn for a patient; what is not drawn anew stays.
        rng: to draw with.
    """

    def uniform(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    def lognormal(median: float, sigma: float, low: float, high: float) -> float:
        return float(np.clip(median * math.exp(rng.normal(0, sigma)), low, high))

    length = uniform(68, 118)
    radius = lognormal(25, 0.22, 14, 40)
    wall = lognormal(8.5, 0.33, 4.5, 20)
    la_x, la_y, _ = heart.la_centre
    la, ra = uniform(0.75, 1.55), uniform(0.75, 1.6)

    def atrium(x: float, y: float, z: float) -> tuple[float, float, float]:
        return x * uniform(0.85, 1.15), y * uniform(0.85, 1.15), z * uniform(0.85, 1.15)

    return replace(
        heart,
        length=length,
        endo_radius=radius,
        wall=wall,
        apex_wall=uniform(3, 0.6 * wall + 4),
        equator=length * uniform(0.62, 0.86),
        wall_asymmetry=uniform(0, 0.35),
        rv_width=lognormal(31, 0.25, 13, 55),
        rv_apex=length * uniform(0.04, 0.35),
        rv_equator=length * uniform(0.72, 0.97),
        rv_angle=math.pi + uniform(-0.35, 0.45),
        rv_half_angle=uniform(0.95, 1.5),
        rvot_height=uniform(10, 26),
        rv_trabeculae=uniform(0.2, 1.7),
        lv_trabeculae=uniform(0.1, 1.65),
        la_radii=atrium(29 * la, 24 * la, 25 * la),
        la_centre=(la_x, la_y, length + 20 * la),
        ra_radii=atrium(24 * ra, 28 * ra, 25 * ra),
        ra_centre=(-radius - wall - 8 * ra, heart.ra_centre[1], length + 16 * ra),
        papillary_radius=uniform(2.5, 8),
        papillary_heights=(length * uniform(0.15, 0.32), length * uniform(0.5, 0.8)),
        papillary_offset=uniform(0.55, 0.8),
        fat=uniform(0, 7),
        compaction=uniform(0.4, 2.6),
        rv_compaction=uniform(0.0, 0.8),
        base_tilt=(uniform(-0.15, 0.15), uniform(-0.15, 0.15)),
        outflow_depth=uniform(0, 32),
        outflow_half_angle=uniform(0.3, 1.6),
        outflow_is_blood=bool(rng.random() < 0.6),
        pericardium=uniform(0.5, 2.5) if rng.random() < 0.5 else 0.0,
        pericardial_fat=max(uniform(-3, 8), 0.0),
        band_radius=uniform(1, 3.5) if rng.random() < 0.3 else 0.0,
        band_height=length * uniform(0.25, 0.6),
    )
