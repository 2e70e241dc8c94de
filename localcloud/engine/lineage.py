"""The lineage of models: which data, images and jobs made which artifacts, read off jobs and model packages. Pure.

Entities and associations are those that SageMaker makes by itself ("Amazon SageMaker-Created Tracking Entities"): a
job is a trial component, its inputs and image contribute to it, it produces its outputs; a model package is an artifact
that its model data contribute to and that is associated with its group, a context.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

Document = dict[str, Any]
Arn = Callable[[str, str], str]


@dataclass(frozen=True)
class Entity:
    """One vertex. `lineage_type` is Artifact, Action, TrialComponent or Context; `type` is narrower, as DataSet."""

    arn: str
    name: str
    type: str
    lineage_type: str
    source: str
    created: float


@dataclass(frozen=True)
class Association:
    """One edge, such as source ContributedTo destination; the type may be missing."""

    source: str
    destination: str
    type: str | None
    created: float


@dataclass
class Lineage:
    """All entities by ARN, and the associations between them."""

    arn: Arn
    entities: dict[str, Entity] = field(default_factory=dict)
    associations: dict[Association, None] = field(default_factory=dict)
    """Each once, in the order in which they were added."""
    _of: dict[str, list[Association]] = field(default_factory=dict)
    _created: dict[str, str] = field(default_factory=dict)
    """The ARNs of artifacts that clients created, by their sources."""

    def add_created(self, entities: Iterable[Entity]) -> None:
        """Add what clients created, before all else: an artifact of theirs stands for the jobs' data at its place."""
        for entity in entities:
            self.entities[entity.arn] = entity
            if entity.lineage_type == "Artifact":
                self._created.setdefault(entity.source, entity.arn)

    def associate(self, associations: Iterable[Association]) -> None:
        """Add associations that clients made, after all else; one whose end was deleted is left out."""
        for made in associations:
            if made.source in self.entities and made.destination in self.entities:
                self._associate(made.source, made.destination, made.type, made.created)

    def add_jobs(self, label: str, jobs: Iterable[Document]) -> None:
        """Add processing or training jobs that have completed; `label` is Processing or Training."""
        for job in jobs:
            if job[f"{label}JobStatus"] != "Completed":
                continue
            created, source = job["CreationTime"], job[f"{label}JobArn"]
            name = f"{job[f'{label}JobName']}-aws-{label.lower()}-job"
            component = self._entity("experiment-trial-component", name, f"SageMaker{label}Job", source, created)
            for kind, uri in _inputs(label, job):
                self._associate(self._artifact(kind, uri, created), component, "ContributedTo", created)
            for kind, uri in _outputs(label, job):
                self._associate(component, self._artifact(kind, uri, created), "Produced", created)

    def add_packages(self, packages: Iterable[Document]) -> None:
        """Add model packages, with the groups that they are versions in."""
        for package in packages:
            created = package["CreationTime"]
            made = self._artifact("ModelPackage", package["ModelPackageArn"], created)
            for container in (package.get("InferenceSpecification") or {}).get("Containers") or []:
                for kind, uri in (("Model", container.get("ModelDataUrl")), ("Image", container.get("Image"))):
                    if uri:
                        self._associate(self._artifact(kind, uri, created), made, "ContributedTo", created)
            group = package.get("ModelPackageGroupName")
            if group:
                source = self.arn("model-package-group", group)
                context = self._entity("context", f"{group}-aws-model-package-group", "ModelGroup", source, created)
                self._associate(made, context, "AssociatedWith", created)

    def neighbours(self, arn: str, direction: str) -> Iterator[tuple[Association, str]]:
        """The associations of an entity, and what is at their other end; Ascendants are what it came from."""
        for association in self._of.get(arn, []):
            if association.destination == arn and direction in ("Both", "Ascendants"):
                yield association, association.source
            if association.source == arn and direction in ("Both", "Descendants"):
                yield association, association.destination

    def _artifact(self, kind: str, uri: str, created: float) -> str:
        """Add an artifact at an S3 address or image URI, unless there is one; return its ARN."""
        if uri in self._created:
            return self._created[uri]
        digest = hashlib.sha256(uri.encode()).hexdigest()[:32]
        arn = self.arn("artifact", digest)
        # The same place is one artifact: what one job calls data, another may have made as a model.
        if arn not in self.entities or self.entities[arn].type == "DataSet":
            self.entities[arn] = Entity(arn, digest, kind, "Artifact", uri, created)
        return arn

    def _entity(self, place: str, name: str, kind: str, source: str, created: float) -> str:
        arn = self.arn(place, name)
        lineage_type = "Context" if place == "context" else "TrialComponent"
        self.entities.setdefault(arn, Entity(arn, name, kind, lineage_type, source, created))
        return arn

    def _associate(self, source: str, destination: str, kind: str | None, created: float) -> None:
        """Add an association between two ARNs, once."""
        association = Association(source, destination, kind, created)
        if association not in self.associations:
            self.associations[association] = None
            for arn in (source, destination):
                self._of.setdefault(arn, []).append(association)


def _inputs(label: str, job: Document) -> Iterator[tuple[str, str]]:
    """Yield (type, URI) of what a job read: data, image and code."""
    if label == "Training":
        for channel in job.get("InputDataConfig", []):
            yield "DataSet", channel["DataSource"]["S3DataSource"]["S3Uri"]
        yield "Image", job["AlgorithmSpecification"]["TrainingImage"]
        # In script mode the source code is named by a hyperparameter.
        code = job.get("HyperParameters", {}).get("sagemaker_submit_directory", "").strip('"')
        if code.startswith("s3://"):
            yield "Code", code
    else:
        for item in job.get("ProcessingInputs", []):
            if item.get("S3Input"):
                yield "DataSet", item["S3Input"]["S3Uri"]
        yield "Image", job["AppSpecification"]["ImageUri"]


def _outputs(label: str, job: Document) -> Iterator[tuple[str, str]]:
    """Yield (type, URI) of what a job wrote: a model, or data."""
    if label == "Training":
        yield "Model", job["ModelArtifacts"]["S3ModelArtifacts"]
    else:
        for output in (job.get("ProcessingOutputConfig") or {}).get("Outputs", []):
            if output.get("S3Output"):
                yield "DataSet", output["S3Output"]["S3Uri"]
