"""Eyes of a face that are animated in its picture: what changes, and what must not."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from models.papers.blink import PRESETS, BlinkUNet
from models.papers.seam import PRESETS as SEAM_PRESETS
from models.papers.seam import SeamRefiner
from models.sampling import animation
from models.sampling.animation import BLENDS, Eyes, Patch, animate_eyes, into_picture, parts, show, with_alpha
from models.sampling.motion import Motion

SIZE = 120
LEFT, RIGHT = (32.0, 56.0, 52.0, 74.0), (68.0, 56.0, 88.0, 74.0)
OPEN_AND_CLOSED = Motion(np.array([1.0, 0.5, 0.0]), None, np.array([0, 1, 2, 2, 0]), 24)


class Painter(torch.nn.Module):
    """A network that paints skin, and more of it the further the eyes are closed."""

    region, shape, openness, middle = "eyes", (32, 64), True, 127.5

    def __init__(self) -> None:
        super().__init__()
        self.device = torch.nn.Parameter(torch.zeros(1))
        self.eval()

    def paint(self, picture, flow, openness):
        count, height, width = openness.shape[1], *self.shape
        skin = torch.tensor([0.8, 0.5, 0.3])[None, None, :, None, None]
        cover = (1 - openness)[:, :, None, None, None].expand(1, count, 1, height, width)
        return skin.expand(1, count, 3, height, width), cover


def face(**changes) -> Eyes:
    rng = np.random.default_rng(0)
    crop = cv2.resize(rng.integers(0, 256, (12, 12, 3), np.uint8), (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    return Eyes(crop, (20.0, 20.0, 100.0, 100.0), LEFT, RIGHT, 1.0)._replace(**changes)


def refiner() -> SeamRefiner:
    torch.manual_seed(0)
    return SeamRefiner(replace(SEAM_PRESETS["tiny"], size=48)).eval()


@pytest.mark.parametrize("blend", BLENDS)
def test_every_blend_starts_with_the_picture_and_covers_the_eyes(blend):
    eyes = face()
    patches = animate_eyes(Painter(), eyes, OPEN_AND_CLOSED, blend, refiner())
    assert len(patches) == 2
    for patch in patches:
        (x0, y0, x1, y1), states = patch.box, patch.frames
        assert (states[0] == eyes.crop[y0:y1, x0:x1]).all()
        assert states.shape == (3, y1 - y0, x1 - x0, 3)
    closed = show(eyes.crop, patches, [2, 2])
    if blend not in ("poisson", "refiner"):
        assert (np.abs(closed[62:68, 38:46].astype(int) - (229, 191, 166)) <= 2).all()
    outside = np.ones((SIZE, SIZE), bool)
    for x0, y0, x1, y1 in (patch.box for patch in patches):
        outside[y0:y1, x0:x1] = False
    assert (closed[outside] == eyes.crop[outside]).all()
    assert outside[:50].all()
    assert outside[80:].all()


def test_only_the_eye_that_is_seen_changes():
    (patch,) = animate_eyes(Painter(), face(left=None), OPEN_AND_CLOSED, "mask")
    assert patch.box[0] > 60
    assert animate_eyes(Painter(), face(left=None, right=None), OPEN_AND_CLOSED, "mask") == []


def test_boxes_of_eyes_that_touch_do_not_overlap():
    first, second = animate_eyes(
        Painter(), face(left=(30, 50, 60, 80), right=(61, 50, 90, 80)), OPEN_AND_CLOSED, "hard"
    )
    assert first.box[2] <= second.box[0]


def test_eyes_at_the_crops_edge_are_cut_there():
    (patch, _) = animate_eyes(Painter(), face(left=(-6, 56, 14, 74)), OPEN_AND_CLOSED, "mask")
    assert patch.box[0] == 0


def test_half_open_eyes_are_closed_from_where_they_are():
    """The openness that the network is given is of the picture's own."""
    seen = []

    class Recorder(Painter):
        def paint(self, picture, flow, openness):
            seen.append(openness[0].tolist())
            return super().paint(picture, flow, openness)

    animate_eyes(Recorder(), face(openness=0.6), OPEN_AND_CLOSED, "mask")
    np.testing.assert_allclose(seen[0], [0.6, 0.3, 0], atol=1e-6)


def test_a_whole_face_is_one_patch():
    network = Painter()
    network.region, network.shape = "face", (32, 32)
    (patch,) = animate_eyes(network, face(), OPEN_AND_CLOSED, "hard")
    assert patch.box == (20, 20, 100, 100)


def test_a_real_network_is_animated_at_any_scale():
    torch.manual_seed(0)
    network = BlinkUNet(replace(PRESETS["tiny"], refine="none")).eval()
    for side in (40, 400):
        crop = cv2.resize(face().crop, (side, side))
        left, right = (tuple(end * side / SIZE for end in box) for box in (LEFT, RIGHT))
        margin = side / 6
        eyes = Eyes(crop, (margin, margin, side - margin, side - margin), left, right, 0.9)
        for blend in BLENDS:
            assert len(animate_eyes(network, eyes, OPEN_AND_CLOSED, blend, refiner())) == 2
    with pytest.raises(ValueError, match="training mode"):
        animate_eyes(network.train(), face(), OPEN_AND_CLOSED, "mask")


def test_the_refiner_corrects_the_border_from_the_inside():
    """A network that fades the paste into what is around makes the step at the border small."""

    class Fading(torch.nn.Module):
        ring, middle = 12, 127.5

        def forward(self, pasted, ring, around):
            return pasted + (around - pasted) * ring

    crop = np.full((SIZE, SIZE, 3), 100, np.uint8)
    box = (30, 40, 70, 80)
    part = np.full((2, 40, 40, 3), 160, np.uint8)
    refined = animation.refine(Fading(), crop, part, box)
    assert (np.abs(refined[:, 0].astype(int) - 100) <= 1).all()
    assert (np.abs(refined[:, :, -1].astype(int) - 100) <= 1).all()
    assert (refined[:, 16:24, 16:24] == 160).all()


# --- into the picture


def matrix(x: float, y: float, degrees: float = 0.0) -> np.ndarray:
    """The crop's middle lies at (x, y), and leans."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = np.array([[cos, -sin], [sin, cos]])
    return np.column_stack([turn, np.array([x, y]) - turn @ np.full(2, (SIZE - 1) / 2)])


def crop_of(picture: np.ndarray, to_picture: np.ndarray) -> np.ndarray:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(picture, to_picture, (SIZE, SIZE), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def picture_of(side: int = 240) -> np.ndarray:
    rng = np.random.default_rng(1)
    return cv2.resize(rng.integers(0, 256, (16, 16, 3), np.uint8), (side, side), interpolation=cv2.INTER_CUBIC)


def painted(crop: np.ndarray, box: tuple[int, int, int, int]) -> Patch:
    """In the middle of the box a disc turns red."""
    x0, y0, x1, y1 = box
    states = np.repeat(crop[None, y0:y1, x0:x1], 2, 0)
    cv2.circle(states[1], ((x1 - x0) // 2, (y1 - y0) // 2), 8, (255, 0, 0), -1)
    return Patch(box, states)


def test_an_upright_patch_goes_back_to_the_pixel():
    picture, to_picture = picture_of(), matrix(119.5, 99.5)
    crop = crop_of(picture, to_picture)
    assert (crop == picture[40:160, 60:180]).all()
    patch = painted(crop, (30, 40, 60, 70))
    placed = into_picture(picture, crop, patch, to_picture)
    assert placed.box == (90, 80, 120, 110)
    assert (placed.frames == patch.frames).all()


@pytest.mark.parametrize("degrees", [-45, -20, 7, 30, 45])
def test_a_leaning_patch_lies_where_the_eye_is_and_changes_little_else(degrees):
    picture, to_picture = picture_of(), matrix(120, 118, degrees)
    crop = crop_of(picture, to_picture)
    patch = into_picture(picture, crop, painted(crop, (30, 40, 60, 70)), to_picture)
    changed = show(picture, [patch], [1])
    place = to_picture[:, :2] @ (45, 55) + to_picture[:, 2]
    red = np.argwhere((changed == (255, 0, 0)).all(2))[:, ::-1]
    assert len(red) > 120
    np.testing.assert_allclose(red.mean(0), place, atol=0.6)
    differs = np.argwhere((changed != picture).any(2))[:, ::-1]
    assert np.hypot(*(differs - place).T).max() < 8 + 2 * animation.SOFT_PX + 2
    assert (show(picture, [patch], [0]) == picture).all()


def test_a_patch_beyond_the_picture_is_cut_or_left_out():
    picture, to_picture = picture_of(), matrix(10, 120)
    crop = crop_of(picture, to_picture)
    assert into_picture(picture, crop, painted(crop, (5, 40, 40, 70)), to_picture) is None
    patch = into_picture(picture, crop, painted(crop, (40, 40, 80, 70)), to_picture)
    x0, y0, x1, y1 = patch.box
    assert x0 == 0
    assert patch.frames.shape[1:3] == (y1 - y0, x1 - x0)


def test_both_eyes_of_a_leaning_face_change_although_their_boxes_overlap():
    picture, to_picture = picture_of(), matrix(120, 118, 45)
    crop = crop_of(picture, to_picture)
    eyes = [painted(crop, box) for box in ((20, 40, 55, 75), (56, 40, 91, 75))]
    patches = [into_picture(picture, crop, eye, to_picture) for eye in eyes]
    assert patches[0].box[2] > patches[1].box[0]
    assert patches[0].box[3] > patches[1].box[1]
    both = show(picture, patches, [1, 1])
    for patch in patches:
        alone = show(picture, [patch], [1])
        changed = (alone != picture).any(2)
        assert (both[changed] == alone[changed]).all()


def test_each_frame_that_differs_is_the_part_that_changes():
    picture = np.zeros((8, 8, 3), np.uint8)
    patches = [Patch((k, 3, k + 1, 4), np.array([[[[0] * 3]], [[[9] * 3]]], np.uint8)) for k in (1, 4)]
    shown = np.array([(0, 0), (0, 0), (1, 0), (1, 1), (1, 1), (0, 0)])
    found = [*parts(picture, patches, shown)]
    assert [(part.corner, part.pixels.shape[:2], part.times) for part in found] == [
        ((0, 0), (8, 8), 2),
        ((0, 2), (2, 2), 1),
        ((4, 2), (2, 1), 2),
        ((0, 2), (2, 5), 1),
    ]
    canvas = picture.copy()
    for (x, y), pixels, _ in found[:3]:
        canvas[y : y + len(pixels), x : x + pixels.shape[1]] = pixels
    assert (canvas == show(picture, patches, [1, 1])).all()
    assert (found[3].pixels == 0).all()


def test_a_patch_looks_on_white_as_it_was_painted_and_keeps_its_alpha():
    picture = np.random.default_rng(0).integers(0, 256, (10, 12, 4), np.uint8)
    picture[..., 3] = np.arange(120).reshape(10, 12) * 255 // 119
    alpha = picture[..., 3:] / 255
    flat = np.rint(picture[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    painted = flat.copy()
    painted[2:8, 2:10] = np.rint(40 * alpha + 255 * (1 - alpha))[2:8, 2:10]
    patch = with_alpha(Patch((1, 1, 11, 9), np.stack([flat, painted])[:, 1:9, 1:11]), picture)
    shown = show(picture, [patch], [1])
    assert (shown[..., 3] == picture[..., 3]).all()
    differs = (painted != flat).any(2)
    assert (shown[~differs] == picture[~differs]).all()
    on_white = shown[..., :3] * alpha + 255 * (1 - alpha)
    assert np.abs(on_white - painted).max() < 1.5
    assert (show(picture, [patch], [0]) == picture).all()


@pytest.mark.parametrize("blend", BLENDS)
@pytest.mark.parametrize("tint", [(0, 0, 0), (6, 2, -4)])
def test_grey_eyes_stay_grey(blend, tint):
    """The network paints skin in orange."""
    grey = face().crop.mean(2, keepdims=True) * 0.9 + 10
    crop = np.rint(grey + np.array(tint)).astype(np.uint8)
    patches = animate_eyes(Painter(), face(crop=crop), OPEN_AND_CLOSED, blend, refiner())
    closed = show(crop, patches, [2, 2]).astype(int)
    assert (closed != crop).any()
    for first, second in ((0, 1), (1, 2)):
        assert np.abs(closed[..., first] - closed[..., second] - (tint[first] - tint[second])).max() <= 2
    if not any(tint) and blend != "poisson":
        assert np.ptp(closed, axis=2).max() == 0
