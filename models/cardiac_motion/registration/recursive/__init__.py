"""Recursive diffeomorphic registration: training-free, from scratch for every pair of images."""
