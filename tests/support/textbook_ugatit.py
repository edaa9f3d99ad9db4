"""U-GAT-IT as its authors' PyTorch code is described: plain modules, one summed loss for both generators.

An independent reference for `models.papers.ugatit`: nothing of it is used here."""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import spectral_norm


def _pad(pixels: int) -> nn.Module:
    return nn.ReflectionPad2d(pixels)


class _Block(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        half = lambda: [_pad(1), nn.Conv2d(c, c, 3, bias=False), nn.InstanceNorm2d(c)]  # noqa: E731
        self.layers = nn.Sequential(*half(), nn.ReLU(True), *half())

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


def mixed_norm(x: Tensor, rho: Tensor) -> Tensor:
    """Return ρ IN(x) + (1 - ρ) LN(x)."""
    normed = [
        (x - x.mean(axes, keepdim=True)) / torch.sqrt(x.var(axes, keepdim=True) + 1e-5) for axes in ((2, 3), (1, 2, 3))
    ]
    share = rho[None, :, None, None]
    return share * normed[0] + (1 - share) * normed[1]


class _AdaLIN(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.rho = nn.Parameter(torch.full((c,), 0.9))

    def forward(self, x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        return mixed_norm(x, self.rho) * gamma[:, :, None, None] + beta[:, :, None, None]


class _LIN(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.rho = nn.Parameter(torch.zeros(c))
        self.gamma, self.beta = nn.Parameter(torch.ones(c)), nn.Parameter(torch.zeros(c))

    def forward(self, x: Tensor) -> Tensor:
        return mixed_norm(x, self.rho) * self.gamma[None, :, None, None] + self.beta[None, :, None, None]


class _AdaptiveBlock(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.pad, self.conv1, self.norm1 = _pad(1), nn.Conv2d(c, c, 3, bias=False), _AdaLIN(c)
        self.conv2, self.norm2 = nn.Conv2d(c, c, 3, bias=False), _AdaLIN(c)

    def forward(self, x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        inner = F.relu(self.norm1(self.conv1(self.pad(x)), gamma, beta))
        return self.norm2(self.conv2(self.pad(inner)), gamma, beta) + x


class TextbookGenerator(nn.Module):
    """Pictures (N, 3, S, S) -> pictures and CAM logits (N, 2)."""

    def __init__(self, size: int, w: int, blocks: int, light: bool) -> None:
        super().__init__()
        c, self.light = 4 * w, light
        down: list[nn.Module] = [_pad(3), nn.Conv2d(3, w, 7, bias=False), nn.InstanceNorm2d(w), nn.ReLU(True)]
        for k in (w, 2 * w):
            down += [_pad(1), nn.Conv2d(k, 2 * k, 3, 2, bias=False), nn.InstanceNorm2d(2 * k), nn.ReLU(True)]
        self.down = nn.Sequential(*down, *(_Block(c) for _ in range(blocks)))
        self.gap, self.gmp = nn.Linear(c, 1, bias=False), nn.Linear(c, 1, bias=False)
        self.merge = nn.Conv2d(2 * c, c, 1)
        wide = nn.Linear(c if light else c * (size // 4) ** 2, c, bias=False)
        self.code = nn.Sequential(wide, nn.ReLU(True), nn.Linear(c, c, bias=False), nn.ReLU(True))
        self.gamma, self.beta = nn.Linear(c, c, bias=False), nn.Linear(c, c, bias=False)
        self.blocks = nn.ModuleList(_AdaptiveBlock(c) for _ in range(blocks))
        up: list[nn.Module] = []
        for k in (2 * w, w):
            up += [nn.Upsample(scale_factor=2), _pad(1), nn.Conv2d(2 * k, k, 3, bias=False), _LIN(k), nn.ReLU(True)]
        self.up = nn.Sequential(*up, _pad(3), nn.Conv2d(w, 3, 7, bias=False), nn.Tanh())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return both."""
        x = self.down(x)
        mean, largest = F.adaptive_avg_pool2d(x, 1).flatten(1), F.adaptive_max_pool2d(x, 1).flatten(1)
        cam = torch.cat([self.gap(mean), self.gmp(largest)], 1)
        weights = self.gap.weight[:, :, None, None], self.gmp.weight[:, :, None, None]
        x = F.relu(self.merge(torch.cat([x * weight for weight in weights], 1)))
        code = self.code(F.adaptive_avg_pool2d(x, 1).flatten(1) if self.light else x.flatten(1))
        for block in self.blocks:
            x = block(x, self.gamma(code), self.beta(code))
        return self.up(x), cam


class TextbookCritic(nn.Module):
    """Pictures -> patches and CAM logits."""

    def __init__(self, w: int, downs: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for level in range(downs + 1):
            inputs, outputs = (3 if level == 0 else w * 2 ** (level - 1)), w * 2**level
            conv = nn.Conv2d(inputs, outputs, 4, 1 if level == downs else 2)
            layers += [_pad(1), spectral_norm(conv), nn.LeakyReLU(0.2, True)]
        c = w * 2**downs
        self.layers = nn.Sequential(*layers)
        self.gap, self.gmp = (spectral_norm(nn.Linear(c, 1, bias=False)) for _ in range(2))
        self.merge, self.pad = nn.Conv2d(2 * c, c, 1), _pad(1)
        self.last = spectral_norm(nn.Conv2d(c, 1, 4, bias=False))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return both."""
        x = self.layers(x)
        mean, largest = F.adaptive_avg_pool2d(x, 1).flatten(1), F.adaptive_max_pool2d(x, 1).flatten(1)
        cam = torch.cat([self.gap(mean), self.gmp(largest)], 1)
        weights = self.gap.weight_orig[:, :, None, None], self.gmp.weight_orig[:, :, None, None]
        x = F.leaky_relu(self.merge(torch.cat([x * weight for weight in weights], 1)), 0.2)
        return self.last(self.pad(x)), cam


def _squares(outputs: tuple[Tensor, Tensor], target: float) -> Tensor:
    return torch.stack([(output - target).square().mean() for output in outputs]).sum()


class Textbook:
    """The training, with the networks' parameters in the order of ours."""

    def __init__(self, *, size: int, width: int, blocks: int, light: bool, local_downs: int, global_downs: int) -> None:
        self.a2b, self.b2a = (TextbookGenerator(size, width, blocks, light) for _ in range(2))
        pair = local_downs, global_downs
        self.d_a, self.d_b = (nn.ModuleList(TextbookCritic(width, downs) for downs in pair) for _ in range(2))
        adam = {"lr": 1e-4, "betas": (0.5, 0.999), "weight_decay": 1e-4}
        self.opt_g = torch.optim.Adam(itertools.chain(self.a2b.parameters(), self.b2a.parameters()), **adam)
        self.opt_d = torch.optim.Adam(itertools.chain(self.d_a.parameters(), self.d_b.parameters()), **adam)

    def step(self, a: Tensor, b: Tensor) -> dict[str, float]:
        """Make a step on pictures (N, 3, S, S) of each domain. Return its weighted losses."""
        self.opt_d.zero_grad()
        with torch.no_grad():
            fake_b, fake_a = self.a2b(a)[0], self.b2a(b)[0]
        loss_d = torch.stack(
            [
                *(_squares(d(a), 1) + _squares(d(fake_a), 0) for d in self.d_a),
                *(_squares(d(b), 1) + _squares(d(fake_b), 0) for d in self.d_b),
            ]
        ).sum()
        loss_d.backward()
        self.opt_d.step()

        self.opt_g.zero_grad()
        (fake_b, cam_a), (fake_a, cam_b) = self.a2b(a), self.b2a(b)
        back_a, back_b = self.b2a(fake_b)[0], self.a2b(fake_a)[0]
        (same_a, other_a), (same_b, other_b) = self.b2a(a), self.a2b(b)
        judged = [_squares(d(fake_a), 1) for d in self.d_a] + [_squares(d(fake_b), 1) for d in self.d_b]
        bce = F.binary_cross_entropy_with_logits
        changed = [bce(cam, torch.ones_like(cam)) for cam in (cam_a, cam_b)]
        kept = [bce(cam, torch.zeros_like(cam)) for cam in (other_a, other_b)]
        losses = {
            "adversarial": torch.stack(judged).sum(),
            "cycle": 10 * ((back_a - a).abs().mean() + (back_b - b).abs().mean()),
            "identity": 10 * ((same_a - a).abs().mean() + (same_b - b).abs().mean()),
            "cam": 1000 * torch.stack(changed + kept).sum(),
        }
        torch.stack([*losses.values()]).sum().backward()
        self.opt_g.step()
        with torch.no_grad():
            for name, parameter in itertools.chain(self.a2b.named_parameters(), self.b2a.named_parameters()):
                if name.endswith("rho"):
                    parameter.clamp_(0, 1)
        return {"d": loss_d.item()} | {name: loss.item() for name, loss in losses.items()}
