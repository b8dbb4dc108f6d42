"""A server of one's own, without ever waiting for it: with a stand-in, and once the real one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from CardiacMotionLib.client import Client, ClientError
from CardiacMotionLib.local_server import (
    TOKEN_VARIABLE,
    CommandMissing,
    LocalServer,
    ServerFailed,
    ServerState,
    find_command,
    server_environment,
)

from monailabel_app.commands import serve
from monailabel_app.parent import when_parent_ends

STAND_IN = """\
    #!{python}
    import json, os, pathlib, signal, sys, time
    behaviour = os.environ["BEHAVIOUR"]
    if behaviour == "fails":
        sys.exit("the studies folder is in use")
    if behaviour == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("starting", sys.argv[1:], os.environ.get("CARDIAC_MOTION_TOKEN"), flush=True)
    if behaviour != "slow":
        ready = pathlib.Path(sys.argv[sys.argv.index("--ready-file") + 1])
        ready.with_name("t").write_text(json.dumps({{"address": "http://127.0.0.1:9"}}))
        ready.with_name("t").rename(ready)
    time.sleep(60)
"""


class Bench:
    """Servers from a stand-in, with a clock that only we move."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now = folder, 0.0
        self.log = folder / "server.log"
        self.program = folder / "bin" / "cardiac-motion"
        self.program.parent.mkdir()
        self.program.write_text(textwrap.dedent(STAND_IN).format(python=sys.executable))
        self.program.chmod(0o755)
        self.servers: list[LocalServer] = []

    def start(self, behaviour: str = "ready") -> LocalServer:
        server = LocalServer(
            [str(self.program)],
            self.folder / "studies",
            environment={**os.environ, "BEHAVIOUR": behaviour, TOKEN_VARIABLE: "of-somebody-else"},
            log=self.log,
            token="mine",
            options=["--threads", "1"],
            start_seconds=100,
            stop_seconds=10,
            clock=lambda: self.now,
        )
        self.servers.append(server)
        server.start()
        return server

    def started(self, behaviour: str = "ready") -> tuple[LocalServer, psutil.Process]:
        server = self.start(behaviour)
        assert server.pid is not None
        process = psutil.Process(server.pid)
        until(lambda: b"starting" in self.log.read_bytes())
        return server, process


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def runs(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    bench = Bench(tmp_path)
    yield bench
    for server in bench.servers:
        server.stop_and_wait()
    assert list((tmp_path / "temporary").iterdir()) == []


def test_it_becomes_ready_and_ends_when_it_is_asked_to(bench: Bench) -> None:
    server, process = bench.started()
    until(lambda: server.poll().state is ServerState.READY)
    assert server.address == "http://127.0.0.1:9"
    given = bench.log.read_text()
    for part in ("'serve', '--studies'", "'--port', '0', '--stop-with-parent', '--threads', '1'", "] mine"):
        assert part in given
    server.stop()
    server.stop()
    assert server.poll().state in {ServerState.STOPPING, ServerState.STOPPED}
    until(lambda: server.poll().state is ServerState.STOPPED)
    assert not runs(process)
    assert (server.pid, server.poll().state) == (None, ServerState.STOPPED)
    # It can be started again.
    server.start()
    until(lambda: server.poll().state is ServerState.READY)
    with pytest.raises(RuntimeError, match="started already"):
        server.start()


def test_one_that_ends_by_itself_has_failed(bench: Bench) -> None:
    server = bench.start("fails")
    until(lambda: server.poll().state is not ServerState.STARTING)
    status = server.poll()
    assert status.state is ServerState.FAILED
    assert "status 1; its log ends with: the studies folder is in use" in status.message
    with pytest.raises(ServerFailed, match="ready"):
        _ = server.address
    ready, process = bench.started()
    until(lambda: ready.poll().state is ServerState.READY)
    process.kill()
    until(lambda: ready.poll().state is ServerState.FAILED)
    assert "status -9; its log ends with: starting" in ready.poll().message


def test_one_that_takes_too_long_is_given_up(bench: Bench) -> None:
    server, process = bench.started("slow")
    bench.now = 99
    assert server.poll().state is ServerState.STARTING
    bench.now = 101
    status = server.poll()
    assert status.state is ServerState.FAILED
    assert "answer within 100 s; its log ends with: starting" in status.message
    assert not runs(process)


def test_one_that_does_not_listen_is_killed(bench: Bench) -> None:
    server, process = bench.started("stubborn")
    until(lambda: server.poll().state is ServerState.READY)
    server.stop()
    bench.now += 9
    assert server.poll().state is ServerState.STOPPING
    assert runs(process)
    bench.now += 2
    assert server.poll().state is ServerState.STOPPED
    assert not runs(process)


def test_a_program_that_cannot_be_run_is_told(bench: Bench) -> None:
    bench.program.write_text("no program")
    with pytest.raises(ServerFailed, match="the server cannot be started"):
        bench.start()
    assert bench.servers[0].poll().state is ServerState.STOPPED
    bench.log = bench.folder / "no" / "log"
    with pytest.raises(ServerFailed, match="No such file"):
        bench.start()


# Where the command is, and with what variables


@pytest.mark.parametrize("chosen", ["bin/cardiac-motion", "bin", ".", " . "])
def test_the_command_is_found_where_the_user_points(bench: Bench, chosen: str) -> None:
    place = f" {bench.folder / chosen.strip()} " if " " in chosen else str(bench.folder / chosen)
    assert find_command(place, {}).resolve() == bench.program.resolve()


def test_the_command_is_found_on_the_path(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    path = os.pathsep.join(["", "bin", str(bench.folder), str(bench.program.parent)])
    assert find_command("", {"PATH": path}) == bench.program
    # Not from the folder where Slicer happens to stand.
    monkeypatch.chdir(bench.folder)
    with pytest.raises(CommandMissing):
        find_command("", {"PATH": f"{os.pathsep}bin"})


def test_on_windows_it_is_a_program_of_scripts(tmp_path: Path) -> None:
    program = tmp_path / "Scripts" / "cardiac-motion.exe"
    program.parent.mkdir()
    program.write_bytes(b"MZ")
    program.chmod(0o755)
    assert find_command(str(tmp_path), {}, is_windows=True) == program
    with pytest.raises(CommandMissing):
        find_command(str(tmp_path), {}, is_windows=False)


def test_without_the_command_two_lines_say_what_to_do(bench: Bench) -> None:
    bench.program.chmod(0o644)
    for chosen, where in ((str(bench.folder), f"in {bench.folder}"), ("", "on the PATH")):
        with pytest.raises(CommandMissing, match=r"README") as caught:
            find_command(chosen, {"PATH": str(bench.program.parent)})
        assert len(str(caught.value).splitlines()) == 2
        assert where in str(caught.value)
    assert issubclass(CommandMissing, ClientError)


def test_the_variables_of_slicers_python_stay_here(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONHOME", "PYTHONPATH", "LD_LIBRARY_PATH", "HOME"):
        monkeypatch.setenv(name, "of-slicer")
    now = server_environment()
    assert now["HOME"] == "of-slicer"
    assert not {"PYTHONHOME", "PYTHONPATH", "LD_LIBRARY_PATH"} & set(now)
    # What the user had before Slicer began is the user's.
    before = server_environment({"PYTHONPATH": "x", "LD_LIBRARY_PATH": "/libraries", "HOME": "h"})
    assert before == {"LD_LIBRARY_PATH": "/libraries", "HOME": "h"}
    assert serve.TOKEN_VARIABLE == TOKEN_VARIABLE


# Who is gone


@pytest.mark.parametrize("how", ["end of input", "still there"])
def test_the_end_of_the_input_is_the_end_of_the_parent(how: str) -> None:
    calls: list[int] = []
    read, write = os.pipe()
    try:
        with when_parent_ends(lambda: calls.append(1), stdin=read):
            os.write(write, b"what comes through is thrown away")
            if how == "end of input":
                os.close(write)
                until(lambda: bool(calls))
            else:
                time.sleep(0.6)
    finally:
        os.close(read)
        if how == "still there":
            os.close(write)
    assert calls == ([1] if how == "end of input" else [])


WATCHES = """
import os, pathlib, sys, time
from monailabel_app.parent import when_parent_ends
with when_parent_ends(lambda: (pathlib.Path(sys.argv[1]).write_text("gone"), os._exit(0)), stdin=int(sys.argv[2])):
    print("ready", flush=True)
    time.sleep(60)
"""

STARTS = """
import subprocess, sys, time
command, kept = [sys.executable, "-c", *sys.argv[1:]], [int(sys.argv[3])]
watching = subprocess.Popen(command, stdout=subprocess.PIPE, pass_fds=kept)
print(watching.stdout.readline(), flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(os.name != "posix", reason="not run: ids of parents are looked at under POSIX alone")
def test_a_killed_parent_is_noticed_though_somebody_else_holds_the_input(tmp_path: Path) -> None:
    read, write = os.pipe()
    told = tmp_path / "told"
    try:
        command = [sys.executable, "-c", STARTS, WATCHES, str(told), str(read)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, pass_fds=[read]) as parent:
            assert parent.stdout is not None
            assert b"ready" in parent.stdout.readline()
            assert not told.exists()
            parent.kill()
            until(told.exists)
    finally:
        os.close(read)
        os.close(write)


REAL = """
import json, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from CardiacMotionLib.local_server import LocalServer, ServerState, find_command, server_environment
command = find_command(sys.argv[2], {})
folder = Path(sys.argv[3])
server = LocalServer([str(command)], folder / "studies", environment=server_environment(),
                     log=folder / "server.log", token="a-token-of-some-length", options=["--threads", "1"])
server.start()
while (status := server.poll()).state is ServerState.STARTING:
    time.sleep(0.05)
print(json.dumps([status.state.value, status.message, server.address, server.pid]), flush=True)
time.sleep(100)
"""


def test_the_real_one_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    library = Path(__file__).resolve().parents[2] / "SlicerCardiacMotion"
    folder = Path(sys.executable).parent
    command = [sys.executable, "-c", REAL, str(library), str(folder), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        try:
            state, message, address, pid = json.loads(parent.stdout.readline())
            server = psutil.Process(pid)
            assert (state, message) == ("ready", "")
            with Client(address, token="a-token-of-some-length") as client:
                offer = client.offer()
            assert offer.api == 1
            assert offer.models_of("motion")[0].default_for == ("motion",)
            assert offer.labels == {"RV": 1, "MYO": 2, "LV": 3, "LA": 4, "RA": 5}
            assert offer.limits.frames is not None
            assert {"first", "random"} <= set(offer.strategies)
        finally:
            parent.send_signal(signal.SIGKILL)
    until(lambda: not runs(server))
    # It ended as on SIGTERM, not in the middle of something.
    events = [
        json.loads(line)["event"] for line in (tmp_path / "server.log").read_text().splitlines() if line[0] == "{"
    ]
    assert events[-1] == "stopped"
    assert "parent_ended" in events
