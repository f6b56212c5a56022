"""Sends a file in chunks, out of order, and reads it back, by a client that was generated from the OpenAPI document.

Usage: story.py ORIGIN CLIENT_ID CLIENT_SECRET
"""

import struct
import sys
from io import BytesIO

from lading_api import AuthenticatedClient, Client
from lading_api.api.files import (
    delete_api_files_filename,
    get_api_files,
    get_api_files_download_filename,
    get_api_files_status_filename,
    post_api_files_upload,
)
from lading_api.api.resumable_uploads import put_api_files_content_filename
from lading_api.api.signing_in import post_auth_token
from lading_api.models import FileStatus, Problem, TokenRequest
from lading_api.types import File

origin, client_id, client_secret = sys.argv[1:]
NAME = "recordings/day one.bin"
DATA = bytes(range(256)) * 40


def chunk(start: int, end: int) -> File:
    """Bytes start to end of DATA, with the chunk header before them."""
    data = DATA[start : end + 1]
    return File(payload=BytesIO(struct.pack(">QQB", start, end, sum(data) % 256) + data))


reply = post_auth_token.sync(client=Client(origin), body=TokenRequest(username=client_id, password=client_secret))
assert reply is not None and not isinstance(reply, Problem), reply
client = AuthenticatedClient(origin, token=reply.access_token)

last = post_api_files_upload.sync(client=client, filename=NAME, total_size=len(DATA), body=chunk(5000, len(DATA) - 1))
assert isinstance(last, FileStatus) and last.status == "partial", last
assert last.missing == [[0, 4999]], last.missing
first = post_api_files_upload.sync(client=client, filename=NAME, total_size=len(DATA), body=chunk(0, 4999))
assert isinstance(first, FileStatus) and first.status == "complete", first

status = get_api_files_status_filename.sync(NAME, client=client)
assert isinstance(status, FileStatus) and status.bytes_received == len(DATA), status
whole = get_api_files_download_filename.sync(NAME, client=client)
assert isinstance(whole, File) and whole.payload.read() == DATA
part = get_api_files_download_filename.sync_detailed(NAME, client=client, range_="bytes=100-199")
assert part.status_code == 206 and part.content == DATA[100:200], part

again = post_api_files_upload.sync(client=client, filename=NAME, total_size=7, body=chunk(0, 4))
assert isinstance(again, Problem) and again.code in ("file_complete", "size_conflict"), again
assert again.detail

put = put_api_files_content_filename.sync_detailed("whole.bin", client=client, body=File(payload=BytesIO(DATA)))
assert put.status_code == 201, put
listed = get_api_files.sync(client=client)
assert listed is not None and not isinstance(listed, Problem)
assert [file.filename for file in listed.files] == [NAME, "whole.bin"], listed
removed = delete_api_files_filename.sync_detailed(NAME, client=client)
assert removed.status_code == 200, removed
gone = get_api_files_download_filename.sync(NAME, client=client)
assert isinstance(gone, Problem) and gone.code == "not_found", gone
print("done")
