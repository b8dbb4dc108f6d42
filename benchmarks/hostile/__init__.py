"""Hostile requests as data, and what is looked at after each of them."""
