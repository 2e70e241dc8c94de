"""A running variant: what is wanted of it, and its instances; and why one does not start."""

from dataclasses import dataclass, field

from localcloud.iam.identities import Identity
from localcloud.images.environments import Runtime
from localcloud.serving.deployment import VariantSpec
from localcloud.serving.instance import Instance


class DeployError(Exception):
    """A fleet did not start; the message is the endpoint's FailureReason."""


class ServiceError(DeployError):
    """A fleet did not start, and not because of its models: the fault is the machine's, or the local cloud's.

    The FailureReason begins as SageMaker's does when it fails itself, so that its readers blame no model for it.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(f"Request to service failed. {sentence}")


@dataclass
class Variant:
    """One running variant: what is wanted of it, and its servers."""

    spec: VariantSpec
    instances: list[Instance] = field(default_factory=list)
    identity: Identity | None = None
    """The model's role; None until it was assumed."""
    runtimes: list[Runtime] = field(default_factory=list)
    """What stands for the images of the model's containers; set when the fleet starts."""
    logged: bool = True

    @property
    def name(self) -> str:
        return self.spec.variant_name

    def pick(self, model: str | None = None) -> Instance | None:
        """Return the healthy instance with the fewest requests in progress; None if none is healthy.

        One that has loaded the archive `model` comes before the others.
        """
        healthy = [instance for instance in self.instances if instance.healthy]
        return min(healthy, key=lambda one: (not one.has_loaded(model), one.busy), default=None)
