"""What a pick hands back is plain JSON, and its states are those of the action."""

import json
from pathlib import Path

from molmo_point.picking.states import PickEvent, PickFailure, PickResult, PickState, PlaceResult

ACTION = Path(__file__).parents[2] / "ros2_ws/src/molmo_point_msgs/action/PickObject.action"


def test_states_have_the_numbers_of_the_action():
    lines = [line.split("#")[0].strip() for line in ACTION.read_text(encoding="utf-8").split("---")[2].splitlines()]
    numbers = dict(line.removeprefix("uint8 ").split("=") for line in lines if "=" in line)
    assert {state.name: str(state.value) for state in PickState if state.name in numbers} == numbers
    assert {"POINTING", "VERIFY_LIFT"} <= set(numbers)


def test_results_are_json():
    event = PickEvent(PickState.GRASP, 2, 10, "closing")
    pick = PickResult(
        query="red cube", failure=PickFailure.SLIPPED, message="lost", attempts=2, events=(event,), arm_s={PickState.GRASP: 1.0}
    )
    told = json.loads(json.dumps(pick.to_dict(), allow_nan=False))
    assert told["failure"] == "SLIPPED"
    assert told["width_m"] is None
    assert told["arm_s"] == {"GRASP": 1.0}
    assert told["events"][0]["state"] == "GRASP"
    place = PlaceResult(where="the bowl", failure=None, message="done", position_m=(0.0, 0.1, 0.2), events=(event,))
    assert json.loads(json.dumps(place.to_dict(), allow_nan=False))["position_m"] == [0.0, 0.1, 0.2]
