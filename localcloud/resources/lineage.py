"""Lineage: associations and QueryLineage, over what clients created and what jobs and model packages tell."""

from collections.abc import Callable, Iterator
from typing import Any

from localcloud.api import ApiError, operation, page, pick, refuse, validation_error
from localcloud.cloud import Cloud
from localcloud.engine.lineage import Association, Entity, Lineage
from localcloud.resources.tracking import ACTION, ARTIFACT, COMPONENT, CONTEXT, EXTRAS, Document, Extra, Resource
from localcloud.state.store import DuplicateError

_ASSOCIATION = "association"

_MOST_VERTICES = 50
_DEPTH = 10


def _lineage(cloud: Cloud) -> Lineage:
    """Return the lineage of all that is stored: jobs, model packages and what clients created."""
    lineage = Lineage(cloud.arn)
    created = (ARTIFACT, CONTEXT, ACTION, COMPONENT)
    lineage.add_created(_entity(kind, made) for kind in created for made in cloud.store.documents(kind.kind))
    lineage.add_jobs("Processing", cloud.store.documents("processing-job"))
    lineage.add_jobs("Training", cloud.store.documents("training-job"))
    lineage.add_packages(cloud.store.documents("model-package"))
    lineage.associate(
        Association(made["SourceArn"], made["DestinationArn"], made.get("AssociationType"), made["CreationTime"])
        for made in cloud.store.documents(_ASSOCIATION)
    )
    return lineage


def _entity(resource: Resource, made: Document) -> Entity:
    """Return a created artifact, context, action or trial component as a vertex of the lineage."""
    source = made.get("Source", {})
    return Entity(
        made[resource.arn],
        made.get(resource.name, ""),
        made.get(f"{resource.label}Type") or source.get("SourceType", "SageMakerTrialComponent"),
        resource.label,
        source.get("SourceUri", ""),
        made["CreationTime"],
    )


def _find(lineage: Lineage, arn: str) -> Entity:
    entity = lineage.entities.get(arn)
    if entity is None:
        raise ApiError("ResourceNotFound", f"Resource '{arn}' does not exist.")
    return entity


def _made_by_itself(lineage_type: str) -> Callable[[Cloud], Iterator[Document]]:
    """The artifacts or contexts of jobs and model packages, which no client created."""

    def documents(cloud: Cloud) -> Iterator[Document]:
        for entity in _lineage(cloud).entities.values():
            if entity.lineage_type == lineage_type:
                yield {
                    f"{lineage_type}Arn": entity.arn,
                    f"{lineage_type}Name": entity.name,
                    f"{lineage_type}Type": entity.type,
                    "Source": {"SourceUri": entity.source},
                    "CreationTime": entity.created,
                }

    return documents


def _without_associations(resource: Resource) -> Callable[[Cloud, Document], None]:
    """A function, called when one of these resources is deleted, that deletes the associations with it."""

    def delete(cloud: Cloud, document: Document) -> None:
        for made in cloud.store.documents(_ASSOCIATION):
            if document[resource.arn] in (made["SourceArn"], made["DestinationArn"]):
                cloud.store.delete(_ASSOCIATION, _place(made))

    return delete


for _resource in (ARTIFACT, CONTEXT, ACTION):
    EXTRAS[_resource.label] = Extra(
        documents=_made_by_itself(_resource.label), before_delete=_without_associations(_resource)
    )


def _place(made: Document) -> str:
    return f"{made['SourceArn']} {made['DestinationArn']}"


@operation("AddAssociation")
def add_association(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Associate two artifacts, actions, contexts or trial components; an association that is there is refused."""
    entities = _lineage(cloud)
    for member in ("SourceArn", "DestinationArn"):
        _find(entities, request[member])
    document = {**request, "CreationTime": cloud.clock()}
    try:
        cloud.store.insert(_ASSOCIATION, _place(request), document)
    except DuplicateError:
        raise validation_error(
            f"There is an association of {request['SourceArn']} with {request['DestinationArn']} already."
        ) from None
    return pick(request, "SourceArn", "DestinationArn")


@operation("DeleteAssociation")
def delete_association(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Delete an association that AddAssociation made."""
    if not cloud.store.delete(_ASSOCIATION, _place(request)):
        raise ApiError(
            "ResourceNotFound",
            f"Association of '{request['SourceArn']}' with '{request['DestinationArn']}' does not exist.",
        )
    return pick(request, "SourceArn", "DestinationArn")


@operation("ListAssociations")
def list_associations(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """List which entity contributed to, produced or is associated with which other, newest first."""
    lineage = _lineage(cloud)
    chosen = []
    for association in lineage.associations:
        summary = _association(lineage, association)
        wanted = ("SourceArn", "DestinationArn", "SourceType", "DestinationType", "AssociationType")
        if all(request.get(member) in (None, summary[member]) for member in wanted):
            chosen.append(summary)
    return page(
        request,
        chosen,
        member="AssociationSummaries",
        summary=lambda found: {name: value for name, value in found.items() if name != "_Place"},
        name="SourceName",
        identity="_Place",
        sort={name: name for name in ("SourceArn", "DestinationArn", "SourceType", "DestinationType")},
    )


def _association(lineage: Lineage, association: Association) -> dict[str, Any]:
    """Return an edge of the lineage as an AssociationSummary."""
    source, destination = lineage.entities[association.source], lineage.entities[association.destination]
    return {
        "SourceArn": source.arn,
        "DestinationArn": destination.arn,
        "SourceType": source.type,
        "DestinationType": destination.type,
        "AssociationType": association.type,
        "SourceName": source.name,
        "DestinationName": destination.name,
        "CreationTime": association.created,
        "_Place": f"{source.arn} {destination.arn} {association.type}",
    }


@operation("QueryLineage")
def query_lineage(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Return what a resource came from and what was made of it, the nearest first; there are no further pages."""
    filters = request.get("Filters") or {}
    refuse(filters, "Properties")
    refuse(request, "NextToken")
    lineage = _lineage(cloud)
    direction, depth = request.get("Direction", "Both"), request.get("MaxDepth", _DEPTH)
    starts = [_find(lineage, arn).arn for arn in request.get("StartArns", [])]
    found, reached = list(starts), set(starts)
    edges: dict[Association, None] = {}
    for way in ("Ascendants", "Descendants") if direction == "Both" else (direction,):
        # Up and down apart: what else was made of the same data is no relative.
        near, seen = list(starts), set(starts)
        for _ in range(depth):
            following = []
            for arn in near:
                for association, other in lineage.neighbours(arn, way):
                    edges[association] = None
                    if other not in seen:
                        seen.add(other)
                        following.append(other)
            found += [arn for arn in following if arn not in reached]
            reached.update(following)
            near = following
    kept = [lineage.entities[arn] for arn in found if _passes(lineage.entities[arn], filters)]
    kept = kept[: request.get("MaxResults", _MOST_VERTICES)]
    names = {entity.arn for entity in kept}
    answer: dict[str, Any] = {
        "Vertices": [{"Arn": e.arn, "Type": e.type, "LineageType": e.lineage_type} for e in kept],
    }
    if request.get("IncludeEdges", True):
        answer["Edges"] = [
            {"SourceArn": e.source, "DestinationArn": e.destination, "AssociationType": e.type}
            for e in edges
            if {e.source, e.destination} <= names
        ]
    return answer


def _passes(entity: Entity, filters: dict[str, Any]) -> bool:
    """Whether an entity passes the filters of QueryLineage by type and time."""
    if entity.type not in filters.get("Types", [entity.type]):
        return False
    if entity.lineage_type not in filters.get("LineageTypes", [entity.lineage_type]):
        return False
    after = max(filters.get("CreatedAfter", 0.0), filters.get("ModifiedAfter", 0.0))
    before = min(filters.get("CreatedBefore", float("inf")), filters.get("ModifiedBefore", float("inf")))
    return bool(after <= entity.created <= before)
