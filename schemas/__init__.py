"""What is said: money, identifiers, event records, Avro files, the topic registry, the wire codec."""
