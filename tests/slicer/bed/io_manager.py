"""``slicer.app.coreIOManager()``: loading and saving through the modules' logics and MRML's own storage nodes."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

TYPES: tuple[tuple[str, str], ...] = (
    (".seq.nrrd", "SequenceFile"),
    (".seq.nhdr", "SequenceFile"),
    (".seq.mrb", "SequenceFile"),
    (".seg.nrrd", "SegmentationFile"),
    (".seg.nhdr", "SegmentationFile"),
    (".seg.vtm", "SegmentationFile"),
    (".mrk.json", "MarkupsFile"),
    (".mrb", "SceneFile"),
    (".mrml", "SceneFile"),
    (".nii.gz", "VolumeFile"),
    (".nii", "VolumeFile"),
    (".nrrd", "VolumeFile"),
    (".nhdr", "VolumeFile"),
    (".mha", "VolumeFile"),
    (".vtk", "ModelFile"),
    (".vtp", "ModelFile"),
    (".stl", "ModelFile"),
    (".ply", "ModelFile"),
    (".obj", "ModelFile"),
    (".h5", "TransformFile"),
    (".tfm", "TransformFile"),
    (".csv", "TableFile"),
    (".tsv", "TableFile"),
)
"""The end of a file's name, and the type that Slicer's readers give it; the first that fits."""


class IoManager:
    """Files to nodes and back."""

    def __init__(self, scene: Any, logics: dict[str, Any], folder: Path) -> None:
        self._slicer: Any = importlib.import_module("slicer")
        self._scene, self._logics, self._folder = scene, logics, folder

    def fileType(self, name: str) -> str:
        ends = str(name).lower()
        return next((kind for suffix, kind in TYPES if ends.endswith(suffix)), "")

    def fileWriterFileType(self, node: Any) -> str:
        return "SequenceFile" if node.IsA("vtkMRMLSequenceNode") else "NodeFile"

    def loadNodes(self, kind: str, properties: dict[str, Any], loaded: Any, messages: Any) -> bool:
        """Puts the nodes read into `loaded`; False where nothing could be read."""
        path = str(properties["fileName"])
        reader = getattr(self, f"_read_{kind}", None)
        if reader is None:
            raise RuntimeError(f"the bed reads no {kind or 'file of this kind'}: {path}")
        if not Path(path).is_file():
            return False
        node = reader(path, properties, messages)
        if node is None:
            return False
        if node is not self._scene and "name" in properties:
            node.SetName(properties["name"])
        if node is not self._scene:
            loaded.AddItem(node)
        return True

    def loadScene(self, path: str, properties: dict[str, Any] | None = None) -> bool:
        return self._read_SceneFile(path, properties or {}, None) is not None

    def _read_VolumeFile(self, path: str, properties: dict[str, Any], messages: Any) -> Any:
        name = properties.get("name") or Path(path).name.split(".")[0]
        node = self._logics["volumes"].AddArchetypeVolume(path, name, 1 if properties.get("labelmap") else 0)
        if node is not None and properties.get("show", True) and not properties.get("labelmap"):
            selection = self._slicer.app.applicationLogic().GetSelectionNode()
            selection.SetActiveVolumeID(node.GetID())
            self._slicer.app.applicationLogic().PropagateVolumeSelection()
        return node

    def _read_SequenceFile(self, path: str, properties: dict[str, Any], messages: Any) -> Any:
        """The sequence, with a browser of its own that shows it, as Slicer's reader makes it."""
        sequence = self._logics["sequences"].AddSequence(path, messages)
        if sequence is None:
            return None
        browser = self._scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", f"{sequence.GetName()} browser")
        browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
        self._logics["sequences"].UpdateProxyNodesFromSequences(browser)
        return sequence

    def _read_SegmentationFile(self, path: str, properties: dict[str, Any], messages: Any) -> Any:
        return self._logics["segmentations"].LoadSegmentationFromFile(path)

    def _read_ModelFile(self, path: str, properties: dict[str, Any], messages: Any) -> Any:
        return self._logics["models"].AddModel(path)

    def _read_TransformFile(self, path: str, properties: dict[str, Any], messages: Any) -> Any:
        return self._logics["transforms"].AddTransform(path, self._scene)

    def _read_TableFile(self, path: str, properties: dict[str, Any], messages: Any) -> Any:
        return self._logics["tables"].AddTable(path)

    def _read_MarkupsFile(self, path: str, properties: dict[str, Any], messages: Any) -> Any:
        return self._scene.GetNodeByID(self._logics["markups"].LoadMarkups(path) or "")

    def _read_SceneFile(self, path: str, properties: dict[str, Any], messages: Any) -> Any:
        clear = bool(properties.get("clear", False))
        if path.endswith(".mrb"):
            read = self._scene.ReadFromMRB(path, clear)
        else:
            self._scene.SetURL(path)
            read = self._scene.Connect() if clear else self._scene.Import()
        return self._scene if read else None

    def saveNodes(self, kind: str, properties: dict[str, Any], messages: Any) -> bool:
        """Writes a scene (.mrb, .mrml or a folder) or one node, after its file name."""
        path = str(properties["fileName"])
        if kind == "SceneFile":
            return self._save_scene(path)
        node = self._scene.GetNodeByID(properties["nodeID"])
        if node is None:
            return False
        if node.GetStorageNode() is None and not node.AddDefaultStorageNode(path):
            return False
        node.GetStorageNode().SetFileName(path)
        return bool(node.GetStorageNode().WriteData(node))

    def _save_scene(self, path: str) -> bool:
        if path.endswith(".mrb"):
            return bool(self._scene.WriteToMRB(path))
        if path.endswith(".mrml"):
            self._scene.SetURL(path)
            return bool(self._scene.Commit(path))
        Path(path).mkdir(parents=True, exist_ok=True)
        return bool(self._slicer.app.applicationLogic().SaveSceneToSlicerDataBundleDirectory(path, None))
