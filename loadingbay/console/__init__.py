"""The console: the command line's work as pages in a browser, for whoever runs `loadingbay console`.

Nothing is decided here: what a page shows or does is a function that a command calls too.

- `server`: the port, the address with its one-time token, start and stop
- `application`: the routes, and what each request is given
- `door`: who comes in: token, session, Host, Origin and form tokens, and the headers of every answer
- `pages`: templates, and failures as pages that say what to do
- `live`: parts of a page that change while it is open, as server-sent events
- `tasks`: what takes longer than a request, in threads
- `now`, `versions`, `decisions`, `review`, `try_photo`, `runs`, `compared_runs`, `history`, `thresholds`: the pages
- `shadows`: the pages of a version that gets copies of the live requests
- `side_by_side`: what is common to pages of several versions or runs
- `graph`: the pipeline's steps and their order, from its definition
- `plots`: figures as SVG shapes
"""
