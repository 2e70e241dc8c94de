"""What a request to an endpoint is told while the cloud stops."""

import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import ClientError

from tests.localcloud.resources.served import artifact, wait_for
from tests.waiting import Gate, soon

BUCKET = "models-of-stop-tests"


def test_a_stopping_cloud_finishes_requests_and_refuses_new_ones(
    own_cloud: Callable[[], Any],
) -> None:
    cloud = own_cloud()
    sagemaker, s3, name = cloud.client("sagemaker"), cloud.client("s3"), "stopping"
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="model.tar.gz", Body=artifact(name="one"))
    sagemaker.create_model(
        ModelName=name, PrimaryContainer={"Image": "image:1", "ModelDataUrl": f"s3://{BUCKET}/model.tar.gz"}
    )
    variant = {"VariantName": "A", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    wait_for(sagemaker, name, "InService")

    def ask(body: bytes) -> str:
        try:
            cloud.client("sagemaker-runtime").invoke_endpoint(EndpointName=name, Body=body)
        except ClientError as error:
            return f"{error.response['Error']['Code']}: {error.response['Error']['Message']}"
        return "answered"

    with ThreadPoolExecutor(1) as pool, Gate() as gate:
        taken = pool.submit(ask, b"wait %d" % gate.port)
        gate.arrived()
        cloud.process.send_signal(signal.SIGTERM)
        refused = soon(lambda: (said := ask(b"photo")) != "answered" and said)

    assert taken.result() == "answered"
    assert refused == "ServiceUnavailable: Endpoint stopping has no healthy server now: the local cloud is stopping."
