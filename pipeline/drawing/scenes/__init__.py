"""Painted scenes to train a face detector on: widely varied faces among things that are not faces.

canvas, figure       the surface, and the frame of one head
style, eyes          the random choices of one person
face, eye, mouth, fringe, hair, body, accessories, things, person, profile    people
ground, clutter      what is around them
postprocess          light, medium and exposure of the whole picture
compose              puts them together and returns the places of the faces
"""

from pipeline.drawing.scenes.compose import Mark, Scene, draw

__all__ = ["Mark", "Scene", "draw"]
