"""Manifests -> batches."""
