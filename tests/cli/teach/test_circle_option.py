"""`molmo-point teach --circle`: an arm is named with its options, and a circling that fails learns nothing."""

import pytest

from molmo_point.cli import main
from molmo_point.cli.teach.circle_option import arm_of, place_in
from molmo_point.errors import InputError


def test_an_arm_is_read_with_its_options():
    assert arm_of("simulated?scene_seed=3&containers=bowl") == ("simulated", {"scene_seed": 3, "containers": "bowl"})
    assert arm_of("my_robot:open_arm") == ("my_robot:open_arm", {})
    for wrong in ("simulated?seed=3", "simulated?scene_seed", "my_robot:open_arm?a=1"):
        with pytest.raises(InputError, match="Options of the arm"):
            arm_of(wrong)


def test_a_place_is_three_numbers():
    assert place_in("0.1,-0.2,0.03") == [0.1, -0.2, 0.03]
    for wrong in ("1,2", "a,b,c", ""):
        with pytest.raises(InputError, match="three numbers"):
            place_in(wrong)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--circle", "nobody"], "The arm must be one of"),
        (["--circle", "simulated", "--camera", "simulated"], "choose one source"),
        (["--circle", "simulated", "--place", "1,2"], "three numbers"),
    ],
)
def test_an_arm_that_cannot_circle_leaves_no_library(arguments, message, tmp_path, capsys):
    library = tmp_path / "taught.safetensors"
    assert main(["teach", "my mug", "--taught", str(library), *arguments]) != 0
    assert message in capsys.readouterr().err and not library.exists()


@pytest.mark.slow
def test_the_simulated_arm_teaches_what_stands_alone_on_its_table(tmp_path, capsys):
    library = tmp_path / "taught.safetensors"
    arm = "simulated?scene_seed=1&object_count=1"
    assert main(["teach", "my solid", "--taught", str(library), "--circle", arm]) == 0
    assert "my solid" in capsys.readouterr().out and library.exists()
    assert main(["teach", "another", "--taught", str(library), "--circle", "simulated?scene_seed=1&object_count=4"]) != 0
    assert "give the position of one" in capsys.readouterr().err
