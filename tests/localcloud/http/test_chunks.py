"""Bodies in signed chunks: AWS's published example is accepted, and nothing that was changed on its way."""

import base64
import hashlib
import hmac
import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import httpx
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from localcloud.http.body import BodyError
from localcloud.http.chunks import SIGNED, SIGNED_TRAILER, UNSIGNED, check_chunks, form_of_chunks
from localcloud.http.signature import Key, Request, Signature, SignatureError, read, signing_key

# Amazon S3 API Reference, the examples in both chapters about chunked uploads: 65 KiB of "a" in chunks of 64 KiB.
KEY = Key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
BODY = [b"a" * 65536, b"a" * 1024, b""]
SIGNATURE = Signature("AKIAIOSFODNN7EXAMPLE", "s3", "", "", "us-east-1", "20130524T000000Z")
PLAIN = (
    "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
    [
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    ],
)
TRAILED = (
    "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
    [
        "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
        "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
        "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
    ],
)
TRAILER = (
    b"x-amz-checksum-crc32c:sOO8/Q==\r\n"
    b"x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n"
)
ANNOUNCED = {"x-amz-trailer": "x-amz-checksum-crc32c"}


def request(form: str, headers: dict[str, str] | None = None) -> Request:
    return Request("PUT", "/bucket/key", "", {"x-amz-content-sha256": form, **(headers or {})})


def in_chunks(chunks: Sequence[bytes], signatures: Sequence[str], trailer: bytes = b"") -> bytes:
    """The body that carries these chunks and ends with `trailer`."""
    lines = [
        b"%x" % len(chunk) + (b";chunk-signature=" + signature.encode() if signature else b"") + b"\r\n" + chunk
        for chunk, signature in zip(chunks, signatures, strict=True)
    ]
    return b"\r\n".join(lines) + trailer + b"\r\n"


def signed(seed: str, chunks: Sequence[bytes], key: Key = KEY, date: str = "20130524T000000Z") -> list[str]:
    """The signatures of chunks that follow a request with the signature `seed`."""
    secret, signatures = signing_key(key.secret, date[:8], "us-east-1", "s3"), [seed]
    for chunk in chunks:
        digests = [hashlib.sha256(data).hexdigest() for data in (b"", chunk)]
        scope = f"{date[:8]}/us-east-1/s3/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256-PAYLOAD", date, scope, signatures[-1], *digests])
        signatures.append(hmac.new(secret, text.encode(), hashlib.sha256).hexdigest())
    return signatures[1:]


def test_the_published_example_is_accepted() -> None:
    check_chunks(request(SIGNED), replace(SIGNATURE, value=PLAIN[0]), KEY, in_chunks(BODY, PLAIN[1]))


def test_the_published_example_with_a_trailer_is_accepted() -> None:
    body = in_chunks(BODY, TRAILED[1], TRAILER)

    check_chunks(request(SIGNED_TRAILER, ANNOUNCED), replace(SIGNATURE, value=TRAILED[0]), KEY, body)


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"aaa\r\n400;", b"aab\r\n400;"), (b"sOO8", b"sOO9"), (b":d81f", b":d81e"), (b"=2ca2", b"=2ca3")],
)
def test_a_changed_chunk_trailer_or_signature_is_refused(old: bytes, new: bytes) -> None:
    body = in_chunks(BODY, TRAILED[1], TRAILER)
    assert body.count(old) == 1

    with pytest.raises(SignatureError):
        check_chunks(
            request(SIGNED_TRAILER, ANNOUNCED), replace(SIGNATURE, value=TRAILED[0]), KEY, body.replace(old, new)
        )


@pytest.mark.parametrize("changed", ["swapped", "left out", "of another body", "unsigned"])
def test_chunks_are_accepted_in_their_own_order_only(changed: str) -> None:
    chunks = [b"first", b"other", b""]
    signatures = signed("a" * 64, chunks)
    if changed == "swapped":
        chunks, signatures = [chunks[1], chunks[0], b""], [signatures[1], signatures[0], signatures[2]]
    elif changed == "left out":
        chunks, signatures = chunks[1:], signatures[1:]
    elif changed == "of another body":
        signatures = signed("b" * 64, chunks)
    else:
        signatures = ["", *signatures[1:]]

    with pytest.raises(SignatureError):
        check_chunks(request(SIGNED), replace(SIGNATURE, value="a" * 64), KEY, in_chunks(chunks, signatures))


@given(st.lists(st.binary(min_size=1, max_size=9), max_size=3), st.integers(0), st.integers(1, 255))
def test_a_byte_that_was_changed_anywhere_is_noticed(chunks: list[bytes], place: int, change: int) -> None:
    seed = replace(SIGNATURE, value="c" * 64)
    body = bytearray(in_chunks([*chunks, b""], signed("c" * 64, [*chunks, b""])))
    check_chunks(request(SIGNED), seed, KEY, bytes(body))
    body[place % (len(body) - 2)] ^= change

    # The line of a chunk may have its length in other letters.
    if body.lower() != in_chunks([*chunks, b""], signed("c" * 64, [*chunks, b""])):
        with pytest.raises((SignatureError, BodyError)):
            check_chunks(request(SIGNED), seed, KEY, bytes(body))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "IncompleteBody"),
        (b"5\r\nabc\r\n0\r\n\r\n", "IncompleteBody"),
        (b"3\r\nabc\r\n", "IncompleteBody"),
        (b"zz\r\nabc\r\n0\r\n\r\n", "IncompleteBody"),
        (b"3\r\nabc\r\n0\r\nx-amz-checksum-crc32:AAAAAA==", "IncompleteBody"),
        (b"3\r\nabc\r\n0\r\n\r\n", "MalformedTrailerError"),
        (b"3\r\nabc\r\n0\r\nx-amz-target:AmazonSQS.SendMessage\r\n\r\n", "MalformedTrailerError"),
        (b"3\r\nabc\r\n0\r\nx-amz-checksum-sha1:AAAA\r\n\r\n", "MalformedTrailerError"),
        (b"3\r\nabc\r\n0\r\n" + b"x-amz-checksum-crc32:AAAAAA==\r\n" * 2 + b"\r\n", "MalformedTrailerError"),
    ],
)
def test_what_is_not_in_chunks_or_not_announced_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(BodyError) as caught:
        check_chunks(request(UNSIGNED, {"x-amz-trailer": "x-amz-checksum-crc32"}), SIGNATURE, KEY, body)

    assert caught.value.code == code


def test_a_checksum_in_the_head_and_in_the_trailer_is_refused() -> None:
    headers = {"x-amz-trailer": "x-amz-checksum-crc32", "x-amz-checksum-crc32": "AAAAAA=="}

    with pytest.raises(BodyError, match="Expecting a single x-amz-checksum- header"):
        check_chunks(request(UNSIGNED, headers), SIGNATURE, KEY, b"0\r\nx-amz-checksum-crc32:AAAAAQ==\r\n\r\n")


@pytest.mark.parametrize("form", ["STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "A" * 64, "required", "a" * 63])
def test_a_digest_or_form_that_is_none_is_refused(form: str) -> None:
    with pytest.raises(BodyError, match="x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-"):
        form_of_chunks(request(form))


@pytest.mark.parametrize(
    ("headers", "form"),
    [
        ({}, ""),
        ({"content-encoding": "gzip"}, ""),
        ({"content-encoding": "aws-chunked,gzip"}, UNSIGNED),
        ({"x-amz-decoded-content-length": "3"}, UNSIGNED),
        ({"x-amz-content-sha256": "0" * 64}, ""),
        ({"x-amz-content-sha256": SIGNED, "content-encoding": "aws-chunked"}, SIGNED),
    ],
)
def test_a_body_is_in_chunks_where_the_emulator_takes_it_so(headers: dict[str, str], form: str) -> None:
    assert form_of_chunks(request("UNSIGNED-PAYLOAD", headers)) == form


class InChunks(S3SigV4Auth):
    """Signs a request whose body is in signed chunks with a trailer."""

    def payload(self, _request: AWSRequest) -> str:
        return SIGNED_TRAILER


@pytest.mark.parametrize("kind", ["as signed", "a changed chunk", "another checksum in the trailer"])
def test_s3_stores_what_was_signed_and_nothing_else(cloud: Any, kind: str) -> None:
    s3, name, data = cloud.client("s3"), f"chunks-{kind.replace(' ', '-')}", b"signed" * 2000
    s3.create_bucket(Bucket=name)
    key, url = Key(cloud.secret), f"{cloud.url}/{name}/key"
    headers = {"content-encoding": "aws-chunked"}
    headers |= {"x-amz-decoded-content-length": str(len(data)), "x-amz-trailer": "x-amz-checksum-crc32"}
    sent = AWSRequest("PUT", url, headers=headers)
    InChunks(Credentials("000000000000", key.secret), "s3", "us-east-1").add_auth(sent)
    declared = read(Request("PUT", f"/{name}/key", "", {n.lower(): str(v) for n, v in sent.headers.items()}))
    checksum = zlib.crc32(data if kind != "another checksum in the trailer" else b"other")
    trailer = b"x-amz-checksum-crc32:" + base64.b64encode(checksum.to_bytes(4, "big"))
    signatures = signed(declared.value, [data, b""], key, declared.date)
    scope = f"{declared.date[:8]}/us-east-1/s3/aws4_request"
    digest = hashlib.sha256(trailer + b"\n").hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256-TRAILER", declared.date, scope, signatures[-1], digest])
    secret = signing_key(key.secret, declared.date[:8], "us-east-1", "s3")
    trailer += b"\r\nx-amz-trailer-signature:" + hmac.new(secret, text.encode(), hashlib.sha256).hexdigest().encode()
    chunk = data if kind != "a changed chunk" else data.replace(b"signed", b"Signed", 1)

    answer = httpx.put(
        url, content=in_chunks([chunk, b""], signatures, trailer + b"\r\n"), headers=dict(sent.headers.items())
    )

    stored = [item["Key"] for item in s3.list_objects_v2(Bucket=name).get("Contents", [])]
    if kind == "as signed":
        assert (answer.status_code, stored) == (200, ["key"])
        assert s3.get_object(Bucket=name, Key="key")["Body"].read() == data
    else:
        refused = (403, "SignatureDoesNotMatch") if kind == "a changed chunk" else (400, "BadDigest")
        assert (answer.status_code, stored) == (refused[0], [])
        assert f"<Code>{refused[1]}</Code>" in answer.text
