"""Training steps: ours, and those of textbook loops with the same networks, in fp32, without tricks. Run by
tests/benchmarks."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.data.dataset import CLIP_FRAMES
from models.data.resampling import SCALE
from models.nn.pasted import Pasted
from models.nn.vgg import random_vgg16
from models.papers import blink, dcgan, seam
from models.zoo import MODELS

Step = Callable[[int], None]


class Steps(NamedTuple):
    """Both steps of a model."""

    name: str
    items: int
    """In a step: pictures, or clips."""
    unit: str
    textbook: Step
    ours: Step


def steps(preset: str, device: torch.device, names: Iterable[str] = ()) -> Iterator[Steps]:
    """Yield the steps of these models of TEXTBOOKS, or of all, on a batch of noise."""
    for name in names or TEXTBOOKS:
        textbook = TEXTBOOKS[name]
        config = MODELS[name].presets[preset]
        if hasattr(config, "vgg"):
            config = replace(config, vgg="random")  # which takes as long as the real one
        torch.manual_seed(0)
        batch = _noise(config, device)
        unit = "clips" if "clip" in batch else "images"
        yield Steps(name, config.batch_size, unit, textbook(name, config, batch), ours(name, config, batch, device))


def _noise(config, device: torch.device) -> dict[str, Tensor]:
    if hasattr(config, "region"):
        shape = (config.pictures, CLIP_FRAMES, *config.shape)
        return {
            "clip": torch.randint(256, (*shape, 3), dtype=torch.uint8, device=device),
            "flow": torch.rand(*shape, 2, device=device) * 2 - 1,
            "openness": torch.rand(*shape[:2], device=device),
        }
    shape = (config.pictures, config.size, config.size, 3)
    if hasattr(config, "degrade"):
        sides = {"high": config.size, "low": config.size // SCALE}
        return {
            name: torch.randint(256, (config.pictures, side, side, 3), dtype=torch.uint8, device=device)
            for name, side in sides.items()
        }
    batch = {"picture": torch.randint(256, shape, dtype=torch.uint8, device=device)}
    if hasattr(config, "labels"):
        labels = torch.arange(config.pictures) % len(config.labels)
        batch["label"] = torch.eye(len(config.labels), device=device)[labels]
    return batch


def ours(name: str, config, batch: dict[str, Tensor], device: torch.device) -> Step:
    """Return a model's own step."""
    # the step from which one that grows, or is pre-trained, does all of its work
    start = getattr(config, "grown", getattr(config, "pretrain_steps", 0))
    trainer = MODELS[name].trainer(config, device, {"faces": np.zeros((1, config.size, config.size, 3), np.uint8)})

    def step(i: int) -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda", cache_enabled=False):
            trainer.step(batch, start + i)

    return step


def _networks(name: str, config, batch: dict[str, Tensor]) -> Iterator[tuple[nn.Module, torch.optim.Optimizer]]:
    """Yield the networks of a model, each with an Adam of its own."""
    device = next(iter(batch.values())).device
    for build in MODELS[name].networks.values():
        network = build(config).to(device)
        yield network, torch.optim.Adam(network.parameters(), config.learning_rate, (0.5, 0.999))


def _in_range(pictures: Tensor) -> Tensor:
    """Map (…, H, W, 3) uint8 to (…, 3, H, W) in [-1, 1]."""
    return pictures.movedim(-1, -3).contiguous().float() / 127.5 - 1


def _descend(opt: torch.optim.Optimizer, loss: Tensor) -> None:
    opt.zero_grad()
    loss.backward()
    opt.step()


def _dcgan(name: str, config, batch: dict[str, Tensor]) -> Step:
    (g, opt_g), (d, opt_d) = _networks(name, config, batch)
    real = _in_range(batch["picture"])

    def scored(logits: Tensor, is_real: bool) -> Tensor:
        if logits.ndim == 2:
            target = torch.full((len(logits),), dcgan.REAL if is_real else dcgan.FAKE, device=logits.device)
            return F.cross_entropy(logits, target)
        return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(is_real)))

    def noise(count: int) -> Tensor:
        return torch.rand(count, config.latent, device=real.device) * 2 - 1

    def step(i: int) -> None:
        fake = g(noise(config.pictures))
        _descend(opt_d, scored(d(real), True) + scored(d(fake.detach()), False))
        if config.pictures < config.batch_size:  # the second article's G takes a whole batch of new noise
            fake = g(noise(config.batch_size))
        _descend(opt_g, scored(d(fake), True))

    return step


def _cgan(name: str, config, batch: dict[str, Tensor]) -> Step:
    """Of the projection cGANs and of the AC-GAN, whose losses cost the same as hinges."""
    (g, opt_g), (d, opt_d) = _networks(name, config, batch)
    real, labels = _in_range(batch["picture"]), batch["label"]

    def logits(x: Tensor, y: Tensor) -> Tensor:
        if name != "acgan":
            return d(x, y)
        on_real, on_label = d(x)
        return on_real + (on_label * y).sum(1)

    def paint(y: Tensor) -> Tensor:
        return g(torch.randn(config.batch_size, config.latent, device=real.device), y)

    def step(i: int) -> None:
        for x, y in zip(real.chunk(config.d_steps), labels.chunk(config.d_steps), strict=True):
            loss = (1 - logits(x, y)).relu().mean() + (1 + logits(paint(y).detach(), y)).relu().mean()
            if config.penalty_weight:
                near = x + 0.5 * x.std() * torch.rand_like(x)
                alpha = torch.rand(len(x), 1, 1, 1, device=real.device)
                near = (alpha * x + (1 - alpha) * near).requires_grad_()
                (slope,) = torch.autograd.grad(logits(near, y).sum(), near, create_graph=True)
                loss = loss + config.penalty_weight * (slope.flatten(1).norm(dim=1) - 1).square().mean()
            _descend(opt_d, loss)
        _descend(opt_g, -logits(paint(y), y).mean())

    return step


def _sagan(name: str, config, batch: dict[str, Tensor]) -> Step:
    (g, opt_g), (d, opt_d) = _networks(name, config, batch)
    real = _in_range(batch["picture"])

    def paint() -> Tensor:
        return g(torch.randn(config.batch_size, config.latent, device=real.device))

    def step(i: int) -> None:
        _descend(opt_d, (1 - d(real)).relu().mean() + (1 + d(paint().detach())).relu().mean())
        _descend(opt_g, -d(paint()).mean())

    return step


def _pggan(name: str, config, batch: dict[str, Tensor]) -> Step:
    """When it has grown up."""
    (g, opt_g), (d, opt_d) = _networks(name, config, batch)
    real, growth = _in_range(batch["picture"]), config.growth(config.grown)

    def paint() -> Tensor:
        return g(torch.randn(config.batch_size, config.latent, device=real.device))

    def update_g() -> None:
        _descend(opt_g, -d(paint(), growth).mean())

    def step(i: int) -> None:
        if config.g_first:
            update_g()
        fake, on_real = paint().detach(), d(real, growth)
        share = torch.rand(len(real), 1, 1, 1, device=real.device)
        between = (share * real + (1 - share) * fake).requires_grad_()
        (slope,) = torch.autograd.grad(d(between, growth).sum(), between, create_graph=True)
        penalty = (slope.flatten(1).norm(dim=1) - 1).square().mean()
        loss = d(fake, growth).mean() - on_real.mean() + config.drift_weight * on_real.square().mean()
        _descend(opt_d, loss + config.penalty_weight * penalty)
        if not config.g_first:
            update_g()

    return step


def _r3gan(name: str, config, batch: dict[str, Tensor]) -> Step:
    """With a pass of D for real images and one for fakes, and the penalty's gradient of each."""
    (g, opt_g), (d, opt_d) = _networks(name, config, batch)
    real, y = _in_range(batch["picture"]), [batch["label"]] if "label" in batch else []

    def noise() -> Tensor:
        return torch.randn(config.batch_size, config.latent, device=real.device)

    def judge(x: Tensor, penalizes: bool) -> tuple[Tensor, Tensor | float]:
        x = x.detach().requires_grad_(penalizes)
        logits = d(x, *y)
        if not penalizes:
            return logits, 0.0
        (slope,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
        return logits, slope.square().sum((1, 2, 3)).mean()

    def step(i: int) -> None:
        every = config.penalty_every
        penalizes = (i + 1) % every == 0
        (on_real, r1), (on_fake, r2) = judge(real, penalizes), judge(g(noise(), *y), penalizes)
        _descend(opt_d, F.softplus(on_fake - on_real).mean() + every * config.gamma / 2 * (r1 + r2))
        _descend(opt_g, F.softplus(d(real, *y) - d(g(noise(), *y), *y)).mean())

    return step


def _videogan(name: str, config, batch: dict[str, Tensor]) -> Step:
    """Of the trial adversarial."""
    (g, opt_g), (d, opt_d) = _networks(name, config, batch)
    clip = _in_range(batch["clip"])
    real, fake = (torch.full((len(clip),), value, device=clip.device) for value in (0, 1))

    def step(i: int) -> None:
        made = g(clip[:, 0])
        _descend(opt_d, F.cross_entropy(d(clip), real) + F.cross_entropy(d(made.detach()), fake))
        error = (made - clip).abs()
        loss = config.first_frame_weight * error[:, 0].mean() + config.content_weight * error.mean()
        _descend(opt_g, loss + F.cross_entropy(d(made), real))

    return step


def _blink(name: str, config, batch: dict[str, Tensor]) -> Step:
    ((unet, opt),) = _networks(name, config, batch)
    clip, flow, openness = _in_range(batch["clip"]), batch["flow"].movedim(-1, -3).contiguous(), batch["openness"]
    still = clip[:, 0]

    def step(i: int) -> None:
        times = torch.randperm(CLIP_FRAMES, device=clip.device)[: config.frames].sort().values
        truth = clip[:, times]
        painted, mask = unet.paint(still, flow[:, times], openness[:, times])
        frames = mask * painted + (1 - mask) * still[:, None]
        _descend(opt, sum(blink.losses(frames, mask, truth, still, config).values()))

    return step


def _seam(name: str, config, batch: dict[str, Tensor]) -> Step:
    ((refiner, opt),) = _networks(name, config, batch)
    face = _in_range(batch["picture"])

    def step(i: int) -> None:
        draws = torch.rand(len(face), seam.DRAWS, device=face.device)
        boxes = seam.random_boxes(draws[:, :4], config.size)
        clean = seam.with_other(face, boxes, draws[:, 13:])
        pasted = Pasted.of(face, seam.disturb(clean, draws[:, 4:13]), boxes, config.ring)
        error = refiner(*pasted) - torch.lerp(pasted.faces, clean, pasted.ring)
        slopes = error.diff(dim=2).abs().sum((1, 2, 3)) + error.diff(dim=3).abs().sum((1, 2, 3))
        sums = error.abs().sum((1, 2, 3)) + config.gradient_weight * slopes
        _descend(opt, (sums / (pasted.ring > 0).sum((1, 2, 3))).mean())

    return step


def _super_resolution(name: str, config, batch: dict[str, Tensor]) -> Step:
    """Of phase 2: G's update, then D's, each with passes of its own, as ESRGAN's authors' code has them."""
    (g, opt_g), (d, opt_d), _ = _networks(name, config, batch)
    low, high = ((_in_range(batch[key]) + 1) / 2 for key in ("low", "high"))
    features, blocks = random_vgg16().to(high.device), [block - 1 for block in config.layers]
    ones, zeros = torch.ones(len(high), device=high.device), torch.zeros(len(high), device=high.device)

    def over(a: Tensor, b: Tensor) -> Tensor:
        entropy = F.binary_cross_entropy_with_logits
        return (entropy(a - b.mean(), ones) + entropy(b - a.mean(), zeros)) / 2

    def step(i: int) -> None:
        fake = g(low)
        loss = config.adversarial_weight * over(d(fake), d(high).detach()) + config.l1_weight * F.l1_loss(fake, high)
        maps = zip(*(features.block_features(x, activated=False) for x in (fake, high)), strict=True)
        errors = [F.l1_loss(x, y) for x, y in maps]
        _descend(opt_g, loss + config.perceptual_weight * torch.stack([errors[block] for block in blocks]).sum())
        _descend(opt_d, over(d(high), d(fake.detach())))

    return step


TEXTBOOKS = {
    "dcgan96": _dcgan,
    "dcgan128": _dcgan,
    "cgan-srresnet": _cgan,
    "cgan-resblock": _cgan,
    "acgan": _cgan,
    "sagan": _sagan,
    "pggan": _pggan,
    "r3gan": _r3gan,
    "r3gan-colors": _r3gan,
    "blink-flow": _blink,
    "videogan-cond": _videogan,
    "seam-refiner": _seam,
    "srgan": _super_resolution,
    "esrgan": _super_resolution,
}
