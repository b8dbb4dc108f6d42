"""MONAI Label's interface, as its own parts use it."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cardiac_motion.io import LabelImage
from monailabel.datastore.local import LocalDatastore as StockDatastore
from monailabel.interfaces.datastore import Datastore

from monailabel_app.lib.datastore import LocalDatastore
from monailabel_app.lib.errors import NotAllowed, RequestError

MakeLabel = Callable[..., LabelImage]


def test_every_method_takes_what_monai_label_passes() -> None:
    for name in Datastore.__abstractmethods__:
        ours, theirs = (inspect.signature(getattr(kind, name)) for kind in (LocalDatastore, Datastore))
        assert list(ours.parameters) == list(theirs.parameters), name


def test_images_and_labels(store: LocalDatastore, studies: Path, files: Path, make_label: MakeLabel) -> None:
    for name in ("a", "b", "c"):
        assert store.add_image(name, str(files / "a.nii.gz"), {"site": name}) == name
    store.save_label_version("b", "final", make_label(1), {"note": "x"})
    store.save_label_version("b", "original", make_label(2, value=1), {})
    store.save_label_version("c", "original", make_label(3), {})
    assert store.list_images() == ["a", "b", "c"]
    assert store.get_labeled_images() == ["b"]
    assert store.get_unlabeled_images() == ["a", "c"]
    assert store.get_labeled_images("original") == ["b", "c"]
    assert store.get_unlabeled_images("original") == ["a"]
    assert store.get_labeled_images("original", ["RV"]) == ["b"]
    assert store.get_unlabeled_images("original", ["RV"]) == ["a", "c"]
    assert store.get_labels_by_image_id("b") == {"final": "b", "original": "b"}
    assert store.get_label_by_image_id("c", "final") == ""
    assert store.get_label_by_image_id("c", "original") == "c"
    assert store.status() == {"total": 3, "completed": 1, "label_tags": {"final": 1, "original": 2}}
    newest = store.label_version("b", "final")
    assert store.datalist() == [{"image": str(studies / "b.nii.gz"), "label": str(newest.path)}]
    assert store.get_image_uri("b") == str(studies / "b.nii.gz")
    assert store.get_label_uri("b", "final") == str(newest.path)
    image, label = store.get_image("b"), store.get_label("b", "final")
    assert image is not None
    assert image.getvalue() == (files / "a.nii.gz").read_bytes()
    assert label is not None
    assert label.getvalue() == newest.path.read_bytes()
    info = store.get_label_info("b", "final")
    assert (info["note"], info["name"], info["version"]) == ("x", "b.nii.gz", 1)
    assert info["checksum"] == f"SHA256:{newest.sha256}"


def test_nothing_is_known_of_what_is_not_there(store: LocalDatastore) -> None:
    assert store.get_image("x") is None
    assert store.get_label("x", "final") is None
    assert (store.get_image_uri("x"), store.get_label_uri("x", "final")) == ("", "")
    assert (store.get_image_info("x"), store.get_label_info("x", "final")) == ({}, {})
    assert (store.get_labels_by_image_id("x"), store.get_label_by_image_id("x", "final")) == ({}, "")
    assert (store.datalist(), store.list_images()) == ([], [])
    assert store.status() == {"total": 0, "completed": 0, "label_tags": {}}


def test_the_same_answers_as_monai_labels_own(
    store: LocalDatastore, files: Path, make_label: MakeLabel, tmp_path: Path
) -> None:
    """The overview has every key of MONAI Label's own datastore, with values of the same types, and no path."""
    stock = StockDatastore(str(tmp_path / "stock"))
    label = store.save_label_version(store.add_image_file("a", files / "a.nii.gz").id, "final", make_label(1), {})
    stock.add_image("a", str(files / "a.nii.gz"), {})
    stock.save_label("a", str(label.path), "final", {})
    stock.update_image_info("a", {"strategy": {"first": {"ts": 1}}})
    store.update_image_info("a", {"strategy": {"first": {"ts": 1}}})
    assert store.status() == stock.status()
    ours, theirs = json.loads(json.dumps(store.json())), json.loads(json.dumps(stock.json()))
    assert {key: type(value) for key, value in ours.items()} == {key: type(value) for key, value in theirs.items()}
    ours_a, theirs_a = ours["objects"]["a"], theirs["objects"]["a"]
    assert ours_a["image"]["ext"] == theirs_a["image"]["ext"] == ".nii.gz"
    assert ours_a["labels"]["final"]["ext"] == theirs_a["labels"]["final"]["ext"]
    for part in (lambda one: one["image"], lambda one: one["labels"]["final"]):
        mine, stocks = part(ours_a)["info"], part(theirs_a)["info"]
        assert {key: type(mine.get(key)) for key in stocks} == {key: type(value) for key, value in stocks.items()}
    assert str(tmp_path) not in json.dumps(ours)


def test_nothing_is_deleted_or_changed(
    store: LocalDatastore, studies: Path, case_a: str, make_label: MakeLabel
) -> None:
    store.save_label_version(case_a, "final", make_label(1), {"note": "x"})
    before = sorted(studies.rglob("*"))
    for call in (
        lambda: store.remove_image(case_a),
        lambda: store.remove_label(case_a, "final"),
        lambda: store.update_label_info(case_a, "final", {"note": "y"}),
        lambda: store.get_dataset_archive(None),
    ):
        with pytest.raises(NotAllowed) as caught:
            call()
        assert isinstance(caught.value, RequestError)
        assert caught.value.status == 405
    store.update_label_info(case_a, "final", {})
    assert sorted(studies.rglob("*")) == before
    assert store.label_version(case_a, "final").info == {"note": "x"}


def test_names_for_people(store: LocalDatastore, studies: Path) -> None:
    assert (store.name(), store.description()) == ("CardiacMotion", "")
    store.set_name("Ward 3")
    store.set_description("2026 ü")
    store.close()
    with LocalDatastore(studies) as again:
        assert (again.name(), again.description()) == ("Ward 3", "2026 ü")
        assert again.json()["name"] == "Ward 3"
