"""What a bank says of payments: ISO 20022 messages, read leniently in everything but money."""
