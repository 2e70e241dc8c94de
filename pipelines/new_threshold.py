"""Makes the pipeline that registers a network with another threshold, from the training pipeline's definition. Pure.

The steps Evaluate, Gate and Register are those of the training pipeline, so that a version with another threshold is
judged and registered as any other. What Stage and Train would give are parameters: the artifact with the new threshold,
and the test and recent photos that the version before was evaluated on.
"""

from __future__ import annotations

import json
from typing import Any

SUFFIX = "-threshold"
"""What its name has after the stage's."""
DESCRIPTION = "Loading Bay: evaluates and registers a network again, with another threshold."
MODEL, IMAGE, ORIGIN = "Model", "Image", "NetworkOf"
"""Its own parameters: addresses of artifact and image, and the ARN of the version whose network it is."""
PHOTOS = {"test": "TestPhotos", "recent": "RecentPhotos"}
"""Output of Stage to the parameter that stands for it."""
_LEFT_OUT = ("Stage", "Train")

Document = dict[str, Any]


class NotThePipeline(ValueError):  # noqa: N818  # the name of the condition
    """The definition is not that of the training pipeline, or of another release of it."""


def derive(definition: str) -> str:
    """The definition, as JSON text with sorted keys, made of the training pipeline's; NotThePipeline for another."""
    document: Document = json.loads(definition)
    steps = {step["Name"]: step for step in document.get("Steps", ())}
    if missing := {"Stage", "Train", "Evaluate", "Gate"} - set(steps):
        raise NotThePipeline(f"the training pipeline's definition has no step {sorted(missing)[0]}")
    for name in _LEFT_OUT:
        del steps[name]
    given = {
        "Steps.Train.ModelArtifacts.S3ModelArtifacts": MODEL,
        **{
            f"Steps.Stage.ProcessingOutputConfig.Outputs['{output}'].S3Output.S3Uri": parameter
            for output, parameter in PHOTOS.items()
        },
    }
    replaced = [_replaced(step, given) for step in steps.values()]
    used = _parameters(replaced)
    own = [MODEL, IMAGE, ORIGIN, *PHOTOS.values()]
    document["Parameters"] = [
        *({"Name": name, "Type": "String"} for name in own),
        *(parameter for parameter in document["Parameters"] if parameter["Name"] in used),
    ]
    document["Steps"] = replaced
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    if "Steps.Stage" in text or "Steps.Train" in text:
        raise NotThePipeline("the training pipeline's definition uses more of Stage and Train than photos and artifact")
    return text


def names(definition: str) -> set[str]:
    """The names of the parameters of a definition."""
    return {parameter["Name"] for parameter in json.loads(definition)["Parameters"]}


def _replaced(node: Any, given: dict[str, str]) -> Any:
    """The node with references to left out steps as parameters, the image as one, and the origin in the metadata."""
    if isinstance(node, list):
        return [_replaced(item, given) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("Get") in given:
        return {"Get": f"Parameters.{given[node['Get']]}"}
    found: Document = {}
    for name, value in node.items():
        if name == "DependsOn":
            found[name] = [step for step in value if step not in _LEFT_OUT]
        elif name in {"ImageUri", "Image"} and isinstance(value, str):
            found[name] = {"Get": f"Parameters.{IMAGE}"}
        elif name == "CustomerMetadataProperties":
            found[name] = {**_replaced(value, given), "network_of": {"Get": f"Parameters.{ORIGIN}"}}
        else:
            found[name] = _replaced(value, given)
    return found


def _parameters(node: Any) -> set[str]:
    """The parameters that the node refers to."""
    if isinstance(node, list):
        return set().union(*map(_parameters, node))
    if not isinstance(node, dict):
        return set()
    get = node.get("Get")
    own = {get.removeprefix("Parameters.")} if isinstance(get, str) and get.startswith("Parameters.") else set()
    return own.union(*map(_parameters, node.values()))
