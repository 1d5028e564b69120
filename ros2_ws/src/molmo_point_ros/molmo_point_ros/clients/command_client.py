"""Client for commands in plain English: the picking node picks and places, the pointing node counts and points."""

import argparse
import itertools
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType

from molmo_point_msgs.action import CountObjects, PickObject
from rclpy.node import Node

from molmo_point.commands import Command, CountStep, PickStep, PlaceStep, PointStep, StopStep, parse_command
from molmo_point.errors import CancelledError, MolmoPointError
from molmo_point.picking.command_executor import CountOutcome, MoveOutcome, PointOutcome, StepExecutor, StepOutcome, carry_out
from molmo_point.picking.states import PickFailure
from molmo_point.text_checks import printable
from molmo_point_ros.clients.action_caller import ActionCaller, duration_message
from molmo_point_ros.clients.client_run import node_name, parse_options, run_client, seconds, tell
from molmo_point_ros.clients.command_lines import CommandLines
from molmo_point_ros.clients.pick_client import STOP_S, CommandPickClient, PickClient
from molmo_point_ros.clients.point_client import PointAtClient
from molmo_point_ros.nodes.goal_error import ErrorCode, brief, code_name
from molmo_point_ros.outputs.message_text import not_trusted, targets_to_dict
from molmo_point_ros.picking.pick_goal import state_name


class NodeExecutor(StepExecutor):
    """Executes the steps of commands with the running nodes.

    In a `with` block it keeps its client, and hears of stops between two commands, too.

    Args:
        say: Called with every line of progress.
        picking: Name of the picking node.
        pointing: Name of the pointing node.
        timeout_s: Time for each step, seconds.
        dry_run: True plans picks only.
        node: A node that nothing spins; None makes one for every step.

    Attributes:
        was_stopped: True if the last step ended because somebody said stop.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        *,
        picking: str = "molmo_pick",
        pointing: str = "molmo_point",
        timeout_s: float = 180.0,
        dry_run: bool = False,
        node: Node | None = None,
    ) -> None:
        self._say, self._picking, self._pointing = say, picking, pointing
        self._timeout_s, self._dry_run, self._node = timeout_s, dry_run, node
        self.was_stopped = False
        self._stop_answer = ""
        self._client: CommandPickClient | None = None
        self._keeps_client = False
        self._own_stops = self._begun = 0
        self._named_at = -1

    def __enter__(self) -> "NodeExecutor":
        self._client, self._keeps_client = CommandPickClient(self._node, self._picking), True
        return self

    def __exit__(self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None) -> None:
        self._keeps_client = False
        self._close_client()

    @property
    def stops(self) -> int:
        """Number of stops: those of this executor, and those of anybody that its client has heard of."""
        client = self._client
        return self._own_stops + (0 if client is None else client.stops)

    def run(self, command: Command, stops: int | None = None) -> list[StepOutcome]:
        """Execute a command until a step fails.

        Args:
            command: The command.
            stops: `stops` when the command was given: it does not move the arm after a later one. None takes the number now.

        Returns:
            Outcomes of all steps begun; the last one is CANCELLED after a stop between two steps.

        Raises:
            GoalError: If a node is missing, or gives no result in time.
        """
        if command.is_stop:
            return [self.stop(StopStep())]
        self._begun = self.stops if stops is None else stops
        try:
            moves = [isinstance(step, PickStep | PlaceStep) for step in command.steps]
            if self._client is None and any(moves):
                # One for all steps: a new one would need a second to find the node, in which a stop is easily lost.
                self._client = CommandPickClient(self._node, self._picking)
            if self._client is not None:
                # Commands share a name until a stop or a failure: the node then does not do one that it was sent too late.
                if self._named_at != self.stops:
                    self._named_at = self.stops
                    self._client.begin()
                if any(moves[1:]):
                    # A stop during the first step, even if it moves nothing, ends the command.
                    self._client.wait_for_node(min(STOP_S, self._timeout_s))
            return carry_out(command, self)
        finally:
            if not self._keeps_client:
                self._close_client()

    def _close_client(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def ended(self) -> bool:
        """Return True if no further step may begin, because of a stop from here or from elsewhere."""
        return self.stops != self._begun

    def say(self, line: str) -> None:
        """Report progress."""
        self._say(line)

    def move(self, pick: PickStep | None, place: PlaceStep | None) -> MoveOutcome:
        """Send a PickObject goal."""
        step = pick or place
        assert step is not None
        client = self._client
        assert client is not None
        if self.ended():
            raise CancelledError("The command was stopped", "before its next step", "give it again")
        what = "" if pick is None else pick.what
        named_at, self._named_at = self._named_at, -1
        try:
            result = client.pick(what, place, dry_run=self._dry_run, timeout_s=self._timeout_s, on_feedback=self._tell_feedback)
        finally:
            self._stop_answer = client.stop_answer
        success = result.error_code == ErrorCode.NONE
        self._named_at = named_at if success else -1
        self.was_stopped = result.error_code == ErrorCode.CANCELED
        said = "done" if success else f"failed ({result.failure or code_name(result.error_code)}): {result.error_msg}"
        self._say(f"  {said}, {result.duration:.1f} s by the arm's clock")
        return MoveOutcome(
            step=step,
            success=success,
            message=result.error_msg,
            failure=PickFailure(result.failure) if result.failure else PickFailure.CANCELLED if self.was_stopped else None,
            attempts=result.attempts,
            picked=result.picked,
            placed=result.placed,
            holding=result.holding,
            duration_s=round(float(result.duration), 3),
        )

    def count(self, step: CountStep) -> CountOutcome:
        """Send a CountObjects goal."""
        with ActionCaller(CountObjects, f"{self._pointing}/count_objects", self._node) as client:
            result = client.call(
                lambda left_s: CountObjects.Goal(query=step.what, timeout=duration_message(left_s)), self._timeout_s
            )
        success = result.error_code == ErrorCode.NONE
        doubt = not_trusted(targets_to_dict(result.points))
        self._say(f"  {result.count} {step.what}" if success else f"  failed: {result.error_msg}")
        if success and doubt:
            self._say(f"  {doubt}")
        return CountOutcome(step=step, success=success, message=result.error_msg or doubt, count=result.count)

    def point(self, step: PointStep) -> PointOutcome:
        """Send a PointAt goal."""
        with PointAtClient(self._node, self._pointing) as client:
            answer = targets_to_dict(client.point_at([step.what], timeout_s=self._timeout_s).results[0])
        doubt = not_trusted(answer)
        if doubt:
            self._say(f"  {doubt}")
        for target in answer["targets"]:
            self._say(f"  {target['label']} at {target['position_m']} m in {answer['frame']}")
        if not answer["targets"]:
            self._say(f"  no {step.what} found")
        return PointOutcome(step=step, success=bool(answer["targets"]), message=doubt, answer=answer)

    def stop(self, step: StopStep) -> StepOutcome:
        """Call the stop service of the picking node, and end the command at work in another thread."""
        self._own_stops += 1
        at_work = self._client
        if at_work is not None:
            at_work.cancel()
            if self._keeps_client:
                return self._stopped(step, at_work.stop())
        with PickClient(self._node, self._picking) as client:
            return self._stopped(step, client.stop())

    def stop_interrupted(self) -> None:
        """Stop the arm because the program ends, unless the interrupted step has done so. Never raises an error.

        The arm may be another program's, or there may be none.
        """
        try:
            if self._stop_answer:
                self._stopped(StopStep(), self._stop_answer)
            else:
                self.stop(StopStep())
        except MolmoPointError as error:
            print(f"The arm was not stopped: {brief(str(error))}", file=sys.stderr)

    def _stopped(self, step: StopStep, message: str) -> StepOutcome:
        self._say(f"stop: {message}")
        return StepOutcome(step=step, success=True, message=message)

    def _tell_feedback(self, feedback: PickObject.Feedback) -> None:
        self._say(f"  {feedback.elapsed:5.1f} s  {state_name(feedback.state):<12}  {feedback.message}")


def main(args: Sequence[str] | None = None) -> int:
    """Execute one command, the commands of sound files, or those on standard input. Returns 0 if all of them succeed."""
    parser = argparse.ArgumentParser(description="Send commands in plain English to an arm.")
    parser.add_argument("command", nargs="*", help="the command; without it commands are read line by line")
    parser.add_argument("--speech", nargs="+", type=Path, metavar="FILE", help="WAV files with a spoken command each")
    parser.add_argument("--picking", type=node_name, default="molmo_pick", help="name of the picking node")
    parser.add_argument("--pointing", type=node_name, default="molmo_point", help="name of the pointing node")
    parser.add_argument("--timeout", type=seconds, default=180.0, help="seconds for each step")
    parser.add_argument("--dry-run", action="store_true", help="plan picks, and move nothing")
    parser.add_argument("--json", action="store_true", help="one JSON object per command on standard output")
    arguments, options = parse_options(parser, "command", args)

    def say(line: str) -> None:
        tell(printable(line), sys.stderr if options.json else sys.stdout)

    executor = NodeExecutor(
        say, picking=options.picking, pointing=options.pointing, timeout_s=options.timeout, dry_run=options.dry_run
    )

    def work() -> int:
        with executor:
            return _carry_out_all(executor, options)

    return run_client(arguments, work, executor.stop_interrupted)


def _carry_out_all(executor: NodeExecutor, options: argparse.Namespace) -> int:
    """Execute all commands, one after the other, until somebody says stop. Returns the exit code."""
    texts: Iterable[str] = [" ".join(options.command)] if options.command else []
    if options.speech:
        from molmo_point.commands.speech import SpeechRecognizer

        recognizer = SpeechRecognizer()
        texts = itertools.chain((recognizer.hear(file).text for file in options.speech), texts)
    good, stops = True, executor.stops
    for text in texts:
        good = (not text or _one(executor, text, options.json, stops)) and good
        if executor.was_stopped:
            return 1
        stops = executor.stops if _says_stop(text) else stops
    return 0 if (options.speech or options.command or _carry_out_lines(executor, options.json)) and good else 1


def _carry_out_lines(executor: NodeExecutor, as_json: bool) -> bool:
    """Execute the lines of standard input; a stop does not wait for its turn. Returns True if all succeeded."""
    lines = CommandLines(_says_stop, lambda text: _one(executor, text, as_json), lambda: executor.stops)
    good = True
    try:
        for text, stops in lines:
            executor.was_stopped = False
            good = (not text or _one(executor, text, as_json, stops)) and good
            if executor.was_stopped:
                lines.drop()
    finally:
        lines.close()
    return good


def _says_stop(text: str) -> bool:
    """Tell whether a text is a command to stop and nothing else."""
    try:
        return all(isinstance(step, StopStep) for step in parse_command(text).steps)
    except MolmoPointError:
        return False


def _one(executor: NodeExecutor, text: str, as_json: bool, stops: int | None = None) -> bool:
    try:
        command = parse_command(text)
        outcomes = executor.run(command, stops)
    except MolmoPointError as error:
        print(brief(str(error)), file=sys.stderr)
        return False
    if as_json:
        print(json.dumps({**command.to_dict(), "outcomes": [outcome.to_dict() for outcome in outcomes]}), flush=True)
    return all(outcome.success for outcome in outcomes)


if __name__ == "__main__":
    sys.exit(main())
