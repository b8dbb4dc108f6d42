"""What the panel remembers with the scene."""

from typing import Annotated, Optional

from slicer import vtkMRMLSequenceBrowserNode
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

MAX_FRAME = 9999


@parameterNodeWrapper
class Parameters:
    """The choices of the reader; frames count from 0.

    Where the server is, its token and where its command lies are settings of the application, not of the scene.

    Attributes:
        browser: of the cine that is worked on.
        strategy: that chooses the next case; "" for the server's first.
        segmentationModel: that segments frames; "" for the server's default.
        entropy: whether a segmentation comes with how unsure the model is.
        entropyOpacity: of its overlay, in percent.
        motionModel: that carries contours; "" for the server's default.
        modelOptions: of all models, as `model_options.write_chosen` writes them; those not in it are as the models
            have them.
        align: whether the slices are aligned before the motion is estimated, where that can be done.
        live: whether the other frames follow every edit.
        fromThisFrame: only this frame is carried, not all that were contoured.
        onlyRange: only frames of the range are written.
        firstFrame: of the range.
        lastFrame: of the range, which it belongs to.
        endDiastole: as the reader set it; None where it is found from the volumes.
        endSystole: likewise.
        note: that goes with the labels.
    """

    browser: Optional[vtkMRMLSequenceBrowserNode] = None  # noqa: UP045 - the wrapper of Slicer 5.12 takes no other
    strategy: str = ""
    segmentationModel: str = ""  # noqa: N815
    entropy: bool = False
    entropyOpacity: Annotated[int, WithinRange(10, 100)] = 50  # noqa: N815
    motionModel: str = ""  # noqa: N815 - as in the .ui files, as usual in Slicer
    modelOptions: str = ""  # noqa: N815
    align: bool = False
    live: bool = False
    fromThisFrame: bool = False  # noqa: N815
    onlyRange: bool = False  # noqa: N815
    firstFrame: Annotated[int, WithinRange(0, MAX_FRAME)] = 0  # noqa: N815
    lastFrame: Annotated[int, WithinRange(0, MAX_FRAME)] = 0  # noqa: N815
    endDiastole: Optional[int] = None  # noqa: N815, UP045
    endSystole: Optional[int] = None  # noqa: N815, UP045
    note: str = ""


def start_with(parameters: Parameters, browser: vtkMRMLSequenceBrowserNode, n_frames: int) -> None:
    """Begin with a cine: what was chosen for another one no longer counts."""
    if parameters.browser is browser:
        return
    parameters.browser = browser
    parameters.onlyRange, parameters.firstFrame, parameters.lastFrame = False, 0, n_frames - 1
    parameters.endDiastole = parameters.endSystole = None
    parameters.note = ""
