"""The networks that come with the program and that the page uses, as graphs for ONNX."""

from pathlib import Path
from typing import Any

from workflows.base.from_run import shipped_network

LICENSE = "MIT"


def weights() -> dict[str, Path]:
    """Return the files of their weights, by the name of the network."""
    from pipeline.faces import landmarks, network
    from pipeline.hair import color_network

    return {
        "blink": shipped_network("blink") / "model.safetensors",
        "face_detector": network.WEIGHTS,
        "landmarks": Path(landmarks.FINDERS["network"].asset),
        "hair_colors": color_network.WEIGHTS,
        "upscaler": shipped_network("upscaler") / "model.safetensors",
    }


def graphs() -> dict[str, Any]:
    """Return the graphs by name. Raise UserError if a file is missing or damaged."""
    of_pipeline = {"face_detector": _face_detector, "landmarks": _landmarks, "hair_colors": _hair_colors}
    return {name: of_pipeline.get(name, _trained)(str(path)) for name, path in weights().items()}


def _trained(path: str) -> Any:
    """Return the graph of a network of models/shipped/, which is one that a run exports."""
    from models.runs import export, onnx_networks

    return onnx_networks.graph_of(export.load_network(Path(path).parent), 0)


def _face_detector(path: str) -> Any:
    from models.runs.onnx_graph import Graph, Port
    from pipeline.faces import network as face

    facts = {
        "columns": ["logit", "x", "y", "log_side", "sine", "cosine"],
        "stride": face.STRIDE,
        "side": face.SIDE,
        "face_sides": face.FACE_SIDES_PX,
        "proposal_logit": face.PROPOSAL_LOGIT,
        "face_logit": face.FACE_LOGIT,
        "turned": {"degrees": face.MAX_TILT_DEG, "handicap": face.TURNED_HANDICAP},
        "min_face": face.MIN_FACE_PX,
        "view_ratio": face.VIEW_RATIO,
        "min_picture": face.MIN_PICTURE_PX,
        "max_view": face.MAX_VIEW_PX,
        "margin": face.MARGIN_PX,
        "second_look": {
            "size": face.SECOND_LOOK_PX,
            "faces": face.SECOND_LOOK_FACES_PX,
            "cells": [face.CENTER_CELLS.start, face.CENTER_CELLS.stop],
        },
    }
    picture = Port("picture", "picture", ("n", 3, "h", "w"), 127.5)
    return Graph(face.load(path), (picture,), (Port("maps", "numbers", ("n", 6, "h/8", "w/8")),), facts)


def _landmarks(path: str) -> Any:
    from models.runs.onnx_graph import Graph, Port
    from pipeline.faces import landmark_network as landmark

    eyes = [f"{side}_eye_{edge}" for side in ("left", "right") for edge in ("x0", "y0", "x1", "y1")]
    points = ["mouth_x", "mouth_y", "chin_x", "chin_y"]
    logits = [f"{side}_{what}" for what in ("openness_logit", "visible_logit") for side in ("left", "right")]
    columns = [*eyes, *points, *logits]
    picture = Port("picture", "picture", ("n", 3, landmark.SIZE, landmark.SIZE), 127.5)
    found = Port("landmarks", "numbers", ("n", len(columns)))
    return Graph(landmark.load(path), (picture,), (found,), {"columns": columns, "face_sides": landmark.FACE_SIDES})


def _hair_colors(path: str) -> Any:
    from models.annotators.hair_colors import HairColors
    from models.annotators.hair_tagger import HairTagger
    from models.runs.onnx_graph import Graph, Port
    from pipeline.faces.network import load_weights
    from pipeline.hair import color_network, tagging
    from pipeline.manifest import HAIR_COLORS

    columns = [*HAIR_COLORS, "none"]
    facts = {"columns": columns, "face_sides": color_network.FACE_SIDES, "least": tagging.MIN_COLOR_PROBABILITY}
    picture = Port("picture", "picture", ("n", 3, color_network.PATCH, color_network.PATCH), HairColors.middle)
    network = HairColors(load_weights(HairTagger(), path, "hair colour")).eval()
    return Graph(network, (picture,), (Port("shares", "share", ("n", len(columns))),), facts)
