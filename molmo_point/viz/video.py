"""Pictures to a video file: H.264 with PyAV, MPEG-4 with OpenCV, or a GIF with Pillow, whichever is there."""

import importlib.util
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from molmo_point.errors import InputError

SUFFIXES = (".mp4", ".gif")
_GIF_COLORS = 256


def write_video(path: str | Path, pictures: Iterable[np.ndarray], fps: float) -> Path:
    """Write a video, whole or not at all.

    PyAV (extra `video`) writes H.264, which browsers and every player know. Without it OpenCV writes MPEG-4, which
    players know; without that the video becomes a GIF.

    Args:
        path: Ends with .mp4 or .gif.
        pictures: (h, w, 3) uint8 RGB each, all of one size; they are taken one at a time.
        fps: Pictures per second, above 0.

    Returns:
        The path that was written: with the ending .gif where there was nothing to write an .mp4 with.

    Raises:
        InputError: For another ending, no pictures, pictures of several sizes, or a folder that cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError("A video of this kind cannot be written", path.name, f"use one of {', '.join(SUFFIXES)}")
    if not 0 < fps <= 1000:
        raise InputError("A video needs a number of pictures per second", f"fps={fps}", "give above 0, e.g. 10")
    write, suffix = _writer(path.suffix.lower())
    path = path.with_suffix(suffix)
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=suffix)
    except OSError as error:
        given = f"{path} ({error.strerror or error})"
        raise InputError("A video cannot be written there", given, "make the folder, or check its rights") from error
    os.close(handle)
    try:
        write(temporary, _checked(pictures), fps)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)
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
            raise InputError("A picture is not 8-bit RGB", f"{picture.dtype}, shape {picture.shape}", "pass (h, w, 3) uint8")
        if shape is not None and picture.shape != shape:
            raise InputError("The pictures differ in size", f"{picture.shape}, {shape} before", "give all of one size")
        shape = picture.shape
        # Both codecs halve the resolution of colour, and need even sides for that.
        yield picture[: shape[0] - shape[0] % 2, : shape[1] - shape[1] % 2]
    if shape is None:
        raise InputError("A video needs pictures", "none", "give one or more")


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
                    raise InputError(
                        "This OpenCV writes no .mp4", cv2.__version__, "pip install 'molmo-point[video]', or use .gif"
                    )
            writer.write(cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2BGR))
    finally:
        if writer is not None:
            writer.release()


def _write_gif(path: str, pictures: Iterator[np.ndarray], fps: float) -> None:
    images = [Image.fromarray(picture) for picture in pictures]
    # One palette for all, so that what stands still does not flicker.
    some = images[:: max(len(images) // 8, 1)]
    strip = Image.new("RGB", (some[0].width, some[0].height * len(some)))
    for row, image in enumerate(some):
        strip.paste(image, (0, row * image.height))
    # Small things in colours of their own matter more than fine shades of what is large.
    palette = strip.quantize(_GIF_COLORS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    images = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    images[0].save(path, format="GIF", save_all=True, append_images=images[1:], duration=round(1000 / fps), loop=0, optimize=True)
