"""Makes boto3 sessions: AWS's ordinary one, and one for this machine that reads no settings of an AWS account."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Keys:
    """An access key. Not shown by repr, so that it reaches no log."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


def isolated(region: str, keys: Keys) -> Any:
    """A boto3 session with botocore's defaults, this region and these keys, whatever the environment says.

    No AWS variable and no file in ~/.aws is read: AWS_PROFILE, AWS_CONFIG_FILE, AWS_DEFAULTS_MODE and the others are
    about an AWS account, and a wrong one must not break a command that talks to this machine.
    """
    import boto3
    import botocore.session
    from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES, ConfigValueStore, ConstantProvider

    # Each variable is (name in the configuration file, environment variable, default, conversion).
    constants = {name: default for name, (_, _, default, _) in BOTOCORE_DEFAUT_SESSION_VARIABLES.items()}
    constants |= {"region": region, "s3": None, "proxies_config": None}
    constants |= {"config_file": os.devnull, "credentials_file": os.devnull}  # botocore parses the files in any case
    core = botocore.session.Session()
    core.register_component(
        "config_store",
        ConfigValueStore(mapping={name: ConstantProvider(value) for name, value in constants.items()}),
    )
    return boto3.Session(
        botocore_session=core,
        region_name=region,
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_access_key,
        aws_session_token=keys.session_token or None,
    )


def ordinary(region: str | None) -> Any:
    """A boto3 session with AWS's chain of settings and credentials, and this region if one is given."""
    import boto3

    return boto3.Session(**({"region_name": region} if region else {}))


def require_region(session: Any) -> None:
    """Raises UsageError unless the session has a region in which SageMaker is.

    Without this check each call would wait until a name that does not exist could not be resolved.
    """
    import difflib

    import botocore

    from loadingbay.errors import UsageError

    region = session.region_name
    if not region:
        raise UsageError("no AWS region is configured: set AWS_DEFAULT_REGION, for example to eu-central-1")
    known = [
        name
        for partition in session.get_available_partitions()
        for name in session.get_available_regions("sagemaker", partition_name=partition)
    ]
    if region not in known:
        near = difflib.get_close_matches(region, known, 1, 0.0)[0]
        raise UsageError(
            f"there is no AWS region {region} with SageMaker, as far as botocore {botocore.__version__} knows: "
            f"set AWS_DEFAULT_REGION, perhaps to {near}"
        )
