"""The server with the handler and the network that training ships: formats, bad photos, batches, memory."""

import base64
import io
import json
import random
import socket
import struct
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httptools
import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]

# Random weights, scaled so that photos get different answers. In a process of its own: mxnet's import takes seconds and
# warns, and the server's tests need it nowhere else.
MAKE = """
import sys; sys.path.insert(0, "training")
from pathlib import Path
import artifact, network
folder = Path(sys.argv[1])
network.build(2, (16, 32, 64), (32, 32), seed=3).export(str(folder / "network"))
about = {"classes": ["bicycle", "motorcycle"], "image_size": [32, 32], "mean": [120.0, 118.0, 113.0],
         "std": [65.0, 65.0, 65.0], "temperature": 1.5, "threshold": 0.5, "in_distribution_threshold": 0.5,
         "data_label": "noise"}
artifact.write(folder, about, [])
"""
# What the handler says of the files named, one at a time.
SCORE = """
import json, sys
sys.path.insert(0, sys.argv[1] + "/code")
import inference
model = inference.model_fn(sys.argv[1])
photos = [inference.input_fn(open(name, "rb").read(), "image/png") for name in sys.argv[2:]]
rows = [inference.predict_fn(photo, model)[0] for photo in photos]
print(json.dumps([row.tolist() for row in rows]))
"""


def python(code, *arguments):
    command = [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    python(MAKE, folder)
    return folder


@pytest.fixture(scope="module")
def server(artifact, server_type, tmp_path_factory):
    one = server_type(tmp_path_factory.mktemp("serve") / "serve.log", model=artifact).ready()
    yield one
    one.kill()


def photo(seed, size=(32, 32), mode="RGB", kind="PNG", **options):
    """A photo of coloured areas, drawn by the seed, as an encoded file."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8))
    file = io.BytesIO()
    small.resize(size, Image.Resampling.BICUBIC).convert(mode).save(file, kind, **options)
    return file.getvalue()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb():
    """200 megapixels in 200 KB."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 10_000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(200_000_000), 1)) + chunk(b"IEND", b"")


def statuses(port, requests, window=16):
    """The status of each of these (body, content type), sent over one connection, `window` at a time."""
    found = []

    class Reader:
        def on_message_complete(self):
            found.append(parser.get_status_code())

    parser = httptools.HttpResponseParser(Reader())
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        for start in range(0, len(requests), window):
            part = requests[start : start + window]
            connection.sendall(
                b"".join(
                    b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s"
                    % (kind, len(body), body)
                    for body, kind in part
                )
            )
            while len(found) < start + len(part):
                data = connection.recv(65_536)
                assert data, "the server closed the connection"
                parser.feed_data(data)
    return found


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"size": (640, 427)},
        {"mode": "L"},
        {"mode": "P"},
        {"mode": "RGBA"},
        {"kind": "JPEG"},
        {"kind": "JPEG", "mode": "CMYK"},
        {"kind": "JPEG", "size": (1600, 1200)},
    ],
)
def test_every_kind_of_photo_is_answered(server, options):
    kind = f"image/{options.get('kind', 'PNG').lower()}"
    status, _, body = server.invoke(photo(1, **options), **{"Content-Type": kind})
    assert status == 200
    (prediction,) = json.loads(body)["predictions"]
    assert prediction["confidence"] == max(prediction["probabilities"].values())


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("text", b"this is no photo"),
        ("gif", b"GIF89a" + bytes(100)),
        ("truncated PNG", photo(1, (64, 64))[:-300]),
        ("truncated JPEG", photo(1, (64, 64), kind="JPEG")[:200]),
        ("signature only", b"\x89PNG\r\n\x1a\n"),
        ("decompression bomb", bomb()),
    ],
)
def test_a_bad_photo_gets_400_with_a_sentence(server, name, body):
    status, _, answer = server.invoke(body)
    assert status == 400, name
    assert len(json.loads(answer)["error"].split()) > 3


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{",
        b"\xff\xfe",
        b'{"instances": []}',
        b'{"instances": [{"image": 3}]}',
        b'{"instances": [{"image": "%%%"}]}',
    ],
)
def test_a_bad_list_gets_400_with_a_sentence(server, body):
    status, _, answer = server.invoke(body, **{"Content-Type": "application/json"})
    assert status == 400
    assert len(json.loads(answer)["error"].split()) > 3


def test_a_batch_transform_job_is_answered_as_it_sends(server):
    """As many requests at a time as the image says, PNG and JPEG mixed under one type, an answer for each photo."""
    said = json.loads(server.request("GET", "/execution-parameters")[2])
    assert said["BatchStrategy"] == "SINGLE_RECORD"
    photos = [photo(seed, kind=kind) for seed in range(12) for kind in ("PNG", "JPEG")]

    def send(body):
        headers = {"Content-Type": "application/octet-stream", "Accept": "application/json"}
        return server.request("POST", "/invocations", body, headers)

    with ThreadPoolExecutor(said["MaxConcurrentTransforms"]) as job:
        answers = list(job.map(send, photos))
    assert {status for status, *_ in answers} == {200}
    for _, _, body in answers:
        answer = json.loads(body)
        (prediction,) = answer["predictions"]
        assert {"label", "confidence", "in_distribution"} <= set(prediction)
        assert {"threshold", "in_distribution_threshold"} <= set(answer)


def _figures(prediction):
    """The classes' probabilities, then in_distribution, and whether there are several classes."""
    return [*prediction["probabilities"].values(), prediction["in_distribution"], prediction["several_classes"]]


def test_batched_answers_are_those_of_one_photo_at_a_time(server, artifact, tmp_path):
    photos = [photo(seed, size=(96, 64) if seed % 3 else (32, 32)) for seed in range(40)]  # two in three have halves
    names = [tmp_path / f"{number}.png" for number in range(len(photos))]
    for name, body in zip(names, photos, strict=True):
        name.write_bytes(body)
    alone = np.array(json.loads(python(SCORE, artifact, *names)))
    with ThreadPoolExecutor(16) as pool:
        answers = [json.loads(body) for _, _, body in pool.map(server.invoke, photos)]
    served = [_figures(answer["predictions"][0]) for answer in answers]
    np.testing.assert_allclose(served, alone, atol=1e-5)
    instances = [{"image": base64.b64encode(body).decode()} for body in photos]
    body = json.dumps({"instances": instances}).encode()
    listed = json.loads(server.invoke(body, **{"Content-Type": "application/json"})[2])["predictions"]
    np.testing.assert_allclose([_figures(one) for one in listed], alone, atol=1e-5)
    assert np.ptp(alone[:, 0]) > 0.01  # the network does tell them apart


def spoilt(rng):
    """A photo or list with something wrong with it, or plain garbage."""
    kind = rng.randrange(6)
    if kind == 0:
        return rng.randbytes(rng.randrange(1, 400)), b"image/png"
    if kind == 1:
        return b"\x89PNG\r\n\x1a\n" + rng.randbytes(rng.randrange(400)), b"image/png"
    if kind == 2:
        return b"\xff\xd8\xff" + rng.randbytes(rng.randrange(400)), b"image/jpeg"
    if kind == 3:
        return rng.choice([b"{", b'{"instances":', b"[1]"]) + rng.randbytes(rng.randrange(50)), b"application/json"
    body = bytearray(SEEDS[kind - 4])
    for _ in range(rng.randrange(1, 8)):
        body[rng.randrange(len(body))] = rng.randrange(256)
    return bytes(body[: rng.randrange(1, len(body) + 1)]), (b"image/png", b"image/jpeg")[kind - 4]


SEEDS = [photo(5), photo(5, (48, 48), kind="JPEG")]


def test_ten_thousand_malformed_bodies_harm_nothing(server):
    rng = random.Random(1)  # noqa: S311 - not a secret
    requests = [spoilt(rng) for _ in range(10_000)]
    workers, log = server.workers(), server.log
    with ThreadPoolExecutor(4) as pool:
        parts = pool.map(lambda start: statuses(server.port, requests[start::4]), range(4))
        seen = [status for part in parts for status in part]
    assert len(seen) == 10_000
    assert set(seen) <= {200, 400}  # a changed byte may leave a photo that can still be read
    assert seen.count(400) > 8_000
    assert (server.workers(), server.log) == (workers, log)
    assert server.invoke(SEEDS[0])[0] == 200


def test_memory_stays_flat(server):
    def memory():
        return sum(value for name, value in server.metrics().items() if "worker-" in name)

    # A photo's pixels kept from each of 3,000 requests would be 9 MB.
    requests = [(photo(seed), b"image/png") for seed in range(8)] * 125
    statuses(server.port, requests)
    before = memory()
    for _ in range(3):
        assert set(statuses(server.port, requests)) == {200}
    assert memory() - before < 4e6
