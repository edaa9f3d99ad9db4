"""A blink for a still face, by the optical flow of another face's blink.

The network that an article of 2018 ended with: the single picture, repeated for every frame, beside the flow of a
reference clip, goes frame by frame through a 2-D U-Net and then through a 3-D U-Net. Of the region round the eyes this
works; of the whole face the eyes merely glow. The article gives neither widths nor sizes: those here are ours.

* the mask: Zhao et al.: "Learning to Forecast and Refine Residual Motion for Image-to-Video Generation", ECCV 2018,
  https://arxiv.org/abs/1807.09951, whose 3-D network also refines what a 2-D one made;
* the region: Chang et al.: "PairedCycleGAN: Asymmetric Style Transfer for Applying and Removing Makeup", CVPR 2018.

Beyond the article, presets may give the network how open the reference's eyes are in each frame (`openness`): the flow
of one face's lids does not fit another face's eyes. And it may paint from the picture's own skin (`own_colors`), whose
tone instance normalisation takes away. Its error is measured on an image pyramid (`levels`): on the finest level alone
the line of a closed lid, whose place is not sure to the pixel, would fade away.

Pictures are in [-1, 1]. In shapes: N clips, T frames, H height and W width of the region.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models import distributed
from models.contracts import HeldOutClips
from models.data.batches import in_range
from models.data.dataset import CLIP_FRAMES
from models.nn.ema import EMA
from models.nn.layers import to_channels_last
from models.nn.losses import as_fp32
from models.nn.unet import UNet
from models.sampling.clips import animate, stack_rows
from models.training.update import Update, ramped_cosine, set_learning_rate

CHANGED = 16 / 255  # of [-1, 1]: 8 grey levels; a pixel that differs more from the first frame has changed
CLOSING, CLOSING_LEAD = 0.9, 0.5  # of the first frame's openness: less is closing; how much earlier it is drawn
SHEET_CLIPS = 4
CHEEKS = (0.84, 1.0), (0.15, 0.85)  # of height and width: below the eyes lies skin
MIN_DEVIATION = 0.05  # of [-1, 1], added to that of the colours: a region of one colour has none
ASPECTS = {"eyes": 2, "face": 1}  # width by height


@dataclass(frozen=True)
class Config:
    """The settings of BlinkTrainer. The defaults are the article's, where it gives any."""

    size: int = 64  # H of the eyes' strip, half of W and of the face's sides; a multiple of 8
    region: Literal["eyes", "face"] = "eyes"
    refine: Literal["3d", "none"] = "3d"  # what follows the 2-D network: 3d: a 3-D one; none: a 1 × 1 convolution
    widths: tuple[int, ...] = (32, 64, 128, 256)  # of the 2-D network's levels
    refine_widths: tuple[int, ...] = (32, 64, 128, 256)
    openness: bool = False  # whether the network is also given how open the eyes are
    own_colors: bool = False  # whether it paints from the skin's colour, in units of the deviation of all colours
    border: int = 0  # px at the region's border where the picture stays
    changed_weight: float = 1.0  # of the error where the clip differs from its first frame
    levels: int = 1  # of the image pyramid on which the error is measured; each has half the size of the one before
    temporal_weight: float = 0.0  # of the error of the differences between frames
    mask_weight: float = 0.05  # FRGAN's
    hflip: bool = True
    box_jitter: int = 2  # px
    color_jitter: float = 0.1
    hue_jitter: float = 0.0  # turns
    zoom_jitter: float = 0.0  # of height and width alone, so that eyes get other shapes
    time_stretch: float = 0.2
    flow_dropout: float = 0.0  # share of clips without flow, which `openness` alone describes
    batch_size: int = 2  # clips
    frames: int = CLIP_FRAMES  # of a clip in a step, drawn at random; all of them for a 3-D network
    closing_first: bool = False  # whether frames in which the eyes are less open than at first are drawn more often
    micro_batches: int = 1
    learning_rate: float = 2e-4
    beta1: float = 0.5
    horizon: int = 0  # steps, over which the learning rate falls to 0; 0: it stays
    average: float = 0.0  # decay of the network's moving average, which is sampled; 0: the network itself
    steps: int = 20_000
    sample_every: int = 500
    save_every: int = 1000

    @property
    def pictures(self) -> int:
        """Return the number of clips in a step."""
        return self.batch_size

    @property
    def shape(self) -> tuple[int, int]:
        """Return (H, W)."""
        width = 2 * self.size
        return width // ASPECTS[self.region], width


_OURS = replace(
    Config(),
    refine="none",
    openness=True,
    own_colors=True,
    border=4,
    color_jitter=0.25,
    hue_jitter=0.25,
    zoom_jitter=0.15,
    changed_weight=4.0,
    temporal_weight=1.0,
    levels=4,
    flow_dropout=0.5,
    batch_size=8,
    frames=2,
    closing_first=True,
    learning_rate=1e-3,
    beta1=0.9,
    average=0.999,
)

PRESETS = {
    "article": Config(),
    "paper": replace(Config(), changed_weight=4.0, temporal_weight=1.0),
    "modern": replace(_OURS, widths=(12, 32, 64, 144), steps=6_000, horizon=6_000, save_every=500),  # the shipped one
    "small": replace(_OURS, widths=(12, 24, 48, 96), steps=2_000, horizon=2_000, save_every=500),
    "tiny": replace(
        Config(),
        size=16,
        widths=(4, 8, 8),
        refine_widths=(4, 8, 8),
        openness=True,
        border=1,
        temporal_weight=1.0,
        average=0.9,
        horizon=40,
        batch_size=4,
        steps=20,
        sample_every=10,
        save_every=10,
    ),
}


def skin_color(picture: Tensor) -> Tensor:
    """Return the median colour (N, 3, 1, 1) of the cheeks in the region (N, 3, H, W) of a face."""
    (top, bottom), (left, right) = (
        [int(share * side) for share in shares] for shares, side in zip(CHEEKS, picture.shape[2:], strict=True)
    )
    cheeks = picture[:, :, top:bottom, left:right].flatten(2).sort(2).values
    return cheeks[:, :, cheeks.shape[2] // 2, None, None]


class BlinkUNet(nn.Module):
    """A picture (N, 3, H, W), flow (N, T, 2, H, W) and openness (N, T) -> its frames (N, T, 3, H, W)."""

    middle = 127.5

    def __init__(self, c: Config) -> None:
        super().__init__()
        if c.refine == "3d" and c.frames != CLIP_FRAMES:
            raise ValueError(f"frames: {CLIP_FRAMES} expected with refine 3d, {c.frames} found")
        self.region = c.region
        self.shape, self.openness, self.own_colors, self.border = c.shape, c.openness, c.own_colors, c.border
        features = c.widths[0]
        self.frames = UNet(2, 5, features, c.widths, conditions=int(c.openness))
        self.clip = UNet(3, features, 4, c.refine_widths) if c.refine == "3d" else None
        self.head = nn.Conv2d(features, 4, 1) if c.refine == "none" else None

    def forward(self, picture: Tensor, flow: Tensor, openness: Tensor) -> Tensor:
        """Return the frames, of which the first is the picture."""
        painted, mask = self.paint(picture, flow, openness)
        still = picture[:, None]
        frames = mask * painted + (1 - mask) * still
        return torch.cat([still.to(frames), frames[:, 1:]], 1)

    def paint(self, picture: Tensor, flow: Tensor, openness: Tensor) -> tuple[Tensor, Tensor]:
        """Return (what is painted over the picture (N, T, 3, H, W), masks (N, T, 1, H, W) of 0 to 1: how much)."""
        count, times, _, height, width = flow.shape
        still = picture[:, None].expand(-1, times, -1, -1, -1)
        condition = openness.flatten()[:, None] if self.openness else None
        x = self.frames(torch.cat([still, flow], 2).flatten(0, 1), condition)  # (N T, F, H, W)
        if self.clip is not None:
            x = self.clip(x.unflatten(0, (count, times)).transpose(1, 2)).transpose(1, 2)
        else:
            assert self.head is not None
            x = self.head(x).unflatten(0, (count, times))
        painted, mask = x[:, :, :3], x[:, :, 3:].sigmoid()
        if self.own_colors:
            deviation = picture.std((2, 3), keepdim=True) + MIN_DEVIATION
            painted = skin_color(picture)[:, None] + deviation[:, None] * painted
        else:
            painted = painted.tanh()
        inner = mask.new_ones(height - 2 * self.border, width - 2 * self.border)
        return painted, mask * F.pad(inner, (self.border,) * 4)

    def io_shapes(self) -> tuple[list[tuple[int, ...]], tuple[int, ...]]:
        """Return the shapes of the inputs for one clip, and of the output."""
        height, width = self.shape
        inputs: list[tuple[int, ...]] = [(1, 3, height, width), (1, CLIP_FRAMES, 2, height, width), (1, CLIP_FRAMES)]
        return inputs, (1, CLIP_FRAMES, 3, height, width)


def losses(frames: Tensor, mask: Tensor, truth: Tensor, still: Tensor, c: Config) -> dict[str, Tensor]:
    """Return the weighted losses of frames (N, T, 3, H, W), painted with masks over the picture `still` (N, 3, H, W),
    of which `truth` is what they should be."""
    frames, mask = as_fp32(frames), as_fp32(mask)
    changed = (truth - still[:, None]).abs().amax(2, keepdim=True) > CHANGED
    weight = 1 + (c.changed_weight - 1) * changed
    pyramid = [(weight, frames - truth)]
    while len(pyramid) < c.levels:  # a line that is drawn a little off its place is no error on a coarse level
        pyramid.append((_halved(pyramid[-1][0]), _halved(pyramid[-1][1])))
    content = torch.stack([(weight * error.abs()).mean() for weight, error in pyramid]).mean()
    found = {"content": content, "mask": c.mask_weight * mask.mean()}
    if c.temporal_weight:
        found["temporal"] = c.temporal_weight * (frames.diff(dim=1) - truth.diff(dim=1)).abs().mean()
    return found


def _halved(maps: Tensor) -> Tensor:
    return F.avg_pool2d(maps.flatten(0, 1), 2).unflatten(0, maps.shape[:2])


class BlinkTrainer:
    """The training: each clip's own first frame and flow -> its frames. There is no discriminator."""

    def __init__(self, config: Config, device: torch.device, held_out: Mapping[str, HeldOutClips]) -> None:
        self.config, self.device, self.held_out = config, device, held_out
        self.g = to_channels_last(BlinkUNet(config).to(device))
        self.average = EMA(self.g, config.average)
        betas = (config.beta1, 0.999)
        self.opt = torch.optim.Adam(self.g.parameters(), config.learning_rate, betas, fused=True)

    def step(self, batch: dict[str, Tensor], i: int) -> dict[str, Tensor]:
        """Return the losses."""
        c = self.config
        if c.horizon:
            rate = ramped_cosine(i, peak=c.learning_rate, warm_up=1, horizon=c.horizon)
            set_learning_rate([self.opt], rate)
        update = Update([self.opt])
        for still, truth, flow, openness in self._parts(batch):
            painted, mask = self.g.paint(still, flow, openness)
            frames = mask * painted + (1 - mask) * still[:, None]
            found = losses(frames, mask, truth, still, c)
            update.add(torch.stack([*found.values()]).sum(), keep_graph=False, **found)
        update.apply()
        self.average.update(self.g, i)
        return update.mean_components()

    def _parts(self, batch: dict[str, Tensor]) -> Iterator[tuple[Tensor, ...]]:
        """Yield micro-batches: first frames (N, 3, H, W) in [-1, 1]; and of frames drawn at random, in their order, the
        truth (N, T, 3, H, W), their flow (N, T, 2, H, W), and openness (N, T)."""
        c = self.config
        draws = distributed.shard(torch.rand(c.pictures, CLIP_FRAMES, device=self.device))
        if c.closing_first:
            openness = batch["openness"].to(draws)
            draws = draws - CLOSING_LEAD * (openness < CLOSING * openness[:, :1])
        times = draws.argsort(1)[:, : c.frames].sort(1).values
        row = torch.arange(len(times), device=self.device)[:, None]
        still = in_range(batch["clip"][:, 0], self.g.middle)
        truth = in_range(batch["clip"][row, times].flatten(0, 1), self.g.middle).unflatten(0, times.shape)
        flow = batch["flow"][row, times].to(still).permute(0, 1, 4, 2, 3)
        parts = (still, truth, flow, batch["openness"][row, times].to(still))
        yield from zip(*(part.chunk(c.micro_batches) for part in parts), strict=True)

    def exported(self) -> dict[str, nn.Module]:
        """Return the averaged network."""
        return {"unet": self.average.network}

    def sheet(self, i: int) -> np.ndarray:
        """Return (H, W, 3) uint8: of some held-out clips the input, the truth and the output, frame by frame."""
        clips, flow, openness = (each[:SHEET_CLIPS] for each in self._held_out)
        rows: list[np.ndarray] = []
        for clip, *condition in zip(clips, flow, openness, strict=True):
            still = np.repeat(clip[:1], len(clip), 0)
            rows += [still, clip, animate(self.average.network, clip[0], *condition)]
        return stack_rows(rows)

    def validate(self, i: int) -> dict[str, float]:
        """Return the mean absolute error of held-out frames in grey levels, that of the first frame copied, and both
        where the clip has changed."""
        clips, flow, openness = self._held_out
        errors = np.zeros((2, 2))
        counts = np.zeros(2)
        for clip, *condition in zip(clips, flow, openness, strict=True):
            truth = clip.astype(np.float64)
            frames = (animate(self.average.network, clip[0], *condition), clip[:1])
            distances = [np.abs(each - truth) for each in frames]
            changed = distances[1].max(-1) > 127.5 * CHANGED
            for region, inside in enumerate((np.ones_like(changed), changed)):
                counts[region] += inside.sum()
                errors[region] += [distance[inside].mean(-1).sum() for distance in distances]
        (error, copy), (changed_error, changed_copy) = (errors / np.maximum(counts, 1)[:, None]).tolist()
        return {"error": error, "copy": copy, "changed_error": changed_error, "changed_copy": changed_copy}

    @property
    def _held_out(self) -> HeldOutClips:
        return self.held_out["clips"]
