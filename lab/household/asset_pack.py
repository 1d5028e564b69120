"""A pack of tabletop objects: triangle meshes with textures, what people call them, who made them.

On disk a pack is one ``.npz`` file of plain arrays: a JSON catalogue as bytes, meshes, JPEG pictures.
"""

import io
import json
import os
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from molmo_point.errors import InputError

SHIPPED_PACK = Path(__file__).parent / "assets" / "tabletop.npz"
ALWAYS_SEEN = frozenset(f"formula:{shape}" for shape in ("cube", "ball", "cylinder", "brick"))
"""Keys of the plain shapes, which `TabletopScene` shows, too."""
_FORMAT = 1


@dataclass(frozen=True, eq=False)
class AssetPart:
    """One mesh with one material.

    Attributes:
        vertices_m: (n, 3) float32 meters, z up, the object standing on z = 0.
        faces: (m, 3) int32.
        uv: (n, 2) float32; zeros where there is no texture.
        rgb: Color (3,) in [0, 1] of an untextured part, or what multiplies the texture.
        opacity: 1 for solid parts.
        texture: (h, w, 3) uint8 with its first row at the top, or None.
        paint: True if a repainted copy of the object changes the color of this part.
    """

    vertices_m: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    rgb: tuple[float, float, float]
    opacity: float
    texture: np.ndarray | None
    paint: bool = False


@dataclass(frozen=True, eq=False)
class Asset:
    """One object.

    Attributes:
        key: Where it comes from; never changes.
        noun: What most people would call it.
        other_nouns: Other words that fit, more general ones included.
        doubtful_nouns: Words that some would use; no question turns on them.
        category: ``"food"``, ``"tools"``, ...
        material: ``"ceramic"``, ``"metal"``, ...
        size_m: Width, depth, height (3,), meters.
        creator: Who made it.
        licence: ``"CC0-1.0"``, ``"CC-BY-3.0"``, ``"CC-BY-3.0-US"`` or ``"Apache-2.0"``.
        color_shares: Color names and the share of the surface that each covers.
        parts: Its meshes.
    """

    key: str
    noun: str
    other_nouns: tuple[str, ...]
    doubtful_nouns: tuple[str, ...]
    category: str
    material: str
    size_m: tuple[float, float, float]
    creator: str
    licence: str
    color_shares: dict[str, float]
    parts: tuple[AssetPart, ...]

    @property
    def held_out(self) -> bool:
        """True if the object is kept from all training scenes: one in five by its key, but none of `ALWAYS_SEEN`."""
        return self.key not in ALWAYS_SEEN and is_held_out(self.key)

    @property
    def paintable(self) -> bool:
        """True if the object comes in any color."""
        return any(part.paint for part in self.parts)


def is_held_out(key: str) -> bool:
    """Return True if the object of this name is kept for evaluation: one in five, decided by a hash."""
    return sha256(key.encode()).digest()[0] % 5 == 0


def save_pack(path: Path, assets: list[Asset]) -> None:
    """Write a pack."""
    arrays: dict[str, np.ndarray] = {}
    rows = []
    for number, asset in enumerate(assets):
        row = {k: v for k, v in asdict(asset).items() if k != "parts"}
        row["parts"] = []
        for index, part in enumerate(asset.parts):
            stem = f"{number}.{index}"
            scale = np.abs(part.vertices_m).max() / 32767
            arrays[f"{stem}.v"] = np.round(part.vertices_m / scale).astype(np.int16)
            arrays[f"{stem}.f"] = part.faces.astype(np.uint16)
            if part.texture is not None:
                arrays[f"{stem}.uv"] = part.uv.astype(np.float16 if np.abs(part.uv).max() < 2 else np.float32)
                arrays[f"{stem}.jpeg"] = np.frombuffer(_jpeg(part.texture), np.uint8)
            look = {"rgb": part.rgb, "opacity": part.opacity, "paint": part.paint}
            row["parts"].append({**look, "scale": float(scale)})
        rows.append(row)
    text = json.dumps({"format": _FORMAT, "assets": rows}).encode()
    arrays["catalogue"] = np.frombuffer(text, np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)  # pyright: ignore[reportArgumentType]


def load_pack(path: Path | None = None) -> list[Asset]:
    """The objects of a pack.

    Args:
        path: The file; None takes the cached full pack if there is one, else the one shipped.

    Raises:
        InputError: The file is missing or is no pack.
    """
    if path is None:
        path = next((p for p in (cached_pack(), SHIPPED_PACK) if p.exists()), SHIPPED_PACK)
    try:
        with np.load(path, allow_pickle=False) as stored:
            content = json.loads(stored["catalogue"].tobytes())
            if content["format"] != _FORMAT:
                raise ValueError(f"format {content['format']}")
            return [_asset(row, number, stored) for number, row in enumerate(content["assets"])]
    except (OSError, EOFError, KeyError, ValueError, BadZipFile) as error:
        fix = "build one: python -m lab.household.build_pack"
        raise InputError("The asset pack cannot be read", f"{path}: {error}", fix) from error


def cached_pack() -> Path:
    """Return the path of the full pack of `build_pack`: ``$XDG_CACHE_HOME/molmo-point/tabletop.npz``."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "molmo-point" / "tabletop.npz"


def _asset(row: dict, number: int, stored: "np.lib.npyio.NpzFile") -> Asset:
    parts = []
    for index, look in enumerate(row["parts"]):
        stem = f"{number}.{index}"
        vertices = stored[f"{stem}.v"].astype(np.float32) * np.float32(look["scale"])
        textured = f"{stem}.jpeg" in stored.files
        parts.append(
            AssetPart(
                vertices_m=vertices,
                faces=stored[f"{stem}.f"].astype(np.int32),
                uv=stored[f"{stem}.uv"].astype(np.float32) if textured else np.zeros((len(vertices), 2), np.float32),
                rgb=tuple(look["rgb"]),
                opacity=look["opacity"],
                texture=_picture(stored[f"{stem}.jpeg"].tobytes()) if textured else None,
                paint=look["paint"],
            )
        )
    row = {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}
    return Asset(**{**row, "parts": tuple(parts)})


def _jpeg(picture: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=82)
    return buffer.getvalue()


def _picture(data: bytes) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
