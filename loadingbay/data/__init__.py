"""Gets training photos: finds, downloads or draws them, and uploads them to S3.

- `acquire`: finds them: what the user names, the CIFAR-100 archive, or drawn samples in its place
- `files`: which files are photos
- `provide`: finds and uploads them for a run
- `download`: fetches the archive: resumes after a cut, checks the md5
- `samples/`: draws photos of vehicles for machines where no archive can be had
"""
