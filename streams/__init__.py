"""The stream processors: intake, lanes, flows, rules, and the one place that wires them."""
