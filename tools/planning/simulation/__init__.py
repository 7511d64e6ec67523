"""A discrete-event simulation of the service: requests, processor time, batches and autoscaling."""
