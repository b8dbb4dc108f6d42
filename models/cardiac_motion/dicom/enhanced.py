"""Enhanced MR Image Storage: all frames in one file, with functional groups (PS3.3, A.36)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.tag import Tag
from pydicom.uid import EnhancedMRImageStorage

from cardiac_motion.dicom import modules
from cardiac_motion.dicom.cine_series import CineSeries, decimal
from cardiac_motion.dicom.modules import SeriesIdentity

_FRAME_TYPE = ["ORIGINAL", "PRIMARY", "CARDIAC_GATED", "NONE"]
_DIMENSIONS = (
    ("FrameContentSequence", "StackID"),
    ("FrameContentSequence", "InStackPositionNumber"),
    ("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime"),
)


def enhanced(
    series: CineSeries, identity: SeriesIdentity, version: str, frames: Sequence[tuple[int, int]]
) -> Dataset:
    """One object that holds these frames, each (t, z), in this order."""
    slices = sorted({z for _, z in frames})
    moment = identity.acquired()
    ds = modules.common(series, identity, version)
    ds.update(modules.image_pixels(series))
    ds.SOPClassUID = EnhancedMRImageStorage
    ds.SOPInstanceUID = identity.study.uid("instance", identity.number, 1)
    ds.InstanceNumber = 1
    ds.NumberOfFrames = len(frames)
    ds.AcquisitionNumber = 1
    ds.ContentDate, ds.ContentTime = modules.date(moment), modules.time(moment)
    ds.AcquisitionDateTime = modules.date(moment) + modules.time(moment)
    ds.AcquisitionDuration = len(slices) * 10.0
    ds.update(_image(series))
    ds.update(_pulse_sequence())
    ds.update(_synchronization())
    ds.AcquisitionContextSequence = DicomSequence([])
    ds.update(_dimensions(identity))
    ds.SharedFunctionalGroupsSequence = DicomSequence([_shared(series)])
    ds.PerFrameFunctionalGroupsSequence = DicomSequence(
        [_frame(series, identity, t, z, slices.index(z)) for t, z in frames]
    )
    ds.PixelData = np.stack([series.stored.values[t, z] for t, z in frames]).astype("<u2").tobytes()
    ds["PixelData"].VR = "OW"
    return ds


def _image(series: CineSeries) -> Dataset:
    ds = Dataset()
    ds.ImageType = _FRAME_TYPE
    ds.PixelPresentation = "MONOCHROME"
    ds.VolumetricProperties = "VOLUME"
    ds.VolumeBasedCalculationTechnique = "NONE"
    ds.ComplexImageComponent = "MAGNITUDE"
    ds.AcquisitionContrast = "UNKNOWN"
    ds.ContentQualification = "RESEARCH"
    ds.ResonantNucleus = "1H"
    ds.KSpaceFiltering = "NONE"
    ds.ApplicableSafetyStandardAgency = "IEC"
    ds.ImageComments = f"synthetic, {series.cine.n_frames} frames of a heart cycle"
    return ds


def _pulse_sequence() -> Dataset:
    ds = Dataset()
    ds.PulseSequenceName = "cine bSSFP"
    ds.MRAcquisitionType = "2D"
    ds.EchoPulseSequence = "GRADIENT"
    ds.EchoPlanarPulseSequence = "NO"
    ds.MultiPlanarExcitation = "NO"
    ds.PhaseContrast = "NO"
    ds.SteadyStatePulseSequence = "FREE_PRECESSION"
    ds.TimeOfFlightContrast = "NO"
    ds.SaturationRecovery = "NO"
    ds.SpectrallySelectedSuppression = "NONE"
    ds.OversamplingPhase = "NONE"
    ds.GeometryOfKSpaceTraversal = "RECTILINEAR"
    ds.RectilinearPhaseEncodeReordering = "LINEAR"
    ds.SegmentedKSpaceTraversal = "PARTIAL"
    ds.NumberOfKSpaceTrajectories = 1
    return ds


def _synchronization() -> Dataset:
    ds = Dataset()
    ds.CardiacSynchronizationTechnique = "RETROSPECTIVE"
    ds.CardiacSignalSource = "ECG"
    ds.CardiacRRIntervalSpecified = 0.0
    ds.CardiacBeatRejectionTechnique = "NONE"
    ds.LowRRValue = 0
    ds.HighRRValue = 0
    ds.IntervalsAcquired = 1
    ds.IntervalsRejected = 0
    return ds


def _dimensions(identity: SeriesIdentity) -> Dataset:
    organization = Dataset()
    organization.DimensionOrganizationUID = identity.study.uid("dimensions", identity.number)
    ds = Dataset()
    ds.DimensionOrganizationSequence = DicomSequence([organization])
    indices = []
    for group, keyword in _DIMENSIONS:
        index = Dataset()
        index.DimensionOrganizationUID = organization.DimensionOrganizationUID
        index.DimensionIndexPointer = Tag(keyword)
        index.FunctionalGroupPointer = Tag(group)
        index.DimensionDescriptionLabel = keyword
        indices.append(index)
    ds.DimensionIndexSequence = DicomSequence(indices)
    return ds


def _shared(series: CineSeries) -> Dataset:
    ds = Dataset()
    for name, group in {
        "PixelMeasuresSequence": modules.pixel_measures(series),
        "PlaneOrientationSequence": modules.plane_orientation(series),
        "PixelValueTransformationSequence": _transformation(series),
        "FrameVOILUTSequence": modules.window(series),
        "FrameAnatomySequence": _anatomy(),
        "MRImageFrameTypeSequence": _frame_type(),
        "MRTimingAndRelatedParametersSequence": _timing(),
        "MRFOVGeometrySequence": _field_of_view(series),
        "MREchoSequence": _echo(),
        "MRModifierSequence": _modifier(),
        "MRImagingModifierSequence": _imaging_modifier(),
        "MRReceiveCoilSequence": _receive_coil(),
        "MRTransmitCoilSequence": _transmit_coil(),
        "MRAveragesSequence": _averages(),
    }.items():
        setattr(ds, name, DicomSequence([group]))
    return ds


def _frame(series: CineSeries, identity: SeriesIdentity, t: int, z: int, in_stack: int) -> Dataset:
    rr = series.rr_ms(z)
    moment = identity.acquired(z)
    content = Dataset()
    content.FrameAcquisitionNumber = in_stack + 1
    content.FrameReferenceDateTime = modules.date(moment) + modules.time(moment)
    content.FrameAcquisitionDateTime = content.FrameReferenceDateTime
    content.FrameAcquisitionDuration = rr / series.cine.n_frames
    content.CardiacCyclePosition = "UNDETERMINED"
    content.StackID = "1"
    content.InStackPositionNumber = in_stack + 1
    content.TemporalPositionIndex = t + 1
    content.DimensionIndexValues = [1, in_stack + 1, t + 1]
    gating = Dataset()
    # The same in all slices, so that frames of one phase share their index; the actual one is the slice's.
    gating.NominalCardiacTriggerDelayTime = series.nominal_trigger_ms(t)
    gating.ActualCardiacTriggerDelayTime = series.trigger_ms(t, z)
    gating.RRIntervalTimeNominal = rr
    gating.HeartRate = round(60_000 / rr)
    ds = Dataset()
    ds.FrameContentSequence = DicomSequence([content])
    ds.PlanePositionSequence = DicomSequence([modules.plane_position(series, z)])
    ds.CardiacSynchronizationSequence = DicomSequence([gating])
    return ds


def _transformation(series: CineSeries) -> Dataset:
    ds = modules.rescaling(series)
    ds.RescaleType = "US"
    return ds


def _anatomy() -> Dataset:
    heart = Dataset()
    heart.CodeValue = "80891009"
    heart.CodingSchemeDesignator = "SCT"
    heart.CodeMeaning = "Heart"
    ds = Dataset()
    ds.FrameLaterality = "U"
    ds.AnatomicRegionSequence = DicomSequence([heart])
    return ds


def _frame_type() -> Dataset:
    ds = Dataset()
    ds.FrameType = _FRAME_TYPE
    ds.PixelPresentation = "MONOCHROME"
    ds.VolumetricProperties = "VOLUME"
    ds.VolumeBasedCalculationTechnique = "NONE"
    ds.ComplexImageComponent = "MAGNITUDE"
    ds.AcquisitionContrast = "UNKNOWN"
    return ds


def _timing() -> Dataset:
    rate = Dataset()
    rate.SpecificAbsorptionRateDefinition = "IEC_WHOLE_BODY"
    rate.SpecificAbsorptionRateValue = 0.0
    modes = []
    for kind in ("STATIC FIELD", "RF", "GRADIENT"):
        mode = Dataset()
        mode.OperatingModeType = kind
        mode.OperatingMode = "IEC_NORMAL"
        modes.append(mode)
    ds = Dataset()
    ds.RepetitionTime = decimal(modules.REPETITION_TIME_MS)
    ds.FlipAngle = decimal(modules.FLIP_ANGLE_DEGREES)
    ds.EchoTrainLength = 1
    ds.RFEchoTrainLength = 0
    ds.GradientEchoTrainLength = 1
    ds.SpecificAbsorptionRateSequence = DicomSequence([rate])
    ds.GradientOutputType = "DB_DT"
    ds.GradientOutput = 0.0
    ds.OperatingModeSequence = DicomSequence(modes)
    return ds


def _field_of_view(series: CineSeries) -> Dataset:
    ds = Dataset()
    ds.InPlanePhaseEncodingDirection = "COLUMN"
    ds.MRAcquisitionFrequencyEncodingSteps = series.cine.shape[3]
    ds.MRAcquisitionPhaseEncodingStepsInPlane = series.cine.shape[2]
    ds.PercentSampling = "100"
    ds.PercentPhaseFieldOfView = "100"
    return ds


def _echo() -> Dataset:
    ds = Dataset()
    ds.EffectiveEchoTime = modules.ECHO_TIME_MS
    return ds


def _modifier() -> Dataset:
    ds = Dataset()
    ds.InversionRecovery = "NO"
    ds.FlowCompensation = "NONE"
    ds.Spoiling = "NONE"
    ds.T2Preparation = "NO"
    ds.SpectrallySelectedExcitation = "NONE"
    ds.SpatialPresaturation = "NONE"
    ds.PartialFourier = "NO"
    ds.ParallelAcquisition = "NO"
    return ds


def _imaging_modifier() -> Dataset:
    ds = Dataset()
    ds.MagnetizationTransfer = "NONE"
    ds.BloodSignalNulling = "NO"
    ds.Tagging = "NONE"
    ds.TransmitterFrequency = 42.577 * modules.FIELD_STRENGTH_TESLA
    ds.PixelBandwidth = decimal(modules.PIXEL_BANDWIDTH_HZ)
    return ds


def _receive_coil() -> Dataset:
    ds = Dataset()
    ds.ReceiveCoilName = "BODY"
    ds.ReceiveCoilManufacturerName = ""
    ds.ReceiveCoilType = "BODY"
    ds.QuadratureReceiveCoil = "NO"
    return ds


def _transmit_coil() -> Dataset:
    ds = Dataset()
    ds.TransmitCoilName = "BODY"
    ds.TransmitCoilManufacturerName = ""
    ds.TransmitCoilType = "BODY"
    return ds


def _averages() -> Dataset:
    ds = Dataset()
    ds.NumberOfAverages = "1"
    return ds
