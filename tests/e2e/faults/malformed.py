"""A seeded fuzzer of request bodies: photos and JSON requests cut, flipped, lied about, nested, and plain noise."""

import base64
import io
import json
import random
import struct
import zlib
from collections.abc import Iterator

from PIL import Image

TYPES = ("image/png", "image/jpeg", "application/json", "application/octet-stream", "text/plain", "image/png; q=x", "")


def bodies(photo: bytes, count: int, seed: int = 1) -> Iterator[tuple[bytes, str]]:
    """`count` bodies with the content type each is sent as; most are broken, some happen to be a photo still."""
    dice = random.Random(seed)  # noqa: S311 - to be the same each time, not to be secret
    jpeg = io.BytesIO()
    Image.open(io.BytesIO(photo)).convert("RGB").save(jpeg, "JPEG")
    request = json.dumps({"instances": [{"image": base64.b64encode(photo).decode()}] * 2}).encode()
    whole = {"image/png": photo, "image/jpeg": jpeg.getvalue(), "application/json": request}
    for _ in range(count):
        kind = dice.choice(list(whole))
        make = dice.choice((_flip, _flip, _cut, _longer, _spliced, _size_is_a_lie, _wrong_json, _noise))
        sent_as = kind if dice.random() < 0.8 else dice.choice(TYPES)
        if make is _wrong_json:
            kind = sent_as = "application/json"
        yield make(whole[kind], dice), sent_as


def _flip(body: bytes, dice: random.Random) -> bytes:
    flipped = bytearray(body)
    for _ in range(dice.choice((1, 1, 4, 64))):
        flipped[dice.randrange(len(flipped))] ^= 1 << dice.randrange(8)
    return bytes(flipped)


def _cut(body: bytes, dice: random.Random) -> bytes:
    return body[: dice.randrange(len(body))]


def _longer(body: bytes, dice: random.Random) -> bytes:
    return body + dice.randbytes(dice.choice((1, 100, 20_000)))


def _spliced(body: bytes, dice: random.Random) -> bytes:
    start, end = sorted(dice.randrange(len(body)) for _ in range(2))
    return body[:start] + body[start:end] * dice.choice((0, 2, 3)) + body[end:]


def _size_is_a_lie(body: bytes, dice: random.Random) -> bytes:
    """A PNG that says to be of another size, with a right checksum: a decompression bomb where it is large."""
    size = dice.choice(((0, 1), (1, 0), (2, 2), (65_535, 65_535), (2**31 - 1, 1), (40_000, 40_000)))
    header = b"IHDR" + struct.pack(">IIBBBBB", *size, dice.choice((8, 16)), dice.choice((0, 2, 3, 6)), 0, 0, 0)
    rest = zlib.compress(bytes(dice.randrange(200_000)))
    data = b"IDAT" + rest
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
        + struct.pack(">I", len(rest)) + data + struct.pack(">I", zlib.crc32(data))
        + body[-12:]
    )  # fmt: skip


def _wrong_json(body: bytes, dice: random.Random) -> bytes:
    """A JSON body that is wrong in one of many ways."""
    image = base64.b64encode(dice.randbytes(dice.randrange(60))).decode()
    return dice.choice(
        (
            b"", b"null", b"[]", b"{}", b'{"instances": null}', b'{"instances": []}', b'{"instances": {}}',
            b'{"instances": [null]}', b'{"instances": [{"image": 1}]}', b'{"instances": [{"image": "@@@"}]}',
            json.dumps({"instances": [{"image": image}]}).encode(),
            json.dumps({"instances": [{"image": image}] * 257}).encode(),
            b"[" * 100_000, b'{"instances": [' + b'{"image": ' * 10_000, b'{"instances": NaN}', b"\xff\xfe{}",
            b'{"instances": [{"image": "' + b"A" * 1_000_000 + b'"}]}',
        )
    )  # fmt: skip


def _noise(body: bytes, dice: random.Random) -> bytes:
    return dice.randbytes(dice.choice((0, 1, 7, 100, 5_000)))
