"""Torch modules, one per paper: shapes in, shapes out."""
