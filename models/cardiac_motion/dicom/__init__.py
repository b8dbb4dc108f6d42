"""DICOM: folders of a study into cines, and cines into a study."""
