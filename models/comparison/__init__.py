"""Runs side by side: GANs of faces, and networks that make pictures larger."""
