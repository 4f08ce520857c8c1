"""Images, speech, transcripts and legacy completions with the official `openai` package."""

import base64
import io
import wave

import openai
import pytest


@pytest.fixture
def client(server):
    with openai.OpenAI(base_url=f"{server.address}/v1", api_key=server.token, max_retries=0) as client:
        yield client


def test_an_image_is_generated(client):
    answer = client.images.generate(model="gpt-image-1", prompt="A cat.", n=2, size="1536x1024", quality="high")
    assert len(answer.data) == 2
    for image in answer.data:
        assert base64.b64decode(image.b64_json).startswith(b"\x89PNG")
    assert answer.output_format == "png"
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens


def test_an_image_is_generated_by_address(client):
    answer = client.images.generate(model="dall-e-3", prompt="A cat.", response_format="url")
    assert answer.data[0].url.startswith("data:image/png;base64,")


def test_a_generation_streams(client):
    stream = client.images.generate(model="gpt-image-1", prompt="A cat.", stream=True)
    events = list(stream)
    assert [event.type for event in events] == ["image_generation.completed"]
    assert base64.b64decode(events[0].b64_json).startswith(b"\x89PNG")
    assert events[0].usage.total_tokens > 0


def test_an_image_is_edited(client, png):
    answer = client.images.edit(
        model="gemini-2.5-flash-image",
        image=[("one.png", png, "image/png"), ("two.png", png, "image/png")],
        prompt="Put both together.",
    )
    assert base64.b64decode(answer.data[0].b64_json).startswith(b"\x89PNG")
    assert "Put both together." in answer.data[0].revised_prompt


def test_a_mask_is_refused_in_openais_form(client, png):
    with pytest.raises(openai.BadRequestError) as refused:
        client.images.edit(
            model="gpt-image-1", image=("a.png", png), mask=("mask.png", png), prompt="Make it blue."
        )
    assert refused.value.param == "mask"
    assert "say in `prompt`" in refused.value.message


@pytest.mark.parametrize(
    ("kind", "begins"), [("mp3", b"\xff\xf3"), ("opus", b"OggS"), ("wav", b"RIFF"), ("pcm", b"\0\0")]
)
def test_speech(client, kind, begins):
    answer = client.audio.speech.create(
        model="gpt-4o-mini-tts",
        voice="alloy",
        input="Hello from the tests.",
        instructions="Softly.",
        response_format=kind,
    )
    assert answer.content.startswith(begins)
    if kind == "wav":
        with wave.open(io.BytesIO(answer.content)) as sound:
            assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (24000, 1, 2)
            assert sound.getnframes() == 240 * len("Hello from the tests.")


def test_speech_streams(client):
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="nova", input="A longer text, so that there is more than one piece.", response_format="pcm"
    ) as answer:
        assert sum(len(piece) for piece in answer.iter_bytes()) == 480 * 52


def test_an_unknown_voice_is_an_error(client):
    with pytest.raises(openai.BadRequestError, match="Voice name nobody"):
        client.audio.speech.create(model="tts-1", voice="nobody", input="Hello.")


def sound():
    return ("hello.mp3", b"ID3" + bytes(64), "audio/mpeg")


def test_a_transcript(client):
    answer = client.audio.transcriptions.create(model="whisper-1", file=sound(), language="en", prompt="Names: Ada.")
    assert "audio/mp3" in answer.text
    assert answer.usage.total_tokens > 0
    text = client.audio.transcriptions.create(model="whisper-1", file=sound(), response_format="text")
    assert "audio/mp3" in text


def test_a_transcript_with_times(client):
    answer = client.audio.transcriptions.create(
        model="whisper-1", file=sound(), response_format="verbose_json", timestamp_granularities=["segment"]
    )
    assert (answer.segments[0].start, answer.segments[0].end) == (0.0, 2.5)
    assert answer.text == answer.segments[0].text
    subtitles = client.audio.transcriptions.create(model="whisper-1", file=sound(), response_format="srt")
    assert subtitles.startswith("1\n00:00:00,000 --> 00:00:02,500\n")
    with pytest.raises(openai.BadRequestError, match="word"):
        client.audio.transcriptions.create(
            model="whisper-1", file=sound(), response_format="verbose_json", timestamp_granularities=["word"]
        )


def test_a_transcript_streams(client):
    stream = client.audio.transcriptions.create(model="gpt-4o-transcribe", file=sound(), stream=True)
    events = list(stream)
    assert events[-1].type == "transcript.text.done"
    assert "".join(event.delta for event in events[:-1]) == events[-1].text


def test_a_translation(client):
    assert "English" in client.audio.translations.create(model="whisper-1", file=sound()).text


def test_a_legacy_completion(client, server):
    answer = client.completions.create(model=server.model, prompt="Once upon a time", max_tokens=200, echo=True)
    assert answer.object == "text_completion"
    assert answer.choices[0].text.startswith("Once upon a time")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens > 0


def test_a_legacy_completion_streams(client, server):
    stream = client.completions.create(
        model=server.model, prompt="Once upon a time", stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert "Once upon a time" in "".join(c.choices[0].text for c in chunks if c.choices)
    assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == ["stop"]
    assert chunks[-1].usage.total_tokens > 0


def test_a_responses_image_call(client):
    answer = client.responses.create(
        model="gemini-3.1-flash-image",
        input="Draw a cat.",
        tools=[{"type": "image_generation", "size": "1024x1536", "quality": "high"}],
    )
    calls = [item for item in answer.output if item.type == "image_generation_call"]
    assert base64.b64decode(calls[0].result).startswith(b"\x89PNG")


def test_an_address_in_a_private_network_is_refused(client, server):
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(
            model=server.model,
            messages=[
                {
                    "role": "user",
                    "content": [{"type": "image_url", "image_url": {"url": f"{server.address}/health"}}],
                }
            ],
        )
    assert refused.value.code == "invalid_image_url"
    assert "MEDIA_URLS" in refused.value.message


def test_files(client, server):
    file = client.files.create(file=("note.txt", b"A note.", "text/plain"), purpose="user_data")
    assert (file.object, file.filename, file.bytes, file.purpose) == ("file", "note.txt", 7, "user_data")
    assert file.expires_at > file.created_at
    assert client.files.retrieve(file.id) == file
    assert file.id in [listed.id for listed in client.files.list()]
    answer = client.chat.completions.create(
        model=server.model,
        messages=[
            {
                "role": "user",
                "content": [{"type": "text", "text": "Read it."}, {"type": "file", "file": {"file_id": file.id}}],
            }
        ],
    )
    assert "I received a file" in answer.choices[0].message.content
    answer = client.responses.create(
        model=server.model,
        input=[
            {
                "role": "user",
                "content": [{"type": "input_text", "text": "Read."}, {"type": "input_file", "file_id": file.id}],
            }
        ],
    )
    assert "I received a file" in answer.output_text
    with pytest.raises(openai.BadRequestError, match="Not allowed to download"):
        client.files.content(file.id)
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError, match="No such File"):
        client.files.retrieve(file.id)
