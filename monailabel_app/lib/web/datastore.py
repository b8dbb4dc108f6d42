"""Routes of images and labels."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, File, Form, Query, UploadFile
from pydantic import Field
from starlette.responses import JSONResponse, Response

from monailabel_app.lib.datastore import LabelVersion, check_tag
from monailabel_app.lib.errors import Conflict, NotFound, Unprocessable
from monailabel_app.lib.infers.base import TaskParams, parse_params
from monailabel_app.lib.uploads import keep_upload, read_uploaded_labels
from monailabel_app.lib.web.answers import WholeFileResponse
from monailabel_app.lib.web.state import ServerState, json_object, server_state

router = APIRouter(prefix="/datastore", tags=["Datastore"])

Server = Annotated[ServerState, Depends(server_state)]
ImageId = Annotated[str, Query(description="id of an image")]
LabelId = Annotated[str, Query(description="id of a label, which is that of its image")]
Tag = Annotated[str, Query(description="final or original")]
Version = Annotated[int | None, Query(ge=1, description="by default the newest")]
Params = Annotated[str, Form(description="a JSON object")]


class LabelInfo(TaskParams):
    """One structure of a label, as stock clients describe it."""

    name: str = Field(max_length=200)
    idx: int


class ModelUsed(TaskParams):
    """The model that a label was made with."""

    name: str = Field(max_length=200)
    version: int | str = Field(union_mode="left_to_right")


class SaveParams(TaskParams):
    """What is kept with a saved label.

    Attributes:
        label_info: names and values of its structures.
        verified_frames: frames that a reader has looked at and found right.
        key_frames: frames that were drawn or corrected; of a 3D label exactly one, its frame.
        model: that made the other frames.
        image_sha256: of the image file that the label was made on.
        note: of the reader.
    """

    label_info: list[LabelInfo] = Field(default_factory=list, max_length=256)
    verified_frames: list[int] = Field(default_factory=list, max_length=10_000)
    key_frames: list[int] = Field(default_factory=list, max_length=10_000)
    model: ModelUsed | None = None
    image_sha256: str | None = Field(default=None, max_length=100)
    note: str | None = Field(default=None, max_length=10_000)


@router.get("/", summary="Images and labels")
def datastore(server: Server, output: Literal["stats", "all"] = "stats") -> JSONResponse:
    """Numbers, or with ``output=all`` every image and its labels."""
    return JSONResponse(server.datastore.json() if output == "all" else server.datastore.status())


@router.put("/", include_in_schema=False)
@router.put("/image", summary="Upload an image")
def put_image(
    server: Server, image: ImageId, file: Annotated[UploadFile, File()], params: Params = "{}"
) -> JSONResponse:
    """Checked as a cine; 409 if there is one of that id with another content."""
    parse_params(TaskParams, json_object(params, server.settings))
    store = server.datastore
    with store.scratch_folder() as folder:
        record = store.add_image_file(image, keep_upload(file.filename, file.file, folder, field="file"))
    return JSONResponse({"image": record.id, "sha256": record.sha256})


@router.get("/image", summary="Download an image")
def get_image(server: Server, image: ImageId) -> WholeFileResponse:
    """The file as it was uploaded."""
    return _file(server.datastore.find_image(image).path)


@router.head("/image", include_in_schema=False)
def head_image(server: Server, image: ImageId, check_sum: str | None = None) -> Response:
    """Whether there is such an image, with that checksum (``SHA256:...``) if one is given."""
    record = server.datastore.find_image(image)
    if check_sum is not None and check_sum.rpartition(":")[2].lower() != record.sha256:
        raise NotFound("there is no image of that id with that checksum", field="check_sum")
    return Response()


@router.get("/image/info", summary="What is known of an image")
def image_info(server: Server, image: ImageId) -> JSONResponse:
    """As MONAI Label has it, without the server's path."""
    return JSONResponse(server.datastore.find_image(image).to_json())


@router.put("/label", summary="Save a label")
def put_label(
    server: Server,
    image: ImageId,
    label: Annotated[UploadFile, File()],
    tag: Tag = "final",
    params: Params = "{}",
) -> JSONResponse:
    """A new version; those of before stay. 422 if it does not fit the image, 409 if that is another one by now."""
    store = server.datastore
    # Stock clients leave the tag empty for the default.
    tag = tag or "final"
    check_tag(tag)
    checked = parse_params(SaveParams, json_object(params, server.settings))
    assert isinstance(checked, SaveParams)  # noqa: S101 - for the type checker
    case = store.case(image)
    for field in ("verified_frames", "key_frames"):
        outside = [t for t in getattr(checked, field) if not 0 <= t < case.cine.n_frames]
        if outside:
            raise Unprocessable(
                f"expected {field} from 0 to {case.cine.n_frames - 1}, got {outside[0]}",
                code="bad_params",
                field=field,
            )
    # As clients find it in an image's info, with the name of the algorithm, or bare.
    if checked.image_sha256 is not None and checked.image_sha256.rpartition(":")[2].lower() != case.sha256:
        raise Conflict(
            "the label was made on another image than the one of that id", code="other_image", field="image_sha256"
        )
    info = {**checked.model_dump(exclude_none=True), "image_sha256": case.sha256}
    with store.scratch_folder() as folder:
        path = keep_upload(label.filename, label.file, folder, field="label")
        with store.decoding():
            given = read_uploaded_labels(path, case)
        saved = store.save_label_version(image, tag, given, info, case=case)
    return JSONResponse({"image": image, "label": saved.label, "tag": saved.tag, "version": saved.version})


@router.get("/label", summary="Download a label")
def get_label(server: Server, label: LabelId, tag: Tag = "final", version: Version = None) -> WholeFileResponse:
    """uint8 NIfTI on the image's grid."""
    found = server.datastore.label_version(label, tag, version)
    return _file(found.path, name=f"{found.label}.nii.gz")


@router.head("/label", include_in_schema=False)
def head_label(server: Server, image: ImageId, tag: Tag = "final", version: Version = None) -> Response:
    """Whether there is such a label."""
    server.datastore.label_version(image, tag, version)
    return Response()


@router.get("/label/versions", summary="Every version of a label")
def label_versions(server: Server, label: LabelId, tag: Annotated[str | None, Query()] = None) -> JSONResponse:
    """Oldest first."""
    return JSONResponse([_described(each) for each in server.datastore.label_versions(label, tag)])


@router.get("/label/info", summary="What is kept with a label")
def label_info(server: Server, label: LabelId, tag: Tag = "final", version: Version = None) -> JSONResponse:
    """Of the newest version, or of the one that is named."""
    return JSONResponse(_described(server.datastore.label_version(label, tag, version)))


def _described(version: LabelVersion) -> dict[str, Any]:
    known = version.to_json()
    return {**known.pop("info"), **known}


def _file(path: Any, name: str | None = None) -> WholeFileResponse:
    media_type = "application/gzip" if path.name.endswith(".gz") else "application/octet-stream"
    return WholeFileResponse(path, filename=name or path.name, media_type=media_type)
