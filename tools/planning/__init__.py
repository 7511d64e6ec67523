"""From users to machines and money: demand, measured rates, queueing, the plan and how it is printed."""
