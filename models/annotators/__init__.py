"""Trainings of the networks that the pipeline ships: the face detector and the hair tagger."""
