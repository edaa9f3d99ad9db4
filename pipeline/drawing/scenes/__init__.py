"""Painted scenes to train a face detector on: widely varied faces among things that are not faces.

canvas, figure       the surface, and the frame of one head
style, eyes          the random choices of one person
manners, modelling, printing    what all figures of a picture share: colours and lines, solid light, the medium
face, eye, mouth, fringe, hair, body, accessories, things, half_profile, stature, person, profile    people
over_face, lettering     what lies over them
ground, photograph, clutter, objects    what is around them
postprocess, lighting, damage    medium, exposure, light and damage of the whole picture
repertoire           what plain scenes, and wide ones, are composed of
compose              puts them together and returns the places of the faces
"""

from pipeline.drawing.scenes.compose import Mark, Scene, draw

__all__ = ["Mark", "Scene", "draw"]
