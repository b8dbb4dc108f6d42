"""MONAI Label's own client drives the server unchanged: it was written by others, and so is the oracle."""

from __future__ import annotations

import gc
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cardiac_motion.io import read_labels
from cardiac_motion.io.images import write_image

from tests.server.conftest import QUICK, Study

if sys.version_info >= (3, 13):
    pytest.skip(
        "not run: MONAI Label's client needs cgi, which Python 3.13 does not have", allow_module_level=True
    )


@pytest.fixture
def stock(address: str, tmp_path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from monailabel.client import MONAILabelClient  # noqa: PLC0415 - it imports cgi, which is deprecated
    return MONAILabelClient(address, tmpdir=str(tmp_path), client_id="reader-1")


# Its sockets are left to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_next_case_infer_save_download(stock: Any, study: Study, tmp_path: Path) -> None:
    assert not stock.auth_enabled()
    info = stock.info()
    assert info["name"] == "CardiacMotion"
    assert info["models"]["motion"]["type"] == "motion"

    assert stock.upload_image(str(study.image), "stock-1")["image"] == "stock-1"
    case = stock.next_sample("first", {})
    assert case["id"] == "stock-1"
    assert case["strategy"]["first"]["client_id"] == "reader-1"

    file, params = stock.infer("motion", case["id"], {"key_frames": [0], "options": QUICK}, label_in=str(study.ed))
    found = read_labels(file)
    assert params["key_frames"] == [0]
    assert (found.labels[0] == study.labels[0]).all()
    assert found.labels.shape == study.labels.shape

    assert stock.save_label(case["id"], file, "final", {"label_info": [{"name": "LV", "idx": 3}]})["version"] == 1
    assert stock.next_sample("random", {}) == {}
    assert stock.datastore()["objects"]["stock-1"]["labels"]["final"]
    back = stock.download_label("stock-1", "final")
    assert (read_labels(back).labels == found.labels).all()
    assert np.allclose(read_labels(back).affine, study.cine.affine, atol=1e-4)
    assert stock.train_status(check_if_running=True) is False
    gc.collect()


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_frame_is_segmented_with_what_the_plugin_sends(stock: Any, study: Study, tmp_path: Path) -> None:
    """Its plug-in for Slicer sends the entries of a model's `config`, and takes a 3D label."""
    model = stock.info()["models"]["unet"]
    assert model["type"] == "segmentation"
    stock.upload_image(str(study.image), "stock-2")
    file, params = stock.infer("unet", "stock-2", dict(model["config"]))
    found = read_labels(file)
    assert (found.is_4d, params["frames"]) == (False, [0])
    assert found.labels.any()
    frame = study.cine.frames[0]
    path = tmp_path / "frame.nii.gz"
    write_image(path, frame, study.cine.affine, frame_times=study.cine.frame_times, is_label=False)
    file, params = stock.infer("unet", "", dict(model["config"]), file=str(path))
    assert read_labels(file).labels.shape == (1, *frame.shape)
    gc.collect()
