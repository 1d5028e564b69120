"""Array types that every part shares."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]
"""Geometry: positions, rotations, covariances."""
DepthArray: TypeAlias = NDArray[np.float32]
"""Depth (h, w) in meters along z; missing is NaN."""
ColorArray: TypeAlias = NDArray[np.uint8]
"""Color (h, w, 3), RGB."""
BoolArray: TypeAlias = NDArray[np.bool_]
"""Masks."""
IntArray: TypeAlias = NDArray[np.int64]
"""Indices."""
