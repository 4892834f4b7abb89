"""Settings of the charger side. Durations in seconds: of the event loop's time (protocol) unless said otherwise."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class OcppSettings:
    """Defaults fit a depot on a local network with some stations on cellular modems."""

    call_timeout_s: float = 10.0
    """How long a CALL to a station may stay unanswered, at first."""
    patience_s: float = 45.0
    """A station whose answers came late is given longer, up to this: calling it anew would only lengthen its queue."""
    queue_timeout_s: float = 15.0
    """How long a CALL may wait for its turn; then it never leaves (no stale setpoint after a stall)."""
    queued_calls: int = 64
    """Most CALLs that wait per station."""
    breaker_timeouts: int = 3
    """So many time-outs in a row close the connection: the station may be stuck, and a reconnect shows it."""
    send_timeout_s: float = 8.0
    """A station that does not read for so long is disconnected."""
    boot_grace_s: float = 3.0
    """A station that connects without BootNotification (legal after a broken link) takes CALLs after this."""
    triggered_boot_s: float = 10.0
    """How long a BootNotification that was asked for may take."""
    calm_s: float = 10.0
    """So long a 2.x station that has booted or come back is left alone, but for calls of people and what cannot wait."""
    commissions: int = 32
    """So many stations are asked what they can do, and given their profiles, at a time after a boot …"""
    commission_s: float = 3.0
    """… and one that takes longer makes room for the next."""
    heartbeat_jitter: float = 0.1
    """Share of the heartbeat interval by which stations are spread, so that they do not come in step."""
    idle_heartbeats: float = 3.0
    """Heartbeats that may be missing before the link counts as dead (reference no. 1) …"""
    idle_least_s: float = 120.0
    """… but never sooner than this."""
    idle_unknown_s: float = 900.0
    """The same for a station whose heartbeat interval this process has not set."""
    rejected_interval_s: int = 300
    """When a quarantined station may boot again."""
    quarantined: int = 50
    """Most connections of stations that the registry does not know."""
    first_look_s: float = 30.0
    """So long after a station is ready it is asked for the first time what its profiles add up to."""
    look_every_s: float = 3600.0
    """Then as often …"""
    look_least_s: float = 60.0
    """… and never more often than this, whatever happens."""
    composite_s: int = 600
    """Composite schedules are asked for so far ahead: beyond the life of every live profile. Depot time."""
    sample_interval_s: int = 60
    """MeterValueSampleInterval that stations are asked for (their own seconds)."""
    sampled_data: tuple[str, ...] = ("Power.Active.Import", "Energy.Active.Import.Register", "SoC", "Temperature")
    """MeterValuesSampledData that stations are asked for; tried shorter from the end where it is refused."""
    replay_age_s: float = 120.0
    """Older meter values come from an offline queue and never drive control (reference no. 7). Depot time."""
    frames_per_s: float = 50.0
    """A station that sends faster is read no faster."""
    frames_burst: int = 200
    """Frames that may come at once."""
    frames_in_turn: int = 8
    """After so many of a burst every other station has its turn between two frames."""
    flood_frames: int = 2000
    """So many frames beyond the rate without a pause close the connection."""
    inbox: int = 32
    """CALLs of a station that wait for their answer before it is read no further."""
    ping_interval_s: float = 30.0
    ping_timeout_s: float = 90.0
    """Long: cellular modems sleep (reference no. 4)."""
    handshake_timeout_s: float = 8.0
    """Half-open handshakes are closed after this."""
    tls_handshake_timeout_s: float = 20.0
    """The same for TLS. Longer: a thousand handshakes at once wait for each other, and who is cut off comes back and makes it worse."""
    tls_at_once: int = 24
    """TLS handshakes that are computed side by side; each costs some milliseconds, in two steps."""
    tls_turn_s: float = 0.3
    """So long a handshake keeps its turn while the other side has not answered."""
    handshakes: int = 2000
    """Most handshakes at once; a whole depot may reconnect in one second."""
    handshakes_per_address: int = 1000
    """The same from one address: half of all, so that nobody takes every place; a depot may stand behind one router."""
    refusals_per_s: float = 10.0
    """A wrong password is answered no faster than this to one address; who has the right one never waits."""
    send_buffer_bytes: int = 16 * 1024
    """What the kernel keeps for a station that does not read; little, so that it is noticed soon."""
    max_frame_bytes: int = 256 * 1024
