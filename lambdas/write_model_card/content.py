"""What a model card says of a version, in the form of SageMaker's model card schema. Pure.

The schema: https://docs.aws.amazon.com/sagemaker/latest/dg/model-cards.html#model-cards-json-schema. The evaluation's
members are those of docs/evaluation.md; what an older evaluation lacks is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

Content = dict[str, Any]

STATUS = {"Approved": "Approved", "PendingManualApproval": "PendingReview", "Rejected": "Draft"}
"""The card's status by the version's approval. Not Archived for a rejected one: it may be approved after all."""

_OF_PEOPLE = ("intended_uses", "business_details")
_LONGEST = 1024  # characters of a custom detail
_MOST_CLASSES = 20  # in the confusion matrix, which may have so many rows
_ARTIFACT = re.compile(r".*/train/([A-Za-z0-9](?:-*[A-Za-z0-9]){0,62})/output/model\.tar\.gz")

_PURPOSE = (
    "Tells from a photo which of these vehicles a driver rides, so that the driver is sent to the right loading bay."
)
_USES = (
    "Photos of one rider's vehicle, taken at the entrance of a depot. Answers below one of the two thresholds are not "
    "acted upon: a person looks at the photo. Not for telling people apart, and not for any other kind of vehicle."
)
_FACTORS = (
    "Photos unlike those it learned from: darkness, blur, other angles, vehicles of other kinds. Monitoring compares "
    "what arrives with the test photos."
)
_RISK = "A wrong answer sends a driver to another bay with orders for another vehicle, which is noticed there."
_CAVEATS = (
    "The figures are of the test photos named here. A label that says drawn samples means pictures made by a program: "
    "such figures say nothing about photos."
)


def describe(version: Mapping[str, Any], evaluation: Mapping[str, Any]) -> Content:
    """The content of the card of a version (DescribeModelPackage's answer) with its evaluation.json, {} without one."""
    metadata = version.get("CustomerMetadataProperties", {})
    containers = version.get("InferenceSpecification", {}).get("Containers", [])
    classes = metadata.get("classes", "unknown").split()
    data = f"{metadata.get('data_label', 'unknown')}, sha256 {metadata.get('data_sha256', 'unknown')}"
    artifacts = [container["ModelDataUrl"] for container in containers[:1] if "ModelDataUrl" in container]
    job: dict[str, Any] = {
        "training_datasets": [data],
        "training_environment": {"container_image": [container["Image"] for container in containers[:1]]},
    }
    if artifacts and (trained := _ARTIFACT.fullmatch(artifacts[0])):
        job["training_arn"] = version["ModelPackageArn"].partition(":model-package/")[0] + f":training-job/{trained[1]}"
    return {
        "model_overview": {
            "model_description": f"Version {version['ModelPackageVersion']} of {version['ModelPackageGroupName']}: "
            f"an image classifier for {', '.join(classes)}."[:_LONGEST],
            "model_name": version["ModelPackageGroupName"],
            "model_version": version["ModelPackageVersion"],
            "problem_type": "Image classification",
            "algorithm_type": "Convolutional neural network",
            "model_artifact": artifacts,
        },
        "model_package_details": _package(version),
        "intended_uses": {
            "purpose_of_model": _PURPOSE,
            "intended_uses": _USES,
            "factors_affecting_model_efficiency": _FACTORS,
            "risk_rating": "Low",
            "explanations_for_risk_rating": _RISK,
        },
        "training_details": {"training_job_details": job},
        "evaluation_details": list(_evaluations(version, evaluation, data)),
        "additional_information": {
            "caveats_and_recommendations": _CAVEATS,
            "custom_details": _details(version, metadata),
        },
    }


def merged(content: Content, before: Mapping[str, Any]) -> Content:
    """The content, with what people may have written into the card before: uses, risk, business and considerations."""
    kept = {name: before[name] for name in _OF_PEOPLE if name in before}
    ours, theirs = content["additional_information"], before.get("additional_information", {})
    details = {**theirs.get("custom_details", {}), **ours["custom_details"]}
    return {**content, **kept, "additional_information": {**ours, **theirs, "custom_details": details}}


def _package(version: Mapping[str, Any]) -> dict[str, Any]:
    """Return the card's member model_package_details."""
    said = {
        "model_package_arn": version["ModelPackageArn"],
        "model_package_group_name": version["ModelPackageGroupName"],
        "model_package_version": version["ModelPackageVersion"],
        "model_package_status": version["ModelPackageStatus"],
        "model_approval_status": version["ModelApprovalStatus"],
    }
    if version.get("ApprovalDescription"):
        said["approval_description"] = version["ApprovalDescription"]
    return said


def _evaluations(version: Mapping[str, Any], evaluation: Mapping[str, Any], data: str) -> Iterator[dict[str, Any]]:
    """The card's evaluation details: the figures on the test photos, and those of the verification once there was one.

    `data` names the data set by label and SHA-256. Documented as `evaluation_details` of the model card's JSON schema.
    """
    groups = list(_groups(evaluation))
    if groups:
        count = evaluation.get("test", {}).get("count")
        yield {
            "name": "Test photos",
            "evaluation_observation": f"{count} photos, which training has not seen, through the handler that serves.",
            "datasets": [data],
            "metric_groups": groups,
        }
    metadata = version.get("CustomerMetadataProperties", {})
    verified = list(_numbers({name: metadata.get(f"verification_{name}") for name in ("accuracy", "milliseconds")}))
    if verified:
        yield {
            "name": "Verification",
            "evaluation_observation": f"Labelled photos sent to an endpoint: {metadata.get('verification')}.",
            "metric_groups": [{"name": "endpoint", "metric_data": verified}],
        }


def _groups(evaluation: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The groups of metrics that the evaluation has figures for.

    An accuracy of 0 in the gate stands for "there was nothing to compare with" (docs/evaluation.md): it is left out.
    """
    intervals = evaluation.get("confidence_intervals", {})
    gate = evaluation.get("gate", {})
    notes = {name: f"95 % interval {low:.4f} to {high:.4f}" for name, (low, high) in intervals.items()}
    outside = ("out_of_distribution_accepted", "out_of_distribution_auroc")
    champion = ("champion_accuracy", "not_worse_than_champion")
    recent = ("recent_accuracy", "recent_champion_accuracy", "better_on_recent")
    named = {
        "decision": {n: v for n, v in gate.items() if n not in (*outside, *champion, *recent)},
        "calibration": {n: evaluation.get("calibration", {}).get(n) for n in ("nll", "ece", "brier")},
        "out of distribution": {n: gate.get(n) for n in outside},
        "comparison with the approved version": {n: gate.get(n) for n in champion} if gate.get(champion[0]) else {},
        "recently labelled photos": {n: gate.get(n) for n in recent} if gate.get(recent[0]) else {},
    }
    if (costs := evaluation.get("costs")) and not costs["assumed"]:
        named["cost of a thousand photos"] = {
            "with this version's thresholds": costs["of_a_thousand"],
            "with those of the version approved then": (costs["champion"] or {}).get("of_a_thousand"),
            "cheapest thresholds on the test photos": sum(one["best"]["cost"] for one in costs["curves"]),
            "of a review": costs["review"],
            **{f"of a wrong {name}": cost for name, cost in costs["wrong_bay"].items()},
        }
    for name, figures in named.items():
        if metrics := list(_numbers(figures, notes)):
            yield {"name": name, "metric_data": metrics}
    confusion = evaluation.get("multiclass_classification_metrics", {}).get("confusion_matrix", {})
    if 0 < len(confusion) <= _MOST_CLASSES:
        classes = list(confusion)
        yield {
            "name": "confusion matrix",
            "metric_data": [
                {
                    "name": "photos by class and answer",
                    "type": "matrix",
                    "value": [[float(confusion[truth].get(answer, 0)) for answer in classes] for truth in classes],
                    "x_axis_name": classes,
                    "y_axis_name": classes,
                }
            ],
        }


def _numbers(figures: Mapping[str, Any], notes: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
    for name, value in figures.items():
        if value is not None:
            note = {"notes": notes[name]} if notes and name in notes else {}
            yield {"name": name, "type": "number", "value": float(value), **note}


def _details(version: Mapping[str, Any], metadata: Mapping[str, str]) -> dict[str, str]:
    """Everything that the registry holds of the version, and who made it and when."""
    created = version.get("CreatedBy", {})
    said = {
        **metadata,
        "approval": version["ModelApprovalStatus"],
        "approval_comment": version.get("ApprovalDescription", ""),
        "registered_at": version["CreationTime"].isoformat(timespec="seconds"),
        "registered_by": created.get("IamIdentity", {}).get("Arn") or created.get("UserProfileName", ""),
        "pipeline_execution": version.get("MetadataProperties", {}).get("GeneratedBy", ""),
    }
    return {name: text[:_LONGEST] or "none" for name, text in said.items()}
