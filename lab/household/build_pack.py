"""Builds the asset pack from Debian's package ``sweethome3d-furniture``.

``python -m lab.household.build_pack`` fetches the package with ``apt-get download``, or takes one given with
``--deb``, or furniture libraries with ``--libraries``. Which models are used and what they are called stands in
``assets/catalogue.tsv``.
"""

import argparse
import csv
import subprocess
import tempfile
from pathlib import Path

from tqdm import tqdm

from lab.household.asset_pack import Asset, cached_pack, save_pack
from lab.household.mesh_parts import asset_parts, surface_colors
from lab.household.sweethome import FurnitureLibrary
from molmo_point.errors import DependencyError, InputError

CATALOGUE = Path(__file__).parent / "assets" / "catalogue.tsv"
LICENCES = {
    "BlendSwap-CC-0": "CC0-1.0",
    "BlendSwap-CC-BY": "CC-BY-3.0",
    "Scopia": "CC-BY-3.0",
    "KatorLegaz": "CC-BY-3.0-US",
}
"""Licence of every library, from the licence file in it."""
LICENCE_LINKS = {
    "CC0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "CC-BY-3.0": "https://creativecommons.org/licenses/by/3.0/",
    "CC-BY-3.0-US": "https://creativecommons.org/licenses/by/3.0/us/",
}
_PACKAGE = "sweethome3d-furniture"


def read_catalogue(path: Path = CATALOGUE) -> list[dict[str, str]]:
    """The rows of the table of models: model, noun, other_nouns, category, material, longest_cm, recolour."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def build_assets(libraries: Path, triangles: int, texture_px: int) -> list[Asset]:
    """Convert every model of the catalogue table.

    Args:
        libraries: Folder of ``.sh3f`` files.
        triangles: At most so many triangles for one object, about.
        texture_px: Longest side of a texture, pixels.

    Raises:
        InputError: A library or a model is missing.
        DependencyError: The mesh simplifier is not installed.
    """
    opened: dict[str, FurnitureLibrary] = {}
    assets = []
    for row in tqdm(read_catalogue(), desc="models", unit="model"):
        library, _, model_path = row["model"].partition(":")
        if library not in opened:
            opened[library] = FurnitureLibrary(libraries / f"{library}.sh3f")
        model = opened[library].models.get(model_path)
        if model is None:
            raise InputError("A model is not in its library", row["model"], "use sweethome3d-furniture 1.8")
        shrink = min(1.0, float(row["longest_cm"]) / 100 / max(model.size_m))
        parts = asset_parts(opened[library].meshes(model), shrink, triangles, texture_px, row["recolour"] == "yes")
        nouns = [noun for noun in row["other_nouns"].split(",") if noun]
        width, depth, height = (side * shrink for side in model.size_m)
        assets.append(
            Asset(
                key=row["model"],
                noun=row["noun"],
                other_nouns=tuple(n for n in nouns if not n.startswith("~")),
                doubtful_nouns=tuple(n[1:] for n in nouns if n.startswith("~")),
                category=row["category"],
                material=row["material"],
                size_m=(width, depth, height),
                creator=model.creator,
                licence=LICENCES[library],
                color_shares=surface_colors(parts),
                parts=parts,
            )
        )
    return assets


def attribution_text(assets: list[Asset]) -> str:
    """Return authors, licenses and changes of the models, as Markdown."""
    lines = [
        "# Objects in the asset pack, and their creators",
        "",
        "The meshes come from the furniture libraries of Sweet Home 3D (<https://www.sweethome3d.com/importModels.jsp>, Debian",
        "package `sweethome3d-furniture` 1.8), collected by Emmanuel Puybaret / eTeks. Changes: meshes were turned upright,",
        "scaled and simplified, textures were reduced, small parts were joined. This command repeats the changes:",
        "`python -m lab.household.build_pack`.",
        "",
        "| license | text |",
        "|---|---|",
        *(f"| {name} | <{link}> |" for name, link in LICENCE_LINKS.items()),
        "",
        "| object | model | creator | library | license |",
        "|---|---|---|---|---|",
    ]
    for asset in assets:
        library, _, path = asset.key.partition(":")
        model = path.rpartition("/")[2].removesuffix(".obj")
        lines.append(f"| {asset.noun} | {model} | {asset.creator} | {library} | {asset.licence} |")
    return "\n".join(lines) + "\n"


def unpack_debian(deb: Path, folder: Path) -> Path:
    """Unpack the package and return the folder of its libraries.

    Raises:
        DependencyError: ``dpkg-deb`` is missing or fails.
    """
    try:
        subprocess.run(["dpkg-deb", "-x", str(deb), str(folder)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise DependencyError("The Debian package could not be unpacked", f"{deb}: {error}", "install dpkg") from error
    return folder / "usr/share/sweethome3d/furniture"


def fetch_debian(folder: Path) -> Path:
    """Download the package into ``folder``.

    Raises:
        DependencyError: ``apt-get download`` is missing or fails.
    """
    try:
        subprocess.run(["apt-get", "download", _PACKAGE], cwd=folder, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        fix = f"get the Debian package {_PACKAGE} and give it with --deb"
        raise DependencyError(f"{_PACKAGE} could not be downloaded", str(error), fix) from error
    return next(folder.glob("*.deb"))


def main() -> None:
    """Run ``python -m lab.household.build_pack [--deb FILE | --libraries DIR] [--out FILE]``."""
    parser = argparse.ArgumentParser(description="Build the asset pack from sweethome3d-furniture.")
    parser.add_argument("--deb", type=Path, help="the Debian package; fetched with apt-get where left out")
    parser.add_argument("--libraries", type=Path, help="folder of .sh3f files, instead of the package")
    parser.add_argument("--out", type=Path, default=cached_pack(), help="where the pack goes")
    parser.add_argument("--triangles", type=int, default=1500, help="at most so many triangles an object")
    parser.add_argument("--texture", type=int, default=128, help="longest side of a texture, pixels")
    parser.add_argument("--licence", help="only objects under this licence, e.g. CC0-1.0")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.libraries
        if folder is None:
            folder = unpack_debian(args.deb or fetch_debian(Path(temporary)), Path(temporary) / "unpacked")
        assets = build_assets(folder, args.triangles, args.texture)
    kept = [asset for asset in assets if args.licence in (None, asset.licence)]
    save_pack(args.out, kept)
    args.out.with_suffix(".ATTRIBUTION.md").write_text(attribution_text(kept), encoding="utf-8")


if __name__ == "__main__":
    main()
