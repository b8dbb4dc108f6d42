"""Strategies that pick the next case."""
