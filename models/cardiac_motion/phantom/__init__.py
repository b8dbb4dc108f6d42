"""A synthetic beating heart with the truth known."""
