"""Promotion between accounts: what it asks of the other account, that one's policies allow, and nothing else.

The policies are those of the template with PromoteToAccount, decided on by an evaluator of IAM's rules.
"""

import json
import re
from typing import Any

import pytest
from ministack.core.iam_evaluator import EvalContext, evaluate_resource_policy
from samtranslator.yaml_helper import yaml_parse

from lambdas.deploy_model import verification
from tests.workflow.application import expanded, template
from tests.workflow.build_calls import CICD, needed, promotion
from tests.workflow.dependencies import resolved
from tests.workflow.test_delivery import CICD_FILE

STAGING, PRODUCTION, STRANGER = "111111111111", "000000000000", "222222222222"
BUCKET = f"arn:aws:s3:::staging-{STAGING}-us-east-1"
GROUP = f"arn:aws:sagemaker:us-east-1:{STAGING}:model-package-group/staging"
FILLED_IN = {
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::AccountId": STAGING,
    "Name": "staging",
    "PromoteToAccount": PRODUCTION,
    "DataBucket.Arn": BUCKET,
}


def filled(node: Any, known: dict[str, str] = FILLED_IN) -> Any:
    """A part of a template as CloudFormation resolves it, with every condition true."""
    if isinstance(node, dict) and "Fn::Sub" in node:
        return re.sub(r"\$\{([\w:.]+)\}", lambda found: known[found[1]], node["Fn::Sub"])
    if isinstance(node, dict) and "Fn::GetAtt" in node:
        return known[".".join(node["Fn::GetAtt"])]
    if isinstance(node, dict) and set(node) == {"Ref"}:
        return known[node["Ref"]]
    if isinstance(node, dict):
        return {name: filled(value, known) for name, value in node.items()}
    return [filled(value, known) for value in node] if isinstance(node, list) else node


def properties(name: str) -> dict[str, Any]:
    return resolved(expanded()["Resources"][name]["Properties"], holds=True)


POLICIES = {
    "s3": filled(properties("DataBucketPolicy")["PolicyDocument"]),
    "sagemaker": filled(properties("ModelPackageGroup")["ModelPackageGroupPolicy"]),
    "ecr": filled(properties("Images")["RepositoryPolicyText"]),
}
# A repository's policy is about the repository, and names no resource.
POLICIES["ecr"]["Statement"][0]["Resource"] = "*"


def allowed(action: str, resource: str, account: str = PRODUCTION, policies: Any = None, **context: str) -> bool:
    """Whether the staging account's policies allow it to a role of this account."""
    asked = EvalContext(
        principal_arn=f"arn:aws:sts::{account}:assumed-role/build/session",
        principal_type="AssumedRole",
        principal_account=account,
        action=action,
        resource_arn=resource,
        region="us-east-1",
        secure_transport=True,
        service_context={"events:source": "", **{name.replace("_", ":"): value for name, value in context.items()}},
    )
    policy = policies or POLICIES[action.partition(":")[0]]
    return evaluate_resource_policy(policy, asked).decision == "Allow"


def asked_of_staging(monkeypatch) -> list[tuple[str, str, dict[str, str]]]:
    """(action, resource, context) of each permission in the other account that a promotion needs."""
    found = []
    for call in promotion(monkeypatch, account=STAGING):
        for action, resource in needed(call):
            if resource.startswith(BUCKET) or f":{STAGING}:" in resource:
                prefix = {"s3_prefix": call[2]["Prefix"]} if call[1] == "ListObjectsV2" else {}
                found.append((action, resource, prefix))
    return found


def test_what_a_promotion_asks_of_the_other_account_is_allowed_there(monkeypatch):
    asked = asked_of_staging(monkeypatch)
    assert {action for action, *_ in asked} == {
        "s3:GetObject", "s3:ListBucket", "sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages",
    }  # fmt: skip
    assert [need for need in asked if not allowed(need[0], need[1], **need[2])] == []


def test_no_third_account_is_allowed_any_of_it(monkeypatch):
    for action, resource, context in asked_of_staging(monkeypatch):
        assert not allowed(action, resource, STRANGER, **context), action


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("s3:GetObject", f"{BUCKET}/data-capture/staging/AllTraffic/2026/11/26/01/a.jsonl"),
        ("s3:GetObject", f"{BUCKET}/incoming/photo.png"),
        ("s3:GetObject", f"{BUCKET}/pipelines/staging/abc/stage/train/images.rec"),
        ("s3:PutObject", f"{BUCKET}/pipelines/staging/abc/train/job/output/model.tar.gz"),
        ("sagemaker:UpdateModelPackage", GROUP.replace("-group", "") + "/7"),
        ("sagemaker:DeleteModelPackageGroup", GROUP),
        ("ecr:PutImage", f"arn:aws:ecr:us-east-1:{STAGING}:repository/staging"),
    ],
)
def test_photos_stay_and_nothing_is_changed_by_the_other_account(action, resource):
    assert not allowed(action, resource)


def test_only_evaluations_may_be_listed():
    assert allowed("s3:ListBucket", BUCKET, s3_prefix="pipelines/staging/abc/evaluate/evaluation/")
    assert not allowed("s3:ListBucket", BUCKET, s3_prefix="data-capture/")


def test_the_other_account_runs_the_very_image():
    repository = f"arn:aws:ecr:us-east-1:{STAGING}:repository/staging"
    pulling = properties("RunImage")["PolicyDocument"]["Statement"][0]
    # There, the role names the account and repository of the image.
    text, named = pulling["Resource"]["Fn::Sub"]
    names = {"Account": {"Ref": "ImageAccount"}, "Repository": {"Ref": "Name"}}
    assert named == names, "with every condition true the repository is the stage's own"
    here = {"AWS::Partition": "aws", "AWS::Region": "us-east-1", "Account": STAGING, "Repository": "staging"}
    assert filled({"Fn::Sub": text}, here) == repository
    assert all(allowed(action, repository) for action in pulling["Action"])


def test_without_an_account_to_promote_to_nobody_is_let_in():
    resources = expanded()["Resources"]
    bucket = resolved(resources["DataBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"], holds=False)
    assert [said["Effect"] for said in bucket] == ["Deny"]
    assert "ModelPackageGroupPolicy" not in resolved(resources["ModelPackageGroup"]["Properties"], holds=False)
    assert "RepositoryPolicyText" not in resolved(resources["Images"]["Properties"], holds=False)
    assert {resources[name]["Condition"] for name in ("VersionVerified", "VersionVerifiedRole")} == {"PromotesAway"}


# ------------------------------------------------------------ the event that a version passed


BUS = f"arn:aws:events:us-east-1:{PRODUCTION}:event-bus/default"


def bus_allows(account: str, source: str, detail_type: str) -> bool:
    """Whether the bus's policy lets a role of the account put such an event."""
    known = {
        "AWS::Partition": "aws", "AWS::Region": "us-east-1", "AWS::AccountId": PRODUCTION,
        "PromoteFromAccount": STAGING,
    }  # fmt: skip
    policy = {"Statement": [filled(CICD["TellHere"]["Properties"]["Statement"], known)]}
    asked = EvalContext(
        principal_arn=f"arn:aws:sts::{account}:assumed-role/tell/session", principal_type="AssumedRole",
        principal_account=account, action="events:PutEvents", resource_arn=BUS, region="us-east-1",
        service_context={"events:source": source, "events:detail-type": detail_type},
    )  # fmt: skip
    return evaluate_resource_policy(policy, asked).decision == "Allow"


def test_the_event_of_the_first_account_comes_through_and_no_other():
    assert bus_allows(STAGING, verification.EVENT_SOURCE, verification.EVENT_TYPE)
    assert not bus_allows(STRANGER, verification.EVENT_SOURCE, verification.EVENT_TYPE)
    assert not bus_allows(STAGING, "aws.s3", "Object Created")


def test_the_rule_sends_the_functions_event_to_the_bus_that_waits():
    rule = properties("VersionVerified")
    assert (rule["EventPattern"]["source"], rule["EventPattern"]["detail-type"]) == (
        [verification.EVENT_SOURCE],
        [verification.EVENT_TYPE],
    )
    (target,) = rule["Targets"]
    assert filled(target["Arn"]) == BUS
    (statement,) = properties("VersionVerifiedRole")["Policies"][0]["PolicyDocument"]["Statement"]
    assert (statement["Action"], filled(statement["Resource"])) == ("events:PutEvents", BUS)


def test_an_account_without_a_stage_or_a_repository_is_refused():
    assert "ImagesOfAnotherAccountHaveAName" in template()["Rules"]
    assert "AnotherAccountHasAStage" in yaml_parse(CICD_FILE.read_text())["Rules"]
    assert json.dumps(CICD["TellHere"]["Condition"]) == '"FromElsewhere"'
