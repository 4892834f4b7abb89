"""Telemetry that was refused, and values of it that were left out, kept with the reason in a database of their own.

    Guard.rejections --keep--> Rejections (bounded queue) --Writer, in a thread--> <depot>-rejections.db --view--> REST

Best effort and beside the safety path: what cannot be written is lost and counted, the oldest goes when there are too many.
Vehicles' identification numbers were replaced before (:mod:`bms_bridge.pseudonym`).
"""
