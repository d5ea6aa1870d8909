"""Certification: what order a sampler has, with what confidence, and why it falls short.

`subject` says what a sampler must offer, `own` makes subjects of numdiff's methods (`numdiff.adapters.subjects` of
everybody else's), `measure` observes orders.
"""
