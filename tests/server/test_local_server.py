"""A server that comes and goes with whoever needs it; mostly with a stand-in that starts at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import psutil
import pytest
from cardiac_motion.cli import main
from CardiacMotionLib.client import Client, ServerRefused, ServerUnreachable

from monailabel_app import local_server as module
from monailabel_app.local_server import ServerFailed, local_server

STAND_IN = """\
    #!{python}
    import json, os, pathlib, signal, sys, time
    arguments = sys.argv[1:]
    behaviour = os.environ["BEHAVIOUR"]
    if behaviour == "fails":
        sys.exit("first line\\nthe studies folder \\x1b[31mis in use")
    if behaviour == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    about = {{"pid": os.getpid(), "arguments": arguments, "environment": dict(os.environ)}}
    pathlib.Path(os.environ["ABOUT"]).write_text(json.dumps(about))
    print("starting", flush=True)
    if behaviour != "slow":
        ready = pathlib.Path(arguments[arguments.index("--ready-file") + 1])
        temporary = ready.with_name("temporary")
        temporary.write_text(json.dumps({{"address": "http://127.0.0.1:9", "pid": os.getpid()}}))
        temporary.rename(ready)
    time.sleep(60)
"""


class StandIn:
    """A program in the place of Python, which starts no server but says that it did."""

    def __init__(self, folder: Path) -> None:
        self.program, self._about = folder / "python", folder / "about.json"
        self.program.write_text(textwrap.dedent(STAND_IN).format(python=sys.executable))
        self.program.chmod(0o755)
        self.environment = {"BEHAVIOUR": "ready", "ABOUT": str(self._about)}

    @property
    def about(self) -> dict[str, Any]:
        return json.loads(self._about.read_text())

    @property
    def runs(self) -> bool:
        try:
            os.kill(self.about["pid"], 0)
        except ProcessLookupError:
            return False
        return True


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    stand_in = StandIn(tmp_path)
    monkeypatch.setattr(module.sys, "executable", str(stand_in.program))
    for name, value in stand_in.environment.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    return stand_in


def left_over(tmp_path: Path) -> list[str]:
    return [path.name for path in (tmp_path / "temporary").iterdir()]


def test_it_is_told_what_to_serve_and_ends_with_the_block(
    stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARDIAC_MOTION_TOKEN", "of-somebody-else")
    before = signal.getsignal(signal.SIGTERM)
    log = tmp_path / "server.log"
    with local_server(
        tmp_path / "s", token="mine", cache=tmp_path / "c", options=["--threads", "2"], log=log
    ) as it:
        assert it == "http://127.0.0.1:9"
        assert stand_in.runs
        about = stand_in.about
        assert signal.getsignal(signal.SIGTERM) is not before
    assert not stand_in.runs
    assert signal.getsignal(signal.SIGTERM) is before
    given = about["arguments"]
    assert given[:3] == ["-m", "cardiac_motion.cli", "serve"]
    given.remove("--stop-with-parent")
    options = dict(zip(given[3::2], given[4::2], strict=True))
    assert options.pop("--ready-file")
    assert options == {
        "--studies": str(tmp_path / "s"),
        "--port": "0",
        "--threads": "2",
        "--cache-folder": str(tmp_path / "c"),
    }
    assert about["environment"]["CARDIAC_MOTION_TOKEN"] == "mine"
    assert log.read_text() == "starting\n"
    assert left_over(tmp_path) == []
    with local_server(tmp_path / "s"):
        assert "CARDIAC_MOTION_TOKEN" not in stand_in.about["environment"]


@pytest.mark.parametrize("raised", [KeyboardInterrupt, ValueError, ServerUnreachable])
def test_it_ends_however_the_block_ends(stand_in: StandIn, tmp_path: Path, raised: type[BaseException]) -> None:
    with pytest.raises(raised, match="why"), local_server(tmp_path):
        raise raised("why")
    assert not stand_in.runs
    assert left_over(tmp_path) == []


@pytest.mark.parametrize("interrupted", [False, True])
def test_one_that_does_not_listen_is_killed(
    stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interrupted: bool
) -> None:
    monkeypatch.setenv("BEHAVIOUR", "stubborn")
    if interrupted:

        def ctrl_c(self: object, timeout: float | None = None) -> None:
            monkeypatch.undo()
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt), local_server(tmp_path):
            monkeypatch.setattr(subprocess.Popen, "wait", ctrl_c)
    else:
        with local_server(tmp_path, stop_seconds=0.2):
            pass
    assert not stand_in.runs


def test_one_that_fails_says_why(stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEHAVIOUR", "fails")
    said = r"status 1.*first line \| the studies folder .*is in use"
    with pytest.raises(ServerFailed, match=said) as caught, local_server(tmp_path):
        pytest.fail("the block was entered")
    assert str(caught.value).isprintable()
    assert left_over(tmp_path) == []


def test_one_that_takes_too_long_is_given_up(
    stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEHAVIOUR", "slow")
    log = tmp_path / "log"
    said = "answer within 1 s; its log ends with: starting"
    with pytest.raises(ServerFailed, match=said), local_server(tmp_path, start_seconds=1, log=log):
        pytest.fail("the block was entered")
    assert not stand_in.runs


@pytest.mark.skipif(os.name != "posix", reason="not run: signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_it_does_not_outlive_a_program_that_is_ended(stand_in: StandIn, tmp_path: Path, number: int) -> None:
    program = f"""
import signal, sys, time
from pathlib import Path
from monailabel_app import local_server
signal.signal({int(number)}, signal.SIG_DFL)  # whoever runs the tests may ignore it
real, sys.executable = sys.executable, {str(stand_in.program)!r}
with local_server.local_server(Path({str(tmp_path)!r})):
    print("ready", flush=True)
    time.sleep(60)
"""
    environment = {**os.environ, "TMPDIR": str(tmp_path / "temporary")}
    running = subprocess.Popen([stand_in_python(), "-c", program], stdout=subprocess.PIPE, env=environment)
    assert running.stdout is not None
    with running.stdout:
        assert running.stdout.readline() == b"ready\n"
    running.send_signal(number)
    assert running.wait(20) == 128 + number
    assert not stand_in.runs
    assert left_over(tmp_path) == []


def stand_in_python() -> str:
    """The real one: the stand-in's first line names it."""
    return str(Path(sys.prefix) / "bin" / "python")


def test_ctrl_c_in_the_demo_ends_the_server_and_in_130(
    stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ctrl_c(*args: object, **kwargs: object) -> None:
        assert stand_in.runs
        raise KeyboardInterrupt

    monkeypatch.setattr("monailabel_app.demo.phantom_demo", ctrl_c)
    with pytest.raises(SystemExit) as stop:
        main(["demo", "-o", str(tmp_path / "out")])
    assert stop.value.code == 130
    assert capsys.readouterr().err == "cardiac-motion: error: interrupted\n"
    assert not stand_in.runs
    assert left_over(tmp_path) == []
    assert list((tmp_path / "out").iterdir()) == []


def test_a_server_that_fails_ends_the_demo_in_1(
    stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BEHAVIOUR", "fails")
    with pytest.raises(SystemExit) as stop:
        main(["demo", "-o", str(tmp_path / "out")])
    assert stop.value.code == 1
    error = capsys.readouterr().err
    assert "the server ended by itself with status 1" in error
    assert error.count("\n") == 1


def test_the_real_one_answers_and_its_end_is_told(tmp_path: Path) -> None:
    token = "a-token-of-some-length"
    log = tmp_path / "server.log"

    def use_and_kill() -> None:
        with local_server(tmp_path / "studies", token=token, log=log) as address:
            with Client(address, token=token) as client:
                assert client.info()["cardiac_motion"]["strategies"]
                assert client.next_case("first") is None
            with Client(address) as client, pytest.raises(ServerRefused, match="401"):
                client.info()
            pid = pid_of_the_only_child()
            os.kill(pid, signal.SIGKILL)
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
            with Client(address, token=token) as client:
                client.info()

    with pytest.raises(ServerFailed, match="Connection refused; the server ended by itself with status -9"):
        use_and_kill()
    assert token not in log.read_text()


def pid_of_the_only_child() -> int:
    found = [child.pid for child in psutil.Process().children() if "cardiac_motion.cli" in child.cmdline()]
    assert len(found) == 1
    return found[0]
