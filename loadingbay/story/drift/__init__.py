"""A camera changes, and the application notices and learns it by itself: what `loadingbay story drift` does.

- `telling`: the parts of the story and their order
- `stage`: what happens on the stage: photos are sent and labelled, monitoring looks at them; moments are noted
- `cameras`: photos that are held out from training, and what three changed cameras make of them
- `picture`: draws metrics and moments along the time
"""
