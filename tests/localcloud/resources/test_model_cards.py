"""Model cards: versions, statuses, lists, and what is refused."""

import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError


@pytest.fixture(scope="module")
def sagemaker(cloud: Any) -> Any:
    return cloud.client("sagemaker")


@pytest.fixture
def card(sagemaker: Any) -> str:
    name = f"card-{uuid.uuid4().hex[:10]}"
    sagemaker.create_model_card(ModelCardName=name, ModelCardStatus="Draft", Content=content("first"))
    return name


def content(text: str) -> str:
    return json.dumps({"model_overview": {"model_description": text}})


def test_a_change_is_a_version_and_earlier_ones_stay(sagemaker: Any, card: str) -> None:
    sagemaker.update_model_card(ModelCardName=card, Content=content("second"))
    sagemaker.update_model_card(ModelCardName=card, ModelCardStatus="Approved")

    newest = sagemaker.describe_model_card(ModelCardName=card)
    first = sagemaker.describe_model_card(ModelCardName=card, ModelCardVersion=1)

    assert (newest["ModelCardVersion"], newest["ModelCardStatus"]) == (3, "Approved")
    assert (first["ModelCardStatus"], first["Content"]) == ("Draft", content("first"))
    assert newest["CreationTime"] == first["CreationTime"]
    assert newest["LastModifiedBy"]["IamIdentity"]["Arn"]


def test_cards_are_listed_by_name_and_status(sagemaker: Any, card: str) -> None:
    sagemaker.create_model_card(ModelCardName=f"{card}-2", ModelCardStatus="Approved", Content="{}")

    both = sagemaker.list_model_cards(NameContains=card)["ModelCardSummaries"]
    approved = sagemaker.list_model_cards(NameContains=card, ModelCardStatus="Approved")["ModelCardSummaries"]

    assert [c["ModelCardName"] for c in both] == [card, f"{card}-2"]
    assert [c["ModelCardName"] for c in approved] == [f"{card}-2"]


def test_versions_are_listed_in_order_and_in_pages(sagemaker: Any, card: str) -> None:
    for number in range(11):
        sagemaker.update_model_card(ModelCardName=card, Content=content(str(number)))

    pages = sagemaker.get_paginator("list_model_card_versions").paginate(
        ModelCardName=card, SortOrder="Descending", PaginationConfig={"PageSize": 5}
    )

    assert [v["ModelCardVersion"] for p in pages for v in p["ModelCardVersionSummaryList"]] == list(range(12, 0, -1))


def test_a_deleted_card_is_gone_with_its_versions(sagemaker: Any, card: str) -> None:
    sagemaker.delete_model_card(ModelCardName=card)

    with pytest.raises(ClientError, match=f"Modelcard {card} does not exist") as error:
        sagemaker.list_model_card_versions(ModelCardName=card)
    assert error.value.response["Error"]["Code"] == "ResourceNotFound"


@pytest.mark.parametrize(
    ("code", "words", "call"),
    [
        ("ConflictException", "already exists", lambda s, n: create(s, n)),
        ("ValidationException", "is not JSON", lambda s, n: create(s, f"{n}-x", "{")),
        ("ValidationException", "is not JSON", lambda s, n: create(s, f"{n}-x", "[" * 90_000)),
        ("ValidationException", "must be a JSON object", lambda s, n: create(s, f"{n}-x", "[]")),
        (
            "ValidationException",
            "both model card content and model card status",
            lambda s, n: s.update_model_card(ModelCardName=n, Content="{}", ModelCardStatus="Approved"),
        ),
        ("ResourceNotFound", "version: 7", lambda s, n: s.describe_model_card(ModelCardName=n, ModelCardVersion=7)),
        ("ResourceNotFound", "does not exist", lambda s, n: s.update_model_card(ModelCardName="no", Content="{}")),
    ],
)
def test_what_cannot_be_is_refused(sagemaker: Any, card: str, code: str, words: str, call: Any) -> None:
    with pytest.raises(ClientError, match=words) as error:
        call(sagemaker, card)
    assert error.value.response["Error"]["Code"] == code


def create(sagemaker: Any, name: str, text: str = "{}") -> None:
    sagemaker.create_model_card(ModelCardName=name, ModelCardStatus="Draft", Content=text)
