"""What is large, what is cancelled, and whom an encrypted connection trusts."""

from __future__ import annotations

import itertools
import json
import threading
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from CardiacMotionLib.client import BadCall, Cancelled, Client, ServerRefused, ServerUnreachable, answers
from CardiacMotionLib.client.forms import FormBody

from tests.slicer.client.certificates import make_certificate, secured
from tests.slicer.client.fake_server import INFO, Fake, Reply, as_json, infer_reply, job, refusal

MB = 2**20


# What is large


def test_bytes_are_counted_while_they_come_and_go(fake: Fake, client: Client, tmp_path: Path) -> None:
    file, seen = tmp_path / "cine.nii", []
    file.write_bytes(bytes(range(256)) * 4096 * 3)
    fake.replies = [as_json({"image": "case"})]
    client.put_image("case", file, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (3 * MB, 3 * MB)
    assert len(seen) > 3
    assert seen == sorted(seen)
    assert fake.requests[0].headers["content-length"] == str(len(fake.requests[0].body))
    seen.clear()
    fake.replies = [Reply(file.read_bytes())]
    client.get_image("case", tmp_path / "back", progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (3 * MB, 3 * MB)
    assert len(seen) > 3
    assert (tmp_path / "back").read_bytes() == file.read_bytes()


def test_a_file_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "cine.nii"
    with file.open("wb") as made:
        made.truncate(64 * MB)
    tracemalloc.start()
    try:
        form = FormBody({"x": 1}, {"label": file})
        assert sum(len(piece) for piece in form) == len(form)
        pieces = (b"\0" * MB for _ in range(64))
        boundary = b"\r\n--b\r\nContent-Disposition: form-data; name="
        parts = [boundary + b'"params"\r\n\r\n{}', boundary + b'"image"; filename="motion.zip"\r\n\r\n']
        answer = answers.parse_infer_answer(
            itertools.chain(parts, pieces, [b"\r\n--b--\r\n"]), "multipart/form-data; boundary=b"
        )
        peak = tracemalloc.get_traced_memory()[1]
        assert answer.n_bytes == 64 * MB
        answer.save(tmp_path / "motion.zip")
        answer.close()
    finally:
        tracemalloc.stop()
    # 16 MB of an answer are held, in a buffer that doubles as it grows.
    assert peak < 48 * MB
    assert (tmp_path / "motion.zip").stat().st_size == 64 * MB


def test_a_large_answer_is_a_file_that_can_be_opened(
    fake: Fake, client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(answers, "MEMORY_BYTES", 1000)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as made:
        made.writestr("motion/motion.json", json.dumps(list(range(10_000))))
    fake.replies = [infer_reply(name="all.zip", content=(tmp_path / "a.zip").read_bytes())]
    answer = client.infer("motion", "case", {"output": "all"})
    with zipfile.ZipFile(answer.stream) as archive:
        assert json.loads(archive.read("motion/motion.json")) == list(range(10_000))
    answer.save(tmp_path / "b.zip")
    assert (tmp_path / "b.zip").read_bytes() == (tmp_path / "a.zip").read_bytes() == answer.file
    with pytest.raises(Cancelled):
        answer.save(tmp_path / "c.zip", cancelled=lambda: True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "b.zip"]


def test_a_full_disk_is_told(fake: Fake, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def __init__(self, max_size: int) -> None:
            pass

        def write(self, content: bytes) -> int:
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            pass

    monkeypatch.setattr(answers, "SpooledTemporaryFile", Full)
    fake.replies = [infer_reply()]
    with pytest.raises(BadCall, match="temporary file: No space left"):
        client.infer("motion", "case", {})


def test_a_file_that_shrinks_while_it_is_sent_is_told(fake: Fake, client: Client, tmp_path: Path) -> None:
    file = tmp_path / "cine.nii"
    file.write_bytes(b"\0" * MB)

    def shrink(done: int, total: int | None) -> None:
        file.write_bytes(b"")

    with pytest.raises(BadCall, match="became shorter by"):
        client.put_image("case", file, progress=shrink)


# What is cancelled


class Later:
    """Says that it is cancelled a moment after the server was asked."""

    def __init__(self, fake: Fake) -> None:
        self._fake, self._since = fake, 0.0

    def __call__(self) -> bool:
        if self._fake.requests and not self._since:
            self._since = time.monotonic()
        return bool(self._since) and time.monotonic() - self._since > 0.2


@pytest.mark.parametrize("how", ["silent", "stalled"])
def test_a_call_that_waits_ends_when_it_is_cancelled(fake: Fake, client: Client, tmp_path: Path, how: str) -> None:
    over = threading.Event()
    slow = infer_reply(content=b"x" * 1000)
    slow.wait, slow.stall = (over, None) if how == "silent" else (None, over)
    file = tmp_path / "label.nii"
    file.write_bytes(b"label")
    calls: list[Callable[[Later], object]] = [
        lambda cancelled: client.info(cancelled=cancelled),
        lambda cancelled: client.get_image("case", tmp_path / "image", cancelled=cancelled),
        lambda cancelled: client.put_image("case", file, cancelled=cancelled),
        lambda cancelled: client.infer("motion", "case", {}, label=file, cancelled=cancelled),
        lambda cancelled: client.save_label("case", "final", file, {}, cancelled=cancelled),
        lambda cancelled: client.next_case("first", cancelled=cancelled),
        lambda cancelled: client.job_result("j1", cancelled=cancelled),
    ]
    try:
        for call in calls:
            fake.requests.clear()
            fake.replies = [slow]
            with pytest.raises(Cancelled):
                call(Later(fake))
            assert not over.is_set()
            # The client can be used again.
            fake.replies = [as_json(INFO)]
            assert client.info() == INFO
    finally:
        over.set()
    assert [path.name for path in tmp_path.iterdir()] == ["label.nii"]
    assert not [thread for thread in threading.enumerate() if thread.name == "cardiac-motion-cancel"]


def test_what_is_cancelled_before_it_begins_is_not_sent(fake: Fake, client: Client, tmp_path: Path) -> None:
    file = tmp_path / "cine.nii"
    file.write_bytes(b"cine")
    for call in (
        lambda: client.info(cancelled=lambda: True),
        lambda: client.put_image("case", file, cancelled=lambda: True),
        lambda: client.run_job("motion", "case", {}, label=file, cancelled=lambda: True),
    ):
        with pytest.raises(Cancelled):
            call()
    assert fake.requests == []


def test_an_upload_ends_in_the_middle(fake: Fake, client: Client, tmp_path: Path) -> None:
    file, seen = tmp_path / "cine.nii", []
    file.write_bytes(b"\0" * 8 * MB)

    def progress(done: int, total: int | None) -> None:
        seen.append(done)

    with pytest.raises(Cancelled):
        client.put_image("case", file, progress=progress, cancelled=lambda: bool(seen))
    assert 0 < max(seen) < 8 * MB


def test_a_cancelled_wait_cancels_the_job(fake: Fake, client: Client) -> None:
    fake.replies = [as_json({"job": "j1"}, 202), job("running", 0.2)]
    with pytest.raises(Cancelled):
        client.run_job("motion", "case", {}, cancelled=lambda: len(fake.requests) > 3)
    assert fake.calls[-1] == "DELETE /jobs/j1"
    assert set(fake.calls[1:-1]) == {"GET /jobs/j1"}


def test_a_job_that_begins_just_when_it_is_cancelled_is_cancelled_too(fake: Fake, client: Client) -> None:
    answers_late = threading.Event()
    started = as_json({"job": "j1"}, 202)
    started.wait = answers_late
    fake.replies = [started, as_json({})]
    threading.Timer(0.6, answers_late.set).start()
    with pytest.raises(Cancelled):
        # By now the form has been sent.
        client.run_job("motion", "case", {}, cancelled=lambda: bool(fake.requests))
    assert fake.calls == ["POST /jobs/infer/motion?image=case", "DELETE /jobs/j1"]


def test_a_pause_before_another_attempt_ends(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("CardiacMotionLib.client.connection.PAUSES", (60.0,))
    fake.close()
    asked = itertools.count()
    with Client(fake.address) as client, pytest.raises(Cancelled):
        client.info(cancelled=lambda: next(asked) > 4)


# Whom an encrypted connection trusts


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return make_certificate(tmp_path)


@pytest.fixture
def secure(fake: Fake, certificate: Path) -> str:
    return secured(fake, certificate)


def test_only_a_certificate_that_is_trusted_will_do(
    fake: Fake, secure: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Client(secure) as client, pytest.raises(ServerUnreachable, match="certificate is not trusted: self"):
        client.info()
    assert fake.requests == []
    # The file that was named counts, whatever the variables of the process say.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    with Client(secure, token="secret", verify=certificate) as client:
        assert client.info() == INFO
        over = threading.Event()
        fake.requests.clear()
        fake.replies = [Reply(b"x" * 1000, stall=over)]
        try:
            with pytest.raises(Cancelled):
                client.label_versions("case", cancelled=Later(fake))
        finally:
            over.set()
        fake.replies = [refusal(404)]
        with pytest.raises(ServerRefused):
            client.info()


def test_certificates_are_always_checked(tmp_path: Path) -> None:
    with pytest.raises(BadCall, match="certificate to be checked"):
        Client("https://host", verify=False)
    with pytest.raises(BadCall, match="there is none at"):
        Client("https://host", verify=tmp_path / "none.pem")
