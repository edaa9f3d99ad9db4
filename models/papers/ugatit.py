"""Translation between two domains of pictures, without pairs. Kim et al.: "U-GAT-IT: Unsupervised Generative
Attentional Networks with Adaptive Layer-Instance Normalization for Image-to-Image Translation", ICLR 2020,
https://arxiv.org/abs/1907.10830; as an article turned character faces into icons and back (`article`), and as the
authors' PyTorch code has it (`paper`).

Two generators and, for each domain, a local and a global discriminator. Each network weights its features by a
class activation map (CAM): of a generator between the domains, of a discriminator between real and fake.

The results are those of one summed loss, in less memory: G's loss is differentiated part by part, so that the
activations of two passes are held and not of six; an instance's statistics and a ReLU keep one map each; and the
gradient of the largest layer is kept as its factors until its step.

Pictures are in [-1, 1]. In shapes: N batch, S side, C channels.
"""

import contextlib
import functools
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm
from torch.utils.checkpoint import checkpoint

from models import distributed
from models.contracts import HeldOut
from models.data.batches import in_range, to_pixels
from models.metrics.random_features import KernelDistance
from models.nn.layers import to_channels_last
from models.nn.losses import as_fp32, binary_cross_entropy
from models.sampling.heat import overlay
from models.sampling.images import generate_images, grid, with_headings
from models.training.update import Update, frozen, set_learning_rate

EPSILON = 1e-5  # added to variances
ADAPTIVE_RHO, UPSAMPLING_RHO = 0.9, 0.0  # at first: the share of instance normalization
WIDE_PARTS = 4  # of the largest layer; divides its outputs
SHEET_PICTURES = 4  # of each domain
VALIDATION_PICTURES = 128  # of each domain that are translated
COLUMNS = ["source", "map", "identity", "map", "fake", "map", "back", "local D", "global D"]
"""The columns of a sheet. A map tells where the generator looked that made the picture after it, over its input; the
last two tell where the discriminators look at the fake."""


@dataclass(frozen=True)
class Config:
    """The settings of UGATIT. The defaults are the article's."""

    size: int = 256  # S, a multiple of 4
    width: int = 64  # of the first layers
    blocks: int = 6  # residual blocks before the CAM, and after it
    light: bool = False  # the adaptive scale and shift from each channel's mean, not from all positions
    local_downs: int = 3  # layers that halve the size, of the local discriminators
    global_downs: int = 5
    weights: Literal["normal", "torch"] = "normal"  # initial ones of convolutions: N(0, 0.02), or torch's own
    crop: Literal["article", "official"] = "article"  # how training pictures are shifted and cropped
    hflip: bool = False
    adversarial_weight: float = 1.0
    cycle_weight: float = 10.0
    identity_weight: float = 10.0
    cam_weight: float = 1000.0
    recompute: bool = False  # the residual blocks' activations in the backward pass: less memory, a sixth more time
    batch_size: int = 1
    micro_batches: int = 1
    learning_rate: float = 1e-4
    beta1: float = 0.5
    weight_decay: float = 1e-4  # L2, in Adam
    horizon: int = 36_000  # steps: the learning rate is constant for half of them, then falls to 0
    steps: int = 36_000  # 40 epochs of 900
    sample_every: int = 500
    save_every: int = 1000

    @property
    def pictures(self) -> int:
        """Return the number of real images in a step, of each domain."""
        return self.batch_size


_OFFICIAL = replace(
    Config(), blocks=4, weights="torch", crop="official", hflip=True, steps=1_000_000, horizon=1_000_000
)
PRESETS = {
    "article": Config(),
    "paper": replace(_OFFICIAL, sample_every=1000, save_every=10_000),
    "light": replace(Config(), blocks=4, light=True),
    "small": replace(
        Config(),
        size=64,
        width=32,
        blocks=4,
        light=True,
        local_downs=1,
        global_downs=3,
        crop="official",  # the article's crops make the faces of B larger, which moves the eyes of the fakes
        cam_weight=10.0,  # with 1000, the losses that keep colours hardly fell in 10,000 steps
        learning_rate=4e-4,
        steps=10_000,
        horizon=10_000,
    ),
    "tiny": replace(
        Config(),
        size=32,
        width=4,
        blocks=1,
        local_downs=1,
        global_downs=2,
        batch_size=4,
        steps=20,
        horizon=20,
        sample_every=10,
        save_every=10,
    ),
}


class Output(NamedTuple):
    """What a generator makes of pictures."""

    picture: Tensor  # (N, 3, S, S)
    cam: Tensor  # (N, 2): logits, by mean and by maximum, that the input is of the domain that is to be changed
    heat: Tensor  # (N, 1, S/4, S/4): where it looks


class Judgement(NamedTuple):
    """What a discriminator makes of pictures."""

    patches: Tensor  # (N, 1, H, W): 1 real, 0 fake
    cam: Tensor  # (N, 2): the same, by mean and by maximum
    heat: Tensor  # (N, 1, H + 1, W + 1): where it looks


class _Moments(torch.autograd.Function):
    """x (N, C, H, W) -> its mean and unbiased variance over H and W, (N, C) each; it keeps x alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        mean = x.mean((2, 3), keepdim=True)
        variance = (x - mean).square_().mean((2, 3)) * (x[0, 0].numel() / (x[0, 0].numel() - 1))
        ctx.save_for_backward(x, mean)
        return mean[:, :, 0, 0], variance

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        x, mean = ctx.saved_tensors
        of_mean, of_variance = (gradient[:, :, None, None] for gradient in gradients)
        count = x[0, 0].numel()
        slope = of_variance * (2 / (count - 1))
        return torch.addcmul(of_mean / count - slope * mean, x, slope)


def _fp32(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Return a context without autocast."""
    is_available = torch.amp.is_autocast_available(device.type)  # not on the meta device
    return torch.autocast(device.type, enabled=False) if is_available else contextlib.nullcontext()


def layer_instance_norm(x: Tensor, rho: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Return γ (ρ IN(x) + (1 - ρ) LN(x)) + β, in fp32 at least, of x (N, C, H, W), ρ (C,), γ and β (C,) or (N, C).

    Variances are unbiased, as the authors' are."""
    with _fp32(x.device):
        exact = as_fp32(x)
        mean, variance = _Moments.apply(exact)
        count, channels = x[0, 0].numel(), x.shape[1]
        layer_mean = mean.mean(1, keepdim=True)
        squares = (count - 1) * variance + count * (mean - layer_mean).square()
        layer_variance = squares.sum(1, keepdim=True) / (channels * count - 1)
        by_instance = rho * (variance + EPSILON).rsqrt()
        by_layer = (1 - rho) * (layer_variance + EPSILON).rsqrt()
        offset = shift - scale * (by_instance * mean + by_layer * layer_mean)
        factor = scale * (by_instance + by_layer)
        return torch.addcmul(offset[:, :, None, None], exact, factor[:, :, None, None]).to(x.dtype)


def instance_norm(x: Tensor) -> Tensor:
    """Return x (N, C, H, W) normalised over H and W, in fp32 at least, without scale and shift."""
    with _fp32(x.device):
        return F.group_norm(as_fp32(x), x.shape[1], eps=EPSILON).to(x.dtype)  # faster than torch's instance_norm


def _padded(x: Tensor, pixels: int) -> Tensor:
    return F.pad(x, [pixels] * 4, mode="reflect")


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, *, bias: bool = False) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, bias=bias)


class LayerInstanceNorm(nn.Module):
    """Normalisation by instance and layer, (N, C, H, W); its scale and shift are learned, or given (AdaILN)."""

    def __init__(self, channels: int, *, adaptive: bool) -> None:
        super().__init__()
        self.rho = nn.Parameter(torch.full((channels,), ADAPTIVE_RHO if adaptive else UPSAMPLING_RHO))
        if not adaptive:
            self.scale, self.shift = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, scale: Tensor | None = None, shift: Tensor | None = None) -> Tensor:
        """Return x normalised, with γ and β (N, C) if it is adaptive."""
        if scale is None or shift is None:
            scale, shift = self.scale, self.shift
        return layer_instance_norm(x, self.rho, scale, shift)


class Block(nn.Module):
    """A residual block of (N, C, H, W); with AdaILN if it is adaptive, else with instance normalization."""

    def __init__(self, channels: int, *, adaptive: bool) -> None:
        super().__init__()
        self.conv1, self.conv2 = _conv(channels, channels, 3), _conv(channels, channels, 3)
        norms = [LayerInstanceNorm(channels, adaptive=True) for _ in range(2)] if adaptive else []
        self.norms = nn.ModuleList(norms)

    def forward(self, x: Tensor, *style: Tensor) -> Tensor:
        """Return the map, with the style γ, β (N, C) each if it is adaptive."""
        norm1, norm2 = self.norms or (instance_norm, instance_norm)
        inner = norm1(self.conv1(_padded(x, 1)), *style)
        inner = self.conv2(_padded(inner, 1).relu_())  # padded first: one tensor is both ReLU's and the convolution's
        return x + norm2(inner, *style)


class ClassActivation(nn.Module):
    """Maps (N, C, H, W) -> the maps weighted by two classifiers (N, 2 C, H, W), and the classifiers' logits (N, 2).

    One classifier reads each channel's mean, the other its maximum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mean, self.maximum = (nn.Linear(channels, 1, bias=False) for _ in range(2))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return (weighted maps, logits), in fp32 at least. Weights are those before spectral normalisation, as in
        the authors' code."""
        with _fp32(x.device):
            exact = as_fp32(x)
            pooled = F.adaptive_avg_pool2d(exact, 1).flatten(1), F.adaptive_max_pool2d(exact, 1).flatten(1)
            heads = self.mean, self.maximum
            logits = [head(pool) for head, pool in zip(heads, pooled, strict=True)]
            weighted = [exact * next(head.parameters())[:, :, None, None] for head in heads]
            return torch.cat(weighted, 1), torch.cat(logits, 1)


class _Product(torch.autograd.Function):
    """x (N, I), W (O, I) -> x Wᵀ. W's gradient is not computed: its factors are appended to a list."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, factors: list[tuple[Tensor, Tensor]]) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.factors = factors
        return x @ weight.T

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        x, weight = ctx.saved_tensors
        ctx.factors.append((gradients[0], x))
        with _fp32(x.device):
            return gradients[0] @ weight, None, None


class WideLinear(nn.Module):
    """A linear layer without bias of so many weights that their gradient, an outer product, is kept as its factors.

    At 256 px it has 268 million weights, of 284 in all. `Update` finds no gradient of them; `gradients` makes it, in
    WIDE_PARTS parts, none of which has to wait for another."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        parts = [torch.empty(outputs // WIDE_PARTS, inputs) for _ in range(WIDE_PARTS)]
        self.weights = nn.ParameterList(part.uniform_(-(inputs**-0.5), inputs**-0.5) for part in parts)  # as nn.Linear
        self._factors: list[list[tuple[Tensor, Tensor]]] = [[] for _ in parts]

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, outputs)."""
        parts = zip(self.weights, self._factors, strict=True)
        return torch.cat([_Product.apply(x, weight, factors) for weight, factors in parts], 1)

    def gradients(self) -> Iterator[tuple[nn.Parameter, Tensor]]:
        """Yield a part of the weights and its gradient, summed over all backward passes since the last call."""
        for weight, factors in zip(self.weights, self._factors, strict=True):
            slopes, inputs = (torch.cat(parts) for parts in zip(*factors, strict=True))
            factors.clear()
            with _fp32(slopes.device):
                yield weight, slopes.T @ inputs


class Style(nn.Module):
    """Maps (N, C, S/4, S/4) -> the scale and the shift (N, C) of all adaptive normalisations of a generator."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        channels = 4 * c.width
        self.light = c.light
        first: nn.Module
        if c.light:
            first = nn.Linear(channels, channels, bias=False)
        else:
            first = WideLinear(channels * (c.size // 4) ** 2, channels)
        self.layers = nn.Sequential(
            first, nn.ReLU(inplace=True), nn.Linear(channels, channels, bias=False), nn.ReLU(inplace=True)
        )
        self.scale, self.shift = (nn.Linear(channels, channels, bias=False) for _ in range(2))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return γ and β, in fp32 at least."""
        with _fp32(x.device):
            exact = as_fp32(x)
            code = self.layers(exact.mean((2, 3)) if self.light else exact.flatten(1))
            return self.scale(code), self.shift(code)


class Generator(nn.Module):
    """Pictures (N, 3, S, S) -> pictures of the other domain (N, 3, S, S)."""

    middle = 127.5

    def __init__(self, c: Config) -> None:
        super().__init__()
        w, self.size, self.recompute = c.width, c.size, c.recompute
        self.first = _conv(3, w, 7)
        self.downs = nn.ModuleList([_conv(w, 2 * w, 3, 2), _conv(2 * w, 4 * w, 3, 2)])
        self.encoder = nn.ModuleList(Block(4 * w, adaptive=False) for _ in range(c.blocks))
        self.attention = ClassActivation(4 * w)
        self.merge = _conv(8 * w, 4 * w, 1, bias=True)
        self.style = Style(c)
        self.decoder = nn.ModuleList(Block(4 * w, adaptive=True) for _ in range(c.blocks))
        self.ups = nn.ModuleList([_conv(4 * w, 2 * w, 3), _conv(2 * w, w, 3)])
        self.norms = nn.ModuleList(LayerInstanceNorm(width, adaptive=False) for width in (2 * w, w))
        self.last = _conv(w, 3, 7)
        if c.weights == "normal":
            self.apply(_draw_convolution)

    def forward(self, picture: Tensor) -> Tensor:
        """Return the translated pictures."""
        return self.translate(picture).picture

    def translate(self, picture: Tensor) -> Output:
        """Return the translated pictures with the CAM's logits and the heat map."""
        x = instance_norm(self.first(_padded(picture, 3)))
        for down in self.downs:
            x = instance_norm(down(_padded(x, 1).relu_()))
        x = x.relu()
        for block in self.encoder:
            x = self._through(block, x)
        weighted, cam = self.attention(x)
        x = self.merge(weighted).relu()
        heat = x.sum(1, keepdim=True)
        style = self.style(x)
        for block in self.decoder:
            x = self._through(block, x, *style)
        for up, norm, rectify in zip(self.ups, self.norms, (False, True), strict=True):
            x = _padded(F.interpolate(x, scale_factor=2.0), 1)
            x = norm(up(x.relu_() if rectify else x))
        x = self.last(_padded(x, 3).relu_())
        return Output(x.tanh(), cam, heat)

    def _through(self, block: nn.Module, *inputs: Tensor) -> Tensor:
        """Return a block's output; with `recompute` its activations are not kept."""
        if self.recompute and torch.is_grad_enabled():
            output: Tensor = checkpoint(block, *inputs, use_reentrant=False, preserve_rng_state=False)
        else:
            output = block(*inputs)
        return output

    def io_shapes(self) -> tuple[list[tuple[int, ...]], tuple[int, ...]]:
        """Return the shapes of the input for one picture, and of the output."""
        picture = (1, 3, self.size, self.size)
        return [picture], picture


class Critic(nn.Module):
    """Pictures (N, 3, S, S) -> a Judgement. It halves the size `downs` times."""

    def __init__(self, width: int, downs: int) -> None:
        super().__init__()
        widths = [3, *(width * 2**level for level in range(downs + 1))]
        pairs = list(itertools.pairwise(widths))
        strides = [2] * downs + [1]
        self.layers = nn.ModuleList(
            spectral_norm(_conv(*pair, 4, stride, bias=True)) for pair, stride in zip(pairs, strides, strict=True)
        )
        deep = widths[-1]
        self.attention = ClassActivation(deep)
        spectral_norm(self.attention.mean)
        spectral_norm(self.attention.maximum)
        self.merge = _conv(2 * deep, deep, 1, bias=True)
        self.last = spectral_norm(_conv(deep, 1, 4))

    def forward(self, x: Tensor) -> Judgement:
        """Return the judgement."""
        for layer in self.layers:
            x = F.leaky_relu(layer(_padded(x, 1)), 0.2, inplace=True)
        weighted, cam = self.attention(x)
        x = F.leaky_relu(self.merge(weighted), 0.2, inplace=True)
        return Judgement(self.last(_padded(x, 1)), cam, x.sum(1, keepdim=True))


class Discriminator(nn.Module):
    """Pictures (N, 3, S, S) of one domain -> the judgements of a local and a global critic."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.local = Critic(c.width, c.local_downs)
        self.whole = Critic(c.width, c.global_downs)
        if c.weights == "normal":
            self.apply(_draw_convolution)

    def forward(self, x: Tensor) -> tuple[Judgement, Judgement]:
        """Return both judgements."""
        return self.local(x), self.whole(x)

    @torch.no_grad()
    def iterate(self) -> None:
        """Make one power iteration of each spectral norm: once a step, however many parts the batch has."""
        norms = [module for module in self.modules() if isinstance(module, parametrize.ParametrizationList)]
        with _fp32(next(self.parameters()).device):
            for norm in norms:
                norm.train()()
                norm.eval()

    @contextlib.contextmanager
    def normalised(self) -> Iterator[None]:
        """Compute the normalised weights once, in fp32 at least, for all that is judged within the block."""
        with parametrize.cached():
            with _fp32(next(self.parameters()).device):
                for module in self.modules():
                    if parametrize.is_parametrized(module, "weight"):
                        _ = module.weight
            yield

    def distance(self, x: Tensor, target: float) -> Tensor:
        """Return E (D(x) - t)², summed over the four maps: two of patches, two of CAM logits."""
        outputs = [output for judgement in self(x) for output in (judgement.patches, judgement.cam)]
        return torch.stack([(as_fp32(output) - target).square().mean() for output in outputs]).sum()


def _draw_convolution(module: nn.Module) -> None:
    """Draw weights from N(0, 0.02), but not those under spectral normalisation, as the article does. For `apply`."""
    if isinstance(module, nn.Conv2d) and not parametrize.is_parametrized(module):
        nn.init.normal_(module.weight, 0, 0.02)


def learning_rate(i: int, c: Config) -> float:
    """Return the learning rate of step i: constant up to half of the horizon, then linear to 0 at its end."""
    return c.learning_rate * min(1.0, max(0.0, 2 * (1 - i / c.horizon)))


class UGATIT:
    """The training: the discriminators on fakes that are made without a graph, then both generators."""

    def __init__(self, config: Config, device: torch.device, held_out: Mapping[str, HeldOut]) -> None:
        self.config, self.device, self.held_out = config, device, held_out
        # Evaluation mode: only the power iteration depends on it, which `iterate` makes.
        self.a2b, self.b2a = (to_channels_last(Generator(config).to(device)).eval() for _ in range(2))
        # Not channels last: spectral normalisation flattens the weights.
        self.d_a, self.d_b = (Discriminator(config).to(device).eval() for _ in range(2))
        self.opt_g, self.opt_d = self._adam(self.a2b, self.b2a), self._adam(self.d_a, self.d_b)

    def _adam(self, *networks: nn.Module) -> torch.optim.Optimizer:
        c = self.config
        parameters = [parameter for network in networks for parameter in network.parameters()]
        betas = (c.beta1, 0.999)
        return torch.optim.Adam(parameters, c.learning_rate, betas, weight_decay=c.weight_decay, fused=True)

    def step(self, batch: dict[str, Tensor], i: int) -> dict[str, Tensor]:
        """Return the loss of D, and the weighted parts of G's."""
        set_learning_rate([self.opt_g, self.opt_d], learning_rate(i, self.config))
        count = self.config.micro_batches
        parts = list(zip(*(in_range(batch[role], Generator.middle).chunk(count) for role in "ab"), strict=True))
        losses = {"d": self._update_d(parts)}
        update = Update([self.opt_g], micro_batches=count)
        with frozen(self.d_a, self.d_b):
            for a, b in parts:
                self._add_direction(update, a, self.a2b, self.b2a, self.d_b)
                self._add_direction(update, b, self.b2a, self.a2b, self.d_a)
        update.apply()
        self._step_wide_layers(count)
        self._clamp_rho()
        return losses | update.mean_components()

    def _update_d(self, parts: list[tuple[Tensor, Tensor]]) -> Tensor:
        """Make D's step on real pictures of a and b, and on their translations. Return its loss."""
        for d in (self.d_a, self.d_b):
            d.iterate()
        update = Update([self.opt_d], micro_batches=len(parts))
        for a, b in parts:
            with torch.no_grad():
                fake_a, fake_b = self.b2a(b), self.a2b(a)
            for d, real, fake in ((self.d_a, a, fake_a), (self.d_b, b, fake_b)):
                with d.normalised():
                    loss = self.config.adversarial_weight * (d.distance(real, 1) + d.distance(fake, 0))
                update.add(loss, d=loss)
        update.apply()
        return update.mean_components()["d"]

    def _add_direction(
        self, update: Update, real: Tensor, translate: Generator, back: Generator, d: Discriminator
    ) -> None:
        """Add the losses of one direction, each as soon as its passes are done: their sum is the paper's."""
        c = self.config
        same = back.translate(real)
        identity = c.identity_weight * _distance(same.picture, real)
        cam = c.cam_weight * binary_cross_entropy(same.cam, 0)
        update.add(identity + cam, identity=identity, cam=cam)
        del same, cam

        fake = translate.translate(real)
        leaf = fake.picture.detach().requires_grad_()
        with d.normalised():
            adversarial = c.adversarial_weight * d.distance(leaf, 1)
        (slope,) = torch.autograd.grad(adversarial, leaf)
        cycle = c.cycle_weight * _distance(back(leaf), real)
        (more,) = update.add(cycle, [leaf], cycle=cycle)
        cam = c.cam_weight * binary_cross_entropy(fake.cam, 1)
        through_fake = (fake.picture * (slope + more)).sum()  # its gradient is that of what was made of the fake
        update.add(cam + through_fake, cam=cam, adversarial=adversarial)

    def _step_wide_layers(self, count: int) -> None:
        """Make the optimizer's step of the wide layers, part by part: their gradients have two gigabytes."""
        layers = [module for network in (self.a2b, self.b2a) for module in network.modules()]
        for layer in (module for module in layers if isinstance(module, WideLinear)):
            for weight, gradient in layer.gradients():
                weight.grad = distributed.mean(gradient.div_(count))
                self.opt_g.step()  # of these weights alone: no others have a gradient
                weight.grad = None

    @torch.no_grad()
    def _clamp_rho(self) -> None:
        """Bring every ρ back into [0, 1]."""
        for network in (self.a2b, self.b2a):
            for module in network.modules():
                if isinstance(module, LayerInstanceNorm):
                    module.rho.clamp_(0, 1)

    def exported(self) -> dict[str, nn.Module]:
        """Return both generators."""
        return {"a2b": self.a2b, "b2a": self.b2a}

    def sheet(self, i: int) -> np.ndarray:
        """Return (H, W, 3) uint8: held-out pictures of a in both directions, then those of b, as COLUMNS says."""
        rows = [*self._rows("a", self.a2b, self.b2a, self.d_b), *self._rows("b", self.b2a, self.a2b, self.d_a)]
        return with_headings(grid(np.concatenate(rows), columns=len(COLUMNS)), COLUMNS)

    @torch.no_grad()
    def _rows(self, role: str, translate: Generator, back: Generator, d: Discriminator) -> Iterator[np.ndarray]:
        """Yield a row (9, S, S, 3) uint8 of a sheet for each picture."""

        def shown(picture: Tensor) -> np.ndarray:
            return to_pixels(picture, Generator.middle)[0]

        def over(picture: Tensor, seen: Output | Judgement) -> np.ndarray:
            return overlay(shown(picture), seen.heat[0, 0].float().cpu().numpy())

        for source in self._held_out(role, SHEET_PICTURES).split(1):
            same, fake = back.translate(source), translate.translate(source)
            restored = back.translate(fake.picture)
            cells = [shown(source)]
            for picture, output in ((source, same), (source, fake), (fake.picture, restored)):
                cells += [over(picture, output), shown(output.picture)]
            yield np.stack([*cells, *(over(fake.picture, judgement) for judgement in d(fake.picture))])

    def _held_out(self, role: str, count: int) -> Tensor:
        """Return (N, 3, S, S): the first held-out pictures of a domain, on the device."""
        pictures = torch.from_numpy(np.array(self.held_out[role].pictures[:count]))
        return in_range(pictures.to(self.device), Generator.middle)

    def frame(self, i: int) -> np.ndarray:
        """Return (H, W, 3) uint8: one picture of a and its translation, and below it one of b."""
        pairs = [
            image
            for role, network in (("a", self.a2b), ("b", self.b2a))
            for image in (self.held_out[role].pictures[:1], generate_images(network, self._held_out(role, 1)))
        ]
        return grid(np.concatenate(pairs), columns=2)

    @functools.cached_property
    def _distances(self) -> dict[str, KernelDistance]:
        return {role: KernelDistance(self.held_out[role].pictures, self.device) for role in "ab"}

    def validate(self, i: int) -> dict[str, float]:
        """Return the distances of translations from held-out pictures of the domain they should be of, and their
        mean first."""
        found = {}
        for source, target, network in (("a", "b", self.a2b), ("b", "a", self.b2a)):
            made = [
                generate_images(network, picture) for picture in self._held_out(source, VALIDATION_PICTURES).split(1)
            ]
            found[f"kid_random_{source}2{target}"] = self._distances[target](np.concatenate(made))
        return {"kid_random": sum(found.values()) / 2} | found


def _distance(x: Tensor, y: Tensor) -> Tensor:
    """Return E |x - y|."""
    return (as_fp32(x) - y).abs().mean()
