"""The settings that the three languages share have one default each, which clients/vectors/settings.json says."""

import inspect
import json

from authclient import Trust
from authclient._judging import guard, judge
from authclient._serving import leases
from authclient._view import asking, hearing, intake, watch
from authclient._wire import channels, refusals

from tests.vectors.reading import FOLDER

SETTINGS = json.loads((FOLDER / "settings.json").read_text(encoding="ascii"))["settings"]
CONSTANTS = {
    "ASK_SECONDS": guard,
    "REPEATS": asking,
    "REPEAT_PAUSE": asking,
    "ANSWER_SECONDS": hearing,
    "CACHED_TOKENS": judge,
    "LEEWAY": judge,
    "KEYS_ARE_KNOWN": judge,
    "LEAST_STALENESS": leases,
    "ASKING_SECONDS": leases,
    "ASKED_AT_ONCE": leases,
    "FIRST_PAUSE": channels,
    "LONGEST_PAUSE": channels,
    "CONNECT_SECONDS": channels,
    "SILENCE_SECONDS": watch,
    "LONGEST_STREAM": watch,
    "MOST_DRIFT": intake,
    "RETRY_SECONDS": refusals,
}


def test_the_defaults_are_those_of_the_glossary() -> None:
    parameters = inspect.signature(Trust).parameters
    ours = {name: parameters[name].default for name in ("max_staleness", "max_key_age", "patience")}
    ours |= {name: getattr(module, name) for name, module in CONSTANTS.items()}
    assert ours == {setting["python"]: setting["default"] for setting in SETTINGS}


def test_each_name_in_the_glossary_means_one_thing() -> None:
    for member in ("name", "means", "python", "go", "typescript"):
        names = [setting[member] for setting in SETTINGS]
        assert len(set(names)) == len(names), member
