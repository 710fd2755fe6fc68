"""One module a verb: the only place that knows paths."""
