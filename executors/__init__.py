"""How a job reaches a machine. Nothing in here knows Django or the database."""
