"""The MONAI Label app of CardiacMotion and its hardened server."""
