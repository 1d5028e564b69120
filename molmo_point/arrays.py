"""Array types that every part shares."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.floating[Any]]
"""Positions, rotations, covariances; always float64 (typed `floating`: the types of numpy.linalg promise no more)."""
DepthArray: TypeAlias = NDArray[np.float32]
"""Depth (h, w) in meters along z; missing is NaN."""
ColorArray: TypeAlias = NDArray[np.uint8]
"""Color (h, w, 3), RGB."""
BoolArray: TypeAlias = NDArray[np.bool_]
"""Masks."""
IntArray: TypeAlias = NDArray[np.int64]
"""Indices."""
