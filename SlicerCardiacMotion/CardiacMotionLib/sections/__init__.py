"""The sections of the panel, each with its .ui file."""
