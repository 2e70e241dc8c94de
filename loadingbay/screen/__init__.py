"""Output for people: progress, tables, pictures in a terminal, and errors as sentences.

- `progress`: the parts of a command while they run, on stderr
- `results`: tables of what came of it, on stdout
- `card`: a model card, on stdout
- `explain`: an exception as one sentence
- `photo`: draws a photo with characters
"""
