"""The proof: load on the balancer, a walk over the lab's tasks, and the report."""
