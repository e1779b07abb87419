"""Landmark networks, their training loop, data, checkpoints, metrics, tracking and prediction."""
