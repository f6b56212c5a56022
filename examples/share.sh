#!/bin/sh
# Creates a link to a complete file that is valid for one download within an hour. Usage: share.sh NAME
# Reads LADING_SERVER and LADING_TOKEN.
set -eu
server=${LADING_SERVER:-http://localhost:8005}
curl -sS --fail-with-body -H "Authorization: Bearer $LADING_TOKEN" -H 'Content-Type: application/json' \
  -d '{"expires_in":3600,"max_downloads":1}' "$server/api/files/share/$1" | sed 's/.*"url":"\([^"]*\)".*/\1/'
