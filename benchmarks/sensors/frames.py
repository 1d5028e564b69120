"""Frames to take statistics of: real ones from folders, and simulated tables."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.sensors.frame_statistics import FrameStatistics
from molmo_point.errors import InputError
from molmo_point.sim.depth_faults import Appearance, DepthFaults
from molmo_point.sim.stereo_faults import SIMULATED_D435, simulate_depth
from molmo_point.sim.tabletop.clutter import CLUTTER_KINDS, ClutteredScene
from molmo_point.sim.tabletop.scene import TabletopScene


def real_frames(folder: Path) -> Iterator[tuple[str, FrameStatistics]]:
    """Take the statistics of every frame in a folder laid out like ``real/rgbd``.

    Raises:
        InputError: The folder has no frame.
    """
    from PIL import Image

    places = sorted(path.parent for path in folder.glob("*/depth.png"))
    if not places:
        raise InputError("Folder of real frames must hold frames", str(folder), "name a folder whose folders have depth.png")
    for place in places:
        scale_m = float(json.loads((place / "points.json").read_text())["depth_scale_m"])
        units = np.asarray(Image.open(place / "depth.png")).astype(np.float32)
        depth_m = np.where(units > 0, units * np.float32(scale_m), np.float32(np.nan))
        found = FrameStatistics()
        found.add(depth_m, np.asarray(Image.open(place / "color.jpg").convert("RGB")))
        yield place.name, found


def simulated_frames(faults: DepthFaults, seeds: Iterable[int], size_wh: tuple[int, int]) -> Iterator[FrameStatistics]:
    """Take the statistics of simulated tables of all kinds in turn, each by another camera."""
    for seed in seeds:
        kind = (None, *CLUTTER_KINDS)[seed % (1 + len(CLUTTER_KINDS))]
        with TabletopScene.random(seed, *size_wh) if kind is None else ClutteredScene.random(kind, seed, *size_wh) as scene:
            color, true_m = scene.render()
            looks = scene.appearance(color) if isinstance(scene, ClutteredScene) else Appearance(color)
            camera = faults.drawn(np.random.default_rng([seed, 2]))
            rng, found = np.random.default_rng(seed), FrameStatistics()
            first, second = (
                simulate_depth(true_m, scene.intrinsics, SIMULATED_D435, rng, faults=camera, appearance=looks) for _ in range(2)
            )
            found.add(first, color, second)
            yield found
