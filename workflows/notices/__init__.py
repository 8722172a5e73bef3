"""Telling people by mail what became of their runs: events are found by the sweep, kept in an outbox, sent in digests.

Nothing here is on the way of a run: the sweep finds the events in what is stored anyway, and a task of its own sends."""
