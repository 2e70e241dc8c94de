"""Checks what serverless variants accept, as AWS documents it. Pure functions.

Sources: ProductionVariantServerlessConfig in the API reference; "Serverless Inference" and "Invoke a serverless
endpoint" in SageMaker's developer guide. Locally such a variant is one server that always runs: memory is recorded, not
enforced, and there is no cold start.
"""

from typing import Any

from localcloud.api import ApiError, validation_error
from localcloud.serving.deployment import Deployment

MOST_BYTES = 4_194_304
START_SECONDS = 180
_MEMORY = range(1024, 6144 + 1, 1024)


def check_config(request: dict[str, Any], models: dict[str, dict[str, Any]]) -> None:
    """Raise ApiError if AWS would refuse the serverless variant of CreateEndpointConfig; `models` are by name."""
    variants = request["ProductionVariants"]
    if not any(variant.get("ServerlessConfig") for variant in variants + request.get("ShadowProductionVariants", [])):
        return
    if len(variants) > 1 or request.get("ShadowProductionVariants"):
        raise validation_error("A serverless endpoint has one production variant, and no shadow variant.")
    if (request.get("DataCaptureConfig") or {}).get("EnableCapture", "DataCaptureConfig" in request):
        raise validation_error("Data capture is not supported for serverless endpoints; leave out DataCaptureConfig.")
    [variant] = variants
    for member in ("InstanceType", "InitialInstanceCount"):
        if variant.get(member) is not None:
            raise validation_error(
                f"Production variant {variant['VariantName']!r} has ServerlessConfig, so it takes no {member}."
            )
    model = models[variant["ModelName"]]
    if request.get("VpcConfig") or model.get("VpcConfig"):
        raise validation_error("VpcConfig is not supported for serverless endpoints.")
    if model.get("EnableNetworkIsolation"):
        raise validation_error(
            f"Network isolation is not supported for serverless endpoints: model {variant['ModelName']!r} has "
            "EnableNetworkIsolation."
        )
    _check_size(variant["ServerlessConfig"])


def _check_size(config: dict[str, Any]) -> None:
    """ApiError for a memory size or a concurrency that AWS refuses."""
    if config["MemorySizeInMB"] not in _MEMORY:
        raise validation_error(
            f"Value '{config['MemorySizeInMB']}' at 'MemorySizeInMB' failed to satisfy constraint: "
            f"Member must satisfy enum value set: [{', '.join(map(str, _MEMORY))}]"
        )
    if config.get("ProvisionedConcurrency", 0) > config["MaxConcurrency"]:
        raise validation_error(
            f"ProvisionedConcurrency is {config['ProvisionedConcurrency']}, more than MaxConcurrency, "
            f"{config['MaxConcurrency']}."
        )


def check_update(live: Deployment, pending: Deployment) -> None:
    """Raise ApiError if an update would make an endpoint with instances serverless, which AWS refuses."""
    if pending.serverless and not live.serverless:
        raise validation_error(
            "An endpoint with instances cannot be updated to a serverless one: delete it and create it anew."
        )


def check_load(config: dict[str, Any] | None, busy: int, size: int) -> None:
    """Raise ApiError if AWS would refuse a request to a variant with this ServerlessConfig (None: with instances).

    `size` is the request's length in bytes, `busy` the number of requests in progress.
    """
    if config is None:
        return
    if size > MOST_BYTES:
        raise ApiError("", f"HTTP content length exceeded {MOST_BYTES} bytes.", 413)
    if busy >= config["MaxConcurrency"]:
        raise ApiError(
            "ThrottlingException",
            f"Rate exceeded: {busy} requests are in progress, and MaxConcurrency is {config['MaxConcurrency']}.",
        )
