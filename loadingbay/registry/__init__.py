"""Reads and decides about model versions in the registry, and which of them the endpoint serves.

- `versions`: reads the registry, approves and rejects, waits until the endpoint serves what it should
- `shadow`: lets a version get copies of the live requests
- `plan`: asks DeployModel what it would do
- `history`: which version was served from when until when
- `deployments`: the story of one deployment
- `evaluations`: what Evaluate wrote about a version
- `comparison`: whether versions differ by more than noise
- `uncertainty`: 95 % intervals of figures that an evaluation has none for
- `cost_curve`: what a thousand photos cost at each threshold
- `cards`: the model card of a version
"""
