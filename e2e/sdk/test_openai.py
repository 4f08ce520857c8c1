"""The official `openai` package against the real server."""

import base64
import json

import openai
import pytest
from openai.types.responses import ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

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


# --- the Responses API ---

RESPONSES_WEATHER = {"type": "function", "strict": True, **WEATHER["function"]}


def test_response(client, server):
    response = client.responses.create(
        model=server.model,
        instructions="Be brief.",
        input="What is a pool of keys?",
        temperature=0.3,
        max_output_tokens=500,
    )
    assert response.status == "completed"
    assert response.error is None and response.incomplete_details is None
    assert "What is a pool of keys?" in response.output_text
    assert response.model == server.model
    usage = response.usage
    assert usage.input_tokens > 0
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens


def test_response_streamed(client, server):
    question = "Tell me about streams, please, and take your time."
    stream = client.responses.create(model=server.model, input=question, stream=True)
    events = list(stream)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].type == "response.created"
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert len(deltas) > 1, "an answer in one piece is no stream"
    assert events[-1].type == "response.completed"
    for event in events:
        # Beside that the SDK reads it: it is all that OpenAI's description asks for.
        TypeAdapter(ResponseStreamEvent).validate_python(event.to_dict())
    assert "".join(deltas) == events[-1].response.output_text
    assert question in events[-1].response.output_text


def test_response_stream_helper_says_what_the_whole_answer_says(client, server):
    question = {"model": server.model, "input": "Twice the same?"}
    whole = client.responses.create(**question).output_text
    with client.responses.stream(**question) as stream:
        for _ in stream:
            pass
        assert stream.get_final_response().output_text == whole


def test_response_parsed(client, server):
    class City(BaseModel):
        name: str
        inhabitants: int

    response = client.responses.parse(model=server.model, input="A city?", text_format=City)
    assert isinstance(response.output_parsed, City)
    with client.responses.stream(model=server.model, input="A city?", text_format=City) as stream:
        assert stream.get_final_response().output_parsed == response.output_parsed


@pytest.mark.parametrize("model", ["gemini-2.5-flash", "gemini-3.5-flash"])
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("by", ["items", "plain items", "id"])
def test_response_tools_round_trip(client, model, streamed, by):
    question = {"role": "user", "content": "Please call get_weather for me."}
    asked = {"model": model, "tools": [RESPONSES_WEATHER], "reasoning": {"effort": "low", "summary": "auto"}}
    if streamed:
        with client.responses.stream(input=[question], **asked) as stream:
            first = stream.get_final_response()
    else:
        first = client.responses.create(input=[question], **asked)
    [call] = [item for item in first.output if item.type == "function_call"]
    assert call.name == "get_weather"
    assert json.loads(call.arguments) == {"city": "Paris", "unit": "celsius"}

    result = {"type": "function_call_output", "call_id": call.call_id, "output": json.dumps({"degrees": 21})}
    if by == "id":
        second = client.responses.create(input=[result], previous_response_id=first.id, **asked)
        assert second.previous_response_id == first.id
    else:
        said = [item.model_dump(exclude_none=True) for item in first.output]
        if by == "plain items":
            # A client that knows nothing of Google returns the reasoning, which has the signature.
            said = [{name: value for name, value in item.items() if name != "extra_content"} for item in said]
        second = client.responses.create(input=[question, *said, result], store=False, **asked)
    assert "get_weather" in second.output_text
    assert "21" in second.output_text


def test_response_in_the_background(client, server):
    begun = client.responses.create(model=server.model, input="Take your time.", background=True)
    assert begun.status in ("queued", "in_progress")
    while (now := client.responses.retrieve(begun.id)).status in ("queued", "in_progress"):
        pass
    assert now.status == "completed"
    assert "Take your time." in now.output_text
    events = list(client.responses.retrieve(begun.id, stream=True, starting_after=1))
    assert [event.sequence_number for event in events] == list(range(2, 2 + len(events)))
    assert events[-1].response.output_text == now.output_text
    assert client.responses.cancel(begun.id).status == "completed"


def test_response_kept_and_deleted(client, server):
    made = client.responses.create(model=server.model, input="Keep this.")
    assert client.responses.retrieve(made.id).output_text == made.output_text
    [item] = client.responses.input_items.list(made.id)
    assert item.content[0].text == "Keep this."
    with pytest.raises(openai.BadRequestError, match="synchronous"):
        client.responses.cancel(made.id)
    client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)


def test_response_with_an_image(client, server, png):
    url = "data:image/png;base64," + base64.b64encode(png).decode()
    content = [{"type": "input_text", "text": "What is this?"}, {"type": "input_image", "image_url": url, "detail": "auto"}]
    response = client.responses.create(model=server.model, input=[{"role": "user", "content": content}])
    assert f"image/png, {len(png)} bytes" in response.output_text


# --- embeddings ---


def test_embeddings(client):
    # The SDK asks for base64 and decodes it when it is told nothing.
    texts = ["one", "two", "three"]
    answer = client.embeddings.create(model="gemini-embedding-001", input=texts, dimensions=32)
    assert [item.index for item in answer.data] == [0, 1, 2]
    assert {len(item.embedding) for item in answer.data} == {32}
    assert sum(x * x for x in answer.data[0].embedding) == pytest.approx(1, abs=1e-3)
    floats = client.embeddings.create(
        model="gemini-embedding-001", input="two", dimensions=32, encoding_format="float"
    )
    assert floats.data[0].embedding == pytest.approx(answer.data[1].embedding)


def test_embedding_of_tokens_is_a_bad_request(client):
    with pytest.raises(openai.BadRequestError, match="texts"):
        client.embeddings.create(model="gemini-embedding-001", input=[[1, 2, 3]])
