"""A handler that does nothing: what is left is the cost of HTTP."""

import numpy as np

IMAGE = np.zeros((1, 1, 1, 3), np.uint8)
ROW = np.zeros((1, 2), np.float32)
ANSWER = b'{"predictions":[{"label":"bicycle","confidence":0.98,"probabilities":{"bicycle":0.98,"motorcycle":0.02}}]}'


def model_fn(model_dir):
    """No model."""
    return object()


def input_fn(body, content_type):
    """Always the same pixel."""
    return IMAGE


def predict_fn(images, model):
    """Always the same probabilities."""
    return ROW if len(images) == 1 else np.zeros((len(images), 2), np.float32)


def output_fn(probabilities, accept, model):
    """Always the same answer, as long as a real one."""
    return ANSWER, accept
