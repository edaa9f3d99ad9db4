"""Video from one picture. Vondrick, Pirsiavash, Torralba: "Generating Videos with Scene Dynamics", NIPS 2016,
https://arxiv.org/abs/1609.02612; as an article tried it for blinks, and failed:

* `adversarial`: D wins at once, since there are few clips;
* `clipped`: with D's weights clipped, as in WGAN (https://arxiv.org/abs/1701.07875), it is stable, and repeats the
  picture. The article names gradients, which `clipping` offers, too;
* `content`: without D it repeats the picture as well: when the blink comes is not in it;
* `conv_lstm`: with features of a reference clip. The article says no more. This is the plainest: the encoder's maps of
  the clip's frames go through one ConvLSTM (https://arxiv.org/abs/1506.04214), whose last state is concatenated to the
  map that the foreground is made from; the loss is that of `content`. In training each clip is its own reference.

The authors' clips have 32 frames, ours 16. Their unconditional network is below, too: for comparison, not for training.

Pictures are in [-1, 1]. In shapes: N clips, T frames, S side, W width.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from models.contracts import HeldOutClips
from models.data.batches import in_range, to_pixels
from models.data.dataset import CLIP_FRAMES
from models.nn.ema import EMA
from models.nn.layers import BatchNorm, to_channels_last
from models.nn.losses import as_fp32, softmax_cross_entropy
from models.sampling.clips import stack_rows
from models.training.update import Update

REAL, FAKE = 0, 1  # the classes of D's softmax
SHEET_CLIPS = 4


@dataclass(frozen=True)
class Config:
    """The settings of VideoGAN. The defaults are the authors', with what the article added; it says little of both."""

    size: int = 64  # S, a multiple of 16
    trial: Literal["adversarial", "clipped", "content", "conv_lstm"] = "adversarial"
    region: Literal["face", "eyes"] = "face"
    widths: tuple[int, ...] = (128, 256, 512, 1024)  # of the encoder, and of D; of the decoder in reverse
    state: int = 128  # width of the ConvLSTM
    clipping: Literal["weights", "gradients"] = "weights"  # of D in the trial clipped
    clip_weight: float = 0.01  # largest absolute value
    clip_norm: float = 1.0  # of all gradients of D together
    content_weight: float = 10.0  # of the mean absolute error
    first_frame_weight: float = 10.0
    hflip: bool = True
    box_jitter: int = 2  # px
    color_jitter: float = 0.0
    hue_jitter: float = 0.0
    zoom_jitter: float = 0.0
    time_stretch: float = 0.0
    flow_dropout: float = 0.0  # there is no flow
    batch_size: int = 16  # clips
    micro_batches: int = 1
    learning_rate: float = 2e-4
    beta1: float = 0.5
    average: float = 0.0  # decay of G's moving average, which is sampled; 0: G itself
    steps: int = 10_000
    sample_every: int = 500
    save_every: int = 1000

    @property
    def pictures(self) -> int:
        """Return the number of clips in a step."""
        return self.batch_size

    @property
    def shape(self) -> tuple[int, int]:
        """Return the height and width of the region: a square."""
        return self.size, self.size


PRESETS = {
    "article": Config(),
    "paper": replace(Config(), batch_size=32, content_weight=0.0),
    "small": replace(Config(), widths=(32, 64, 128, 256), state=32, batch_size=4, steps=3_000, save_every=500),
    "tiny": replace(
        Config(),
        size=32,
        widths=(4, 8, 8, 8),
        state=4,
        batch_size=4,
        average=0.9,
        steps=20,
        sample_every=10,
        save_every=10,
    ),
}


def _down2d(inputs: int, outputs: int) -> nn.Module:
    return nn.Conv2d(inputs, outputs, 4, stride=2, padding=1)


def _up2d(inputs: int, outputs: int) -> nn.Module:
    return nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1)


def _up3d(inputs: int, outputs: int) -> nn.Module:
    return nn.ConvTranspose3d(inputs, outputs, 4, stride=2, padding=1)


def _decoder(up, widths: tuple[int, ...]) -> nn.Sequential:
    """Return layers that double every size, and halve features, as often as there are steps in `widths`."""
    steps = itertools.pairwise(widths)
    return nn.Sequential(*(nn.Sequential(up(a, b), BatchNorm(b), nn.ReLU(inplace=True)) for a, b in steps))


class Decoder(nn.Module):
    """Seeds of foreground (N, F, T/16, S/16, S/16) and background (N, F', S/16, S/16) -> frames (N, T, 3, S, S).

    `widths` and `background_widths` are of both decoders, coarse to fine, the seeds' first."""

    def __init__(self, widths: tuple[int, ...], background_widths: tuple[int, ...]) -> None:
        super().__init__()
        self.foreground = _decoder(_up3d, widths)
        self.background = nn.Sequential(_decoder(_up2d, background_widths), _up2d(background_widths[-1], 3), nn.Tanh())
        self.paint, self.mask = _up3d(widths[-1], 3), _up3d(widths[-1], 1)

    def forward(self, foreground: Tensor, background: Tensor) -> Tensor:
        """Return frames: the foreground, where a mask shows it, before a still background."""
        x = self.foreground(foreground)
        mask = self.mask(x).sigmoid()
        frames = mask * self.paint(x).tanh() + (1 - mask) * self.background(background)[:, :, None]
        return frames.transpose(1, 2)


class ConvLSTM(nn.Module):
    """Maps (N, T, C, H, W) -> the last state (N, S, H, W)."""

    def __init__(self, inputs: int, state: int) -> None:
        super().__init__()
        self.state = state
        self.gates = nn.Conv2d(inputs + state, 4 * state, 3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the state after the last map."""
        state = cell = maps.new_zeros(len(maps), self.state, *maps.shape[3:])
        for x in maps.unbind(1):
            enter, forget, leave, new = self.gates(torch.cat([x, state], 1)).chunk(4, 1)
            cell = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
            state = leave.sigmoid() * cell.tanh()
        return state


class Generator(nn.Module):
    """Pictures (N, 3, S, S), and of the trial conv_lstm reference clips (N, T, 3, S, S) -> clips (N, T, 3, S, S)."""

    middle = 127.5

    def __init__(self, c: Config, frames: int = CLIP_FRAMES) -> None:
        super().__init__()
        self.frames, self.size = frames, c.size
        layers: list[nn.Module] = [_down2d(3, c.widths[0]), nn.LeakyReLU(0.2, inplace=True)]
        for narrow, wide in itertools.pairwise(c.widths):
            layers += [_down2d(narrow, wide), BatchNorm(wide), nn.LeakyReLU(0.2, inplace=True)]
        self.encoder = nn.Sequential(*layers)  # (N, 8 W, S/16, S/16)
        self.memory = ConvLSTM(c.widths[-1], c.state) if c.trial == "conv_lstm" else None
        deep, coarse = c.widths[-1], c.widths[::-1]
        seen = deep + (c.state if self.memory else 0)
        self.seed = nn.Sequential(
            nn.ConvTranspose3d(seen, deep, (frames // 16, 1, 1)), BatchNorm(deep), nn.ReLU(inplace=True)
        )
        self.decoder = Decoder(coarse, coarse)
        self.apply(init_weights)

    def forward(self, picture: Tensor, reference: Tensor | None = None) -> Tensor:
        """Return the clips."""
        seed = background = self.encoder(picture)
        if self.memory is not None:
            assert reference is not None
            maps = self.encoder(reference.flatten(0, 1)).unflatten(0, reference.shape[:2])
            seed = torch.cat([seed, self.memory(maps)], 1)
        frames: Tensor = self.decoder(self.seed(seed[:, :, None]), background)
        return frames

    def io_shapes(self) -> tuple[list[tuple[int, ...]], tuple[int, ...]]:
        """Return the shapes of the inputs for one clip, and of the output."""
        side = (self.size, self.size)
        clip = (1, self.frames, 3, *side)
        return [(1, 3, *side), *[clip] * (self.memory is not None)], clip


class Discriminator(nn.Sequential):
    """Clips (N, T, 3, S, S) -> logits (N, 2) of real and fake."""

    def __init__(self, c: Config, frames: int = CLIP_FRAMES) -> None:
        super().__init__(*_critic(c.widths), nn.Conv3d(c.widths[-1], 2, (frames // 16, c.size // 16, c.size // 16)))
        self.apply(init_weights)

    def forward(self, clips: Tensor) -> Tensor:
        """Return the logits."""
        return super().forward(clips.transpose(1, 2)).flatten(1)


def _critic(widths: tuple[int, ...]) -> Iterator[nn.Module]:
    """Yield layers that halve every size; all but the first have batch normalisation."""
    for narrow, wide in itertools.pairwise((3, *widths)):
        yield nn.Conv3d(narrow, wide, 4, stride=2, padding=1)
        if narrow != 3:
            yield BatchNorm(wide)
        yield nn.LeakyReLU(0.2, inplace=True)


class UnconditionalGenerator(nn.Module):
    """z (N, 100) -> clips (N, 32, 3, 64, 64): the authors' network without a picture. It is not trained here."""

    def __init__(self) -> None:
        super().__init__()
        widths = (512, 256, 128, 64)
        self.seed = nn.Sequential(nn.ConvTranspose3d(100, 512, (2, 4, 4)), BatchNorm(512), nn.ReLU(inplace=True))
        self.background = nn.Sequential(nn.ConvTranspose2d(100, 512, 4), BatchNorm(512), nn.ReLU(inplace=True))
        self.decoder = Decoder(widths, widths)
        self.apply(init_weights)

    def forward(self, z: Tensor) -> Tensor:
        """Return the clips."""
        seed, background = self.seed(z[:, :, None, None, None]), self.background(z[:, :, None, None])
        frames: Tensor = self.decoder(seed, background)
        return frames


def init_weights(module: nn.Module) -> None:
    """Draw weights from N(0, 0.01) and set biases to 0, as the authors' code does. For `Module.apply`."""
    if isinstance(module, (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)):
        nn.init.normal_(module.weight, 0, 0.01)
        assert module.bias is not None
        nn.init.zeros_(module.bias)


class VideoGAN:
    """The training: D on clips and fakes, then G on the same fakes. Without D the errors of G's frames alone."""

    def __init__(self, config: Config, device: torch.device, held_out: Mapping[str, HeldOutClips]) -> None:
        self.config, self.device, self.held_out = config, device, held_out
        self.g = to_channels_last(Generator(config).to(device))
        self.average = EMA(self.g, config.average)
        self.opt_g = self._adam(self.g)
        self.adversarial = config.trial in ("adversarial", "clipped")
        if self.adversarial:
            self.d = Discriminator(config).to(device)
            self.opt_d = self._adam(self.d)

    def _adam(self, network: nn.Module) -> torch.optim.Optimizer:
        c = self.config
        return torch.optim.Adam(network.parameters(), c.learning_rate, (c.beta1, 0.999), fused=True)

    def step(self, batch: dict[str, Tensor], i: int) -> dict[str, Tensor]:
        """Return the losses of D, and the parts of G's."""
        real = in_range(batch["clip"].flatten(0, 1), self.g.middle).unflatten(0, batch["clip"].shape[:2])
        parts = [(clip, self.g(clip[:, 0], clip)) for clip in real.chunk(self.config.micro_batches)]
        losses = {"d": self._update_d(parts)} if self.adversarial else {}
        update = Update([self.opt_g])
        for clip, fake in parts:
            found = self.g_losses(fake, clip)
            update.add(torch.stack([*found.values()]).sum(), keep_graph=False, **found)
        update.apply()
        self.average.update(self.g, i)
        return losses | update.mean_components()

    def _update_d(self, parts: list[tuple[Tensor, Tensor]]) -> Tensor:
        c = self.config
        clipping = c.clipping if c.trial == "clipped" else None
        update = Update([self.opt_d], max_norm=c.clip_norm if clipping == "gradients" else 0.0)
        for clip, fake in parts:
            on_real = softmax_cross_entropy(self.d(clip), REAL)
            update.add(on_real + softmax_cross_entropy(self.d(fake.detach()), FAKE))
        loss = update.apply()
        if clipping == "weights":
            with torch.no_grad():
                for parameter in self.d.parameters():
                    parameter.clamp_(-c.clip_weight, c.clip_weight)
        return loss

    def g_losses(self, fake: Tensor, clip: Tensor) -> dict[str, Tensor]:
        """Return the weighted parts of G's loss on its clips (N, T, 3, S, S), of which `clip` is the truth."""
        c, error = self.config, (as_fp32(fake) - clip).abs()
        found = {"first_frame": c.first_frame_weight * error[:, 0].mean()}
        if c.content_weight:
            found["content"] = c.content_weight * error.mean()
        if self.adversarial:
            found["g"] = softmax_cross_entropy(self.d(fake), REAL)
        return found

    def exported(self) -> dict[str, nn.Module]:
        """Return the averaged generator."""
        return {"generator": self.average.network}

    @torch.no_grad()
    def _generate(self, clips: np.ndarray) -> np.ndarray:
        """Return (N, T, S, S, 3) uint8 clips from the first frames of others, each of which is its own reference."""
        network = self.average.network
        made = []
        for clip in clips:
            real = in_range(torch.from_numpy(clip).to(self.device), network.middle)[None]
            made.append(to_pixels(network(real[:, 0], real)[0], network.middle))
        return np.stack(made)

    def sheet(self, i: int) -> np.ndarray:
        """Return (H, W, 3) uint8: of some held-out clips the input, the truth and the output, frame by frame."""
        clips = self.held_out["clips"].clips[:SHEET_CLIPS]
        rows: list[np.ndarray] = []
        for clip, made in zip(clips, self._generate(clips), strict=True):
            rows += [np.repeat(clip[:1], len(clip), 0), clip, made]
        return stack_rows(rows)

    def validate(self, i: int) -> dict[str, float]:
        """Return the mean absolute error of held-out frames in grey levels, and that of the first frame copied."""
        clips = self.held_out["clips"].clips
        truth = clips.astype(np.float64)
        frames = self._generate(clips), clips[:, :1]
        error, copy = (float(np.abs(each - truth).mean()) for each in frames)
        return {"error": error, "copy": copy}
