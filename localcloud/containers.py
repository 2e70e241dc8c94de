"""The containers of a model: image, artifact and variables of each, for endpoints and transform jobs alike."""

from dataclasses import dataclass, field, fields
from typing import Any, Self

from localcloud.api import validation_error
from localcloud.cloud import Cloud

Document = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ContainerSpec:
    """One container of a model."""

    name: str = "primary"
    """Its ContainerHostname, or the name that SageMaker gives it."""
    image: str | None
    model_data_url: str | None = None
    """S3 address of the model archive, or of the prefix below which several archives or the model's files lie; None for
    a model without one."""
    packed: bool = True
    """Whether the model is an archive; its files lie in S3 as they are otherwise (ModelDataSource, no compression)."""
    environment: dict[str, str] = field(default_factory=dict)
    several: bool = False
    """Whether it serves several models, of which each request names one (Mode MultiModel)."""
    cached: bool = True
    """Whether several models stay in memory after use (ModelCacheSetting)."""

    @classmethod
    def read(cls, document: Document) -> Self:
        """Return the container that was stored as this document."""
        return cls(**members(cls, document))

    def document(self) -> Document:
        """Return the container as the store keeps it."""
        return {key(one.name): getattr(self, one.name) for one in fields(self)}


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """What runs for a model."""

    containers: list[ContainerSpec]
    """In their order: the answer of one is the request of the next, unless `direct`."""
    direct: bool = False
    """Whether each request names the one container that answers it (InferenceExecutionConfig)."""
    isolated: bool = False
    """Whether the containers have no network (EnableNetworkIsolation)."""
    role_arn: str | None = None

    @property
    def several(self) -> bool:
        """Whether a container serves several models."""
        return any(container.several for container in self.containers)


def served_model(cloud: Cloud, model: Document) -> ServedModel:
    """Return what runs for a model, whose document is like a CreateModel request; ApiError if it cannot be served.

    A container that names a model package stands for the package's containers; its own variables win over theirs.
    """
    definitions: list[Document] = []
    for own in model.get("Containers") or [model["PrimaryContainer"]]:
        if not own.get("ModelPackageName"):
            definitions.append(own)
            continue
        package = cloud.call("DescribeModelPackage", {"ModelPackageName": own["ModelPackageName"]})
        packed = (package.get("InferenceSpecification") or {}).get("Containers") or []
        if not packed:
            raise validation_error(f"ModelPackage {package['ModelPackageArn']} has no container that could be served.")
        for base in packed:
            environment = {**base.get("Environment", {}), **own.get("Environment", {})}
            definitions.append({**base, **own, "Environment": environment})
    return ServedModel(
        containers=[_container(one, name) for one, name in zip(definitions, _names(definitions), strict=True)],
        direct=(model.get("InferenceExecutionConfig") or {}).get("Mode") == "Direct",
        isolated=model.get("EnableNetworkIsolation", False),
        role_arn=model.get("ExecutionRoleArn"),
    )


def _names(definitions: list[Document]) -> list[str]:
    """The containers' names: those that are given, or by their place if not all have one of their own."""
    if len(definitions) == 1:
        return ["primary"]
    given = {definition.get("ContainerHostname") or "" for definition in definitions}
    if len(given) == len(definitions) and "" not in given:
        return [definition["ContainerHostname"] for definition in definitions]
    return [f"container-{number}" for number in range(1, len(definitions) + 1)]


def _container(definition: Document, name: str) -> ContainerSpec:
    """Return a ContainerDefinition, or a package's container, as a ContainerSpec of that name."""
    source = (definition.get("ModelDataSource") or {}).get("S3DataSource") or {}
    return ContainerSpec(
        name=name,
        image=definition.get("Image"),
        model_data_url=definition.get("ModelDataUrl") or source.get("S3Uri"),
        packed=source.get("CompressionType") != "None",
        environment=definition.get("Environment", {}),
        several=definition.get("Mode") == "MultiModel",
        cached=(definition.get("MultiModelConfig") or {}).get("ModelCacheSetting") != "Disabled",
    )


def key(name: str) -> str:
    """The key of a field in a stored document: `start_time` is StartTime."""
    return name.title().replace("_", "")


def members(cls: type[Any], document: Document) -> Document:
    """The fields of a dataclass that a stored document has, by name."""
    return {one.name: document[key(one.name)] for one in fields(cls) if key(one.name) in document}
