"""The hair tagger as a web page needs it: from RGB to probabilities, which the pipeline computes in NumPy."""

import torch
from torch import Tensor, nn

from models.annotators.hair_tagger import HairTagger

# of linear RGB, for D65: X, Y and Z relative to white
XYZ = (0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227)
WHITE = 0.950456, 1.0, 1.088754
CENTER, RANGE = (50.0, 0.0, 0.0), (30.0, 20.0, 20.0)  # of lightness, a and b, which the tagger takes as about -1..1


def to_lab(rgb: Tensor) -> Tensor:
    """Return (N, 3, H, W) of sRGB, 0..1, as CIELAB: lightness 0..100, a and b."""
    linear = torch.where(rgb > 0.04045, ((rgb + 0.055) / 1.055).clamp(min=1e-6) ** 2.4, rgb / 12.92)
    matrix = torch.tensor(XYZ) / torch.tensor(WHITE)[:, None]
    xyz = nn.functional.conv2d(linear, matrix[:, :, None, None])
    x, y, z = torch.where(xyz > 0.008856, xyz.clamp(min=1e-6) ** (1 / 3), 7.787 * xyz + 16 / 116).unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


class HairColors(nn.Module):
    """Patches (N, 3, 64, 64) of RGB in [-1, 1], whose middle half is the face's box, -> probabilities (N, 10): of the
    nine colours, and of none. Of each patch and its mirror image the mean is taken."""

    middle = 127.5

    def __init__(self, tagger: HairTagger) -> None:
        super().__init__()
        self.tagger = tagger

    def forward(self, picture: Tensor) -> Tensor:
        """Return the probabilities."""
        lab = to_lab((picture + 1) / 2)
        x = (lab - torch.tensor(CENTER)[:, None, None]) / torch.tensor(RANGE)[:, None, None]
        both = [self.tagger(view)[0].softmax(1) for view in (x, x.flip(3))]
        return (both[0] + both[1]) / 2
