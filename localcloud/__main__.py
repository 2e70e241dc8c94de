"""The command line: `localcloud serve --home DIR --port 4747 --image-env .venv-image --image-root container`."""

import os
import sys
from pathlib import Path

import click

from localcloud.settings import Settings, StartError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """SageMaker and the AWS services around it, on this machine, for its owner only."""


@main.command()
@click.option("--home", type=click.Path(path_type=Path), required=True, help="Directory that holds all state.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=4747, show_default=True, help="Port; 0 takes a free one."
)
@click.option(
    "--image-env",
    type=click.Path(path_type=Path),
    default=Path(".venv-image"),
    show_default=True,
    help="Virtual environment that jobs and endpoints run in, in place of container images.",
)
@click.option(
    "--image-root",
    type=click.Path(path_type=Path),
    default=Path("container"),
    show_default=True,
    help="Directory whose bin/ comes first on the PATH of jobs and endpoints.",
)
@click.option(
    "--account", default="000000000000", show_default=True, help="Number of the AWS account that is simulated."
)
@click.option("--region", default="us-east-1", show_default=True, help="AWS region that is simulated.")
@click.option("--max-jobs", type=click.IntRange(1), default=os.cpu_count() or 2, help="Job processes at once.")
@click.option("--enforce-iam", is_flag=True, help="Hold every role to its policies.")
@click.option("--strict", is_flag=True, help="Fail on answers that break AWS's model (for tests).")
def serve(
    home: Path,
    port: int,
    image_env: Path,
    image_root: Path,
    account: str,
    region: str,
    max_jobs: int,
    enforce_iam: bool,
    strict: bool,
) -> None:
    """Run in the foreground until SIGTERM or ctrl-C."""
    from localcloud.server import serve

    settings = Settings(
        # Absolute, but not resolved: an environment is known by its own path, not by what its links lead to.
        home=home.absolute(),
        port=port,
        image_env=image_env.absolute(),
        image_root=image_root.absolute(),
        account=account,
        region=region,
        max_jobs=max_jobs,
        enforce_iam=enforce_iam,
        strict=strict,
    )
    try:
        serve(settings)
    except StartError as error:
        click.echo(str(error), err=True)
        sys.exit(1)


@main.command()
def operations() -> None:
    """Print the page of SageMaker operations that are there, as Markdown."""
    from localcloud.http.operations import page

    click.echo(page(), nl=False)


if __name__ == "__main__":
    main()
