"""The hair tagger from RGB, as a web page has it."""

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from models.annotators.hair_colors import HairColors, to_lab
from models.annotators.hair_tagger import HairTagger
from pipeline.faces.boxes import Face
from pipeline.hair import color_names, color_network


def test_colors_are_those_of_cielab():
    rgb = np.random.default_rng(0).random((4, 8, 8, 3), np.float32)
    found = to_lab(torch.from_numpy(rgb).movedim(3, 1)).movedim(1, 3).numpy()
    assert np.abs(found - color_names.to_lab(rgb)).max() < 0.5  # OpenCV interpolates in a table


def test_probabilities_are_those_of_the_pipeline():
    tagger = HairTagger()
    tagger.load_state_dict(load_file(color_network.WEIGHTS))
    rng, side = np.random.default_rng(0), color_network.PATCH
    for _ in range(8):
        spots = Image.fromarray(rng.integers(0, 256, (5, 5, 3), np.uint8))
        patch = np.array(spots.resize((side, side), Image.Resampling.BILINEAR))
        x = torch.tensor(patch).permute(2, 0, 1)[None] / 127.5 - 1
        with torch.no_grad():
            found = HairColors(tagger).eval()(x)[0, :-1].tolist()
        face = Face((side / 4, side / 4, 3 * side / 4, 3 * side / 4), 0.0, 1.0)
        assert found == pytest.approx(color_network.color_scores(patch, face), abs=0.02)
