"""A run from photos to a served version: what `loadingbay run` does.

- `run`: the parts of a run and their order
- `summary`: summary.json and the folder of a run below `runs/`
"""
