"""Container images without containers: an image's address leads to a virtual environment that stands for it.

- `images.toml`: which environment stands for which addresses; AWS's own images are listed, a user's file adds more
- `analyzers`: what a job of an image that analyzes data or models asks for in vain; pure
- `catalog`: reads such files and finds the rule for an address; pure
- `environments`: makes the environments with uv, once each, and keeps them
- `functions`: the Python and the SDK of a job that runs a function of @step or @remote; pure
- `reasons`: why an environment could not be made, in one sentence; pure
- `programs/`: what runs inside: `serve` (model_fn and its companions), XGBoost's algorithm mode, the model monitor's
  analyzer and Clarify
"""

ANY_IMAGE = "image-known-at-run-time"
"""Stands for an image whose address is not known yet, because a pipeline's parameter gives it: no check refuses it."""
ANY_PATH = "/opt/ml/processing/any"
"""Stands for a path that a pipeline is yet to know, where its definition is checked."""
ANY_TEXT = "any"
"""Stands for a text that is not known yet in the same way."""
