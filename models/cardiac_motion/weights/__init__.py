"""Weights of networks: shipped ones as package data, and files of one's own, read safely."""

from cardiac_motion.weights.networks import build_network, fitted_network
from cardiac_motion.weights.store import Weights, load_weights, save_weights, shipped_weights, weights_card

__all__ = [
    "Weights",
    "build_network",
    "fitted_network",
    "load_weights",
    "save_weights",
    "shipped_weights",
    "weights_card",
]
