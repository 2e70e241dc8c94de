"""Model cards: what a model is for, what it was made of, and how good it is. Each change is a version."""

from typing import Any

from localcloud.api import ApiError, operation, page, pick, strict_json, tags, validation_error
from localcloud.cloud import Cloud
from localcloud.state.store import DuplicateError

KIND = "model-card"
VERSION = "model-card-version"


def _missing(text: str) -> ApiError:
    return ApiError("ResourceNotFound", text)


def _name(name_or_arn: str) -> str:
    return name_or_arn.rpartition("/")[2]


def _find(cloud: Cloud, name_or_arn: str) -> dict[str, Any]:
    card = cloud.store.get(KIND, _name(name_or_arn))
    if card is None:
        raise _missing(f"Modelcard {_name(name_or_arn)} does not exist.")
    return card


def check_content(text: str) -> None:
    """ValidationException unless the card's content is a JSON object."""
    try:
        content = strict_json.loads(text)
    except ValueError as error:
        raise validation_error(f"Content of the model card is not JSON: {error}.") from None
    if not isinstance(content, dict):
        raise validation_error("Content of the model card must be a JSON object.")


def _keep(cloud: Cloud, card: dict[str, Any]) -> None:
    """Store a card as its newest version, and the version itself; for use inside a transaction."""
    name, number = card["ModelCardName"], card["ModelCardVersion"]
    cloud.store.put(KIND, name, card)
    cloud.store.put(VERSION, f"{name}/{number}", {**card, "_place": f"{number:09d}"}, parent=name)


@operation("CreateModelCard")
def create_model_card(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Create a model card as version 1. Content must be a JSON object; its schema is not checked."""
    check_content(request["Content"])
    name, now = request["ModelCardName"], cloud.clock()
    card = {
        **pick(request, "ModelCardName", "Content", "ModelCardStatus", "SecurityConfig"),
        "ModelCardArn": cloud.arn(KIND, name),
        "ModelCardVersion": 1,
        "CreationTime": now,
        "CreatedBy": cloud.user(),
        "LastModifiedTime": now,
        "LastModifiedBy": cloud.user(),
    }
    with cloud.store.transaction():
        try:
            cloud.store.insert(KIND, name, card)
        except DuplicateError:
            raise ApiError("ConflictException", f"Modelcard {name} already exists") from None
        _keep(cloud, card)
        tags.remember(cloud.store, card["ModelCardArn"], request.get("Tags"))
    return {"ModelCardArn": card["ModelCardArn"]}


@operation("UpdateModelCard")
def update_model_card(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Change content or status, as the next version. An archived card cannot be changed."""
    if {"Content", "ModelCardStatus"} <= set(request):
        raise validation_error("You cannot update both model card content and model card status in a single call.")
    if "Content" in request:
        check_content(request["Content"])
    with cloud.store.transaction():
        card = _find(cloud, request["ModelCardName"])
        if card["ModelCardStatus"] == "Archived":
            raise ApiError("ConflictException", f"Modelcard {card['ModelCardName']} is archived and cannot be changed.")
        card.update(
            pick(request, "Content", "ModelCardStatus"),
            ModelCardVersion=card["ModelCardVersion"] + 1,
            LastModifiedTime=cloud.clock(),
            LastModifiedBy=cloud.user(),
        )
        _keep(cloud, card)
    return {"ModelCardArn": card["ModelCardArn"]}


@operation("DescribeModelCard")
def describe_model_card(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Describe the newest version of a model card, or the one that is asked for."""
    name, number = _name(request["ModelCardName"]), request.get("ModelCardVersion")
    card = _find(cloud, name)
    if number is None:
        return card
    version = cloud.store.get(VERSION, f"{name}/{number}")
    if version is None:
        raise _missing(f"Modelcard with name {name} and version: {number} does not exist")
    return version


@operation("ListModelCards")
def list_model_cards(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """List model cards, the oldest first by default."""
    return page(
        request,
        _of_status(request, cloud.store.documents(KIND)),
        member="ModelCardSummaries",
        summary=lambda card: pick(
            card, "ModelCardName", "ModelCardArn", "ModelCardStatus", "CreationTime", "LastModifiedTime"
        ),
        name="ModelCardName",
        identity="ModelCardName",
        default_order="Ascending",
    )


@operation("ListModelCardVersions")
def list_model_card_versions(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """List the versions of a model card, the first one first by default."""
    card = _find(cloud, request["ModelCardName"])
    return page(
        request,
        _of_status(request, cloud.store.documents(VERSION, card["ModelCardName"])),
        member="ModelCardVersionSummaryList",
        summary=lambda version: pick(
            version,
            "ModelCardName",
            "ModelCardArn",
            "ModelCardStatus",
            "ModelCardVersion",
            "CreationTime",
            "LastModifiedTime",
        ),
        name="ModelCardName",
        identity="_place",
        sort={"Version": "_place"},
        default_sort="Version",
        default_order="Ascending",
    )


@operation("DeleteModelCard")
def delete_model_card(cloud: Cloud, request: dict[str, Any]) -> None:
    """Delete a model card with its versions."""
    with cloud.store.transaction():
        card = _find(cloud, request["ModelCardName"])
        cloud.store.delete_children(VERSION, card["ModelCardName"])
        cloud.store.delete(KIND, card["ModelCardName"])
        tags.forget(cloud.store, card["ModelCardArn"])


def _of_status(request: dict[str, Any], cards: list[dict[str, Any]]) -> list[dict[str, Any]]:
    status = request.get("ModelCardStatus")
    return [card for card in cards if status is None or card["ModelCardStatus"] == status]
