"""Frames acquired badly."""

from __future__ import annotations

import torch
from cardiac_motion.training.frame_faults import ghosted, mistriggered, resized, spoil_frames
from torch import Tensor


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _disc(radius: float = 12.0, size: int = 64) -> Tensor:
    line = torch.arange(size) - (size - 1) / 2
    return (torch.hypot(line[:, None], line[None]) < radius).float()


def test_one_frame_of_a_share_of_clips_is_spoilt() -> None:
    clips = _disc().expand(400, 3, 64, 64) + 0.1 * torch.rand(400, 3, 64, 64, generator=_generator())
    spoilt = spoil_frames(clips, 0.3, _generator(1))
    changed = (spoilt != clips).any(dim=(2, 3))
    assert int(changed.sum(dim=1).max()) == 1
    assert 0.22 < float(changed.any(dim=1).float().mean()) < 0.38
    assert float(changed[:, 1].sum() / changed.sum()) > 0.5
    assert torch.equal(spoil_frames(clips, 0.0, _generator(1)), clips)
    assert torch.equal(spoil_frames(clips, 0.3, _generator(1)), spoilt)


def test_ghosts_lie_along_one_axis_outside_of_what_moves() -> None:
    frame = _disc()
    seen = set()
    for seed in range(12):
        ghost = ghosted(frame, _generator(seed))
        assert torch.isfinite(ghost).all()
        beside = torch.stack([ghost[:8, 28:36].mean(), ghost[28:36, :8].mean()])
        seen.add(int(beside.argmax()))
        assert float(beside.max()) > 5 * float(beside.min())
        assert abs(float(ghost.square().sum() / frame.square().sum()) - 1) < 0.05  # lines change phase, not size
    assert seen == {0, 1}


def test_lines_of_another_beat_bring_its_heart_in() -> None:
    frame, other = _disc(), _disc(6)
    mixed = torch.stack([mistriggered(frame, other, _generator(seed)) for seed in range(20)])
    assert torch.equal(mistriggered(frame, frame, _generator(3)) > 0.5, frame > 0.5)
    difference = (mixed - frame).abs().mean(dim=(1, 2))
    assert float(difference.max()) > 0.02
    assert float(difference.max()) < float((other - frame).abs().mean() * 4)


def test_another_phase_is_smaller_or_larger() -> None:
    areas = [float(resized(_disc(), _generator(seed)).sum()) / float(_disc().sum()) for seed in range(30)]
    assert min(areas) < 0.8
    assert max(areas) > 1.25
    assert 1 / 1.7 < min(areas) < max(areas) < 1.7
