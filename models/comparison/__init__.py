"""Runs of GANs of faces side by side."""
