"""Experiments, trials, trial components, artifacts, actions and contexts: create, describe, update, delete, list.

The six resources are alike, so one table describes them and one set of functions serves them. `components` adds the
trial components of jobs, and `lineage` the artifacts and contexts that SageMaker makes by itself.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from localcloud.api import ApiError, operation, page, pick, tags, validation_error
from localcloud.api.shapes import service_model
from localcloud.cloud import Cloud
from localcloud.state.store import DuplicateError

Document = dict[str, Any]


@dataclass(frozen=True)
class Resource:
    """One of the six: `label` begins its members (`TrialName`), `kind` is its place in ARNs and in the store."""

    label: str
    kind: str
    plain: str
    """Its name in a sentence, with its article."""
    filters: tuple[str, ...] = ()
    """Members of List requests that must be equal to those of the resource."""
    source: str = "Source"
    """What its Source is called in the answer of List."""

    @property
    def name(self) -> str:
        """The member that names it."""
        return f"{self.label}Name"

    @property
    def arn(self) -> str:
        """The member that holds its ARN."""
        return f"{self.label}Arn"

    @property
    def key(self) -> str:
        """The member that requests find it by: artifacts are found by their ARN."""
        return self.arn if self.label == "Artifact" else self.name


@dataclass
class Extra:
    """What a resource has beside the stored documents; set by the module that knows it."""

    documents: Callable[[Cloud], Iterable[Document]] = lambda cloud: ()
    where: Callable[[Cloud, Document], Callable[[Document], bool]] = lambda cloud, request: lambda document: True
    before_create: Callable[[Cloud, Document], None] = lambda cloud, request: None
    before_delete: Callable[[Cloud, Document], None] = lambda cloud, document: None


EXPERIMENT = Resource("Experiment", "experiment", "an experiment", source="ExperimentSource")
TRIAL = Resource("Trial", "experiment-trial", "a trial", ("ExperimentName",), "TrialSource")
COMPONENT = Resource("TrialComponent", "experiment-trial-component", "a trial component", (), "TrialComponentSource")
ARTIFACT = Resource("Artifact", "artifact", "an artifact", ("ArtifactType",))
ACTION = Resource("Action", "action", "an action", ("ActionType",))
CONTEXT = Resource("Context", "context", "a context", ("ContextType",))
RESOURCES = (EXPERIMENT, TRIAL, COMPONENT, ARTIFACT, ACTION, CONTEXT)
EXTRAS: dict[str, Extra] = {resource.label: Extra() for resource in RESOURCES}
_REMOVED = {
    "PropertiesToRemove": "Properties",
    "ParametersToRemove": "Parameters",
    "InputArtifactsToRemove": "InputArtifacts",
    "OutputArtifactsToRemove": "OutputArtifacts",
}


def documents(cloud: Cloud, resource: Resource) -> list[Document]:
    """All of a resource: those that were created, and those that SageMaker makes by itself. The former come first."""
    found = {document[resource.arn]: document for document in cloud.store.documents(resource.kind)}
    for document in EXTRAS[resource.label].documents(cloud):
        found.setdefault(document[resource.arn], document)
    return list(found.values())


def find(cloud: Cloud, resource: Resource, value: str) -> Document:
    """One of a resource by what requests find it by; ResourceNotFound in AWS's words if it is not there."""
    stored = cloud.store.get(resource.kind, value)
    if stored is not None:
        return stored
    for document in EXTRAS[resource.label].documents(cloud):
        if document[resource.key] == value:
            return document
    arn = value if value.startswith("arn:") else cloud.arn(resource.kind, value)
    raise ApiError("ResourceNotFound", f"{resource.label} '{arn}' does not exist.")


def create(cloud: Cloud, resource: Resource, request: Document) -> Document:
    """Create one; ValidationException if its name is taken. Its document."""
    EXTRAS[resource.label].before_create(cloud, request)
    artifact = resource is ARTIFACT
    arn = cloud.arn(resource.kind, secrets.token_hex(16) if artifact else request[resource.name])
    now = cloud.clock()
    document = {
        **{name: value for name, value in request.items() if name != "Tags"},
        resource.arn: arn,
        "CreationTime": now,
        "LastModifiedTime": now,
        "CreatedBy": cloud.user(),
        "LastModifiedBy": cloud.user(),
    }
    if resource in (EXPERIMENT, TRIAL, COMPONENT):
        # The API reference: without a DisplayName, the name is displayed.
        document.setdefault("DisplayName", request[resource.name])
    with cloud.store.transaction():
        try:
            cloud.store.insert(resource.kind, document[resource.key], document)
        except DuplicateError:
            raise validation_error(
                f"{resource.label} names must be unique within an AWS account and region. "
                f"{resource.label} with name ({request[resource.name]}) already exists."
            ) from None
        tags.remember(cloud.store, arn, request.get("Tags"))
    return document


def update(cloud: Cloud, resource: Resource, request: Document) -> Document:
    """Change the members that are given; maps are added to, and members of theirs removed, as on AWS."""
    with cloud.store.transaction():
        document = find(cloud, resource, request[resource.key])
        for name, value in request.items():
            if name in _REMOVED:
                kept = document.get(_REMOVED[name], {})
                document[_REMOVED[name]] = {key: item for key, item in kept.items() if key not in value}
            elif name in _REMOVED.values():
                document[name] = {**document.get(name, {}), **value}
            else:
                document[name] = value
        document.update(LastModifiedTime=cloud.clock(), LastModifiedBy=cloud.user())
        cloud.store.put(resource.kind, document[resource.key], document)
    return document


def delete(cloud: Cloud, resource: Resource, request: Document) -> Document:
    """Delete one; what SageMaker makes by itself is refused. Its document as it was."""
    with cloud.store.transaction():
        document = find(cloud, resource, _to_delete(cloud, resource, request))
        EXTRAS[resource.label].before_delete(cloud, document)
        if not cloud.store.delete(resource.kind, document[resource.key]):
            raise validation_error(f"{document[resource.arn]} was made by SageMaker and cannot be deleted.")
        tags.forget(cloud.store, document[resource.arn])
    return document


def _to_delete(cloud: Cloud, resource: Resource, request: Document) -> str:
    """What the request finds it by; DeleteArtifact takes a source too."""
    if resource.key in request:
        return str(request[resource.key])
    uri = (request.get("Source") or {}).get("SourceUri")
    if uri is None:
        raise validation_error("Give ArtifactArn or Source.")
    for document in cloud.store.documents(resource.kind):
        if document["Source"]["SourceUri"] == uri:
            return str(document[resource.key])
    raise ApiError("ResourceNotFound", f"Artifact with source '{uri}' does not exist.")


def listed(cloud: Cloud, resource: Resource, request: Document) -> Document:
    """One page of a List operation, newest first by default."""
    uri = request.get("SourceUri")
    matches = EXTRAS[resource.label].where(cloud, request)

    def where(document: Document) -> bool:
        if uri is not None and document["Source"]["SourceUri"] != uri:
            return False
        named = all(request.get(name) in (None, document.get(name)) for name in resource.filters)
        return named and matches(document)

    (member,) = (name for name in _answer(f"List{resource.label}s").members if name != "NextToken")
    members = set(_answer(f"List{resource.label}s").members[member].member.members)

    def summary(document: Document) -> Document:
        return pick({**document, resource.source: document.get("Source")}, *members)

    chosen = documents(cloud, resource)
    return page(request, chosen, member=member, summary=summary, name=resource.name, identity=resource.arn, where=where)


def _answer(name: str) -> Any:
    return service_model("sagemaker").operation_model(name).output_shape


_SENTENCES = {
    "Create": "Create {}",
    "Describe": "Describe {}",
    "Update": "Change {}; members that are not given stay",
    "Delete": "Delete {}",
    "List": "List {}, newest first by default",
}
_WORK: dict[str, Callable[[Cloud, Resource, Document], Document]] = {
    "Create": lambda cloud, resource, request: pick(create(cloud, resource, request), resource.arn),
    "Describe": lambda cloud, resource, request: find(cloud, resource, request[resource.key]),
    "Update": lambda cloud, resource, request: pick(update(cloud, resource, request), resource.arn),
    "Delete": lambda cloud, resource, request: pick(delete(cloud, resource, request), resource.arn),
    "List": listed,
}


def _register(resource: Resource, verb: str) -> None:
    """Register the operation `verb` of one of the six resources, such as CreateTrial."""
    work = _WORK[verb]

    def handler(cloud: Cloud, request: Document) -> Document:
        return work(cloud, resource, request)

    many = f"{resource.plain.split(' ', 1)[1]}s"
    handler.__doc__ = _SENTENCES[verb].format(many if verb == "List" else resource.plain)
    operation(f"{verb}{resource.label}{'s' if verb == 'List' else ''}")(handler)


for _resource in RESOURCES:
    for _verb in _WORK:
        _register(_resource, _verb)
