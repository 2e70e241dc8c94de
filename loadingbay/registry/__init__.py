"""The versions of the model, and what the endpoint serves of them.

- `versions`: reads the registry, approves and rejects, waits until the endpoint serves what it should
- `plan`: asks DeployModel what it would do
- `history`: which version was served from when until when
- `cards`: the model card of a version
"""
