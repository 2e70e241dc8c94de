"""A camera changes, and the model learns it: the whole loop of monitoring and retraining in one run.

- `story`: the run, `make drift`
- `cameras`: photos held out from training, as three changed cameras would take them
- `picture`: what happened, drawn along the time
"""
