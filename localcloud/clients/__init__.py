"""What lets AWS's clients use a local cloud unmodified.

environment  the variables that `localcloud env` prints, and the files that they name
daemon       starts, finds and stops a local cloud that runs in the background
plugin/      a folder for PYTHONPATH with one module, which botocore loads as a plug-in; it imports nothing of ours
"""
