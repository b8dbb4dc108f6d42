"""MR Image Storage: one file for every frame of every slice (PS3.3, A.4)."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage

from cardiac_motion.dicom import modules
from cardiac_motion.dicom.cine_series import CineSeries, decimal
from cardiac_motion.dicom.modules import SeriesIdentity


def single_frame(series: CineSeries, identity: SeriesIdentity, version: str) -> Dataset:
    """All that the frames of a series share; `place_frame` adds the rest."""
    frames = series.cine.n_frames
    ds = modules.common(series, identity, version)
    for part in (
        modules.image_pixels(series),
        modules.plane_orientation(series),
        modules.pixel_measures(series),
        modules.rescaling(series),
        modules.window(series),
    ):
        ds.update(part)
    ds.SOPClassUID = MRImageStorage
    ds.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    ds.ScanningSequence = "GR"
    ds.SequenceVariant = ["SK", "SS"]
    ds.ScanOptions = ["CG", "PER"]
    ds.MRAcquisitionType = "2D"
    # Between frames of a cine with shared lines: what scanners state here.
    ds.RepetitionTime = decimal(modules.REPETITION_TIME_MS * modules.LINES_PER_HEARTBEAT)
    ds.EchoTime = decimal(modules.ECHO_TIME_MS)
    ds.EchoTrainLength = 1
    ds.FlipAngle = decimal(modules.FLIP_ANGLE_DEGREES)
    ds.BeatRejectionFlag = "N"
    ds.CardiacNumberOfImages = frames
    ds.NumberOfTemporalPositions = frames
    return ds


def place_frame(
    shared: Dataset, series: CineSeries, identity: SeriesIdentity, frame: tuple[int, int], number: int
) -> Dataset:
    """The image of one frame of one slice.

    Args:
        shared: from `single_frame`; it is left as it is.
        series: what to take the frame from.
        identity: of the series.
        frame: (t, z).
        number: of the instance in its series, from 1.
    """
    t, z = frame
    ds = Dataset()
    ds.update(shared)
    moment = identity.acquired(z)
    ds.SOPInstanceUID = identity.study.uid("instance", identity.number, number)
    ds.InstanceNumber = number
    ds.AcquisitionNumber = z + 1
    ds.AcquisitionDate = ds.ContentDate = modules.date(moment)
    ds.AcquisitionTime = ds.ContentTime = modules.time(moment)
    ds.update(modules.plane_position(series, z))
    ds.SliceLocation = decimal(float(series.normal @ series.position(z)))
    rr = series.rr_ms(z)
    ds.TriggerTime = decimal(series.trigger_ms(t, z))
    ds.NominalInterval = round(rr)
    ds.HeartRate = round(60_000 / rr)
    ds.TemporalPositionIdentifier = t + 1
    ds.PixelData = series.stored.values[t, z].astype("<u2").tobytes()
    ds["PixelData"].VR = "OW"
    return ds
