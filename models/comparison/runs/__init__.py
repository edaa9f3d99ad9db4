"""Runs of GANs of faces, by their logs, samples and evaluations."""
