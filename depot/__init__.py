"""What a depot IS: values, units, facts, commands, and the ports through which the rooms meet.

Pure: standard library only, no clock, no I/O, no randomness. Everything above speaks these words.

    values    ids, limits, setpoints, outcomes            registry  what was built: stations, feeders, meters
    events    facts in the past tense, with an envelope   state     fold(): facts -> DepotState
    commands  what a person or a machine asks for         ports     Protocols that the rooms implement
    readings  last measured values, with their age
"""
