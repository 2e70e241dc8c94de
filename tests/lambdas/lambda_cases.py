"""Constants that the Lambda tests share."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "loadingbay-000000000000-us-east-1"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(200))
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(200))
