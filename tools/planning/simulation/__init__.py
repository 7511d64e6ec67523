"""A discrete-event simulation of the service: requests, processor time, batches, autoscaling."""
