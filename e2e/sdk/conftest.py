"""The real server in front of the fake Google, one pair for all tests of a run.

`cargo xtask test --only sdk` sets GB_SERVER_BIN and GB_FAKE_GOOGLE_BIN.
"""

import os
import queue
import re
import subprocess
import threading
from dataclasses import dataclass

import pytest

TOKEN = "sk-sdk-test-token"
MODEL = "gemini-2.5-flash"
KEYS = "AIzaSySDK-00000000000000000000000000001,AIzaSySDK-00000000000000000000000000002"
# A laptop may be compiling beside the tests.
PATIENCE_SECONDS = 60


@dataclass
class Server:
    """A running gateway: where it is and what it wants to see."""

    address: str
    token: str = TOKEN
    model: str = MODEL


def start(command, environment):
    """Starts a program and returns it with the address that it prints."""
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    addresses = queue.Queue()

    def read():
        # To the end, even when nobody asks any more: a full pipe would stop the program.
        for line in process.stdout:
            found = re.search(r"http://[\w.\[\]:-]+:\d+", line)
            if found:
                addresses.put(found.group())
        addresses.put(None)

    threading.Thread(target=read, daemon=True).start()
    try:
        address = addresses.get(timeout=PATIENCE_SECONDS)
    except queue.Empty:
        address = None
    if address is None:
        process.kill()
        raise RuntimeError(f"{command[0]} did not say where it listens")
    return process, address


def stop(process):
    process.terminate()
    try:
        process.wait(timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


def clean_environment():
    """The environment without anything that would configure our programs or the SDKs."""
    kept = ("PATH", "HOME", "LANG", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR")
    return {name: os.environ[name] for name in kept if name in os.environ}


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    environment = clean_environment()
    google, google_address = start([os.environ["GB_FAKE_GOOGLE_BIN"], "--keys", KEYS], environment)
    try:
        gateway, address = start(
            [os.environ["GB_SERVER_BIN"], "serve"],
            environment
            | {
                "HOST": "127.0.0.1",
                "PORT": "0",
                "DATA_DIR": str(tmp_path_factory.mktemp("data")),
                "BASE_URL": f"{google_address}/v1beta",
                "API_KEYS": KEYS,
                "ALLOWED_TOKENS": TOKEN,
                "AUTH_TOKEN": "sdk-test-password",
            },
        )
        try:
            yield Server(address)
        finally:
            stop(gateway)
    finally:
        stop(google)


@pytest.fixture(autouse=True)
def no_settings_of_the_developer(monkeypatch):
    """The SDKs read keys and base URLs from the environment; a test must not."""
    for name in list(os.environ):
        if name.startswith(("OPENAI_", "ANTHROPIC_", "GOOGLE_", "GEMINI_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def png():
    """A picture of 8 by 8 pixels, made here so that its size is known."""
    import struct
    import zlib

    def chunk(kind, data):
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    rows = b"".join(b"\0" + b"\x20\x60\xc0" * 8 for _ in range(8))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
