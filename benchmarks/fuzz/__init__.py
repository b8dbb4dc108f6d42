"""Mutations of valid files, readers in processes with limits, and independent readers to compare with."""
