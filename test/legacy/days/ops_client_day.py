"""A day of a program for the older server that shares files, in Python with requests."""
import base64
import json
import sys

import requests

origin, password, mode = sys.argv[1], sys.argv[2], sys.argv[3]
replaces = mode == "replaces"
DAY = 24 * 3600


def pause(seconds):
    print(f"pause {seconds}", flush=True)
    sys.stdin.readline()


def claims_of(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def sign_in(kind, username):
    r = requests.post(f"{origin}/{kind}/login", data={"username": username, "password": password})
    assert r.status_code == 200, r.text
    claims = claims_of(r.text)
    assert (claims["username"], claims["account_kind"]) == (username, kind), claims
    return {"Authorization": f"Bearer {r.text}"}


def send(headers, name, text):
    files = {"request_file": (name, text)}
    return requests.post(f"{origin}/ops/upload", headers=headers, files=files).status_code


assert requests.post(f"{origin}/ops/signup", data={"username": "anna"}).status_code == 400
assert requests.post(f"{origin}/ops/login", json={}).status_code == 400
for kind, username in (("ops", "anna smith"), ("client", "ben")):
    r = requests.post(
        f"{origin}/{kind}/signup",
        data={"username": username, "password": password, "name": "A B", "email": "a@x.example"},
    )
    assert r.status_code == 201, r.text
ops, client = sign_in("ops", "anna smith"), sign_in("client", "ben")

for night, text in enumerate(("Monday", "Tuesday", "Wednesday")):
    status = send(ops, "nightly.log", text)
    assert status == (201 if night == 0 or replaces else 409), status
    r = requests.get(f"{origin}/client/files/anna smith/nightly.log", headers=client)
    assert r.text == (text if replaces else "Monday"), r.text
    pause(DAY)

pause(300 * DAY)
assert send(ops, "late.txt", "still here") == 201
r = requests.get(f"{origin}/client/files/anna smith", headers=client)
assert r.json() == ["late.txt", "nightly.log"], r.text
assert requests.get(f"{origin}/logout", headers=ops).status_code == 200
assert send(ops, "later.txt", "nobody") == 401
assert requests.get(f"{origin}/client/files/anna smith").status_code == 401
