"""Packages the SAM template: its local paths become content-addressed objects in S3, the same bytes each time.

`aws cloudformation package` does the same, but puts times into its archives, so each run would look like a change.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadingbay.errors import WorkError
from pipelines.sources import Source, files_of

# Where SAM takes a local path: resource type -> (property, names of bucket and key in it).
_LOCAL = {
    "AWS::Serverless::Function": "CodeUri",
    "AWS::Serverless::LayerVersion": "ContentUri",
    "AWS::Serverless::StateMachine": "DefinitionUri",
}


@dataclass(frozen=True)
class Package:
    """A template without local paths, as JSON text, and the objects that it names in the bucket."""

    template: str
    objects: tuple[Source, ...]


def package(template: Path, bucket: str) -> Package:
    """Packages the template file. Raises WorkError when it is not one, or a path in it leads nowhere."""
    document = _parse(template)
    objects: dict[str, Source] = {}
    for name, resource in document["Resources"].items():
        where = _LOCAL.get(resource.get("Type", ""))
        value = resource.get("Properties", {}).get(where) if where else None
        if not isinstance(value, str) or value.startswith("s3://"):
            continue
        source = _source(template.parent / value, f"{template.name}, {name}.{where}")
        objects[source.key] = source
        resource["Properties"][where] = {"Bucket": bucket, "Key": source.key}
    return Package(json.dumps(document, sort_keys=True, separators=(",", ":")), tuple(objects.values()))


def _parse(template: Path) -> dict[str, Any]:
    """Read a template with CloudFormation's YAML tags; WorkError when it cannot be read or has no Resources."""
    from samtranslator.yaml_helper import yaml_parse  # knows !Ref, !Sub and the others

    try:
        document = yaml_parse(template.read_text(encoding="utf-8"))
    except Exception as error:  # yaml's many errors, all with the place in the file
        raise WorkError(f"the template {template} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict) or not isinstance(document.get("Resources"), dict):
        raise WorkError(f"the template {template} has no Resources")
    return document


def _source(path: Path, whose: str) -> Source:
    """Return the file, or a zip of the folder, to upload; WorkError, naming the resource `whose`, without either."""
    if path.is_dir():
        return Source(f"{path.resolve().name}.zip", _zip(path))
    if path.is_file():
        return Source(path.name, path.read_bytes())
    raise WorkError(f"{whose}: there is no {path}")


def _zip(folder: Path) -> bytes:
    """A zip of the sources below `folder`, under the folder's name: in Lambda it is a package of its own, whose modules
    import one another relatively. The same files give the same bytes.
    """
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files_of(folder):
            info = zipfile.ZipInfo(path.relative_to(folder.parent).as_posix(), date_time=(1980, 1, 1, 0, 0, 0))
            info.external_attr = 0o644 << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, path.read_bytes())
    return packed.getvalue()
