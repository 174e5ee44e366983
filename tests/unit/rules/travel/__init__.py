"""A line of business the hub does not come with: what it takes to add one."""
