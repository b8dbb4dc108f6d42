"""`cardiac-motion serve`: what it refuses to start with, who it lets in, what its log holds."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from cardiac_motion.errors import InputError
from CardiacMotionLib.client import Client, ServerRefused

from monailabel_app.commands.serve import TOKEN_VARIABLE, read_token
from monailabel_app.local_server import local_server
from tests.server.conftest import QUICK, Study

TOKEN = "a-token-that-nobody-guesses"
ORIGIN = "https://viewer.example.org"


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log") / "server.log"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, log: Path) -> Iterator[str]:
    """A server with a token, and a page that may use it."""
    studies = tmp_path_factory.mktemp("guarded")
    options = [
        "--allow-origin",
        ORIGIN,
        "--allow-host",
        "cmr.example.org",
        "--max-frames",
        "5",
        "--log-level",
        "DEBUG",
    ]
    with local_server(studies, token=TOKEN, options=options, log=log) as address:
        yield address


def run(*arguments: str, token: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {TOKEN_VARIABLE: token} if token is not None else {}
    return subprocess.run(
        [sys.executable, "-m", "cardiac_motion.cli", "serve", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={"PATH": "", **environment},
    )


@pytest.mark.parametrize(
    ("token", "says"),
    [("short", "at least 16"), ("a token with spaces in it", "without spaces"), ("tökentökentökentöken", "ASCII")],
)
def test_a_token_that_is_none_is_refused(token: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(token + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=says) as raised:
        read_token(tmp_path / "token")
    assert token not in str(raised.value)
    with pytest.raises(InputError, match="cannot read the token"):
        read_token(tmp_path / "nowhere")


def test_the_token_comes_from_the_file_or_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "of-the-environment")
    (tmp_path / "token").write_text(TOKEN + "\n", encoding="utf-8")
    assert read_token(tmp_path / "token") == TOKEN
    assert read_token(None) == "of-the-environment"
    monkeypatch.delenv(TOKEN_VARIABLE)
    assert read_token(None) is None


def test_it_does_not_start_where_it_cannot_serve(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "studies").mkdir()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        cases = [
            (["--studies", str(tmp_path / "studies"), "--port", port], f"cannot listen on 127.0.0.1, port {port}"),
            (["--studies", str(tmp_path / "file")], "expected a folder of studies"),
            (["--studies", str(tmp_path / "studies"), "--host", "0.0.0.0"], "can be reached from other machines"),
        ]
        for arguments, says in cases:
            done = run(*arguments)
            assert (done.returncode, done.stdout) == (2, ""), done.stderr
            assert says in done.stderr.splitlines()[-1]
    assert "at least 16" in run("--studies", str(tmp_path / "studies"), token="short").stderr


def test_one_server_to_a_folder(studies: Path, address: str) -> None:
    done = run("--studies", str(studies), "--port", "0")
    assert done.returncode == 2
    assert "server" in done.stderr.splitlines()[-1]
    with Client(address) as client:
        assert client.info()["name"] == "CardiacMotion"


def test_only_who_has_the_token_is_let_in(guarded: str) -> None:
    with Client(guarded, token=TOKEN) as client:
        assert client.info()["cardiac_motion"]["limits"]["frames"] == 5
    for headers in (
        {},
        {"Authorization": "Bearer"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
    ):
        for path in ("/info/", "/openapi.json", "/nowhere"):
            answer = requests.get(guarded + path, headers=headers, timeout=20)
            assert answer.status_code == 401
            assert answer.json()["error"]["code"] == "unauthorized"
            assert answer.headers["WWW-Authenticate"] == "Bearer"
    with Client(guarded, token="another-token-than-that") as client, pytest.raises(ServerRefused) as raised:
        client.info()
    assert raised.value.status == 401


def test_pages_of_other_origins_and_other_host_names_are_kept_out(guarded: str, address: str) -> None:
    own = {"Authorization": f"Bearer {TOKEN}"}
    allowed = requests.get(guarded + "/info/", headers={**own, "Origin": ORIGIN}, timeout=20)
    assert (allowed.status_code, allowed.headers["Access-Control-Allow-Origin"]) == (200, ORIGIN)
    asked = requests.options(
        guarded + "/datastore/label",
        headers={"Origin": ORIGIN, "Access-Control-Request-Method": "PUT"},
        timeout=20,
    )
    assert (asked.status_code, asked.headers["Access-Control-Allow-Origin"]) == (200, ORIGIN)
    assert requests.get(guarded + "/info/", headers={**own, "Host": "cmr.example.org"}, timeout=20).ok
    for where, headers in (
        (guarded, {**own, "Origin": "https://elsewhere.example.org"}),
        (guarded, {**own, "Origin": "null"}),
        (guarded, {**own, "Host": "rebound.example.org"}),
        (address, {"Origin": ORIGIN}),
        (address, {"Host": "rebound.example.org:80"}),
    ):
        refused = requests.get(where + "/info/", headers=headers, timeout=20)
        assert refused.status_code == 403, headers
        assert "Access-Control-Allow-Origin" not in refused.headers


def test_the_log_is_json_and_names_no_patient_and_no_token(guarded: str, study: Study, log: Path) -> None:
    with Client(guarded, token=TOKEN) as client:
        client.put_image("Smith_Jane-1950", study.image)
        params = {"key_frames": [0], "options": QUICK}
        client.infer("motion", "Smith_Jane-1950", params, label=study.ed)
        client.save_label("Smith_Jane-1950", "final", study.ed, {"key_frames": [0], "note": "Jane has a fever"})
        client.next_case("random")
        with pytest.raises(ServerRefused):
            client.infer("motion", "Smith_John", params, label=study.ed)
    requests.get(f"{guarded}/datastore/image?image=Smith_Jane-1950&token={TOKEN}", timeout=20)
    text = log.read_text(encoding="utf-8")
    for secret in ("Smith", "Jane", "fever", TOKEN, str(study.image.parent)):
        assert secret not in text
    events = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    requested = {(each["method"], each["route"], each["status"]) for each in events if each["event"] == "request"}
    assert {
        ("PUT", "/datastore/image", 200),
        ("POST", "/infer/{model}", 200),
        ("POST", "/infer/{model}", 404),
        ("PUT", "/datastore/label", 200),
    } <= requested
    others = [line for line in text.splitlines() if not line.startswith("{")]
    assert all(line.startswith("cardiac-motion: warning: ") for line in others), others


@pytest.mark.skipif(os.name != "posix", reason="not run: ends a process with SIGTERM")
def test_a_ready_file_of_an_earlier_server_is_not_taken_for_this_ones(tmp_path: Path) -> None:
    ready = tmp_path / "ready.json"
    ready.write_text('{"address": "http://127.0.0.1:1", "pid": 1}')
    arguments = ["--studies", str(tmp_path / "studies"), "--port", "0", "--ready-file", str(ready)]
    running = subprocess.Popen(
        [sys.executable, "-m", "cardiac_motion.cli", "serve", *arguments], stderr=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + 60
        while not (ready.is_file() and json.loads(ready.read_text())["pid"] == running.pid):
            assert time.monotonic() < end
            time.sleep(0.05)
        with Client(json.loads(ready.read_text())["address"]) as client:
            assert client.info()["name"] == "CardiacMotion"
    finally:
        running.terminate()
        assert running.wait(60) == 0
    assert not ready.exists()
