"""Brings up what a stage runs on, as parts on a screen: the local cloud, then the application's stack."""

from __future__ import annotations

from contextlib import nullcontext

from loadingbay.screen.progress import Screen
from loadingbay.stack import local_cloud
from loadingbay.stack.deploy import UNCHANGED, deploy
from loadingbay.stack.locks import alone
from loadingbay.target import Target


def start_cloud(target: Target, screen: Screen) -> None:
    """Starts the local cloud, when that is the target and it does not run. Raises WorkError when it does not start."""
    if target.kind != "local":
        return
    with screen.part("Local cloud") as part:
        started = local_cloud.start(target)
        screen.note(part, f"{'started' if started else 'running'} at {target.endpoint_url}")


def deploy_stack(target: Target, screen: Screen) -> dict[str, str]:
    """Deploys the application, unless this very template and code are deployed; the stack's outputs."""
    # CloudFormation refuses a second change of a stack while the first is under way.
    lock = alone(target.home, "deploy") if target.home else nullcontext()
    with screen.part("Application") as part, lock:
        outputs = deploy(target, say=lambda text: screen.note(part, text))
        part.note = part.note or UNCHANGED
    return outputs
