"""The official `google-genai` package against the real server, on both API versions: it
calls `/v1` unless told otherwise, and most programs tell it `/v1beta`."""

import asyncio

import pytest
from google import genai
from google.genai import errors, types

WEATHER = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="get_weather",
            description="The weather in a city.",
            parameters=types.Schema(
                type="OBJECT",
                properties={"city": types.Schema(type="STRING")},
                required=["city"],
            ),
        )
    ]
)


def make_client(server, version, token=None):
    return genai.Client(
        api_key=token or server.token,
        http_options=types.HttpOptions(base_url=server.address, api_version=version),
    )


@pytest.fixture(params=[None, "v1beta"], ids=["default-version", "v1beta"])
def client(request, server):
    return make_client(server, request.param)


def test_generate(client, server):
    answer = client.models.generate_content(
        model=server.model,
        contents="What is a pool of keys?",
        config=types.GenerateContentConfig(temperature=0.3),
    )
    assert "What is a pool of keys?" in answer.text
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    assert answer.usage_metadata.prompt_token_count > 0


def test_system_instruction_and_several_turns(client, server):
    answer = client.models.generate_content(
        model=server.model,
        contents=[
            types.Content(role="user", parts=[types.Part(text="My name is Ada.")]),
            types.Content(role="model", parts=[types.Part(text="Hello Ada.")]),
            types.Content(role="user", parts=[types.Part(text="And what is my name?")]),
        ],
        config=types.GenerateContentConfig(system_instruction="Be brief."),
    )
    assert "And what is my name?" in answer.text


def test_stream(client, server):
    question = "Tell me about streams, please, and take your time."
    pieces = list(client.models.generate_content_stream(model=server.model, contents=question))
    assert question in "".join(piece.text or "" for piece in pieces)
    assert len(pieces) > 1, "an answer in one piece is no stream"
    assert pieces[-1].candidates[0].finish_reason == types.FinishReason.STOP


def test_thoughts_come_through(client, server):
    answer = client.models.generate_content(
        model=server.model,
        contents="Think first.",
        config=types.GenerateContentConfig(thinking_config=types.ThinkingConfig(include_thoughts=True)),
    )
    assert any(part.thought for part in answer.candidates[0].content.parts)
    assert answer.usage_metadata.thoughts_token_count > 0


# Gemini 3 refuses a function call that comes back without its thought signature.
@pytest.mark.parametrize("model", ["gemini-2.5-flash", "gemini-3.5-flash"])
def test_tools_round_trip(client, model):
    config = types.GenerateContentConfig(
        tools=[WEATHER],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    asked = types.Content(role="user", parts=[types.Part(text="Please call get_weather for me.")])
    first = client.models.generate_content(model=model, contents=[asked], config=config)
    call = first.function_calls[0]
    assert (call.name, call.args) == ("get_weather", {"city": "Paris"})

    result = types.Part.from_function_response(name=call.name, response={"degrees": 21})
    second = client.models.generate_content(
        model=model,
        contents=[asked, first.candidates[0].content, types.Content(role="user", parts=[result])],
        config=config,
    )
    assert "get_weather" in second.text
    assert "21" in second.text


def test_a_chat_keeps_its_history(client, server):
    chat = client.chats.create(model=server.model)
    chat.send_message("First.")
    assert "Second." in chat.send_message("Second.").text
    assert len(chat.get_history()) == 4


def test_image_input(client, server, png):
    answer = client.models.generate_content(
        model=server.model,
        contents=[types.Part.from_bytes(data=png, mime_type="image/png"), "What is this?"],
    )
    assert f"image/png, {len(png)} bytes" in answer.text


def test_models(client, server):
    names = {model.name for model in client.models.list()}
    assert f"models/{server.model}" in names
    assert client.models.get(model=server.model).name == f"models/{server.model}"


def test_count_tokens(client, server):
    assert client.models.count_tokens(model=server.model, contents="Count me.").total_tokens > 0


def test_a_wrong_token_is_an_authentication_error(server):
    client = make_client(server, "v1beta", token="sk-wrong")
    with pytest.raises(errors.ClientError) as caught:
        client.models.get(model=server.model)
    assert caught.value.code == 401


def test_an_unknown_model_is_not_found(client):
    with pytest.raises(errors.ClientError) as caught:
        client.models.generate_content(model="gemini-0", contents="Hi")
    assert caught.value.code == 404


# What Google keeps for a client: every call about a thing must reach the key that made it, and
# there are two keys here, each in a project of its own.


def test_a_file_is_uploaded_used_and_deleted(client, server, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("Keys have quotas. " * 1000)
    file = client.files.upload(
        file=path, config=types.UploadFileConfig(display_name="notes", mime_type="text/plain")
    )
    assert file.state == types.FileState.ACTIVE
    assert file.size_bytes == path.stat().st_size
    assert client.files.get(name=file.name).uri == file.uri
    for _ in range(4):
        answer = client.models.generate_content(
            model=server.model, contents=["What do the notes say?", file]
        )
        assert answer.text
    assert file.name in [listed.name for listed in client.files.list()]
    client.files.delete(name=file.name)
    assert file.name not in [listed.name for listed in client.files.list()]


def test_a_cache_is_made_used_and_deleted(client, server):
    cache = client.caches.create(
        model=server.model,
        config=types.CreateCachedContentConfig(contents="Keys have quotas. " * 2000, ttl="600s"),
    )
    for _ in range(3):
        answer = client.models.generate_content(
            model=server.model,
            contents="What was that?",
            config=types.GenerateContentConfig(cached_content=cache.name),
        )
        assert answer.usage_metadata.cached_content_token_count > 1024
    updated = client.caches.update(
        name=cache.name, config=types.UpdateCachedContentConfig(ttl="1200s")
    )
    assert updated.expire_time > cache.expire_time
    assert cache.name in [listed.name for listed in client.caches.list()]
    client.caches.delete(name=cache.name)
    with pytest.raises(errors.ClientError):
        client.caches.get(name=cache.name)


def test_a_batch_is_found_again(client, server):
    batch = client.batches.create(
        model=server.model,
        src=[{"contents": [{"parts": [{"text": "One?"}], "role": "user"}]}],
        config={"display_name": "one"},
    )
    while batch.state.name not in ("JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED"):
        batch = client.batches.get(name=batch.name)
    assert "One?" in batch.dest.inlined_responses[0].response.text
    assert batch.name in [listed.name for listed in client.batches.list()]


@pytest.mark.filterwarnings("ignore:.*experimental")
def test_interactions_go_on_from_one_another(client):
    model = "gemini-3.8-flash"
    first = client.interactions.create(model=model, input="My name is Ada.")
    second = client.interactions.create(
        model=model, input="Who am I?", previous_interaction_id=first.id
    )
    assert client.interactions.get(id=second.id).status == "completed"
    events = list(
        client.interactions.create(
            model=model, input="And now?", previous_interaction_id=second.id, stream=True
        )
    )
    kinds = [event.event_type for event in events]
    assert kinds[0] == "interaction.created" and "interaction.completed" in kinds
    client.interactions.delete(id=first.id)


def test_a_session_talks_and_is_taken_up_again(client, server, monkeypatch):
    # This SDK asks for TLS whatever the base URL says; the one for JavaScript does not.
    address = server.address.replace("http://", "ws://")
    monkeypatch.setattr(client._api_client, "_websocket_base_url", lambda *_: address)
    monkeypatch.setattr(client._api_client, "_websocket_ssl_ctx", {})

    async def talk():
        handle = None
        for question in ("My name is Ada.", "And who am I?"):
            config = types.LiveConnectConfig(
                response_modalities=[types.Modality.TEXT],
                session_resumption=types.SessionResumptionConfig(handle=handle),
            )
            model = "gemini-3.1-flash-live-preview"
            async with client.aio.live.connect(model=model, config=config) as session:
                await session.send_client_content(
                    turns=types.Content(role="user", parts=[types.Part(text=question)])
                )
                text = ""
                async for message in session.receive():
                    text += message.text or ""
                    update = message.session_resumption_update
                    if update and update.new_handle:
                        handle = update.new_handle
                assert question in text
                if handle is None:
                    async for message in session.receive():
                        update = message.session_resumption_update
                        if update and update.new_handle:
                            handle = update.new_handle
                            break
        return handle

    assert asyncio.run(asyncio.wait_for(talk(), 60))
