"""Simulated changes of a camera: what they cost, how soon the alarm rings, and what retraining wins back.

The whole loop in one run of the cloud, `make drift`:

- `story`: the run
- `picture`: plots metrics and events of the run over time

Its figures over many periods and seeds, without a cloud:

- `run`: the command, which writes docs/drift.md
- `versions`: trains versions with the pipeline's jobs, and asks them about many photos at once
- `watching`: judges periods with the functions of Monitor and WatchStream
- `measures`: false alarms, periods until the alarm, and what is won back
- `report`: the page

- `cameras`: simulates three changed cameras by altering photos held out from training
"""
