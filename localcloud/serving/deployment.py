"""What an endpoint serves, as its document in the store keeps it: the deployment in service and the one in progress.

A deployment is a snapshot of the configuration and its models, so that it can be served after both were deleted.
"""

from dataclasses import dataclass, field, fields
from typing import Any, Self

KIND = "endpoint"
"""The kind of endpoints' documents in the store."""


@dataclass(frozen=True, kw_only=True)
class ServedContainer:
    """What runs for a model."""

    image: str | None
    model_data_url: str | None = None
    """S3 address of the model archive; None for a model without one."""
    environment: dict[str, str] = field(default_factory=dict)
    isolated: bool = False
    """Whether the container has no network (EnableNetworkIsolation)."""
    role_arn: str | None = None


@dataclass(frozen=True, kw_only=True)
class VariantSpec(ServedContainer):
    """A variant of a deployment: its container, the number of its servers and its share of the requests."""

    variant_name: str
    weight: float
    """Share of the requests, relative to the weights of the other variants."""
    count: int
    """Number of servers."""
    serverless: dict[str, Any] | None = None
    """ServerlessConfig of a variant without instances."""
    start_seconds: int | None = None
    """How long a server may take until it answers pings, in seconds; None for the default."""
    resolution_time: float
    """When the model was looked up, in seconds since 1970."""

    @classmethod
    def read(cls, document: dict[str, Any]) -> Self:
        """Return the variant that `document` made."""
        return cls(**_members(cls, document))

    def document(self) -> dict[str, Any]:
        """Return the variant as the store keeps it."""
        return {_key(one.name): getattr(self, one.name) for one in fields(self)}

    def summary(self) -> dict[str, Any]:
        """Return the variant as a ProductionVariantSummary."""
        image = {
            "SpecifiedImage": self.image,
            "ResolvedImage": self.image,
            "ResolutionTime": self.resolution_time,
        }
        capacity: dict[str, Any]
        if self.serverless:
            capacity = {"CurrentServerlessConfig": self.serverless, "DesiredServerlessConfig": self.serverless}
        else:
            capacity = {"CurrentInstanceCount": self.count, "DesiredInstanceCount": self.count}
        return {
            "VariantName": self.variant_name,
            "DeployedImages": [image],
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
        """Return the deployment that `document` made."""
        members = _members(cls, document)
        for name in ("variants", "shadows"):
            members[name] = [VariantSpec.read(variant) for variant in members.get(name, [])]
        return cls(**members)

    def document(self) -> dict[str, Any]:
        """Return the deployment as the store keeps it."""
        return {
            **{_key(one.name): getattr(self, one.name) for one in fields(self)},
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


def _key(name: str) -> str:
    """The key of a field in a stored document: `start_time` is StartTime."""
    return name.title().replace("_", "")


def _members(cls: type[Any], document: dict[str, Any]) -> dict[str, Any]:
    return {one.name: document[_key(one.name)] for one in fields(cls) if _key(one.name) in document}
