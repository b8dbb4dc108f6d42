"""A real server that is asked to end while it is busy, and one whose disk is full."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from cardiac_motion.io import read_cine

from benchmarks.hostile.request import as_params, quick
from benchmarks.hostile.site import changes, state_of, wrong_error
from benchmarks.hostile.wire import Part, Reply, form, form_headers, request
from benchmarks.server_process import ServerProcess, running_server
from benchmarks.server_shutdown import SIGNALS, end_while_busy
from benchmarks.small_cines import cine_bytes, label_bytes, label_values, small_cine, small_labels

posix = pytest.mark.skipif(os.name != "posix", reason="not run: needs signals and limits of POSIX")


@posix
@pytest.mark.parametrize(("number", "is_twice"), SIGNALS.values(), ids=SIGNALS.keys())
def test_a_busy_server_ends_cleanly(tmp_path: Path, number: int, is_twice: bool) -> None:
    ending = end_while_busy(tmp_path, number, is_twice=is_twice)
    assert ending.exit_code == 0
    assert set(ending.statuses) <= {0, 503}
    assert ending.wrong == ()
    assert ending.seconds < 30  # only that it does not hang


CASE = "case"
SHAPE = (10, 3, 64, 64)


def put_label(server: ServerProcess, content: bytes) -> Reply:
    body = form([Part("label", content, "label.nii.gz"), as_params({"key_frames": [0]})])
    return request(server.address, "PUT", f"/datastore/label?image={CASE}", headers=form_headers(), body=body)


def put_image(server: ServerProcess, content: bytes) -> Reply:
    body = form([Part("file", content, "cine.nii")])
    return request(server.address, "PUT", "/datastore/image?image=large", headers=form_headers(), body=body)


@posix
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    studies = tmp_path / "studies"
    studies.mkdir()
    cine = small_cine(0, SHAPE)
    (studies / f"{CASE}.nii.gz").write_bytes(cine_bytes(cine))
    cine = read_cine(studies / f"{CASE}.nii.gz")
    # The server packs a label less tightly than it may have come: it arrives, and then there is no room for it.
    generator = np.random.default_rng(0)
    labels = np.where(generator.random(SHAPE) < 0.02, 3, 0).astype(np.uint8)
    written = label_bytes(labels, cine)
    sent = gzip.compress(gzip.decompress(written), 9)
    limit = (len(sent) + len(written)) // 2
    assert len(sent) < limit < len(written)
    noise = generator.integers(0, 1000, size=(200, 200, 5, 10), dtype=np.int16)
    affine = np.diag([1.5, 1.5, 8.0, 1.0])
    image = nib.Nifti1Image(noise, affine)
    image.header.set_zooms((1.5, 1.5, 8.0, 0.04))
    small = label_bytes(small_labels(cine, 0), cine)
    assert len(small) < limit < len(noise.tobytes())
    with running_server(studies, tmp_path, max_file_bytes=limit) as server:
        assert request(server.address, "GET", f"/datastore/image/info?image={CASE}").status == 200
        before = state_of(studies)
        replies = [
            put_label(server, sent),
            put_label(server, written),
            put_image(server, bytes(image.to_bytes())),
            put_image(server, bytes(image.to_bytes())[: limit + 10_000]),
        ]
        for reply in replies:
            assert (reply.status, wrong_error(reply)) == (507, None)
            assert reply.json()["error"]["code"] == "storage_full"
        assert changes(before, state_of(studies)) == []
        # Small requests still work, and a motion that cannot be kept is no reason to fail.
        assert put_label(server, small).json()["version"] == 1
        body = form([Part("label", small, "label.nii.gz"), as_params(quick())])
        target = f"/infer/motion?image={CASE}&output=image"
        reply = request(server.address, "POST", target, headers=form_headers(), body=body)
        assert reply.status in {200, 507}
        if reply.status == 200:
            assert label_values(reply.body)[1:].any()
        assert list((studies / ".cardiac_motion" / "scratch").iterdir()) == []
        assert request(server.address, "GET", "/info/").status == 200
    assert list((studies / ".cardiac_motion" / "motions").glob("*.npz")) == []
