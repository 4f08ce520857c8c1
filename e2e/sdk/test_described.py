"""Our answers against the types of Anthropic's SDK, which are made from Anthropic's description
of its API: the golden files of `dialect`, whole and streamed. (OpenAI's description is under a
licence that lets `dialect`'s own tests have it.)"""

import json
import pathlib

import pytest
from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter

GOLDEN = pathlib.Path(__file__).parents[2] / "dialect/tests/anthropic"


def golden(folder):
    """The golden files of a folder, each without insta's head."""
    files = sorted((GOLDEN / folder).glob("*.snap"))
    assert len(files) > 15, f"{len(files)} golden files in {folder}"
    return [pytest.param(file.read_text().split("---\n", 2)[2], id=file.stem) for file in files]


def fits(kind, value):
    """The SDK itself takes anything; this is strict about types and fields that must be there."""
    TypeAdapter(kind).validate_json(json.dumps(value), strict=True)


@pytest.mark.parametrize("text", golden("responses"))
def test_answers_fit_the_description(text):
    if not text.startswith("malformed"):
        fits(Message, json.loads(text))


@pytest.mark.parametrize("text", golden("streams"))
def test_events_fit_the_description(text):
    events = [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: ")]
    assert events
    for event in events:
        if event["type"] != "error":
            fits(RawMessageStreamEvent, event)
