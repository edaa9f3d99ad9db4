"""Datasets: kinds, splits, assembling, publishing, cards, corrections, recipes, retagging and takedown."""
