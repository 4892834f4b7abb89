"""The face: REST API, live stream, dashboard, sign-in."""
