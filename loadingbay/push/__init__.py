"""A push on one machine: a clean clone of a commit, and the phases of its buildspec.yml against the local cloud.

- `work`: a push from the clone to the end of the build, with its variables and its log
- `source`: the commit, its clone, and the git remote `local` that builds what is pushed
- `buildspec`: reads buildspec.yml, refusing what cannot be carried out here
- `build`: runs the phases as CodeBuild does
"""
