from __future__ import annotations

import hashlib
import json
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from cardiac_motion.errors import InputError
from cardiac_motion.weights import build_network, load_weights, save_weights, shipped_weights, store
from torch import Tensor

CONFIG = {"classes": 4, "width": 2, "levels": 2}


def _state() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return dict(build_network("unet", CONFIG).state_dict())


def _save(path: Path, state: dict[str, Tensor] | None = None, card: str | None = "# unet\n") -> str:
    return save_weights(
        path, state if state is not None else _state(), model="unet", network="unet", config=CONFIG, card=card
    )


def test_weights_come_back_as_half_precision_has_them(tmp_path: Path) -> None:
    state = _state() | {"count": torch.tensor(70_000)}
    checksum = _save(tmp_path / "unet.pt", state)
    weights = load_weights(tmp_path / "unet.pt")
    assert (weights.model, weights.network, weights.config, weights.checksum) == ("unet", "unet", CONFIG, checksum)
    for name, value in state.items():
        expected = value.half().float() if value.is_floating_point() else value
        assert torch.equal(weights.state[name], expected)
        assert weights.state[name].dtype == expected.dtype
    kept = {name: value for name, value in weights.state.items() if name != "count"}
    build_network(weights.network, weights.config).load_state_dict(kept)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["unet.json", "unet.md", "unet.pt"]
    big = {"w": torch.ones(100_000)}
    _save(tmp_path / "big.pt", big)
    assert (tmp_path / "big.pt").stat().st_size < 202_000
    # Others take their place, and the same weights have the same checksum.
    assert _save(tmp_path / "unet.pt", state) == checksum
    assert _save(tmp_path / "unet.pt") != checksum


def test_a_name_stands_for_shipped_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_SHIPPED", tmp_path)
    assert shipped_weights() == ()
    with pytest.raises(InputError, match=r"the name of shipped ones \(none\), got unet"):
        load_weights("unet")
    checksum = _save(tmp_path / "unet.pt")
    assert shipped_weights() == ("unet",)
    assert load_weights("unet").checksum == checksum
    with pytest.raises(InputError, match=r"shipped ones \(unet\), got deunet"):
        load_weights("deunet")


class _Evil:
    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return (Path.touch, (Path("ran"),))  # type: ignore[return-value]


def _with_checksum_of(path: Path) -> None:
    """Let the file pass the checksum, to see what happens then."""
    about = json.loads(path.with_suffix(".json").read_text())
    about["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".json").write_text(json.dumps(about))


def _flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])
    _with_checksum_of(path)


def _pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps(_Evil()))
    _with_checksum_of(path)


def _torch_pickled(path: Path) -> None:
    torch.save({"state": _Evil()}, path)
    _with_checksum_of(path)


def _other_archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("image.txt", "no weights")
    _with_checksum_of(path)


def _other_content(path: Path) -> None:
    torch.save({"state": {"a": 1}}, path)
    _with_checksum_of(path)


def _newer(path: Path) -> None:
    about = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps(about | {"format": 2}))


def _no_sidecar(path: Path) -> None:
    path.with_suffix(".json").unlink()


def _odd_sidecar(path: Path) -> None:
    path.with_suffix(".json").write_text("[1]")


def _no_json(path: Path) -> None:
    path.with_suffix(".json").write_text("{")


def _gone(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_flipped, r"unet\.pt are damaged: expected the SHA-256"),
        (_cut, "a file of something else"),
        (_pickled, "a file of something else"),
        (_torch_pickled, "a file of something else|more than tensors"),
        (_other_archive, r"an archive of 0 data\.pkl"),
        (_other_content, "something else than half precision or whole numbers"),
        (_newer, "format 2, newer than what this version reads, 1"),
        (_no_sidecar, r"expected unet\.json beside the weights"),
        (_odd_sidecar, "expected format, model, network, config, sha256 in"),
        (_no_json, r"cannot read .*unet\.json"),
        (_gone, "no such file"),
    ],
)
def test_a_file_that_is_not_whole_or_foreign_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    _save(tmp_path / "unet.pt")
    change(tmp_path / "unet.pt")
    with pytest.raises(InputError, match=message):
        load_weights(tmp_path / "unet.pt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("value", [1e5, float("nan"), float("inf")])
def test_what_half_precision_cannot_hold_is_refused(tmp_path: Path, value: float) -> None:
    with pytest.raises(InputError, match="expected finite weights up to 65504, got others in w"):
        _save(tmp_path / "unet.pt", {"w": torch.tensor([value])})
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_half_written(tmp_path: Path) -> None:
    checksum = _save(tmp_path / "unet.pt")
    (tmp_path / "unet.md").unlink()
    (tmp_path / "unet.md").mkdir()
    with pytest.raises(InputError, match="expected a file or nothing there"):
        _save(tmp_path / "unet.pt", {"w": torch.ones(1)})
    assert load_weights(tmp_path / "unet.pt").checksum == checksum
    assert len(list(tmp_path.iterdir())) == 3
    with pytest.raises(InputError, match=r"the folder .* does not exist"):
        _save(tmp_path / "nowhere" / "unet.pt")
    with pytest.raises(InputError, match=r"ends in \.pt"):
        _save(tmp_path / "unet.bin")


def test_a_network_that_is_not_known_is_one_clear_error() -> None:
    with pytest.raises(InputError, match="expected a network among unet, deunet, got 'net'"):
        build_network("net", {})
    with pytest.raises(InputError, match="the network unet cannot be made with"):
        build_network("unet", {"hight": 3})


@pytest.mark.parametrize("name", shipped_weights())
def test_what_is_shipped_is_whole_small_and_has_its_card(name: str) -> None:
    weights = load_weights(name)
    build_network(weights.network, weights.config).load_state_dict(dict(weights.state))
    path = Path(store.__file__).parent / f"{name}.pt"
    assert path.stat().st_size <= store.LARGEST_BYTES
    card = path.with_suffix(".md").read_text(encoding="utf-8")
    headings = [line for line in card.splitlines() if line.startswith("## ")]
    assert headings == ["## Data and recipe", "## Results", "## Failures", "## Intended use", "## Limits"]
    # What was measured on phantoms and real cines has been put in, and what fails has been looked at.
    assert "not measured" not in card
    assert "Nobody has looked" not in card
    assert re.search(r"\d+ steps in \d+ minutes on ", card)
    results = card.partition("## Results")[2].partition("## Failures")[0]
    assert "phantoms" in results
    assert "real" in results
