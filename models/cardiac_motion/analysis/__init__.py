"""What follows from labels and motion: volumes and function of the heart, curves, films."""
