from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from CardiacMotionLib.client import Client, connection

from tests.slicer.client.fake_server import TOKEN, Fake


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    monkeypatch.setattr(connection, "PAUSES", (0.0, 0.0))
    fake = Fake()
    yield fake
    fake.close()


@pytest.fixture
def client(fake: Fake) -> Iterator[Client]:
    with Client(fake.address, token=TOKEN, timeout=(2, 5)) as client:
        yield client


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "Jane Doe.seq.nrrd"
    path.write_bytes(bytes(range(256)) * 40)
    return path
