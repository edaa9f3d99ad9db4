"""Uses of a generator: samples, interpolations and attributes."""
