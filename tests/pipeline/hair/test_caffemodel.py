import struct
from collections import OrderedDict

import numpy as np
import pytest
import torch
from safetensors.numpy import save
from torch import nn

from pipeline.assets import cache_folder
from pipeline.errors import UserError
from pipeline.hair import caffemodel as reader
from tests.support.caffe_files import at_random, blob, caffemodel, chunk, layer, layers, number, v1_layer


class Small(nn.Sequential):
    def __init__(self):
        super().__init__(OrderedDict(conv1=nn.Conv2d(3, 4, 3), flat=nn.Flatten(), encode1=nn.Linear(5, 6)))


NETWORK = at_random(Small())
WEIGHTS = NETWORK.state_dict()
CONV, FC = (layers(NETWORK)[name][1] for name in ("conv1", "encode1"))
FILE = caffemodel(NETWORK)


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def file(tmp_path):
    def write(data: bytes):
        path = tmp_path / "net.caffemodel"
        path.write_bytes(data)
        return path

    return write


def assert_equal(found):
    assert found.keys() == WEIGHTS.keys()
    for name, values in found.items():
        np.testing.assert_array_equal(values, WEIGHTS[name].numpy())


@pytest.mark.parametrize("write", [layer, v1_layer])
def test_either_form_of_layers_is_read(file, write):
    assert_equal(reader.read(file(caffemodel(NETWORK, write)), NETWORK))


def test_other_layers_are_skipped(file):
    other = layer("encode2", nn.Linear, [np.ones((2, 6), np.float32)]) + chunk(100, chunk(1, b"relu1"))
    assert_equal(reader.read(file(other + FILE + chunk(100, b"")), NETWORK))


def test_a_shape_may_be_written_number_by_number(file):
    bias = chunk(7, number(1, 4)) + chunk(5, CONV[1].tobytes())
    conv = chunk(100, chunk(1, b"conv1") + chunk(7, blob(CONV[0])) + chunk(7, bias))
    assert_equal(reader.read(file(conv + layer("encode1", nn.Linear, FC)), NETWORK))


def conv(*blobs: bytes) -> bytes:
    return chunk(100, chunk(1, b"conv1") + b"".join(chunk(7, of) for of in blobs)) + layer("encode1", nn.Linear, FC)


NOT_A_NUMBER = np.full_like(CONV[1], np.nan)
HOSTILE = {
    "a web page": (b"\n <!DOCTYPE html><html>" + bytes(900), "a web page"),
    "nothing": (b"", "0 bytes"),
    "a part of it": (FILE[: len(FILE) // 2], "its weights alone are"),
    "far too much": (FILE + chunk(1, bytes(3 << 20)), "its weights alone are"),
    "cut within a layer": (chunk(1, bytes(99)) + FILE[:-9], "cannot read its layers"),
    "a length beyond the end": (FILE + struct.pack("BBBBBBB", 2, *[255] * 5, 127), "cannot read its layers"),
    "a number without an end": (FILE + b"\xff" * 40, "cannot read its layers"),
    "no protocol buffers": (bytes(range(3, 256)) * 9, "cannot read its layers"),
    "no layers": (chunk(1, FILE), "cannot read conv1.weight"),
    "a missing layer": (layer("conv1", nn.Conv2d, CONV) + chunk(1, bytes(200)), "cannot read encode1.weight"),
    "transposed weights": (
        layer("conv1", nn.Conv2d, CONV) + layer("encode1", nn.Linear, [FC[0].T.copy(), FC[1]]),
        r"encode1.weight has the shape \(5, 6\) instead of \(6, 5\)",
    ),
    "no bias": (conv(blob(CONV[0])) + chunk(1, bytes(99)), "cannot read conv1.bias"),
    "fewer values than its shape": (conv(blob(CONV[0])[:-4], blob(CONV[1])), "cannot read its layers"),
    "no values": (conv(blob(CONV[0]), chunk(7, chunk(1, b"\x04"))) + chunk(1, bytes(99)), "cannot read its layers"),
    "more values than its shape": (conv(blob(CONV[0]), blob(CONV[1]) + chunk(5, bytes(4))), "cannot read its layers"),
    "a shape of billions": (
        conv(blob(CONV[0]), chunk(7, chunk(1, b"\xff\xff\xff\xff\x7f")) + chunk(5, bytes(16))),
        "cannot read its layers",
    ),
    "numbers where bytes belong": (
        conv(blob(CONV[0]), number(7, 4) + number(5, 1 << 40)) + chunk(1, bytes(99)),
        "cannot read its layers",
    ),
    "weights that are not finite": (conv(blob(CONV[0]), blob(NOT_A_NUMBER)), "weights that are no numbers"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_no_such_network_is_refused_in_one_line_and_nothing_kept(file, what):
    data, words = HOSTILE[what]
    with pytest.raises(UserError, match=words) as error:
        reader.load_into(Small(), file(data))
    assert "net.caffemodel: " in str(error.value)
    assert "\n" not in str(error.value)
    assert not list(cache_folder().glob("*.safetensors"))


def test_no_byte_changed_or_missing_does_more_than_that(file):
    random = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(FILE)
        damaged[random.integers(60)] = random.integers(256)
        for data in (damaged, FILE[: random.integers(len(FILE))]):
            try:
                found = reader.read(file(data), NETWORK)
            except (UserError, ValueError):  # np.memmap maps no empty file, and `check` comes first
                continue
            assert {name: of.shape for name, of in found.items()} == {name: of.shape for name, of in WEIGHTS.items()}


def test_a_missing_file_and_an_unwritable_cache_are_reported(file, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="No such file"):
        reader.load_into(Small(), tmp_path / "none.caffemodel")
    monkeypatch.setenv("XDG_CACHE_HOME", str(file(FILE)))
    with pytest.raises(UserError, match="XDG_CACHE_HOME"):
        reader.load_into(Small(), file(FILE))


def loaded(path) -> Small:
    with torch.device("meta"):
        network = Small()
    reader.load_into(network, path)
    return network


def test_it_is_converted_once_and_again_if_the_copy_is_damaged_or_unfinished(file):
    path = file(FILE)
    torch.testing.assert_close(loaded(path).state_dict(), NETWORK.state_dict(), rtol=0, atol=0)
    (kept,) = cache_folder().glob("*.safetensors")
    when = kept.stat().st_mtime_ns
    loaded(path)
    assert kept.stat().st_mtime_ns == when
    whole = kept.read_bytes()
    kept.with_suffix(".work").mkdir()
    (kept.with_suffix(".work") / ".tmp1").write_bytes(whole[:50])  # as a killed conversion leaves it
    kept.write_bytes(whole[:-1])
    torch.testing.assert_close(loaded(path).state_dict(), NETWORK.state_dict(), rtol=0, atol=0)
    assert kept.read_bytes() == whole
    kept.write_bytes(save({"conv1.weight": np.zeros(3, np.float32)}))  # of another program
    torch.testing.assert_close(loaded(path).state_dict(), NETWORK.state_dict(), rtol=0, atol=0)
    assert kept.read_bytes() == whole
    assert {path.suffix for path in cache_folder().iterdir()} == {".safetensors", ".lock"}


def test_other_weights_are_another_copy(file):
    loaded(file(FILE))
    torch.manual_seed(1)
    other = Small()
    torch.testing.assert_close(loaded(file(caffemodel(other))).state_dict(), other.state_dict(), rtol=0, atol=0)
