"""Creates the directories and configuration files that SageMaker provides below /opt/ml before a job starts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud.jobs.failure import JobError
from localcloud.sandbox.sandbox import OPT_ML, Place


@dataclass(frozen=True)
class Host(Place):
    """One instance of a job: its directory, its host name (algo-1, algo-2, ...), and its index from 0."""

    name: str
    index: int

    def path(self, local: str) -> Path:
        """Return the local path of a LocalPath such as /opt/ml/processing/train; JobError if it is elsewhere."""
        parts = Path(local).parts
        if parts[:3] != ("/", "opt", "ml") or ".." in parts:
            raise JobError("ClientError", f"LocalPath {local!r} must lie under {OPT_ML}.")
        return self.ml.joinpath(*parts[3:])


def make_hosts(directory: Path, count: int) -> list[Host]:
    """Create the empty directories of `count` hosts below `directory`, and return the hosts."""
    hosts = [Host(directory / f"algo-{n + 1}", f"algo-{n + 1}", n) for n in range(count)]
    for host in hosts:
        host.make()
        for part in (
            "config",
            "input/config",
            "input/data",
            "model",
            "output/data",
            "output/intermediate",
            "code",
        ):
            (host.ml / part).mkdir(parents=True)
    return hosts


def volume_gigabytes(job: Mapping[str, Any]) -> int | None:
    """Return the size of a job's volume; None for jobs that have none, such as transform jobs."""
    resources = job.get("ResourceConfig") or job.get("ProcessingResources", {}).get("ClusterConfig", {})
    size: int | None = resources.get("VolumeSizeInGB")
    return size


def addresses(hosts: list[Host]) -> str:
    """Return the text of a hosts file that gives each host its own loopback address (127.0.0.1, 127.0.0.2, ...)."""
    lines = ["127.0.0.1 localhost", "::1 localhost"]
    return "\n".join([*lines, *(f"127.0.0.{host.index + 1} {host.name}" for host in hosts)]) + "\n"


def resource_config(hosts: list[Host], host: Host, instance_type: str, names: list[str]) -> dict[str, Any]:
    """Return the content of resourceconfig.json for `host`. `names` are the hosts' names or addresses in order."""
    group = {"instance_group_name": "homogeneousCluster", "instance_type": instance_type, "hosts": names}
    return {
        "current_host": names[host.index],
        "current_instance_type": instance_type,
        "current_group_name": "homogeneousCluster",
        "hosts": names,
        "instance_groups": [group],
        "network_interface_name": "lo",
    }


def input_data_config(channels: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the content of inputdataconfig.json for a training job's channels."""
    return {
        channel["ChannelName"]: {
            "TrainingInputMode": "File",
            "S3DistributionType": channel["DataSource"]["S3DataSource"].get(
                "S3DataDistributionType", "FullyReplicated"
            ),
            "RecordWrapperType": channel.get("RecordWrapperType", "None"),
            **({"ContentType": channel["ContentType"]} if channel.get("ContentType") else {}),
        }
        for channel in channels
    }


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON to `path`; creates the directory if needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
