"""A run's folder: its settings, its process, its exported networks and its card."""
