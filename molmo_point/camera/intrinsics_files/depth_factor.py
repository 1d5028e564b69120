"""The unit of integer depth that a file of intrinsics names."""

from molmo_point.camera.intrinsics_files.camera_node import CameraNode
from molmo_point.frame import MAX_DEPTH_UNIT_M, MIN_DEPTH_UNIT_M

_DIVISORS = ("factordepth", "depthfactor", "depthmapfactor", "pngdepthscale", "integerdepthscale", "depthdivisor")
_METERS = ("depthscalem", "depthunitm", "depthunit", "depthunits", "depthscalemperunit")
_BOP_KEYS = {"fx", "fy", "cx", "cy", "width", "height", "depthscale"}


def depth_scales(node: CameraNode) -> tuple[float, ...]:
    """Return the meters per unit in each possible reading of the factor that a mapping names; empty without one.

    A factor above 1 divides units to meters; `depth_scale` from 100 divides, too, and up to 0.01 it gives meters;
    between them BOP's gives millimeters.
    """
    meters, divisor, scale = (node.number(*names, above=True) for names in (_METERS, _DIVISORS, ("depthscale",)))
    # ORB-SLAM3 writes `RGBD.DepthMapFactor` next to `Camera1.fx`.
    inner = node.get("rgbd", above=True)
    if divisor is None and isinstance(inner, dict):
        divisor = CameraNode(inner).number(*_DIVISORS)
    if meters is not None:
        found = (meters,)
    elif divisor is not None and divisor != 0:
        found = (1.0 / divisor,) if divisor > 1.0 else (divisor,)
    elif scale is None or not scale > 0.0:
        return ()
    elif scale >= 100.0 or scale <= 0.01:
        # BOP's scales lie between; read as millimeters, these would give meters or micrometers a unit.
        found = (1.0 / scale,) if scale >= 100.0 else (scale,)
    elif "camk" in node.keys or node.keys == _BOP_KEYS:
        found = (scale * 1e-3,)
    else:
        found = (scale * 1e-3, scale, 1.0 / scale)
    inside = tuple(value for value in dict.fromkeys(found) if MIN_DEPTH_UNIT_M <= value <= MAX_DEPTH_UNIT_M)
    return tuple(float(f"{value:.9g}") for value in inside)
