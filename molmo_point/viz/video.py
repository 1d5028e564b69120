"""Video files from pictures: H.264 by PyAV, MPEG-4 by OpenCV, or GIF by Pillow, whichever is installed."""

import importlib.util
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from molmo_point.errors import InputError
from molmo_point.files import written_whole

SUFFIXES = (".mp4", ".gif")
_GIF_COLORS = 256


def write_video(path: str | Path, pictures: Iterable[np.ndarray], fps: float) -> Path:
    """Write a video completely or not at all.

    PyAV (extra `video`) writes H.264 for browsers and players. Without it OpenCV writes MPEG-4 for players.
    Without either the video becomes a GIF.

    Args:
        path: Path that ends with .mp4 or .gif.
        pictures: (h, w, 3) uint8 RGB each, all of one size; consumed one at a time.
        fps: Pictures per second, above 0.

    Returns:
        The path that was written; it ends with .gif if no .mp4 could be written.

    Raises:
        InputError: The suffix is unknown, the pictures are missing or differ in size, or the folder
            cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError("path must end with a known suffix", path.name, f"use one of {', '.join(SUFFIXES)}")
    if not 0 < fps <= 1000:
        raise InputError("fps must be above 0 and at most 1000", f"fps={fps}", "use e.g. 10")
    write, suffix = _writer(path.suffix.lower())
    path = path.with_suffix(suffix)
    with written_whole(path, suffix=suffix) as temporary:
        write(str(temporary), _checked(pictures), fps)
    return path


def _writer(suffix: str) -> tuple[Callable[[str, Iterator[np.ndarray], float], None], str]:
    if suffix == ".gif":
        return _write_gif, ".gif"
    for module, write in (("av", _write_h264), ("cv2", _write_mpeg4)):
        if importlib.util.find_spec(module) is not None:
            return write, ".mp4"
    return _write_gif, ".gif"


def _checked(pictures: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    shape = None
    for picture in pictures:
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise InputError("A picture must be 8-bit RGB", f"{picture.dtype}, shape {picture.shape}", "pass (h, w, 3) uint8")
        if shape is not None and picture.shape != shape:
            raise InputError("All pictures must have one size", f"{picture.shape} after {shape}", "resize them")
        shape = picture.shape
        # Both codecs halve the resolution of color, which needs even sides.
        yield picture[: shape[0] - shape[0] % 2, : shape[1] - shape[1] % 2]
    if shape is None:
        raise InputError("pictures must not be empty", "none", "give one or more")


def _write_h264(path: str, pictures: Iterator[np.ndarray], fps: float) -> None:
    from fractions import Fraction

    import av

    with av.open(path, "w", options={"movflags": "faststart"}) as container:
        stream: Any = None
        for picture in pictures:
            if stream is None:
                stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1000))
                stream.width, stream.height, stream.pix_fmt = picture.shape[1], picture.shape[0], "yuv420p"
                stream.options = {"crf": "21", "preset": "veryfast"}
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        container.mux(stream.encode(None))


def _write_mpeg4(path: str, pictures: Iterator[np.ndarray], fps: float) -> None:
    import cv2

    writer: Any = None
    try:
        for picture in pictures:
            if writer is None:
                size = (picture.shape[1], picture.shape[0])
                writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"mp4v"), fps, size)
                if not writer.isOpened():
                    fix = "pip install 'molmo-point[video]', or use .gif"
                    raise InputError("OpenCV must be able to write .mp4", cv2.__version__, fix)
            writer.write(cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2BGR))
    finally:
        if writer is not None:
            writer.release()


def _write_gif(path: str, pictures: Iterator[np.ndarray], fps: float) -> None:
    images = [Image.fromarray(picture) for picture in pictures]
    # One palette for all pictures, so that static parts do not flicker.
    some = images[:: max(len(images) // 8, 1)]
    strip = Image.new("RGB", (some[0].width, some[0].height * len(some)))
    for row, image in enumerate(some):
        strip.paste(image, (0, row * image.height))
    # Small objects with distinct colors matter more than fine shades of large areas.
    palette = strip.quantize(_GIF_COLORS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    images = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    images[0].save(path, format="GIF", save_all=True, append_images=images[1:], duration=round(1000 / fps), loop=0, optimize=True)
