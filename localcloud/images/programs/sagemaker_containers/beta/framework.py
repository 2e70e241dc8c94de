"""What scripts import of sagemaker_containers.beta.framework: how to read and write formats, and a response's class."""

from types import SimpleNamespace

from sagemaker_inference import content_types, transformer
from sagemaker_inference import decoder as decoders
from sagemaker_inference import encoder as encoders
from sagemaker_training import environment as env
from sagemaker_training import modules
from werkzeug.wrappers import Response

worker = SimpleNamespace(Response=Response)
__all__ = ["content_types", "decoders", "encoders", "env", "modules", "transformer", "worker"]
