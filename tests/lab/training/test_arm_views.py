"""Training scenes as an arm sees them."""

import numpy as np

from lab.training.scenes import arm_camera, averaged


def test_arm_cameras_look_down_at_the_table_from_an_arms_distance() -> None:
    rng = np.random.default_rng(0)
    cameras = [arm_camera(rng) for _ in range(200)]
    away = np.array([np.subtract(camera.eye_m, camera.look_at_m) for camera in cameras])
    distance = np.linalg.norm(away, axis=1)
    assert distance.min() >= 0.30 and distance.max() <= 0.85
    elevation = np.rad2deg(np.arcsin(away[:, 2] / distance))
    assert elevation.min() >= 35 and elevation.max() <= 89
    beside = np.abs([camera.look_at_m[:2] for camera in cameras]).max(axis=1)
    # From nearby it may be any place of the table, from afar its middle.
    assert beside[distance > 0.75].max() < 0.06 < beside[distance < 0.4].max() < 0.16


def test_averaged_is_the_mean_of_squares() -> None:
    color = np.zeros((4, 6, 3), np.uint8)
    color[:2, :2, 0] = [[10, 20], [30, 41]]
    small = averaged(color)
    assert small.shape == (2, 3, 3) and small[0, 0, 0] == 25 and not small[1:].any()
