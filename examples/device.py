#!/usr/bin/env python3
"""A device in 70 lines of Python without packages. Sends a file in verified chunks and resumes after any failure.

Usage: device.py FILE [NAME]. Reads LADING_SERVER, LADING_CLIENT_ID and LADING_CLIENT_SECRET.
The protocol is docs/protocol.md.
"""

import json
import os
import struct
import sys
import time
import zlib
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

SERVER = os.environ.get("LADING_SERVER", "http://localhost:8005")
CHUNK_BYTES = 256 * 1024


def call(method, path, body=None, **headers):
    """Sends one request and returns the JSON reply. Retries while the server is unreachable or busy."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    for wait in (1, 2, 4, 8, 16, None):
        try:
            with urlopen(Request(SERVER + path, body, headers, method=method), timeout=60) as reply:
                return json.load(reply)
        except HTTPError as error:
            if error.code not in (408, 429, 503) or wait is None:
                sys.exit(f"{error.code}: {error.read().decode()}")
        except (URLError, ConnectionError, TimeoutError) as error:
            if wait is None:
                sys.exit(f"{SERVER} cannot be reached: {error}")
        time.sleep(wait)


def token():
    form = {"username": os.environ["LADING_CLIENT_ID"], "password": os.environ["LADING_CLIENT_SECRET"]}
    return call("POST", "/auth/token", urlencode(form).encode())["access_token"]


def chunk(start, data):
    """A chunk is 17 bytes of header (start, end, sum of the data modulo 256) and the data (PROTOCOL §1)."""
    return struct.pack(">QQB", start, start + len(data) - 1, sum(data) % 256) + data


def send(path, name):
    size = os.path.getsize(path)
    bearer = f"Bearer {token()}"
    status = call("GET", f"/api/files/status/{quote(name, safe='')}", Authorization=bearer)
    missing = status["missing"] if status["total_bytes"] == size else [[0, size - 1]]
    query = urlencode({"filename": name, "total_size": size})

    def post(body, **headers):
        headers |= {"Authorization": bearer, "Content_Type": "application/octet-stream"}
        return call("POST", f"/api/files/upload?{query}", body, **headers)

    if size == 0:
        # An empty file has no chunk. An empty body with total_size=0 completes it (PROTOCOL §2).
        missing, status = [], post(b"")
    with open(path, "rb") as file:
        for first, last in missing:
            for start in range(first, last + 1, CHUNK_BYTES):
                file.seek(start)
                data = file.read(min(CHUNK_BYTES, last + 1 - start))
                status = post(chunk(start, data), X_Chunk_CRC32=f"{zlib.crc32(data):08x}")
    print(f"{name}: {status['status']}, {status['bytes_received']} of {size} bytes")


if __name__ == "__main__":
    send(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else os.path.basename(sys.argv[1]))
