"""The model card, of what lies in a run's folder."""

import json

from models.data.dataset import sha256_of
from models.runs import card
from tests.models.runs.test_damaged_files import run_settings


def test_figures_within_labels_are_shown_with_the_labels_that_are_left_out(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    measured = {
        "weights": sha256_of(tmp_path / "model.safetensors"),
        "samples": 64,
        "kid_vgg16_128": 0.5,
        "intra_kid_vgg16_128": 0.75,
        "intra_kid_vgg16_128_error": 0.02,
        "intra_kid_vgg16_128_floor": 0.25,
        "intra_fid_vgg16_128": None,
        "intra_by_label": {"vgg16_128": {"red": {"reference": 1200, "kid": 0.75}, "blue": {"reference": 1003}}},
    }
    (tmp_path / "evaluation.json").write_text(json.dumps(measured))
    text = card.model_card(tmp_path, run_settings(), 4)
    assert "| KID by vgg16_128 within a label, mean over labels | lower | 0.75 ± 0.02 | 0.25 |" in text
    assert "FID by vgg16_128 within" not in text
    assert "Means over labels are without blue (1,003): too few faces or samples." in text
