"""Signatures: what botocore's signers sign is accepted, and anything that was changed on the way is not."""

import hashlib
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import HmacV1QueryAuth, S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from localcloud.http.errors import signature_code
from localcloud.http.signature import Key, Request, Signature, SignatureError, check, check_time, read

KEY = Key("a secret of forty characters, or nearly")
TEMPORARY = Key("another secret", "a token")
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), min_size=1, max_size=12)
SIGNERS: dict[str, Any] = {"sagemaker": SigV4Auth, "s3": S3SigV4Auth}
PRESIGNERS: dict[str, Any] = {"sagemaker": SigV4QueryAuth, "s3": S3SigV4QueryAuth}


def arrived(request: AWSRequest) -> Request:
    """The request as a server receives it."""
    url = urlsplit(request.url)
    headers = {name.lower(): str(value) for name, value in request.headers.items()} | {"host": url.netloc}
    return Request(request.method, url.path, url.query, headers)


def signed(
    service: str, path: str, query: str, body: bytes, key: Key = KEY, headers: dict[str, str] | None = None
) -> Request:
    """A request signed by botocore for the service, as it arrives."""
    url = f"http://127.0.0.1:4747{path}" + (f"?{query}" if query else "")
    request = AWSRequest("POST", url, data=body, headers=headers)
    SIGNERS[service](Credentials("AKIA", key.secret, key.token), service, "us-east-1").add_auth(request)
    return arrived(request)


def accepted(request: Request, body: bytes, key: Key = KEY) -> Signature:
    signature = read(request)
    check_time(signature)
    check(request, signature, key, hashlib.sha256(body).hexdigest())
    return signature


@given(
    st.sampled_from(sorted(SIGNERS)),
    st.lists(NAMES, max_size=3),
    st.dictionaries(NAMES, NAMES, max_size=3),
    st.binary(max_size=50),
    st.sampled_from([KEY, TEMPORARY]),
)
def test_what_botocore_signs_in_a_header_is_accepted(
    service: str, path: list[str], query: dict[str, str], body: bytes, key: Key
) -> None:
    encoded = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in query.items())
    request = signed(service, "/" + "/".join(quote(part, safe="") for part in path), encoded, body, key)

    assert accepted(request, body, key).access_key == "AKIA"


@given(st.sampled_from(sorted(PRESIGNERS)), st.lists(NAMES, max_size=3), st.sampled_from([KEY, TEMPORARY]))
def test_what_botocore_presigns_is_accepted(service: str, path: list[str], key: Key) -> None:
    request = AWSRequest("GET", "http://127.0.0.1:4747/" + "/".join(quote(part, safe="") for part in path))
    credentials = Credentials("AKIA", key.secret, key.token)
    PRESIGNERS[service](credentials, service, "us-east-1", expires=60).add_auth(request)

    assert accepted(arrived(request), b"", key).expires == 60


@pytest.mark.parametrize("key", [KEY, TEMPORARY])
def test_presigned_urls_of_version_2_are_accepted(key: Key) -> None:
    request = AWSRequest("GET", "http://127.0.0.1:4747/bucket/a%20key?versionId=1")
    HmacV1QueryAuth(Credentials("AKIA", key.secret, key.token), expires=60).add_auth(request)
    good = arrived(request)

    assert accepted(good, b"", key).version == 2
    with pytest.raises(SignatureError, match="does not match"):
        accepted(replace(good, path="/bucket/another"), b"", key)


@pytest.mark.parametrize(
    "change",
    [
        {"method": "PUT"},
        {"path": "/other"},
        {"query": "b=2"},
        {"headers": {"content-type": "text/html"}},
        {"headers": {"host": "127.0.0.1:1"}},
        {"headers": {"x-amz-date": "20200101T000000Z"}},
    ],
)
def test_a_changed_request_is_refused(change: dict[str, Any]) -> None:
    request = signed("sagemaker", "/path", "a=1", b"body", headers={"Content-Type": "application/json"})
    headers = {**request.headers, **change.pop("headers", {})}

    with pytest.raises(SignatureError):
        accepted(replace(request, headers=headers, **change), b"body")


@pytest.mark.parametrize("service", sorted(SIGNERS))
def test_a_changed_body_is_refused(service: str) -> None:
    with pytest.raises(SignatureError, match=r"does not match|not the one that was signed"):
        accepted(signed(service, "/", "", b"body"), b"another")


def test_a_body_declared_as_unsigned_is_not_compared() -> None:
    request = AWSRequest("PUT", "http://127.0.0.1:4747/b/k", headers={"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"})
    SigV4Auth(Credentials("AKIA", KEY.secret), "s3", "us-east-1").add_auth(request)

    # The generic signer encodes the path as S3 does where it has nothing to encode.
    assert accepted(arrived(request), b"any body").service == "s3"


def test_another_secret_is_refused() -> None:
    with pytest.raises(SignatureError) as error:
        accepted(signed("sagemaker", "/", "", b""), b"", Key("a guess"))

    assert error.value.kind == "mismatch"


@pytest.mark.parametrize(("given", "kept"), [(KEY, TEMPORARY), (TEMPORARY, replace(TEMPORARY, token=None))])
def test_a_session_token_must_be_that_of_the_key(given: Key, kept: Key) -> None:
    with pytest.raises(SignatureError) as error:
        accepted(signed("sagemaker", "/", "", b"", given), b"", kept)

    assert error.value.kind == "token"


@pytest.mark.parametrize("name", ["host", "x-amz-target"])
def test_headers_that_say_what_is_asked_must_be_signed(name: str) -> None:
    request = signed("sagemaker", "/", "", b"")
    authorization = request.headers["authorization"].replace("host;", "")
    headers = {**request.headers, "x-amz-target": "SageMaker.ListModels"}
    if name == "host":
        headers = {**request.headers, "authorization": authorization}

    with pytest.raises(SignatureError, match=f"must be signed: .*{name}"):
        read(replace(request, headers=headers))


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ({}, "missing"),
        ({"authorization": "Bearer x"}, "incomplete"),
        ({"authorization": "AWS4-HMAC-SHA256 Credential=a/b/c"}, "incomplete"),
        ({"authorization": "AWS4-HMAC-SHA256 "}, "incomplete"),
        ({"authorization": "AWS4-HMAC-SHA256 Credential=a, SignedHeaders=host, Signature=0"}, "incomplete"),
    ],
)
def test_what_is_no_signature_is_named(headers: dict[str, str], kind: str) -> None:
    with pytest.raises(SignatureError) as error:
        read(Request("POST", "/", "", {"host": "127.0.0.1", "x-amz-date": "20261125T000000Z", **headers}))

    assert error.value.kind == kind


@pytest.mark.parametrize(
    "query", ["X-Amz-Expires=0", "X-Amz-Expires=700000", "X-Amz-Expires=x", f"X-Amz-Expires={'9' * 5000}", ""]
)
def test_how_long_a_url_is_good_is_bounded(query: str) -> None:
    with pytest.raises(SignatureError, match="X-Amz-Expires"):
        read(Request("GET", "/", f"X-Amz-Algorithm=AWS4-HMAC-SHA256&{query}", {"host": "127.0.0.1"}))


NOW = 1_795_000_000.0


def dated(seconds_ago: float, expires: int | None = None) -> Signature:
    date = datetime.fromtimestamp(NOW - seconds_ago, UTC).strftime("%Y%m%dT%H%M%SZ")
    return Signature("AKIA", "s3", "0", date=date, signed_headers=("host",), expires=expires)


@pytest.mark.parametrize(("ago", "expires"), [(0, None), (899, None), (-899, None), (3599, 3600)])
def test_a_signature_is_good_for_its_time(ago: float, expires: int | None) -> None:
    check_time(dated(ago, expires), NOW)


@pytest.mark.parametrize(
    ("ago", "expires", "code"),
    [(901, None, "RequestTimeTooSkewed"), (-901, None, "RequestTimeTooSkewed"), (3601, 3600, "AccessDenied")],
)
def test_a_signature_outside_of_its_time_is_refused(ago: float, expires: int | None, code: str) -> None:
    with pytest.raises(SignatureError) as error:
        check_time(dated(ago, expires), NOW)

    assert signature_code(error.value.kind, "s3") == code


def test_a_url_of_version_2_expires() -> None:
    signature = Signature("AKIA", "s3", "0", date=str(int(time.time()) - 1), version=2)

    with pytest.raises(SignatureError, match="Request has expired"):
        check_time(signature)


@pytest.mark.parametrize("expires", ["", "0", "-5", "604801", "1_0"])
def test_a_url_that_says_wrongly_how_long_it_is_good_is_told_as_s3_does(expires: str) -> None:
    with pytest.raises(SignatureError, match=f"X-Amz-Expires={expires}: must be from 1 to 604800") as error:
        read(Request("GET", "/b/k", f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires={expires}", {}))

    assert signature_code(error.value.kind, "s3") == "AuthorizationQueryParametersError"
