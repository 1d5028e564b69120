"""Limits of a camera's focal length, pixel shape and principal point, against its whole image.

Intrinsics of another resolution, of an undeclared crop, or of no camera at all are legal numbers. They would give a wrong
position without a word, so they are refused here, with the figure.
"""

from molmo_point.errors import InputError

MIN_FOCAL_WIDTHS, MAX_FOCAL_WIDTHS = 0.1, 20.0
"""Focal length in widths of the image: a field of view of 157 degrees, and one of 2.9 degrees."""
MAX_SQUEEZE = 1.9
"""Ratio of fx and fy. An image of 16:9 that is squeezed into a square has 1.78."""
MAX_OFF_CENTER = 0.5
"""Distance of the principal point from the center, in image sizes: it lies within the image."""
OTHER_RESOLUTION = 0.1
"""Distance of the principal point from the center, in image sizes. Lenses are centered better; other resolutions are not."""

Window = tuple[float, float, float, float]
"""Whole image that an image was cut from: left and top of the image within it, then its width and height, in pixels."""


def check_camera(size_wh: tuple[int, int], focal_px: tuple[float, float], center_px: tuple[float, float], whole: Window) -> None:
    """Refuse a focal length or a principal point that no camera with this image has.

    Args:
        size_wh: Width and height of the image.
        focal_px: fx and fy.
        center_px: cx and cy; (0, 0) is the center of the top-left pixel of the image.
        whole: Whole image that the image was cut from; (0, 0, width, height) if it was not cut.

    Raises:
        InputError: A value is outside the limits of this module.
    """
    left, top, whole_width, whole_height = whole
    width, height = size_wh
    # Half a pixel of room: the sizes of binned windows are rounded down.
    if min(left, top) < -0.5 or left + width > whole_width + 0.5 or top + height > whole_height + 0.5:
        given = f"{width} x {height} at ({left:g}, {top:g}) of {whole_width:g} x {whole_height:g} pixels"
        raise InputError("A cropped image must lie within the whole image", given, "give left, top, whole width and whole height")
    crop = "; a cropped image needs cropped_from: [left, top, whole width, whole height]"
    low, high = MIN_FOCAL_WIDTHS * whole_width, MAX_FOCAL_WIDTHS * whole_width
    if not all(low <= focal <= high for focal in focal_px):
        given = f"fx={focal_px[0]:g}, fy={focal_px[1]:g} pixels at a width of {whole_width:g}"
        what = f"The focal length must be {MIN_FOCAL_WIDTHS:g} to {MAX_FOCAL_WIDTHS:g} times the width of the image"
        raise InputError(what, given, f"give the intrinsics of this image, in pixels{crop}")
    if max(focal_px) > MAX_SQUEEZE * min(focal_px):
        what = f"fx and fy must differ by a factor of at most {MAX_SQUEEZE:g}"
        raise InputError(what, f"fx={focal_px[0]:g}, fy={focal_px[1]:g}", "correct the wrong one; most pixels are square")
    off_x, off_y = off_center(center_px, whole)
    given = f"cx={center_px[0]:g}, cy={center_px[1]:g} in {width} x {height} pixels"
    if max(abs(off_x), abs(off_y)) > MAX_OFF_CENTER:
        fix = f"give the principal point in pixels of this image{crop}"
        raise InputError("The principal point must lie within the image", given, fix)
    if min(abs(off_x), abs(off_y)) > OTHER_RESOLUTION:
        times = f"; these fit an image {1.0 + off_x + off_y:.2g} times as large" if off_x * off_y > 0 else ""
        fix = f"give cx and cy of this resolution, in this order{times}{crop}"
        raise InputError("The principal point must be near the center of the image", given, fix)


def off_center(center_px: tuple[float, float], whole: Window) -> tuple[float, float]:
    """Return the distance of a principal point from the center of the whole image, in widths and heights of it."""
    left, top, width, height = whole
    return (center_px[0] + left + 0.5) / width - 0.5, (center_px[1] + top + 0.5) / height - 0.5
