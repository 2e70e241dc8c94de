"""What a request to an endpoint is told while the cloud stops."""

import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import ClientError

from tests.localcloud.resources.served import artifact

BUCKET = "models-of-stop-tests"


def test_a_stopping_cloud_finishes_requests_and_refuses_new_ones(
    own_cloud: Callable[[], Any],
) -> None:
    cloud = own_cloud()
    sagemaker, s3, name = cloud.client("sagemaker"), cloud.client("s3"), "stopping"
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="model.tar.gz", Body=artifact(name="slow one", slow="2"))
    sagemaker.create_model(
        ModelName=name, PrimaryContainer={"Image": "image:1", "ModelDataUrl": f"s3://{BUCKET}/model.tar.gz"}
    )
    variant = {"VariantName": "A", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    while sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "Creating":
        time.sleep(0.05)

    def ask() -> str:
        try:
            cloud.client("sagemaker-runtime").invoke_endpoint(EndpointName=name, Body=b"photo")
        except ClientError as error:
            return f"{error.response['Error']['Code']}: {error.response['Error']['Message']}"
        return "answered"

    with ThreadPoolExecutor(1) as pool:
        taken = pool.submit(ask)
        time.sleep(0.7)
        cloud.process.send_signal(signal.SIGTERM)
        time.sleep(0.4)
        refused = ask()

    assert taken.result() == "answered"
    assert refused == "ServiceUnavailable: Endpoint stopping has no healthy server now: the local cloud is stopping."
