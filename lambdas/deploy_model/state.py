"""The values that a plan is made from: settings, approved versions, endpoints, and the names made of them. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from datetime import datetime


@dataclass(frozen=True)
class Settings:
    """How every version is deployed; a change of a setting deploys the live version anew.

    `serverless_memory_mb` above 0 means an endpoint without instances, for which SageMaker offers no data capture, no
    network isolation, no VPC and no key. `bake_seconds` and `rollback_alarms` say how an endpoint changes over,
    `keep_versions` how many versions' models and configurations are kept (0: all), `max_instance_count` and
    `invocations_per_instance` (requests a minute) how it scales: another value of these deploys nothing.
    """

    endpoint_name: str
    package_group: str
    execution_role_arn: str
    instance_type: str
    instance_count: int
    capture_uri: str
    serverless_memory_mb: int = 0
    serverless_concurrency: int = 5
    subnet_ids: tuple[str, ...] = ()
    security_group_ids: tuple[str, ...] = ()
    kms_key_arn: str = ""
    bake_seconds: int = 0
    rollback_alarms: tuple[str, ...] = ()
    keep_versions: int = 0
    max_instance_count: int = 0
    invocations_per_instance: int = 0

    @property
    def scaling(self) -> str:
        """Between how many instances the endpoint scales, and to how many requests a minute each; "none" for not."""
        if self.serverless_memory_mb or self.max_instance_count <= self.instance_count:
            return "none"
        return f"{self.instance_count}-{self.max_instance_count}@{self.invocations_per_instance}"

    @property
    def trial_name(self) -> str:
        """The endpoint on which a version is verified."""
        return f"{self.endpoint_name}-verify"


# Settings that do not change what an endpoint serves: not part of a configuration's name.
_NOT_SERVED = {
    "bake_seconds",
    "rollback_alarms",
    "keep_versions",
    "max_instance_count",
    "invocations_per_instance",
}


@dataclass(frozen=True)
class Version:
    """An approved model package.

    `created` (seconds since 1970) tells it from the same number in a group that was deleted and made anew. The other
    members are read for the newest version only: `passed_as`, the configuration name under which it passed
    verification; `approved_by`, the approver that the registry holds; `decided_by`, who changed the version last,
    unless that was DeployModel; `given_up`, when its verification was last given up (ISO 8601). `share` says of how
    many of the requests, from 0 to 1, it gets copies where it is a shadow. `servable`: it was registered with a
    container.
    """

    arn: str
    number: int
    created: int
    passed_as: str = ""
    approved_by: str = ""
    decided_by: str = ""
    given_up: str = ""
    share: float = 1.0
    servable: bool = True


@dataclass(frozen=True)
class Endpoint:
    """An endpoint as SageMaker describes it.

    `attempted` is the configuration that it was last told to take, `reason` why its last change failed, `since` when it
    last changed (ISO 8601), `recorded` the last entry of the history, as `config_name@since`, and `scaling` how it was
    last told to scale, as `Settings.scaling`.
    """

    arn: str
    status: str
    config_name: str
    attempted: str = ""
    reason: str = ""
    since: str = ""
    recorded: str = ""
    scaling: str = "none"


@dataclass(frozen=True)
class Current:
    """The state at `now`: approved versions in any order, the endpoint, and the trial endpoint, if they exist.

    `shadow` is the version that is to get copies of the requests, and is not approved to serve; None for no version.
    `stored` are the names of the models that `config_name` named, in any order; read for the schedule only.
    """

    approved: tuple[Version, ...]
    endpoint: Endpoint | None
    trial: Endpoint | None
    now: datetime
    stored: tuple[str, ...] = ()
    shadow: Version | None = None

    @property
    def newest(self) -> Version | None:
        """The approved version with the highest number."""
        return max(self.approved, key=lambda version: version.number, default=None)


def config_name(version: Version, settings: Settings) -> str:
    """The name of a version's model and endpoint configuration: at most 63 letters, digits and hyphens.

    The same version with the same settings always has the same name, so "is it live?" is a comparison of names.
    """
    served = {name: value for name, value in asdict(settings).items() if name not in _NOT_SERVED}
    made_of = json.dumps([version.arn, version.number, version.created, served], sort_keys=True)
    digest = hashlib.sha256(made_of.encode()).hexdigest()[:10]
    return f"{_prefix(settings)}-v{version.number}-{digest}"


def trial_config_name(config: str) -> str:
    """The name of the configuration with which what `config` serves is verified."""
    return f"{config}-verify"


def shadow_config_name(live: str, shadow: Version, settings: Settings) -> str:
    """The name of the configuration in which what `live` names serves, and the shadow gets its share of copies."""
    made_of = f"{config_name(shadow, settings)} {shadow.share:g}"
    return f"{live}-s{shadow.number}-{hashlib.sha256(made_of.encode()).hexdigest()[:6]}"


def live_config_name(config: str, settings: Settings) -> str:
    """The name of the configuration that serves the same without a shadow; `config` itself where it has none."""
    ours = _ours(config, settings)
    return ours["live"] if ours else config


def version_number(config: str, settings: Settings) -> int:
    """The version that answers in a configuration with a name of ours for this endpoint; 0 for any other name."""
    ours = _ours(config, settings)
    return int(ours["version"]) if ours else 0


def shadow_number(config: str, settings: Settings) -> int:
    """The version that is the shadow in a configuration with a name of ours for this endpoint; 0 for none."""
    ours = _ours(config, settings)
    return int(ours["shadow"] or 0) if ours else 0


def _ours(config: str, settings: Settings) -> re.Match[str] | None:
    live = rf"(?P<live>{re.escape(_prefix(settings))}-v(?P<version>\d+)-[0-9a-f]{{10}})"
    return re.fullmatch(rf"{live}(-s(?P<shadow>\d+)-[0-9a-f]{{6}})?", config)


def _prefix(settings: Settings) -> str:
    """The endpoint's name, cut so that the names made of it have at most 63 characters."""
    return settings.endpoint_name[:32].rstrip("-")
