"""Device models of 2.x stations: what they said of their variables, monitors and events, kept beside the journal.

    station --parts, events, answers--> DeviceModels (the desk) --Writer--> <depot>-models.db --views--> pages, API
    person --command--> Asking (batches) --> station

It is a record that can be read anew, not facts: it is not in a backup. What people want of variables is journaled
(:mod:`depot.wanted`); how far a station is from it is worked out when somebody looks.
"""
