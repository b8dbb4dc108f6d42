"""A stranger's DICOM files made into cases: unpacked and read in a process of its own, within limits.

Decoders of compressed pixels are C and C++, and an archive can say anything of itself: whatever happens there
happens to that process alone. Of the files nothing is kept but the images, as NIfTI.
"""
