"""How far a cell has gone towards thermal runaway: chemistry and heat of what happens in it above 70 °C, as numbers.

    kinetics   the reactions per chemistry, from kinetics.toml with their sources
    model      one step of all reactions in any number of cells at once (numpy)
    runaway    the model run forward: ovens, adiabatic time to runaway
    lookup     that time by temperature and heating, as a table (time_to_runaway.json)
    score      State of Safety, stage 1 to 3, from temperature and conversion (pure)
    watch      all packs of a depot: temperatures in, a score about once a second

ρ·c_p·∂T/∂t = Q_reactions + Q_joule + Q_abuse; dα_i/dt = A_i·f(α_i)·exp(−E_i/(R·T)); Q_i = ΔH_i·m_i·dα_i/dt. What it is
good for and what not stands in docs/state-of-safety.md; it never replaces voltage, dT/dt, insulation or gas: internal shorts were
seen to run away from 81 °C of the cell's temperature, before any of this says much.
"""
