"""What fault tests and benchmarks break things with, and what they judge the outcome by.

    nemesis        processes killed and stopped, disks filled, databases locked, clocks set, planners that lie
    chaos_proxy    a TCP proxy that delays, throttles, cuts and stalls
    attackers      half-open handshakes, stations that never read, malformed frames
    scada          the utility's master: a heartbeat and a limit over Modbus
    night          the whole controller and a depot of stations on the virtual clock, with a nemesis beside them
    checker        the journal against what the stations ran; the physical trace against the limits

``benchmarks.real_depot`` is the same depot as processes on real sockets. ``docs/faults.md`` lists the faults.
"""
