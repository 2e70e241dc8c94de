"""What an endpoint serves, as its document in the store keeps it: the deployment in service and the one in progress.

A deployment is a snapshot of the configuration and its models, so that it can be served after both were deleted.
"""

from dataclasses import dataclass, field, fields
from typing import Any, Self

from localcloud.containers import ContainerSpec, ServedModel, key, members

KIND = "endpoint"
"""The kind of endpoints' documents in the store."""


@dataclass(frozen=True, kw_only=True)
class VariantSpec(ServedModel):
    """A variant of a deployment: its model, the number of its instances and its share of the requests."""

    variant_name: str
    weight: float
    """Share of the requests, relative to the weights of the other variants."""
    count: int
    """Number of instances."""
    serverless: dict[str, Any] | None = None
    """ServerlessConfig of a variant without instances."""
    start_seconds: int | None = None
    """How long a server may take until it answers pings, in seconds; None for the default."""
    resolution_time: float
    """When the model was looked up, in seconds since 1970."""

    @classmethod
    def read(cls, document: dict[str, Any]) -> Self:
        """Return the variant that was stored as this document; earlier releases stored its only container in it."""
        given = members(cls, document)
        given["containers"] = [ContainerSpec.read(one) for one in document.get("Containers", [document])]
        return cls(**given)

    def document(self) -> dict[str, Any]:
        """Return the variant as the store keeps it."""
        return {
            **{key(one.name): getattr(self, one.name) for one in fields(self)},
            "Containers": [container.document() for container in self.containers],
        }

    def summary(self) -> dict[str, Any]:
        """Return the variant as a ProductionVariantSummary."""
        images = [
            {"SpecifiedImage": one.image, "ResolvedImage": one.image, "ResolutionTime": self.resolution_time}
            for one in self.containers
        ]
        capacity: dict[str, Any]
        if self.serverless:
            capacity = {"CurrentServerlessConfig": self.serverless, "DesiredServerlessConfig": self.serverless}
        else:
            capacity = {"CurrentInstanceCount": self.count, "DesiredInstanceCount": self.count}
        return {
            "VariantName": self.variant_name,
            "DeployedImages": images,
            "CurrentWeight": self.weight,
            "DesiredWeight": self.weight,
            **capacity,
        }


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """Everything that is needed to serve an endpoint configuration."""

    endpoint_config_name: str
    variants: list[VariantSpec]
    shadows: list[VariantSpec] = field(default_factory=list)
    """Variants that get copies of requests; their responses are discarded."""
    data_capture_config: dict[str, Any] | None = None
    async_inference_config: dict[str, Any] | None = None
    """AsyncInferenceConfig of an endpoint that is invoked asynchronously, or None."""
    deployment_config: dict[str, Any] | None = None
    """How the update to this deployment moves requests (DeploymentConfig)."""
    directory: str
    """Name of the deployment's directory in the endpoint's directory."""
    start_time: float
    """When the deployment was requested, in seconds since 1970."""

    @classmethod
    def read(cls, document: dict[str, Any]) -> Self:
        """Return the deployment that was stored as this document."""
        given = members(cls, document)
        for name in ("variants", "shadows"):
            given[name] = [VariantSpec.read(variant) for variant in given.get(name, [])]
        return cls(**given)

    def document(self) -> dict[str, Any]:
        """Return the deployment as the store keeps it."""
        return {
            **{key(one.name): getattr(self, one.name) for one in fields(self)},
            "Variants": [variant.document() for variant in self.variants],
            "Shadows": [variant.document() for variant in self.shadows],
        }

    @property
    def servers(self) -> int:
        """The number of servers of all production variants."""
        return sum(variant.count for variant in self.variants)

    @property
    def serverless(self) -> bool:
        """Whether a production variant has ServerlessConfig."""
        return any(variant.serverless for variant in self.variants)

    def capture_summary(self) -> dict[str, Any] | None:
        """Return the DataCaptureConfigSummary of the endpoint, or None without data capture."""
        config = self.data_capture_config
        if config is None:
            return None
        enabled = config.get("EnableCapture", True)
        return {
            "EnableCapture": enabled,
            "CaptureStatus": "Started" if enabled else "Stopped",
            "CurrentSamplingPercentage": config["InitialSamplingPercentage"],
            "DestinationS3Uri": config["DestinationS3Uri"],
            "KmsKeyId": config.get("KmsKeyId", ""),
        }


def live(endpoint: dict[str, Any]) -> Deployment | None:
    """Return the deployment in service of an endpoint's document; None before the first one is."""
    return _deployment(endpoint, "_Live")


def pending(endpoint: dict[str, Any]) -> Deployment | None:
    """Return the deployment in progress of an endpoint's document; None if there is none."""
    return _deployment(endpoint, "_Pending")


def in_service(deployment: Deployment) -> dict[str, Any]:
    """Return the members of an endpoint's document that say that `deployment` is in service, and none in progress."""
    return {"_Live": deployment.document(), "_Pending": None}


def in_progress(deployment: Deployment | None) -> dict[str, Any]:
    """Return the member of an endpoint's document that says which deployment is in progress."""
    return {"_Pending": None if deployment is None else deployment.document()}


def _deployment(endpoint: dict[str, Any], key: str) -> Deployment | None:
    document = endpoint.get(key)
    return Deployment.read(document) if document else None
