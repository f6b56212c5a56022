"""Tells schemathesis that the media types of Lading are bytes."""

import schemathesis

for media_type in (
    "application/offset+octet-stream",
    "application/partial-upload",
    "application/vnd.lading.chunks",
    "application/vnd.lading.chunks+crc32",
):
    schemathesis.serializer.alias(media_type, "application/octet-stream")
