"""Endpoints for tests: models that say what they are told to, configured, served and invoked."""

import io
import json
import tarfile
from typing import Any

from botocore.exceptions import ClientError

from tests.waiting import soon

BUCKET = "models-of-endpoint-tests"
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/loadingbay:1"


def artifact(**files: str) -> bytes:
    """A model.tar.gz with these files, as bytes."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for path, text in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return data.getvalue()


def configure(
    cloud: Any,
    name: str,
    /,
    capture: dict[str, Any] | None = None,
    count: int = 1,
    isolated: bool = False,
    **files: str,
) -> str:
    """A model with these files, and a configuration of one variant that serves it; both under `name`."""
    cloud.client("s3").put_object(Bucket=BUCKET, Key=f"{name}.tar.gz", Body=artifact(**files))
    sagemaker = cloud.client("sagemaker")
    sagemaker.create_model(
        ModelName=name,
        PrimaryContainer={
            "Image": IMAGE,
            "ModelDataUrl": f"s3://{BUCKET}/{name}.tar.gz",
            "Environment": {"OWN": "variable"},
        },
        ExecutionRoleArn="arn:aws:iam::000000000000:role/any",
        EnableNetworkIsolation=isolated,
    )
    sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[
            {
                "VariantName": "AllTraffic",
                "ModelName": name,
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": count,
            }
        ],
        **({"DataCaptureConfig": capture} if capture else {}),
    )
    return name


def serve_model(cloud: Any, name: str, /, config: dict[str, Any] | None = None, **members: Any) -> Any:
    """An endpoint with one instance of a model made with these members of CreateModel."""
    sagemaker = cloud.client("sagemaker")
    sagemaker.create_model(ModelName=name, ExecutionRoleArn="arn:aws:iam::000000000000:role/any", **members)
    variant = {"VariantName": "AllTraffic", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant], **(config or {}))
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    return wait_for(sagemaker, name, "InService", "Failed")


def container(cloud: Any, key: str, /, *, hostname: str | None = None, **files: str) -> dict[str, Any]:
    """A container of a model with these files, whose archive is put under `key`."""
    cloud.client("s3").put_object(Bucket=BUCKET, Key=f"{key}.tar.gz", Body=artifact(**files))
    named = {"ContainerHostname": hostname} if hostname else {}
    return {"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/{key}.tar.gz", **named}


def wait_for(sagemaker: Any, name: str, *statuses: str) -> dict[str, Any]:
    """The endpoint's description once it has one of the statuses."""
    endpoint: dict[str, Any] = {}

    def there() -> bool:
        nonlocal endpoint
        endpoint = sagemaker.describe_endpoint(EndpointName=name)
        return endpoint["EndpointStatus"] in statuses

    reached = soon(there)
    assert reached, f"{name} is {endpoint['EndpointStatus']}, not {statuses}: {endpoint.get('FailureReason')}"
    return endpoint


def serve(cloud: Any, name: str, /, **options: Any) -> Any:
    sagemaker = cloud.client("sagemaker")
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=configure(cloud, name, **options))
    return wait_for(sagemaker, name, "InService", "Failed")


def log_lines(cloud: Any, name: str) -> list[str]:
    """The lines of an endpoint's log; its group is made with the first one."""
    try:
        found = cloud.client("logs").filter_log_events(logGroupName=f"/aws/sagemaker/Endpoints/{name}")
    except ClientError:
        return []
    return [event["message"] for event in found["events"]]


def invoke(runtime: Any, name: str, body: bytes = b"photo", **members: Any) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(runtime.invoke_endpoint(EndpointName=name, Body=body, **members)["Body"].read())
    return answer
