"""Lineage: ListArtifacts, DescribeArtifact, ListAssociations, QueryLineage, answered from jobs and model packages."""

from typing import Any

from localcloud.api import ApiError, operation, page, refuse
from localcloud.cloud import Cloud
from localcloud.engine.lineage import Association, Entity, Lineage

_MOST_VERTICES = 50
_DEPTH = 10


def _lineage(cloud: Cloud) -> Lineage:
    lineage = Lineage(cloud.arn)
    lineage.add_jobs("Processing", cloud.store.documents("processing-job"))
    lineage.add_jobs("Training", cloud.store.documents("training-job"))
    lineage.add_packages(cloud.store.documents("model-package"))
    return lineage


def _find(lineage: Lineage, arn: str) -> Entity:
    entity = lineage.entities.get(arn)
    if entity is None:
        raise ApiError("ResourceNotFound", f"Resource '{arn}' does not exist.")
    return entity


def _artifact(entity: Entity) -> dict[str, Any]:
    return {
        "ArtifactArn": entity.arn,
        "ArtifactName": entity.name,
        "Source": {"SourceUri": entity.source},
        "ArtifactType": entity.type,
        "CreationTime": entity.created,
    }


@operation("ListArtifacts")
def list_artifacts(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """List the data, images, code, models and model packages of jobs that completed, newest first."""
    uri, kind = request.get("SourceUri"), request.get("ArtifactType")
    chosen = [
        _artifact(entity)
        for entity in _lineage(cloud).entities.values()
        if entity.lineage_type == "Artifact" and uri in (None, entity.source) and kind in (None, entity.type)
    ]
    return page(request, chosen, member="ArtifactSummaries", summary=dict, name="ArtifactName", identity="ArtifactArn")


@operation("DescribeArtifact")
def describe_artifact(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Describe an artifact, with the URI that it stands for."""
    entity = _find(_lineage(cloud), request["ArtifactArn"])
    if entity.lineage_type != "Artifact":
        raise ApiError("ResourceNotFound", f"Artifact '{request['ArtifactArn']}' does not exist.")
    return _artifact(entity)


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
    if entity.type not in filters.get("Types", [entity.type]):
        return False
    if entity.lineage_type not in filters.get("LineageTypes", [entity.lineage_type]):
        return False
    after = max(filters.get("CreatedAfter", 0.0), filters.get("ModifiedAfter", 0.0))
    before = min(filters.get("CreatedBefore", float("inf")), filters.get("ModifiedBefore", float("inf")))
    return bool(after <= entity.created <= before)
