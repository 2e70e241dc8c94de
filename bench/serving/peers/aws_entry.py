"""The artifact's handler as AWS's sagemaker-inference 1.10 calls it: its output_fn is given no model."""

import inference

model_fn = inference.model_fn


def input_fn(body, content_type):
    """Images; multi-model-server hands bodies over as bytearray."""
    return inference.input_fn(bytes(body), content_type)


def predict_fn(images, model):
    """Probabilities, and the model for output_fn."""
    return inference.predict_fn(images, model), model


def output_fn(prediction, accept):
    """Body and content type."""
    probabilities, model = prediction
    return inference.output_fn(probabilities, accept, model)
