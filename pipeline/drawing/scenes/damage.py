"""Damage that pictures suffer on their way: strong JPEG compression, once or twice, enlargement, noise, blur."""

from collections.abc import Callable

import cv2
import numpy as np

from pipeline.drawing.sampling import Sampler
from pipeline.drawing.scenes.postprocess import identity


def damage(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Return the picture, uint8 RGB (size, size, 3), with one kind of damage or none."""
    return sampler.pick(DAMAGES)(sampler, picture)


def _jpeg(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Compress the picture until its blocks show."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, sampler.integer(6, 40)]
    _, file = cv2.imencode(".jpg", picture[..., ::-1], quality)
    return np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR))[..., ::-1].copy()


def _enlarged(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    size, share = len(picture), sampler.between(0.3, 0.7)
    kind = sampler.choice(cv2.INTER_CUBIC, cv2.INTER_LINEAR, cv2.INTER_NEAREST)
    small = cv2.resize(picture, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (size, size), interpolation=kind)


def _enlarged_jpeg(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    return _jpeg(sampler, _enlarged(sampler, _jpeg(sampler, picture)))


def _noise(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    noise = sampler.normal(sampler.between(5, 25), (*picture.shape[:2], sampler.choice(1, 3)))
    return (picture + noise).clip(0, 255).astype(np.uint8)


def _blur(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(picture, (0, 0), sampler.between(0.6, 2))


DAMAGES: dict[Callable[[Sampler, np.ndarray], np.ndarray], float] = {  # -> weight
    identity: 6.5,
    _jpeg: 1.5,
    _enlarged: 0.5,
    _enlarged_jpeg: 0.5,
    _noise: 0.5,
    _blur: 0.5,
}
