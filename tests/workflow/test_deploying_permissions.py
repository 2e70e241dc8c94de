"""Whoever deploys may do what CloudFormation's handlers do in its name: the build's role against AWS's own schemas.

Each resource type's schema, which cfn-lint ships, names the actions of its create, read, update and delete handlers. An
action that the build's role lacks is listed below with the reason why the application never comes to need it.
"""

import json
import re
from fnmatch import fnmatchcase
from typing import Any

import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from tests.workflow.application import as_list, expanded
from tests.workflow.build_calls import CICD, SAID
from tests.workflow.dependencies import resolved

KINDS = sorted({resource["Type"] for resource in expanded()["Resources"].values()})
GRANTED = {action for said in SAID if said["Effect"] == "Allow" for action in as_list(said["Action"])}

NEVER_SET = "the template does not set this property"
# Action (with *) -> why the build never needs it.
NOT_NEEDED = {
    "kms:RetireGrant": "the repository is encrypted with AES256",
    "iam:*GroupPolicy": "every policy is a role's",
    "iam:*UserPolicy": "every policy is a role's",
    "iam:AttachRolePolicy": "every policy is inline; what can be attached, the boundary would have to bound",
    "iam:DetachRolePolicy": "no policy is attached",
    "iam:DeleteRolePermissionsBoundary": "the build may never take the boundary off",
    "elasticfilesystem:*": NEVER_SET,
    "s3files:*": NEVER_SET,
    "lambda:GetCodeSigningConfig": NEVER_SET,
    "lambda:PutFunctionCodeSigningConfig": NEVER_SET,
    "lambda:DeleteFunctionCodeSigningConfig": NEVER_SET,
    "lambda:AssociateRuntimeAlias": "AWS's own runtime is used",
    "lambda:GetLayerVersion": NEVER_SET,
    "lambda:PassCapacityProvider": NEVER_SET,
    "lambda:PublishVersion": NEVER_SET,
    "lambda:PutFunctionRecursionConfig": NEVER_SET,
    "lambda:PutFunctionScalingConfig": NEVER_SET,
    "lambda:PutRuntimeManagementConfig": NEVER_SET,
    "firehose:*": "no log goes to Firehose",
    "s3:REST.PUT.OBJECT": "no action of IAM",
    "logs:PutIndexPolicy": NEVER_SET,
    "logs:DeleteIndexPolicy": NEVER_SET,
    "logs:PutDataProtectionPolicy": NEVER_SET,
    "logs:DeleteDataProtectionPolicy": NEVER_SET,
    "logs:PutBearerTokenAuthentication": NEVER_SET,
    "logs:PutLogGroupDeletionProtection": NEVER_SET,
    "logs:DeleteResourcePolicy": NEVER_SET,
    "s3tables:*": NEVER_SET,
    "s3:CreateBucketMetadataTable*": NEVER_SET,
    "s3:UpdateBucketMetadata*": NEVER_SET,
    "s3:DeleteBucketMetadataTable*": NEVER_SET,
    **{
        f"s3:Put{of}Configuration": NEVER_SET
        for of in (
            "Accelerate",
            "Analytics",
            "IntelligentTiering",
            "Inventory",
            "Metrics",
            "ObjectLock",
            "BucketObjectLock",
            "Replication",
        )
    },
    **{f"s3:PutBucket{of}": NEVER_SET for of in ("Abac", "Acl", "CORS", "Logging", "Replication", "Website")},
    "s3:DeleteBucket[ACMRW]*": NEVER_SET,
    "s3:DeleteBucketEncryption": "the encryption is never taken away",
    "s3:DeleteBucketLifecycle": "the lifecycle is never taken away",
    "s3:PutObjectAcl": NEVER_SET,
    "s3:DeleteObject": "a bucket with objects is kept, not emptied",
    "sns:PutDataProtectionPolicy": NEVER_SET,
}


def handled(kind: str) -> set[str]:
    """The actions of a resource type's handlers."""
    handlers = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema.get("handlers", {})
    verbs = ("create", "read", "update", "delete")
    return {action for verb in verbs for action in handlers.get(verb, {}).get("permissions", [])}


def missing(kind: str, granted: set[str]) -> set[str]:
    """The actions of a resource type's handlers that are neither granted nor listed as not needed."""
    lacking = handled(kind) - granted
    return {action for action in lacking if not any(fnmatchcase(action, pattern) for pattern in NOT_NEEDED)}


@pytest.mark.parametrize("kind", KINDS)
def test_the_build_may_do_what_the_handlers_of_a_resource_do(kind):
    assert missing(kind, GRANTED) == set()


@pytest.mark.parametrize(
    ("kind", "action"),
    [
        ("AWS::SageMaker::ModelPackageGroup", "sagemaker:GetModelPackageGroupPolicy"),
        ("AWS::IAM::Role", "iam:ListAttachedRolePolicies"),
        ("AWS::S3::Bucket", "s3:DeleteBucket"),
        ("AWS::S3::Bucket", "s3:GetEncryptionConfiguration"),
        ("AWS::Lambda::Function", "kms:CreateGrant"),
    ],
)
def test_an_action_that_is_taken_away_is_missed(kind, action):
    assert missing(kind, GRANTED - {action}) == {action}


def test_no_reason_is_given_for_what_is_granted():
    assert [action for action in GRANTED if any(fnmatchcase(action, pattern) for pattern in NOT_NEEDED)] == []


def test_no_reason_is_given_for_what_no_handler_does():
    every = {action for kind in KINDS for action in handled(kind)} - GRANTED
    unused = {pattern for pattern in NOT_NEEDED if not any(fnmatchcase(action, pattern) for action in every)}
    assert unused == set()


LONGEST = {
    "Stage": "s" * 24,
    "PromoteFrom": "p" * 24,
    "PromoteFromAccount": "0" * 12,
    "PromoteToAccount": "0" * 12,
    "Account": "0" * 12,
    "AWS::StackName": "n" * 29,
    "AWS::Partition": "aws-us-gov",
    "AWS::Region": "ap-southeast-2",
    "AWS::AccountId": "0" * 12,
}


def size(document: Any) -> int:
    """The characters of a policy as IAM counts them, with the longest names that the parameters allow."""
    text = json.dumps(resolved(document, holds=True), separators=(",", ":"))
    return len(re.sub(r"\$\{([\w:.]+)\}", lambda found: LONGEST.get(found[1], "x" * 80), text))


MANAGED = sorted(name for name, resource in CICD.items() if resource["Type"] == "AWS::IAM::ManagedPolicy")


@pytest.mark.parametrize("name", MANAGED)
def test_a_managed_policy_fits(name):
    assert size(CICD[name]["Properties"]["PolicyDocument"]) <= 6144


TEMPLATES = {"application": expanded()["Resources"], "delivery": CICD}
ROLES = [
    (template, name)
    for template, resources in TEMPLATES.items()
    for name, resource in resources.items()
    if resource["Type"] == "AWS::IAM::Role"
]


@pytest.mark.parametrize(("template", "role"), ROLES)
def test_the_inline_policies_of_a_role_fit_together(template, role):
    resources = TEMPLATES[template]
    policies = resolved(resources[role]["Properties"].get("Policies", []), holds=True)
    attached = [
        other["Properties"]
        for other in resources.values()
        if other["Type"] == "AWS::IAM::Policy" and {"Ref": role} in other["Properties"]["Roles"]
    ]
    assert sum(size(policy["PolicyDocument"]) for policy in [*policies, *attached]) <= 10_240
