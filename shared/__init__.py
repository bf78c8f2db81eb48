"""What the services have in common: the message, the tables, who is calling, errors. Imports no service."""
