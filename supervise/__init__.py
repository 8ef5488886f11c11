"""What runs in a container and who decides it: PID 1, membership, balancing, control of the fleet."""
