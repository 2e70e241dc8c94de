"""What the training pipeline's definition is built from: `Settings`, and the name of the first stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# The first stage. Each has its pipeline, its group of versions, its endpoint and its stack under the one name.
DEFAULT_STAGE = "loadingbay"
CACHE_DAYS = 30
"""How long the step cache keeps what a step gave."""


@dataclass(frozen=True)
class Settings:
    """What a definition depends on beside this package's own text. All addresses are S3 URIs.

    `stage` and `evaluate` are scripts, `training` is a sourcedir.tar.gz whose hash is `training_sha256`. `name` is the
    pipeline's and the model package group's. Jobs run in `subnets` with `security_groups`, if there are any, and
    encrypt disks and outputs with the KMS key `key`, if there is one. `isolated`: their containers have no network;
    `encrypted_traffic`: machines that train together encrypt what they send each other. `spot`: training runs on spare
    machines and goes on from its checkpoints when they are taken away.
    """

    region: str
    bucket: str
    role: str
    image: str
    stage: str
    evaluate: str
    training: str
    training_sha256: str
    name: str = DEFAULT_STAGE
    subnets: Sequence[str] = ()
    security_groups: Sequence[str] = ()
    key: str = ""
    isolated: bool = False
    encrypted_traffic: bool = False
    spot: bool = False
