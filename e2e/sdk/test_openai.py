"""The official `openai` package against the real server."""

import base64
import json

import openai
import pytest

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            },
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}


@pytest.fixture
def client(server):
    with openai.OpenAI(base_url=f"{server.address}/v1", api_key=server.token, max_retries=0) as client:
        yield client


def test_chat(client, server):
    answer = client.chat.completions.create(
        model=server.model,
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What is a pool of keys?"},
        ],
        temperature=0.3,
        max_tokens=500,
    )
    choice = answer.choices[0]
    assert choice.message.role == "assistant"
    assert "What is a pool of keys?" in choice.message.content
    assert choice.finish_reason == "stop"
    assert answer.object == "chat.completion"
    assert answer.model == server.model
    assert answer.usage.prompt_tokens > 0
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_a_conversation_of_several_turns(client, server):
    answer = client.chat.completions.create(
        model=server.model,
        messages=[
            {"role": "user", "content": "My name is Ada."},
            {"role": "assistant", "content": "Hello Ada."},
            {"role": "user", "content": "And what is my name?"},
        ],
    )
    assert "And what is my name?" in answer.choices[0].message.content


def test_stream(client, server):
    question = "Tell me about streams, please, and take your time."
    stream = client.chat.completions.create(
        model=server.model,
        messages=[{"role": "user", "content": question}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert question in text
    assert len(chunks) > 2, "an answer in one piece is no stream"
    ends = [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason]
    assert ends == ["stop"]
    usage = [c.usage for c in chunks if c.usage]
    assert len(usage) == 1
    assert usage[0].completion_tokens > 0
    assert len({c.id for c in chunks}) == 1


def test_a_stream_says_what_the_whole_answer_says(client, server):
    question = {"model": server.model, "messages": [{"role": "user", "content": "Twice the same?"}]}
    whole = client.chat.completions.create(**question).choices[0].message.content
    pieces = client.chat.completions.create(**question, stream=True)
    assert "".join(c.choices[0].delta.content or "" for c in pieces if c.choices) == whole


# Gemini 3 refuses a function call that comes back without its thought signature.
@pytest.mark.parametrize("model", ["gemini-2.5-flash", "gemini-3.5-flash"])
@pytest.mark.parametrize("streamed", [False, True])
def test_tools_round_trip(client, model, streamed):
    messages = [{"role": "user", "content": "Please call get_weather for me."}]
    if streamed:
        call = collect_tool_call(
            client.chat.completions.create(model=model, messages=messages, tools=[WEATHER], stream=True)
        )
    else:
        answer = client.chat.completions.create(model=model, messages=messages, tools=[WEATHER])
        assert answer.choices[0].finish_reason == "tool_calls"
        call = answer.choices[0].message.tool_calls[0].model_dump(exclude_none=True)
    assert call["function"]["name"] == "get_weather"
    assert json.loads(call["function"]["arguments"]) == {"city": "Paris", "unit": "celsius"}

    messages += [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call["id"], "content": json.dumps({"degrees": 21})},
    ]
    answer = client.chat.completions.create(model=model, messages=messages, tools=[WEATHER])
    assert answer.choices[0].finish_reason == "stop"
    assert "get_weather" in answer.choices[0].message.content
    assert "21" in answer.choices[0].message.content


def collect_tool_call(stream):
    """Puts the one tool call of a stream together as clients do."""
    call = {"type": "function", "function": {"name": "", "arguments": ""}}
    ends = []
    for chunk in stream:
        for choice in chunk.choices:
            if choice.finish_reason:
                ends.append(choice.finish_reason)
            for piece in choice.delta.tool_calls or []:
                assert piece.index == 0
                call |= {"id": piece.id} if piece.id else {}
                call["function"]["name"] += piece.function.name or ""
                call["function"]["arguments"] += piece.function.arguments or ""
    assert ends == ["tool_calls"]
    return call


def test_a_forced_tool(client, server):
    answer = client.chat.completions.create(
        model=server.model,
        messages=[{"role": "user", "content": "How are you?"}],
        tools=[WEATHER],
        tool_choice={"type": "function", "function": {"name": "get_weather"}},
    )
    assert answer.choices[0].message.tool_calls[0].function.name == "get_weather"


def test_image_input(client, server, png):
    url = "data:image/png;base64," + base64.b64encode(png).decode()
    answer = client.chat.completions.create(
        model=server.model,
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": url}},
                ],
            }
        ],
    )
    assert f"image/png, {len(png)} bytes" in answer.choices[0].message.content


def test_models(client, server):
    models = {model.id: model for model in client.models.list()}
    assert server.model in models
    assert models[server.model].object == "model"


def test_a_wrong_token_is_an_authentication_error(server):
    client = openai.OpenAI(base_url=f"{server.address}/v1", api_key="sk-wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError):
        client.models.list()


def test_an_unknown_model_is_not_found(client):
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="gemini-0", messages=[{"role": "user", "content": "Hi"}])


def test_a_request_without_messages_is_a_bad_request(client, server):
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model=server.model, messages=[])
