"""AWS::SageMaker::Model, EndpointConfig, Endpoint and Pipeline of CloudFormation, as calls of SageMaker's operations.

Source: "Amazon SageMaker resource type reference" of the CloudFormation user guide: Ref is the ARN (of a pipeline its
name), the name is an attribute. A changed model or endpoint configuration is made anew, an endpoint and a pipeline are
updated in place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.model import Shape

from localcloud.api import ApiError, pick, tags
from localcloud.api.shapes import service_model
from localcloud.cloud import Cloud

Document = dict[str, Any]
_POLL_SECONDS = 0.1
_MOST_NAME = 50


@dataclass(frozen=True)
class Type:
    """One resource type, whose three functions have the signatures of `Emulator.register_resource_type`.

    `label` begins the names of members (`ModelName`); `in_place` says whether a change keeps the resource.
    """

    cloud: Cloud
    label: str
    in_place: bool = False

    def create(self, logical_id: str, properties: Document, stack: str) -> tuple[str, Document]:
        """Create it, under a name of its own if the template has none, and wait until it is ready."""
        named = properties.get(self._name) or f"{logical_id[:_MOST_NAME]}-{self.cloud.new_id()}"
        self._call("Create", {**self._request(properties), self._name: named})
        return self._ready(named)

    def update(self, ref: str, old: Document, new: Document, stack: str) -> tuple[str, Document]:
        """Change it, or make it anew and delete the old one, as CloudFormation documents it for what changed."""
        name = ref.rpartition("/")[2]
        changed = {key for key in {*old, *new} - {"Tags"} if old.get(key) != new.get(key)}
        if not changed or (self.in_place and self._name not in changed):
            if changed:
                self._call("Update", {**self._request(new), self._name: name})
            tags.remember(self.cloud.store, self._described(name)[f"{self.label}Arn"], new.get("Tags"))
            return self._ready(name)
        if new.get(self._name) == name:
            raise ValueError(
                "CloudFormation cannot update a stack when a custom-named resource requires replacing. "
                f"Rename {name} and update the stack again."
            )
        made = self.create(name.rpartition("-")[0] or name, new, stack)
        self.delete(ref, old)
        return made

    def delete(self, ref: str, properties: Document) -> None:
        """Delete it and wait until it is gone; no error if it is not there."""
        name = ref.rpartition("/")[2]
        try:
            self.cloud.call(f"Delete{self.label}", self._named(name, "Delete"))
            while self._described(name).get("EndpointStatus") == "Deleting":
                if self.cloud.runner.stopping.wait(_POLL_SECONDS):
                    return
        except ApiError as error:
            if "Could not find" not in error.message and "does not exist" not in error.message:
                raise ValueError(error.message) from error

    @property
    def _name(self) -> str:
        return f"{self.label}Name"

    def _named(self, name: str, verb: str) -> Document:
        members = service_model("sagemaker").operation_model(f"{verb}{self.label}").input_shape.members
        token = {"ClientRequestToken": self.cloud.new_id(32)} if "ClientRequestToken" in members else {}
        return {self._name: name, **token}

    def _request(self, properties: Document) -> Document:
        """The properties as members of SageMaker's requests."""
        given = dict(properties)
        definition = given.pop("PipelineDefinition", None)
        if isinstance(definition, dict):
            body, place = definition.get("PipelineDefinitionBody"), definition.get("PipelineDefinitionS3Location")
            if body is not None:
                given["PipelineDefinition"] = body
            if place is not None:
                version = {"VersionId": place["Version"]} if place.get("Version") else {}
                given["PipelineDefinitionS3Location"] = {
                    "Bucket": place["Bucket"],
                    "ObjectKey": place["Key"],
                    **version,
                }
        return given

    def _call(self, verb: str, given: Document) -> None:
        """Call SageMaker's operation `verb` for the resource; ValueError with SageMaker's message if it refuses."""
        shape = service_model("sagemaker").operation_model(f"{verb}{self.label}").input_shape
        known = {**pick(given, *shape.members), **self._named(given[self._name], verb)}
        try:
            self.cloud.call(f"{verb}{self.label}", typed(shape, known))
        except ApiError as error:
            raise ValueError(error.message) from error

    def _described(self, name: str) -> Document:
        return self.cloud.call(f"Describe{self.label}", {self._name: name})

    def _ready(self, name: str) -> tuple[str, Document]:
        """Wait for an endpoint's servers; Ref and attributes. ValueError with the reason if they do not come up."""
        while (found := self._described(name)).get("EndpointStatus") in ("Creating", "Updating", "RollingBack"):
            if self.cloud.runner.stopping.wait(_POLL_SECONDS):
                raise ValueError("The local cloud was stopped.")
        if self.label == "Endpoint" and (found["EndpointStatus"] != "InService" or found.get("FailureReason")):
            raise ValueError(found.get("FailureReason", f"Endpoint {name} is {found['EndpointStatus']}."))
        arn = found[f"{self.label}Arn"]
        return name if self.label == "Pipeline" else arn, {self._name: name, f"{self.label}Arn": arn, "Id": arn}


def types(cloud: Cloud) -> dict[str, Type]:
    """The resource types by their names in templates."""
    return {
        "AWS::SageMaker::Model": Type(cloud, "Model"),
        "AWS::SageMaker::EndpointConfig": Type(cloud, "EndpointConfig"),
        "AWS::SageMaker::Endpoint": Type(cloud, "Endpoint", in_place=True),
        "AWS::SageMaker::Pipeline": Type(cloud, "Pipeline", in_place=True),
    }


_FROM_TEXT: dict[str, Callable[[str], Any]] = {
    "integer": int,
    "long": int,
    "float": float,
    "double": float,
    "boolean": lambda text: {"true": True, "false": False}[text.lower()],
}


def typed(shape: Shape, value: Any) -> Any:
    """A template's value with its members in SageMaker's types: parameters of a stack are always text.

    What cannot be read is left as it is, for SageMaker to refuse.
    """
    if shape.type_name == "structure" and isinstance(value, dict):
        return {k: typed(shape.members[k], v) if k in shape.members else v for k, v in value.items()}
    if shape.type_name == "map" and isinstance(value, dict):
        return {k: typed(shape.value, v) for k, v in value.items()}
    if shape.type_name == "list" and isinstance(value, list):
        return [typed(shape.member, one) for one in value]
    if shape.type_name in _FROM_TEXT and isinstance(value, str):
        try:
            return _FROM_TEXT[shape.type_name](value)
        except (ValueError, KeyError):
            return value
    if shape.type_name == "string" and isinstance(value, bool):
        return str(value).lower()
    if shape.type_name == "string" and isinstance(value, int | float):
        return str(value)
    return value
