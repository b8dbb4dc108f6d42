"""Commands of other packages: there if they load, and no harm to the others if they do not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest
from cardiac_motion.cli import main, plugins

Install = Callable[..., None]

MODULE = '''
import typer
from cardiac_motion.errors import CardiacMotionError

def greet(name: str = "you") -> None:
    """Greet somebody."""
    typer.echo(f"hello {name}")

def fall() -> None:
    """Fail."""
    raise CardiacMotionError("fell over")

number = 7
'''


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    (tmp_path / "other_package.py").write_text(MODULE)
    (tmp_path / "half_package.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)

    def entries(*pairs: tuple[str, str]) -> None:
        found = [EntryPoint(name, value, plugins.GROUP) for name, value in pairs]
        monkeypatch.setattr(plugins, "entry_points", lambda *, group: found if group == plugins.GROUP else [])

    yield entries
    for name in ("other_package", "half_package"):
        sys.modules.pop(name, None)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    captured = capsys.readouterr()
    assert isinstance(stop.value.code, int)
    return stop.value.code, captured.out, captured.err


def test_a_command_of_another_package_runs(capsys: pytest.CaptureFixture[str], install: Install) -> None:
    install(("hail", "other_package:greet"), ("fall", "other_package:fall"))
    assert run(capsys, "hail", "--name", "Ada") == (0, "hello Ada\n", "")
    assert "Greet somebody" in run(capsys, "--help")[1]
    # What fails without being anybody's input ends in 1, with one line.
    assert run(capsys, "fall") == (1, "", "cardiac-motion: error: fell over\n")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("no_such_package:demo", "No module named 'no_such_package'"),
        ("half_package:demo", "ZeroDivisionError"),
        ("other_package:demo", "has no attribute 'demo'"),
        ("other_package:number", "expected a function, got int"),
    ],
)
def test_a_broken_command_says_so_when_called_and_spares_the_others(
    capsys: pytest.CaptureFixture[str],
    install: Install,
    value: str,
    reason: str,
) -> None:
    install(("broken", value), ("hail", "other_package:greet"))
    assert run(capsys, "hail") == (0, "hello you\n", "")
    code, out, err = run(capsys, "--help")
    assert (code, err) == (0, "")
    assert "broken" in out
    assert "propagate" in out
    code, out, err = run(capsys, "broken", "argument", "--option", "3")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert reason in err
    assert value in err


def test_a_name_that_is_taken_stays_with_its_owner(capsys: pytest.CaptureFixture[str], install: Install) -> None:
    install(("phantom", "other_package:greet"), ("hail", "other_package:greet"), ("hail", "other_package:fall"))
    code, out, err = run(capsys, "hail")
    assert (code, out) == (0, "hello you\n")
    assert "the command phantom of other_package:greet is left out" in err
    assert "the command hail of other_package:fall is left out" in err
    assert "synthetic beating heart" in run(capsys, "phantom", "--help")[1]


def test_the_server_and_the_demo_are_installed_as_such() -> None:
    found = {entry.name: entry.value for entry in entry_points(group=plugins.GROUP)}
    assert (
        found.items()
        >= {
            "demo": "monailabel_app.commands.demo:demo",
            "serve": "monailabel_app.commands.serve:serve",
        }.items()
    )


def test_help_does_not_wait_for_the_server_to_be_imported() -> None:
    program = (
        "import sys\nfrom cardiac_motion.cli import main\n"
        "try:\n    main(['--help'])\nfinally:\n"
        "    assert 'monailabel_app.commands.serve' in sys.modules\n"
        "    assert not {'monailabel', 'fastapi', 'uvicorn', 'CardiacMotionLib.client'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "serve" in done.stdout
