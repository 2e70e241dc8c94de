"""Demonstrates the whole loop of monitoring and retraining in one run, after a simulated change of the camera.

- `story`: the run, `make drift`
- `cameras`: simulates three changed cameras by altering photos held out from training
- `picture`: plots metrics and events of the run over time
"""
