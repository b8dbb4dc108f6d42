"""One phantom: everything that is drawn from its seed, before anything is sampled."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cardiac_motion.phantom.body import Body, draw_body
from cardiac_motion.phantom.contraction import Contraction, draw_contraction
from cardiac_motion.phantom.cycle import Cycle, draw_cycle
from cardiac_motion.phantom.deformation import Deformation, Points
from cardiac_motion.phantom.heart import Heart, draw_heart
from cardiac_motion.phantom.options import PhantomOptions, stream
from cardiac_motion.phantom.shape import Shape, draw_shape
from cardiac_motion.phantom.texture import Texture, draw_texture
from cardiac_motion.phantom.tissues import Contrast, draw_contrast
from cardiac_motion.phantom.variation import vary_heart

Matrix = npt.NDArray[np.float64]

# Directions of the heart's x, y and z (from the septum to the lateral wall, to the inferior wall, to the base)
# in RAS of a usual patient, as columns.
_USUAL_POSE = np.array([[-0.78, -0.40, 0.48], [-0.02, -0.78, -0.62], [0.62, -0.49, 0.62]])


@dataclass(frozen=True)
class Phantom:
    """A synthetic person with a beating heart.

    Heart coordinates are mm, aligned with the LV's chord from apex to base (z), not yet bent to it: `shape`
    takes them to the canonical coordinates in which `Heart` and `Deformation` are written.
    """

    seed: int
    heart: Heart
    shape: Shape
    contraction: Contraction
    cycle: Cycle
    body: Body
    contrast: Contrast
    texture: Texture
    rotation: Matrix
    """(3, 3) heart directions to RAS directions."""
    origin: Matrix
    """(3,) RAS position of the middle of the left ventricle, mm."""

    @property
    def middle(self) -> Matrix:
        """(3,) the middle of the left ventricle in heart coordinates, where body coordinates have their origin."""
        return np.array([0.0, 0.0, self.heart.length / 2])

    @property
    def heart_to_world(self) -> Matrix:
        """(4, 4) heart coordinates to RAS."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.rotation
        matrix[:3, 3] = self.origin - self.rotation @ self.middle
        return matrix

    def deformation(self, phase: float) -> Deformation:
        """The heart's motion from end-diastole to a phase of the cycle (0 to 1, periodic)."""
        return Deformation(
            self.heart,
            self.contraction,
            squeeze=self.cycle.contraction(phase),
            descent=self.contraction.descent * self.cycle.shortening(phase),
            twist=self.cycle.torsion(phase),
        )

    def forward(self, points: Points, phase: float) -> Points:
        """Where material points are at a phase; heart coordinates, mm."""
        x, y, z = self.deformation(phase).forward((*self.shape.to_canonical(*points), points[2]))
        return (*self.shape.from_canonical(x, y, z), z)

    def inverse(self, points: Points, phase: float) -> Points:
        """Which material points are at these places at a phase; heart coordinates, mm."""
        x, y, z = self.deformation(phase).inverse((*self.shape.to_canonical(*points), points[2]))
        return (*self.shape.from_canonical(x, y, z), z)

    def to_body(self, points: Points) -> Points:
        """Heart coordinates to body coordinates (right, anterior, superior from the middle of the LV)."""
        x, y, z = points[0], points[1], points[2] - self.heart.length / 2
        right, anterior, superior = (row[0] * x + row[1] * y + row[2] * z for row in self.rotation.tolist())
        return right, anterior, superior

    def parameters(self) -> dict[str, Any]:
        """Everything that was drawn, but for the texture, as plain values."""
        return {
            "seed": self.seed,
            "heart": asdict(self.heart),
            "shape": asdict(self.shape),
            "contraction": asdict(self.contraction),
            "cycle": asdict(self.cycle),
            "body": asdict(self.body),
            "contrast": asdict(self.contrast),
            "heart_to_world": self.heart_to_world.tolist(),
        }


def _rotation(rng: np.random.Generator, degrees: float) -> Matrix:
    """A rotation about a random axis by up to so many degrees (Rodrigues)."""
    axis = rng.standard_normal(3)
    axis /= np.linalg.norm(axis)
    angle = math.radians(float(rng.uniform(0, degrees)))
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross


def _outer_points(heart: Heart, shape: Shape) -> Tensor:
    """Points on the outside of the ventricles, heart coordinates, (3, N)."""
    z, theta = torch.meshgrid(
        torch.linspace(0, heart.length, 20), torch.linspace(-math.pi, math.pi, 40), indexing="ij"
    )
    r = heart.rv(z, theta, heart.epi(z, theta))[1].sqrt()
    x, y = shape.from_canonical(r * torch.cos(theta), r * torch.sin(theta), z)
    return torch.stack([x.flatten(), y.flatten(), z.flatten()])


def draw_phantom(seed: int, options: PhantomOptions) -> Phantom:
    """Draw a phantom. The same seed and options give the same phantom, on every machine."""
    rng = stream(seed, "heart")
    heart = draw_heart(rng)
    if options.varied:
        heart = vary_heart(heart, stream(seed, "variation"))
    shape = draw_shape(rng, heart.length)
    usual, _ = np.linalg.qr(_USUAL_POSE)
    usual *= np.sign((usual * _USUAL_POSE).sum(axis=0))
    pose_rng = stream(seed, "pose")
    rotation = _rotation(pose_rng, 18) @ usual
    middle = np.array([0.0, 0.0, heart.length / 2])
    outside = rotation @ (_outer_points(heart, shape).double().numpy() - middle[:, None])
    right_atrium = rotation @ (np.array(heart.ra_centre) - middle)
    a, b, c = (float(v) for v in right_atrium)
    body = draw_body(stream(seed, "body"), reach=float(outside[1].max()), vena_cava=(a, b, c))
    appearance = options.appearance
    contrast = draw_contrast(
        stream(seed, "contrast"), random=appearance.random_contrast, texture=appearance.texture
    )
    return Phantom(
        seed=seed,
        heart=heart,
        shape=shape,
        contraction=draw_contraction(
            stream(seed, "contraction"),
            heart,
            ejection_fraction=options.ejection_fraction,
            through_plane=options.through_plane,
        ),
        cycle=draw_cycle(stream(seed, "cycle"), options.frames),
        body=body,
        contrast=contrast,
        texture=draw_texture(stream(seed, "texture")),
        rotation=rotation,
        origin=pose_rng.uniform((-40, -30, -40), (0, 30, 40)),
    )
