"""The face: REST API, live stream, dashboard, sign-in. Reads the read model through the core's local socket and
sends commands; keeps nothing of its own but people, their sessions and machines' tokens.

    app      create_app(): routes, guard, headers, errors      text    numbers and times as people read them
    screens  the pages                                         charts  series -> geometry in SVG units
    actions  forms that command the depot                      scene   NowView -> the texts and attributes of a page
    api      /api/v1                                           live    one encoded stream for all clients
    auth     sign-in, sessions, CSRF, tokens                   roles   who may call which route
    users    people and tokens in the database                 serve   uvicorn as a library
    probes   /healthz, /readyz, /metrics                       metrics NowView -> Prometheus metrics

Errors of this room:

    WebError
    ├── PortInUse          somebody else listens where we should
    ├── Problem            a request's answer is no: code, HTTP status, sentence (web.problems)
    └── UserError          people and tokens: unknown name, taken name, weak password
"""


class WebError(Exception):
    """Root of this room's errors."""
