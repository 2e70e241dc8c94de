"""What DeployModel can do: plan.py decides on the actions, execution.py carries them out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CreateModel:
    """A SageMaker model of the package's image and artifact, which is told its version number."""

    name: str
    package_arn: str
    version: int


@dataclass(frozen=True)
class CreateEndpointConfig:
    """One variant that serves the model, every request captured; for the trial one server, and nothing captured.

    With `shadow`, the name of another model, a second variant gets copies of this share (0 to 1) of the requests. Its
    answers are captured, and go to nobody.
    """

    name: str
    model_name: str
    trial: bool = False
    shadow: str = ""
    share: float = 1.0


@dataclass(frozen=True)
class CreateEndpoint:
    """The endpoint, serving this configuration."""

    endpoint_name: str
    config_name: str


@dataclass(frozen=True)
class VerifyVersion:
    """Send the version's labelled photos to the trial endpoint; remember that it passed, or reject it."""

    package_arn: str
    config_name: str


@dataclass(frozen=True)
class NoteUnverified:
    """Write down that the verification was given up at this time (ISO), so that it is not begun anew every hour."""

    package_arn: str
    at: str


@dataclass(frozen=True)
class UpdateEndpoint:
    """The endpoint takes this configuration, without a gap in service.

    `watched`: if alarms go off meanwhile, it goes back. Not on the way to an older version: they may ring already.
    """

    config_name: str
    endpoint_arn: str
    watched: bool = False


@dataclass(frozen=True)
class ForgetAttempt:
    """Take the tag of a failed attempt off the endpoint: the version was approved anew since, and is tried again."""

    endpoint_arn: str


@dataclass(frozen=True)
class DeleteEndpoint:
    """Remove an endpoint: one whose creation failed (nothing else can be done with it), or a trial that is over."""

    endpoint_name: str


@dataclass(frozen=True)
class RejectVersion:
    """Withdraw the approval of a version that did not come into service, and say why in the registry."""

    package_arn: str
    reason: str


@dataclass(frozen=True)
class RejectShadow:
    """Withdraw a version's approval as a shadow, and say why in the registry; its approval to serve is not touched."""

    package_arn: str
    reason: str


@dataclass(frozen=True)
class NoteApproval:
    """Write down who approved the version: what DeployModel writes later makes it the last to have changed it."""

    package_arn: str
    approved_by: str


@dataclass(frozen=True)
class RecordDeployment:
    """Add to the history that the endpoint serves this configuration since then; 0 is a version that is not ours.

    `shadow` is the version that gets copies of the requests, 0 for none.
    """

    config_name: str
    since: str
    version: int
    endpoint_arn: str
    shadow: int = 0


@dataclass(frozen=True)
class ScaleEndpoint:
    """Tell the endpoint how to scale, as `Settings.scaling`; "none" before an update, and where it is not to scale."""

    endpoint_arn: str
    scaling: str


@dataclass(frozen=True)
class DeleteStored:
    """Delete the model and the configurations of a version that no longer serves; going back makes them again."""

    name: str


Action = (
    CreateModel
    | CreateEndpointConfig
    | CreateEndpoint
    | VerifyVersion
    | NoteUnverified
    | UpdateEndpoint
    | ForgetAttempt
    | DeleteEndpoint
    | RejectVersion
    | RejectShadow
    | NoteApproval
    | RecordDeployment
    | ScaleEndpoint
    | DeleteStored
)
