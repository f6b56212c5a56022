"""A day of a program for the older server that creates API tokens, in Python with requests."""
import sys

import requests

origin, authorization = sys.argv[1], sys.argv[2]
own = {"Authorization": authorization} if authorization else {}


def pause(seconds):
    print(f"pause {seconds}", flush=True)
    sys.stdin.readline()


def refused(r, status):
    assert r.status_code == status, (r.status_code, r.text)
    assert r.json()["error"], r.text


assert requests.get(f"{origin}/health").ok
tokens = []
for _ in range(3):
    r = requests.post(f"{origin}/api/tokens", json={"user_id": "my_app", "scopes": ["read", "write"]}, headers=own)
    assert r.status_code == 201 and "read" in r.json()["scopes"], r.text
    tokens.append(r.json())
r = requests.post(f"{origin}/api/tokens", json={}, headers=own)
assert (r.json()["user_id"], r.json()["scopes"]) == ("default_user", ["read", "write"]), r.text
r = requests.get(f"{origin}/api/tokens", params={"user_id": "my_app"}, headers=own)
assert len(r.json()["tokens"]) == 3, r.text
assert requests.get(f"{origin}/api/tokens", params={"user_id": "x"}, headers=own).json()["tokens"] == []

mine = {"Authorization": "Bearer " + tokens[0]["token"]}
r = requests.get(f"{origin}/api/protected", headers=mine)
assert r.json()["user_id"] == "my_app", r.text
phone = "+14155552671"
assert requests.post(f"{origin}/calls/otp", json={"phone_number": phone}, headers=mine).ok
r = requests.get(f"{origin}/calls/otp/status/{phone}", headers=mine).json()
assert (r["phone_number"], r["verified"], r["is_expired"], r["attempts"]) == (phone, False, False, 0), r
for code in (-1, "x" * 20):
    refused(requests.post(f"{origin}/calls/otp/verify", json={"phone_number": phone, "code": code}, headers=mine), 422)

pause(400 * 24 * 3600)
assert requests.get(f"{origin}/api/protected", headers=mine).ok
for _ in range(2):
    assert requests.delete(f"{origin}/api/tokens/{tokens[0]['token_id']}", headers=own).ok
refused(requests.get(f"{origin}/api/protected", headers=mine), 401)
r = requests.get(f"{origin}/api/tokens", params={"user_id": "my_app", "revoked": "true"}, headers=own).json()
assert [t["active"] for t in r["tokens"] if t["token_id"] == tokens[0]["token_id"]] == [False], r
refused(requests.get(f"{origin}/api/tokens/none/nowhere", headers=own), 404)
refused(requests.get(f"{origin}/calls/otp", headers=own), 405)
