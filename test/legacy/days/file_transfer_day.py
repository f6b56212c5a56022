"""A day of a program for an older server that sends chunks, in Python with requests."""

import struct
import sys

import requests

origin, username, password = sys.argv[1:4]
compat = "compat" in sys.argv[4:]
session = requests.Session()


def sign_in():
    reply = requests.post(f"{origin}/auth/token", data={"username": username, "password": password})
    assert reply.status_code == 200, reply.text
    session.headers["Authorization"] = f"Bearer {reply.json()['access_token']}"


def pause(seconds):
    print(f"pause {seconds}", flush=True)
    input()


def ask(method, path, **more):
    reply = session.request(method, origin + path, **more)
    if reply.status_code == 401:
        assert reply.json()["detail"]
        sign_in()
        reply = session.request(method, origin + path, **more)
    return reply


def chunk(name, start, data, checksum=None):
    header = struct.pack(">QQB", start, start + max(len(data), 1) - 1, sum(data) % 256 if checksum is None else checksum)
    return ask("POST", "/api/files/upload", params={"filename": name}, files={"file": ("chunk", header + data)})


def send(name, data, size=7):
    for start in range(0, len(data), size):
        reply = chunk(name, start, data[start : start + size])
        assert reply.status_code == 200, reply.text


def read(name, **headers):
    reply = ask("GET", f"/api/files/download/{name}", headers=headers)
    assert reply.status_code in (200, 206), reply.text
    return reply.content


sign_in()
assert ask("GET", "/api/files/status/day.log").json()["status"] == "pending"
assert ask("GET", "/api/files").json()["files"] == []
refused = chunk("day.log", 0, b"abc", checksum=0)
assert refused.status_code == 400 and "Checksum validation failed" in refused.json()["detail"], refused.text

send("day.log", b"morning and ")
pause(3 * 3600)
reply = chunk("day.log", 12, b"evening")
assert reply.status_code == 200, reply.text
status = ask("GET", "/api/files/status/day.log").json()
keys = ("filename", "status", "bytes_received", "total_bytes", "next_expected_byte")
assert [status[key] for key in keys] == ["day.log", "complete", 19, 19, 19], status
assert read("day.log") == b"morning and evening"
assert read("day.log", Range="bytes=12-18") == b"evening"
pause(2 * 86400)

send("status.log", b"all is well on Monday")
pause(86400)
if compat:
    for report in (b"two lamps are out on Tuesday", b"all is well", b"all is well on Thursday again"):
        send("status.log", report, 100)
        assert read("status.log") == report
        pause(86400)
    assert chunk("empty.bin", 0, b"").status_code == 200
    assert read("empty.bin") == b""
else:
    refused = chunk("status.log", 0, b"two lamps are out on Tuesday")
    assert refused.status_code == 409 and refused.json()["detail"], refused.text
    assert read("status.log") == b"all is well on Monday"

for number in range(150):
    send(f"many/{number:03}", b"x")
listed = ask("GET", "/api/files/").json()["files"]
assert len([file for file in listed if file["filename"].startswith("many/")]) == 150
assert ask("DELETE", "/api/files/day.log").status_code == 200
assert ask("DELETE", "/api/files/day.log").status_code == 404
