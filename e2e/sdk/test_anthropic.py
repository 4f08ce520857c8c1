"""The official `anthropic` package against the real server. Prepared for the day the server
gets POST /v1/messages: move to e2e/sdk/test_anthropic.py (anthropic is in requirements.txt)."""

import base64

import anthropic
import pytest

WEATHER = {
    "name": "get_weather",
    "description": "The weather in a city.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}


@pytest.fixture
def client(server):
    with anthropic.Anthropic(base_url=server.address, api_key=server.token, max_retries=0) as client:
        yield client


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


def test_message(client, server):
    message = client.messages.create(
        model=server.model,
        max_tokens=1000,
        system="Be brief.",
        messages=[{"role": "user", "content": "What is a pool of keys?"}],
    )
    assert message.role == "assistant"
    assert "What is a pool of keys?" in text_of(message)
    assert message.stop_reason == "end_turn"
    assert message.usage.input_tokens > 0
    assert message.usage.output_tokens > 0


def test_stream(client, server):
    question = "Tell me about streams, please, and take your time."
    with client.messages.stream(
        model=server.model, max_tokens=1000, messages=[{"role": "user", "content": question}]
    ) as stream:
        pieces = list(stream.text_stream)
        message = stream.get_final_message()
    assert question in "".join(pieces)
    assert len(pieces) > 1, "an answer in one piece is no stream"
    assert message.stop_reason == "end_turn"


# Gemini 3 refuses a function call that comes back without its thought signature.
@pytest.mark.parametrize("model", ["gemini-2.5-flash", "gemini-3.5-flash"])
def test_tools_round_trip(client, model):
    messages = [{"role": "user", "content": "Please call get_weather for me."}]
    first = client.messages.create(model=model, max_tokens=1000, messages=messages, tools=[WEATHER])
    assert first.stop_reason == "tool_use"
    call = next(block for block in first.content if block.type == "tool_use")
    assert (call.name, call.input) == ("get_weather", {"city": "Paris"})
    messages += [
        {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in first.content]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "21 degrees"}]},
    ]
    second = client.messages.create(model=model, max_tokens=1000, messages=messages, tools=[WEATHER])
    assert second.stop_reason == "end_turn"
    assert "21 degrees" in text_of(second)


def test_image_input(client, server, png):
    source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(png).decode()}
    message = client.messages.create(
        model=server.model,
        max_tokens=1000,
        messages=[{"role": "user", "content": [{"type": "image", "source": source}, {"type": "text", "text": "What is this?"}]}],
    )
    assert f"image/png, {len(png)} bytes" in text_of(message)


def test_count_tokens(client, server):
    counted = client.messages.count_tokens(model=server.model, messages=[{"role": "user", "content": "Count me."}])
    assert counted.input_tokens > 0


def test_a_wrong_token_is_an_authentication_error(server):
    client = anthropic.Anthropic(base_url=server.address, api_key="sk-wrong", max_retries=0)
    with pytest.raises(anthropic.AuthenticationError):
        client.messages.create(model=server.model, max_tokens=10, messages=[{"role": "user", "content": "Hi"}])
