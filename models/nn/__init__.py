"""Layers, losses and averages that several papers share."""
