"""A run from photos to a served version: what `loadingbay run` does.

- `run`: the parts of a run and their order
- `training`: from the pipeline's definition to a registered version
- `pretraining`: weights to start from, as `loadingbay pretrain` makes them
- `release`: approval, classified photos, the report on them
- `drift`: the story of a camera that changes, which `loadingbay story drift` tells
- `summary`: summary.json and the folder of a run below `runs/`
"""
