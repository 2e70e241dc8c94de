"""The versions of the model, and what the endpoint serves of them.

- `versions`: reads the registry, approves and rejects, waits until the endpoint serves what it should
- `plan`: asks DeployModel what it would do
- `history`: which version was served from when until when
- `evaluations`: what Evaluate wrote about a version
- `comparison`: whether versions differ by more than noise
- `cards`: the model card of a version
"""
