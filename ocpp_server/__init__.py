"""Chargers <-> depot: the central system for OCPP over WebSocket."""
