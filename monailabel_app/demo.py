"""The main job through the server, from the upload of a cine to the label that is saved and read back."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from cardiac_motion.cine import Cine
from cardiac_motion.demo import DEMO_SEED, Carried, Demo, Labels, Runs, carry_and_correct, write_demo
from cardiac_motion.errors import InputError
from cardiac_motion.io import check_labels, read_labels, write_cine, write_labels
from cardiac_motion.labels import Label
from cardiac_motion.phantom import PhantomOptions, make_study
from cardiac_motion.phantom.write import write_study
from cardiac_motion.progress import Progress, silent
from cardiac_motion.registration.registry import DEFAULT_MOTION_MODEL
from CardiacMotionLib.client import BadAnswer, Client, SavedLabel

from monailabel_app.local_server import local_server

DEMO_PHANTOM = PhantomOptions(ejection_fraction=0.58, motion_truth=False)
IMAGE_ID = "demo"
_TASK = "motion"
_TAG = "final"


@contextmanager
def demo_server(cache: Path | None = None) -> Iterator[Client]:
    """A server on a temporary folder of studies, and a client of it; nothing of both is left afterwards.

    Args:
        cache: folder of motions; by default they go with the server.

    Raises:
        ServerFailed: it did not start, or ended before its time.
    """
    token = secrets.token_urlsafe(32)
    # Nothing else asks this server: the computation may have all cores.
    threads = ("--threads", str(torch.get_num_threads()))
    with (
        TemporaryDirectory(prefix="cardiac-motion-demo-") as folder,
        local_server(Path(folder) / "studies", token=token, cache=cache, options=threads) as address,
        Client(address, token=token) as client,
    ):
        yield client


class _Case:
    """A cine on the server.

    Args:
        client: of the server.
        cine: the images.
        image_id: of the cine there.
        scratch: an existing folder for files that are sent and received.
    """

    def __init__(self, client: Client, cine: Cine, image_id: str, scratch: Path) -> None:
        self._client, self._cine, self._image_id, self._scratch = client, cine, image_id, scratch

    def upload(self, source: Path | None) -> tuple[str, int]:
        """Upload the file ``source``, or without one the cine as it is in memory; SHA-256 and size in bytes."""
        if source is None or not source.is_file():
            # Keeps the time of every frame, and axes that are skewed.
            source = self._scratch / "cine.seq.nrrd"
            write_cine(source, self._cine)
        return self._client.put_image(self._image_id, source), source.stat().st_size

    def carry(
        self, key_frames: Mapping[int, Labels], model: str, options: Mapping[str, Any], progress: Progress
    ) -> Carried:
        """Have the server carry labels (Z, Y, X), by frame, through the cycle."""
        drawn = np.zeros(self._cine.shape, np.uint8)
        for frame, labels in key_frames.items():
            drawn[frame] = labels
        sent, received = self._scratch / "key_frames.nii.gz", self._scratch / "carried.nii.gz"
        write_labels(sent, drawn, self._cine)
        params = {"model": model, "options": dict(options), "key_frames": sorted(key_frames)}
        answer = self._client.run_job(_TASK, self._image_id, params, label=sent, progress=progress)
        answer.save(received)
        return Carried(self._read(received), answer.params)

    def save(self, runs: Runs, sha256: str) -> SavedLabel:
        """Save the final labels with what belongs to them, read them back, and compare.

        Raises:
            BadAnswer: what comes back is not what was saved.
        """
        labels, frames = runs.final.labels, sorted(runs.key_frames)
        sent, received = self._scratch / "final.nii.gz", self._scratch / "read_back.nii.gz"
        write_labels(sent, labels, self._cine)
        about = {
            "label_info": [{"name": s.name, "idx": int(s)} for s in Label if s and (labels == s).any()],
            # Who draws a frame has looked at it.
            "verified_frames": frames,
            "key_frames": frames,
            "model": runs.final.summary["model"],
            "image_sha256": sha256,
        }
        saved = self._client.save_label(self._image_id, _TAG, sent, about)
        self._client.get_label(saved.label, saved.tag, received, version=saved.version)
        _check_equal(self._read(received), labels)
        self._check_listed(saved, about)
        return saved

    def _read(self, path: Path) -> Labels:
        """Labels (T, Z, Y, X) that came from the server."""
        try:
            image = read_labels(path)
            check_labels(image, self._cine)
        except InputError as error:
            raise BadAnswer(f"expected labels of the cine from the server: {error}") from error
        if image.labels.shape != self._cine.shape:
            raise BadAnswer(f"expected labels on all {self._cine.n_frames} frames from the server, got one frame")
        return image.labels

    def _check_listed(self, saved: SavedLabel, about: Mapping[str, Any]) -> None:
        versions = self._client.label_versions(saved.label)
        kept = [v for v in versions if (v.get("tag"), v.get("version")) == (saved.tag, saved.version)]
        if len(kept) != 1:
            raise BadAnswer(
                f"expected version {saved.version} once among the saved labels, got it {len(kept)} times"
            )
        wrong = [name for name, value in about.items() if kept[0].get(name) != value]
        if wrong:
            raise BadAnswer(
                f"expected {wrong[0]} of the saved label to be {about[wrong[0]]!r}, got {kept[0].get(wrong[0])!r}"
            )


def _check_equal(found: Labels, saved: Labels) -> None:
    wrong: npt.NDArray[np.bool_] = found != saved
    if wrong.any():
        frames = ", ".join(str(t) for t in np.flatnonzero(wrong.any(axis=(1, 2, 3))))
        raise BadAnswer(
            f"expected the saved label to come back as it was, got one that differs on {int(wrong.sum())} voxels "
            f"of frames {frames}"
        )


def run_demo(
    client: Client,
    output: Path,
    cine: Cine,
    key_frames: Mapping[int, Labels],
    *,
    source: Path | None = None,
    model: str = DEFAULT_MOTION_MODEL,
    options: Mapping[str, Any] | None = None,
    truth: Labels | None = None,
    image_id: str = IMAGE_ID,
    progress: Progress = silent,
) -> Demo:
    """Upload, carry the labels, correct a frame if the truth is known, carry again, save, read back, and show it.

    Args:
        client: of the server.
        output: an existing folder; see `cardiac_motion.demo.write_demo`.
        cine: the images.
        key_frames: labels (Z, Y, X) by frame.
        source: the file that the cine was read from, if it is one file; it is then uploaded as it is.
        model: motion model.
        options: of the model, by name.
        truth: labels (T, Z, Y, X); see `cardiac_motion.demo.carry_and_correct`.
        image_id: of the cine on the server.
        progress: called with the fraction done; may raise `Cancelled`, which also cancels the job.

    Raises:
        InputError: whatever is wrong with the input, or an output that cannot be written.
        ClientError: whatever went wrong between client and server.
        Cancelled: from the progress callback.
    """
    with TemporaryDirectory(prefix="cardiac-motion-client-") as scratch:
        case = _Case(client, cine, image_id, Path(scratch))
        progress(0.0, "uploading the cine")
        sha256, n_bytes = case.upload(source)
        runs = carry_and_correct(
            cine,
            key_frames,
            lambda keys, report: case.carry(keys, model, options or {}, report),
            truth=truth,
            progress=lambda fraction, message: progress(0.02 + 0.68 * fraction, message),
        )
        progress(0.7, "saving the labels")
        saved = case.save(runs, sha256)
    about = {
        "address": client.address,
        "image": image_id,
        "image_sha256": sha256,
        "image_bytes": n_bytes,
        "jobs": len(runs.by_name),
        "tag": saved.tag,
        "label_version": saved.version,
    }
    return write_demo(
        output,
        cine,
        runs,
        further={"server": about},
        progress=lambda fraction, message: progress(0.72 + 0.28 * fraction, message),
    )


def phantom_demo(
    client: Client,
    output: Path,
    *,
    seed: int = DEMO_SEED,
    phantom: PhantomOptions = DEMO_PHANTOM,
    model: str = DEFAULT_MOTION_MODEL,
    options: Mapping[str, Any] | None = None,
    image_id: str = IMAGE_ID,
    progress: Progress = silent,
) -> Demo:
    """`run_demo` on a phantom study, which is written to ``output/study``; the ED labels are the drawn ones."""
    study = make_study(seed, phantom, progress=lambda fraction, message: progress(0.3 * fraction, message))
    write_study(study, output / "study")
    made = run_demo(
        client,
        output,
        study.cine,
        {0: study.labels[0]},
        model=model,
        options=options,
        truth=study.labels,
        image_id=image_id,
        progress=lambda fraction, message: progress(0.3 + 0.7 * fraction, message),
    )
    written = {"study": output / "study", **made.written}
    return Demo(made.runs, made.comparison, made.corrected_frame, written, made.further)


def describe_exchange(made: Demo) -> str:
    """What went over HTTP, as a line of text."""
    server = made.further["server"]
    jobs = f"{server['jobs']} {'job' if server['jobs'] == 1 else 'jobs'}"
    return (
        f"over HTTP, with a server at {server['address']}: cine uploaded ({server['image_bytes'] / 1e6:.1f} MB), "
        f"{jobs} done, labels saved as {server['tag']}, version {server['label_version']}, read back as they were"
    )
