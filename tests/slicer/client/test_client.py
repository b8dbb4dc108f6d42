"""The client against a server that misbehaves in every way that a test can think of."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from typing import Any

import pytest
from CardiacMotionLib.client import (
    BadAnswer,
    BadCall,
    Cancelled,
    Client,
    ClientError,
    SavedLabel,
    ServerRefused,
    ServerUnreachable,
    cancelling,
)

from tests.slicer.client.fake_server import DROP, INFO, TOKEN, Fake, Reply, as_json, infer_reply, job, refusal

# Who is asked, and what they may learn


def test_the_token_goes_to_the_server_and_nowhere_else(
    fake: Fake, client: Client, caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    caplog.set_level(logging.DEBUG)
    client.info()
    assert fake.requests[0].headers["authorization"] == f"Bearer {TOKEN}"
    said = [repr(client)]
    for reply in (refusal(401), DROP, Reply(b"garbage"), Reply(status=307, headers={"Location": "/other"})):
        fake.replies = [reply]
        with pytest.raises(ClientError) as caught:
            client.info()
        said += [str(caught.value), repr(caught.value)]
    assert TOKEN not in "".join(said) + caplog.text
    with Client(fake.address) as without:
        fake.replies = [as_json(INFO)]
        without.info()
    assert "authorization" not in fake.requests[-1].headers


def test_a_redirect_is_not_followed(fake: Fake, client: Client) -> None:
    fake.replies = [Reply(status=302, headers={"Location": f"{fake.address}/elsewhere"})]
    with pytest.raises(BadAnswer, match="redirects"):
        client.info()
    assert fake.calls == ["GET /info/"]


def test_no_proxy_stands_before_this_machine(fake: Fake, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert client.info() == INFO


@pytest.mark.parametrize(
    "answer", [{}, {"name": "Radiology"}, {"cardiac_motion": {"api": 2}}, {"cardiac_motion": 1}]
)
def test_another_server_is_told_apart(fake: Fake, client: Client, answer: dict[str, Any]) -> None:
    fake.replies = [as_json(answer)]
    with pytest.raises(BadAnswer, match="expected a server of CardiacMotion with interface 1"):
        client.info()


# What goes wrong


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422, 429, 500, 503, 507])
def test_a_refusal_keeps_its_reason_and_is_not_repeated(fake: Fake, client: Client, status: int) -> None:
    fake.replies = [refusal(status)]
    with pytest.raises(ServerRefused, match=rf"expected this, got that \({status} a_code\)") as caught:
        client.job("some")
    error = caught.value
    assert (error.status, error.code, error.field) == (status, "a_code", "image")
    assert len(fake.requests) == 1


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>Bad Gateway\x1b[31m\r\n</html>", b"[1]", b'{"error": "no"}', b'{"error": {}}', b"\xff\xfe"],
)
def test_a_refusal_of_another_form_is_one_too(fake: Fake, client: Client, body: bytes) -> None:
    fake.replies = [Reply(body, 502, "text/html")]
    with pytest.raises(ServerRefused, match="no reason in the form expected") as caught:
        client.info()
    assert (caught.value.status, caught.value.code) == (502, "http_error")
    assert str(caught.value).isprintable()
    fake.replies = [Reply(body, 502, "text/html", break_after=0)]
    with pytest.raises(ClientError):
        client.info()


@pytest.mark.parametrize("body", [b"", b"nonsense", b"{", b"\xff\x00", b'{"x": NaN}', b"[" * 100_000, b"[1, 2]"])
def test_an_answer_that_is_no_json_object_is_a_bad_one(fake: Fake, client: Client, body: bytes) -> None:
    fake.replies = [Reply(body)]
    for call in (client.info, lambda: client.job("some"), lambda: client.next_case("first")):
        with pytest.raises(BadAnswer):
            call()


def test_a_server_that_is_not_there(fake: Fake) -> None:
    fake.close()
    with Client(fake.address) as client:
        with pytest.raises(ServerUnreachable, match=r"127\.0\.0\.1:\d+ cannot be reached: Connection refused"):
            client.info()
        with pytest.raises(ServerUnreachable, match="Connection refused"):
            client.infer("motion", "case", {})


def test_a_server_that_falls_silent_is_not_asked_again(fake: Fake) -> None:
    over = threading.Event()
    fake.replies = [Reply(wait=over)]
    with Client(fake.address, timeout=(2, 0.2)) as client:
        with pytest.raises(ServerUnreachable, match=r"fell silent for 0\.2 s"):
            client.info()
        over.set()
    assert len(fake.requests) == 1


def test_what_may_be_asked_twice_is_asked_again(fake: Fake, client: Client, file: Path, tmp_path: Path) -> None:
    cut = Reply(json.dumps(INFO).encode(), break_after=9)
    fake.replies = [DROP, cut, as_json(INFO)]
    assert client.info() == INFO
    assert len(fake.requests) == 3

    fake.requests.clear()
    fake.replies = [DROP, DROP, as_json({"image": "case"})]
    client.put_image("case", file)
    assert len(fake.requests) == 3
    assert [request.parts["file"][1] for request in fake.requests] == [file.read_bytes()] * 3

    fake.requests.clear()
    fake.replies = [Reply(b"half a label", break_after=5), Reply(b"a whole label")]
    client.get_label("case", "final", tmp_path / "label")
    assert (tmp_path / "label").read_bytes() == b"a whole label"

    fake.requests.clear()
    fake.replies = [cut]
    with pytest.raises(ServerUnreachable, match="the connection broke before the answer was complete"):
        client.info()
    assert len(fake.requests) == 3


@pytest.mark.parametrize(
    "reply", [DROP, Reply(b"1234", content_type="multipart/form-data; boundary=b", break_after=2)]
)
def test_what_changes_something_is_asked_once(fake: Fake, client: Client, file: Path, reply: Reply) -> None:
    fake.replies = [reply]
    for call in (
        lambda: client.infer("motion", "case", {}, label=file),
        lambda: client.start_job("motion", "case", {}),
        lambda: client.save_label("case", "final", file, {}),
        lambda: client.next_case("random"),
        lambda: client.cancel_job("some"),
    ):
        fake.requests.clear()
        with pytest.raises(ServerUnreachable):
            call()
        assert len(fake.requests) == 1


# Images and labels


def test_an_image_is_sent_as_it_is_without_its_name(fake: Fake, client: Client, file: Path) -> None:
    fake.replies = [as_json({"image": "pat.01"})]
    sha256 = client.put_image("pat.01", file)
    request = fake.requests[0]
    assert (request.method, request.path) == ("PUT", "/datastore/image?image=pat.01")
    disposition, content = request.parts["file"]
    assert 'filename="file.seq.nrrd"' in disposition
    assert content == file.read_bytes()
    assert b"Jane" not in request.body
    fake.replies = [as_json({"image": "pat.01", "sha256": sha256})]
    assert client.put_image("pat.01", file) == sha256
    fake.replies = [as_json({"image": "pat.01", "sha256": "0" * 64})]
    with pytest.raises(BadAnswer, match="expected the server to have the bytes of"):
        client.put_image("pat.01", file)


def test_a_refusal_in_the_middle_of_an_upload_is_seen(fake: Fake, client: Client, tmp_path: Path) -> None:
    large = tmp_path / "large.nii"
    large.write_bytes(b"\0" * 2**25)
    reply = refusal(413, "too_large")
    reply.early = True
    fake.replies = [reply]
    # The server may be gone before all is sent; what matters is that no upload counts as done.
    with pytest.raises((ServerRefused, ServerUnreachable)):
        client.put_image("case", large)


def test_files_that_cannot_be_read_are_told_before_anything_is_sent(
    fake: Fake, client: Client, tmp_path: Path
) -> None:
    missing = tmp_path / "none.nii"
    for call in (
        lambda: client.put_image("case", missing),
        lambda: client.save_label("case", "final", missing, {}),
        lambda: client.start_job("motion", "case", {}, label=tmp_path),
    ):
        with pytest.raises(BadCall, match="cannot read"):
            call()
    with pytest.raises(BadCall, match="parameters that JSON can hold"):
        client.start_job("motion", "case", {"x": float("nan")})
    assert fake.requests == []


def test_downloads_are_whole_or_not_there(fake: Fake, client: Client, tmp_path: Path) -> None:
    target = tmp_path / "image.nii.gz"
    fake.replies = [Reply(b"x" * 2**20, content_type="application/gzip")]
    client.get_image("case", target)
    assert target.read_bytes() == b"x" * 2**20
    assert fake.calls == ["GET /datastore/image?image=case"]
    for reply in (Reply(b"y" * 2**20, break_after=2**19), refusal(404), DROP):
        fake.replies = [reply]
        with pytest.raises(ClientError):
            client.get_image("case", target)
        with pytest.raises(ClientError):
            client.get_label("case", "final", tmp_path / "new.nii.gz")
        assert {path.name: path.read_bytes()[:1] for path in tmp_path.iterdir()} == {"image.nii.gz": b"x"}
    fake.replies = [Reply(b"z")]
    fake.requests.clear()
    with pytest.raises(BadCall, match=r"cannot write .*No such file"):
        client.get_image("case", tmp_path / "no" / "image.nii.gz")
    assert fake.requests == []


def test_labels_and_cases(fake: Fake, client: Client, file: Path, tmp_path: Path) -> None:
    fake.replies = [as_json({"label": "case", "tag": "final", "version": 4})]
    params = {"verified_frames": [0, 9], "note": "médiastin"}
    assert client.save_label("case", "final", file, params) == SavedLabel("case", "final", 4)
    request = fake.requests[0]
    assert (request.method, request.path) == ("PUT", "/datastore/label?image=case&tag=final")
    assert json.loads(request.parts["params"][1]) == params
    assert request.parts["label"][1] == file.read_bytes()
    client.get_label("case", "original", tmp_path / "a", version=3)
    assert fake.calls[-1] == "GET /datastore/label?label=case&tag=original&version=3"
    fake.replies = [as_json([{"version": 1}, {"version": 2}])]
    assert client.label_versions("case") == [{"version": 1}, {"version": 2}]
    fake.replies = [as_json({"id": "case", "score": None})]
    assert client.next_case("first") == {"id": "case", "score": None}
    fake.replies = [as_json({})]
    assert client.next_case("../first?x") is None
    assert fake.calls[-1] == "POST /activelearning/..%2Ffirst%3Fx"


@pytest.mark.parametrize(
    "answer",
    [{"label": "case", "tag": "final"}, {"label": "case", "tag": "final", "version": True}, {"versions": []}, [1]],
)
def test_answers_about_labels_are_checked(fake: Fake, client: Client, file: Path, answer: Any) -> None:
    fake.replies = [as_json(answer)]
    with pytest.raises(BadAnswer):
        client.save_label("case", "final", file, {})
    with pytest.raises(BadAnswer):
        client.label_versions("case")


# Infers and jobs


def test_an_infer_gives_parameters_and_a_file(fake: Fake, client: Client, file: Path, tmp_path: Path) -> None:
    fake.replies = [infer_reply({"ed": 0, "es": 9})]
    answer = client.infer("motion", "case", {"key_frames": [0]}, label=file)
    assert (answer.params, answer.file, answer.name) == (
        {"ed": 0, "es": 9},
        b"\x1f\x8bfile\r\n--",
        "labels.nii.gz",
    )
    answer.save(tmp_path / "labels.nii.gz")
    assert (tmp_path / "labels.nii.gz").read_bytes() == answer.file
    request = fake.requests[0]
    assert (request.method, request.path) == ("POST", "/infer/motion?image=case")
    assert json.loads(request.parts["params"][1]) == {"key_frames": [0]}
    assert request.parts["label"][1] == file.read_bytes()


def test_a_job_runs_to_its_answer(fake: Fake, client: Client, file: Path) -> None:
    fake.replies = [
        as_json({"job": "j1"}, 202),
        job("queued"),
        job("running", 0.5),
        job("done", 1),
        infer_reply(),
        as_json({}),
    ]
    seen: list[tuple[float, str]] = []
    answer = client.run_job(
        "motion",
        "case",
        {},
        label=file,
        progress=lambda fraction, message: seen.append((fraction, message)),
        poll_seconds=0,
    )
    assert answer.file == b"\x1f\x8bfile\r\n--"
    assert seen == [(0.0, "is queued"), (0.5, "is running"), (1.0, "is done")]
    polls = ["GET /jobs/j1"] * 3
    assert fake.calls == ["POST /jobs/infer/motion?image=case", *polls, "GET /jobs/j1/result", "DELETE /jobs/j1"]


@pytest.mark.parametrize("raised", [Cancelled("enough"), KeyboardInterrupt(), RuntimeError("mistake")])
def test_whatever_ends_the_wait_cancels_the_job(fake: Fake, client: Client, raised: BaseException) -> None:
    fake.replies = [as_json({"job": "j1"}, 202), job("running", 0.2), refusal(404)]

    def stop(fraction: float, message: str) -> None:
        raise raised

    with pytest.raises(type(raised)):
        client.run_job("motion", "case", {}, progress=stop)
    assert fake.calls[-1] == "DELETE /jobs/j1"
    assert len(fake.calls) == 3


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (job("failed", 0.4, {"code": "does_not_fit", "message": "no", "field": "label"}), r"no \(does_not_fit\)"),
        (job("failed"), r"the job was failed"),
        (job("cancelled"), r"the job was cancelled on the server \(cancelled\)"),
    ],
)
def test_a_job_that_fails_says_why(fake: Fake, client: Client, reply: Reply, message: str) -> None:
    fake.replies = [as_json({"job": "j1"}, 202), reply, as_json({})]
    with pytest.raises(ServerRefused, match=message) as caught:
        client.run_job("motion", "case", {})
    assert caught.value.status is None
    assert fake.calls[-1] == "DELETE /jobs/j1"


@pytest.mark.parametrize(
    "change", [{"state": "dreaming"}, {"progress": "half"}, {"job": None}, {"message": 3}, {"error": "no"}]
)
def test_states_of_jobs_are_checked(fake: Fake, client: Client, change: dict[str, Any]) -> None:
    good = {"job": "j1", "state": "running", "progress": 0, "message": "", "error": None}
    fake.replies = [as_json(good)]
    assert client.job("j1").progress == 0.0
    fake.replies = [as_json({**good, **change})]
    with pytest.raises(BadAnswer):
        client.job("j1")


def test_a_server_that_goes_away_during_a_job(fake: Fake, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancelling.time, "sleep", lambda seconds: None)
    fake.replies = [as_json({"job": "j1"}, 202), job("running", 0.1), DROP]
    with pytest.raises(ServerUnreachable):
        client.run_job("motion", "case", {})
