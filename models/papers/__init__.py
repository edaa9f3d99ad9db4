"""The GANs: one file for a paper."""
