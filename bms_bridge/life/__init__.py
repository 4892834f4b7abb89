"""How a pack's health falls and how long it will last: curves of fade, what other lives tell of them, what its own history adds.

    history      health of packs over cycles as arrays, read from files that may be anything
    fade         the curve: a power law and a knee, six numbers
    prior        what whole lives say of the curves to come (empirical Bayes)
    particles    a filter for each pack that joins both, thousands at once
    crossings    what a history shows at a glance, for trees that were taught whole lives
    remaining    cycles until a health is reached: P10, P50, P90, and what they are worth
    teaching     making such a model; needs scikit-learn (the extra ``analytics``)
    stress       fade against temperature and charging rate, as measured lives tell it
    calibration  two factors per chemistry with which a fleet ages beside the table that plans count with

Errors are those of :mod:`bms_bridge.health`. Only :mod:`teaching` loads scikit-learn, only reading Parquet loads Arrow.
"""
