"""The fields that --set gives, and those that old runs lack."""

import json
from dataclasses import fields

import pytest
import torch

from models.data.dataset import UserError
from models.papers import projection
from models.runs import settings
from models.runs.settings import Job, build_config
from models.zoo import MODELS


def job(model: str = "cgan-srresnet", preset: str = "article", **assignments: str) -> Job:
    return Job("run", model, preset, {"faces": "x"}, "cache", {}, assignments=assignments)


def test_fields_are_set_with_the_types_that_they_have():
    config = build_config(
        job(
            squeeze="4",
            condition="norm",
            penalty="noise",
            penalty_weight="0",
            average="0.99",
            hflip="false",
            width="32",
        )
    )
    assert (config.squeeze, config.condition, config.penalty, config.penalty_weight) == (4, "norm", "noise", 0.0)
    assert (config.average, config.hflip, config.width, config.upsample) == (0.99, False, 32, "shuffle")
    assert type(config.penalty_weight) is float
    config = build_config(job("cgan-resblock", "small", widths="64,64,32,16,16", d_widths="8,16,16,16,16"))
    assert config.widths == (64, 64, 32, 16, 16)
    assert build_config(job()) == projection.SRRESNET["article"]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("nosuch", "1", "one of the fields size labels latent"),
        ("steps", "10", "give --steps"),
        ("batch_size", "10", "give --batch-size"),
        ("average", "2", "below 1"),
        ("beta1", "1", "below 1"),
        ("penalty", "foo", "given; interpolated or noise"),
        ("squeeze", "100", "squeeze=100 of 64 channels"),
        ("decay_from", "10", "decay_to must be more than decay_from"),
        ("width", "many", "a whole number of 1 or more, such as 64"),
        ("width", "-3", "a whole number of 1 or more"),
        ("micro_batches", "0", "a whole number of 1 or more"),
        ("average", "nan", "a number of 0 or more"),
        ("hflip", "2", "True or False"),
        ("condition", "both", "given; concat or norm"),
        ("upsample", "cubic", "given; shuffle or nearest"),
        ("size", "63", "pictures of"),
        ("blocks", "100000000", "blocks: 1000 or fewer expected"),
    ],
)
def test_other_values_are_one_clear_line(name, value, words):
    with pytest.raises(UserError, match=words):
        build_config(job(**{name: value}))


def test_a_preset_that_a_model_lacks_is_one_clear_line():
    with pytest.raises(UserError, match="one of article paper"):
        build_config(job("dcgan96", "modern"))


def test_every_field_has_the_value_of_before_it_for_runs_that_lack_it(tmp_path):
    """A run of before `augment` and `upsample` is read as one without them, and goes on."""
    saved = {"model": "cgan-srresnet", "seed": 0, "config": {}, "dataset": {"name": "x", "digest": "0"}}
    config = {field.name: getattr(projection.SRRESNET["tiny"], field.name) for field in fields(projection.PairConfig)}
    for name in ("augment", "upsample", "g_first", "g_batches", "uniform_labels"):
        del config[name]
    (tmp_path / "config.json").write_text(json.dumps(saved | {"config": config}))
    read = settings.read_settings(tmp_path)
    assert (read["config"]["augment"], read["config"]["upsample"]) == ("none", "shuffle")
    requested = saved | {"config": json.loads(json.dumps(vars(projection.SRRESNET["tiny"])))}
    assert settings.differences(read, requested) == []
    assert settings.differences(read, requested | {"config": requested["config"] | {"augment": "diff"}}) == [
        "augment none, now diff"
    ]


@pytest.mark.parametrize(
    ("model", "name", "value", "words"),
    [
        ("sagan", "size", "96", "size=96 given: size: 64 expected with 4 widths, 96 found; settings that"),
        ("sagan", "attention", "5", "attention=5 given: attention: sides of maps, 4 8 … 32 px expected, 5 found"),
        ("pggan", "size", "100", "size: 8 or 16 or 32 or 64 or 128 or 256 expected with 7 widths, 100 found; settings"),
        ("pggan", "latent", "100", "latent: a multiple of 16 expected, 100 found"),
        ("pggan", "fade", "0", "a whole number of 1 or more"),
        ("pggan", "networks", "both", "given; article or paper"),
    ],
)
def test_sizes_that_networks_cannot_have_are_refused_in_one_line(model, name, value, words):
    with pytest.raises(UserError) as error:
        build_config(job(model, **{name: value}))
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_growing_network_may_end_at_a_smaller_size():
    assert build_config(job("pggan", size="64")).grown == 5 * 7500


@pytest.mark.full(keep=2)
@pytest.mark.parametrize("name", MODELS)
def test_the_fields_of_a_preset_are_listed_as_they_are_given(name):
    for preset, config in MODELS[name].presets.items():
        listed = settings.assignable_fields(config)
        assert build_config(job(name, preset, **listed)) == config
        assert not {"steps", "batch_size", "augment"} & listed.keys()


def test_in_fp32_no_product_of_a_gpu_is_rounded_to_ten_bits(monkeypatch):
    from models.runs import worker

    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    for precision, allowed in (("bf16", True), ("fp32", False)):
        worker.set_precision(precision)
        assert torch.backends.cudnn.allow_tf32 == allowed
    assert not torch.backends.cuda.matmul.allow_tf32  # torch's default
