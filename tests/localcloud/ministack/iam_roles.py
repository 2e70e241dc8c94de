"""Roles, policies and clients for the tests of enforced permissions."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.localcloud.pipeline_kit import BUCKET

ACCOUNT = "arn:aws:iam::000000000000"
SAGEMAKER = "arn:aws:sagemaker:us-east-1:000000000000"
ALLOW_S3 = {"Action": "s3:*", "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement} for statement in statements]}
    )


def trust(service: str, **condition: Any) -> str:
    return document({"Principal": {"Service": service}, "Action": "sts:AssumeRole", **condition})


class Roles:
    """Roles with names of their own."""

    def __init__(self, cloud: Any) -> None:
        self.cloud, self.iam = cloud, cloud.client("iam")

    def make(
        self, *statements: dict[str, Any], service: str = "sagemaker.amazonaws.com", trusted: str = "", **members: Any
    ) -> str:
        """A role with these statements; its ARN."""
        name = f"role-{uuid.uuid4().hex[:8]}"
        policy = trusted or trust(service, Condition={"StringEquals": {"aws:SourceAccount": "000000000000"}})
        self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy, **members)
        if statements:
            self.iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document(*statements))
        return f"{ACCOUNT}:role/{name}"

    def allow_passing_itself(self, role: str, *statements: dict[str, Any]) -> None:
        """Give the role a policy of these statements, and leave to pass itself to SageMaker."""
        passing: dict[str, Any] = {"Action": "iam:PassRole", "Resource": role}
        passing["Condition"] = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
        self.iam.put_role_policy(
            RoleName=role.rpartition("/")[2], PolicyName="p", PolicyDocument=document(passing, *statements)
        )

    def session(self, *statements: dict[str, Any], **members: Any) -> Callable[[str], Any]:
        """Clients of somebody who assumed a role with these statements."""
        trusted = document({"Principal": {"AWS": f"{ACCOUNT}:root"}, "Action": "sts:AssumeRole"})
        role = self.make(*statements, trusted=trusted, **members)
        given = self.cloud.client("sts").assume_role(RoleArn=role, RoleSessionName="me")["Credentials"]
        return lambda service: self.client(
            service, given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]
        )

    def client(self, service: str, key: str, secret: str, token: str | None = None) -> Any:
        """A client with these credentials that does not retry."""
        return boto3.client(
            service, endpoint_url=self.cloud.url, region_name="us-east-1", aws_access_key_id=key,
            aws_secret_access_key=secret, aws_session_token=token,
            config=Config(retries={"max_attempts": 0}, inject_host_prefix=False, s3={"addressing_style": "path"}),
        )  # fmt: skip


def refusal(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]
