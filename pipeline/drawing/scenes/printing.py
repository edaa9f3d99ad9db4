"""Treatments of whole pictures that were drawn in lines: screentone and rough pencil."""

import cv2
import numpy as np

from pipeline.drawing.sampling import Sampler


def manga_print(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Return the picture printed in black on white, greys as regular dots or hatching; now and then on grey paper."""
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    y, x = np.mgrid[: len(gray), : len(gray)].astype(np.float32)
    turn, pitch = np.deg2rad(sampler.choice(45, 30, 60, 0)), sampler.between(2.5, 6)
    u, v = (x * np.cos(turn) + y * np.sin(turn)) / pitch, (y * np.cos(turn) - x * np.sin(turn)) / pitch
    waves = np.cos(2 * np.pi * u) + (np.cos(2 * np.pi * v) if sampler.chance(0.75) else 0)
    tone = np.where(gray > 128 + 60 * waves, 255, 0)
    low, high = sampler.between(40, 80), sampler.between(170, 225)
    printed: np.ndarray = np.where(gray < low, 0, np.where(gray > high, 255, tone)).astype(np.uint8)
    if sampler.chance(0.7):  # scanned, or printed small
        printed = cv2.GaussianBlur(printed, (0, 0), sampler.between(0.4, 0.9))
    if sampler.chance(0.2):
        printed = cv2.LUT(printed, np.linspace(sampler.between(0, 60), sampler.between(200, 255), 256).astype(np.uint8))
    return cv2.cvtColor(printed, cv2.COLOR_GRAY2RGB)


def rough_pencil(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Return the picture drawn over several times by an unsteady hand, in grey or in pale or full colours."""
    if sampler.chance(0.7):  # all but the ink fades
        gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
        fading = sampler.between(0.7, 1) * ((gray - 60) / 80).clip(0, 1)
        picture = (picture + (255 - picture) * fading).astype(np.uint8)
    drawn = picture
    for _ in range(sampler.integer(0, 4)):
        drawn = cv2.min(drawn, _shaken(sampler, picture))
    if sampler.chance(0.5):
        drawn = cv2.cvtColor(cv2.cvtColor(drawn, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if sampler.chance(0.5):  # the grain of pencil on paper
        grain = sampler.rng.random((*drawn.shape[:2], 1), np.float32) * sampler.between(0.1, 0.6)
        drawn = (255 - (255 - drawn) * (1 - grain)).astype(np.uint8)
    return drawn


def _shaken(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    size = len(picture)
    shifts = cv2.resize(sampler.normal(1, (4, 4, 2)).astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
    shifts *= size * sampler.between(0.002, 0.008)
    y, x = np.mgrid[:size, :size].astype(np.float32)
    return cv2.remap(picture, x + shifts[..., 0], y + shifts[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
