"""A small drawn scene: a textured wall, a moving textured square in front of it, and a hand that may cover it."""

import math

import cv2
import numpy as np

from molmo_point.depth.lift import lift_points
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.results import ImagePoint, Pointing

WIDTH, HEIGHT = 320, 240
CAMERA = Intrinsics(width=WIDTH, height=HEIGHT, fx=300.0, fy=300.0, cx=159.5, cy=119.5)
WALL_M, SQUARE_M, HAND_M = 0.9, 0.6, 0.45
HALF_PX = 34
FRAME_NS = 33_333_333
START_NS = 1_000_000_000
START = (110.0, 120.0)
"""Pixel of the square's middle in frame 0."""


def texture(seed: int, height: int, width: int, low: int = 40, high: int = 210) -> np.ndarray:
    """Smooth random gray values (h, w) uint8."""
    noise = np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.0)
    return cv2.normalize(smooth, None, low, high, cv2.NORM_MINMAX).astype(np.uint8)


WALL, SQUARE, HAND = texture(1, HEIGHT, WIDTH), texture(2, 101, 101), texture(3, HEIGHT, WIDTH, 100, 160)


def draw(
    middle: tuple[float, float],
    number: int,
    *,
    turn: float = 0.0,
    scale: float = 1.0,
    square_m: float = SQUARE_M,
    hand: tuple[int, int] | None = None,
    gain: float = 1.0,
    noise_m: float = 0.001,
    square: bool = True,
    stamp_ns: int | None = None,
    depth: bool = True,
) -> RgbdFrame:
    """Frame `number`, with the middle of the square at a pixel; `hand` gives the columns that the hand covers."""
    rng = np.random.default_rng(number)
    gray, depth_m = WALL.copy(), np.full((HEIGHT, WIDTH), WALL_M)
    if square:
        c, s = scale * math.cos(turn), scale * math.sin(turn)
        linear = np.array([[c, -s], [s, c]])
        matrix = np.concatenate([linear, (np.array(middle) - linear @ [50.0, 50.0])[:, None]], axis=1)
        cover = np.zeros(SQUARE.shape, np.uint8)
        cover[50 - HALF_PX : 51 + HALF_PX, 50 - HALF_PX : 51 + HALF_PX] = 255
        mask = cv2.warpAffine(cover, matrix, (WIDTH, HEIGHT)) > 127
        gray[mask] = cv2.warpAffine(SQUARE, matrix, (WIDTH, HEIGHT))[mask]
        depth_m[mask] = square_m
    if hand is not None:
        columns = slice(max(hand[0], 0), max(hand[1], 0))
        shift = hand[0] % WIDTH
        gray[:, columns], depth_m[:, columns] = np.roll(HAND, shift, axis=1)[:, columns], HAND_M
    depth_m = depth_m + rng.normal(0.0, noise_m, depth_m.shape)
    gray = np.clip(gray * gain + rng.normal(0.0, 1.0, gray.shape), 0, 255).astype(np.uint8)
    stamp_ns = START_NS + number * FRAME_NS if stamp_ns is None else stamp_ns
    color = np.repeat(gray[..., None], 3, axis=2)
    return RgbdFrame(color, depth_m.astype(np.float32) if depth else None, CAMERA, stamp_ns)


def pointing(frame: RgbdFrame, *uvs: tuple[float, float], query: str = "square", sigma_px: float = 1.0) -> Pointing:
    """An answer about a frame with points at these pixels."""
    points = tuple(ImagePoint(u, v, f"{query} {i}", 0.9, sigma_px) for i, (u, v) in enumerate(uvs))
    return Pointing(query, "scripted", "", not points, lift_points(points, frame), {}, frame.stamp_ns, frame.frame)


def middle(number: int, speed: tuple[float, float] = (1.3, 0.4)) -> tuple[float, float]:
    """Pixel of the middle of a square that drifts, in pixels per frame."""
    return START[0] + speed[0] * number, START[1] + speed[1] * number


def drifted(number: int) -> RgbdFrame:
    """Frame `number` of the drifting square."""
    return draw(middle(number), number)
