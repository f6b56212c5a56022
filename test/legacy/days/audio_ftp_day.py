"""A day of a recorder for an older server, in Python with requests."""

import io
import sys
import wave
from datetime import datetime

import requests

origin, client_id, client_secret = sys.argv[1:4]
compat = "compat" in sys.argv[4:]
session = requests.Session()


def recording(seconds):
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(range(256)) * (8000 * 2 * seconds // 256))
    return out.getvalue()


def pause(seconds):
    print(f"pause {seconds}", flush=True)
    input()


def take(reply):
    assert reply.status_code == 200, reply.text
    tokens = reply.json()
    datetime.strptime(tokens["expires_at"], "%Y-%m-%dT%H:%M:%S")
    session.headers["Authorization"] = f"Bearer {tokens['access_token']}"
    return tokens


def sign_in():
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
    return take(requests.post(f"{origin}/api/oauth/token", data=form))


def refresh(token):
    return requests.post(f"{origin}/api/oauth/token", data={"grant_type": "refresh_token", "refresh_token": token})


def upload(seconds):
    files = {"audio_file": ("recording.wav", recording(seconds), "audio/wav")}
    return session.post(f"{origin}/api/upload", files=files)


first = sign_in()
names = []
for seconds in (1, 2, 3):
    reply = upload(seconds)
    assert reply.status_code == 201, reply.text
    assert reply.json()["message"] and reply.json()["status"] == "success"
    names.append(reply.json()["filename"])
assert names[0] == "recording.wav" and len(set(names)) == 3, names

pause(2 * 3600)
lapsed = upload(4)
assert lapsed.status_code == 401 and lapsed.json()["error"] == "token_expired" and lapsed.json()["message"], lapsed.text
for _ in range(3):
    reply = refresh(first["refresh_token"])
    if compat:
        take(reply)
        assert upload(4).status_code == 201
        pause(3600)
    else:
        assert reply.status_code == 401 and reply.json()["error"] == "invalid_client", reply.text
last = take(refresh(first["refresh_token"])) if compat else sign_in()

settings = session.get(f"{origin}/api/config").json()
assert settings["host"] == ("127.0.0.1" if compat else None), settings
listed = session.get(f"{origin}/v1/audio/").json()
assert len(listed) == (6 if compat else 3), listed
form = {"token": last["access_token"], "client_id": client_id, "client_secret": client_secret}
reply = requests.post(f"{origin}/api/oauth/revoke", data=form)
assert reply.status_code == 200 and reply.json()["message"], reply.text
assert session.get(f"{origin}/api/config").status_code == 401
