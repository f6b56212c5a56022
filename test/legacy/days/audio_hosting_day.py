"""A day of an audio program for the older server that authenticates with cookies, in Python with requests."""
import struct
import sys

import requests

origin, password = sys.argv[1], sys.argv[2]
DAY = 24 * 3600
TONE = b"RIFF" + struct.pack("<I", 836) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)
TONE += b"data" + struct.pack("<I", 800) + bytes(800)


def pause(seconds):
    print(f"pause {seconds}", flush=True)
    sys.stdin.readline()


s = requests.Session()
assert s.get(f"{origin}/v1/auth/me").status_code == 401
person = {"name": "Anna", "email": "anna@x.example", "password": password, "password2": password}
assert s.post(f"{origin}/v1/auth/login", json=person).status_code == 401
r = s.post(f"{origin}/v1/auth/registration", json=person)
assert r.status_code == 201, r.text
assert (r.json()["email"], r.json()["is_admin"]) == ("anna@x.example", False), r.text
assert s.get(f"{origin}/v1/auth/me").json()["id"] == r.json()["id"]

for _ in range(3):
    r = s.post(f"{origin}/v1/audio/file", files={"file": ("tone.wav", TONE)})
    assert r.status_code == 200, r.text
assert len({one["id"] for one in s.get(f"{origin}/v1/audio/").json()}) == 3
assert "file_path" not in r.json()
assert s.get(f"{origin}/v1/audio/file/{r.json()['id']}").content == TONE
assert s.put(f"{origin}/v1/auth/me", json={"surname": "Smith"}).status_code == 200

pause(40 * 60)
assert s.get(f"{origin}/v1/audio/").status_code == 401
assert s.post(f"{origin}/v1/auth/refresh").status_code == 200
assert len(s.get(f"{origin}/v1/audio/").json()) == 3
pause(40 * DAY)
assert s.post(f"{origin}/v1/auth/refresh", json={}).status_code == 401
assert s.post(f"{origin}/v1/auth/login", json=person).status_code == 200

r = s.post(f"{origin}/v1/auth/yandex/login", allow_redirects=False)
assert r.status_code == 303 and "/authorize?" in r.headers["location"], r.text
assert s.post(f"{origin}/v1/auth/logout", json={}).status_code == 200
assert s.get(f"{origin}/v1/auth/me").status_code == 401
