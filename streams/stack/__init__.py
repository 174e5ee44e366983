"""The real services without containers: Kafka, PostgreSQL and a schema registry on loopback."""
