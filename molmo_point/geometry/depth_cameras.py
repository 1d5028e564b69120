"""Depth cameras by name: the noise of each, and the focal length of its depth imager in each mode.

`D435` is a D435 at its usual mode, `D435:1280` and `D435:640x360` are others. Sizes are those of the *depth* stream:
depth that is aligned to a color image of 1280x720 mostly comes from a depth stream of 848x480.
"""

import difflib
import re
from dataclasses import dataclass, replace

from molmo_point.errors import InputError
from molmo_point.geometry.depth_noise import D405, D415, D435, D455, DepthNoise, NoiseSource

AUTO = "auto"
"""Name that leaves the choice to the device, the recording, or the frame itself."""


@dataclass(frozen=True)
class DepthCamera:
    """A camera model.

    Attributes:
        noise: Its noise at the usual mode.
        imager_wh: Width and height of the depth imager in pixels. A mode of another size is scaled, and cut to its shape.
        imager_focal_px: Focal length in pixels of the whole imager.
        description: Principle, and the source of the noise.
        words: Lower-case words by which the names of devices, topics and frames tell it.
    """

    noise: DepthNoise
    imager_wh: tuple[int, int]
    imager_focal_px: float
    description: str
    words: tuple[str, ...] = ()

    def focal_px(self, width: int, height: int | None = None) -> float:
        """Return the focal length, in pixels, of a depth mode.

        Args:
            width: Width of the depth image.
            height: Its height; None takes the usual one of this width (640x480, else 16:9).
        """
        if height is None:
            height = 480 if width == 640 else round(width * 9 / 16)
        return self.imager_focal_px * max(width / self.imager_wh[0], height / self.imager_wh[1])

    def in_mode(self, width: int, height: int | None = None) -> DepthNoise:
        """Return the noise of a depth mode."""
        return at_focal_length(self.noise, self.focal_px(width, height))


def at_focal_length(noise: DepthNoise, focal_px: float) -> DepthNoise:
    """Return the noise of a camera at another depth mode.

    Error and correlation are alike as angles, not as pixels: residuals of planes at 640x480 and at 1280x720 differ by
    15 % as angles and by a factor of two as pixels (D435, windows of a 31st of the image's width).
    """
    if noise.focal_px is None:
        return replace(noise, focal_px=focal_px)
    scale = focal_px / noise.focal_px
    sigma_px = None if noise.sigma_disparity_px is None else noise.sigma_disparity_px * scale
    correlation_px = noise.correlation_px * scale
    return replace(noise, focal_px=focal_px, sigma_disparity_px=sigma_px, correlation_px=correlation_px)


_D400_FIT = "active stereo; fit to planes at 0.4 to 1.8 m in real D435 frames of 640x480 and 1280x720"
_AZURE = "time of flight; level from planes at 0.4 to 0.5 m in real frames, growth from Toelgyessy et al., Sensors 2021"


def _time_of_flight(camera: str) -> DepthNoise:
    law = (0.0012, 0.0003, 0.0002)
    return DepthNoise(
        focal_px=504.0, correlation_px=1.0, polynomial_m=law, smoothing_px=1.0, camera=camera, source=NoiseSource.PRESET
    )


def _matched(camera: str, baseline_m: float, sigma_px: float, focal_px: float) -> DepthNoise:
    return DepthNoise(baseline_m, sigma_px, focal_px, 1.3, camera=camera, source=NoiseSource.PRESET)


DEPTH_CAMERAS = {
    "D405": DepthCamera(D405, (1280, 800), 640.0, f"{_D400_FIT}, with the baseline of the D405", ("d405",)),
    "D415": DepthCamera(D415, (1280, 720), 915.0, f"{_D400_FIT}, with the baseline of the D415", ("d415",)),
    "D435": DepthCamera(D435, (1280, 800), 640.0, _D400_FIT, ("d435", "d430", "d436")),
    "D435i": DepthCamera(replace(D435, camera="D435i"), (1280, 800), 640.0, _D400_FIT, ("d435i",)),
    "D455": DepthCamera(
        D455, (1280, 800), 640.0, f"{_D400_FIT}, with the baseline of the D455", ("d455", "d450", "d456", "d457")
    ),
    "azure_kinect": DepthCamera(_time_of_flight("azure_kinect"), (640, 576), 504.0, _AZURE, ("azure", "k4a")),
    "femto": DepthCamera(_time_of_flight("femto"), (640, 576), 504.0, f"{_AZURE}; the same sensor", ("femto",)),
    "kinect_v1": DepthCamera(
        _matched("kinect_v1", 0.075, 0.0625, 580.0),
        (640, 480),
        580.0,
        "structured light; Khoshelham and Elberink, Sensors 2012, confirmed by planes at 1 to 2 m in a real frame",
        ("kinect", "xtion", "primesense"),
    ),
    "oak_d": DepthCamera(
        _matched("oak_d", 0.075, 0.16, 441.0),
        (1280, 800),
        882.0,
        "passive or active stereo; 2 % at 4 m, as its data sheet says, not fit",
        ("oak-d", "oak_d", "oakd"),
    ),
    "zivid": DepthCamera(
        DepthNoise(
            focal_px=1790.0,
            polynomial_m=(0.0, 0.0, 0.0004),
            smoothing_px=1.0,
            alignment_px=0.5,
            camera="zivid",
            source=NoiseSource.PRESET,
        ),
        (1944, 1200),
        1790.0,
        "structured light of an industrial scanner; fit to planes at 0.7 to 0.85 m in real frames",
        ("zivid", "photoneo", "phoxi"),
    ),
}
"""Every camera model by name."""


def depth_camera(name: str) -> DepthNoise | None:
    """Return the noise of a camera model, or None for "auto".

    Args:
        name: "auto", a name of `DEPTH_CAMERAS` in any case, or that name with the size of the depth image:
            "D435:1280", "D435:640x360".

    Raises:
        InputError: The name is unknown, or the size is not a whole number of pixels.
    """
    model, _, mode = str(name).strip().partition(":")
    key = _key(model)
    if key == AUTO and not mode:
        return None
    found = {_key(known): known for known in DEPTH_CAMERAS}
    if key not in found:
        close = difflib.get_close_matches(key, found, 1)
        fix = f"did you mean {found[close[0]]!r}?" if close else "use auto: the noise is then estimated from the frame"
        raise InputError(f"camera_model must be {AUTO} or one of {', '.join(DEPTH_CAMERAS)}", repr(name), fix)
    camera = DEPTH_CAMERAS[found[key]]
    if not mode:
        return camera.noise
    size = re.fullmatch(r"(\d{2,4})(?:x(\d{2,4}))?", mode)
    if size is None:
        what = "The mode of a camera_model must be the width, or width x height, of the depth image"
        raise InputError(what, repr(name), f"write e.g. {found[key]}:{camera.imager_wh[0]}")
    return camera.in_mode(*(int(pixels) for pixels in size.groups() if pixels))


def camera_of_words(text: str) -> str:
    """Return the camera model that the name of a device, a topic or a frame names; empty if none or several.

    A name is a hint only: frames and topics are called what their author chose.
    """
    lowered = text.lower()
    named = {
        name: max((len(word) for word in camera.words if word in lowered), default=0) for name, camera in DEPTH_CAMERAS.items()
    }
    longest = max(named.values())
    best = [name for name, length in named.items() if length == longest]
    return best[0] if longest and len(best) == 1 else ""


def _key(name: str) -> str:
    return name.lower().replace("-", "_").replace(" ", "_")
