"""The settings of a local cloud, the paths inside its home directory, and the variables of its processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from localcloud.images.environments import Runtime

# How long an answer of the port may take: a Lambda function may run for 15 minutes.
READ_SECONDS = 910
PID_FILE = "localcloud.pid"

# The variables of a process under EnableNetworkIsolation, over all others: no credentials, and proxies that answer
# nothing, for machines that give it no network of its own.
ISOLATED = {
    **dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"), ""),
    **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9"),
}


class StartError(Exception):
    """The cloud cannot start; the message is one sentence for the person who tried."""


class DiskError(BaseException):
    """State or an object could not be written: the disk is full or read-only.

    Not an Exception, because MiniStack logs any Exception of a write and acknowledges what it has not kept.
    """


@dataclass(frozen=True)
class Settings:
    """The command line's options, with the port and secret that were found at the start.

    `home` holds all state. `images` is the user's file of image rules, asked before the shipped ones. `image_env` is
    the virtual environment that stands for every container image that no rule matches, and `image_root/bin` comes
    before it on the PATH of jobs and model servers; without it such an image is refused.
    """

    home: Path
    port: int
    image_env: Path | None = None
    image_root: Path | None = None
    images: Path | None = None
    environments: Path = Path("environments")
    """Directory of the environments that stand for images."""
    installer: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Environment variables for the installer of these environments."""
    account: str = "000000000000"
    """The account's number, and the access key of its owner."""
    region: str = "us-east-1"
    secret: str = field(default="", repr=False)
    """The owner's secret access key, that of the home: every request is signed with it or with a key given out here."""
    max_jobs: int = 2
    """How many job processes run at once; the others wait."""
    enforce_iam: bool = False
    """Whether roles are held to their policies; otherwise every signed request is allowed."""
    after_crash: bool = False
    """Whether the machine ended without the local cloud being stopped, so that files may be damaged."""
    strict: bool = False
    """Whether an answer that breaks AWS's own model is an error (for tests) rather than a log line."""

    @property
    def homes(self) -> Path:
        """The directory in which all local clouds that share the environments note their homes; see `sandbox.homes`."""
        return self.environments.parent / "homes"

    @property
    def endpoint_url(self) -> str:
        """The address that AWS clients are given; loopback only."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def endpoint_file(self) -> Path:
        """Holds the address while the cloud runs."""
        return self.home / "endpoint"

    @property
    def database(self) -> Path:
        return self.home / "sagemaker.sqlite"

    @property
    def emulator_dir(self) -> Path:
        return self.home / "emulator"

    @property
    def jobs_dir(self) -> Path:
        return self.home / "jobs"

    @property
    def endpoints_dir(self) -> Path:
        return self.home / "endpoints"

    @property
    def pid_file(self) -> Path:
        """Holds the identity of the cloud's process while it runs; its lock is the home's."""
        return self.home / PID_FILE

    def client_environment(self) -> dict[str, str]:
        """The AWS variables that clients, jobs, Lambdas and model servers get."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.account,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def process_environment(self, home: Path, runtime: Runtime) -> dict[str, str]:
        """A clean set of variables for a process of an image that `runtime` stands for; its own directory is `home`.

        The caller adds what SageMaker sets for its kind of process. Nothing is taken from the server's environment.
        """
        path = [runtime.root / "bin", runtime.environment / "bin", "/usr/local/bin", "/usr/bin", "/bin"]
        return {
            "PATH": ":".join(str(part) for part in path),
            "HOME": str(home),
            "TMPDIR": str(home / "tmp"),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "VIRTUAL_ENV": str(runtime.environment),
            **self.client_environment(),
            **runtime.variables,
        }
