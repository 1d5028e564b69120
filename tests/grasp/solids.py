"""Depth images of solids on a plane, without a renderer: rays are walked to the surface by its distance."""

from functools import lru_cache

import numpy as np

from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.transforms import Transform
from molmo_point.sim.camera_pose import CameraPose, camera_axes
from molmo_point.sim.stereo_faults import SIMULATED_D435, StereoFaults, simulate_depth
from molmo_point.sim.tabletop.objects import SceneObject, signed_distance

CAMERA = "camera"
INTRINSICS = Intrinsics(320, 240, 300.0, 300.0, 159.5, 119.5)
FAULTS = StereoFaults(hole_fraction=0.0, shadow=False)


def solid(shape: str, half_size_m: tuple[float, float, float], xy=(0.0, 0.0), yaw_deg: float = 0.0) -> SceneObject:
    return SceneObject(shape, "red", half_size_m, (xy[0], xy[1], half_size_m[2]), float(np.radians(yaw_deg)), (1, 0, 0))


def pose_of(elevation_deg: float, distance_m: float = 0.5) -> Transform:
    angle = np.radians(elevation_deg)
    eye = (-distance_m * float(np.cos(angle)), 0.0, distance_m * float(np.sin(angle)) + 0.02)
    rotation = camera_axes(CameraPose(eye_m=eye, look_at_m=(0.0, 0.0, 0.02), fov_y_deg=45.0))
    return Transform("base", CAMERA, rotation, np.array(eye))


@lru_cache(maxsize=64)
def true_depth(objects: tuple[SceneObject, ...], elevation_deg: float, table: bool = True, bumps_m: float = 0.0) -> np.ndarray:
    base_T_camera = pose_of(elevation_deg)
    u, v = np.meshgrid(np.arange(INTRINSICS.width), np.arange(INTRINSICS.height))
    rays = INTRINSICS.deproject(np.stack([u, v], axis=-1).astype(float), 1.0).reshape(-1, 3) @ base_T_camera.rotation.T
    speed = np.linalg.norm(rays, axis=1)
    depth = np.full(len(rays), 0.05)
    active = np.arange(len(rays))
    for _ in range(200):
        points = base_T_camera.translation_m + rays[active] * depth[active, None]
        distance = np.min([signed_distance(item, points) for item in objects], axis=0)
        if table:
            bumps = bumps_m * np.sin(40.0 * points[:, 0]) * np.sin(40.0 * points[:, 1])
            distance = np.minimum(distance, 0.95 * (points[:, 2] - bumps))
        depth[active] += distance / speed[active]
        active = active[(distance > 1e-5) & (depth[active] < 3.0)]
        if not active.size:
            break
    depth[depth >= 3.0] = np.nan
    return depth.reshape(INTRINSICS.height, INTRINSICS.width)


@lru_cache(maxsize=64)
def depth_of(
    objects: tuple[SceneObject, ...], elevation_deg: float = 50.0, table: bool = True, noisy: bool = True, bumps_m: float = 0.0
) -> np.ndarray:
    depth = true_depth(objects, elevation_deg, table, bumps_m)
    if not noisy:
        return depth.astype(np.float32)
    return simulate_depth(depth, INTRINSICS, SIMULATED_D435, np.random.default_rng(1), faults=FAULTS)


def mask_of(objects: tuple[SceneObject, ...], index: int, elevation_deg: float = 50.0) -> np.ndarray:
    base_T_camera = pose_of(elevation_deg)
    depth = true_depth(objects, elevation_deg)
    u, v = np.meshgrid(np.arange(INTRINSICS.width), np.arange(INTRINSICS.height))
    points = base_T_camera.apply(INTRINSICS.deproject(np.stack([u, v], axis=-1).astype(float), depth), frame=CAMERA)
    distances = np.stack([signed_distance(item, points) for item in objects] + [points[..., 2]])
    return distances.argmin(axis=0) == index


def pixel_of(point_base_m, elevation_deg: float = 50.0) -> np.ndarray:
    return INTRINSICS.project(pose_of(elevation_deg).inverse().apply(np.array(point_base_m), frame="base"))


def color_of(
    objects: tuple[SceneObject, ...], colors: tuple[tuple[int, int, int], ...], elevation_deg: float = 50.0
) -> np.ndarray:
    image = np.full((INTRINSICS.height, INTRINSICS.width, 3), 160, np.uint8)
    for index, color in enumerate(colors):
        image[mask_of(objects, index, elevation_deg)] = color
    return image
