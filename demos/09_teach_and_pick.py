"""Teach three toys that no model has seen, then let the arm pick each by its name.

A simulated arm circles each toy with the camera on its hand and takes five views. A library learns the
toy from them in a second. Then all three stand on another table, among other toys and one that differs
in its colors only, and the arm picks one after the other. The demo writes a sheet of what was
taught and of each pick. With --frames it teaches one object of your own photographs by a click on the
first of them, finds it in the others, and writes a sheet of what it found.

    ros2_ws/run python demos/09_teach_and_pick.py
    ros2_ws/run python demos/09_teach_and_pick.py --frames FOLDER --click 320,240 --name "my mug"
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from molmo_point import Picker, Pointer, draw_pointing
from molmo_point.errors import InputError, MolmoPointError
from molmo_point.files import check_writable
from molmo_point.model.taught.layered_backend import LayeredBackend
from molmo_point.model.taught.library import Library
from molmo_point.model.taught.taught_backend import TaughtBackend
from molmo_point.teaching.session import TeachingSession
from molmo_point.viz.labeled_sheet import Tile, draw_sheet
from molmo_point.viz.overlay import save_png
from molmo_point.viz.taught_sheet import pictures_tile, view_tile

VIEWS, TOYS, OTHERS = 5, 3, 2


def main() -> int:
    """Run the demo; return 1 if a toy was not picked, or the object was found in no other picture."""
    parser = argparse.ArgumentParser(description="Teach objects, and use them by name.")
    parser.add_argument("--seed", type=int, default=1, help="seed of the toys and of the tables")
    parser.add_argument("--frames", type=Path, metavar="FOLDER", help="photographs to teach from and to search instead")
    parser.add_argument("--click", metavar="U,V", help="pixel on the object in the first photograph")
    parser.add_argument("--name", default="my object", help="its name")
    parser.add_argument("--out", type=Path, default=Path("out/demo/taught.png"), help="path of the sheet")
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    try:
        check_writable(options.out)
        tiles, good = of_photographs(options) if options.frames else of_an_arm(options.seed)
    except MolmoPointError as error:
        print(error, file=sys.stderr)
        return 1
    save_png(options.out, draw_sheet(tiles, "taught, then found by name"))
    print(f"wrote {options.out}")
    return 0 if good else 1


def of_an_arm(seed: int) -> tuple[list[Tile], bool]:
    """Teach toys with the arm, and pick them from another table; return tiles of the sheet, and if all was picked."""
    from molmo_point.sim.arm import SimulatedArm, random_arm_layout
    from molmo_point.sim.arm.tables import WIDEST_M
    from molmo_point.sim.toys.toy import MOST_TOYS, Toy, ToyVariant
    from molmo_point.teaching.circling import Circler
    from molmo_point.teaching.circling_settings import CirclingSettings
    from molmo_point.teaching.view_offer import offers_to

    rng, library, tiles = np.random.default_rng(seed), Library.empty(), []
    numbers = rng.choice(MOST_TOYS, TOYS + OTHERS, replace=False).tolist()
    toys = [Toy(number, widest_m=WIDEST_M) for number in numbers]
    for toy in toys[:TOYS]:
        session = TeachingSession(library, toy.name)
        with SimulatedArm(random_arm_layout(rng, toys=[toy])) as arm:
            circler = Circler(arm, arm.open_camera("wrist"), arm.open_camera("fixed"), CirclingSettings(views=VIEWS))
            circled = circler.circle(offers_to(session))
        print(f"{toy.name}: {circled.message}")
        library = session.finish()
        views = library.find(toy.name).views
        tiles.append(pictures_tile([views[0].thumbnail, views[-1].thumbnail], [f"{toy.name}, taught from {len(views)} views"]))
    pointer = Pointer(LayeredBackend(TaughtBackend(library), Pointer.from_pretrained("tabletop").backend))
    alike = Toy(toys[0].number, ToyVariant.OTHER_COLORS, WIDEST_M)
    good = True
    with SimulatedArm(random_arm_layout(rng, toys=[*toys, alike])) as arm:
        picker = Picker(pointer, arm, arm.open_camera("fixed"), arm.open_camera("wrist"))
        for toy in toys[:TOYS]:
            seen = picker.fixed_camera.read()
            answer = draw_pointing(seen.color, pointer.point(seen, toy.name))
            result = picker.pick(toy.name)
            picture, good = arm.view("observer").render_color(), good and result.success
            print(f"{toy.name}: {result.message}")
            tiles.append(pictures_tile([answer, picture], [toy.name, result.message], bad=not result.success))
            if result.success:
                print(f"{toy.name}: {picker.place(relation='aside').message}")
    return tiles, good


def of_photographs(options: argparse.Namespace) -> tuple[list[Tile], bool]:
    """Teach an object of the first photograph, and search the others; return tiles, and if any other shows it."""
    from molmo_point.teaching.source_frames import frames_of

    try:
        u, v = (float(value) for value in (options.click or "").split(","))
    except ValueError as error:
        raise InputError("--click must be a pixel on the object", repr(options.click), "give e.g. --click 320,240") from error
    frames = [(s.frame, s.origin) for s in frames_of([options.frames], views=VIEWS) if s.frame is not None]
    if len(frames) < 2:
        raise InputError("--frames must hold two pictures or more", str(options.frames), "add pictures")
    session = TeachingSession(Library.empty(), options.name)
    offered = session.offer(frames[0][0], uv=(u, v))
    if not offered.accepted or offered.mask is None:
        raise InputError("The first picture must show the object well", offered.message, "click elsewhere, or take another one")
    tiles, found = [view_tile(frames[0][0].color, offered.mask.mask, [f"{options.name}: taught from this"])], 0
    pointer = Pointer(TaughtBackend(session.finish()))
    for frame, origin in frames[1:]:
        answer = pointer.point(frame, options.name)
        said = ", ".join(f"{point.confidence:.0%} sure" for point in answer.points) or "not there"
        print(f"{origin}: {said}", *map(str, answer.cautions))
        tiles.append(pictures_tile([draw_pointing(frame.color, answer)], [origin, said], bad=not answer.points))
        found += bool(answer.points)
    return tiles, found > 0


if __name__ == "__main__":
    sys.exit(main())
