"""librealsense's own hole filling, fed with our depth images through its software device."""

from typing import Any

import numpy as np

from molmo_point.arrays import DepthArray
from molmo_point.errors import DependencyError

_UNIT_M = 0.0001


class HoleFilling:
    """The hole-filling filter with its default setting, "farthest from around".

    Args:
        size_wh: Width and height of the depth images, in pixels.

    Raises:
        DependencyError: If pyrealsense2 cannot be imported.
    """

    def __init__(self, size_wh: tuple[int, int]) -> None:
        try:
            import pyrealsense2 as rs
        except ImportError as error:
            raise DependencyError(
                "librealsense's hole filling needs pyrealsense2", str(error), "pip install pyrealsense2, or leave this peer out"
            ) from error
        self._rs: Any = rs
        stream = rs.video_stream()
        stream.type, stream.index, stream.uid, stream.fps = rs.stream.depth, 0, 0, 30
        stream.width, stream.height = size_wh
        stream.bpp, stream.fmt = 2, rs.format.z16
        self._device = rs.software_device()
        self._sensor = self._device.add_sensor("Depth")
        self._profile = self._sensor.add_video_stream(stream)
        self._sensor.add_read_only_option(rs.option.depth_units, _UNIT_M)
        self._queue = rs.frame_queue(2, keep_frames=True)
        self._sensor.open(self._profile)
        self._sensor.start(self._queue)
        self._filter = rs.hole_filling_filter()
        self._number = 0

    def fill(self, depth_m: DepthArray) -> DepthArray:
        """Depth (h, w) in meters as the filter leaves it; NaN where it still has none."""
        units = np.nan_to_num(depth_m / _UNIT_M, nan=0.0, posinf=0.0)
        pixels = np.where(units <= 65535, np.rint(units), 0).astype(np.uint16)
        frame = self._rs.software_video_frame()
        frame.pixels, frame.profile = pixels, self._profile.as_video_stream_profile()
        frame.bpp, frame.stride = 2, 2 * pixels.shape[1]
        self._number += 1
        frame.timestamp, frame.frame_number = self._number * 33.0, self._number
        frame.domain, frame.depth_units = self._rs.timestamp_domain.hardware_clock, _UNIT_M
        self._sensor.on_video_frame(frame)
        filled = np.asanyarray(self._filter.process(self._queue.wait_for_frame(2000)).get_data())
        return np.where(filled == 0, np.nan, filled * _UNIT_M).astype(np.float32)

    def close(self) -> None:
        """Stops the device."""
        self._sensor.stop()
        self._sensor.close()
