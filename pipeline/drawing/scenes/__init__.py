"""Painted scenes to train a face detector on: faces as varied as lot can make them, among things that are none.

lot, colors          chance, and colours by chance
canvas, figure       the surface, and the frame of one head
style, eyes          what is drawn by lot for one person
face, eye, mouth, fringe, hair, body, accessories, things, person, profile    people
ground, clutter      what is around them
treatment            what the whole picture goes through
scene                puts them together and says where the faces are
"""

from pipeline.drawing.scenes.compose import Mark, Scene, draw

__all__ = ["Mark", "Scene", "draw"]
