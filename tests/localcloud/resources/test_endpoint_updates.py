"""Endpoints that change: updates, weights, the number of servers, and servers that are killed."""

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.resources.served import configure, invoke, serve, wait_for
from tests.waiting import Gate


def test_an_update_moves_requests_to_the_new_model_without_a_failure(
    cloud: Any, sagemaker: Any, runtime: Any, name: str
) -> None:
    serve(cloud, name, name="old")
    with Gate() as gate:
        config = configure(cloud, f"{name}-2", name="new", gate=str(gate.port))
        sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config)
        gate.arrived()
        assert sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "Updating"
        assert invoke(runtime, name)["model"] == "old"
    while sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "Updating":
        assert invoke(runtime, name)["model"] in ("old", "new")

    assert invoke(runtime, name)["model"] == "new"
    assert sagemaker.describe_endpoint(EndpointName=name)["EndpointConfigName"] == f"{name}-2"


def test_an_update_that_fails_leaves_the_old_model_serving(cloud: Any, sagemaker: Any, runtime: Any, name: str) -> None:
    serve(cloud, name, name="old")
    sagemaker.update_endpoint(
        EndpointName=name, EndpointConfigName=configure(cloud, f"{name}-2", fail="ImportError: x")
    )

    endpoint = wait_for(sagemaker, name, "InService")

    assert endpoint["EndpointConfigName"] == name
    assert endpoint["FailureReason"].endswith("ImportError: x")
    assert invoke(runtime, name)["model"] == "old"


def test_an_endpoint_in_progress_is_not_updated_again(cloud: Any, sagemaker: Any, name: str) -> None:
    serve(cloud, name)
    with Gate() as gate:
        config = configure(cloud, f"{name}-2", gate=str(gate.port))
        sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config)

        with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
            sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=name)


def test_a_killed_server_is_replaced_and_requests_wait_for_it(
    cloud: Any, runtime: Any, name: str, outside: Callable[[str], int]
) -> None:
    serve(cloud, name, name="steady")
    server = invoke(runtime, name)["server"]

    os.kill(outside(server), signal.SIGKILL)
    after = [invoke(runtime, name) for _ in range(5)]

    assert {answer["model"] for answer in after} == {"steady"}
    assert server not in {answer["server"] for answer in after}


def test_requests_are_shared_among_instances(cloud: Any, runtime: Any, name: str) -> None:
    serve(cloud, name, count=2)

    with ThreadPoolExecutor(4) as pool, Gate() as gate:
        asked = [pool.submit(invoke, runtime, name, b"wait %d" % gate.port) for _ in range(4)]
        gate.arrived(4)
        gate.open()
        servers = [request.result()["server"] for request in asked]

    assert sorted(servers.count(server) for server in set(servers)) == [2, 2]


def test_variants_share_requests_by_weight_and_can_be_named(
    cloud: Any, sagemaker: Any, runtime: Any, name: str
) -> None:
    configure(cloud, f"{name}-a", name="a")
    configure(cloud, f"{name}-b", name="b")
    variant = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[
            {**variant, "VariantName": "A", "ModelName": f"{name}-a", "InitialVariantWeight": 0},
            {**variant, "VariantName": "B", "ModelName": f"{name}-b", "InitialVariantWeight": 3},
        ],
    )
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    wait_for(sagemaker, name, "InService")

    by_weight = {invoke(runtime, name)["model"] for _ in range(20)}
    named = invoke(runtime, name, TargetVariant="A")["model"]
    sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=name,
        DesiredWeightsAndCapacities=[
            {"VariantName": "A", "DesiredWeight": 1},
            {"VariantName": "B", "DesiredWeight": 0},
        ],
    )
    wait_for(sagemaker, name, "InService")

    assert (by_weight, named) == ({"b"}, "a")
    assert {invoke(runtime, name)["model"] for _ in range(20)} == {"a"}
    with pytest.raises(ClientError, match=r"Variant C of endpoint .* not found"):
        invoke(runtime, name, TargetVariant="C")


def test_the_number_of_servers_can_be_changed(cloud: Any, sagemaker: Any, runtime: Any, name: str) -> None:
    serve(cloud, name)

    for count in (2, 1):
        sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=name,
            DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": count}],
        )
        endpoint = wait_for(sagemaker, name, "InService")
        assert endpoint["ProductionVariants"][0]["CurrentInstanceCount"] == count
    assert invoke(runtime, name)["bytes"] == 5


@pytest.mark.parametrize(
    ("wanted", "code", "words"),
    [
        (["AllTraffic", "AllTraffic"], "ValidationException", 'name "AllTraffic" was non-unique within the request'),
        (["Other"], "ValidationException", '"Other" is/are not present within endpoint configuration "'),
    ],
)
def test_weights_of_unknown_or_repeated_variants_are_refused(
    cloud: Any, sagemaker: Any, wanted: list[str], code: str, words: str
) -> None:
    name = f"weights-{len(wanted)}"
    serve(cloud, name)

    with pytest.raises(ClientError, match=words) as error:
        sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=name, DesiredWeightsAndCapacities=[{"VariantName": v, "DesiredWeight": 1} for v in wanted]
        )
    assert error.value.response["Error"]["Code"] == code


def test_too_many_instances_exceed_a_limit(cloud: Any, sagemaker: Any, name: str) -> None:
    serve(cloud, name)

    with pytest.raises(ClientError, match="asks for 123 instances") as error:
        sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=name,
            DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 123}],
        )
    assert error.value.response["Error"]["Code"] == "ResourceLimitExceeded"
