"""Simulated changes of a camera: what they cost, how soon the alarm rings, and what retraining wins back.

Over many periods and seeds, without a cloud; `loadingbay story drift` shows the whole loop in one run, with the same
cameras (`loadingbay.story.drift.cameras`).

- `run`: the command, which writes docs/drift.md
- `versions`: trains versions with the pipeline's jobs, and asks them about many photos at once
- `watching`: judges periods with the functions of Monitor and WatchStream
- `measures`: false alarms, periods until the alarm, and what is won back
- `report`: the page
"""
