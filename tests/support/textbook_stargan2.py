"""A step of StarGAN v2 as its paper and the figures of its networks describe it: functions of named weights.

An independent reference for `models.papers.stargan2`: of it only the names and the values of the weights are taken."""

import torch
from torch import Tensor
from torch.nn import functional as F

Weights = dict[str, Tensor]


def _conv(w: Weights, name: str, x: Tensor, padding: int = 0) -> Tensor:
    return F.conv2d(x, w[f"{name}.weight"], w.get(f"{name}.bias"), padding=padding)


def _linear(w: Weights, name: str, x: Tensor) -> Tensor:
    return F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])


def _norm(w: Weights, name: str, x: Tensor) -> Tensor:
    return F.instance_norm(x, weight=w.get(f"{name}.weight"), bias=w.get(f"{name}.bias"))


def _adain(w: Weights, name: str, x: Tensor, s: Tensor) -> Tensor:
    gamma, beta = _linear(w, f"{name}.linear", s).view(len(x), -1, 1, 1).chunk(2, 1)
    return (1 + gamma) * F.instance_norm(x) + beta


def _lrelu(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2)


def _residual(w: Weights, name: str, x: Tensor, *, norm: bool, down: bool) -> Tensor:
    shortcut = _conv(w, f"{name}.skip", x) if f"{name}.skip.weight" in w else x
    inner = _lrelu(_norm(w, f"{name}.norm1", x) if norm else x)
    inner = _conv(w, f"{name}.conv1", inner, 1)
    if down:
        shortcut, inner = F.avg_pool2d(shortcut, 2), F.avg_pool2d(inner, 2)
    inner = _lrelu(_norm(w, f"{name}.norm2", inner) if norm else inner)
    return (shortcut + _conv(w, f"{name}.conv2", inner, 1)) / 2**0.5


def _styled(w: Weights, name: str, x: Tensor, s: Tensor, *, up: bool) -> Tensor:
    shortcut, inner = x, _lrelu(_adain(w, f"{name}.norm1", x, s))
    if up:
        shortcut, inner = (F.interpolate(part, scale_factor=2, mode="nearest") for part in (shortcut, inner))
    if f"{name}.skip.weight" in w:
        shortcut = _conv(w, f"{name}.skip", shortcut)
    inner = _lrelu(_adain(w, f"{name}.norm2", _conv(w, f"{name}.conv1", inner, 1), s))
    return (shortcut + _conv(w, f"{name}.conv2", inner, 1)) / 2**0.5


def generator(w: Weights, x: Tensor, s: Tensor, downs: int) -> Tensor:
    """Return x in the style s."""
    x = _conv(w, "first", x, 1)
    for level in range(downs + 2):
        x = _residual(w, f"encode.{level}", x, norm=True, down=level < downs)
    for level in range(downs + 2):
        x = _styled(w, f"decode.{level}", x, s, up=level >= 2)
    return _conv(w, "paint", _lrelu(_norm(w, "norm", x)))


def mapping(w: Weights, z: Tensor, domain: list[int]) -> Tensor:
    """Return the styles of z."""
    for layer in (0, 2, 4, 6):
        z = _linear(w, f"shared.{layer}", z).relu()
    found = []
    for h, k in zip(z, domain, strict=True):
        for layer in (0, 2, 4):
            h = _linear(w, f"own.{k}.{layer}", h).relu()
        found.append(_linear(w, f"own.{k}.6", h))
    return torch.stack(found)


def trunk(w: Weights, x: Tensor, domain: list[int], downs: int) -> Tensor:
    """Return what E or D makes of pictures for their domains (N, E), or (N, 1)."""
    x = _conv(w, "trunk.0", x, 1)
    for level in range(downs):
        x = _residual(w, f"trunk.{level + 1}", x, norm=False, down=True)
    x = _lrelu(_conv(w, f"trunk.{downs + 2}", _lrelu(x)))
    outputs = _linear(w, "own", x.flatten(1))
    return outputs.view(len(x), w["domains"], -1)[range(len(x)), domain]


class Textbook:
    """The training, with weights of their own that begin as the given ones."""

    def __init__(self, networks: dict[str, Weights], domains: int, size: int) -> None:
        self.weights = {
            key: {name: value.detach().clone().requires_grad_() for name, value in weights.items()}
            for key, weights in networks.items()
        }
        rates = {"g": 1e-4, "f": 1e-6, "e": 1e-4, "d": 1e-4}
        self.optimizers = {
            key: torch.optim.Adam([*self.weights[key].values()], lr=rate, betas=(0.0, 0.99), weight_decay=1e-4)
            for key, rate in rates.items()
        }
        for key in "ed":
            self.weights[key]["domains"] = domains
        self.downs_g, self.downs_d = {32: (1, 3), 64: (2, 4), 256: (4, 6)}[size]

    def _g(self, x: Tensor, s: Tensor, domain: list[int]) -> Tensor:
        return self.shown(generator(self.weights["g"], x, s, self.downs_g), domain)

    def _e(self, x: Tensor, domain: list[int]) -> Tensor:
        return trunk(self.weights["e"], x, domain, self.downs_d)

    def _d(self, x: Tensor, domain: list[int]) -> Tensor:
        return trunk(self.weights["d"], x, domain, self.downs_d)[:, 0]

    def shown(self, x: Tensor, domain: list[int]) -> Tensor:
        """Return x, grey where its domain is in `gray`."""
        grey = (0.299 * x[:, :1] + 0.587 * x[:, 1:2] + 0.114 * x[:, 2:]).repeat(1, 3, 1, 1)
        return torch.stack([g if k in self.gray else c for g, c, k in zip(grey, x, domain, strict=True)])

    def step(
        self,
        x: Tensor,
        y: list[int],
        target: list[int],
        references: tuple[Tensor, Tensor],
        latents: tuple[Tensor, Tensor],
        *,
        diversity: float,
        gray: tuple[int, ...] = (),
        by_luminance: bool = False,
    ) -> dict[str, float]:
        """Make the four updates. Return their losses."""
        self.gray, found = gray, {}
        x, references = self.shown(x, y), [self.shown(reference, target) for reference in references]
        for kind in ("latent", "reference"):

            def style(number: int, kind: str = kind) -> Tensor:
                if kind == "latent":
                    return mapping(self.weights["f"], latents[number], target)
                return self._e(references[number], target)

            real = x.detach().clone().requires_grad_()
            logits = self._d(real, y)
            (slope,) = torch.autograd.grad(logits.sum(), real, create_graph=True)
            penalty = 0.5 * slope.pow(2).flatten(1).sum(1).mean()
            fake = self._g(x, style(0), target).detach()
            loss = F.softplus(-logits).mean() + F.softplus(self._d(fake, target)).mean()
            self._update("d", loss + penalty)
            found |= {f"d_{kind}": loss, f"penalty_{kind}": penalty}
        for kind in ("latent", "reference"):

            def style(number: int, kind: str = kind) -> Tensor:
                if kind == "latent":
                    return mapping(self.weights["f"], latents[number], target)
                return self._e(references[number], target)

            s = style(0)
            fake, other = self._g(x, s, target), self._g(x, style(1), target).detach()
            adversarial = F.softplus(-self._d(fake, target)).mean()
            restyled = (self._e(fake, target) - s).abs().mean()
            difference = fake - other
            if by_luminance:
                difference = torch.einsum("nchw,c->nhw", difference, torch.tensor([0.299, 0.587, 0.114]))
            apart = difference.abs().mean()
            cycle = (self._g(fake, self._e(x, y), y) - x).abs().mean()
            self._update("gfe" if kind == "latent" else "g", adversarial + restyled - diversity * apart + cycle)
            found |= {f"g_{kind}": adversarial, f"style_{kind}": restyled}
            found |= {f"diversity_{kind}": apart, f"cycle_{kind}": cycle}
        return {name: value.item() for name, value in found.items()}

    def _update(self, keys: str, loss: Tensor) -> None:
        for optimizer in self.optimizers.values():
            optimizer.zero_grad()
        loss.backward()
        for key in keys:
            self.optimizers[key].step()
