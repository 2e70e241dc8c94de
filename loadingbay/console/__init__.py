"""The console: the command line's work as pages in a browser, for whoever runs `loadingbay console`.

Nothing is decided here: what a page shows or does is a function that a command calls too.

- `server`: the port, the address with its one-time token, start and stop
- `application`: the routes, and what each request is given
- `door`: who comes in: token, session, Host, Origin and form tokens, and the headers of every answer
- `pages`: templates, and failures as pages that say what to do
- `live`: parts of a page that change while it is open, as server-sent events
- `tasks`, `task_pages`: what takes longer than a request, in threads, and its page
- `now`, `review`, `history`: the pages of these names
- `versions`, `decisions`, `shadows`, `thresholds`: Versions; approve, reject and roll back; a shadow; other thresholds
- `try_photo`, `bulk_run`: Try; many photos at once
- `runs`, `run_form`, `compared_runs`: Runs; the form that starts one; several runs or trials of a search
- `side_by_side`: what is common to pages of several versions or runs
- `graph`, `training_progress`: the pipeline's steps and their order; epochs and accuracy while one trains
- `plots`, `pictures`: figures as SVG shapes; photos from S3
"""
