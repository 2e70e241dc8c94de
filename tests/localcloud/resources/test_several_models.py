"""Endpoints of many models: loaded on first use, by what a request names; the least recently used leave."""

import io
import json
import re
import tarfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.serving.loaded_models import MOST_MODELS
from tests.localcloud.resources.served import BUCKET, IMAGE, artifact, container, invoke, log_lines, serve_model
from tests.waiting import soon


def put(cloud: Any, key: str, body: bytes | None = None, **files: str) -> None:
    cloud.client("s3").put_object(Bucket=BUCKET, Key=key, Body=artifact(**files) if body is None else body)


def serve(cloud: Any, name: str, *names: str, cached: bool = True) -> None:
    """Serve models of these names by one container of several models."""
    for model in names:
        put(cloud, f"{name}/{model}.tar.gz", name=model)
    primary: dict[str, Any] = {"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/{name}/", "Mode": "MultiModel"}
    if not cached:
        primary["MultiModelConfig"] = {"ModelCacheSetting": "Disabled"}
    assert serve_model(cloud, name, PrimaryContainer=primary)["EndpointStatus"] == "InService"


def test_a_request_names_its_model(cloud: Any, runtime: Any, name: str) -> None:
    serve(cloud, name, "paris", "eu/rome")

    answers = [invoke(runtime, name, TargetModel=f"{m}.tar.gz", ContentType="text/csv") for m in ("paris", "eu/rome")]

    assert [answer["model"] for answer in answers] == ["paris", "eu/rome"]
    assert [answer["target"] for answer in answers] == ["paris.tar.gz", "eu/rome.tar.gz"]
    assert answers[0]["content_type"] == "text/csv"
    assert answers[0]["server"] == answers[1]["server"]


def test_a_model_that_is_added_later_is_served(cloud: Any, runtime: Any, name: str) -> None:
    serve(cloud, name, "first")
    invoke(runtime, name, TargetModel="first.tar.gz")

    put(cloud, f"{name}/later.tar.gz", name="later")

    assert invoke(runtime, name, TargetModel="later.tar.gz")["model"] == "later"


@pytest.mark.parametrize("target", ["no.tar.gz", "../other.tar.gz", "a/../../other.tar.gz", "/etc/passwd"])
def test_a_missing_archive_is_said_in_the_words_of_aws(cloud: Any, runtime: Any, target: str) -> None:
    endpoint = "missing-archives"
    if endpoint not in {e["EndpointName"] for e in cloud.client("sagemaker").list_endpoints()["Endpoints"]}:
        serve(cloud, endpoint, "there")
        put(cloud, "other.tar.gz", name="other")
    key = f"{endpoint}/{target.lstrip('/')}"

    with pytest.raises(ClientError) as error:
        invoke(runtime, endpoint, TargetModel=target)

    assert error.value.response["Error"]["Code"] == "ValidationError"
    said = f"Failed to download model data(bucket: {BUCKET}, key: {key}). Please ensure that there is an object"
    assert error.value.response["Error"]["Message"].startswith(said)
    assert invoke(runtime, endpoint, TargetModel="there.tar.gz")["model"] == "there"


def test_an_archive_that_cannot_be_used_harms_no_other(cloud: Any, runtime: Any, name: str) -> None:
    serve(cloud, name, "good")
    escaping = io.BytesIO()
    with tarfile.open(fileobj=escaping, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("../../outside"), io.BytesIO())
    put(cloud, f"{name}/escaping.tar.gz", escaping.getvalue())
    put(cloud, f"{name}/text.tar.gz", b"this is no archive")
    put(cloud, f"{name}/broken.tar.gz", fail="weights are missing")

    for target, words in (
        ("escaping", "would be written outside of the model directory"),
        ("text", "it is not a whole .tar.gz archive"),
        ("broken", r"server error \(500\) from primary with message .*weights are missing"),
        ("escaping", "would be written outside of the model directory"),
    ):
        with pytest.raises(ClientError, match=words):
            invoke(runtime, name, TargetModel=f"{target}.tar.gz")

    assert invoke(runtime, name, TargetModel="good.tar.gz")["model"] == "good"
    # Once it is mended it is served.
    put(cloud, f"{name}/text.tar.gz", name="mended")
    assert invoke(runtime, name, TargetModel="text.tar.gz")["model"] == "mended"


def test_the_least_recently_used_model_leaves(cloud: Any, runtime: Any, name: str) -> None:
    names = [f"m{number}" for number in range(MOST_MODELS + 1)]
    serve(cloud, name, *names)
    for model in [*names[:-1], "m0", names[-1], "m0"]:
        answer = invoke(runtime, name, TargetModel=f"{model}.tar.gz")
        assert answer["model"] == model

    assert answer["history"] == [*(f"+{model}" for model in names[:-1]), "-m1", f"+{names[-1]}"]


def _unloaded(cloud: Any, name: str) -> int:
    """How often the server of an endpoint was told to unload a model."""
    return sum(re.fullmatch("served /models/[^/]+", line) is not None for line in log_lines(cloud, name))


def test_without_a_cache_a_model_leaves_after_use(cloud: Any, runtime: Any, name: str) -> None:
    serve(cloud, name, "a", "b", cached=False)

    for number in (1, 2):
        invoke(runtime, name, TargetModel="a.tar.gz")
        assert soon(lambda unloaded=number: _unloaded(cloud, name) == unloaded)  # type: ignore[misc] # beside the answer
    answer = invoke(runtime, name, TargetModel="b.tar.gz")

    assert answer["history"] == ["+a", "-a", "+a", "-a", "+b"]


def test_a_model_that_needs_memory_drives_idle_ones_out(cloud: Any, runtime: Any, name: str) -> None:
    serve(cloud, name, "a", "b")
    put(cloud, f"{name}/huge.tar.gz", name="huge", huge="yes")
    for model in ("a", "b", "huge"):
        answer = invoke(runtime, name, TargetModel=f"{model}.tar.gz")

    assert answer["history"] == ["+a", "+b", "-a", "-b", "+huge"]


def test_a_server_that_died_loads_its_models_again(cloud: Any, runtime: Any, name: str) -> None:
    serve(cloud, name, "a")
    invoke(runtime, name, TargetModel="a.tar.gz")

    with pytest.raises(ClientError, match="closed the connection before it answered"):
        invoke(runtime, name, b"die", TargetModel="a.tar.gz")

    assert invoke(runtime, name, TargetModel="a.tar.gz")["model"] == "a"


def test_many_models_at_once_take_their_turn(cloud: Any, runtime: Any, name: str) -> None:
    names = [f"m{number}" for number in range(3 * MOST_MODELS)]
    serve(cloud, name, *names)

    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda m: invoke(runtime, name, TargetModel=f"{m}.tar.gz")["model"], names))

    assert answers == names


def test_the_model_must_be_named_if_and_only_if_there_are_several(cloud: Any, runtime: Any, name: str) -> None:
    serve(cloud, name, "a")
    with pytest.raises(ClientError, match="is missing a target model header"):
        invoke(runtime, name)

    serve_model(cloud, f"{name[:40]}-one", PrimaryContainer=container(cloud, f"{name}-one", name="one"))
    with pytest.raises(ClientError, match="is not a multi-model endpoint and does not support target model header"):
        invoke(runtime, f"{name[:40]}-one", TargetModel="a.tar.gz")


def test_a_pipeline_may_hold_one_container_of_many_models(cloud: Any, runtime: Any, name: str) -> None:
    first = container(cloud, f"{name}-first", name="first")
    put(cloud, f"{name}/rome.tar.gz", name="rome")
    # The prefix may be a whole bucket.
    second = {"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}", "Mode": "MultiModel"}
    serve_model(cloud, name, Containers=[first, second])

    answer = invoke(runtime, name, TargetModel=f"{name}/rome.tar.gz")

    before = json.loads(answer["before"])
    assert (before["model"], before["target"], answer["model"]) == ("first", None, "rome")
