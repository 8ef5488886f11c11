"""PID 1 of a container: starts the declared programs in order, watches them, and ends them in order."""
