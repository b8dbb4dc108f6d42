"""A model that sees bright pixels, so that its answers are known without training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from cardiac_motion.cine import Cine
from cardiac_motion.networks.deunet import DeUNet
from cardiac_motion.networks.unet import ModifiedUNet
from cardiac_motion.weights import save_weights


@pytest.fixture(scope="session")
def unet_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    config = {"classes": 4, "width": 4, "levels": 3}
    path = tmp_path_factory.mktemp("weights") / "unet.pt"
    save_weights(path, ModifiedUNet(**config).state_dict(), model="unet", network="unet", config=config)
    return path


@pytest.fixture(scope="session")
def deunet_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    config = {"classes": 4, "width": 4, "levels": 3}
    path = tmp_path_factory.mktemp("weights") / "deunet.pt"
    network = DeUNet(4, width=4, levels=3)
    save_weights(path, network.state_dict(), model="deunet", network="deunet", config=config)
    return path


@pytest.fixture(scope="session")
def beating() -> Cine:
    """5 frames of 3 slices of a bright disc that contracts, off the middle, oblique."""
    y, x = np.mgrid[:120, :140]
    frames = np.zeros((5, 3, 120, 140), np.float32)
    for t, radius in enumerate((20, 17, 13, 15, 18)):
        for z in range(3):
            frames[t, z] = 30 + 0.1 * x + 150 * (np.hypot(y - 55, x - 75) < radius + z)
    affine = np.array([[1.3, 0.2, 0, -80], [-0.2, 1.3, 0, -60], [0, 0, 9, 5], [0, 0, 0, 1]])
    return Cine(frames, affine, 0.04 * np.arange(5), name="beating")
