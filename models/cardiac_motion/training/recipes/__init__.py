"""What each model is trained on and how: the numbers, one file per model."""
