"""One instance of a variant: a model server for each container of the model, side by side."""

from dataclasses import dataclass

from localcloud.serving.loaded_models import LoadedModels
from localcloud.serving.model_server import STOP_SECONDS, ModelServer


@dataclass(eq=False)
class Instance:
    """The model servers that answer requests together."""

    servers: list[ModelServer]
    """In the order of the model's containers."""
    loaded: LoadedModels | None = None
    """The models in memory of the one server that serves several; None if there is no such server."""
    healthy: bool = False
    """Whether it may get more requests."""
    busy: int = 0
    """The number of requests in progress; changed by the event loop only."""

    @property
    def alive(self) -> bool:
        """Whether all of its processes are running."""
        return all(server.alive for server in self.servers)

    def ping(self) -> bool:
        """Whether every server answers a ping."""
        return all(server.ping() for server in self.servers)

    def has_loaded(self, target: str | None) -> bool:
        """Whether the archive `target` is in memory, or on its way."""
        return self.loaded is not None and target is not None and target in self.loaded

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Stop all servers; those that have not ended after `seconds` are killed. Returns when all have ended."""
        self.healthy = False
        for server in self.servers:
            server.terminate(seconds)
        for server in self.servers:
            server.wait()
