"""The variables and files with which boto3, the `aws` command and both SageMaker SDKs use a local cloud unmodified."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROLE = "localcloud"
PROFILE = "localcloud"
_PLUGIN = Path(__file__).parent / "plugin"


@dataclass(frozen=True)
class Address:
    """Where a local cloud is, and as which account and region it answers."""

    url: str
    account: str
    region: str
    instance: str
    """Differs with each start. Temporary credentials end with the cloud that gave them, and the `aws` command caches a
    role's credentials by what it sends for them: this is a part of that, so that ended ones are not found."""

    @property
    def role_arn(self) -> str:
        """The role that people's programs act as: `get_execution_role()` wants a role, not an account's owner."""
        return f"arn:aws:iam::{self.account}:role/{ROLE}"

    @property
    def bucket(self) -> str:
        """The name that the SageMaker SDK gives its default bucket."""
        return f"sagemaker-{self.region}-{self.account}"


def variables(address: Address, home: Path, python_path: str = "") -> dict[str, str]:
    """The environment variables. `python_path` is the caller's PYTHONPATH, which is kept."""
    return {
        "AWS_ENDPOINT_URL": address.url,
        "AWS_PROFILE": PROFILE,
        "AWS_CONFIG_FILE": str(_folder(home) / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / "credentials"),
        "AWS_REGION": address.region,
        "AWS_DEFAULT_REGION": address.region,
        # Clients may not put a name before the address, and there is no instance to ask for credentials.
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        "AWS_EC2_METADATA_DISABLED": "true",
        "SAGEMAKER_USER_CONFIG_OVERRIDE": str(_folder(home) / "sagemaker.yaml"),
        "SAGEMAKER_VALIDATE_ROLE": "false",
        "BOTOCORE_EXPERIMENTAL__PLUGINS": "localcloud=localcloud_endpoint",
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(filter(None, [str(_PLUGIN), *python_path.split(os.pathsep)]))),
    }


UNSET = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
"""Variables that must not be set, because botocore prefers them to a profile."""


def files(address: Address) -> Mapping[str, str]:
    """The files that the variables name, by their names in the folder `clients` of the home."""
    profile = (
        f"[profile {PROFILE}]\nrole_arn = {address.role_arn}\nsource_profile = default\n"
        f"external_id = {address.instance}\nregion = {address.region}\n"
        f"endpoint_url = {address.url}\ns3 =\n  addressing_style = path\n"
    )
    role = {"RoleArn": address.role_arn}
    sagemaker = {
        "SchemaVersion": "1.0",
        "SageMaker": {
            "PythonSDK": {
                "Modules": {"Session": {"DefaultS3Bucket": address.bucket}, "TelemetryOptOut": True},
            },
            "Pipeline": role,
            "ProcessingJob": role,
            "TrainingJob": role,
            "Model": {"ExecutionRoleArn": address.role_arn},
        },
    }
    # JSON is YAML too.
    return {"config": profile, "sagemaker.yaml": json.dumps(sagemaker, indent=2) + "\n"}


def prepare(address: Address, home: Path, client: Any) -> None:
    """Write the files, and make the role and the bucket that they name; `client(service)` gives the owner's clients."""
    folder = _folder(home)
    folder.mkdir(mode=0o700, exist_ok=True)
    for name, text in files(address).items():
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(text)
    iam = client("iam")
    principals = {"AWS": f"arn:aws:iam::{address.account}:root", "Service": ["sagemaker.amazonaws.com"]}
    trust = {"Effect": "Allow", "Principal": principals, "Action": "sts:AssumeRole"}
    if ROLE not in [role["RoleName"] for page in iam.get_paginator("list_roles").paginate() for role in page["Roles"]]:
        iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
    everything = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.put_role_policy(RoleName=ROLE, PolicyName="everything", PolicyDocument=json.dumps(everything))
    s3 = client("s3")
    if address.bucket not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket=address.bucket)


def _folder(home: Path) -> Path:
    return home / "clients"
